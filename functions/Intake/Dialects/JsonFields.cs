using System.Globalization;
using System.Text.Json;
using System.Text.Unicode;

namespace DingFlow.Intake.Dialects;

/// <summary>Strict reading of JSON from HR systems: bounded, and never a value of theirs in a fault.</summary>
internal static class JsonFields
{
    /// <summary>Levels that a body may have.</summary>
    public const int MaxDepth = 32;

    private const long FirstSecond = 946_684_800; // 2000-01-01
    private const long LastSecond = 7_289_654_399; // 2200-12-31
    private static readonly JsonDocumentOptions Options = new() { MaxDepth = MaxDepth, AllowDuplicateProperties = false };

    /// <summary>Reads a body whose root is an object.</summary>
    public static HrReading Read(ReadOnlyMemory<byte> body, Func<JsonElement, HrReading> read)
    {
        if (!Utf8.IsValid(body.Span))
        {
            return HrReading.Refused("", "The body is not UTF-8.");
        }

        try
        {
            using var document = JsonDocument.Parse(body, Options);
            return document.RootElement.ValueKind == JsonValueKind.Object
                ? read(document.RootElement)
                : HrReading.Refused("", "The body must be a JSON object.");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: half of a surrogate pair in a property's name.
            return HrReading.Refused("", "The body is not JSON as it is accepted here: well-formed, at most 32 levels deep, no property twice.");
        }
    }

    /// <summary>What the path of properties leads to, unless it is missing or <c>null</c>.</summary>
    public static JsonElement? Find(this JsonElement element, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element))
            {
                return null;
            }
        }

        return element.ValueKind == JsonValueKind.Null ? null : element;
    }

    /// <summary>The text there, or <see langword="null"/>.</summary>
    public static string? Text(this JsonElement element, params ReadOnlySpan<string> path) =>
        element.Find(path) is { } found ? PersonFields.TextOf(found) : null;

    /// <summary>An id there: a text or a whole number, as it is written.</summary>
    public static string? IdText(this JsonElement element, params ReadOnlySpan<string> path) => element.Find(path) switch
    {
        { ValueKind: JsonValueKind.Number } number when number.TryGetInt64(out var value) => value.ToString(CultureInfo.InvariantCulture),
        { } found => PersonFields.TextOf(found),
        null => null,
    };

    /// <summary>
    /// Reads a time as HR systems write it: RFC 3339, its offset without colon (BambooHR), or without offset, which is then UTC (HiBob).
    /// </summary>
    public static bool TryReadLooseTime(string? text, out DateTimeOffset time)
    {
        time = default;
        if (text is null or { Length: > 40 })
        {
            return false;
        }

        if (PersonFields.TryReadTime(text, out time))
        {
            return true;
        }

        return (text.Length > 5 && text[^5] is '+' or '-' && PersonFields.TryReadTime($"{text.AsSpan(0, text.Length - 2)}:{text.AsSpan(text.Length - 2)}", out time))
            || PersonFields.TryReadTime($"{text}Z", out time);
    }

    /// <summary>Reads seconds or milliseconds since 1970, between 2000 and 2200.</summary>
    public static bool TryReadEpoch(long number, out DateTimeOffset time)
    {
        time = default;
        if (number is >= FirstSecond * 1000 and <= LastSecond * 1000)
        {
            time = DateTimeOffset.FromUnixTimeMilliseconds(number);
            return true;
        }

        if (number is < FirstSecond or > LastSecond)
        {
            return false;
        }

        time = DateTimeOffset.FromUnixTimeSeconds(number);
        return true;
    }
}
