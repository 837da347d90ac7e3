using System.Net;
using DingFlow.Messaging;
using DingFlow.Settings;

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

    /// <summary>
    /// The header in which the platform in front hands on the caller's address (<c>Intake:ClientAddressHeader</c>), such as
    /// <c>X-Forwarded-For</c>; <see langword="null"/>: the connection's own address counts.
    /// </summary>
    public string? ClientAddressHeader { get; init; }

    /// <summary>
    /// Which of several addresses in that header counts, from the right (<c>Intake:ClientAddressPosition</c>): 1 is what the nearest
    /// proxy saw. Addresses further left can be made up by the caller.
    /// </summary>
    public int ClientAddressPosition { get; init; } = 1;

    /// <summary>The HR systems, by name in any case.</summary>
    public required IReadOnlyDictionary<string, HrSource> Sources { get; init; }

    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static IntakeOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Intake", faults);
        var maxBodyBytes = reader.Number("MaxBodyBytes", DefaultMaxBodyBytes, 1024, Inbox.MaxBodyBytes);
        var root = new SettingsReader(configuration, "", faults);
        var mode = HostingOptions.ModeOf(configuration);
        var tenants = root.Children("DingTalk:Tenants");
        var sources = new Dictionary<string, HrSource>(StringComparer.OrdinalIgnoreCase);
        foreach (var name in root.Children("HrSources"))
        {
            var section = root.Section($"HrSources:{name}");
            if (mode == HostMode.Standalone && section.List("ClientCertificates").Count > 0 && section.Text("ClientCertificateHeader") is null)
            {
                section.Fault(
                    "ClientCertificateHeader",
                    "is missing while ClientCertificates is set: name the header that the proxy in front sets and never lets through; without one anybody could send a certificate");
            }

            if (HrSource.Read(name, section, tenants, maxBodyBytes, InstanceRegion.Receives(configuration, section.Text("DataOrigin") ?? InstanceRegion.DefaultOrigin)) is { } source)
            {
                sources[name] = source;
            }
        }

        var addressHeader = reader.Text("ClientAddressHeader");
        if (addressHeader is null && mode == HostMode.FunctionsHost
            && sources.Values.Any(static source => source.AllowedNetworks.Count > 0))
        {
            reader.Fault("ClientAddressHeader", "is missing while a source has AllowedNetworks: behind the Functions host every connection is its own");
        }

        return new IntakeOptions
        {
            MaxBodyBytes = maxBodyBytes,
            ClientAddressHeader = addressHeader,
            ClientAddressPosition = reader.Number("ClientAddressPosition", 1, 1, 10),
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

    /// <summary>Bytes that a body of it may have.</summary>
    public int MaxBodyBytes { get; init; } = IntakeOptions.DefaultMaxBodyBytes;

    /// <summary>The networks from which it may send; empty for any.</summary>
    public IReadOnlyList<IPNetwork> AllowedNetworks { get; init; } = [];

    /// <summary>Deliveries with a valid signature (SCIM: requests) that are accepted in a minute, by each instance.</summary>
    public int MaxPerMinute { get; init; } = DefaultMaxPerMinute;

    /// <summary>The DingTalk tenants that its events may touch; <see langword="null"/> for all.</summary>
    public IReadOnlyList<string>? Tenants { get; init; }

    /// <summary>The domains of which people's e-mail addresses must be; empty for any. With it, an event without an address is refused.</summary>
    public IReadOnlyList<string> EmailDomains { get; init; } = [];

    /// <summary>
    /// DingFlow runs elsewhere than the data of this source's people are collected (<c>DingFlow:Region</c>, <c>HrSources:{source}:DataOrigin</c>):
    /// what it sends has been exported by arriving here, and its people are counted.
    /// </summary>
    public bool ArrivesAbroad { get; init; }

    /// <summary>As <see cref="PersonEvent.Source"/> names it.</summary>
    public string QualifiedName => $"hr/{Name}";

    internal static HrSource? Read(string name, SettingsReader reader, IReadOnlyList<string> knownTenants, int maxBodyBytes, bool arrivesAbroad)
    {
        if (name.Length > MaxNameLength || !name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            reader.Fault("Dialect", "the source's name must be at most 40 letters, digits, '-' or '_'");
        }

        var dialect = ReadDialect(reader)?.Configure(reader);
        return new HrSource
        {
            Name = name.ToLowerInvariant(),
            Dialect = dialect ?? HrDialects.All[0],
            Secrets = dialect is null ? [] : ReadSecrets(reader, dialect),
            DryRun = reader.Boolean("DryRun", false),
            Paused = reader.Boolean("Paused", false),
            ArrivesAbroad = arrivesAbroad,
            MaxBodyBytes = reader.Number("MaxBodyBytes", maxBodyBytes, 256, Inbox.MaxBodyBytes),
            AllowedNetworks = ReadNetworks(reader),
            // Microsoft Entra wants to provision by 25 requests a second.
            MaxPerMinute = reader.Number("MaxPerMinute", dialect is ScimDialect ? 3000 : DefaultMaxPerMinute, 1, 10_000_000),
            Tenants = ReadTenants(reader, knownTenants),
            EmailDomains = [.. reader.List("EmailDomains").Select(static domain => domain.TrimStart('@'))],
        };
    }

    /// <summary>
    /// Whether an event may come from this source. A source that is confined to mail domains cannot freeze anybody else: an event without
    /// an address could name anybody, so it is outside as well. Of whom the HR system must first be asked, the answer is judged.
    /// </summary>
    public bool Admits(PersonEvent person)
    {
        ArgumentNullException.ThrowIfNull(person);
        return person.Kind == PersonEventKind.Unresolved || IsWithin(EmailDomains, person.Email);
    }

    /// <summary>
    /// The events with what the source's settings confine them to, and a last one that has their people counted where the source's data
    /// have come abroad.
    /// </summary>
    public IReadOnlyList<PersonEvent> Confine(IReadOnlyList<PersonEvent> people)
    {
        ArgumentNullException.ThrowIfNull(people);
        var confined = people.Select(Confine);
        return ArrivesAbroad && people.Count is > 0 and < Inbox.MaxEvents
            ? [.. confined, people[0] with { Kind = PersonEventKind.Received, Lookup = null, Reason = null, Tenants = null, EffectiveAt = null, Immediate = false }]
            : [.. confined];
    }

    /// <summary>The event with what the source's settings confine it to, for those who act on it.</summary>
    public PersonEvent Confine(PersonEvent person)
    {
        ArgumentNullException.ThrowIfNull(person);
        return Tenants is null && EmailDomains.Count == 0 && !DryRun ? person : person with
        {
            Tenants = Tenants, EmailDomains = EmailDomains.Count == 0 ? null : EmailDomains, DryRun = DryRun || person.DryRun,
        };
    }

    /// <summary>Whether it may send from this address.</summary>
    public bool IsAllowedFrom(IPAddress? address)
    {
        if (AllowedNetworks.Count == 0)
        {
            return true;
        }

        var plain = address is { IsIPv4MappedToIPv6: true } ? address.MapToIPv4() : address;
        return plain is not null && AllowedNetworks.Any(network => network.Contains(plain));
    }

    /// <summary>The name only: the record holds secrets.</summary>
    public override string ToString() => $"HR source {Name}";

    /// <summary>Whether an address lies in one of the domains; without domains every one does, and none at all.</summary>
    internal static bool IsWithin(IReadOnlyList<string> domains, string? email)
    {
        if (domains.Count == 0)
        {
            return true;
        }

        var domain = email.AsSpan(email is null ? 0 : email.LastIndexOf('@') + 1);
        foreach (var allowed in domains)
        {
            if (domain.Equals(allowed, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    private static List<IPNetwork> ReadNetworks(SettingsReader reader)
    {
        var networks = new List<IPNetwork>();
        foreach (var text in reader.List("AllowedNetworks"))
        {
            if (IPNetwork.TryParse(text, out var network))
            {
                networks.Add(network);
            }
            else if (IPAddress.TryParse(text, out var address))
            {
                networks.Add(new IPNetwork(address, address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetwork ? 32 : 128));
            }
            else
            {
                reader.Fault("AllowedNetworks", "must hold networks such as 203.0.113.0/24, or single addresses");
            }
        }

        return networks;
    }

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
        if (!dialect.TakesSecrets)
        {
            if (keys.Count > 0)
            {
                reader.Fault("Secrets", $"must not be set: the dialect {dialect.Name} has credentials of its own");
            }

            return [];
        }

        if ((keys.Count == 0 && dialect.NeedsSecrets) || keys.Count > MaxSecrets)
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
