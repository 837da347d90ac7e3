using System.Buffers;
using System.Globalization;
using System.Text.Json;

namespace DingFlow.Storage;

/// <summary>
/// A row as a line of JSON: <c>{"t":table,"p":partition,"r":row,"v":{name:{type:value}}}</c>. Names stand in ordinal order, so that the
/// same row is the same line whichever store it comes from. Types are <c>s</c> text, <c>i</c> 32 bits, <c>l</c> 64 bits, <c>d</c> double
/// (as text), <c>b</c> boolean, <c>m</c> moment (UTC ticks), <c>g</c> GUID, <c>x</c> bytes (base64).
/// </summary>
internal static class BackupRow
{
    /// <summary>Writes the line, without its end.</summary>
    public static void Write(IBufferWriter<byte> buffer, StoredRow row)
    {
        using var writer = new Utf8JsonWriter(buffer);
        writer.WriteStartObject();
        writer.WriteString("t", row.Table);
        writer.WriteString("p", row.Entity.PartitionKey);
        writer.WriteString("r", row.Entity.RowKey);
        writer.WriteStartObject("v");
        foreach (var (name, value) in row.Entity.Properties.Where(p => p.Value is not null).OrderBy(p => p.Key, StringComparer.Ordinal))
        {
            writer.WriteStartObject(name);
            WriteValue(writer, value!);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    /// <summary>Reads a line that <see cref="Write"/> wrote.</summary>
    /// <exception cref="FormatException">It is no such line.</exception>
    public static StoredRow Read(JsonElement line)
    {
        var properties = new EntityProperties();
        foreach (var property in Member(line, "v").EnumerateObject())
        {
            var typed = property.Value.EnumerateObject().Single();
            properties[property.Name] = ReadValue(typed.Name, typed.Value);
        }

        return new(Text(line, "t"), new Entity(Text(line, "p"), Text(line, "r")) { Properties = properties });
    }

    private static void WriteValue(Utf8JsonWriter writer, object value)
    {
        switch (value)
        {
            case string text:
                writer.WriteString("s", text);
                break;
            case int number:
                writer.WriteNumber("i", number);
                break;
            case long number:
                writer.WriteNumber("l", number);
                break;
            case double number:
                writer.WriteString("d", number.ToString("R", CultureInfo.InvariantCulture));
                break;
            case bool flag:
                writer.WriteBoolean("b", flag);
                break;
            case DateTimeOffset moment:
                writer.WriteNumber("m", moment.UtcTicks);
                break;
            case Guid guid:
                writer.WriteString("g", guid);
                break;
            case byte[] bytes:
                writer.WriteBase64String("x", bytes);
                break;
            default:
                throw new InvalidOperationException($"A {value.GetType().Name} is no property of an entity.");
        }
    }

    private static object ReadValue(string type, JsonElement value) => type switch
    {
        "s" => value.GetString() ?? throw new FormatException("A text is null."),
        "i" => value.GetInt32(),
        "l" => value.GetInt64(),
        "d" => double.Parse(value.GetString() ?? "", NumberStyles.Float, CultureInfo.InvariantCulture),
        "b" => value.GetBoolean(),
        "m" => new DateTimeOffset(value.GetInt64(), TimeSpan.Zero),
        "g" => value.GetGuid(),
        "x" => value.GetBytesFromBase64(),
        _ => throw new FormatException("A property has a type that this version does not know."),
    };

    private static JsonElement Member(JsonElement line, string name) =>
        line.TryGetProperty(name, out var value) ? value : throw new FormatException($"A row lacks \"{name}\".");

    private static string Text(JsonElement line, string name) => Member(line, name).GetString() ?? throw new FormatException($"\"{name}\" is null.");
}
