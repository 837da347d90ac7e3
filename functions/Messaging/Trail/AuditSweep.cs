using System.Text.Json;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// Moves events into their chains that wait beside the state they describe, because the process that wrote them died or could not reach
/// the store again.
/// </summary>
internal sealed partial class AuditSweep(
    IEntityStore store, string ownChain, TimeProvider time, Func<string, bool> isInHand,
    Func<IReadOnlyList<WaitingEvent>, CancellationToken, Task> appendToOwn, ILogger logger)
{
    private const int PageSize = 200;

    /// <summary>A row of another process that is younger is still in that process's hands. Only to save work: moving it twice does no harm.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    /// <summary>A place is forgotten when it is empty and no process can still write to it under that day.</summary>
    private static readonly TimeSpan PlaceAge = TimeSpan.FromDays(2);

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        var moved = 0;
        var rows = await PlacesAsync(cancellationToken);
        var forgotten = AuditRows.DayOf(time.GetUtcNow() - PlaceAge);
        foreach (var ofPlace in rows.GroupBy(static row => PlaceOf(row)))
        {
            var (found, isEmpty) = await SweepAsync(ofPlace.Key, cancellationToken);
            moved += found;
            foreach (var old in ofPlace.Where(row => isEmpty && string.CompareOrdinal(row.RowKey[..8], forgotten) < 0))
            {
                // NotFound: another instance was quicker.
                await store.SubmitAsync(
                    EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(AuditRows.OutboxPartition, old.RowKey)), cancellationToken);
            }
        }

        return moved;
    }

    /// <summary>Removes rows whose events are in their chain.</summary>
    public static async Task RemoveAsync(IEntityStore store, IEnumerable<PlacedRow> rows, CancellationToken cancellationToken)
    {
        List<EntityTransaction> removals =
        [
            .. rows.GroupBy(static one => one.Place).SelectMany(static ofPlace => ofPlace
                .Select(one => EntityOperation.Delete(ofPlace.Key.Partition, AuditOutbox.RowPrefix + one.Id))
                .Chunk(EntityLimits.OperationsPerTransaction)
                .Select(chunk => EntityTransaction.Of(ofPlace.Key.Table, chunk))),
        ];
        if (removals.Count == 0)
        {
            return;
        }

        var results = await store.SubmitManyAsync(removals, cancellationToken);

        // NotFound: another process has moved one of them. The others go one by one.
        List<EntityTransaction> singles =
        [
            .. removals.Where((removal, i) => !results[i].Committed && removal.Operations.Count > 1)
                .SelectMany(static removal => removal.Operations.Select(operation => EntityTransaction.Of(removal.Table, operation))),
        ];
        if (singles.Count > 0)
        {
            await store.SubmitManyAsync(singles, cancellationToken);
        }
    }

    private static Place PlaceOf(Entity row) => new(row.Properties.Require<string>("Table"), row.Properties.Require<string>("Partition"));

    private async Task<List<Entity>> PlacesAsync(CancellationToken cancellationToken)
    {
        List<Entity> places = [];
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(
                AuditRows.TrailTable, AuditRows.OutboxPartition, RowKeyRange.All, PageSize, continuation, cancellationToken);
            places.AddRange(page.Entities);
            continuation = page.Continuation;
        }
        while (continuation is not null);
        return places;
    }

    private async Task<(int Moved, bool IsEmpty)> SweepAsync(Place place, CancellationToken cancellationToken)
    {
        var (moved, isEmpty) = (0, true);
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(
                place.Table, place.Partition, RowKeyRange.StartingWith(AuditOutbox.RowPrefix), PageSize, continuation, cancellationToken);
            isEmpty &= page.Entities.Count == 0;
            var due = page.Entities.Select(Read).OfType<WaitingRow>().Where(IsDue).ToList();
            foreach (var ofChain in due.SelectMany(static row => row.Events).GroupBy(static waiting => waiting.Chain))
            {
                await MoveAsync(ofChain.Key, [.. ofChain.OrderBy(static waiting => waiting.StagedAt)], cancellationToken);
            }

            await RemoveAsync(store, due.Select(row => new PlacedRow(place, row.Id)), cancellationToken);
            moved += due.Sum(static row => row.Events.Count);
            continuation = page.Continuation;
        }
        while (continuation is not null);
        return (moved, isEmpty);
    }

    private bool IsDue(WaitingRow row) => row.Events[0] is var first && first.Chain == ownChain
        ? !isInHand(row.Id)
        : time.GetUtcNow() - row.Events[0].StagedAt >= Patience;

    private Task MoveAsync(string chain, List<WaitingEvent> events, CancellationToken cancellationToken) =>
        chain == ownChain
            ? appendToOwn(events, cancellationToken)
            : new AuditChain(store, chain, time).AppendAsync(events, mayBeOurs: true, cancellationToken);

    private WaitingRow? Read(Entity row)
    {
        try
        {
            return AuditRows.ReadWaiting(row);
        }
        catch (Exception exception) when (exception is KeyNotFoundException or InvalidCastException or ArgumentException or InvalidDataException or JsonException)
        {
            // It must not keep the others from the chain, and it must not be thrown away.
            Log.Damaged(logger, row.RowKey, exception);
            return null;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(11, LogLevel.Critical, "The event {Row} that waits for the audit trail is damaged and stays where it is")]
        public static partial void Damaged(ILogger logger, string row, Exception exception);
    }
}
