using System.Collections.Concurrent;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// The outbox for changes of other stores, such as the subject ledger's. Before such a change is made, a row of it and the entry that says
/// so are written in one transaction; afterwards the row goes and the entry of what came of it is written in another. When the process ends
/// in between, the row is left, and a sweep asks the other store what it really holds and writes that: so at rest there is neither a
/// changed state without an entry, nor an entry of something begun without one of what came of it.
/// </summary>
/// <remarks>
/// Several instances share the journal. An owner renews a lease while it works; a sweep settles only what nobody has a lease of. A process
/// that slept longer than its lease finds the change settled, and begins it anew before it goes on.
/// </remarks>
public sealed partial class ChangeJournal(
    IEntityStore store, IAuditTrail trail, Lazy<IEnumerable<IChangeSettler>> settlers, TimeProvider time, ILogger<ChangeJournal> logger)
{
    private const int PageSize = 200;

    /// <summary>How long a settled change is remembered for an owner that only slept.</summary>
    private static readonly TimeSpan SettledAge = TimeSpan.FromDays(1);

    private readonly string _owner = Guid.NewGuid().ToString("n");
    private readonly ConcurrentDictionary<string, bool> _inHand = new(StringComparer.Ordinal);

    /// <summary>
    /// Says that a change is about to be made. Its row and entries are durable when this returns; it is then to be made, and ended with
    /// <see cref="ChangeUnderWay.EndAsync"/>. A change that is disposed of without an end is settled once its lease has run out.
    /// </summary>
    /// <exception cref="EntityStoreException">The store is down: the change must not be made.</exception>
    public async Task<ChangeUnderWay> BeginAsync(IntendedChange intended, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(intended);
        var now = time.GetUtcNow();
        var change = new OpenChange
        {
            Id = AuditRandom.Id(now), Owner = _owner, BegunAt = now, LeaseUntil = now + ChangeUnderWay.Lease, Content = OpenChangeContent.Of(intended, now),
        };
        _inHand[change.Id] = true;
        try
        {
            var result = await trail.SubmitAsync(
                EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(change.ToRow())), change.Begun(), cancellationToken);
            return result.Committed
                ? new ChangeUnderWay(store, trail, change with { ETag = result.ETags[0] }, time, logger, () => _inHand.TryRemove(change.Id, out _))
                : throw new EntityStoreException("Another change has the same random id.");
        }
        catch
        {
            // Whether it was written nobody knows: a sweep looks.
            _inHand.TryRemove(change.Id, out _);
            throw;
        }
    }

    /// <summary>
    /// Writes what came of changes whose process ended within them. Returns how many were settled; those that cannot be told now stay.
    /// </summary>
    public async Task<int> SettleAsync(CancellationToken cancellationToken)
    {
        var settled = 0;
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(
                AuditRows.TrailTable, OpenChange.Partition, AuditOutbox.RowsBefore(), PageSize, continuation, cancellationToken);
            foreach (var row in page.Entities)
            {
                settled += await SettleAsync(row, cancellationToken) ? 1 : 0;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
        return settled;
    }

    private async Task<bool> SettleAsync(Entity row, CancellationToken cancellationToken)
    {
        try
        {
            var change = OpenChange.Read(row);
            if (change.IsSettled)
            {
                if (change.LeaseUntil + SettledAge < time.GetUtcNow())
                {
                    // ETagMismatch or NotFound: somebody else was quicker, or its owner woke up.
                    await store.SubmitAsync(
                        EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(OpenChange.Partition, change.Id, change.ETag)), cancellationToken);
                }

                return false;
            }

            return !IsOwned(change) && await SettleAsync(change, cancellationToken);
        }
#pragma warning disable CA1031 // One change that cannot be settled now must not keep the others from it. It stays, and is tried again.
        catch (Exception exception) when (exception is not OperationCanceledException)
#pragma warning restore CA1031
        {
            Log.NotSettled(logger, row.RowKey, exception);
            return false;
        }
    }

    /// <summary>Somebody may still be at it.</summary>
    private bool IsOwned(OpenChange change) => _inHand.ContainsKey(change.Id)
        || (change.LeaseUntil > time.GetUtcNow() && !(store.IsExclusive && change.Owner != _owner));

    private async Task<bool> SettleAsync(OpenChange change, CancellationToken cancellationToken)
    {
        var settler = settlers.Value.FirstOrDefault(one => one.Knows(change.Content.Question))
            ?? throw new InvalidOperationException($"Nobody knows what became of a change of the kind {change.Content.Question}.");
        if (await settler.SettleAsync(change.Content.Question, change.Content.Arguments, change.BegunAt, cancellationToken) is not { } settlement)
        {
            return false;
        }

        var found = settlement.Found.Append(new("settled", "interrupted"));
        var result = await trail.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Replace((change with { IsSettled = true }).ToRow())),
            change.Ended(settlement.Outcome, found), cancellationToken);
        if (result.Committed)
        {
            Log.Settled(logger, change.Id, change.Content.Question, settlement.Outcome);
        }

        // Otherwise another instance was quicker, or its owner is alive after all.
        return result.Committed;
    }

    private static partial class Log
    {
        [LoggerMessage(21, LogLevel.Warning, "A process ended within the change {Change} ({Question}); the trail now says what came of it: {Outcome}")]
        public static partial void Settled(ILogger logger, string change, string question, AuditOutcome outcome);

        [LoggerMessage(22, LogLevel.Error, "What came of the change {Change} could not be found out; the next sweep tries again")]
        public static partial void NotSettled(ILogger logger, string change, Exception exception);
    }
}
