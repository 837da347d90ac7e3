using System.Collections.Concurrent;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Takes batches of transfer records into the ledger while they are read. Holds two parts of a batch and the digests of its record ids,
/// whatever its size. A batch that is sent again, in the same request or after a crash, adds only what is not recorded yet. The audit trail
/// tells of every batch, whichever door it came through.
/// </summary>
public sealed class TransferIntake(
    TransfersOptions options, Lazy<FieldClassifier> classifier, PseudonymKey key, SubjectIdentities identities, SubjectLedger ledger, BulkScheduler bulk,
    ChangeJournal journal, IAuditTrail trail, TimeProvider time)
{
    /// <summary>Reads and judges records under the settings. One batch at a time.</summary>
    /// <param name="mayReport">Whether the caller may report for an exporter, by its id.</param>
    public TransferReader CreateReader(Func<string, bool> mayReport) => new(options, classifier.Value, key, identities, mayReport, time);

    /// <summary>Takes in records of our own making; those that the batch holds already are duplicates.</summary>
    /// <param name="batchId">Our id of the batch.</param>
    /// <param name="records">Its records.</param>
    /// <param name="reported">Who reports it, as its entry says it once it is recorded.</param>
    /// <param name="cancellationToken">Gives up; what was taken in before stays.</param>
    public Task<TransferReceipt> RecordAsync(
        string batchId, IReadOnlyList<SubjectTransfer> records, AuditEvent reported, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(records);
        return AuditedAsync(
            batchId, reported, static () => PayloadHash.None,
            async batch =>
            {
                var read = 0;
                foreach (var chunk in records.Chunk(TransferReader.ChunkSize))
                {
                    read += chunk.Length;
                    batch.Begin(new(chunk, [], read), cancellationToken);
                    await batch.SettleAsync();
                }

                return batch.ToReceipt(read, BatchStop.None, []);
            });
    }

    /// <summary>Takes a batch in.</summary>
    /// <param name="batchId">Our id of it.</param>
    /// <param name="body">Its records.</param>
    /// <param name="reported">Who reports it, as its entry says it once it is recorded.</param>
    /// <param name="mayReport">Whether the caller may report for an exporter, by its id.</param>
    /// <param name="cancellationToken">Gives up; what was taken in before stays.</param>
    /// <exception cref="LedgerRefusalException">The batch was voided.</exception>
    /// <exception cref="BatchInterruptedException">The store failed; the batch is to be sent again.</exception>
    public Task<TransferReceipt> RecordAsync(
        string batchId, BatchBody body, AuditEvent reported, Func<string, bool> mayReport, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(body);
        ArgumentNullException.ThrowIfNull(reported);
        return AuditedAsync(
            batchId, body.Hash.Hex is null ? reported with { Details = new Dictionary<string, string>(reported.Details) { ["payload"] = "known at the end" } } : reported with { Payload = body.Hash },
            () => body.Hash, batch => TakeInAsync(body, batch, mayReport, cancellationToken));
    }

    /// <summary>
    /// What <see cref="RecordAsync(string, BatchBody, AuditEvent, Func{string, bool}, CancellationToken)"/> would answer, and what it would add for each
    /// exporter, in the year and in the one before. Records nothing.
    /// </summary>
    /// <param name="body">The batch.</param>
    /// <param name="year">The calendar year (Asia/Shanghai) whose counters are asked for.</param>
    /// <param name="mayReport">Whether the caller may report for an exporter, by its id.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="LedgerRefusalException">The batch was voided.</exception>
    /// <exception cref="BatchInterruptedException">The store failed.</exception>
    public async Task<(TransferReceipt Receipt, IReadOnlyList<ProposedFacts> Proposed)> PreviewAsync(
        BatchBody body, int year, Func<string, bool> mayReport, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(body);
        SortedDictionary<string, (LedgerTrial Trial, ProposedFacts Facts)> proposed = new(StringComparer.Ordinal);
        var batch = new BatchUnderWay(body.BatchId, ledger, async (part, token) =>
        {
            var exporter = part.Records[0].Exporter;
            if (!proposed.TryGetValue(exporter, out var known))
            {
                proposed.Add(exporter, known = (await ledger.BeginTrialAsync(exporter, token), new(exporter, year) { YearBefore = new(exporter, year - 1) }));
            }

            var result = known.Trial.Append(part.Records);
            var refused = result.Refused.Select(record => record.Index).ToHashSet();
            known.Facts.Add(refused.Count == 0 ? part.Records : [.. part.Records.Where((_, index) => !refused.Contains(index))]);
            return result;
        });
        return (await TakeInAsync(body, batch, mayReport, cancellationToken), [.. proposed.Values.Select(known => known.Facts)]);
    }

    /// <summary>
    /// Takes a batch in between its entries. Where that fails, the journal asks the ledger what there is of it, once nobody is at it any more.
    /// </summary>
    private async Task<TransferReceipt> AuditedAsync(
        string batchId, AuditEvent reported, Func<PayloadHash> hash, Func<BatchUnderWay, Task<TransferReceipt>> takeIn)
    {
        await using var audited = new AuditedBatch(journal, trail, batchId, reported);
        var batch = new BatchUnderWay(batchId, ledger, ledger.AppendAsync, audited.BeforeAsync);
        TransferReceipt receipt;
        try
        {
            receipt = await takeIn(batch);
        }
        catch (LedgerRefusalException refusal)
        {
            await audited.RefusedAsync(refusal.Reason, batch.Accepted);
            throw;
        }

        if (receipt is not { Read: 0, Complete: false })
        {
            await audited.TakenInAsync(receipt, hash());
        }

        return receipt;
    }

    private async Task<TransferReceipt> TakeInAsync(
        BatchBody body, BatchUnderWay batch, Func<string, bool> mayReport, CancellationToken cancellationToken)
    {
        // Another instance may have learnt meanwhile who is who.
        await identities.RefreshAsync(cancellationToken);
        return body.IsLarge
            ? await bulk.RunAsync(() => ReadAsync(body, batch, mayReport, cancellationToken))
            : await ReadAsync(body, batch, mayReport, cancellationToken);
    }

    private async Task<TransferReceipt> ReadAsync(
        BatchBody body, BatchUnderWay batch, Func<string, bool> mayReport, CancellationToken cancellationToken)
    {
        using var readers = new ReaderPool(() => CreateReader(mayReport));
        var read = 0L;
        try
        {
            var stop = await body.ReadAsync(
                readers,
                async chunk =>
                {
                    // While a part is made durable, the next is read.
                    await batch.SettleAsync();
                    read = chunk.Records;
                    batch.Begin(chunk, cancellationToken);
                },
                cancellationToken);
            await batch.SettleAsync();
            return batch.ToReceipt(read, stop, readers.UnknownFields);
        }
        catch (EntityStoreException exception)
        {
            throw new BatchInterruptedException(batch.Accepted, exception);
        }
        finally
        {
            await batch.Settled;
        }
    }
}

/// <summary>Readers for parts of one batch that are judged side by side.</summary>
internal sealed class ReaderPool(Func<TransferReader> create) : IDisposable
{
    private readonly ConcurrentBag<TransferReader> _idle = [];

    /// <summary>Names of unknown fields that any of them met, at most a hundred.</summary>
    public IReadOnlyCollection<string> UnknownFields =>
        [.. _idle.SelectMany(reader => reader.UnknownFields).Distinct(StringComparer.OrdinalIgnoreCase).Order(StringComparer.Ordinal).Take(RecordPools.MostUnknownFields)];

    public TransferReader Rent() => _idle.TryTake(out var reader) ? reader : create();

    public void Return(TransferReader reader) => _idle.Add(reader);

    public void Dispose()
    {
        foreach (var reader in _idle)
        {
            reader.Dispose();
        }
    }
}

/// <summary>The store failed while a batch was taken in. Sending the batch again records the rest, and nothing twice.</summary>
public sealed class BatchInterruptedException(long accepted, Exception cause) : Exception("The store failed while a batch was taken in.", cause)
{
    /// <summary>Records of the batch that had been recorded by then.</summary>
    public long Accepted { get; } = accepted;
}

/// <summary>What has become of a batch so far.</summary>
/// <param name="batchId">Our id of it.</param>
/// <param name="ledger">Tells what there is of it.</param>
/// <param name="append">Takes records of one exporter.</param>
/// <param name="before">Called before records are appended, with the exporters of the part that they are of.</param>
internal sealed class BatchUnderWay(
    string batchId, SubjectLedger ledger, Func<TransferBatch, CancellationToken, Task<AppendResult>> append,
    Func<IReadOnlyCollection<string>, CancellationToken, Task>? before = null)
{
    private readonly Dictionary<string, ExporterPart> _exporters = new(StringComparer.Ordinal);
    private readonly List<RejectedRecord> _rejected = [];
    private readonly long[] _notices = new long[NoticeNames.Length];
    private Task _underWay = Task.CompletedTask;
    private IReadOnlyList<string> _exportersOfPart = [];
    private long _duplicates;
    private long _rejectedCount;

    private static readonly string[] NoticeNames = [.. Enum.GetValues<TransferNotices>().Where(notice => notice != 0).Select(Words.Of)];

    /// <summary>Records that were recorded by this request.</summary>
    public long Accepted { get; private set; }

    /// <summary>Ends when nothing is under way any more, without its faults.</summary>
    public Task Settled => _underWay.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    /// <summary>Waits for the part under way, and says what went wrong with it.</summary>
    public Task SettleAsync() => _underWay;

    /// <summary>Begins to take in a part; nothing may be under way.</summary>
    public void Begin(TransferChunk chunk, CancellationToken cancellationToken) =>
        _underWay = Task.Factory.StartNew(
            () => TakeInAsync(chunk, cancellationToken), CancellationToken.None, TaskCreationOptions.DenyChildAttach, TaskScheduler.Current).Unwrap();

    public TransferReceipt ToReceipt(long read, BatchStop stop, IReadOnlyCollection<string> unknownFields) => new()
    {
        BatchId = batchId,
        Accepted = Accepted,
        Duplicates = _duplicates,
        Rejected = [.. _rejected.OrderBy(rejection => rejection.Index)],
        RejectedCount = _rejectedCount,
        Read = read,
        Stopped = stop,
        Notices = NoticeNames.Index().Where(notice => _notices[notice.Index] > 0)
            .ToDictionary(notice => notice.Item, notice => _notices[notice.Index], StringComparer.Ordinal),
        UnknownFields = unknownFields,
    };

    private async Task TakeInAsync(TransferChunk chunk, CancellationToken cancellationToken)
    {
        foreach (var refusal in chunk.Refusals)
        {
            Reject(refusal.Index, refusal.Code, refusal.Message);
        }

        var transfers = chunk.Transfers;
        if (transfers.Count == 0)
        {
            return;
        }

        // Nearly always one exporter: then nothing is copied.
        var exporter = transfers[0].Exporter;
        IReadOnlyList<(string Exporter, IReadOnlyList<SubjectTransfer> Records)> groups =
            transfers.All(transfer => transfer.Exporter.Equals(exporter, StringComparison.Ordinal))
                ? [(exporter, transfers)]
                : [.. transfers.GroupBy(transfer => transfer.Exporter, StringComparer.Ordinal).Select(group => (group.Key, (IReadOnlyList<SubjectTransfer>)[.. group]))];
        _exportersOfPart = [.. groups.Select(static group => group.Exporter)];
        foreach (var (id, records) in groups)
        {
            await TakeInAsync(id, records, chunk, cancellationToken);
        }
    }

    private async Task TakeInAsync(
        string exporter, IReadOnlyList<SubjectTransfer> records, TransferChunk chunk, CancellationToken cancellationToken)
    {
        if (!_exporters.TryGetValue(exporter, out var part))
        {
            _exporters.Add(exporter, part = new());
            await part.ReadOnAsync(ledger, exporter, batchId, null, cancellationToken);
        }

        var fresh = part.Ids.AddNew(records);
        _duplicates += records.Count - fresh.Count;
        while (fresh.Count > 0)
        {
            if (before is not null)
            {
                await before(_exportersOfPart, cancellationToken);
            }

            var result = await append(new(batchId, part.Next++, fresh) { Seen = part.Seen }, cancellationToken);
            Accepted += result.Accepted;
            part.Seen += result.Pieces;
            HashSet<int> refused = [];
            foreach (var (index, reason) in result.Refused)
            {
                refused.Add(index);
                part.Ids.Remove(fresh[index].RecordId);
                Reject(chunk.IndexOf(fresh[index]), RecordRefusal.CodeOf(reason), RecordRefusal.MessageOf(reason));
            }

            var settled = fresh.Count - result.Overtaken;
            Notice(settled == fresh.Count && refused.Count == 0 ? fresh : fresh.Take(settled).Where((_, index) => !refused.Contains(index)));
            if (result.Overtaken == 0)
            {
                return;
            }

            // The same batch is being sent twice at once, and the other request was faster: whatever it has not recorded is still to be.
            var others = new RecordIdSet();
            await part.ReadOnAsync(ledger, exporter, batchId, others, cancellationToken);
            var left = fresh.Where((_, index) => index >= settled && !refused.Contains(index)).ToList();
            fresh = left.FindAll(record => !others.Contains(record.RecordId));
            _duplicates += left.Count - fresh.Count;
        }
    }

    private void Reject(long index, string code, string message)
    {
        _rejectedCount++;
        if (_rejected.Count < TransferReceipt.ListedRejections)
        {
            _rejected.Add(new(index, code, message));
        }
    }

    private void Notice(IEnumerable<SubjectTransfer> records)
    {
        foreach (var record in records)
        {
            for (var notices = (int)record.Circumstances.Notices; notices != 0; notices &= notices - 1)
            {
                _notices[System.Numerics.BitOperations.TrailingZeroCount(notices)]++;
            }
        }
    }

    /// <summary>What the ledger holds of the batch for one exporter.</summary>
    private sealed class ExporterPart
    {
        /// <summary>The record ids that are recorded, or are being recorded.</summary>
        public RecordIdSet Ids { get; } = new();

        /// <summary>The number of the next part.</summary>
        public int Next { get; set; }

        /// <summary>How many of the batch's pieces are known: those read, and those that this request wrote.</summary>
        public int Seen { get; set; }

        /// <summary>Reads the pieces that are not known yet; the ids of their records go into the given set, too.</summary>
        public async Task ReadOnAsync(SubjectLedger ledger, string exporter, string batchId, RecordIdSet? read, CancellationToken cancellationToken)
        {
            if (await ledger.FindBatchAsync(exporter, batchId, cancellationToken) is not { } info)
            {
                return;
            }

            if (info.State == BatchState.Voided)
            {
                throw new LedgerRefusalException(LedgerRefusal.BatchVoided);
            }

            await foreach (var recordId in ledger.ReadRecordIdsAsync(exporter, batchId, Seen, cancellationToken))
            {
                Ids.Add(recordId);
                read?.Add(recordId);
            }

            (Next, Seen) = (info.NextPart, info.Pieces);
        }
    }
}
