using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The ledger of one exporter: takes entries into its log, and merges the log into its shards. Writing the log and merging run side by
/// side; each is one thing at a time.
/// </summary>
internal sealed partial class ExporterLedger : IAsyncDisposable
{
    /// <summary>Requests that one transaction of the log carries at most; each needs two operations.</summary>
    private const int GroupRequests = 40;

    private readonly string _exporter;
    private readonly LedgerOptions _options;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly IEntityStore _store;
    private readonly CompiledPredicates _predicates;
    private readonly ExporterLog _log;
    private readonly SemaphoreSlim _logGate = new(1, 1);
    private readonly SemaphoreSlim _mergeGate = new(1, 1);
    private readonly Lock _waitingGate = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly Queue<LogEntry> _pending = new();
    private List<LogRequest> _waiting = [];
    private ShardSet? _shards;
    private long _pendingRecords;
    private long _merged;
    private long _mergedRecords;
    private bool _open;
    private Task _background = Task.CompletedTask;

    public ExporterLedger(
        IEntityStore store, string exporter, LedgerOptions options, PredicateSet predicates, TimeProvider time, ILogger logger)
    {
        (_store, _exporter, _options, _time, _logger) = (store, exporter, options, time, logger);
        _predicates = new(predicates);
        _log = new(store, exporter, options, time);
    }

    /// <summary>What the log says as a whole.</summary>
    public LedgerHeader Header => _log.Header;

    public CompiledPredicates Predicates => _predicates;

    /// <summary>The log, for readers of what lies behind the head; only its reading members may be used without the gate.</summary>
    public ExporterLog Entries => _log;

    /// <summary>Subjects in memory.</summary>
    public long CachedSubjects => _shards?.Cached ?? 0;

    /// <summary>Puts a request into the log and waits until it is durable.</summary>
    public async Task<(LogVerdict Verdict, long Position)> WriteAsync(LogRequest request, CancellationToken cancellationToken)
    {
        lock (_waitingGate)
        {
            _waiting.Add(request);
        }

        await EnterAsync(request, cancellationToken);
        try
        {
            if (!request.Settled)
            {
                // Whoever gets here writes what everybody asked for, and is not to be stopped halfway by one caller's patience.
                await WriteWaitingAsync(_stopping.Token);
            }
        }
        finally
        {
            _logGate.Release();
        }

        StartMerging();
        var answer = await request.Answer;
        if (Interlocked.Read(ref _pendingRecords) > LedgerLimits.PendingRecords)
        {
            await MergeAsync(answer.Position, cancellationToken);
        }

        return answer;
    }

    /// <summary>Merges everything that was accepted before the call, by whichever process, and returns how far that is.</summary>
    public async Task<long> MergeAcceptedAsync(CancellationToken cancellationToken)
    {
        long head;
        await _logGate.WaitAsync(cancellationToken);
        try
        {
            await ReadOnAsync(cancellationToken);
            head = _log.Head;
        }
        finally
        {
            _logGate.Release();
        }

        await MergeAsync(head, cancellationToken);
        return head;
    }

    /// <summary>Unions behind an entry, as far as the log up to another has any.</summary>
    public async Task<IReadOnlyList<(long Position, SubjectKey Survivor, SubjectKey Other)>> UnionsAsync(
        long after, long through, CancellationToken cancellationToken)
    {
        if (through > after)
        {
            await _logGate.WaitAsync(cancellationToken);
            try
            {
                if (_log.Head < through)
                {
                    await ReadOnAsync(cancellationToken);
                }
            }
            finally
            {
                _logGate.Release();
            }
        }

        return Header.UnionsAfter(after);
    }

    /// <summary>Runs something on the shards while nothing is merged.</summary>
    public async Task<T> WithShardsAsync<T>(Func<ShardSet, Task<T>> action, CancellationToken cancellationToken)
    {
        await _mergeGate.WaitAsync(cancellationToken);
        try
        {
            return await action(Shards());
        }
        catch
        {
            // What is in memory may be ahead of or behind what is stored.
            _shards?.Unload();
            throw;
        }
        finally
        {
            _mergeGate.Release();
        }
    }

    /// <summary>Counts a shard anew whose counters were kept under other definitions, keeps that, and returns it.</summary>
    public Task<CounterTable> RedefineAsync(int number, CancellationToken cancellationToken) => WithShardsAsync(
        async shards =>
        {
            var shard = await shards.OpenAsync(number, cancellationToken);
            await ShardSet.CommitAsync(shard, shard.Applied, always: false, purge: false, static () => { }, cancellationToken);
            return shard.Counters.Copy();
        },
        cancellationToken);

    /// <summary>Waits until nothing is merged in the background any more.</summary>
    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _background;
        _logGate.Dispose();
        _mergeGate.Dispose();
        _stopping.Dispose();
    }

    /// <summary>Under the merge gate: says in the checkpoint that what is merged is merged.</summary>
    public Task CheckpointAsync(CancellationToken cancellationToken) => _log.CheckpointAsync(_merged, always: true, cancellationToken);

    private ShardSet Shards() => _shards ??= new(new(_store, _exporter, _options, _predicates, _log), _log.Header);

    /// <summary>
    /// Waits for the log gate. Whoever gives up takes the request back, or waits until it is written: it must not be written when nobody
    /// knows of it any more.
    /// </summary>
    private async Task EnterAsync(LogRequest request, CancellationToken cancellationToken)
    {
        try
        {
            await _logGate.WaitAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            bool isTaken;
            lock (_waitingGate)
            {
                isTaken = !_waiting.Remove(request);
            }

            if (isTaken)
            {
                await request.Answer;
            }

            throw;
        }
    }

    /// <summary>Under the log gate: sees everything that is in the log.</summary>
    private async Task ReadOnAsync(CancellationToken cancellationToken)
    {
        if (!_open)
        {
            await _log.OpenAsync(cancellationToken);
            _merged = _log.Head;
            _open = true;
        }

        while (await _log.ReadOnAsync(cancellationToken) is { Count: > 0 } entries)
        {
            Enqueue(entries);
            if (Interlocked.Read(ref _pendingRecords) > LedgerLimits.PendingRecords)
            {
                await MergeAsync(_log.Head, cancellationToken);
            }
        }
    }

    private void Enqueue(IReadOnlyList<LogEntry> entries)
    {
        lock (_pending)
        {
            foreach (var entry in entries)
            {
                // The bytes are in the log; merging needs only what they say.
                _pending.Enqueue(entry with { Bytes = [], Pieces = [] });
                _pendingRecords += entry.Records;
            }
        }
    }

    /// <summary>Under the log gate: writes all requests that wait.</summary>
    private async Task WriteWaitingAsync(CancellationToken cancellationToken)
    {
        List<LogRequest> requests;
        lock (_waitingGate)
        {
            (requests, _waiting) = (_waiting, []);
        }

        try
        {
            if (!_open)
            {
                await ReadOnAsync(cancellationToken);
            }

            while (requests.Count > 0)
            {
                var entries = await _log.WriteAsync(NextGroup(requests), cancellationToken);
                Enqueue(entries);
                requests.RemoveAll(request => request.Settled);
                if (entries.Count == 0)
                {
                    // Another writer may have been faster: what it wrote comes first.
                    await ReadOnAsync(cancellationToken);
                }
            }
        }
#pragma warning disable CA1031 // Every request of the group learns what happened, its own caller first of all.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            foreach (var request in requests)
            {
                request.Fail(exception);
            }
        }
    }

    /// <summary>Requests for one transaction: not two of one batch, nor two that bring new names or facts, which must fit together.</summary>
    private List<LogRequest> NextGroup(List<LogRequest> requests)
    {
        List<LogRequest> group = [];
        HashSet<string> batches = new(StringComparer.Ordinal);
        var (bytes, names) = (0, false);
        foreach (var request in requests)
        {
            var entry = request.Entry;
            var newNames = entry.Chunk is { } chunk && _log.Header.Dictionary.HasNew(chunk.Facts);
            if (group.Count == GroupRequests || (group.Count > 0 && bytes + entry.Size > LedgerLimits.TransactionBytes)
                || (newNames && names) || !batches.Add(entry.BatchId))
            {
                continue;
            }

            if (newNames && _log.Header.Dictionary.Overflow(entry.Chunk!.Facts, _log.Header.Bytes > _options.HeaderBytes) is { } overflow)
            {
                request.Fail(new DictionaryFullException(overflow));
                continue;
            }

            group.Add(request);
            names |= newNames;
            bytes += entry.Size;
        }

        return group;
    }

    private void StartMerging()
    {
        lock (_waitingGate)
        {
            if (_background.IsCompleted && !_stopping.IsCancellationRequested)
            {
                _background = InBackground(MergeInBackgroundAsync);
            }
        }
    }

    private async Task MergeInBackgroundAsync()
    {
        try
        {
            long last;
            while ((last = LastPending()) > 0)
            {
                await MergeAsync(last, _stopping.Token);
            }
        }
        catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
        {
            // What is not merged is in the log.
        }
        catch (Exception exception) when (exception is EntityStoreException or LedgerMismatchException or InvalidDataException)
        {
            // The next reader or writer tries again, and is told if it fails again.
            Events.MergeFailed(_logger, exception);
        }
    }

    private long LastPending()
    {
        lock (_pending)
        {
            return _pending.Count == 0 ? 0 : _pending.Last().Position;
        }
    }

    private Task InBackground(Func<Task> action) => Task.Factory.StartNew(
        action, CancellationToken.None, TaskCreationOptions.DenyChildAttach, _options.Background).Unwrap();

    /// <summary>Merges the log up to an entry.</summary>
    private Task MergeAsync(long through, CancellationToken cancellationToken) =>
        Interlocked.Read(ref _merged) >= through ? Task.CompletedTask : InBackground(() => MergeInTurnAsync(through, cancellationToken));

    private async Task MergeInTurnAsync(long through, CancellationToken cancellationToken)
    {
        await _mergeGate.WaitAsync(cancellationToken);
        try
        {
            while (Interlocked.Read(ref _merged) < through && NextToMerge() is { Count: > 0 } entries)
            {
                if (entries[0].Position <= _log.Checkpointed)
                {
                    // Another process has merged these, and may have forgotten what merging them here would need.
                    Shards().Unload();
                    Complete(entries.FindAll(entry => entry.Position <= _log.Checkpointed));
                }
                else
                {
                    await MergeGroupAsync(entries, cancellationToken);
                }
            }
        }
        finally
        {
            _mergeGate.Release();
        }
    }

    private async Task MergeGroupAsync(List<LogEntry> entries, CancellationToken cancellationToken)
    {
        var shards = Shards();
        try
        {
            if (entries[0].Kind == LogEntryKind.Records)
            {
                await shards.MergeAsync(entries, cancellationToken);
            }
            else
            {
                await new LedgerCorrections(_log, shards).ApplyAsync(entries[0], cancellationToken);
            }
        }
        catch
        {
            // What is in memory may be ahead of or behind what is stored.
            shards.Unload();
            throw;
        }

        _mergedRecords += Complete(entries);
        shards.Trim(_options.CachedSubjects);
        if (_merged - _log.Checkpointed >= _options.CheckpointEntries || _mergedRecords >= LedgerLimits.CheckpointRecords)
        {
            _mergedRecords = 0;
            await _log.CheckpointAsync(_merged, always: false, cancellationToken);
        }
    }

    /// <summary>These entries, the first that wait, are merged. Returns how many records they hold.</summary>
    private long Complete(List<LogEntry> entries)
    {
        var records = entries.Sum(entry => (long)entry.Records);
        lock (_pending)
        {
            for (var i = 0; i < entries.Count; i++)
            {
                _pending.Dequeue();
            }

            _pendingRecords -= records;
        }

        Interlocked.Exchange(ref _merged, entries[^1].Position);
        entries.ForEach(entry => entry.Chunk?.Release());
        return records;
    }

    /// <summary>Records that can be merged together, or one correction.</summary>
    private List<LogEntry> NextToMerge()
    {
        lock (_pending)
        {
            List<LogEntry> entries = [];
            var records = 0;
            foreach (var entry in _pending)
            {
                if (entries.Count == LedgerLimits.MergeEntries
                    || (entries.Count > 0
                        && (entry.Kind != LogEntryKind.Records || records + entry.Records > _options.MergeRecords)))
                {
                    break;
                }

                entries.Add(entry);
                records += entry.Records;
                if (entry.Kind != LogEntryKind.Records)
                {
                    break;
                }
            }

            return entries;
        }
    }

    private static partial class Events
    {
        [LoggerMessage(1, LogLevel.Warning, "Accepted transfers could not be merged into the ledger's shards; it will be tried again.")]
        public static partial void MergeFailed(ILogger logger, Exception exception);
    }
}

/// <summary>The dictionary has no room any more for names or facts of an entry.</summary>
internal sealed class DictionaryFullException(LedgerOverflow overflow) : Exception
{
    public LedgerOverflow Overflow { get; } = overflow;
}
