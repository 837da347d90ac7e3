using System.Globalization;

namespace DingFlow.Messaging;

/// <summary>
/// What settings, or the program's own data, decide at present: a rule set, a plan, a brake, a key and its roles. Whoever is ruled by it
/// says it here; each change is recorded in the audit trail.
/// </summary>
/// <param name="Name">What it is, such as <c>offboarding.brake</c> or <c>apiKey/operations</c>; it stays the same when the values change.</param>
/// <param name="Values">Its values as people may see them: no secret, no person. What is secret or names people stands there as a <see cref="Fingerprint"/>.</param>
public sealed record PolicyStatement(string Name, IReadOnlyDictionary<string, string> Values)
{
    private const int FingerprintBytes = 16;

    /// <summary>The values as lines of text in ordinal order, which are what is hashed.</summary>
    public string Text => string.Join('\n', Values.OrderBy(static value => value.Key, StringComparer.Ordinal).Select(static value => $"{value.Key}={value.Value}"));

    /// <summary>A statement of named values.</summary>
    public static PolicyStatement Of(string name, params ReadOnlySpan<(string Name, object? Value)> values)
    {
        var texts = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var (key, value) in values)
        {
            texts[key] = TextOf(value).ReplaceLineEndings(" ");
        }

        return new(name, texts);
    }

    /// <summary>Tells whether something changed without telling what it is: made under a key, so that nobody can try guesses.</summary>
    public static string Fingerprint(AuditPseudonyms pseudonyms, IEnumerable<string> values)
    {
        ArgumentNullException.ThrowIfNull(pseudonyms);
        var joined = string.Join('\n', values.Order(StringComparer.Ordinal));
        return joined.Length == 0 ? "none" : pseudonyms.Of("setting", joined)?[..(FingerprintBytes * 2)] ?? "unknown: there is no Pseudonyms:LedgerKey";
    }

    private static string TextOf(object? value) => value switch
    {
        null => "",
        string text => text,
        bool flag => flag ? "true" : "false",
        TimeSpan time => time.ToString("c", CultureInfo.InvariantCulture),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        System.Collections.IEnumerable many => string.Join(", ", many.Cast<object?>().Select(TextOf).Order(StringComparer.Ordinal)),
        _ => value.ToString() ?? "",
    };
}

/// <summary>Where statements come from.</summary>
/// <param name="Read">Reads them; called once, after the start.</param>
public sealed record PolicySource(Func<IEnumerable<PolicyStatement>> Read);

/// <summary>Registers what features say of the settings that rule them.</summary>
public static class PolicyServices
{
    /// <summary>Adds statements that are made from services.</summary>
    public static IServiceCollection AddPolicy(this IServiceCollection services, Func<IServiceProvider, IEnumerable<PolicyStatement>> read) =>
        services.AddSingleton(provider => new PolicySource(() => read(provider)));
}
