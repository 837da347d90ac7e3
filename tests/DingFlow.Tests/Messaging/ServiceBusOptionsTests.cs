using DingFlow.Messaging;
using DingFlow.Settings;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Messaging;

public sealed class ServiceBusOptionsTests
{
    private static (ServiceBusOptions Options, IReadOnlyList<string> Faults) Read(params (string Key, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value))).Build();
        var faults = new SettingsFaults();
        return (ServiceBusOptions.Read(configuration, faults), faults.All);
    }

    [Theory]
    [InlineData("dingflow.servicebus.windows.net")]
    [InlineData("dingflow.servicebus.chinacloudapi.cn")]
    public void The_namespace_is_reached_by_https_with_the_audience_of_every_cloud(string host)
    {
        var (options, faults) = Read(("ServiceBusConnection:fullyQualifiedNamespace", host));

        Assert.Empty(faults);
        Assert.Equal(new Uri($"https://{host}/"), options.Endpoint);
        Assert.Equal("https://servicebus.azure.net/.default", options.Scope);
        Assert.Equal(262_144, options.MaxMessageBytes);
    }

    [Fact]
    public void A_stand_in_on_the_loopback_takes_its_place()
    {
        var (options, faults) = Read(("ServiceBus:Endpoint", "http://127.0.0.1:5000/"), ("ServiceBus:Audience", "https://servicebus.chinacloudapi.cn/"));

        Assert.Empty(faults);
        Assert.Equal(new Uri("http://127.0.0.1:5000/"), options.Endpoint);
        Assert.Equal("https://servicebus.chinacloudapi.cn/.default", options.Scope);
    }

    [Fact]
    public void Every_fault_is_told()
    {
        var (_, faults) = Read(
            ("ServiceBus:Endpoint", "https://elsewhere.example/"), ("ServiceBusConnection:fullyQualifiedNamespace", "Endpoint=sb://x/;SharedAccessKey=secret"),
            ("ServiceBus:MaxMessageBytes", "1"), ("ServiceBusConnection:clientId", "one"), ("AZURE_CLIENT_ID", "two"));

        Assert.Equal(
            ["ServiceBus:Endpoint", "ServiceBusConnection:fullyQualifiedNamespace", "ServiceBus:MaxMessageBytes", "ServiceBusConnection:clientId"],
            faults.Select(fault => fault[..fault.IndexOf(": ", StringComparison.Ordinal)]));
        Assert.All(faults, fault => Assert.DoesNotContain("secret", fault, StringComparison.Ordinal));
    }

    [Fact]
    public void A_missing_namespace_is_told() =>
        Assert.Equal(["ServiceBusConnection:fullyQualifiedNamespace: is missing"], Read().Faults);
}
