using DingFlow.Hosting;
using DingFlow.Settings;

namespace DingFlow.DingTalk;

/// <summary>One DingTalk organisation and the app through which we act in it (<c>DingTalk:Tenants:{tenant}</c>).</summary>
public sealed record DingTalkTenant
{
    /// <summary>The host of the new API in mainland China.</summary>
    public static Uri DefaultBaseUrl { get; } = new("https://api.dingtalk.com");

    /// <summary>The host of the legacy API in mainland China.</summary>
    public static Uri DefaultLegacyBaseUrl { get; } = new("https://oapi.dingtalk.com");

    /// <summary>The notice of the PRC Labour Contract Law, article 37.</summary>
    public static TimeSpan DefaultResignationNotice { get; } = TimeSpan.FromDays(30);

    private readonly string? _ownerKey;

    /// <summary>Our name of it: part of the callback's address and of every report.</summary>
    public required string Name { get; init; }

    /// <summary>The organisation's id, <c>ding…</c>.</summary>
    public required string CorpId { get; init; }

    /// <summary>The app's key (Client ID).</summary>
    public required string AppKey { get; init; }

    /// <summary>The app's secret (Client Secret).</summary>
    public required string AppSecret { get; init; }

    /// <summary>The callback's signing token; <see langword="null"/> when no callbacks are subscribed.</summary>
    public string? Token { get; init; }

    /// <summary>The callback's key, 43 letters and digits; <see langword="null"/> when no callbacks are subscribed.</summary>
    public string? AesKey { get; init; }

    /// <summary>The suffix that callbacks must carry; the app's key unless configured otherwise.</summary>
    public string OwnerKey { get => _ownerKey ?? AppKey; init => _ownerKey = value; }

    /// <summary>Where the new API is. The app's secret and its tokens go to this host and <see cref="LegacyBaseUrl"/> only.</summary>
    public Uri BaseUrl { get; init; } = DefaultBaseUrl;

    /// <summary>Where the legacy API is.</summary>
    public Uri LegacyBaseUrl { get; init; } = DefaultLegacyBaseUrl;

    /// <summary>Where the organisation's data lie, as declared by its administrators: DingTalk has no API that tells.</summary>
    public string? DataRegion { get; init; }

    /// <summary>Where the data of the organisation's people are collected when the settings do not say: the mainland.</summary>
    public const string DefaultDataOrigin = InstanceRegion.DefaultOrigin;

    /// <summary>Where the data of the organisation's people are collected.</summary>
    public string DataOrigin { get; init; } = DefaultDataOrigin;

    /// <summary>The organisation's data lie elsewhere than they are collected: being in its contact list is a transfer.</summary>
    public bool StoresAbroad => DataRegion is { } region && !region.Equals(DataOrigin, StringComparison.OrdinalIgnoreCase);

    /// <summary>DingFlow runs elsewhere than the data are collected (<c>DingFlow:Region</c>): reading the contact list is a transfer.</summary>
    public bool ArrivesAbroad { get; init; }

    /// <summary>The legal entity that this organisation belongs to, for the counting of transfers.</summary>
    public string? Exporter { get; init; }

    /// <summary>Calls per second to one API; DingTalk's standard edition allows 20 per app and API.</summary>
    public int MaxCallsPerSecond { get; init; } = 20;

    /// <summary>The zone in which DingTalk's days lie, such as a leaver's last working day.</summary>
    public TimeZoneInfo TimeZone { get; init; } = TimeZoneInfo.Utc;

    /// <summary>
    /// Assumed between an agreed resignation and the leave while nobody names the last day; nobody is frozen on that date alone. 30 days is
    /// the notice of the PRC Labour Contract Law, article 37.
    /// </summary>
    public TimeSpan ResignationNotice { get; init; } = DefaultResignationNotice;

    /// <summary>What a leave that DingTalk's HR recorded means where nobody can tell its day.</summary>
    public LeaveWithoutDay LeaveWithoutDay { get; init; }

    /// <summary>The name only: the record holds secrets.</summary>
    public override string ToString() => $"DingTalk tenant {Name}";
}

/// <summary>What a leave that DingTalk's HR recorded (<c>hrm_mdm_user_change</c>, 4) means where nobody can tell its day.</summary>
public enum LeaveWithoutDay
{
    /// <summary>It begins now.</summary>
    Freeze,

    /// <summary>A person is asked; nobody is frozen on it alone.</summary>
    NeedsHuman,
}

/// <summary>The DingTalk organisations that are configured.</summary>
public sealed class DingTalkOptions(IReadOnlyDictionary<string, DingTalkTenant> tenants)
{
    private const int AesKeyLength = 43;
    private const int TenantNameLength = 40;

    /// <summary>
    /// The secret under which employee numbers and addresses are hashed in the map of who is who (<c>Pseudonyms:LedgerKey</c>);
    /// <see langword="null"/> lets the map make its own and keep it beside the data.
    /// </summary>
    public ReadOnlyMemory<byte>? PseudonymKey { get; init; }

    /// <summary>By name, in any case.</summary>
    public IReadOnlyDictionary<string, DingTalkTenant> Tenants { get; } = tenants;

    /// <summary>Reads <c>DingTalk:Tenants</c>; what is wrong is added to the faults.</summary>
    public static DingTalkOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "DingTalk", faults);
        var tenants = new Dictionary<string, DingTalkTenant>(StringComparer.OrdinalIgnoreCase);
        foreach (var name in reader.Children("Tenants"))
        {
            var section = reader.Section($"Tenants:{name}");
            tenants[name] = ReadTenant(name, section, InstanceRegion.Receives(configuration, section.Text("DataOrigin") ?? DingTalkTenant.DefaultDataOrigin));
        }

        var key = LedgerKeySetting.Read(configuration, faults, required: false);
        return new(tenants) { PseudonymKey = key is null ? null : (ReadOnlyMemory<byte>?)key };
    }

    private static DingTalkTenant ReadTenant(string name, SettingsReader reader, bool arrivesAbroad)
    {
        if (name.Length > TenantNameLength || !name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            reader.Fault("CorpId", "the tenant's name must be at most 40 letters, digits, '-' or '_'");
        }

        var aesKey = reader.Text("AesKey");
        if (aesKey is not null && (aesKey.Length != AesKeyLength || !aesKey.All(char.IsAsciiLetterOrDigit)))
        {
            reader.Fault("AesKey", "must be the 43 letters and digits shown in the developer console");
        }

        var token = reader.Text("Token");
        if (reader.IsSet("Token") != reader.IsSet("AesKey"))
        {
            reader.Fault(reader.IsSet("AesKey") ? "Token" : "AesKey", "is missing: Token and AesKey belong together");
        }

        var (baseUrl, legacyBaseUrl) = (reader.Address("BaseUrl"), reader.Address("LegacyBaseUrl"));
        if (reader.IsSet("BaseUrl") != reader.IsSet("LegacyBaseUrl"))
        {
            // With only one of them set, the secret of one region would go to the host of another.
            reader.Fault(reader.IsSet("LegacyBaseUrl") ? "BaseUrl" : "LegacyBaseUrl", "is missing: set both BaseUrl and LegacyBaseUrl, or neither");
        }

        return new DingTalkTenant
        {
            Name = name,
            CorpId = reader.Required("CorpId"),
            AppKey = reader.Required("AppKey"),
            AppSecret = reader.Required("AppSecret"),
            Token = token,
            AesKey = aesKey,
            OwnerKey = reader.Text("OwnerKey")!,
            BaseUrl = baseUrl ?? DingTalkTenant.DefaultBaseUrl,
            LegacyBaseUrl = legacyBaseUrl ?? DingTalkTenant.DefaultLegacyBaseUrl,
            DataRegion = reader.Text("DataRegion"),
            DataOrigin = reader.Text("DataOrigin") ?? DingTalkTenant.DefaultDataOrigin,
            ArrivesAbroad = arrivesAbroad,
            Exporter = reader.Text("Exporter"),
            TimeZone = LocalDays.ReadZone(reader, "TimeZone", "Asia/Shanghai"),
            ResignationNotice = reader.Duration("ResignationNotice", DingTalkTenant.DefaultResignationNotice),
            LeaveWithoutDay = reader.Choice("LeaveWithoutDay", LeaveWithoutDay.Freeze),
            MaxCallsPerSecond = reader.Number("MaxCallsPerSecond", 20, 1, 1000),
        };
    }
}
