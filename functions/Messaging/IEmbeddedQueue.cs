namespace DingFlow.Messaging;

/// <summary>
/// The receiving side of the durable queue that stands in for Service Bus on one machine: peek-lock, sessions in order, delays,
/// duplicate detection, dead-lettering. Only the standalone host uses it.
/// </summary>
public interface IEmbeddedQueue : IMessageQueue
{
    /// <summary>
    /// Waits for a message that may be delivered now and locks it for <see cref="QueueDefinition.LockDuration"/>. Of a session, one
    /// message at most is locked at any time, in the order of sending.
    /// </summary>
    Task<LockedMessage> ReceiveAsync(QueueDefinition queue, CancellationToken cancellationToken);

    /// <summary>Removes the message. <see langword="false"/>: the lock was lost, so the message will be (or was) delivered again.</summary>
    Task<bool> CompleteAsync(LockedMessage message, CancellationToken cancellationToken);

    /// <summary>
    /// Gives the message back for delivery at once, or dead-letters it with <paramref name="reason"/> when it has been delivered
    /// <see cref="QueueDefinition.MaxDeliveryCount"/> times. <see langword="false"/>: the lock was lost.
    /// </summary>
    Task<bool> AbandonAsync(LockedMessage message, string reason, CancellationToken cancellationToken);

    /// <summary>Extends the lock by another <see cref="QueueDefinition.LockDuration"/> from now. <see langword="false"/>: the lock was lost.</summary>
    Task<bool> RenewAsync(LockedMessage message, CancellationToken cancellationToken);

    /// <summary>The dead-lettered messages of a queue, oldest first, at most so many.</summary>
    Task<IReadOnlyList<DeadLetter>> ReadDeadLettersAsync(QueueDefinition queue, int maximum, CancellationToken cancellationToken);

    /// <summary>Forgets a dead letter; doing it again does nothing.</summary>
    Task RemoveDeadLetterAsync(DeadLetter letter, QueueDefinition queue, CancellationToken cancellationToken);
}

/// <summary>A message under a lock.</summary>
public sealed record LockedMessage(ReceivedMessage Message, QueueDefinition Queue, long SequenceNumber, Guid LockToken, DateTimeOffset LockedUntil);

/// <summary>A message that was delivered too often, and why.</summary>
public sealed record DeadLetter(ReceivedMessage Message, long SequenceNumber, string Reason, DateTimeOffset At);
