using System.Globalization;
using System.Text;
using System.Text.Json;

namespace DingFlow.Offboarding.Evidence;

/// <summary>
/// JSON in one canonical form, so that a reader recomputes a hash from what the text means: RFC 8785 (JSON Canonicalization Scheme), for
/// documents whose numbers are whole.
/// </summary>
public static class CanonicalJson
{
    /// <summary>The UTF-8 bytes of the canonical form: names in order, no white space, only the escapes that JSON needs.</summary>
    /// <exception cref="ArgumentException">A number is not whole, or beyond what every reader keeps exactly (2^53).</exception>
    public static byte[] Bytes(JsonElement value)
    {
        var text = new StringBuilder();
        Write(value, text);
        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static void Write(JsonElement value, StringBuilder text)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                text.Append('{');
                var separator = "";
                foreach (var property in value.EnumerateObject().OrderBy(p => p.Name, StringComparer.Ordinal))
                {
                    text.Append(separator);
                    Write(property.Name, text);
                    text.Append(':');
                    Write(property.Value, text);
                    separator = ",";
                }

                text.Append('}');
                break;
            case JsonValueKind.Array:
                text.Append('[');
                var comma = "";
                foreach (var item in value.EnumerateArray())
                {
                    text.Append(comma);
                    Write(item, text);
                    comma = ",";
                }

                text.Append(']');
                break;
            case JsonValueKind.String:
                Write(value.GetString()!, text);
                break;
            case JsonValueKind.Number:
                text.Append(value.TryGetInt64(out var number) && Math.Abs(number) <= 1L << 53
                    ? number.ToString(CultureInfo.InvariantCulture)
                    : throw new ArgumentException("A number is not whole, or too large to be kept exactly.", nameof(value)));
                break;
            default:
                text.Append(value.GetRawText()); // true, false, null
                break;
        }
    }

    private static void Write(string value, StringBuilder text)
    {
        text.Append('"');
        foreach (var c in value)
        {
            _ = c switch
            {
                '"' => text.Append("\\\""),
                '\\' => text.Append("\\\\"),
                '\b' => text.Append("\\b"),
                '\f' => text.Append("\\f"),
                '\n' => text.Append("\\n"),
                '\r' => text.Append("\\r"),
                '\t' => text.Append("\\t"),
                < ' ' => text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => text.Append(c),
            };
        }

        text.Append('"');
    }
}
