using System.Collections.Concurrent;
using System.Threading.Channels;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// The trail over the entity store. One loop appends what waits to the chain of this writer, all that waits with one write; so many
/// callers share a write and a lone one waits for nobody.
/// </summary>
public sealed partial class AuditTrail(IEntityStore store, AuditTrailOptions options, TimeProvider time, ILogger<AuditTrail> logger)
    : IAuditTrail, IAsyncDisposable
{
    /// <summary>Events that may wait in memory beside their rows; what exceeds it is left to the sweep.</summary>
    private const int MaximumHandedOver = 20_000;

    private static readonly TimeSpan StopTimeout = TimeSpan.FromSeconds(5);

    private readonly Channel<Work> _work = Channel.CreateUnbounded<Work>(new() { SingleReader = true });
    private readonly ConcurrentDictionary<string, bool> _inHand = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<PlaceOfDay, bool> _places = new();
    private readonly AuditChain _chain = new(store, options.Writer, time);
    private readonly SemaphoreSlim _chainTurn = new(1);
    private readonly AuditIds _ids = new();
    private readonly Lock _start = new();
    private readonly CancellationTokenSource _stop = new();
    private Task? _loop;
    private long _known;
    private bool _opened;
    private bool _isDisposed;

    /// <inheritdoc/>
    public Task AppendAsync(AuditEvent auditEvent, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(auditEvent);
        cancellationToken.ThrowIfCancellationRequested();
        // It has no row from which another process could append it.
        var waiting = WaitingEvent.Of(auditEvent, options.Writer, long.MaxValue, time.GetUtcNow());
        var work = new Work([waiting], [], null, new(TaskCreationOptions.RunContinuationsAsynchronously));
        Enqueue(work);
        return work.Appended!.Task.WaitAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<TransactionResult> SubmitAsync(
        EntityTransaction transaction, IReadOnlyList<AuditEvent> events, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transaction);
        ArgumentNullException.ThrowIfNull(events);
        var staged = await StageAsync(transaction, events, cancellationToken);
        try
        {
            return Conclude(transaction, staged, await store.SubmitAsync(staged.Transaction, cancellationToken));
        }
        catch
        {
            // Whether it was written nobody knows: the sweep looks.
            Release(staged.Rows);
            throw;
        }
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
        IReadOnlyList<AuditedTransaction> transactions, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transactions);
        var staged = new List<Staged>(transactions.Count);
        try
        {
            foreach (var (transaction, events) in transactions)
            {
                staged.Add(await StageAsync(transaction, events, cancellationToken));
            }

            var results = await store.SubmitManyAsync([.. staged.Select(static one => one.Transaction)], cancellationToken);
            return [.. results.Select((result, i) => Conclude(transactions[i].Transaction, staged[i], result))];
        }
        catch
        {
            staged.ForEach(one => Release(one.Rows));
            throw;
        }
    }

    /// <summary>
    /// Moves events into their chains that a process left behind beside the state they describe. Returns how many were still missing
    /// there.
    /// </summary>
    public async Task<int> SweepAsync(CancellationToken cancellationToken)
    {
        var sweep = new AuditSweep(
            store, options.Writer, time, _inHand.ContainsKey, (events, token) => AppendToOwnAsync(events, mayBeOurs: true, token), logger);
        var moved = await sweep.RunAsync(cancellationToken);
        if (moved > 0)
        {
            Log.Swept(logger, moved);
        }

        return moved;
    }

    /// <summary>Waits until everything that was handed over is in the chain, for tests and for the end.</summary>
    public async Task DrainAsync(CancellationToken cancellationToken)
    {
        var work = new Work([], [], null, new(TaskCreationOptions.RunContinuationsAsynchronously));
        Enqueue(work);
        await work.Appended!.Task.WaitAsync(cancellationToken);
    }

    /// <summary>Appends what waits, for a moment; the rest is the next process's.</summary>
    public async ValueTask DisposeAsync()
    {
        // The container knows it under two names and disposes of it under both.
        if (Interlocked.Exchange(ref _isDisposed, true))
        {
            return;
        }

        _work.Writer.TryComplete();
        if (_loop is { } loop)
        {
            try
            {
                await loop.WaitAsync(StopTimeout, time);
            }
            catch (TimeoutException)
            {
                await _stop.CancelAsync();
            }
        }

        _stop.Dispose();
        _chainTurn.Dispose();
    }

    private async Task<Staged> StageAsync(EntityTransaction transaction, IReadOnlyList<AuditEvent> events, CancellationToken cancellationToken)
    {
        if (events.Count == 0)
        {
            return new(transaction, [], null);
        }

        await OpenAsync(cancellationToken);
        var now = time.GetUtcNow();
        var place = new Place(transaction.Table, transaction.Operations[0].Entity.PartitionKey);
        await RegisterAsync(place, now, cancellationToken);
        var after = Interlocked.Read(ref _known);
        List<WaitingRow> rows = [.. AuditRows.Wait([.. events.Select(auditEvent => WaitingEvent.Of(auditEvent, options.Writer, after, now, _ids))])];
        foreach (var row in rows)
        {
            // Ours from now on, so that a sweep of this process leaves it to the loop.
            _inHand[row.Id] = true;
        }

        return new(
            transaction with
            {
                Operations = [.. transaction.Operations, .. rows.Select(row => EntityOperation.Insert(AuditRows.Waiting(place.Partition, row)))],
            },
            rows, place);
    }

    private TransactionResult Conclude(EntityTransaction transaction, Staged staged, TransactionResult result)
    {
        if (staged.Place is null)
        {
            return result;
        }

        if (result.Committed && _inHand.Count <= MaximumHandedOver)
        {
            Enqueue(new([.. staged.Rows.SelectMany(static row => row.Events)], staged.Rows, staged.Place, null));
        }
        else
        {
            Release(staged.Rows);
        }

        return result.Committed ? result with { ETags = [.. result.ETags.Take(transaction.Operations.Count)] } : result;
    }

    /// <summary>The place is in the list of places before an event waits there, so that a sweep finds it.</summary>
    private async Task RegisterAsync(Place place, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var key = new PlaceOfDay(AuditRows.DayOf(now), place);
        if (_places.ContainsKey(key))
        {
            return;
        }

        await store.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(AuditRows.OutboxPlace(key.Day, place.Table, place.Partition))),
            cancellationToken);
        foreach (var old in _places.Keys.Where(known => known.Day != key.Day))
        {
            _places.TryRemove(old, out _);
        }

        _places[key] = true;
    }

    private async Task OpenAsync(CancellationToken cancellationToken)
    {
        if (Volatile.Read(ref _opened))
        {
            return;
        }

        await _chainTurn.WaitAsync(cancellationToken);
        try
        {
            await _chain.OpenAsync(cancellationToken);
            Interlocked.Exchange(ref _known, _chain.Known);
            Volatile.Write(ref _opened, true);
        }
        finally
        {
            _chainTurn.Release();
        }
    }

    private void Enqueue(Work work)
    {
        if (_loop is null)
        {
            lock (_start)
            {
                _loop ??= Task.Run(RunAsync);
            }
        }

        if (!_work.Writer.TryWrite(work))
        {
            Release(work.Rows);
            work.Appended?.TrySetException(new EntityStoreException("The audit trail is closed."));
        }
    }

    private async Task RunAsync()
    {
        var group = new List<Work>();
        while (await _work.Reader.WaitToReadAsync(CancellationToken.None))
        {
            var events = 0;
            while (events < AuditChain.EntriesPerWrite && _work.Reader.TryRead(out var work))
            {
                group.Add(work);
                events += work.Events.Count;
            }

            await AppendGroupAsync(group);
            group.Clear();
        }
    }

    private async Task AppendGroupAsync(List<Work> group)
    {
        try
        {
            await AppendToOwnAsync([.. group.SelectMany(static work => work.Events)], mayBeOurs: false, _stop.Token);
            await AuditSweep.RemoveAsync(store, group.SelectMany(static work => work.Rows.Select(row => new PlacedRow(work.Place!, row.Id))), _stop.Token);
            foreach (var work in group)
            {
                work.Appended?.TrySetResult();
            }
        }
#pragma warning disable CA1031 // Whatever it was: callers that wait are told, and what has a row of its own is the sweep's.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.AppendFailed(logger, group.Sum(static work => work.Events.Count), exception);
            foreach (var work in group)
            {
                work.Appended?.TrySetException(exception);
            }
        }
        finally
        {
            foreach (var work in group)
            {
                Release(work.Rows);
            }
        }
    }

    private async Task AppendToOwnAsync(IReadOnlyList<WaitingEvent> events, bool mayBeOurs, CancellationToken cancellationToken)
    {
        await _chainTurn.WaitAsync(cancellationToken);
        try
        {
            await _chain.AppendAsync(events, mayBeOurs, cancellationToken);
        }
        finally
        {
            Interlocked.Exchange(ref _known, _chain.Known);
            _chainTurn.Release();
        }
    }

    private void Release(IReadOnlyList<WaitingRow> rows)
    {
        foreach (var row in rows)
        {
            _inHand.TryRemove(row.Id, out _);
        }
    }

    /// <summary>Events to append; those of a place lie in rows there, which go once they are in the chain.</summary>
    private sealed record Work(IReadOnlyList<WaitingEvent> Events, IReadOnlyList<WaitingRow> Rows, Place? Place, TaskCompletionSource? Appended);

    private sealed record PlaceOfDay(string Day, Place Place);

    private sealed record Staged(EntityTransaction Transaction, IReadOnlyList<WaitingRow> Rows, Place? Place);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{Count} entries could not be appended to the audit trail; those that belong to stored state are left to the sweep")]
        public static partial void AppendFailed(ILogger logger, int count, Exception exception);

        [LoggerMessage(2, LogLevel.Warning, "Moved {Count} entries into the audit trail that a process had left behind")]
        public static partial void Swept(ILogger logger, int count);
    }
}

/// <summary>A table's partition in which events wait.</summary>
internal sealed record Place(string Table, string Partition);

/// <summary>A row that waits at a place. A class, as its neighbours here: collections of a value of our own would be compiled at the first webhook.</summary>
internal sealed record PlacedRow(Place Place, string Id);
