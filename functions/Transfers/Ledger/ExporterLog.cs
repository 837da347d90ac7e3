using System.Runtime.CompilerServices;
using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The durable log of one exporter: what is in it is accepted. Its entries are numbered without gaps, since a writer takes the next
/// number only after it has seen the one before; so a shard needs one number to say what it contains. Callers hold the log's gate.
/// </summary>
internal sealed class ExporterLog(IEntityStore store, string exporter, LedgerOptions options, TimeProvider time)
{
    private const int PageSize = 16;
    private const int KnownBatches = 256;

    private readonly Dictionary<string, BatchRow> _batches = new(StringComparer.Ordinal);
    private string? _checkpointETag;
    private int _checkpointedFacts;

    public LedgerHeader Header { get; private set; } = new(options);

    /// <summary>The last entry that was seen.</summary>
    public long Head { get; private set; }

    /// <summary>Everything up to here is merged, says the checkpoint.</summary>
    public long Checkpointed { get; private set; }

    /// <summary>Reads the checkpoint. Settings that do not fit the stored ledger are refused.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        Header = new(options);
        var row = await store.GetAsync(LedgerRows.LogTable, exporter, LedgerRows.Checkpoint, cancellationToken);
        if (row is not null)
        {
            LedgerFit.Check(row, options);
            Checkpointed = row.Properties.Require<long>("Merged");
            Header = LedgerHeader.Of(row.Properties, Checkpointed, options);
            await ReadFactsAsync(Header, cancellationToken);
            _checkpointETag = row.ETag;
        }

        Head = Checkpointed;
    }

    /// <summary>Reads entries that follow the last one seen, a page at most, in order.</summary>
    public async Task<IReadOnlyList<LogEntry>> ReadOnAsync(CancellationToken cancellationToken)
    {
        var page = await store.QueryAsync(LedgerRows.LogTable, exporter, LedgerRows.Log(Head + 1), PageSize, null, cancellationToken);
        List<LogEntry> entries = [];
        foreach (var row in page.Entities)
        {
            LedgerFit.Check(row, options);
            entries.Add(Observe(LogEntry.FromRow(row)));
        }

        return entries;
    }

    /// <summary>
    /// Makes sure that the names of the log up to an entry have numbers: rows that another writer has merged may bear numbers which this
    /// one has not come to. Needs no gate.
    /// </summary>
    public async Task LearnNamesAsync(long through, CancellationToken cancellationToken)
    {
        var dictionary = Header.Dictionary;
        while (dictionary.ObservedThrough < through)
        {
            var known = dictionary.ObservedThrough;
            var page = await store.QueryAsync(
                LedgerRows.LogTable, exporter, LedgerRows.Log(known + 1, through + 1), PageSize, null, cancellationToken);
            foreach (var row in page.Entities)
            {
                var entry = LogEntry.FromRow(row);
                dictionary.Observe(entry.Position, entry.Chunk?.Facts ?? []);
            }

            if (dictionary.ObservedThrough == known)
            {
                throw new InvalidDataException("The log of the ledger has a gap.");
            }
        }
    }

    /// <summary>One entry; <see langword="null"/> when it is past its retention.</summary>
    public async Task<LogEntry?> EntryAsync(long position, CancellationToken cancellationToken) =>
        await RowAsync(position, cancellationToken) is { } row ? LogEntry.FromRow(row) : null;

    /// <summary>Its row.</summary>
    public Task<Entity?> RowAsync(long position, CancellationToken cancellationToken) =>
        store.GetAsync(LedgerRows.LogTable, exporter, LedgerRows.LogRow(position), cancellationToken);

    /// <summary>Every row before a position, in order, as far as they are kept.</summary>
    public IAsyncEnumerable<Entity> RowsAsync(long before, CancellationToken cancellationToken) => RowsAsync(1, before, cancellationToken);

    /// <summary>Those from a position on.</summary>
    public async IAsyncEnumerable<Entity> RowsAsync(long from, long before, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(
                LedgerRows.LogTable, exporter, LedgerRows.Log(from, before), PageSize, continuation, cancellationToken);
            foreach (var row in page.Entities)
            {
                yield return row;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    /// <summary>Replaces a row that must forget something; <see langword="false"/> when it changed meanwhile.</summary>
    public async Task<bool> ReplaceAsync(Entity row, CancellationToken cancellationToken) =>
        (await store.SubmitAsync(EntityTransaction.Of(LedgerRows.LogTable, EntityOperation.Replace(row)), cancellationToken)).Committed;

    /// <summary>Removes a row past its retention; <see langword="false"/> when it was gone.</summary>
    public async Task<bool> RemoveAsync(string rowKey, CancellationToken cancellationToken) =>
        (await store.SubmitAsync(EntityTransaction.Of(LedgerRows.LogTable, EntityOperation.Delete(exporter, rowKey)), cancellationToken)).Committed;

    /// <summary>The registry's row of a batch, or <see langword="null"/>.</summary>
    public async Task<BatchRow?> BatchAsync(string batchId, CancellationToken cancellationToken)
    {
        var row = await store.GetAsync(LedgerRows.LogTable, exporter, LedgerRows.Batch(batchId), cancellationToken);
        return row is null ? null : BatchRow.FromRow(row);
    }

    /// <summary>
    /// Writes requests as the next entries, in one transaction, and returns those that were written. The others were settled
    /// (already accepted, refused) or are to be tried again, since another writer was faster.
    /// </summary>
    public async Task<IReadOnlyList<LogEntry>> WriteAsync(IReadOnlyList<LogRequest> requests, CancellationToken cancellationToken)
    {
        List<EntityOperation> operations = [];
        List<(LogRequest Request, LogEntry Entry, BatchRow? Batch)> written = [];
        var day = LegalTime.DayOf(time.GetUtcNow());
        foreach (var request in requests)
        {
            var batch = await AdmitAsync(request, Head + written.Count + 1, cancellationToken);
            if (request.Settled)
            {
                continue;
            }

            var entry = request.Entry with
            {
                Position = Head + written.Count + 1,
                Day = (day.Year * 10000) + (day.Month * 100) + day.Day,
            };
            operations.Add(EntityOperation.Insert(entry.ToRow(exporter, options)));
            if (batch is not null)
            {
                operations.Add(batch.ETag is null ? EntityOperation.Insert(batch.ToRow(exporter)) : EntityOperation.Replace(batch.ToRow(exporter)));
            }

            written.Add((request, entry, batch));
        }

        if (written.Count == 0)
        {
            return [];
        }

        var result = await SubmitAsync(written[0].Entry, operations, cancellationToken);
        foreach (var (_, _, batch) in written)
        {
            if (batch is not null)
            {
                _batches.Remove(batch.Id);
            }
        }

        if (result is null)
        {
            return [];
        }

        var at = 0;
        foreach (var (request, entry, batch) in written)
        {
            at++;
            if (batch is not null)
            {
                Remember(batch with { ETag = at < result.Count ? result[at] : null });
                at++;
            }

            request.Settle(LogVerdict.Written, entry.Position);
        }

        return [.. written.Select(w => Observe(w.Entry))];
    }

    /// <summary>Says that everything up to here is merged. What another process said meanwhile is taken in first.</summary>
    /// <param name="merged">The entry.</param>
    /// <param name="always">Writes even when another process said as much: the header itself changed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task CheckpointAsync(long merged, bool always, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < LedgerLimits.Attempts; attempt++)
        {
            var row = new Entity(exporter, LedgerRows.Checkpoint) { ETag = _checkpointETag };
            row.Properties["Merged"] = Math.Max(merged, Checkpointed);
            row.Properties["Shards"] = options.Shards;
            row.Properties["KeyId"] = options.KeyId;
            Header.Write(row.Properties);
            var operation = _checkpointETag is null ? EntityOperation.Insert(row) : EntityOperation.Replace(row);
            var facts = Header.Dictionary.Facts;
            // Facts only come: as many as were written are the same.
            var result = await store.SubmitAsync(
                EntityTransaction.Of(LedgerRows.LogTable, facts == _checkpointedFacts ? [operation] : [operation, EntityOperation.Upsert(FactsRow())]),
                cancellationToken);
            if (result.Committed)
            {
                _checkpointedFacts = facts;
                (Checkpointed, _checkpointETag) = (Math.Max(merged, Checkpointed), result.ETags[0]);
                return;
            }

            await ReadCheckpointAsync(cancellationToken);
            if (Checkpointed >= merged && !always)
            {
                return;
            }
        }

        throw new EntityStoreException("Other writers keep changing the ledger's checkpoint.");
    }

    /// <summary>Takes in what another process may have said in the checkpoint.</summary>
    public async Task ReadCheckpointAsync(CancellationToken cancellationToken)
    {
        var stored = await store.GetAsync(LedgerRows.LogTable, exporter, LedgerRows.Checkpoint, cancellationToken);
        _checkpointETag = stored?.ETag;
        if (stored is not null)
        {
            LedgerFit.Check(stored, options);
            var merged = stored.Properties.Require<long>("Merged");
            Checkpointed = Math.Max(Checkpointed, merged);
            var checkpoint = LedgerHeader.Of(stored.Properties, merged, options);
            await ReadFactsAsync(checkpoint, cancellationToken);
            Header.TakeIn(checkpoint, merged);
        }
    }

    /// <summary>Read after the checkpoint, so that it knows at least as much. There is none beside the checkpoint of an earlier version.</summary>
    private async Task ReadFactsAsync(LedgerHeader header, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(LedgerRows.LogTable, exporter, LedgerRows.Facts, cancellationToken) is { } row)
        {
            header.ReadFacts(row.Properties);
            _checkpointedFacts = header.Dictionary.Facts;
        }
    }

    private Entity FactsRow()
    {
        var row = new Entity(exporter, LedgerRows.Facts);
        Header.WriteFacts(row.Properties);
        return row;
    }

    private LogEntry Observe(LogEntry entry)
    {
        if (entry.Position != Head + 1)
        {
            throw new InvalidDataException("The log of the ledger has a gap.");
        }

        Head = entry.Position;
        Header.Observe(entry);
        return entry;
    }

    /// <summary>The batch row that goes with a request; <see langword="null"/> with one that is settled, or that belongs to no batch.</summary>
    private async Task<BatchRow?> AdmitAsync(LogRequest request, long position, CancellationToken cancellationToken)
    {
        var entry = request.Entry;
        if (entry.Kind is LogEntryKind.Union or LogEntryKind.Erase)
        {
            if (request.At is { } at && at != position)
            {
                request.Settle(LogVerdict.Overtaken, 0);
            }

            return null;
        }

        // What is remembered may be out of date: a row that was changed meanwhile fails by its ETag, and nobody is turned away without a look.
        var remembered = _batches.GetValueOrDefault(entry.BatchId);
        var batch = remembered?.ETag is not null && VerdictOn(request, remembered).Verdict == LogVerdict.Written
            ? remembered
            : await BatchAsync(entry.BatchId, cancellationToken) ?? new BatchRow(entry.BatchId, time.GetUtcNow());
        var (verdict, settledAt) = VerdictOn(request, batch);
        if (verdict != LogVerdict.Written)
        {
            request.Settle(verdict, settledAt);
            return null;
        }

        return entry.Kind == LogEntryKind.Void
            ? batch with { VoidedAt = position }
            : batch with { Records = batch.Records + entry.Records, Pieces = [.. batch.Pieces, new(request.Piece, position)] };
    }

    private (LogVerdict Verdict, long Position) VerdictOn(LogRequest request, BatchRow batch)
    {
        if (request.Entry.Kind == LogEntryKind.Void)
        {
            return batch.VoidedAt != 0 ? (LogVerdict.AlreadyWritten, batch.VoidedAt)
                : batch.Pieces.Count == 0 && !request.EvenUnknown ? (LogVerdict.UnknownBatch, 0)
                : (LogVerdict.Written, 0);
        }

        // The registry forgets a batch with its records; that it was voided holds for ever.
        return batch.VoidedAt != 0 || Header.IsVoided(batch.Id) ? (LogVerdict.BatchVoided, 0)
            : request.Seen is { } seen && seen != batch.Pieces.Count ? (LogVerdict.Overtaken, 0)
            : batch.PositionOf(request.Piece) is > 0 and var accepted ? (LogVerdict.AlreadyWritten, accepted)
            : (LogVerdict.Written, 0);
    }

    private void Remember(BatchRow batch)
    {
        if (_batches.Count >= KnownBatches)
        {
            _batches.Clear();
        }

        _batches[batch.Id] = batch;
    }

    /// <summary>The ETags of what was written (none when only that it was is known); <see langword="null"/> when another writer was faster.</summary>
    private async Task<IReadOnlyList<string?>?> SubmitAsync(
        LogEntry first, List<EntityOperation> operations, CancellationToken cancellationToken)
    {
        var transaction = EntityTransaction.Of(LedgerRows.LogTable, operations);
        for (var attempt = 1; ; attempt++)
        {
            TransactionResult? result = null;
            try
            {
                result = await store.SubmitAsync(transaction, cancellationToken);
                if (result.Committed)
                {
                    return result.ETags;
                }
            }
            catch (EntityStoreException) when (attempt < LedgerLimits.Attempts)
            {
                // Whether it was applied is in the log.
            }

            var row = await store.GetAsync(LedgerRows.LogTable, exporter, LedgerRows.LogRow(first.Position), cancellationToken);
            if (row is not null)
            {
                return row.Properties.Require<Guid>("Writer") == first.Writer ? [] : null;
            }

            if (result is not null)
            {
                return null;
            }
        }
    }
}
