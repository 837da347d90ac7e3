using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Intake;

/// <summary>Settings of the intake (<c>Intake</c>, <c>HrSources</c>).</summary>
public sealed record IntakeOptions
{
    /// <summary>Bytes that a webhook's body may have unless configured otherwise.</summary>
    public const int DefaultMaxBodyBytes = 256 * 1024;

    /// <summary>Bytes that a webhook's body may have (<c>Intake:MaxBodyBytes</c>).</summary>
    public int MaxBodyBytes { get; init; } = DefaultMaxBodyBytes;

    /// <summary>How far the time of a DingTalk push may lie from ours (<c>Intake:DingTalkTolerance</c>); DingTalk's last retry is 40 s old.</summary>
    public TimeSpan DingTalkTolerance { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>The HR systems, by name in any case.</summary>
    public required IReadOnlyDictionary<string, HrSource> Sources { get; init; }

    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static IntakeOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Intake", faults);
        var root = new SettingsReader(configuration, "", faults);
        var tenants = root.Children("DingTalk:Tenants");
        var sources = new Dictionary<string, HrSource>(StringComparer.OrdinalIgnoreCase);
        foreach (var name in root.Children("HrSources"))
        {
            if (HrSource.Read(name, root.Section($"HrSources:{name}"), tenants) is { } source)
            {
                sources[name] = source;
            }
        }

        return new IntakeOptions
        {
            MaxBodyBytes = reader.Number("MaxBodyBytes", DefaultMaxBodyBytes, 1024, Inbox.MaxBodyBytes),
            DingTalkTolerance = reader.Duration("DingTalkTolerance", TimeSpan.FromMinutes(10)),
            Sources = sources,
        };
    }
}

/// <summary>One HR system that may send us webhooks (<c>HrSources:{source}</c>).</summary>
public sealed record HrSource
{
    private const int MaxNameLength = 40;
    private const int MaxSecrets = 2;

    // A thousand in a second, which one instance accepts with ease: the limit is for a sender that has gone mad, not for a busy day.
    private const int DefaultMaxPerMinute = 60_000;

    /// <summary>Its name in the address, in lower case.</summary>
    public required string Name { get; init; }

    /// <summary>How it signs and words its webhooks.</summary>
    public required IHrDialect Dialect { get; init; }

    /// <summary>Its secrets; two while one is rotated.</summary>
    public required IReadOnlyList<byte[]> Secrets { get; init; }

    /// <summary>Plan and remember, change nothing.</summary>
    public bool DryRun { get; init; }

    /// <summary>Deliveries are accepted and kept, and wait until this is switched off again.</summary>
    public bool Paused { get; init; }

    /// <summary>Deliveries with a valid signature (SCIM: requests) that are accepted in a minute, by each instance.</summary>
    public int MaxPerMinute { get; init; } = DefaultMaxPerMinute;

    /// <summary>The DingTalk tenants that its events may touch; <see langword="null"/> for all.</summary>
    public IReadOnlyList<string>? Tenants { get; init; }

    /// <summary>The domains of which people's e-mail addresses must be; empty for any. With it, an event without an address is refused.</summary>
    public IReadOnlyList<string> EmailDomains { get; init; } = [];

    /// <summary>As <see cref="PersonEvent.Source"/> names it.</summary>
    public string QualifiedName => $"hr/{Name}";

    internal static HrSource? Read(string name, SettingsReader reader, IReadOnlyList<string> knownTenants)
    {
        if (name.Length > MaxNameLength || !name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            reader.Fault("Dialect", "the source's name must be at most 40 letters, digits, '-' or '_'");
        }

        var dialect = ReadDialect(reader);
        return new HrSource
        {
            Name = name.ToLowerInvariant(),
            Dialect = dialect ?? HrDialects.All[0],
            Secrets = dialect is null ? [] : ReadSecrets(reader, dialect),
            DryRun = reader.Boolean("DryRun", false),
            Paused = reader.Boolean("Paused", false),
            // Microsoft Entra wants to provision by 25 requests a second.
            MaxPerMinute = reader.Number("MaxPerMinute", dialect is { IsWebhook: false } ? 3000 : DefaultMaxPerMinute, 1, 10_000_000),
            Tenants = ReadTenants(reader, knownTenants),
            EmailDomains = [.. reader.List("EmailDomains").Select(static domain => domain.TrimStart('@'))],
        };
    }

    /// <summary>
    /// Whether an event may come from this source. A source that is confined to mail domains cannot freeze anybody else: an event without
    /// an address could name anybody, so it is outside as well.
    /// </summary>
    public bool Admits(PersonEvent person)
    {
        ArgumentNullException.ThrowIfNull(person);
        if (EmailDomains.Count == 0)
        {
            return true;
        }

        var domain = person.Email.AsSpan(person.Email is null ? 0 : person.Email.LastIndexOf('@') + 1);
        foreach (var allowed in EmailDomains)
        {
            if (domain.Equals(allowed, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The event with what the source's settings confine it to, for those who act on it.</summary>
    public PersonEvent Confine(PersonEvent person)
    {
        ArgumentNullException.ThrowIfNull(person);
        return Tenants is null && EmailDomains.Count == 0 && !DryRun ? person : person with
        {
            Tenants = Tenants, EmailDomains = EmailDomains.Count == 0 ? null : EmailDomains, DryRun = DryRun,
        };
    }

    /// <summary>The name only: the record holds secrets.</summary>
    public override string ToString() => $"HR source {Name}";

    private static IHrDialect? ReadDialect(SettingsReader reader)
    {
        var name = reader.Required("Dialect");
        var dialect = HrDialects.All.FirstOrDefault(candidate => candidate.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        if (dialect is null && name.Length > 0)
        {
            reader.Fault("Dialect", $"must be one of {string.Join(", ", HrDialects.All.Select(static known => known.Name))}");
        }

        return dialect;
    }

    private static List<byte[]> ReadSecrets(SettingsReader reader, IHrDialect dialect)
    {
        var keys = reader.Children("Secrets");
        if (!dialect.IsWebhook)
        {
            if (keys.Count > 0)
            {
                reader.Fault("Secrets", $"must not be set: the dialect {dialect.Name} has credentials of its own");
            }

            return [];
        }

        if (keys.Count is 0 or > MaxSecrets)
        {
            reader.Fault("Secrets", keys.Count == 0 ? "is missing: one secret, or two while it is rotated" : "may hold two secrets, while one is rotated");
        }

        var secrets = new List<byte[]>();
        foreach (var key in keys)
        {
            if (dialect.ReadSecret(reader.Section("Secrets"), key) is { } secret)
            {
                secrets.Add(secret);
            }
        }

        return secrets;
    }

    private static List<string>? ReadTenants(SettingsReader reader, IReadOnlyList<string> knownTenants)
    {
        var tenants = new List<string>();
        foreach (var tenant in reader.List("Tenants"))
        {
            var known = knownTenants.FirstOrDefault(name => name.Equals(tenant, StringComparison.OrdinalIgnoreCase));
            if (known is null && knownTenants.Count > 0)
            {
                reader.Fault("Tenants", $"names a tenant that DingTalk:Tenants does not have; it has {string.Join(", ", knownTenants)}");
            }

            tenants.Add(known ?? tenant);
        }

        return tenants.Count == 0 ? null : tenants;
    }
}
