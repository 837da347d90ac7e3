using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>The inbox over the entity store. One transaction accepts a delivery; one deletion completes a work item.</summary>
public sealed partial class Inbox(
    IEntityStore store, IAuditTrail trail, AuditPseudonyms pseudonyms, IMessageQueue queue, IAlertSender alerts, IInboxGate gate, InboxOptions options,
    TimeProvider timeProvider, ILogger<Inbox> logger)
    : IInbox, IAsyncDisposable
{
    /// <summary>Events that one delivery may hold: what fits into one transaction.</summary>
    public const int MaxEvents = MaxItems * MaxEventsPerItem;

    /// <summary>Bytes that a body may have, so that the row stays within the limits of an entity.</summary>
    public const int MaxBodyBytes = 512 * 1024;

    private const int MaxItems = 80;
    private const int MaxRoleChanges = 15;
    private const int MaxEventsPerItem = 50;

    /// <summary>How long a stop waits for messages that are still on their way; what is not sent by then is the sweeper's.</summary>
    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    private readonly ConcurrentDictionary<Task, bool> _sending = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Lazy<InboxKeys> _keys = new(() => new InboxKeys(options));
    private bool _isDisposed;

    /// <summary>Goes through what a delivery goes through before it is stored.</summary>
    internal static void WarmUp()
    {
        const string id = "warm-up";
        var keys = new InboxKeys(new InboxOptions { EncryptionKey = new byte[InboxOptions.KeyBytes] });
        var sample = new PersonEvent { Kind = PersonEventKind.Terminated, Source = id, EmployeeId = "0" };
        var delivery = new InboxDelivery { Source = id, Body = SHA256.HashData("{}"u8), Events = [sample] };
        keys.SessionOf(sample);
        keys.Encrypt(InboxPayload.Pack(delivery.Body, delivery.Events).Span, id);
        var auditEvent = InboxAudit.Repeated(delivery, id, Convert.ToHexStringLower(delivery.Body.Span));
        AuditRows.Waiting(id, AuditRows.Wait([WaitingEvent.Of(auditEvent, id, after: 0, DateTimeOffset.UnixEpoch)]).First());
    }

    /// <inheritdoc/>
    public async Task<InboxReceipt> AcceptAsync(InboxDelivery delivery, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(delivery);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(delivery.Body.Length, MaxBodyBytes, nameof(delivery));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(delivery.Events.Count, MaxEvents, nameof(delivery));
        var bodyHash = Convert.ToHexStringLower(SHA256.HashData(delivery.Body.Span));
        var contentHash = delivery.Content is { } content ? Convert.ToHexStringLower(SHA256.HashData(content.Span)) : null;
        var hashes = new DeliveryHashes(bodyHash, contentHash);
        var id = InboxRows.IdOf(delivery, hashes.Identity);
        if (await TryStoreAsync(delivery, id, hashes, idReused: false, cancellationToken))
        {
            return new InboxReceipt(id, Duplicate: false, IdReused: false);
        }

        if (await FindAsync(id, cancellationToken) is { } known && (known.ContentHash ?? known.BodyHash) == hashes.Identity)
        {
            await trail.AppendAsync(InboxAudit.Repeated(delivery, id, bodyHash), cancellationToken);
            return new InboxReceipt(id, Duplicate: true, IdReused: false);
        }

        // Two leavers under one delivery id: neither may be lost.
        var second = InboxRows.IdOfReuse(id, hashes.Identity);
        var stored = await TryStoreAsync(delivery, second, hashes, idReused: true, cancellationToken);
        return new InboxReceipt(second, Duplicate: !stored, IdReused: true);
    }

    /// <inheritdoc/>
    public async Task<InboxWork?> ReadAsync(InboxReference reference, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(reference);
        var pending = await store.GetAsync(
            InboxRows.Table, reference.Partition, InboxRows.PendingRow(reference.Row, reference.Item), cancellationToken);
        if (pending is null)
        {
            return null;
        }

        var record = await FindAsync(reference.Row, cancellationToken)
            ?? throw new InvalidDataException($"Delivery {reference.Row} has pending work but is not in the inbox.");
        var (_, events) = InboxPayload.Unpack(_keys.Value.Decrypt(record.KeyId, record.Encrypted, record.Id));
        return new InboxWork(
            record.Id, record.Source, record.ReceivedAt, record.VerifiedBy, record.BodyHash,
            SlicesOf(events, record.ItemSize).ElementAtOrDefault(reference.Item) is { Count: > 0 } slice ? [.. events.Skip(slice.First).Take(slice.Count)] : []) { Attempt = InboxRows.ReadPending(pending).Attempt };
    }

    /// <inheritdoc/>
    public async Task CompleteAsync(InboxReference reference, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(reference);
        // NotFound means that it is complete already.
        await store.SubmitAsync(
            EntityTransaction.Of(InboxRows.Table, EntityOperation.Delete(reference.Partition, InboxRows.PendingRow(reference.Row, reference.Item))),
            cancellationToken);
    }

    /// <inheritdoc/>
    public async Task DeferAsync(InboxReference reference, DateTimeOffset until, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(reference);
        if (await store.GetAsync(
            InboxRows.Table, reference.Partition, InboxRows.PendingRow(reference.Row, reference.Item), cancellationToken) is not { } entity)
        {
            return; // Completed meanwhile.
        }

        var item = InboxRows.ReadPending(entity);
        var later = item with { Generation = item.Generation + 1, EnqueuedAt = until };
        // The row first: if the message is lost, the sweeper finds it overdue. A row with another ETag was swept meanwhile; then its
        // message is on its way.
        if ((await store.SubmitAsync(
            EntityTransaction.Of(InboxRows.Table, EntityOperation.Replace(InboxRows.ToEntity(later))), cancellationToken)).Committed)
        {
            await queue.SendAsync(later.Queue, [later.ToMessage(later.Generation, until)], cancellationToken);
        }
    }

    /// <inheritdoc/>
    async Task<StoredDelivery?> IInbox.FindAsync(string deliveryId, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(deliveryId);
        if (await FindAsync(deliveryId, cancellationToken) is not { } record)
        {
            return null;
        }

        var (body, events) = InboxPayload.Unpack(_keys.Value.Decrypt(record.KeyId, record.Encrypted, record.Id));
        return new StoredDelivery(record.Id, record.Source, record.ReceivedAt, body, events);
    }

    /// <inheritdoc/>
    public async Task<int?> ReplayAsync(
        string deliveryId, IReadOnlyList<PersonEvent> events, string principal, string reason, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(events);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(events.Count, MaxEvents, nameof(events));
        while (true)
        {
            if (await FindAsync(deliveryId, cancellationToken) is not { } record)
            {
                return null;
            }

            var (body, _) = InboxPayload.Unpack(_keys.Value.Decrypt(record.KeyId, record.Encrypted, record.Id));
            var now = timeProvider.GetUtcNow();
            var replay = record with
            {
                Replays = record.Replays + 1,
                ReplayedAt = now,
                ReplayedBy = principal,
                ReplayReason = reason,
                KeyId = _keys.Value.CurrentKeyId,
                ItemSize = ItemSizeOf(events.Count),
                Encrypted = _keys.Value.Encrypt(InboxPayload.Pack(body, events).Span, record.Id),
            };
            var items = ItemsOf(record.Id, record.Source, events, replay.ItemSize, now, idReused: false, replay.Replays * InboxRows.GenerationsPerReplay);
            if ((await trail.SubmitAsync(InboxRows.Replay(replay, items), [InboxAudit.Replayed(replay)], cancellationToken)).Committed)
            {
                await EnqueueWithinBudgetAsync(record.Source, record.Id, items, idReused: false);
                return items.Count;
            }
        }
    }

    /// <inheritdoc/>
    public Task<int> SweepAsync(CancellationToken cancellationToken) =>
        new InboxSweep(store, queue, alerts, gate, timeProvider, logger).RunAsync(cancellationToken);

    /// <summary>Removes completed deliveries that were received longer ago than <see cref="InboxOptions.Retention"/>. Returns how many.</summary>
    public Task<int> PruneAsync(CancellationToken cancellationToken) =>
        InboxPruning.RunAsync(store, timeProvider.GetUtcNow() - options.Retention, cancellationToken);

    /// <summary>Waits for the messages that are still on their way.</summary>
    public async ValueTask DisposeAsync()
    {
        // The container knows it under two names and disposes of it under both.
        if (Interlocked.Exchange(ref _isDisposed, true))
        {
            return;
        }

        try
        {
            await Task.WhenAll(_sending.Keys).WaitAsync(StopTimeout, timeProvider);
        }
        catch (TimeoutException)
        {
            Log.StoppedWhileSending(logger, _sending.Count);
            await _stop.CancelAsync();
        }

        _stop.Dispose();
    }

    private async Task<bool> TryStoreAsync(InboxDelivery delivery, string id, DeliveryHashes hashes, bool idReused, CancellationToken cancellationToken)
    {
        var now = timeProvider.GetUtcNow();
        var itemSize = ItemSizeOf(delivery.Events.Count);
        var record = new InboxRecord
        {
            Id = id,
            Source = delivery.Source,
            SenderId = delivery.SenderId,
            ReceivedAt = now,
            BodyHash = hashes.Body,
            ContentHash = hashes.Content,
            VerifiedBy = delivery.VerifiedBy,
            KeyId = _keys.Value.CurrentKeyId,
            ItemSize = itemSize,
            Encrypted = _keys.Value.Encrypt(InboxPayload.Pack(delivery.Body, delivery.Events).Span, id),
        };
        var items = ItemsOf(id, delivery.Source, delivery.Events, itemSize, now, idReused, generation: 0);
        var result = await trail.SubmitAsync(
            InboxRows.Insert(record, items), [InboxAudit.Accepted(delivery, record, idReused, pseudonyms), .. InboxAudit.RoleChanges(delivery, record, pseudonyms).Take(MaxRoleChanges)], cancellationToken);
        if (!result.Committed)
        {
            return result.Outcome == TransactionOutcome.AlreadyExists
                ? false
                : throw new EntityStoreException($"The inbox could not take a delivery: {result.Outcome}.");
        }

        await EnqueueWithinBudgetAsync(delivery.Source, id, items, idReused);
        return true;
    }

    /// <summary>Events per work item: one, unless the items would not fit into one transaction.</summary>
    private static int ItemSizeOf(int events) => Math.Max(1, (events + MaxItems - 1) / MaxItems);

    /// <summary>The work items: so many events each, and never events of two queues in one.</summary>
    private static IEnumerable<(int First, int Count)> SlicesOf(IReadOnlyList<PersonEvent> events, int itemSize)
    {
        for (int first = 0, next; first < events.Count; first = next)
        {
            var queue = Queues.For(events[first].Kind);
            for (next = first + 1; next < events.Count && next < first + itemSize && Queues.For(events[next].Kind) == queue; next++)
            {
            }

            yield return (first, next - first);
        }
    }

    private List<PendingItem> ItemsOf(
        string id, string source, IReadOnlyList<PersonEvent> events, int itemSize, DateTimeOffset now, bool idReused, int generation)
    {
        var items = new List<PendingItem>((events.Count + itemSize - 1) / itemSize);
        foreach (var (first, _) in SlicesOf(events, itemSize))
        {
            items.Add(new PendingItem
            {
                DeliveryId = id,
                Item = items.Count,
                Source = source,
                SessionId = _keys.Value.SessionOf(events[first]),
                Queue = Queues.For(events[first].Kind),
                AcceptedAt = now,
                EnqueuedAt = now,
                Generation = generation,
                IdReused = idReused,
                TraceParent = Activity.Current?.Id,
            });
        }

        return items;
    }

    /// <summary>The delivery is durable: from here on nothing may fail it, and what is not sent in time is the sweeper's.</summary>
    private async Task EnqueueWithinBudgetAsync(string source, string id, List<PendingItem> items, bool idReused)
    {
        var sending = EnqueueAsync(source, id, items, idReused);
        if (sending.IsCompleted)
        {
            return;
        }

        _sending[sending] = true;
        _ = sending.ContinueWith(
            static (sent, all) => ((ConcurrentDictionary<Task, bool>)all!).TryRemove(sent, out _),
            _sending, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        try
        {
            await sending.WaitAsync(InboxTiming.EnqueueBudget, timeProvider);
        }
        catch (TimeoutException)
        {
            Log.EnqueueIsSlow(logger, id);
        }
    }

    private async Task EnqueueAsync(string source, string id, List<PendingItem> items, bool idReused)
    {
        try
        {
            if (items.Count > 0 && !gate.IsHeld(source))
            {
                foreach (var ofQueue in items.GroupBy(static item => item.Queue))
                {
                    await queue.SendAsync(ofQueue.Key, [.. ofQueue.Select(static item => item.ToMessage(item.Generation))], _stop.Token);
                }
            }

            if (idReused)
            {
                await alerts.SendAsync(InboxAlerts.IdReused(source, id, timeProvider.GetUtcNow()), _stop.Token);
            }
        }
#pragma warning disable CA1031 // Whatever it was: the work items are stored, the sweeper sends what they need.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.EnqueueFailed(logger, id, exception);
        }
    }

    private async Task<InboxRecord?> FindAsync(string id, CancellationToken cancellationToken) =>
        await store.GetAsync(InboxRows.Table, InboxRows.PartitionOf(id), InboxRows.DeliveryRow(id), cancellationToken) is { } entity
            ? InboxRows.ReadRecord(id, entity)
            : null;

    /// <summary>SHA-256 of a delivery's body and, where that is given, of what of it counts for its identity.</summary>
    private readonly record struct DeliveryHashes(string Body, string? Content)
    {
        public string Identity => Content ?? Body;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Delivery {DeliveryId} is stored; enqueueing it takes longer than its answer may wait")]
        public static partial void EnqueueIsSlow(ILogger logger, string deliveryId);

        [LoggerMessage(2, LogLevel.Warning, "Delivery {DeliveryId} is stored; enqueueing it failed and is left to the sweeper")]
        public static partial void EnqueueFailed(ILogger logger, string deliveryId, Exception exception);

        [LoggerMessage(3, LogLevel.Warning, "Stopped while {Count} deliveries were being enqueued; they are left to the sweeper")]
        public static partial void StoppedWhileSending(ILogger logger, int count);
    }
}

/// <summary>The alerts that the inbox raises.</summary>
internal static class InboxAlerts
{
    public static AlertMessage IdReused(string source, string deliveryId, DateTimeOffset now) => new()
    {
        AlertId = $"intake.delivery_id_reused:{deliveryId}",
        Type = "intake.delivery_id_reused",
        Severity = AlertSeverity.Warning,
        OccurredAt = now,
        Summary = $"{source} used one delivery id for two different bodies; both were accepted.",
        About = source,
        Details = new Dictionary<string, string> { ["deliveryId"] = deliveryId },
    };

    public static AlertMessage Stuck(string source, string oldestDeliveryId, int count, DateTimeOffset now) => new()
    {
        AlertId = $"intake.stuck:{oldestDeliveryId}",
        Type = "intake.stuck",
        Severity = AlertSeverity.Critical,
        OccurredAt = now,
        Summary = $"Accepted deliveries from {source} have not been handled for 15 minutes.",
        About = source,
        Details = new Dictionary<string, string>
        {
            ["deliveryId"] = oldestDeliveryId, ["workItems"] = count.ToString(CultureInfo.InvariantCulture),
        },
    };
}
