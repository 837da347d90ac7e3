using System.Collections.Frozen;
using DingFlow.DingTalk;
using DingFlow.Settings;

namespace DingFlow.Transfers;

/// <summary>
/// What is known of the standing transfer that a DingTalk organisation abroad is: whoever is in its contact list can be reached from
/// there (<c>DingTalk:Tenants:{tenant}:Contacts</c>).
/// </summary>
public sealed record ContactFeed
{
    /// <summary>The tenant's name.</summary>
    public required string Tenant { get; init; }

    /// <summary>The organisation's id: the scope of its user ids.</summary>
    public required string CorpId { get; init; }

    /// <summary>The legal entity that exports (<c>DingTalk:Tenants:{tenant}:Exporter</c>).</summary>
    public required Exporter Exporter { get; init; }

    /// <summary>Where the data are collected (<c>DataOrigin</c>).</summary>
    public required Country Origin { get; init; }

    /// <summary>Where they lie (<c>DataRegion</c>).</summary>
    public required Country Destination { get; init; }

    /// <summary><c>Contacts:Recipient</c>; by default <c>dingtalk-</c> and the region.</summary>
    public required string Recipient { get; init; }

    /// <summary><c>Contacts:Fields</c>: what the contact list shows of a person.</summary>
    public required IReadOnlyList<string> Fields { get; init; }

    /// <summary><c>Contacts:Purpose</c>.</summary>
    public required string Purpose { get; init; }

    /// <summary><c>Contacts:LegalBasis</c>.</summary>
    public required string LegalBasis { get; init; }

    /// <summary><c>Contacts:Exemption</c>; its evidence is that of the exporter's settings.</summary>
    public string? Exemption { get; init; }

    /// <summary><c>Contacts:Mechanism</c>.</summary>
    public string? Mechanism { get; init; }
}

/// <summary>The tenants whose contact lists are counted, by name in any case.</summary>
public sealed record ContactFeedOptions(IReadOnlyDictionary<string, ContactFeed> Tenants)
{
    /// <summary>What DingTalk's contact list shows of everybody (<c>topapi/v2/user/get</c>), where the settings do not say otherwise.</summary>
    public static IReadOnlyList<string> DefaultFields { get; } = ["userId", "unionId", "name", "avatar", "mobile", "orgEmail", "jobNumber", "department", "title"];

    /// <summary>Reads the tenants whose data lie elsewhere than they come from. Such a tenant without a registered exporter is a fault.</summary>
    public static ContactFeedOptions Read(IConfiguration configuration, TransfersOptions options, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(options);
        var feeds = new Dictionary<string, ContactFeed>(StringComparer.OrdinalIgnoreCase);
        var root = new SettingsReader(configuration, "DingTalk", faults);
        foreach (var name in root.Children("Tenants"))
        {
            var reader = root.Section($"Tenants:{name}");
            if (CountryOf(reader, "DataRegion", null) is { } destination && CountryOf(reader, "DataOrigin", DingTalkTenant.DefaultDataOrigin) is { } origin
                && destination != origin && ExporterOf(reader, options) is { } exporter)
            {
                feeds[name] = Feed(name, reader, exporter, origin, destination);
            }
        }

        return new(feeds.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase));
    }

    private static ContactFeed Feed(string name, SettingsReader reader, Exporter exporter, Country origin, Country destination)
    {
        var contacts = reader.Section("Contacts");
        var recipient = contacts.Text("Recipient") ?? $"dingtalk-{destination.ToString().ToLowerInvariant()}";
        if (!TransfersOptions.IsId(recipient))
        {
            contacts.Fault("Recipient", "must be 1 to 64 letters, digits, '.', '_' or '-'");
        }

        var exemption = contacts.Text("Exemption");
        if (exemption is not null && !ExemptionPolicy.Default.TryParse(exemption, out _))
        {
            contacts.Fault("Exemption", "is no exemption");
        }

        var fields = contacts.List("Fields");
        return new()
        {
            Tenant = name,
            CorpId = reader.Text("CorpId") ?? "",
            Exporter = exporter,
            Origin = origin,
            Destination = destination,
            Recipient = recipient,
            Fields = fields.Count > 0 ? fields : DefaultFields,
            Purpose = contacts.Text("Purpose") ?? "contact list",
            LegalBasis = contacts.Text("LegalBasis") ?? "employment",
            Exemption = exemption,
            Mechanism = contacts.Text("Mechanism"),
        };
    }

    private static Country? CountryOf(SettingsReader reader, string name, string? defaultCode)
    {
        if ((reader.Text(name) ?? defaultCode) is not { } code)
        {
            return null;
        }

        if (Country.TryParse(code, out var country))
        {
            return country;
        }

        reader.Fault(name, "must be an ISO 3166 code of two letters, such as SG");
        return null;
    }

    private static Exporter? ExporterOf(SettingsReader reader, TransfersOptions options)
    {
        if (reader.Text("Exporter") is not { } id)
        {
            reader.Fault("Exporter", "is missing: the tenant's data lie abroad, so its people count for a legal entity (Exporters:{id})");
            return null;
        }

        if (options.Exporters.TryGetValue(id, out var exporter))
        {
            return exporter;
        }

        reader.Fault("Exporter", "is not registered (Exporters:{id})");
        return null;
    }
}
