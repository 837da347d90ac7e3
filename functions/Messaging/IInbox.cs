namespace DingFlow.Messaging;

/// <summary>
/// The durable record of every accepted delivery. Intake writes it before it answers; the handler of the last of its events marks it
/// complete; the sweeper enqueues again what stays incomplete.
/// </summary>
public interface IInbox
{
    /// <summary>
    /// Stores a delivery and enqueues its work items, in that order. When this returns, the delivery is durable; the enqueueing gets
    /// at most <see cref="InboxTiming.EnqueueBudget"/>, after that it is left to the sweeper.
    /// </summary>
    Task<InboxReceipt> AcceptAsync(InboxDelivery delivery, CancellationToken cancellationToken);

    /// <summary>Reads the events of one work item, or <see langword="null"/> when the item is complete or unknown.</summary>
    Task<InboxWork?> ReadAsync(InboxReference reference, CancellationToken cancellationToken);

    /// <summary>Marks one work item done; calling it again does nothing.</summary>
    Task CompleteAsync(InboxReference reference, CancellationToken cancellationToken);

    /// <summary>
    /// Has one work item handled again at a later moment, under its next generation; the sweeper leaves it alone until then. When this
    /// returns, the message is on its way or the sweeper will send it.
    /// </summary>
    Task DeferAsync(InboxReference reference, DateTimeOffset until, CancellationToken cancellationToken);

    /// <summary>A stored delivery with its body and events; <see langword="null"/> when there is none.</summary>
    Task<StoredDelivery?> FindAsync(string deliveryId, CancellationToken cancellationToken);

    /// <summary>
    /// Has a stored delivery handled once more with the given events in place of those it was stored with, all its work items under
    /// generations never used before. Who asked, and why, is kept with it.
    /// </summary>
    /// <returns>How many work items were enqueued; <see langword="null"/> when there is no such delivery.</returns>
    Task<int?> ReplayAsync(string deliveryId, IReadOnlyList<PersonEvent> events, string principal, string reason, CancellationToken cancellationToken);

    /// <summary>Enqueues work items that were accepted or last enqueued longer ago than <see cref="InboxTiming.SweepAfter"/>. Returns how many.</summary>
    Task<int> SweepAsync(CancellationToken cancellationToken);
}

/// <summary>Times of the inbox.</summary>
public static class InboxTiming
{
    /// <summary>How long an answer waits for the enqueueing (DingTalk wants its answer within 1.5 s).</summary>
    public static TimeSpan EnqueueBudget { get; } = TimeSpan.FromMilliseconds(300);

    /// <summary>How long an incomplete work item is left alone before it is enqueued again.</summary>
    public static TimeSpan SweepAfter { get; } = TimeSpan.FromSeconds(30);
}

/// <summary>A verified and normalised delivery.</summary>
public sealed record InboxDelivery
{
    /// <summary>Who sent it: <c>hr/{source}</c> or <c>dingtalk/{tenant}</c>.</summary>
    public required string Source { get; init; }

    /// <summary>The sender's id of it; <see langword="null"/> when there is none, then the event's own time and the body stand in.</summary>
    public string? SenderId { get; init; }

    /// <summary>The event's own time, for the identity of a delivery without id.</summary>
    public DateTimeOffset? EventTime { get; init; }

    /// <summary>Changes of administrators and roles that the delivery tells of, for the audit trail; at most 15.</summary>
    public IReadOnlyList<ReportedRoleChange> RoleChanges { get; init; } = [];

    /// <summary>The body as received and verified (DingTalk: after decryption).</summary>
    public required ReadOnlyMemory<byte> Body { get; init; }

    /// <summary>
    /// What of the body tells a repetition from something new, where that is less than the whole: a sender may sign anew for each attempt.
    /// </summary>
    public ReadOnlyMemory<byte>? Content { get; init; }

    /// <summary>Which key verified it (an index into the source's secrets), for the evidence.</summary>
    public int VerifiedBy { get; init; }

    /// <summary>The name of the key that verified it, where the sender signs in with an API key or token.</summary>
    public string? VerifiedByKey { get; init; }

    /// <summary>It is what a sender hands over before it has a secret: nothing confirms who it is.</summary>
    public bool IsHandshake { get; init; }

    /// <summary>What it says; empty for events that need no work.</summary>
    public required IReadOnlyList<PersonEvent> Events { get; init; }
}

/// <summary>How a delivery was accepted.</summary>
/// <param name="DeliveryId">Our id of it; the same for a duplicate.</param>
/// <param name="Duplicate">It had been accepted before; nothing new was enqueued.</param>
/// <param name="IdReused">The sender used this id before for a different body; this is a second delivery, and an alert was raised.</param>
public sealed record InboxReceipt(string DeliveryId, bool Duplicate, bool IdReused);

/// <summary>Where a work item of the inbox lies.</summary>
public sealed record InboxReference(string Partition, string Row, int Item);

/// <summary>The events of one work item, with what the evidence needs to know of their delivery.</summary>
public sealed record InboxWork(
    string DeliveryId, string Source, DateTimeOffset ReceivedAt, int VerifiedBy, string BodyHash, IReadOnlyList<PersonEvent> Events)
{
    /// <summary>How often it was enqueued before, since it was accepted or last replayed.</summary>
    public int Attempt { get; init; }
}

/// <summary>A delivery as it is kept.</summary>
public sealed record StoredDelivery(
    string DeliveryId, string Source, DateTimeOffset ReceivedAt, ReadOnlyMemory<byte> Body, IReadOnlyList<PersonEvent> Events);
