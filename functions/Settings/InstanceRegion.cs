namespace DingFlow.Settings;

/// <summary>
/// Where DingFlow itself runs (<c>DingFlow:Region</c>, an ISO 3166 code; <c>HK</c> and <c>MO</c> are places of their own). Data of people that
/// arrive in an instance abroad have been exported by that alone. Unset or <c>CN</c>, nothing follows from it.
/// </summary>
public static class InstanceRegion
{
    /// <summary>The setting.</summary>
    public const string Setting = "DingFlow:Region";

    /// <summary>Where people's data are collected when no setting says so: the mainland.</summary>
    public const string DefaultOrigin = "CN";

    private const string Mainland = "CN";

    /// <summary>The code in capital letters when it is set to a place outside the mainland; <see langword="null"/> otherwise.</summary>
    public static string? AbroadOf(IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var code = configuration[Setting]?.Trim().ToUpperInvariant();
        return string.IsNullOrEmpty(code) || code == Mainland ? null : code;
    }

    /// <summary>Whether data that are collected at a place leave it by arriving here.</summary>
    public static bool Receives(IConfiguration configuration, string origin) =>
        AbroadOf(configuration) is { } region && !region.Equals(origin, StringComparison.OrdinalIgnoreCase);
}
