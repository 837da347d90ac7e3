using System.Text.Json;

namespace DingFlow.Transfers;

/// <summary>The data files that the program carries within itself: rules, predicates, classification, calendar.</summary>
internal static class DataFile
{
    private static readonly JsonDocumentOptions Options = new() { CommentHandling = JsonCommentHandling.Skip };

    /// <summary>Reads one by its path below the project, such as <c>Transfers/predicates.json</c>.</summary>
    /// <exception cref="InvalidDataException">It is missing or not JSON: the program was built wrongly.</exception>
    public static JsonDocument Open(string path)
    {
        using var stream = typeof(DataFile).Assembly.GetManifestResourceStream(path)
            ?? throw new InvalidDataException($"The program carries no {path}.");
        try
        {
            return JsonDocument.Parse(stream, Options);
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException($"{path} is not JSON.", exception);
        }
    }

    /// <summary>The paths of the files below a folder, in order.</summary>
    public static IEnumerable<string> In(string folder) => typeof(DataFile).Assembly.GetManifestResourceNames()
        .Where(name => name.StartsWith(folder, StringComparison.Ordinal) && name.EndsWith(".json", StringComparison.Ordinal))
        .Order(StringComparer.Ordinal);

    /// <summary>A text that must be there.</summary>
    public static string Text(this JsonElement element, string name) =>
        element.OptionalText(name) ?? throw new InvalidDataException($"{name} is missing.");

    /// <summary>A text that may be absent or null.</summary>
    public static string? OptionalText(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    /// <summary>A whole number that may be absent or null.</summary>
    public static long? OptionalNumber(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number ? value.GetInt64() : null;

    /// <summary>A truth value that may be absent or null.</summary>
    public static bool? OptionalBoolean(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind is JsonValueKind.True or JsonValueKind.False ? value.GetBoolean() : null;

    /// <summary>A list of texts; empty when absent.</summary>
    public static IReadOnlyList<string> Texts(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(item => item.GetString() ?? "")]
            : [];

    /// <summary>The items of a list; none when absent.</summary>
    public static IEnumerable<JsonElement> Items(this JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Array ? value.EnumerateArray() : [];
}
