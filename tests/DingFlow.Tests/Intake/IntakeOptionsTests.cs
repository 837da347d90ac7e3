using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Settings;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Intake;

public sealed class IntakeOptionsTests
{
    [Fact]
    public void Every_fault_of_the_sources_is_named_at_once()
    {
        var faults = Faults(
            ("HrSources:a:Dialect", "esperanto"),
            ("HrSources:b:Dialect", "standard"),
            ("HrSources:c:Dialect", "standard"), ("HrSources:c:Secrets:0", "hunter2"), ("HrSources:c:MaxPerMinute", "0"), ("HrSources:c:Paused", "perhaps"),
            ("HrSources:d:Dialect", "standard"), ("HrSources:d:Secrets:0", "@Microsoft.KeyVault(SecretUri=x)"),
            ("HrSources:e:Secrets:0", IntakeScenario.Secret),
            ("HrSources:f g:Dialect", "standard"), ("HrSources:f g:Secrets:0", IntakeScenario.Secret),
            ("HrSources:h:Dialect", "standard"), ("HrSources:h:Secrets:0", IntakeScenario.Secret), ("HrSources:h:Secrets:1", ""),
            ("HrSources:i:Dialect", "standard"), ("HrSources:i:Secrets:0", IntakeScenario.Secret), ("HrSources:i:Tenants", "nowhere"),
            ("DingTalk:Tenants:acme:CorpId", "x"),
            ("Intake:MaxBodyBytes", "10000000"));

        Assert.Contains($"HrSources:a:Dialect: must be one of {string.Join(", ", HrDialects.All.Select(static dialect => dialect.Name))}", faults);
        Assert.Contains("HrSources:b:Secrets: is missing: one secret, or two while it is rotated", faults);
        Assert.Contains($"HrSources:c:Secrets:0: {StandardWebhooks.SecretRule}", faults);
        Assert.Contains(faults, static fault => fault.StartsWith("HrSources:c:MaxPerMinute: ", StringComparison.Ordinal));
        Assert.Contains("HrSources:c:Paused: must be true or false", faults);
        Assert.Contains(faults, static fault => fault.StartsWith("HrSources:d:Secrets:0: is an unresolved Key Vault reference", StringComparison.Ordinal));
        Assert.Contains("HrSources:e:Dialect: is missing", faults);
        Assert.Contains(faults, static fault => fault.StartsWith("HrSources:f g:Dialect: the source's name", StringComparison.Ordinal));
        Assert.Contains("HrSources:h:Secrets:1: is missing", faults);
        Assert.Contains(faults, static fault => fault.StartsWith("HrSources:i:Tenants: ", StringComparison.Ordinal));
        Assert.Contains(faults, static fault => fault.StartsWith("Intake:MaxBodyBytes: ", StringComparison.Ordinal));
        Assert.Equal(11, faults.Count);
        Assert.DoesNotContain(faults, static fault => fault.Contains("hunter2", StringComparison.Ordinal));
    }

    [Fact]
    public void Three_secrets_are_a_fault() => Assert.Equal(
        ["HrSources:a:Secrets: may hold two secrets, while one is rotated"],
        Faults(
            ("HrSources:a:Dialect", "standard"), ("HrSources:a:Secrets:0", IntakeScenario.Secret), ("HrSources:a:Secrets:1", IntakeScenario.NextSecret),
            ("HrSources:a:Secrets:2", IntakeScenario.Secret)));

    [Fact]
    public void Without_sources_there_is_no_fault() => Assert.Empty(Faults());

    [Theory]
    [InlineData(null, "Deliveries:EncryptionKey: is missing")]
    [InlineData("AAAA", "Deliveries:EncryptionKey: must be base64 of at least 32 bytes")]
    public void The_encryption_key_is_needed(string? key, string fault)
    {
        var faults = new SettingsFaults();

        InboxOptions.Read(Configuration(("Deliveries:EncryptionKey", key)), faults);

        Assert.Equal([fault], faults.All);
    }

    [Fact]
    public void Options_do_not_print_their_secrets()
    {
        var faults = new SettingsFaults();
        var configuration = Configuration(("HrSources:a:Dialect", "standard"), ("HrSources:a:Secrets:0", IntakeScenario.Secret));

        Assert.Equal("HR source a", $"{IntakeOptions.Read(configuration, faults).Sources["A"]}");
        Assert.Equal("InboxOptions", $"{InboxOptions.Read(configuration, faults)}");
    }

    [Fact]
    public void A_rate_refills_steadily_and_never_beyond_a_minutes_worth()
    {
        var time = new FakeTimeProvider();
        var limiter = new RateLimiter(60, time);
        for (var i = 0; i < 60; i++)
        {
            Assert.Equal(TimeSpan.Zero, limiter.Take());
        }

        Assert.Equal(TimeSpan.FromSeconds(1), limiter.Take());
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(TimeSpan.Zero, limiter.Take());
        time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(60, Enumerable.Range(0, 100).Count(_ => limiter.Take() == TimeSpan.Zero));
    }

    private static IReadOnlyList<string> Faults(params (string, string?)[] settings)
    {
        var faults = new SettingsFaults();
        IntakeOptions.Read(Configuration(settings), faults);
        return faults.All;
    }

    private static IConfigurationRoot Configuration(params (string Name, string? Value)[] settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(static s => s.Name, static s => s.Value)).Build();
}
