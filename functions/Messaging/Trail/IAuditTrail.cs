using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// The audit trail: append-only, each entry chained to the one before. Entries are never lost, doubled or reordered, whatever dies when.
/// </summary>
/// <remarks>
/// Where a decision changes the store, use <see cref="SubmitAsync(EntityTransaction, IReadOnlyList{AuditEvent}, CancellationToken)"/> in
/// place of the store's own method: the entry then exists exactly if the change does, and nothing waits for the trail. Where there is no
/// change, use <see cref="AppendAsync"/>.
/// </remarks>
public interface IAuditTrail
{
    /// <summary>Appends an event. It is in the chain and durable when this returns; concurrent calls share one write.</summary>
    /// <exception cref="EntityStoreException">The store is down: whatever must not happen without an entry must not happen now.</exception>
    Task AppendAsync(AuditEvent auditEvent, CancellationToken cancellationToken);

    /// <summary>
    /// Submits a transaction together with the events that describe it, all or none. The events travel as rows of the same table and
    /// partition (row keys begin with <see cref="AuditOutbox.RowPrefix"/>, which sorts behind all others) and are moved into the chain at
    /// once, or by a sweep after a crash. The result is that of the transaction without them.
    /// </summary>
    /// <param name="transaction">At most 100 operations, the events included. Whoever reads the whole partition bounds the range with <see cref="AuditOutbox.RowsBefore"/>.</param>
    /// <param name="events">What it means, one entry each.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    Task<TransactionResult> SubmitAsync(EntityTransaction transaction, IReadOnlyList<AuditEvent> events, CancellationToken cancellationToken);

    /// <summary>
    /// Submits many transactions as the store does, each with its events. Results stand in the order of the input.
    /// </summary>
    Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<AuditedTransaction> transactions, CancellationToken cancellationToken);
}

/// <summary>A transaction and the events that describe it.</summary>
public sealed record AuditedTransaction(EntityTransaction Transaction, IReadOnlyList<AuditEvent> Events);

/// <summary>What others need to know of the rows in which events wait beside the state that they describe.</summary>
public static class AuditOutbox
{
    /// <summary>How their row keys begin: <c>~</c> sorts behind every letter and digit.</summary>
    public const string RowPrefix = "~audit|";

    /// <summary>All rows of a partition but these.</summary>
    public static RowKeyRange RowsBefore(string? from = null) => new(from, RowPrefix);
}
