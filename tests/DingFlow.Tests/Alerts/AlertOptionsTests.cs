using DingFlow.Alerts;
using DingFlow.Messaging;
using DingFlow.Settings;
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
        var channel = Assert.IsType<WebhookChannel>(Assert.Single(options.Channels));
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

    [Fact]
    public void Every_kind_of_channel_is_read_with_its_severity_language_and_areas()
    {
        var (options, faults) = Read(
            ("group:Type", "robot"), ("group:AccessToken", "t"), ("group:Secret", "SECx"), ("group:Language", "zh-Hant"), ("group:Severity", "warning"),
            ("duty:Type", "workNotice"), ("duty:Tenant", "acme"), ("duty:AgentId", "7"), ("duty:UserIds", "a,b"), ("duty:Areas", "thresholds, offboarding"),
            ("DingTalk::Tenants::acme::CorpId", "ding1"),
            ("legal:Type", "mail"), ("legal:From", "alerts@acme.example"), ("legal:To", "legal@acme.example"), ("legal:GroupWait", "00:05:00"),
            ("Entra::TenantId", "t"));

        Assert.Empty(faults);
        var (duty, group, legal) = (
            Assert.IsType<WorkNoticeChannel>(options.Channels[0]), Assert.IsType<RobotChannel>(options.Channels[1]), Assert.IsType<MailChannel>(options.Channels[2]));
        Assert.Equal((RobotChannel.DefaultUrl, AlertLanguage.TraditionalChinese, AlertSeverity.Warning, TimeSpan.FromSeconds(10)),
            (group.Url, group.Language, group.Severity, group.GroupWait));
        Assert.Equal(["a", "b"], duty.UserIds);
        Assert.Equal(["thresholds", "offboarding"], duty.Areas);
        Assert.Equal(TimeSpan.FromMinutes(5), legal.GroupWait);
    }

    [Fact]
    public void Every_fault_of_every_kind_is_named_at_once()
    {
        var (_, faults) = Read(
            ("a:Type", "robot"), ("a:Secret", "hunter2"), ("a:Url", "https://oapi.dingtalk.com/robot/send?access_token=x"),
            ("b:Type", "workNotice"), ("b:Tenant", "nobody"), ("b:AgentId", "seven"), ("b:DepartmentIds", "one"),
            ("c:Type", "mail"), ("c:From", "alerts@acme.example"), ("c:To", "not an address"),
            ("d:Type", "webhook"), ("d:Url", "https://hooks.example"), ("d:Secret", IntakeScenario.Secret), ("d:Language", "fr"), ("d:Areas", "weather"),
            ("d:GroupWait", "02:00:00"), ("d:Severity", "fatal"),
            ("Alerts::Levels", "50,101"), ("Alerts::FilingLeadDays", "-1"), ("Alerts::Repeat", "never"), ("Alerts::Hysteresis", "51"));

        Assert.Equal(
            [
                "Alerts:Channels:a:AccessToken", "Alerts:Channels:a:Secret", "Alerts:Channels:a:Url", "Alerts:Channels:b:AgentId",
                "Alerts:Channels:b:DepartmentIds", "Alerts:Channels:b:Tenant", "Alerts:Channels:b:UserIds", "Alerts:Channels:c:To",
                "Alerts:Channels:c:Type", "Alerts:Channels:d:Areas", "Alerts:Channels:d:GroupWait", "Alerts:Channels:d:Language",
                "Alerts:Channels:d:Severity", "Alerts:FilingLeadDays", "Alerts:Hysteresis", "Alerts:Levels", "Alerts:Repeat",
            ],
            faults.Select(static fault => fault.Split(": ")[0]).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(faults, static fault => fault.Contains("hunter2", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("60,90", new[] { 60, 90, 100 })]
    [InlineData("100", new[] { 100 })]
    [InlineData("", new[] { 50, 80, 90, 95, 100 })]
    public void Levels_end_at_the_limit_itself(string levels, int[] expected) => Assert.Equal(expected, Read(("Alerts::Levels", levels)).Options.Levels);

    [Fact]
    public void A_channel_takes_alerts_of_its_weight_and_areas()
    {
        AlertMessage Alert(string type, AlertSeverity severity) =>
            new() { AlertId = "a", Type = type, Severity = severity, OccurredAt = DateTimeOffset.UnixEpoch, Summary = "s" };
        var channel = new RobotChannel
        {
            Name = "r", Url = RobotChannel.DefaultUrl, AccessToken = "t", Secret = "SEC", Severity = AlertSeverity.Warning, Areas = ["thresholds"],
        };

        Assert.True(channel.Takes(Alert("thresholds.level", AlertSeverity.Warning)));
        Assert.False(channel.Takes(Alert("thresholds.level", AlertSeverity.Information)));
        Assert.False(channel.Takes(Alert("offboarding.failed", AlertSeverity.Critical)));
        Assert.NotEqual(channel.Fingerprint, (channel with { Secret = "SEC2" }).Fingerprint);
    }

    private static (AlertOptions Options, IReadOnlyList<string> Faults) Read(params (string Name, string Value)[] settings)
    {
        var configuration = new ConfigurationBuilder()
            .AddInMemoryCollection(settings.ToDictionary(static s => s.Name.Contains("::", StringComparison.Ordinal) ? s.Name.Replace("::", ":", StringComparison.Ordinal) : $"Alerts:Channels:{s.Name}", static s => (string?)s.Value)).Build();
        var faults = new SettingsFaults();
        return (AlertOptions.Read(configuration, faults), faults.All);
    }
}
