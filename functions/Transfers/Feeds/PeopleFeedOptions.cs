using System.Collections.Frozen;
using DingFlow.DingTalk;
using DingFlow.Settings;

namespace DingFlow.Transfers;

/// <summary>Within what the job numbers of a contact list are one person's.</summary>
public enum JobNumberScope
{
    /// <summary>The exporter: they are the employee ids of its HR system, and one number is one person in all of its organisations.</summary>
    Exporter,

    /// <summary>The organisation alone: two organisations of one exporter may give one number to two people, so that it names nobody.</summary>
    Tenant,
}

/// <summary>
/// A standing transfer of which DingFlow itself knows the people: the contact list of a DingTalk organisation whose data lie abroad, or
/// what a tenant or an HR source sends to a DingFlow that runs abroad.
/// </summary>
public sealed record PeopleFeed
{
    /// <summary>From where DingFlow knows the people: <c>dingtalk/{tenant}</c> or <c>hr/{source}</c>.</summary>
    public required string Source { get; init; }

    /// <summary>The organisation whose user ids its people bear: the tenant's, or that of the exporter; empty when there is none.</summary>
    public required string CorpId { get; init; }

    /// <summary>The legal entity that exports (<c>Exporter</c> of the tenant or the source).</summary>
    public required Exporter Exporter { get; init; }

    /// <summary>Where the data are collected (<c>DataOrigin</c>).</summary>
    public required Country Origin { get; init; }

    /// <summary>Where they arrive: the tenant's <c>DataRegion</c>, or <c>DingFlow:Region</c>.</summary>
    public required Country Destination { get; init; }

    /// <summary>Who receives them.</summary>
    public required string Recipient { get; init; }

    /// <summary>What is transferred of a person.</summary>
    public required IReadOnlyList<string> Fields { get; init; }

    /// <summary>What for.</summary>
    public required string Purpose { get; init; }

    /// <summary>On what ground.</summary>
    public required string LegalBasis { get; init; }

    /// <summary>Which exemption is claimed; its evidence is that of the exporter's settings.</summary>
    public string? Exemption { get; init; }

    /// <summary>Assessment, contract or certificate and its number.</summary>
    public string? Mechanism { get; init; }

    /// <summary>How: <c>remoteAccess</c> for a list that can be reached from abroad, <c>sync</c> for what arrives here.</summary>
    public required string Method { get; init; }

    /// <summary>Out of which system: <c>dingtalk</c>, or the source.</summary>
    public required string System { get; init; }

    /// <summary>Within what its job numbers are one person's (<c>Contacts:JobNumbers</c>).</summary>
    public JobNumberScope JobNumbers { get; init; }

    /// <summary>Its people are those of an HR source, not of a contact list.</summary>
    internal bool IsHrSource => Source.StartsWith(PeopleFeedOptions.HrPrefix, StringComparison.Ordinal);
}

/// <summary>The feeds, from the settings.</summary>
/// <param name="Region">Where DingFlow runs, when that is abroad (<c>DingFlow:Region</c>); <see langword="null"/> otherwise.</param>
/// <param name="Tenants">By the tenant's name in any case; a tenant may have two, one for DingTalk's place and one for DingFlow's.</param>
/// <param name="HrSources">By the source's name in any case.</param>
public sealed record PeopleFeedOptions(
    Country? Region, IReadOnlyDictionary<string, IReadOnlyList<PeopleFeed>> Tenants, IReadOnlyDictionary<string, PeopleFeed> HrSources)
{
    /// <summary>What DingTalk's contact list shows of everybody (<c>topapi/v2/user/get</c>), where the settings do not say otherwise.</summary>
    public static IReadOnlyList<string> ContactFields { get; } = ["userId", "unionId", "name", "avatar", "mobile", "orgEmail", "jobNumber", "department", "title"];

    /// <summary>What an HR source tells of a person, where the settings do not say otherwise.</summary>
    public static IReadOnlyList<string> HrFields { get; } = ["employeeId", "workEmail", "dingTalkUserId", "lastWorkingDay", "employmentStatus"];

    /// <summary>Every feed.</summary>
    public IEnumerable<PeopleFeed> All => Tenants.Values.SelectMany(static feeds => feeds).Concat(HrSources.Values);

    /// <summary>Those that exist since DingFlow itself runs abroad: they are declared in every report.</summary>
    /// <param name="exporter">Whose.</param>
    public IEnumerable<PeopleFeed> ReceivedHere(string exporter) => All.Where(feed =>
        feed.Method == ReceivedMethod && feed.Exporter.Id.Equals(exporter, StringComparison.OrdinalIgnoreCase)).OrderBy(static feed => feed.Source, StringComparer.Ordinal);

    /// <summary>The feed of an HR source (<c>hr/{source}</c>); <see langword="null"/> when its people are not counted.</summary>
    public PeopleFeed? OfHrSource(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return source.StartsWith(HrPrefix, StringComparison.Ordinal) ? HrSources.GetValueOrDefault(source[HrPrefix.Length..]) : null;
    }

    /// <summary>The tenant of a feed's source (<c>dingtalk/{tenant}</c>); <see langword="null"/> when its people are not counted.</summary>
    public string? TenantOf(string source)
    {
        ArgumentNullException.ThrowIfNull(source);
        return source.StartsWith(TenantPrefix, StringComparison.Ordinal) && Tenants.ContainsKey(source[TenantPrefix.Length..]) ? source[TenantPrefix.Length..] : null;
    }

    private const string TenantPrefix = "dingtalk/";
    internal const string HrPrefix = "hr/";
    private const string ReceivedMethod = "sync";
    private const string OperatorSetting = "DingFlow:Operator";

    /// <summary>The source of the imaginary people with which a first start is tried.</summary>
    private const string RehearsalSource = "sandbox";

    /// <summary>
    /// Reads the tenants and HR sources whose people's data arrive elsewhere than they come from. One without a registered exporter is a
    /// fault: nobody could be counted.
    /// </summary>
    public static PeopleFeedOptions Read(IConfiguration configuration, TransfersOptions options, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(options);
        var root = new SettingsReader(configuration, "", faults);
        var region = RegionOf(configuration, root);
        var recipient = OperatorOf(root, region);
        var tenants = new Dictionary<string, IReadOnlyList<PeopleFeed>>(StringComparer.OrdinalIgnoreCase);
        foreach (var name in root.Children("DingTalk:Tenants"))
        {
            var reader = root.Section($"DingTalk:Tenants:{name}");
            if (CountryOf(reader, "DataOrigin", DingTalkTenant.DefaultDataOrigin) is not { } origin)
            {
                continue;
            }

            var dataRegion = CountryOf(reader, "DataRegion", null);
            var (stored, received) = (dataRegion is { } place && place != origin, region is { } here && here != origin && !IsImaginary(reader));
            if ((stored || received) && ExporterOf(reader, options, stored ? "the tenant's data lie abroad" : "DingFlow runs abroad (DingFlow:Region)") is { } exporter)
            {
                var contacts = Feed($"dingtalk/{name}", reader, "Contacts", exporter, origin, ContactFields, "contact list") with
                {
                    CorpId = reader.Text("CorpId") ?? "", System = "dingtalk", JobNumbers = JobNumbersOf(root, name, exporter),
                };
                List<PeopleFeed> feeds = [];
                if (stored)
                {
                    feeds.Add(contacts with
                    {
                        Destination = dataRegion!.Value, Method = "remoteAccess",
                        Recipient = RecipientOf(reader.Section("Contacts"), $"dingtalk-{dataRegion.Value.ToString().ToLowerInvariant()}"),
                    });
                }

                if (received)
                {
                    feeds.Add(contacts with { Destination = region!.Value, Method = ReceivedMethod, Recipient = recipient });
                }

                tenants[name] = feeds;
            }
        }

        var sources = new Dictionary<string, PeopleFeed>(StringComparer.OrdinalIgnoreCase);
        foreach (var name in root.Children("HrSources"))
        {
            var reader = root.Section($"HrSources:{name}");
            if (CountryOf(reader, "DataOrigin", InstanceRegion.DefaultOrigin) is { } origin && region is { } here && here != origin
                && (reader.IsSet("Exporter") || name != RehearsalSource || !TransfersOptions.IsRehearsal(configuration, root))
                && ExporterOf(reader, options, "DingFlow runs abroad (DingFlow:Region)") is { } exporter)
            {
                sources[name] = Feed($"hr/{name.ToLowerInvariant()}", reader, "People", exporter, origin, HrFields, "offboarding") with
                {
                    CorpId = exporter.CorpId ?? "", Destination = here, Method = ReceivedMethod, Recipient = recipient,
                };
            }
        }

        return new(region, tenants.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase), sources.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase));
    }

    /// <summary>
    /// Unless the settings say it, the numbers of an exporter with one organisation are its own, and those of several organisations are
    /// not trusted to be: taking two people for one would count one too few.
    /// </summary>
    private static JobNumberScope JobNumbersOf(SettingsReader root, string tenant, Exporter exporter)
    {
        var alone = root.Children("DingTalk:Tenants").Count(name =>
            exporter.Id.Equals(root.Text($"DingTalk:Tenants:{name}:Exporter"), StringComparison.OrdinalIgnoreCase)) == 1;
        return root.Choice($"DingTalk:Tenants:{tenant}:Contacts:JobNumbers", alone ? JobNumberScope.Exporter : JobNumberScope.Tenant);
    }

    /// <summary>The sandbox's people are nobody's, unless a rehearsal gives them an exporter.</summary>
    private static bool IsImaginary(SettingsReader tenant) => tenant.Text("CorpId") == TransfersOptions.SandboxCorpId && !tenant.IsSet("Exporter");

    private static Country? RegionOf(IConfiguration configuration, SettingsReader root) =>
        CountryOf(root, InstanceRegion.Setting, null) is { } region && InstanceRegion.AbroadOf(configuration) is not null ? region : null;

    private static string OperatorOf(SettingsReader root, Country? region) =>
        RecipientOf(root, $"dingflow-{region?.ToString().ToLowerInvariant()}", OperatorSetting);

    private static string RecipientOf(SettingsReader reader, string usual, string name = "Recipient")
    {
        var recipient = reader.Text(name) ?? usual;
        if (!TransfersOptions.IsId(recipient))
        {
            reader.Fault(name, "must be 1 to 64 letters, digits, '.', '_' or '-'");
        }

        return recipient;
    }

    /// <summary>What the settings say of a feed; where it goes is still to be said.</summary>
    private static PeopleFeed Feed(string source, SettingsReader reader, string section, Exporter exporter, Country origin, IReadOnlyList<string> usualFields, string purpose)
    {
        var people = reader.Section(section);
        var exemption = people.Text("Exemption");
        if (exemption is not null && !ExemptionPolicy.Default.TryParse(exemption, out _))
        {
            people.Fault("Exemption", "is no exemption");
        }

        var fields = people.List("Fields");
        return new()
        {
            Source = source,
            CorpId = "",
            Exporter = exporter,
            Origin = origin,
            Destination = origin,
            Recipient = "",
            Fields = fields.Count > 0 ? fields : usualFields,
            Purpose = people.Text("Purpose") ?? purpose,
            LegalBasis = people.Text("LegalBasis") ?? "employment",
            Exemption = exemption,
            Mechanism = people.Text("Mechanism"),
            Method = ReceivedMethod,
            System = source,
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

    private static Exporter? ExporterOf(SettingsReader reader, TransfersOptions options, string why)
    {
        if (reader.Text("Exporter") is not { } id)
        {
            reader.Fault("Exporter", $"is missing: {why}, so its people count for a legal entity (Exporters:{{id}})");
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
