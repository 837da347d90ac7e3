using DingFlow.Intake;
using DingFlow.Settings;
using DingFlow.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Intake;

/// <summary>Bodies of webhooks as HR systems send them, and dialects as settings make them.</summary>
internal static class Fixtures
{
    /// <summary>2026-11-22T01:00:00Z, the time of the scenario and of most fixtures.</summary>
    public static readonly DateTimeOffset Now = new(2026, 11, 22, 1, 0, 0, TimeSpan.Zero);

    public static byte[] Read(string dialect, string file) =>
        File.ReadAllBytes(Path.Combine(Repository.Root, "tests", "DingFlow.Tests", "Intake", "Fixtures", dialect, file));

    /// <summary>The dialect as a source with these settings (below <c>HrSources:acme</c>) uses it.</summary>
    public static HrSource Source(string dialect, params (string Name, string Value)[] settings) => Sources(dialect, settings, out var faults) is { } source
        && faults.Count == 0 ? source : throw new InvalidOperationException(string.Join('\n', Faults(dialect, settings)));

    public static IReadOnlyList<string> Faults(string dialect, params (string Name, string Value)[] settings)
    {
        Sources(dialect, settings, out var faults);
        return faults;
    }

    public static HrReading Read(this HrSource source, byte[] body) => source.Dialect.Read(body, source.QualifiedName);

    public static HrVerification Verify(this HrSource source, byte[] body, params (string Name, string Value)[] headers) =>
        source.Dialect.Verify(Headers(headers), body, source.Secrets, Now);

    public static string[] Diagnose(this HrSource source, byte[] body, params (string Name, string Value)[] headers) =>
        [.. source.Dialect.Diagnose(Headers(headers), body, source.Secrets, Now).Select(static finding => finding.Code)];

    public static HeaderDictionary Headers(params (string Name, string Value)[] headers)
    {
        var dictionary = new HeaderDictionary();
        foreach (var (name, value) in headers)
        {
            dictionary.Append(name, value);
        }

        return dictionary;
    }

    /// <summary>The intake's settings with these, full names; without faults.</summary>
    public static IntakeOptions Options(params (string Name, string? Value)[] settings)
    {
        var faults = new SettingsFaults();
        var options = IntakeOptions.Read(Configuration(settings), faults);
        faults.ThrowIfAny();
        return options;
    }

    /// <summary>The faults of the intake's settings with a good source <c>acme</c> and these, full names.</summary>
    public static IReadOnlyList<string> OptionFaults(params (string Name, string? Value)[] settings)
    {
        var faults = new SettingsFaults();
        IntakeOptions.Read(Configuration([("HrSources:acme:Dialect", "standard"), ("HrSources:acme:Secrets:0", IntakeScenario.Secret), .. settings]), faults);
        return faults.All;
    }

    private static IConfigurationRoot Configuration((string Name, string? Value)[] settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings.ToDictionary(static s => s.Name, static s => s.Value)).Build();

    private static HrSource? Sources(string dialect, (string Name, string Value)[] settings, out IReadOnlyList<string> faults)
    {
        var all = settings.ToDictionary(static s => $"HrSources:acme:{s.Name}", static s => (string?)s.Value);
        all["HrSources:acme:Dialect"] = dialect;
        var collected = new SettingsFaults();
        var options = IntakeOptions.Read(new ConfigurationBuilder().AddInMemoryCollection(all).Build(), collected);
        faults = collected.All;
        return options.Sources.GetValueOrDefault("acme");
    }
}
