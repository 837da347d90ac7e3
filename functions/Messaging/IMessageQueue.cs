namespace DingFlow.Messaging;

/// <summary>Sends messages to a queue. Receiving is the business of the Functions host, or of the standalone host in its place.</summary>
public interface IMessageQueue
{
    /// <summary>
    /// Sends messages; all of them are durable when the call returns. If it throws, some may have been sent: send them all again, the
    /// queue drops those whose <see cref="OutgoingMessage.MessageId"/> it has seen within its duplicate detection window.
    /// </summary>
    /// <exception cref="MessageQueueException">The queue cannot be reached or refuses.</exception>
    /// <exception cref="ArgumentException">A message breaks a limit, or lacks the session that its queue needs.</exception>
    Task SendAsync(QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, CancellationToken cancellationToken);
}

/// <summary>A message to send.</summary>
public sealed record OutgoingMessage
{
    /// <summary>Deterministic identity, at most 128 characters; a replay appends its generation.</summary>
    public required string MessageId { get; init; }

    /// <summary>Messages of one session are handled one after another, in order. At most 128 characters; needed where the queue requires sessions.</summary>
    public string? SessionId { get; init; }

    /// <summary>UTF-8 JSON object. No property may be named like a system property of Service Bus (the Functions host copies body properties over them).</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>Not to be delivered before this moment.</summary>
    public DateTimeOffset? EnqueueAt { get; init; }

    /// <summary>What the message is, for people and filters.</summary>
    public string? Subject { get; init; }

    /// <summary>W3C trace context of the work that sends it. The default is that of <see cref="System.Diagnostics.Activity.Current"/>.</summary>
    public string? TraceParent { get; init; } = System.Diagnostics.Activity.Current?.Id;
}

/// <summary>A message as a function receives it, whichever host delivered it.</summary>
public sealed record ReceivedMessage
{
    /// <summary>The queue it came from.</summary>
    public required string Queue { get; init; }

    /// <summary>The sender's identity of it.</summary>
    public required string MessageId { get; init; }

    /// <summary>The session, on queues that have them.</summary>
    public string? SessionId { get; init; }

    /// <summary>1 for the first delivery.</summary>
    public required int DeliveryCount { get; init; }

    /// <summary>When it became visible, UTC.</summary>
    public DateTimeOffset? EnqueuedAt { get; init; }

    /// <summary>UTF-8 JSON.</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>What the message is.</summary>
    public string? Subject { get; init; }

    /// <summary>W3C trace context of the sender.</summary>
    public string? TraceParent { get; init; }

    /// <summary>Why the queue gave the message up, where it comes from a dead-letter queue and somebody said.</summary>
    public string? DeadLetterReason { get; init; }
}

/// <summary>The queue could not be reached or refused; the message is not at fault.</summary>
public sealed class MessageQueueException : Exception
{
    /// <summary>Creates the exception.</summary>
    public MessageQueueException(string message, Exception? innerException = null) : base(message, innerException) { }
}
