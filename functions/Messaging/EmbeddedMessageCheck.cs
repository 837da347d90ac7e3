using System.Text;
using System.Text.Unicode;

namespace DingFlow.Messaging;

/// <summary>
/// Refuses what Service Bus Standard would refuse, so that what passes on one machine passes in Azure. No message repeats an id or a
/// body. Source: "Service Bus quotas", Microsoft Learn.
/// </summary>
internal static class EmbeddedMessageCheck
{
    private const int IdLength = 128;
    private const int MessageBytes = 256 * 1024;

    /// <summary>What the properties take besides their texts, amply: names, markup, what the service adds.</summary>
    private const int Overhead = 1024;

    public static void Messages(QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages)
    {
        ArgumentNullException.ThrowIfNull(queue);
        ArgumentNullException.ThrowIfNull(messages);
        foreach (var message in messages)
        {
            if (string.IsNullOrEmpty(message.MessageId) || message.MessageId.Length > IdLength)
            {
                throw new ArgumentException("A MessageId has 1 to 128 characters.", nameof(messages));
            }

            if (message.SessionId is { Length: 0 or > IdLength } || (message.SessionId is null && queue.RequiresSession))
            {
                throw new ArgumentException($"A message to the queue {queue.Name} needs a SessionId of 1 to 128 characters.", nameof(messages));
            }

            if (!Utf8.IsValid(message.Body.Span))
            {
                throw new ArgumentException("The body of a message must be UTF-8.", nameof(messages));
            }

            if (Size(message) > MessageBytes)
            {
                throw new ArgumentException("A message with its properties has at most 256 KiB.", nameof(messages));
            }
        }
    }

    private static int Size(OutgoingMessage message) =>
        Overhead + message.Body.Length + Bytes(message.MessageId) + Bytes(message.SessionId) + Bytes(message.Subject) + Bytes(message.TraceParent);

    private static int Bytes(string? text) => text is null ? 0 : Encoding.UTF8.GetByteCount(text);
}
