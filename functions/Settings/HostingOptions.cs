using System.Globalization;
using System.Net;

namespace DingFlow.Settings;

/// <summary>Who drives the program.</summary>
public enum HostMode
{
    /// <summary>The program itself: its own listener, its own schedules, the embedded queue.</summary>
    Standalone,

    /// <summary>The Azure Functions host, through the custom handler contract.</summary>
    FunctionsHost,
}

/// <summary>Where the program runs and listens.</summary>
public sealed record HostingOptions
{
    /// <summary>The variable by which the Functions host names the port to listen on; without it the program runs standalone.</summary>
    public const string PortSetting = "FUNCTIONS_CUSTOMHANDLER_PORT";

    /// <summary>The public address when none is configured.</summary>
    public const string DefaultUrl = "http://localhost:7071";

    private static readonly string[] UrlSettings = ["DingFlow:Urls", "urls", "ASPNETCORE_URLS"];

    /// <summary>Who drives the program.</summary>
    public required HostMode Mode { get; init; }

    /// <summary>The loopback port that the Functions host asked for; 0 standalone.</summary>
    public int Port { get; init; }

    /// <summary>The public addresses, standalone; plain HTTP, since TLS ends before the program.</summary>
    public IReadOnlyList<BindingAddress> Urls { get; init; } = [];

    /// <summary>Full path of the directory that keeps what must outlive the process on one machine.</summary>
    public required string DataDirectory { get; init; }

    /// <summary>Which mode the settings ask for.</summary>
    public static HostMode ModeOf(IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return string.IsNullOrEmpty(configuration[PortSetting]) ? HostMode.Standalone : HostMode.FunctionsHost;
    }

    /// <summary>Full path of the data directory (<c>DingFlow:DataDirectory</c>, default <c>.dingflow</c> in the working directory).</summary>
    public static string DataDirectoryOf(IConfiguration configuration)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var configured = configuration["DingFlow:DataDirectory"];
        return Path.GetFullPath(string.IsNullOrWhiteSpace(configured) ? ".dingflow" : configured.Trim());
    }

    /// <summary>Reads the options.</summary>
    public static HostingOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        var mode = ModeOf(configuration);
        return new HostingOptions
        {
            Mode = mode,
            Port = mode == HostMode.FunctionsHost ? new SettingsReader(configuration, "", faults).Number(PortSetting, 0, 1, IPEndPoint.MaxPort) : 0,
            Urls = mode == HostMode.Standalone ? ReadUrls(configuration, faults) : [],
            DataDirectory = DataDirectoryOf(configuration),
        };
    }

    /// <summary><c>DingFlow:Urls</c>, else what ASP.NET Core programs are told with (<c>--urls</c>, <c>ASPNETCORE_URLS</c>).</summary>
    private static List<BindingAddress> ReadUrls(IConfiguration configuration, SettingsFaults faults)
    {
        var urls = new List<BindingAddress>();
        var setting = UrlSettings.FirstOrDefault(name => !string.IsNullOrWhiteSpace(configuration[name]));
        foreach (var url in (setting is null ? DefaultUrl : configuration[setting]!).Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            if (TryParse(url) is { } address)
            {
                urls.Add(address);
            }
            else
            {
                faults.Add(setting ?? "DingFlow:Urls", string.Create(
                    CultureInfo.InvariantCulture, $"'{url}' must be like {DefaultUrl}: plain http, a port, no path (let a proxy end TLS)"));
            }
        }

        return urls;
    }

    private static BindingAddress? TryParse(string url)
    {
        try
        {
            var address = BindingAddress.Parse(url);
            var plain = address is { Scheme: "http", PathBase: "" } && !address.IsUnixPipe && !address.IsNamedPipe;
            // Port 0 asks for any free port, which the two loopback addresses behind "localhost" cannot share.
            return plain && (address.Port != 0 || IPAddress.TryParse(address.Host, out _)) ? address : null;
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
