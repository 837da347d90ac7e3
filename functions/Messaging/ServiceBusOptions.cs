using DingFlow.Settings;

namespace DingFlow.Messaging;

/// <summary>Where and how messages are sent: <c>ServiceBusConnection:*</c> as the Functions host reads it, and <c>ServiceBus:*</c>.</summary>
public sealed record ServiceBusOptions
{
    /// <summary>The resource that tokens are asked for, in every cloud; what the Azure SDKs use.</summary>
    public const string DefaultAudience = "https://servicebus.azure.net";

    /// <summary>The root of the namespace, such as <c>https://name.servicebus.windows.net/</c>. The token goes there and nowhere else.</summary>
    public required Uri Endpoint { get; init; }

    /// <summary>The scope of the token: <c>ServiceBus:Audience</c> with <c>/.default</c>.</summary>
    public string Scope { get; init; } = $"{DefaultAudience}/.default";

    /// <summary>The greatest message, with its properties, in bytes (<c>ServiceBus:MaxMessageBytes</c>): 256 KB, on Premium up to 100 MB.</summary>
    public int MaxMessageBytes { get; init; } = 256 * 1024;

    /// <summary>How long one attempt may take (<c>ServiceBus:AttemptTimeout</c>).</summary>
    public TimeSpan AttemptTimeout { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a send is tried in all before it fails (<c>ServiceBus:RetryFor</c>).</summary>
    public TimeSpan RetryFor { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Reads the sections <c>ServiceBusConnection</c> and <c>ServiceBus</c>.</summary>
    /// <remarks>
    /// <c>ServiceBus:Endpoint</c> puts a stand-in on the loopback in the namespace's place. <c>ServiceBus:Audience</c> is for clouds
    /// whose Entra knows Service Bus under another name; the documentation of Azure China gives both the default and
    /// <c>https://servicebus.chinacloudapi.cn</c>.
    /// </remarks>
    public static ServiceBusOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var connection = new SettingsReader(configuration, "ServiceBusConnection", faults);
        var reader = new SettingsReader(configuration, "ServiceBus", faults);
        var audience = reader.Address("Audience")?.OriginalString.TrimEnd('/') ?? DefaultAudience;
        var options = new ServiceBusOptions
        {
            Endpoint = ReadEndpoint(connection, reader),
            Scope = $"{audience}/.default",
            MaxMessageBytes = reader.Number("MaxMessageBytes", 256 * 1024, 64 * 1024, 100 * 1024 * 1024),
            AttemptTimeout = reader.Duration("AttemptTimeout", TimeSpan.FromSeconds(15)),
            RetryFor = reader.Duration("RetryFor", TimeSpan.FromSeconds(30)),
        };

        var clientId = connection.Text("clientId");
        if (clientId is not null && configuration["AZURE_CLIENT_ID"] is { Length: > 0 } other && !clientId.Equals(other.Trim(), StringComparison.OrdinalIgnoreCase))
        {
            connection.Fault("clientId", "names another identity than AZURE_CLIENT_ID; DingFlow has one");
        }

        return options;
    }

    private static Uri ReadEndpoint(SettingsReader connection, SettingsReader reader)
    {
        var standIn = reader.Address("Endpoint");
        if (standIn is { IsLoopback: true })
        {
            return standIn;
        }

        if (standIn is not null)
        {
            reader.Fault("Endpoint", "must be on the loopback; name the namespace in ServiceBusConnection:fullyQualifiedNamespace");
        }

        var host = connection.Required("fullyQualifiedNamespace");
        if (host.Length > 0 && (Uri.CheckHostName(host) != UriHostNameType.Dns || !host.Contains('.')))
        {
            connection.Fault("fullyQualifiedNamespace", "must be a host name such as name.servicebus.windows.net");
            host = "";
        }

        return new($"https://{(host.Length > 0 ? host : "missing.invalid")}/");
    }
}
