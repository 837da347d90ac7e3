using System.Text.Json;
using DingFlow.Settings;
using Microsoft.Extensions.Configuration.Memory;

namespace DingFlow.Hosting;

/// <summary>
/// Where settings come from, the later ones winning: keys generated at the first standalone start, Key Vault, <c>local.settings.json</c>
/// (standalone), environment variables, the command line.
/// </summary>
internal static class ProgramConfiguration
{
    public const string LocalSettingsFile = "local.settings.json";

    public static void Add(ConfigurationManager configuration, string[] args, SettingsFaults faults)
    {
        // Key Vault and generated keys need settings of the sources above them: they are put in front of these later.
        var local = new MemoryConfigurationSource();
        configuration.Sources.Add(local);
        configuration.AddEnvironmentVariables();
        configuration.AddCommandLine(args);
        if (HostingOptions.ModeOf(configuration) == HostMode.Standalone && ReadLocalSettings(LocalSettingsFile, faults) is { Count: > 0 } values)
        {
            // In place of the empty one: a memory source takes its data when it is added, and what reads settings next (the data directory,
            // Key Vault, which keys to generate) must see them.
            configuration.Sources[configuration.Sources.IndexOf(local)] = new MemoryConfigurationSource { InitialData = values };
        }
    }

    /// <summary>Puts settings below all others.</summary>
    public static void AddLowest(ConfigurationManager configuration, IEnumerable<KeyValuePair<string, string?>> settings) =>
        configuration.Sources.Insert(0, new MemoryConfigurationSource { InitialData = settings });

    /// <summary>The object <c>Values</c>, as the Functions Core Tools read it; a key may have <c>:</c> or <c>__</c> between levels.</summary>
    internal static Dictionary<string, string?> ReadLocalSettings(string path, SettingsFaults faults)
    {
        var values = new Dictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        if (!File.Exists(path))
        {
            return values;
        }

        try
        {
            using var document = JsonDocument.Parse(
                File.ReadAllBytes(path), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            if (document.RootElement.TryGetProperty("IsEncrypted", out var encrypted) && encrypted.ValueKind == JsonValueKind.True)
            {
                faults.Add(path, "is encrypted; decrypt it with: func settings decrypt");
                return values;
            }

            if (document.RootElement.TryGetProperty("Values", out var section))
            {
                foreach (var property in section.EnumerateObject())
                {
                    Add(path, property, values, faults);
                }
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            faults.Add(path, "is not a JSON object with an object Values");
        }

        return values;
    }

    private static void Add(string path, JsonProperty property, Dictionary<string, string?> values, SettingsFaults faults)
    {
        var name = property.Name.Replace("__", ConfigurationPath.KeyDelimiter, StringComparison.Ordinal);
        if (property.Value.ValueKind is JsonValueKind.Object or JsonValueKind.Array)
        {
            faults.Add(name, $"in {path} must be a text, a number or a boolean; levels are separated by : in the name");
        }
        else if (!values.TryAdd(name, property.Value.ValueKind == JsonValueKind.Null ? null : property.Value.ToString()))
        {
            faults.Add(name, $"is twice in {path}");
        }
    }
}
