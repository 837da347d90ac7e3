using System.Text.Json;
using DingFlow.Settings;

namespace DingFlow.Hosting;

/// <summary>What the standalone host needs of <c>host.json</c>.</summary>
/// <param name="RoutePrefix">First segment of every HTTP function's path.</param>
/// <param name="MaxConcurrentCalls">Messages handled at once of a queue without sessions.</param>
/// <param name="MaxConcurrentSessions">Sessions handled at once of a queue with sessions.</param>
/// <param name="FunctionTimeout">How long one invocation may take.</param>
public sealed record HostJson(string RoutePrefix, int MaxConcurrentCalls, int MaxConcurrentSessions, TimeSpan FunctionTimeout)
{
    /// <summary>Reads the file; what it does not say has the default of the Functions host.</summary>
    public static HostJson Read(string path, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        var json = new HostJson("api", MaxConcurrentCalls: 16, MaxConcurrentSessions: 8, TimeSpan.FromMinutes(30));
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), FunctionCatalog.JsonOptions);
            var root = document.RootElement;
            if (root.TryGetProperty("extensions", out var extensions))
            {
                if (extensions.TryGetProperty("http", out var http) && http.TryGetProperty("routePrefix", out var prefix))
                {
                    json = json with { RoutePrefix = (prefix.GetString() ?? "").Trim('/') };
                }

                if (extensions.TryGetProperty("serviceBus", out var serviceBus))
                {
                    json = json with
                    {
                        MaxConcurrentCalls = Count(serviceBus, "maxConcurrentCalls", json.MaxConcurrentCalls),
                        MaxConcurrentSessions = Count(serviceBus, "maxConcurrentSessions", json.MaxConcurrentSessions),
                    };
                }
            }

            if (root.TryGetProperty("functionTimeout", out var timeout))
            {
                json = json with { FunctionTimeout = TimeSpan.Parse(timeout.GetString() ?? "", System.Globalization.CultureInfo.InvariantCulture) };
            }
        }
        catch (Exception exception) when (exception is IOException or JsonException or InvalidOperationException or FormatException or OverflowException)
        {
            faults.Add("host.json", "cannot be read");
        }

        return json;
    }

    private static int Count(JsonElement section, string name, int defaultValue) =>
        section.TryGetProperty(name, out var value) ? Math.Max(1, value.GetInt32()) : defaultValue;
}
