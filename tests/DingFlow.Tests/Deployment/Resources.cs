using System.Text.Json;

namespace DingFlow.Tests.Deployment;

/// <summary>Reads predicted resources.</summary>
internal static class Resources
{
    public static string Type(this JsonElement resource) => resource.GetProperty("type").GetString()!;

    public static string Name(this JsonElement resource) => resource.GetProperty("name").GetString()!;

    public static string Id(this JsonElement resource) => resource.GetProperty("id").GetString()!;

    /// <summary>The value at the path, or nothing.</summary>
    public static JsonElement? At(this JsonElement element, params string[] path)
    {
        foreach (var name in path)
        {
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element))
            {
                return null;
            }
        }

        return element;
    }

    /// <summary>A property as text: text, number or boolean.</summary>
    public static string? Property(this JsonElement resource, params string[] path) => resource.At(["properties", .. path])?.ToString();

    public static IEnumerable<JsonElement> Of(this IEnumerable<JsonElement> resources, string type) => resources.Where(r => r.Type() == type);

    /// <summary>The app settings, by name.</summary>
    public static Dictionary<string, string> AppSettings(this IEnumerable<JsonElement> resources) => resources.Of("Microsoft.Web/sites").Single()
        .At("properties", "siteConfig", "appSettings")!.Value.EnumerateArray()
        .ToDictionary(s => s.GetProperty("name").GetString()!, s => s.GetProperty("value").GetString()!);
}
