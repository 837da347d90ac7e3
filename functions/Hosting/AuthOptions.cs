using DingFlow.Settings;

namespace DingFlow.Hosting;

/// <summary>A machine's key.</summary>
/// <param name="Name">Its name in the settings.</param>
/// <param name="Hash">SHA-256 of the key.</param>
/// <param name="Roles">What it may do.</param>
/// <param name="Exporters">The exporters it is confined to, in lower case; none means all.</param>
/// <param name="Sources">The HR sources it is confined to, in lower case; none means all.</param>
public sealed record ApiKey(
    string Name, ReadOnlyMemory<byte> Hash, IReadOnlySet<string> Roles, IReadOnlySet<string> Exporters, IReadOnlySet<string> Sources);

/// <summary>Where access tokens of Microsoft Entra come from and whom they must be for.</summary>
/// <param name="Authority">The tenant's issuer address, such as <c>https://login.microsoftonline.com/{tenant}/v2.0</c>.</param>
/// <param name="Audiences">Accepted audiences: the application's id or its URI.</param>
public sealed record EntraTokenOptions(Uri Authority, IReadOnlyList<string> Audiences);

/// <summary>Who may call the management routes.</summary>
public sealed record AuthOptions(IReadOnlyList<ApiKey> ApiKeys, EntraTokenOptions? Entra)
{
    private const string HashPrefix = "sha256:";

    /// <summary>Reads the options; under the Functions host nobody being able to sign in is a fault.</summary>
    public static AuthOptions Read(IConfiguration configuration, HostMode mode, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        var reader = new SettingsReader(configuration, "Auth", faults);
        var faultsBefore = faults.All.Count;
        var keys = reader.Children("ApiKeys").Select(name => ReadKey(name, reader.Section("ApiKeys").Section(name))).OfType<ApiKey>().ToList();
        foreach (var same in keys.GroupBy(static key => Convert.ToHexString(key.Hash.Span)).Where(static group => group.Count() > 1))
        {
            // Two names for one secret would be two principals in one hand.
            reader.Fault($"ApiKeys:{same.Last().Name}:Hash", $"is that of Auth:ApiKeys:{same.First().Name}: each name needs a key of its own");
        }

        var entra = ReadEntra(reader);
        if (mode == HostMode.FunctionsHost && keys.Count == 0 && entra is null && faults.All.Count == faultsBefore)
        {
            reader.Fault("Authority", "is missing, and so is every Auth:ApiKeys:{name}:Hash: nobody could sign in");
        }

        return new AuthOptions(keys, entra);
    }

    private static ApiKey? ReadKey(string name, SettingsReader reader)
    {
        var roles = reader.List("Roles").ToHashSet(StringComparer.Ordinal);
        foreach (var role in roles.Where(role => !Roles.All.Contains(role)))
        {
            reader.Fault("Roles", $"'{role}' is not a role; there are {string.Join(", ", Roles.All)}");
        }

        if (roles.Count == 0)
        {
            reader.Fault("Roles", "is missing");
        }

        var hash = reader.Required("Hash");
        if (hash.Length == 0)
        {
            return null;
        }

        var bytes = new byte[32];
        var hex = hash.StartsWith(HashPrefix, StringComparison.Ordinal) ? hash.AsSpan(HashPrefix.Length) : default;
        if (hex.Length != 64 || Convert.FromHexString(hex, bytes, out _, out _) != System.Buffers.OperationStatus.Done)
        {
            reader.Fault("Hash", "must be sha256: and the 64 hexadecimal digits of the key's SHA-256");
            return null;
        }

        return new ApiKey(
            name, bytes, roles, reader.List("Exporters").Select(static exporter => exporter.ToLowerInvariant()).ToHashSet(StringComparer.Ordinal),
            reader.List("Sources").Select(static source => source.ToLowerInvariant()).ToHashSet(StringComparer.Ordinal));
    }

    private static EntraTokenOptions? ReadEntra(SettingsReader reader)
    {
        var authority = reader.Address("Authority");
        var audiences = reader.List("Audience");
        if (authority is null)
        {
            if (audiences.Count > 0 && reader.Text("Authority") is null)
            {
                reader.Fault("Authority", "is missing while Auth:Audience is set");
            }

            return null;
        }

        if (audiences.Count == 0)
        {
            reader.Fault("Audience", "is missing while Auth:Authority is set");
        }

        if (authority.AbsolutePath.Split('/') is [_, "common" or "organizations" or "consumers", ..])
        {
            reader.Fault("Authority", "must name one tenant: tokens of every tenant would be accepted otherwise");
        }

        return new EntraTokenOptions(authority, audiences);
    }
}
