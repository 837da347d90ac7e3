using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DingFlow.Messaging;

namespace DingFlow.Hosting;

/// <summary>
/// Reads what the Functions host posts for a queue or timer function: <c>{"Data":{binding:…},"Metadata":{…}}</c>. An object stays an
/// object, a <c>DateTime</c> is a date, bytes are base64, and all else (text, number, array) is a JSON text that holds JSON.
/// </summary>
/// <remarks>
/// The host copies top-level properties of a JSON body into the metadata, where they overwrite system properties of the same name in
/// any case. So metadata that the body could have written is not believed.
/// </remarks>
internal static class InvocationReader
{
    private const int MaxDepth = 64;

    /// <summary>A body's text comes wrapped twice; portals and some senders add a wrapping of their own.</summary>
    private const int MaxWrappings = 5;

    private static readonly JsonDocumentOptions Options = new() { MaxDepth = MaxDepth };

    /// <summary>The messages of an invocation: one, or those of a batch in order.</summary>
    /// <exception cref="InvocationException">It is not what the host sends.</exception>
    public static IReadOnlyList<ReceivedMessage> ReadMessages(ReadOnlyMemory<byte> invocation, FunctionTrigger.Queue trigger) =>
        Guarded(() => Messages(invocation, trigger));

    /// <summary>The firing of a timer.</summary>
    /// <exception cref="InvocationException">It is not what the host sends.</exception>
    public static TimerTick ReadTick(ReadOnlyMemory<byte> invocation, FunctionTrigger.Timer trigger) => Guarded(() => Tick(invocation, trigger));

    private static T Guarded<T>(Func<T> read)
    {
        try
        {
            return read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Broken JSON, or a text with half a surrogate pair.
            throw new InvocationException("the invocation is not the JSON that the host sends");
        }
    }

    private static IReadOnlyList<ReceivedMessage> Messages(ReadOnlyMemory<byte> invocation, FunctionTrigger.Queue trigger)
    {
        using var document = Parse(invocation);
        var data = Binding(document.RootElement, trigger.Binding);
        var metadata = Metadata.Of(document.RootElement);
        if (!trigger.Batched)
        {
            return [Message(trigger, Body(data), metadata, batchIndex: null)];
        }

        using var batch = JsonDocument.Parse(data.ValueKind == JsonValueKind.String ? ArrayText(data.GetString()!) : data.GetRawText(), Options);
        if (batch.RootElement.ValueKind != JsonValueKind.Array)
        {
            throw new InvocationException("a batch must be an array");
        }

        return [.. batch.RootElement.EnumerateArray().Select((element, index) => Message(trigger, Body(element), metadata, index))];

        static string ArrayText(string text) => Unwrap(text, out var kind) is var inner && kind == JsonValueKind.Array
            ? inner : throw new InvocationException("a batch must be an array");
    }

    private static TimerTick Tick(ReadOnlyMemory<byte> invocation, FunctionTrigger.Timer trigger)
    {
        using var document = Parse(invocation);
        var data = Binding(document.RootElement, trigger.Binding);
        if (data.ValueKind == JsonValueKind.String)
        {
            using var inner = JsonDocument.Parse(Unwrap(data.GetString()!, out var kind) is var text && kind == JsonValueKind.Object ? text : "{}", Options);
            return new TimerTick(IsTrue(inner.RootElement, "IsPastDue"));
        }

        return new TimerTick(data.ValueKind == JsonValueKind.Object && IsTrue(data, "IsPastDue"));

        static bool IsTrue(JsonElement element, string name) =>
            element.TryGetProperty(name, out var value)
            && (value.ValueKind == JsonValueKind.True
                || (value.ValueKind == JsonValueKind.String && bool.TryParse(value.GetString(), out var parsed) && parsed));
    }

    private static JsonDocument Parse(ReadOnlyMemory<byte> invocation)
    {
        var document = JsonDocument.Parse(invocation, Options);
        if (document.RootElement.ValueKind == JsonValueKind.Object)
        {
            return document;
        }

        document.Dispose();
        throw new InvocationException("the invocation must be a JSON object");
    }

    private static JsonElement Binding(JsonElement root, string name) =>
        root.TryGetProperty("Data", out var data) && data.ValueKind == JsonValueKind.Object && data.TryGetProperty(name, out var binding)
            ? binding : throw new InvocationException($"the invocation has no Data.{name}");

    private static ReceivedMessage Message(FunctionTrigger.Queue trigger, byte[] body, Metadata metadata, int? batchIndex)
    {
        var known = metadata.Without(body).At(batchIndex);
        return new ReceivedMessage
        {
            Queue = trigger.QueueName,
            MessageId = known.Text("MessageId") ?? $"body-{Convert.ToHexStringLower(SHA256.HashData(body))}",
            SessionId = trigger.IsSessionsEnabled || trigger.IsDeadLetters ? known.Text("SessionId") : null,
            DeliveryCount = known.Number("DeliveryCount") is { } count and > 0 and < int.MaxValue ? (int)count : 1,
            EnqueuedAt = known.Time("EnqueuedTimeUtc") ?? known.Time("EnqueuedTime"),
            Body = body,
            Subject = known.Text("Subject") ?? known.Text("Label"),
            TraceParent = known.TraceParent(),
            DeadLetterReason = trigger.IsDeadLetters ? known.DeadLetterReason() : null,
        };
    }

    /// <summary>The message's body in UTF-8: its JSON where it is JSON in whatever wrapping, else its text as it is.</summary>
    private static byte[] Body(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.String)
        {
            return Encoding.UTF8.GetBytes(element.GetRawText());
        }

        var text = Unwrap(element.GetString()!, out var kind);
        return kind == JsonValueKind.Undefined && FromBase64(text) is { } bytes ? bytes : Encoding.UTF8.GetBytes(text);
    }

    /// <summary>Takes off JSON string wrappings until something else than a JSON string appears.</summary>
    internal static string Unwrap(string text, out JsonValueKind kind)
    {
        for (var wrapping = 0; ; wrapping++)
        {
            try
            {
                using var inner = JsonDocument.Parse(text, Options);
                kind = inner.RootElement.ValueKind;
                if (kind != JsonValueKind.String || wrapping == MaxWrappings)
                {
                    return text;
                }

                text = inner.RootElement.GetString()!;
            }
            catch (Exception exception) when (exception is JsonException or InvalidOperationException)
            {
                // Not JSON (or JSON with broken surrogates): this is the text itself.
                kind = JsonValueKind.Undefined;
                return text;
            }
        }
    }

    /// <summary>A binary body comes as base64; only one that holds a JSON object is taken for such.</summary>
    private static byte[]? FromBase64(string text)
    {
        var buffer = new byte[text.Length];
        if (!Convert.TryFromBase64String(text, buffer, out var length) || buffer.AsSpan(0, length).TrimStart(" \r\n\t"u8) is not [(byte)'{', ..])
        {
            return null;
        }

        try
        {
            using var inner = JsonDocument.Parse(buffer.AsMemory(0, length), Options);
            return buffer[..length];
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>Metadata by name in any case; what the body could have overwritten is left out.</summary>
    private sealed class Metadata
    {
        private readonly Dictionary<string, JsonElement> _values = new(StringComparer.OrdinalIgnoreCase);

        private int? _batchIndex;

        public static Metadata Of(JsonElement root)
        {
            var metadata = new Metadata();
            if (root.TryGetProperty("Metadata", out var values) && values.ValueKind == JsonValueKind.Object)
            {
                foreach (var property in values.EnumerateObject())
                {
                    metadata._values[property.Name] = property.Value;
                }
            }

            return metadata;
        }

        public Metadata Without(byte[] body)
        {
            var believed = new Metadata();
            foreach (var (name, value) in _values)
            {
                believed._values[name] = value;
            }

            try
            {
                using var document = JsonDocument.Parse(body, Options);
                if (document.RootElement.ValueKind == JsonValueKind.Object)
                {
                    foreach (var property in document.RootElement.EnumerateObject())
                    {
                        believed._values.Remove(property.Name);
                    }
                }
            }
            catch (JsonException)
            {
                // A body that is not JSON overwrites nothing.
            }

            return believed;
        }

        /// <summary>The same for one message of a batch, whose metadata are arrays under names ending in <c>Array</c>.</summary>
        public Metadata At(int? batchIndex)
        {
            _batchIndex = batchIndex;
            return this;
        }

        public string? Text(string name) => Value(name, out var text, out var element) switch
        {
            false => null,
            true when text is not null => text.Length == 0 ? null : text,
            _ => element.ValueKind == JsonValueKind.Number ? element.GetRawText() : null,
        };

        public long? Number(string name) =>
            long.TryParse(Text(name), NumberStyles.Integer, CultureInfo.InvariantCulture, out var number) ? number : null;

        public DateTimeOffset? Time(string name) =>
            DateTimeOffset.TryParse(Text(name), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
                ? time : null;

        /// <summary>The sender's trace context among the message's own properties, whose name depends on the extension's version.</summary>
        public string? TraceParent() => Property(static text => text.Length == 55, "Diagnostic-Id", "traceparent");

        /// <summary>Why a message lies among the dead letters: the queue writes it into the message's own properties.</summary>
        public string? DeadLetterReason()
        {
            var reason = Property(static text => text.Length > 0, "DeadLetterReason") ?? Text("DeadLetterReason");
            var description = Property(static text => text.Length > 0, "DeadLetterErrorDescription") ?? Text("DeadLetterErrorDescription");
            return reason is null ? description : description is null ? reason : $"{reason}: {description}";
        }

        /// <summary>A text among the message's own properties.</summary>
        private string? Property(Func<string, bool> fits, params ReadOnlySpan<string> names)
        {
            foreach (var name in (ReadOnlySpan<string>)["ApplicationProperties", "UserProperties"])
            {
                if (!Value(name, out var text, out var element))
                {
                    continue;
                }

                if (text is null)
                {
                    if (Find(element, fits, names) is { } direct)
                    {
                        return direct;
                    }
                }
                else if (Unwrap(text, out var kind) is var json && kind == JsonValueKind.Object)
                {
                    using var document = JsonDocument.Parse(json, Options);
                    if (Find(document.RootElement, fits, names) is { } wrapped)
                    {
                        return wrapped;
                    }
                }
            }

            return null;

            static string? Find(JsonElement properties, Func<string, bool> fits, ReadOnlySpan<string> names)
            {
                if (properties.ValueKind != JsonValueKind.Object)
                {
                    return null;
                }

                foreach (var name in names)
                {
                    foreach (var property in properties.EnumerateObject())
                    {
                        if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase) && property.Value.ValueKind == JsonValueKind.String
                            && Unwrap(property.Value.GetString()!, out _) is var found && fits(found))
                        {
                            return found;
                        }
                    }
                }

                return null;
            }
        }

        /// <summary>A value without its wrappings: as text, or as an element when it is no JSON text.</summary>
        private bool Value(string name, out string? text, out JsonElement element)
        {
            text = null;
            element = default;
            if (_batchIndex is { } index)
            {
                if (!_values.TryGetValue($"{name}Array", out var array))
                {
                    return false;
                }

                var json = array.ValueKind == JsonValueKind.String ? Unwrap(array.GetString()!, out _) : array.GetRawText();
                using var document = JsonDocument.Parse(json is ['[', ..] ? json : "[]", Options);
                if (index >= document.RootElement.GetArrayLength())
                {
                    return false;
                }

                element = document.RootElement[index].Clone();
            }
            else if (!_values.TryGetValue(name, out element))
            {
                return false;
            }

            if (element.ValueKind == JsonValueKind.String)
            {
                text = Unwrap(element.GetString()!, out var kind);
                text = kind == JsonValueKind.Null ? "" : text;
            }

            return element.ValueKind is not (JsonValueKind.Null or JsonValueKind.Undefined);
        }
    }
}

/// <summary>An invocation is not what the host sends. The message says what is missing and quotes nothing.</summary>
internal sealed class InvocationException(string message) : Exception(message);
