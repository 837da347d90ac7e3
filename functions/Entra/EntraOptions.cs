using DingFlow.Settings;

namespace DingFlow.Entra;

/// <summary>Which cloud the directory lives in.</summary>
public enum EntraCloud
{
    /// <summary>The global cloud.</summary>
    Public,

    /// <summary>The cloud in China, operated by 21Vianet.</summary>
    China,
}

/// <summary>How we prove who we are to Microsoft Graph.</summary>
public enum EntraCredential
{
    /// <summary>The identity of all that DingFlow does in Azure (<see cref="Remote.AzureCredentials"/>).</summary>
    Default,

    /// <summary>An app registration with a secret.</summary>
    ClientSecret,

    /// <summary>Not at all; only to the loopback, for a simulated directory.</summary>
    None,
}

/// <summary>The directory in Microsoft Entra (<c>Entra</c>).</summary>
public sealed record EntraOptions
{
    /// <summary>The directory's id; <see langword="null"/> when there is none to act in.</summary>
    public string? TenantId { get; init; }

    /// <summary>Microsoft Graph, with its version. Tokens go to this host and to no other.</summary>
    public Uri BaseUrl { get; init; } = DefaultBaseUrl(EntraCloud.Public);

    /// <summary>Which cloud the directory lives in.</summary>
    public EntraCloud Cloud { get; init; }

    /// <summary>How we prove who we are.</summary>
    public EntraCredential Credential { get; init; }

    /// <summary>The app registration, for <see cref="EntraCredential.ClientSecret"/> only.</summary>
    public string? ClientId { get; init; }

    /// <summary>The app registration's secret.</summary>
    public string? ClientSecret { get; init; }

    /// <summary>There is a directory to act in.</summary>
    public bool IsConfigured => TenantId is not null || Credential == EntraCredential.None;

    /// <summary>Microsoft Graph of a cloud.</summary>
    public static Uri DefaultBaseUrl(EntraCloud cloud) => cloud == EntraCloud.China
        ? new("https://microsoftgraph.chinacloudapi.cn/v1.0")
        : new("https://graph.microsoft.com/v1.0");

    /// <summary>Reads <c>Entra</c>; what is wrong is added to the faults.</summary>
    public static EntraOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Entra", faults);
        var cloud = reader.Choice("Cloud", EntraCloud.Public);
        var address = reader.Address("BaseUrl");
        var options = new EntraOptions
        {
            TenantId = reader.Text("TenantId"),
            BaseUrl = address ?? DefaultBaseUrl(cloud),
            Cloud = cloud,
            Credential = reader.Choice("Credential", EntraCredential.Default),
            ClientId = reader.Text("ClientId"),
            ClientSecret = reader.Text("ClientSecret"),
        };
        switch (options.Credential)
        {
            case EntraCredential.None when !options.BaseUrl.IsLoopback:
                reader.Fault("Credential", "may be none only with a BaseUrl on the loopback");
                break;
            case EntraCredential.ClientSecret:
                reader.Required("TenantId");
                reader.Required("ClientId");
                reader.Required("ClientSecret");
                break;
            case EntraCredential.Default when options.TenantId is null && address is not null:
                reader.Fault("TenantId", "is missing");
                break;
        }

        return options;
    }

    /// <summary>The directory only: the record holds a secret.</summary>
    public override string ToString() => $"Entra directory {TenantId}";
}
