using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace DingFlow.Messaging;

/// <summary>
/// The wire form of messages. Source: "Send Message" and "Send Message Batch" of the Service Bus REST API, Microsoft Learn. A single
/// message carries its system properties in the header <c>BrokerProperties</c> and its own properties as headers with JSON values; a
/// batch carries all of that in its body.
/// </summary>
internal static class ServiceBusWire
{
    /// <summary>Messages in one request; more are split.</summary>
    public const int MaximumBatchCount = 100;

    private const int MaximumIdLength = 128;

    /// <summary>Allowance for what Service Bus itself adds to a message: section headers, sequence number, times.</summary>
    private const int Overhead = 512;

    /// <summary>The property in which Service Bus clients, the Functions host among them, look for the W3C trace context.</summary>
    private const string TraceProperty = "Diagnostic-Id";

    // A body is JSON in JSON: escaping no more than JSON asks for keeps it small. It is never shown as HTML.
    private static readonly JsonWriterOptions BatchWriter = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>
    /// Checks the messages and arranges them: one list of requests per session, in order, because a session keeps its order and a
    /// request must not mix sessions (a partitioned queue refuses that).
    /// </summary>
    /// <exception cref="ArgumentException">A message breaks a limit.</exception>
    public static IReadOnlyList<IReadOnlyList<ServiceBusRequest>> Arrange(
        QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, int maximumBytes)
    {
        foreach (var message in messages)
        {
            Check(queue, message, maximumBytes);
        }

        return [.. messages.GroupBy(message => message.SessionId, StringComparer.Ordinal).Select(session => Split([.. session], maximumBytes))];
    }

    /// <summary>The content of a request, with the headers that belong to the message.</summary>
    public static void Write(ServiceBusRequest request, HttpRequestMessage http)
    {
        if (request.Batch is { } batch)
        {
            http.Content = new ReadOnlyMemoryContent(batch) { Headers = { ContentType = new("application/vnd.microsoft.servicebus.json") } };
            return;
        }

        var message = request.Single!;
        http.Content = new ReadOnlyMemoryContent(message.Body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        http.Headers.TryAddWithoutValidation("BrokerProperties", BrokerProperties(message));
        if (Trace(message) is { } trace)
        {
            // The value is JSON: a text without its quotes is answered with 400.
            http.Headers.TryAddWithoutValidation(TraceProperty, $"\"{trace}\"");
        }
    }

    private static void Check(QueueDefinition queue, OutgoingMessage message, int maximumBytes)
    {
        if (message.MessageId.Length is 0 or > MaximumIdLength)
        {
            throw new ArgumentException("A MessageId has 1 to 128 characters.", nameof(message));
        }

        if (message.SessionId is { Length: 0 or > MaximumIdLength } || (message.SessionId is null && queue.RequiresSession))
        {
            throw new ArgumentException($"A message to the queue {queue.Name} needs a SessionId of 1 to 128 characters.", nameof(message));
        }

        if (!Utf8.IsValid(message.Body.Span))
        {
            throw new ArgumentException("The body of a message must be UTF-8.", nameof(message));
        }

        if (Size(message) > maximumBytes)
        {
            throw new ArgumentException(
                string.Create(CultureInfo.InvariantCulture, $"A message with its properties has at most {maximumBytes} bytes; this one has {Size(message)}."),
                nameof(message));
        }
    }

    private static int Size(OutgoingMessage message) =>
        Overhead + message.Body.Length + BrokerProperties(message).Length + (Trace(message)?.Length ?? 0);

    private static List<ServiceBusRequest> Split(IReadOnlyList<OutgoingMessage> messages, int maximumBytes)
    {
        var requests = new List<ServiceBusRequest>();
        var elements = new List<ReadOnlyMemory<byte>>();
        var members = new List<OutgoingMessage>();
        var bytes = 0;
        foreach (var message in messages)
        {
            // The limit of a message holds for a batch too. What it counts is less than this JSON.
            var element = Element(message);
            var cost = element.Length + 1 + Overhead;
            if (members.Count > 0 && (members.Count == MaximumBatchCount || bytes + cost > maximumBytes))
            {
                Close();
            }

            members.Add(message);
            elements.Add(element);
            bytes += cost;
        }

        Close();
        return requests;

        void Close()
        {
            requests.Add(members.Count == 1 ? new(members[0], null, 1) : new(null, Join(elements), members.Count));
            members.Clear();
            elements.Clear();
            bytes = 0;
        }
    }

    private static byte[] Join(List<ReadOnlyMemory<byte>> elements)
    {
        var batch = new ArrayBufferWriter<byte>(elements.Sum(element => element.Length + 1) + 1);
        for (var i = 0; i < elements.Count; i++)
        {
            batch.Write(i == 0 ? "["u8 : ","u8);
            batch.Write(elements[i].Span);
        }

        batch.Write("]"u8);
        return batch.WrittenSpan.ToArray();
    }

    private static ReadOnlyMemory<byte> Element(OutgoingMessage message)
    {
        var buffer = new ArrayBufferWriter<byte>(message.Body.Length + 256);
        using var writer = new Utf8JsonWriter(buffer, BatchWriter);
        writer.WriteStartObject();
        writer.WriteString("Body", message.Body.Span);
        writer.WritePropertyName("BrokerProperties");
        WriteBrokerProperties(writer, message);
        if (Trace(message) is { } trace)
        {
            writer.WriteStartObject("UserProperties");
            writer.WriteString(TraceProperty, trace);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
        writer.Flush();
        return buffer.WrittenMemory;
    }

    /// <summary>ASCII, because it is a header: everything else is escaped.</summary>
    private static string BrokerProperties(OutgoingMessage message)
    {
        var buffer = new ArrayBufferWriter<byte>(256);
        using var writer = new Utf8JsonWriter(buffer);
        WriteBrokerProperties(writer, message);
        writer.Flush();
        return Encoding.ASCII.GetString(buffer.WrittenSpan);
    }

    private static void WriteBrokerProperties(Utf8JsonWriter writer, OutgoingMessage message)
    {
        writer.WriteStartObject();
        writer.WriteString("MessageId", message.MessageId);
        if (message.SessionId is not null)
        {
            writer.WriteString("SessionId", message.SessionId);
        }

        if (message.Subject is not null)
        {
            writer.WriteString("Label", message.Subject);
        }

        if (message.EnqueueAt is { } at)
        {
            // The form has whole seconds; never earlier than asked.
            var seconds = new DateTimeOffset(at.UtcTicks + TimeSpan.TicksPerSecond - 1, TimeSpan.Zero);
            writer.WriteString("ScheduledEnqueueTimeUtc", seconds.ToString("r", CultureInfo.InvariantCulture));
        }

        writer.WriteEndObject();
    }

    private static string? Trace(OutgoingMessage message) =>
        message.TraceParent is { } trace && ActivityContext.TryParse(trace, null, out _) ? trace : null;
}

/// <summary>One request: a single message, or the body of a batch.</summary>
internal sealed record ServiceBusRequest(OutgoingMessage? Single, byte[]? Batch, int Count);
