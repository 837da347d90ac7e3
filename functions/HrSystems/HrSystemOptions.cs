using DingFlow.Hosting;
using DingFlow.Settings;

namespace DingFlow.HrSystems;

/// <summary>The HR systems that are asked about people.</summary>
internal enum HrSystemKind
{
    /// <summary>BambooHR.</summary>
    BambooHr,

    /// <summary>HiBob.</summary>
    HiBob,

    /// <summary>Personio.</summary>
    Personio,

    /// <summary>Gusto.</summary>
    Gusto,
}

/// <summary>How the HR systems are asked (<c>HrSources:{source}:Api</c>), for the sources whose dialect carries ids only.</summary>
internal sealed record HrSystemOptions(IReadOnlyDictionary<string, HrSystem> Systems)
{
    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static HrSystemOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var root = new SettingsReader(configuration, "", faults);
        var systems = new Dictionary<string, HrSystem>(StringComparer.Ordinal);
        foreach (var name in root.Children("HrSources"))
        {
            var reader = root.Section($"HrSources:{name}");
            HrSystemKind? kind = reader.Text("Dialect")?.ToUpperInvariant() switch
            {
                "BAMBOOHR" => HrSystemKind.BambooHr,
                "HIBOB" => HrSystemKind.HiBob,
                "PERSONIO" => HrSystemKind.Personio,
                "GUSTO" => HrSystemKind.Gusto,
                _ => null,
            };
            if (kind is not null)
            {
                var system = HrSystem.Read(name.ToLowerInvariant(), kind.Value, reader);
                systems[system.Source] = system;
            }
        }

        return new HrSystemOptions(systems);
    }
}

/// <summary>One HR system that is asked.</summary>
internal sealed record HrSystem
{
    /// <summary>The source that it belongs to: <c>hr/{source}</c>.</summary>
    public required string Source { get; init; }

    /// <summary>Whose it is.</summary>
    public required HrSystemKind Kind { get; init; }

    /// <summary>Its address.</summary>
    public required Uri BaseUrl { get; init; }

    /// <summary>BambooHR: the API key. Gusto: an access token, where something else keeps it fresh.</summary>
    public string? Key { get; init; }

    /// <summary>HiBob: the service user's id. Personio and Gusto: the client id.</summary>
    public string? ClientId { get; init; }

    /// <summary>HiBob: the service user's token. Personio and Gusto: the client secret.</summary>
    public string? ClientSecret { get; init; }

    /// <summary>Gusto: the refresh token that the authorisation gave; those that follow it are kept in the store.</summary>
    public string? RefreshToken { get; init; }

    /// <summary>Gusto: the date version of the API; <see langword="null"/> for the application's own.</summary>
    public string? Version { get; init; }

    /// <summary>Calls that may begin within a minute, by each instance.</summary>
    public required int CallsPerMinute { get; init; }

    /// <summary>When a last day counts.</summary>
    public required LocalDays Days { get; init; }

    /// <summary>The time zones of sites whose days lie elsewhere, by the site's name (HiBob).</summary>
    public required IReadOnlyDictionary<string, TimeZoneInfo> SiteZones { get; init; }

    /// <summary>People on leave are frozen like leavers.</summary>
    public bool FreezeOnLeave { get; init; }

    /// <summary>The HR system's own id is the employee number that other systems know.</summary>
    public bool IdIsEmployeeNumber { get; init; }

    /// <summary>The name only: the record holds secrets.</summary>
    public override string ToString() => $"HR system of {Source}";

    internal static HrSystem Read(string name, HrSystemKind kind, SettingsReader reader)
    {
        var api = reader.Section("Api");
        var (address, calls, zone, offset) = kind switch
        {
            HrSystemKind.BambooHr => (null, 100, "UTC", TimeSpan.Zero),
            HrSystemKind.HiBob => ("https://api.hibob.com", 45, "UTC", TimeSpan.Zero),
            HrSystemKind.Personio => ("https://api.personio.de", 250, "Europe/Berlin", TimeSpan.FromDays(1)),
            _ => ("https://api.gusto.com", 180, "America/Los_Angeles", TimeSpan.FromDays(1)),
        };
        var faultsBefore = api.Text("BaseUrl");
        var baseUrl = api.Address("BaseUrl");
        if (faultsBefore is null && address is null)
        {
            api.Fault("BaseUrl", "is missing: https://{company}.bamboohr.com");
        }

        var key = api.Text("Key");
        var needsClient = kind is HrSystemKind.HiBob or HrSystemKind.Personio || (kind == HrSystemKind.Gusto && key is null);
        if (kind == HrSystemKind.BambooHr && key is null)
        {
            api.Fault("Key", "is missing");
        }

        var zones = new Dictionary<string, TimeZoneInfo>(StringComparer.OrdinalIgnoreCase);
        foreach (var site in reader.Children("SiteTimeZones"))
        {
            zones[site] = LocalDays.ReadZone(reader.Section("SiteTimeZones"), site);
        }

        return new HrSystem
        {
            Source = $"hr/{name}",
            Kind = kind,
            BaseUrl = baseUrl ?? new Uri(address ?? "https://unset.invalid"),
            Key = key,
            ClientId = needsClient ? api.Required("ClientId") : api.Text("ClientId"),
            ClientSecret = needsClient ? api.Required("ClientSecret") : api.Text("ClientSecret"),
            RefreshToken = needsClient && kind == HrSystemKind.Gusto ? api.Required("RefreshToken") : api.Text("RefreshToken"),
            Version = api.Text("Version"),
            CallsPerMinute = api.Number("CallsPerMinute", calls, 1, 10_000),
            Days = LocalDays.Read(reader, zone, offset),
            SiteZones = zones,
            FreezeOnLeave = reader.Boolean("FreezeOnLeave", false),
            IdIsEmployeeNumber = api.Boolean("IdIsEmployeeNumber", false),
        };
    }
}
