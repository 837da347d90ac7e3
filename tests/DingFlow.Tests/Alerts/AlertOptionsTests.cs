using DingFlow.Alerts;
using DingFlow.Hosting;
using DingFlow.Tests.Intake;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Alerts;

public sealed class AlertOptionsTests
{
    [Theory]
    [InlineData("https://hooks.example/alerts")]
    [InlineData("http://127.0.0.1:9000/")]
    [InlineData("http://localhost:9000/")]
    public void A_webhook_channel_is_read(string url)
    {
        var (options, faults) = Read(("ops:Type", "Webhook"), ("ops:Url", url), ("ops:Secret", IntakeScenario.Secret));

        Assert.Empty(faults);
        var channel = Assert.Single(options.Channels);
        Assert.Equal(("ops", new Uri(url)), (channel.Name, channel.Url));
        Assert.Equal("alert channel ops", $"{channel}");
    }

    [Fact]
    public void Every_fault_of_the_channels_is_named_at_once()
    {
        var (_, faults) = Read(
            ("a:Url", "https://hooks.example"), ("a:Secret", IntakeScenario.Secret),
            ("b:Type", "pigeon"), ("b:Url", "https://hooks.example"), ("b:Secret", IntakeScenario.Secret),
            ("c:Type", "webhook"),
            ("d:Type", "webhook"), ("d:Url", "http://hooks.example"), ("d:Secret", "hunter2"),
            ("e:Type", "webhook"), ("e:Url", "https://user:pass@hooks.example"), ("e:Secret", IntakeScenario.Secret),
            ("f/g:Type", "webhook"), ("f/g:Url", "https://hooks.example"), ("f/g:Secret", IntakeScenario.Secret));

        Assert.Equal(
            ["a:Type", "b:Type", "c:Secret", "c:Url", "d:Secret", "d:Url", "e:Url", "f/g:Type"],
            faults.Select(static fault => fault["Alerts:Channels:".Length..].Split(": ")[0]).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(faults, static fault => fault.Contains("hunter2", StringComparison.Ordinal) || fault.Contains("pass@", StringComparison.Ordinal));
    }

    private static (AlertOptions Options, IReadOnlyList<string> Faults) Read(params (string Name, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.ToDictionary(static s => $"Alerts:Channels:{s.Name}", static s => (string?)s.Value)).Build();
        var faults = new SettingsFaults();
        return (AlertOptions.Read(configuration, faults), faults.All);
    }
}
