using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>One sweep over the work items that are not complete: enqueues again what is due, tells people what has waited too long.</summary>
/// <remarks>
/// A message is sent first and remembered second. A crash in between sends the same <c>MessageId</c> again, which the queue's duplicate
/// detection or the handler drops; the other order could lose it. Each repetition doubles the wait, so that a long backlog is not made
/// longer by its own repetitions.
/// </remarks>
internal sealed partial class InboxSweep(
    IEntityStore store, IMessageQueue queue, IAlertSender alerts, IInboxGate gate, TimeProvider timeProvider, ILogger logger)
{
    private const int PageSize = 100;
    private const int MaxDoublings = 5;
    private static readonly TimeSpan AlertAfter = TimeSpan.FromMinutes(15);

    private readonly DateTimeOffset _now = timeProvider.GetUtcNow();

    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        var enqueued = 0;
        foreach (var partition in InboxRows.Partitions)
        {
            string? continuation = null;
            do
            {
                var page = await store.QueryAsync(
                    InboxRows.Table, partition, RowKeyRange.StartingWith(InboxRows.PendingPrefix), PageSize, continuation, cancellationToken);
                enqueued += await SweepAsync(page.Entities.Select(InboxRows.ReadPending), cancellationToken);
                continuation = page.Continuation;
            }
            while (continuation is not null);
        }

        if (enqueued > 0)
        {
            Log.Enqueued(logger, enqueued);
        }

        return enqueued;
    }

    private async Task<int> SweepAsync(IEnumerable<PendingItem> items, CancellationToken cancellationToken)
    {
        var open = new List<PendingItem>();
        foreach (var item in items)
        {
            if (!await gate.IsHeldAsync(item.Source, cancellationToken))
            {
                open.Add(item);
            }
        }

        var due = open.Where(item => item.EnqueuedAt + WaitOf(item) <= _now).ToList();
        var late = open.Where(item => !item.Alerted && item.AcceptedAt + AlertAfter <= _now).ToList();
        if (due.Count == 0 && late.Count == 0)
        {
            return 0;
        }

        var sent = await SendAsync(due, cancellationToken) ? due.ToHashSet() : [];
        var told = await TellAsync(late, cancellationToken);
        EntityTransaction[] changes =
        [
            .. sent.Union(told).Select(item => EntityTransaction.Of(InboxRows.Table, EntityOperation.Replace(InboxRows.ToEntity(item with
            {
                EnqueuedAt = sent.Contains(item) ? _now : item.EnqueuedAt,
                Generation = sent.Contains(item) ? item.Generation + 1 : item.Generation,
                Alerted = item.Alerted || told.Contains(item),
            })))),
        ];
        if (changes.Length > 0)
        {
            // A row that is gone was completed meanwhile; one with another ETag was swept by another instance.
            await store.SubmitManyAsync(changes, cancellationToken);
        }

        return sent.Count;
    }

    private static TimeSpan WaitOf(PendingItem item) => InboxTiming.SweepAfter * (1 << Math.Min(item.Attempt, MaxDoublings));

    private async Task<bool> SendAsync(List<PendingItem> due, CancellationToken cancellationToken)
    {
        if (due.Count == 0)
        {
            return false;
        }

        try
        {
            foreach (var ofQueue in due.GroupBy(static item => item.Queue))
            {
                await queue.SendAsync(ofQueue.Key, [.. ofQueue.Select(static item => item.ToMessage(item.Generation + 1))], cancellationToken);
            }

            foreach (var item in due.Where(static item => item.IdReused))
            {
                // Its alert went the same way as its message, so it may have been lost with it.
                await alerts.SendAsync(InboxAlerts.IdReused(item.Source, item.DeliveryId, item.AcceptedAt), cancellationToken);
            }

            return true;
        }
        catch (MessageQueueException exception)
        {
            Log.SendFailed(logger, due.Count, exception);
            return false;
        }
    }

    private async Task<HashSet<PendingItem>> TellAsync(List<PendingItem> late, CancellationToken cancellationToken)
    {
        var told = new HashSet<PendingItem>();
        foreach (var ofSource in late.GroupBy(static item => item.Source))
        {
            var oldest = ofSource.MinBy(static item => (item.AcceptedAt, item.DeliveryId))!;
            try
            {
                await alerts.SendAsync(InboxAlerts.Stuck(oldest.Source, oldest.DeliveryId, ofSource.Count(), _now), cancellationToken);
                told.UnionWith(ofSource);
            }
            catch (MessageQueueException exception)
            {
                Log.AlertFailed(logger, oldest.Source, exception);
            }
        }

        return told;
    }

    private static partial class Log
    {
        [LoggerMessage(11, LogLevel.Information, "Enqueued {Count} work items of the inbox again")]
        public static partial void Enqueued(ILogger logger, int count);

        [LoggerMessage(12, LogLevel.Error, "The queue did not take {Count} work items of the inbox; the next sweep tries again")]
        public static partial void SendFailed(ILogger logger, int count, Exception exception);

        [LoggerMessage(13, LogLevel.Error, "The alert on unhandled deliveries of {Source} could not be sent; the next sweep tries again")]
        public static partial void AlertFailed(ILogger logger, string source, Exception exception);
    }
}

/// <summary>Removes deliveries that are complete and older than the retention.</summary>
internal static class InboxPruning
{
    private const int PageSize = 100;

    public static async Task<int> RunAsync(IEntityStore store, DateTimeOffset receivedBefore, CancellationToken cancellationToken)
    {
        var removed = 0;
        foreach (var partition in InboxRows.Partitions)
        {
            string? continuation = null;
            do
            {
                var page = await store.QueryAsync(
                    InboxRows.Table, partition, InboxRows.ReceivedBefore(receivedBefore), PageSize, continuation, cancellationToken);
                removed += await RemoveAsync(store, partition, page.Entities, cancellationToken);
                continuation = page.Continuation;
            }
            while (continuation is not null);
        }

        return removed;
    }

    private static async Task<int> RemoveAsync(
        IEntityStore store, string partition, IReadOnlyList<Entity> timeRows, CancellationToken cancellationToken)
    {
        var removals = new List<EntityTransaction>();
        foreach (var timeRow in timeRows)
        {
            var id = InboxRows.IdOfTimeRow(timeRow.RowKey);
            // Read before its work items are looked for: a replay in between changes it, and it stays.
            var delivery = await store.GetAsync(InboxRows.Table, partition, InboxRows.DeliveryRow(id), cancellationToken);
            var pending = await store.QueryAsync(
                InboxRows.Table, partition, RowKeyRange.StartingWith($"{InboxRows.PendingPrefix}{id}|"), 1, null, cancellationToken);
            if (pending.Entities.Count == 0 && pending.Continuation is null)
            {
                removals.Add(new EntityTransaction(
                    InboxRows.Table,
                    [
                        EntityOperation.Delete(partition, timeRow.RowKey),
                        .. delivery is null ? Array.Empty<EntityOperation>() : [EntityOperation.Delete(partition, InboxRows.DeliveryRow(id), delivery.ETag)],
                    ]));
            }
        }

        return removals.Count == 0 ? 0 : (await store.SubmitManyAsync(removals, cancellationToken)).Count(static result => result.Committed);
    }
}
