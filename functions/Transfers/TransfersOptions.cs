using System.Collections.Frozen;
using System.Globalization;
using DingFlow.Settings;

namespace DingFlow.Transfers;

/// <summary>How a person with sensitive and other information exported is counted (<c>Transfers:Overlap</c>); unsettled in law.</summary>
public enum CountingOverlap
{
    /// <summary>In both populations: errs towards the duty. The default.</summary>
    Inclusive,

    /// <summary>In the sensitive population only.</summary>
    Exclusive,
}

/// <summary>A legal entity that sends personal information abroad (<c>Exporters:{id}</c>).</summary>
public sealed record Exporter
{
    /// <summary>Our id of it, lower case: 1 to 64 of <c>a-z 0-9 . _ -</c>.</summary>
    public required string Id { get; init; }

    /// <summary>The legal name.</summary>
    public string? Name { get; init; }

    /// <summary>The unified social credit code, 18 characters.</summary>
    public string? CreditCode { get; init; }

    /// <summary>An operator of critical information infrastructure.</summary>
    public bool Ciio { get; init; }

    /// <summary>Registered in a pilot free trade zone.</summary>
    public bool FreeTradeZone { get; init; }

    /// <summary>Exports data that an authority has notified or published as important.</summary>
    public bool ImportantData { get; init; }

    /// <summary>Persons whose information it processes in all, as it reports them; <see langword="null"/> when not reported.</summary>
    public long? ProcessedPersons { get; init; }

    /// <summary>Persons whose face data it stores, as it reports them; <see langword="null"/> when not reported.</summary>
    public long? StoredFaces { get; init; }

    /// <summary>The city where it is registered, in lower case, for Greater Bay Area contracts.</summary>
    public string? City { get; init; }

    /// <summary>The DingTalk organisation whose user ids its records carry, unless they name another.</summary>
    public string? CorpId { get; init; }

    /// <summary>Documents on which exemptions rely, by exemption and kind: <c>Exporters:{id}:Evidence:hr:labourRules</c>.</summary>
    public IReadOnlyDictionary<(ExemptionKind Exemption, string Kind), string> Evidence { get; init; } =
        FrozenDictionary<(ExemptionKind, string), string>.Empty;
}

/// <summary>Whoever receives personal information (<c>Recipients:{id}</c>).</summary>
public sealed record Recipient
{
    /// <summary>Our id of it, lower case: 1 to 64 of <c>a-z 0-9 . _ -</c>.</summary>
    public required string Id { get; init; }

    /// <summary>The legal name.</summary>
    public string? Name { get; init; }

    /// <summary>Where it is; <see langword="null"/> when the settings do not say.</summary>
    public Country? Country { get; init; }

    /// <summary>The city where it is registered, in lower case, for Greater Bay Area contracts.</summary>
    public string? City { get; init; }

    /// <summary>Where it stores the data or passes them on: country codes and cities of the Greater Bay Area, in lower case.</summary>
    public IReadOnlyList<string> Onward { get; init; } = [];
}

/// <summary>The settings of the counting of transfers.</summary>
public sealed record TransfersOptions
{
    private const int IdLength = 64;
    private const int CreditCodeLength = 18;

    /// <summary><c>Transfers:Profile</c>.</summary>
    public ClassificationProfile Profile { get; init; } = ClassificationProfile.Conservative;

    /// <summary><c>Transfers:Overlap</c>.</summary>
    public CountingOverlap Overlap { get; init; } = CountingOverlap.Inclusive;

    /// <summary><c>Transfers:RuleSets</c>: rule sets that are evaluated; those in force decide, others inform.</summary>
    public IReadOnlyList<string> RuleSets { get; init; } = [DefaultRuleSet];

    /// <summary><c>Transfers:CountExempt</c>: exempt transfers count too, for every rule that the next setting does not name.</summary>
    public bool? CountExempt { get; init; }

    /// <summary><c>Transfers:Rules:{rule}:CountExempt</c>: the same for one rule.</summary>
    public IReadOnlyDictionary<string, bool> CountExemptByRule { get; init; } = FrozenDictionary<string, bool>.Empty;

    /// <summary><c>Transfers:CountStatutoryDuty</c>: see <see cref="CountingChoices"/>.</summary>
    public bool CountStatutoryDuty { get; init; } = true;

    /// <summary><c>Transfers:CountGbaContract</c>: see <see cref="CountingChoices"/>.</summary>
    public bool CountGbaContract { get; init; }

    /// <summary><c>Transfers:Shards</c>: partitions per exporter, frozen at the first write.</summary>
    public int Shards { get; init; } = 64;

    /// <summary><c>Transfers:RetentionYears</c>: full calendar years before the present one for which records are taken and kept.</summary>
    public int RetentionYears { get; init; } = 3;

    /// <summary><c>Transfers:MaxRecordBytes</c>: a longer record is refused without being held.</summary>
    public int MaxRecordBytes { get; init; } = 64 * 1024;

    /// <summary><c>Transfers:MaxBodyBytes</c>: bytes of a request as sent; under the Functions host at most 100 MB, which is the host's own limit.</summary>
    public long MaxBodyBytes { get; init; } = 1024 * 1024 * 1024;

    /// <summary><c>Transfers:MaxExpandedBytes</c>: bytes of a compressed request after expansion.</summary>
    public long MaxExpandedBytes { get; init; } = int.MaxValue;

    /// <summary><c>Transfers:MaxBatchRecords</c>: records that one request may bring; each costs some 40 bytes of memory while it is read.</summary>
    public int MaxBatchRecords { get; init; } = 2_000_000;

    /// <summary><c>Transfers:BatchTime</c>: after this time a batch is answered with how far it got; Azure cuts an answer off after 230 s.</summary>
    public TimeSpan BatchTime { get; init; } = TimeSpan.FromSeconds(200);

    /// <summary><c>Transfers:FieldMap:{name}</c>: what the company's own fields hold (<see cref="FieldClassifier.Load"/>).</summary>
    public IReadOnlyDictionary<string, string> FieldMap { get; init; } = FrozenDictionary<string, string>.Empty;

    /// <summary>By id, in any case.</summary>
    public IReadOnlyDictionary<string, Exporter> Exporters { get; init; } = FrozenDictionary<string, Exporter>.Empty;

    /// <summary>By id, in any case.</summary>
    public IReadOnlyDictionary<string, Recipient> Recipients { get; init; } = FrozenDictionary<string, Recipient>.Empty;

    /// <summary>The rule set of the law in force.</summary>
    public const string DefaultRuleSet = "cn-2024";

    /// <summary>The corp id of the simulated DingTalk organisation.</summary>
    public const string SandboxCorpId = "dingsandbox000000000000000000000001";

    /// <summary>The choices that bear on what the counters mean.</summary>
    public CountingChoices ChoicesFor(FieldClassifier classifier) => new(classifier.SensitiveClasses, CountStatutoryDuty, CountGbaContract);

    /// <summary>
    /// Reads <c>Transfers</c>, <c>Exporters</c> and <c>Recipients</c>; what is wrong is added to the faults. Standalone and without a
    /// DingTalk organisation, <c>acme-zhuhai</c> and <c>acme-sg</c> are registered.
    /// </summary>
    public static TransfersOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Transfers", faults);
        var root = new SettingsReader(configuration, "", faults);
        var corpIds = CorpIdsByExporter(root);
        var exporters = new Dictionary<string, Exporter>(StringComparer.OrdinalIgnoreCase);
        foreach (var id in root.Children("Exporters"))
        {
            exporters[id] = ReadExporter(id, root.Section($"Exporters:{id}"), corpIds);
        }

        var recipients = new Dictionary<string, Recipient>(StringComparer.OrdinalIgnoreCase);
        foreach (var id in root.Children("Recipients"))
        {
            recipients[id] = ReadRecipient(id, root.Section($"Recipients:{id}"));
        }

        if (IsRehearsal(configuration, root))
        {
            exporters.TryAdd("acme-zhuhai", new() { Id = "acme-zhuhai", Name = "Acme (Zhuhai)", City = "zhuhai", CorpId = SandboxCorpId });
            exporters.TryAdd("acme-sg", new() { Id = "acme-sg", Name = "Acme (Singapore)", CorpId = SandboxCorpId });
            recipients.TryAdd("acme-zhuhai", new() { Id = "acme-zhuhai", Name = "Acme (Zhuhai)", Country = Country.Parse("CN"), City = "zhuhai" });
            recipients.TryAdd("acme-sg", new() { Id = "acme-sg", Name = "Acme (Singapore)", Country = Country.Parse("SG") });
        }

        var ruleSets = reader.List("RuleSets");
        var fieldMap = reader.Children("FieldMap").ToFrozenDictionary(
            name => name, name => reader.Required($"FieldMap:{name}"), StringComparer.OrdinalIgnoreCase);
        var options = new TransfersOptions
        {
            Profile = reader.Choice("Profile", ClassificationProfile.Conservative),
            Overlap = reader.Choice("Overlap", CountingOverlap.Inclusive),
            RuleSets = ruleSets.Count > 0 ? ruleSets : [DefaultRuleSet],
            CountExempt = OptionalBoolean(reader, "CountExempt"),
            CountExemptByRule = CountExemptByRuleOf(reader),
            CountStatutoryDuty = reader.Boolean("CountStatutoryDuty", true),
            CountGbaContract = reader.Boolean("CountGbaContract", false),
            Shards = reader.Number("Shards", 64, 1, 4096),
            RetentionYears = reader.Number("RetentionYears", 3, 3, 30),
            MaxRecordBytes = reader.Number("MaxRecordBytes", 64 * 1024, 1024, 1024 * 1024),
            MaxBodyBytes = reader.Number("MaxBodyBytes", 1024 * 1024 * 1024, 1024, int.MaxValue),
            MaxExpandedBytes = reader.Number("MaxExpandedBytes", int.MaxValue, 1024, int.MaxValue),
            MaxBatchRecords = reader.Number("MaxBatchRecords", 2_000_000, 1, 20_000_000),
            BatchTime = reader.Duration("BatchTime", TimeSpan.FromSeconds(200)),
            FieldMap = fieldMap,
            Exporters = exporters.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase),
            Recipients = recipients.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase),
        };
        return options;
    }

    /// <summary>The id of an exporter or a recipient, as settings and counters can carry it: 1 to 64 of letters, digits, <c>. _ -</c>.</summary>
    public static bool IsId(ReadOnlySpan<char> id)
    {
        if (id.Length is 0 or > IdLength)
        {
            return false;
        }

        foreach (var character in id)
        {
            if (!char.IsAsciiLetterOrDigit(character) && character is not ('.' or '_' or '-'))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Standalone, without any organisation but the sandbox's.</summary>
    internal static bool IsRehearsal(IConfiguration configuration, SettingsReader root) =>
        HostingOptions.ModeOf(configuration) == HostMode.Standalone
        && root.Children("DingTalk:Tenants").All(name => root.Text($"DingTalk:Tenants:{name}:CorpId") == SandboxCorpId);

    private static Dictionary<string, List<string>> CorpIdsByExporter(SettingsReader root)
    {
        var corpIds = new Dictionary<string, List<string>>(StringComparer.OrdinalIgnoreCase);
        foreach (var tenant in root.Children("DingTalk:Tenants").Select(name => root.Section($"DingTalk:Tenants:{name}")))
        {
            if (tenant.Text("Exporter") is { } exporter && tenant.Text("CorpId") is { } corpId)
            {
                (corpIds.TryGetValue(exporter, out var list) ? list : corpIds[exporter] = []).Add(corpId);
            }
        }

        return corpIds;
    }

    private static Exporter ReadExporter(string id, SettingsReader reader, Dictionary<string, List<string>> corpIds)
    {
        CheckId(id, reader);
        var creditCode = reader.Text("CreditCode");
        if (creditCode is not null && (creditCode.Length != CreditCodeLength || !creditCode.All(char.IsAsciiLetterOrDigit)))
        {
            reader.Fault("CreditCode", "must be the 18 letters and digits of the unified social credit code");
        }

        var evidence = new Dictionary<(ExemptionKind, string), string>();
        foreach (var word in reader.Children("Evidence"))
        {
            if (!Vocabulary.TryExemption(word, out var exemption) || exemption == ExemptionKind.None)
            {
                reader.Fault($"Evidence:{word}", "is no exemption");
                continue;
            }

            foreach (var kind in reader.Children($"Evidence:{word}"))
            {
                if (!ExemptionPolicy.Default.Asks(exemption, kind))
                {
                    reader.Fault($"Evidence:{word}:{kind}", "is no evidence that this exemption asks for");
                }

                // Settings know no case, so neither do kinds of evidence.
                evidence[(exemption, kind.ToUpperInvariant())] = reader.Text($"Evidence:{word}:{kind}") ?? "";
            }
        }

        return new()
        {
            Id = id.ToLowerInvariant(),
            Name = reader.Text("Name"),
            CreditCode = creditCode,
            Ciio = reader.Boolean("Ciio", false),
            FreeTradeZone = reader.Boolean("FreeTradeZone", false),
            ImportantData = reader.Boolean("ImportantData", false),
            ProcessedPersons = Persons(reader, "ProcessedPersons"),
            StoredFaces = Persons(reader, "StoredFaces"),
            City = reader.Text("City")?.ToLowerInvariant(),
            CorpId = reader.Text("CorpId") ?? (corpIds.TryGetValue(id, out var ids) && ids.Count == 1 ? ids[0] : null),
            Evidence = evidence.ToFrozenDictionary(),
        };
    }

    private static Recipient ReadRecipient(string id, SettingsReader reader)
    {
        CheckId(id, reader);
        Country? country = null;
        if (reader.Text("Country") is { } code)
        {
            if (Country.TryParse(code, out var parsed))
            {
                country = parsed;
            }
            else
            {
                reader.Fault("Country", "must be an ISO 3166 code of two letters, such as SG");
            }
        }

        return new()
        {
            Id = id.ToLowerInvariant(),
            Name = reader.Text("Name"),
            Country = country,
            City = reader.Text("City")?.ToLowerInvariant(),
            Onward = [.. reader.List("Onward").Select(place => place.ToLowerInvariant())],
        };
    }

    private static void CheckId(string id, SettingsReader reader)
    {
        if (!IsId(id))
        {
            reader.Fault("Name", "the id must be at most 64 letters, digits, '.', '_' or '-'");
        }
    }

    private static long? Persons(SettingsReader reader, string name)
    {
        if (reader.Text(name) is not { } text)
        {
            return null;
        }

        if (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var persons))
        {
            return persons;
        }

        reader.Fault(name, "must be a whole number of persons");
        return null;
    }

    private static bool? OptionalBoolean(SettingsReader reader, string name) => reader.Text(name) is null ? null : reader.Boolean(name, false);

    private static FrozenDictionary<string, bool> CountExemptByRuleOf(SettingsReader reader)
    {
        var byRule = new Dictionary<string, bool>(StringComparer.OrdinalIgnoreCase);
        foreach (var rule in reader.Children("Rules"))
        {
            if (OptionalBoolean(reader, $"Rules:{rule}:CountExempt") is { } countExempt)
            {
                byRule[rule] = countExempt;
            }
        }

        return byRule.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
    }
}
