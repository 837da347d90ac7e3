using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using DingFlow.Messaging;

namespace DingFlow.Hosting;

/// <summary>
/// Writes the JSON that the Functions host posts for a queue or timer function, in the shape of the Service Bus extension 5.x, with its
/// encodings and with its habit of copying body properties into the metadata. Embedded delivery thereby exercises what Azure delivers.
/// </summary>
internal static class InvocationWriter
{
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The invocation for one message of the embedded queue.</summary>
    public static byte[] Message(
        FunctionTrigger.Queue trigger, string functionName, LockedMessage locked, DateTimeOffset now, string? deadLetterReason = null)
    {
        var message = locked.Message;
        var body = Encoding.UTF8.GetString(message.Body.Span);
        var metadata = new Dictionary<string, Action<Utf8JsonWriter>>(StringComparer.OrdinalIgnoreCase)
        {
            ["MessageId"] = writer => Wrapped(writer, message.MessageId),
            ["DeliveryCount"] = writer => writer.WriteStringValue(message.DeliveryCount.ToString(CultureInfo.InvariantCulture)),
            ["SequenceNumber"] = writer => writer.WriteStringValue(locked.SequenceNumber.ToString(CultureInfo.InvariantCulture)),
            ["LockToken"] = writer => Wrapped(writer, locked.LockToken.ToString()),
            ["ContentType"] = writer => Wrapped(writer, "application/json"),
        };
        AddText(metadata, "SessionId", message.SessionId);
        AddText(metadata, "Subject", message.Subject);
        AddText(metadata, "Label", message.Subject);
        if (message.EnqueuedAt is { } enqueuedAt)
        {
            // A DateTime becomes a date, a DateTimeOffset a JSON text like everything else.
            metadata["EnqueuedTimeUtc"] = writer => writer.WriteStringValue(enqueuedAt.UtcDateTime);
            metadata["EnqueuedTime"] = writer => Wrapped(writer, enqueuedAt.ToString("O", CultureInfo.InvariantCulture));
        }

        Action<Utf8JsonWriter> properties = writer =>
        {
            writer.WriteStartObject();
            if (message.TraceParent is { } traceParent)
            {
                writer.WriteString("Diagnostic-Id", traceParent);
            }

            if (deadLetterReason is not null)
            {
                writer.WriteString("DeadLetterReason", deadLetterReason);
            }

            writer.WriteEndObject();
        };
        metadata["ApplicationProperties"] = properties;
        metadata["UserProperties"] = properties;
        metadata["sys"] = writer => Sys(writer, functionName, now);
        using var copied = CopyBodyProperties(message.Body, metadata);

        return Write(writer =>
        {
            writer.WriteStartObject("Data");
            writer.WritePropertyName(trigger.Binding);
            Wrapped(writer, body);
            writer.WriteEndObject();
            writer.WriteStartObject("Metadata");
            foreach (var (name, write) in metadata)
            {
                writer.WritePropertyName(name);
                write(writer);
            }

            writer.WriteEndObject();
        });
    }

    /// <summary>The invocation for one firing of a timer.</summary>
    public static byte[] Tick(FunctionTrigger.Timer trigger, string functionName, TimerFiring firing, DateTimeOffset now) => Write(writer =>
    {
        writer.WriteStartObject("Data");
        writer.WriteStartObject(trigger.Binding);
        writer.WriteStartObject("Schedule");
        writer.WriteBoolean("AdjustForDST", true);
        writer.WriteEndObject();
        if (firing.Last is { } last)
        {
            writer.WriteStartObject("ScheduleStatus");
            writer.WriteString("Last", last);
            writer.WriteString("Next", firing.Next);
            writer.WriteString("LastUpdated", last);
            writer.WriteEndObject();
        }
        else
        {
            writer.WriteNull("ScheduleStatus");
        }

        writer.WriteBoolean("IsPastDue", firing.IsPastDue);
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteStartObject("Metadata");
        writer.WritePropertyName("sys");
        Sys(writer, functionName, now);
        writer.WriteEndObject();
    });

    private static JsonDocument? CopyBodyProperties(ReadOnlyMemory<byte> body, Dictionary<string, Action<Utf8JsonWriter>> metadata)
    {
        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(body);
        }
        catch (JsonException)
        {
            return null;
        }

        if (document.RootElement.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in document.RootElement.EnumerateObject())
            {
                if (property.Value.ValueKind is JsonValueKind.Array or JsonValueKind.Null || property.Name.EndsWith("trigger", StringComparison.OrdinalIgnoreCase))
                {
                    continue;
                }

                metadata[property.Name] = property.Value.ValueKind switch
                {
                    JsonValueKind.Object => property.Value.WriteTo,
                    JsonValueKind.String => writer => Wrapped(writer, property.Value.GetString()!),
                    _ => writer => writer.WriteStringValue(property.Value.GetRawText()),
                };
            }
        }

        return document;
    }

    private static void AddText(Dictionary<string, Action<Utf8JsonWriter>> metadata, string name, string? value)
    {
        if (value is not null)
        {
            metadata[name] = writer => Wrapped(writer, value);
        }
    }

    private static void Sys(Utf8JsonWriter writer, string functionName, DateTimeOffset now)
    {
        writer.WriteStartObject();
        writer.WriteString("MethodName", functionName);
        writer.WriteString("UtcNow", now.UtcDateTime);
        writer.WriteString("RandGuid", Guid.NewGuid());
        writer.WriteEndObject();
    }

    /// <summary>A JSON text that holds the JSON text of the value.</summary>
    private static void Wrapped(Utf8JsonWriter writer, string value) =>
        writer.WriteStringValue($"\"{JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(value)}\"");

    private static byte[] Write(Action<Utf8JsonWriter> content)
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer, Options))
        {
            writer.WriteStartObject();
            content(writer);
            writer.WriteEndObject();
        }

        return buffer.WrittenSpan.ToArray();
    }
}

/// <summary>One firing of a timer as the host would describe it.</summary>
/// <param name="Last">The occurrence before; <see langword="null"/> when none is recorded.</param>
/// <param name="Next">The occurrence after this one.</param>
/// <param name="IsPastDue">It comes later than scheduled.</param>
internal sealed record TimerFiring(DateTimeOffset? Last, DateTimeOffset Next, bool IsPastDue);
