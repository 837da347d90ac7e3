using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The subject ledger: exact counts of distinct data subjects per exporter, calendar year and predicate, under duplication, reordering,
/// several writers and crashes.
/// </summary>
/// <remarks>
/// <para>Records become durable in the exporter's log (<see cref="AppendAsync(TransferBatch, CancellationToken)"/>), and are merged into the shards in the background.
/// Reading counters merges what was accepted before, by whichever process, so that an answer is exact.</para>
/// <para>Trouble with the store surfaces as <see cref="EntityStoreException"/>: whatever was asked for may then have happened or not, and
/// asking again is safe. <see cref="LedgerMismatchException"/> means that the settings do not fit the stored ledger.</para>
/// <para>The layout and its reasons: <c>docs/decisions/0009-subject-ledger.md</c>.</para>
/// </remarks>
public sealed partial class SubjectLedger(
    IEntityStore store, LedgerOptions options, PredicateSet predicates, TimeProvider time, ILogger<SubjectLedger> logger) : IAsyncDisposable
{
    private const int MostTornReads = 64;

    private readonly ConcurrentDictionary<string, Lazy<ExporterLedger>> _exporters = new(StringComparer.Ordinal);

    /// <summary>
    /// Makes the records of a part of a batch durable. A part that was accepted before under the same batch id is not accepted twice;
    /// records of several exporters are several batches of the same id.
    /// </summary>
    /// <exception cref="LedgerRefusalException">The batch was voided.</exception>
    public async Task<AppendResult> AppendAsync(TransferBatch batch, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrEmpty(batch.Id);
        ArgumentOutOfRangeException.ThrowIfNegative(batch.Part);
        var records = batch.Records;
        if (records.Count == 0)
        {
            return new(0, 0, []);
        }

        var exporter = records[0].Exporter;
        if (records.All(record => record.Exporter.Equals(exporter, StringComparison.Ordinal)))
        {
            return await AppendAsync(batch, exporter, records, cancellationToken);
        }

        if (batch.Seen is not null)
        {
            throw new ArgumentException("Each exporter has pieces of its own.", nameof(batch));
        }

        var (accepted, already, refused) = (0, 0, new List<RefusedRecord>());
        foreach (var group in records.Index().GroupBy(record => record.Item.Exporter, StringComparer.Ordinal))
        {
            var indexes = group.Select(record => record.Index).ToList();
            var result = await AppendAsync(batch, group.Key, [.. group.Select(record => record.Item)], cancellationToken);
            accepted += result.Accepted;
            already += result.AlreadyAccepted;
            refused.AddRange(result.Refused.Select(record => record with { Index = indexes[record.Index] }));
        }

        return new(accepted, already, [.. refused.OrderBy(record => record.Index)]);
    }

    /// <summary>Begins to find out what appending would answer for an exporter, with nothing appended.</summary>
    public async Task<LedgerTrial> BeginTrialAsync(string exporter, CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        await ledger.MergeAcceptedAsync(cancellationToken);
        return new(ledger.Header.Dictionary.Copy(), records => Cut(records, 0));
    }

    /// <summary>
    /// The exporter's counters of a year, with everything that was accepted before the call. Zeros when there is nothing.
    /// </summary>
    public async Task<LedgerCounters> ReadCountersAsync(string exporter, int year, CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        var position = await ledger.MergeAcceptedAsync(cancellationToken);
        var rows = await ReadRowsAsync(ledger, exporter, cancellationToken);
        await MendTornUnionsAsync(ledger, exporter, rows, position, cancellationToken);
        var totals = ledger.Predicates.FixedNames.ToDictionary(name => name, _ => 0L, StringComparer.Ordinal);
        foreach (var (key, count) in rows.SelectMany(row => row.Counters.Counts).Where(entry => entry.Key.Year == year && entry.Value != 0))
        {
            var name = ledger.Predicates.NameOf(key.Number, ledger.Header.Dictionary);
            totals[name] = totals.GetValueOrDefault(name) + count;
        }

        return new(exporter, year, totals.GetValueOrDefault("subjects"), totals, position);
    }

    /// <summary>
    /// How the counters of a year would stand if these records were accepted: the same answer as recording them, with nothing recorded.
    /// Records of other exporters are passed over.
    /// </summary>
    public Task<LedgerPreview> PreviewAsync(
        string exporter, int year, IReadOnlyList<SubjectTransfer> records, CancellationToken cancellationToken)
    {
        var proposed = new ProposedFacts(exporter, year);
        proposed.Add(records);
        return PreviewAsync(proposed, cancellationToken);
    }

    /// <summary>How the counters would stand if what is proposed were accepted.</summary>
    public async Task<LedgerPreview> PreviewAsync(ProposedFacts proposed, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(proposed);
        var before = await ReadCountersAsync(proposed.Exporter, proposed.Year, cancellationToken);
        var changes = await For(proposed.Exporter).WithShardsAsync(
            shards => new LedgerForecast(shards, predicates).ChangesAsync(proposed, cancellationToken), cancellationToken);
        var after = before.Counters.ToDictionary(StringComparer.Ordinal);
        foreach (var (name, change) in changes)
        {
            after[name] = after.GetValueOrDefault(name) + change;
        }

        return new(before with { Subjects = after.GetValueOrDefault("subjects"), Counters = after }, changes);
    }

    /// <summary>Merges whatever was accepted and not yet merged, for a timer.</summary>
    public Task MergeAsync(string exporter, CancellationToken cancellationToken) => For(exporter).MergeAcceptedAsync(cancellationToken);

    /// <summary>Where a batch stands, or <see langword="null"/>.</summary>
    public async Task<BatchInfo?> FindBatchAsync(string exporter, string batchId, CancellationToken cancellationToken) =>
        (await For(exporter).Entries.BatchAsync(batchId, cancellationToken))?.ToInfo();

    /// <summary>The ids of the records that were accepted under a batch's id, in the order of acceptance; what a sender that asks again need not send.</summary>
    /// <param name="exporter">The exporter.</param>
    /// <param name="batchId">The batch.</param>
    /// <param name="seen">So many pieces are passed over, since the caller knows them.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async IAsyncEnumerable<string> ReadRecordIdsAsync(
        string exporter, string batchId, int seen, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var log = For(exporter).Entries;
        foreach (var piece in ((await log.BatchAsync(batchId, cancellationToken))?.Pieces ?? []).Skip(seen))
        {
            if (await log.EntryAsync(piece.Position, cancellationToken) is { Chunk: not null } entry)
            {
                foreach (var record in ChunkCodec.DecodeRecords(entry.Bytes, batchId))
                {
                    yield return record.RecordId;
                }
            }
        }
    }

    /// <summary>
    /// Takes a batch back: every subject in it gets the facts that the other batches say. Voiding twice is voiding once. Facts of years
    /// whose records may be past their retention stay.
    /// </summary>
    /// <exception cref="LedgerRefusalException">There is no such batch.</exception>
    public Task VoidBatchAsync(string exporter, string batchId, CancellationToken cancellationToken) =>
        VoidBatchAsync(exporter, batchId, evenUnknown: false, cancellationToken);

    /// <summary>The same, or where the batch has no records of the exporter yet, sees to it that it gets none.</summary>
    public Task CloseBatchAsync(string exporter, string batchId, CancellationToken cancellationToken) =>
        VoidBatchAsync(exporter, batchId, evenUnknown: true, cancellationToken);

    private async Task VoidBatchAsync(string exporter, string batchId, bool evenUnknown, CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        await MergeAsync(exporter, cancellationToken);
        if (ledger.Header.Bytes > options.HeaderBytes && !ledger.Header.IsVoided(batchId))
        {
            throw new LedgerRefusalException(LedgerRefusal.TooManyVoids);
        }

        var (verdict, _) = await ledger.WriteAsync(new(new(LogEntryKind.Void, batchId)) { EvenUnknown = evenUnknown }, cancellationToken);
        Throw(verdict);
        await ledger.MergeAcceptedAsync(cancellationToken);
    }

    /// <summary>
    /// Says that two identifiers are one person, once and for all: the survivor gets the other's facts, and later records of the other
    /// count as the survivor's. Until both is done the count is too high by one, never too low.
    /// </summary>
    /// <exception cref="LedgerRefusalException">They are the same, or too many were united.</exception>
    public async Task UnionAsync(string exporter, SubjectPseudonym survivor, SubjectPseudonym other, CancellationToken cancellationToken)
    {
        if (survivor == other)
        {
            throw new LedgerRefusalException(LedgerRefusal.SameSubject);
        }

        var ledger = For(exporter);
        await ledger.MergeAcceptedAsync(cancellationToken);
        if (ledger.Header.Aliases >= LedgerLimits.Aliases || ledger.Header.Bytes > options.HeaderBytes)
        {
            throw new LedgerRefusalException(LedgerRefusal.TooManyUnions);
        }

        var entry = new LogEntry(LogEntryKind.Union, "") { Subject = SubjectKey.Of(survivor), Other = SubjectKey.Of(other) };
        await ledger.WriteAsync(new(entry), cancellationToken);
        await ledger.MergeAcceptedAsync(cancellationToken);
    }

    /// <summary>What is held on a subject, for access requests.</summary>
    public async Task<SubjectState> ReadSubjectAsync(string exporter, SubjectPseudonym subject, CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        await ledger.MergeAcceptedAsync(cancellationToken);
        return await ledger.WithShardsAsync(
            async shards =>
            {
                var key = shards.Header.Resolve(SubjectKey.Of(subject));
                var shard = await shards.OpenAsync(key, cancellationToken);
                await shard.CatchUpAsync(cancellationToken);
                var years = new SortedDictionary<int, IReadOnlyList<TransferFact>>();
                foreach (var (year, facts) in shards.Space[shard.StateOf(key)])
                {
                    years.Add(year, [.. facts.Select(shards.Header.Dictionary.Unpack)]);
                }

                return new SubjectState(key, years);
            },
            cancellationToken);
    }

    /// <summary>The records that are kept, in the order of acceptance, without those of voided batches: what filings are rebuilt from.</summary>
    /// <param name="exporter">The exporter.</param>
    /// <param name="subject">Only those of this subject, united identifiers included; <see langword="null"/> for all.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public IAsyncEnumerable<LedgerRecord> ReadRecordsAsync(string exporter, SubjectPseudonym? subject, CancellationToken cancellationToken) =>
        ReadRecordsOfAnyAsync(exporter, subject is { } only ? new HashSet<SubjectPseudonym> { only } : null, cancellationToken);

    /// <summary>The same for a subject under any of several pseudonyms; <see langword="null"/> for all subjects.</summary>
    public async IAsyncEnumerable<LedgerRecord> ReadRecordsOfAnyAsync(
        string exporter, IReadOnlySet<SubjectPseudonym>? subjects, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        var head = await ledger.MergeAcceptedAsync(cancellationToken);
        var wanted = subjects?.Select(pseudonym => ledger.Header.Resolve(SubjectKey.Of(pseudonym))).ToHashSet();
        await foreach (var row in ledger.Entries.RowsAsync(head + 1, cancellationToken))
        {
            var entry = LogEntry.FromRow(row);
            if (entry.Chunk is null || ledger.Header.IsVoided(entry.BatchId))
            {
                continue;
            }

            foreach (var record in ChunkCodec.DecodeRecords(entry.Bytes, entry.BatchId))
            {
                var person = ledger.Header.Resolve(record.Subject);
                if (wanted is null || wanted.Contains(person))
                {
                    yield return person == record.Subject ? record : record with { Person = person };
                }
            }
        }
    }

    /// <summary>
    /// Those of the records that say something which the ledger does not hold yet: what a baseline that is read again and again has to
    /// record. Records of other exporters are passed over.
    /// </summary>
    public async Task<IReadOnlyList<SubjectTransfer>> NewsAsync(
        string exporter, IReadOnlyList<SubjectTransfer> records, CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        await ledger.MergeAcceptedAsync(cancellationToken);
        var mine = records.Where(record => record.Facts.Count > 0 && record.Exporter.Equals(exporter, StringComparison.Ordinal)).ToList();
        return await ledger.WithShardsAsync<IReadOnlyList<SubjectTransfer>>(
            async shards => [.. (await LedgerForecast.NewsAsync(shards, mine, cancellationToken)).Select(index => mine[index])], cancellationToken);
    }

    /// <summary>Those of the subjects on which the ledger holds something under this very pseudonym, united identifiers left aside.</summary>
    public async Task<IReadOnlySet<SubjectPseudonym>> HeldAsync(
        string exporter, IReadOnlyList<SubjectPseudonym> subjects, CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        await ledger.MergeAcceptedAsync(cancellationToken);
        return await ledger.WithShardsAsync<IReadOnlySet<SubjectPseudonym>>(
            async shards =>
            {
                HashSet<SubjectPseudonym> held = [];
                foreach (var group in subjects.GroupBy(subject => SubjectKey.Of(subject).Shard(shards.Count)))
                {
                    var shard = await shards.OpenAsync(group.Key, cancellationToken);
                    await shard.CatchUpAsync(cancellationToken);
                    held.UnionWith(group.Where(subject => shard.StateOf(SubjectKey.Of(subject)) != FactSpace.Empty));
                }

                return held;
            },
            cancellationToken);
    }

    /// <summary>Finds out whether the settings fit what is stored, without merging anything.</summary>
    /// <exception cref="LedgerMismatchException">They do not.</exception>
    public async Task CheckFitAsync(string exporter, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(LedgerRows.LogTable, exporter, LedgerRows.Checkpoint, cancellationToken) is { } checkpoint)
        {
            LedgerFit.Check(checkpoint, options);
            return;
        }

        foreach (var row in (await store.QueryAsync(LedgerRows.LogTable, exporter, LedgerRows.Log(0), 1, null, cancellationToken)).Entities)
        {
            LedgerFit.Check(row, options);
        }
    }

    /// <summary>Proves that the counters are what the rows say: reads every row anew and counts.</summary>
    public async Task<RecountReport> RecountAsync(string exporter, CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        await ledger.MergeAcceptedAsync(cancellationToken);
        var context = new ShardContext(store, exporter, options, ledger.Predicates, ledger.Entries);
        var (subjects, differences) = (0L, new List<RecountDifference>());
        for (var number = 0; number < options.Shards; number++)
        {
            var shard = new Shard(context, number);
            await shard.OpenAsync(cancellationToken);
            subjects += shard.Subjects();
            var counted = shard.Recount();
            foreach (var key in shard.Counters.Counts.Keys.Union(counted.Counts.Keys).Where(key => shard.Counters[key] != counted[key]))
            {
                var name = ledger.Predicates.NameOf(key.Number, ledger.Header.Dictionary);
                differences.Add(new(number, key.Year, name, shard.Counters[key], counted[key]));
            }
        }

        return new(exporter, subjects, differences);
    }

    /// <summary>Enters or corrects a count from before DingFlow. It is never added to a counter.</summary>
    public async Task SetOpeningBalanceAsync(
        string exporter, int year, string counter, long count, string source, CancellationToken cancellationToken)
    {
        var row = new Entity(exporter, OpeningRow(year, counter));
        row.Properties["Year"] = year;
        row.Properties["Counter"] = counter;
        row.Properties["Count"] = count;
        row.Properties["Source"] = source;
        row.Properties["RecordedAt"] = time.GetUtcNow();
        await store.SubmitAsync(EntityTransaction.Of(LedgerRows.OpeningTable, EntityOperation.Upsert(row)), cancellationToken);
    }

    /// <summary>Takes a count from before DingFlow back; <see langword="false"/> when there is none.</summary>
    public async Task<bool> RemoveOpeningBalanceAsync(string exporter, int year, string counter, CancellationToken cancellationToken) =>
        (await store.SubmitAsync(
            EntityTransaction.Of(LedgerRows.OpeningTable, EntityOperation.Delete(exporter, OpeningRow(year, counter))), cancellationToken)).Committed;

    /// <summary>The counts from before DingFlow.</summary>
    public async Task<IReadOnlyList<OpeningBalance>> ReadOpeningBalancesAsync(string exporter, CancellationToken cancellationToken)
    {
        List<OpeningBalance> balances = [];
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(LedgerRows.OpeningTable, exporter, RowKeyRange.All, 1000, continuation, cancellationToken);
            balances.AddRange(page.Entities.Select(row => new OpeningBalance(
                row.Properties.Require<int>("Year"), row.Properties.Require<string>("Counter"), row.Properties.Require<long>("Count"),
                row.Properties.Require<string>("Source"), row.Properties.Require<DateTimeOffset>("RecordedAt"))));
            continuation = page.Continuation;
        }
        while (continuation is not null);
        return balances;
    }

    /// <summary>Finishes what is being merged. What is not merged is in the log and will be.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (var exporter in _exporters.Values.Where(exporter => exporter.IsValueCreated))
        {
            await exporter.Value.DisposeAsync();
        }
    }

    private static void Throw(LogVerdict verdict)
    {
        var reason = verdict switch
        {
            LogVerdict.BatchVoided => LedgerRefusal.BatchVoided,
            LogVerdict.UnknownBatch => LedgerRefusal.UnknownBatch,
            LogVerdict.Written or LogVerdict.AlreadyWritten or _ => default(LedgerRefusal?),
        };
        if (reason is { } refusal)
        {
            throw new LedgerRefusalException(refusal);
        }
    }

    private static string OpeningRow(int year, string counter) =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{year:d4}|{counter}");

    private ExporterLedger For(string exporter) => _exporters.GetOrAdd(
        exporter, name => new(() => new ExporterLedger(store, name, options, predicates, time, logger))).Value;

    private async Task<AppendResult> AppendAsync(
        TransferBatch batch, string exporter, IReadOnlyList<SubjectTransfer> records, CancellationToken cancellationToken)
    {
        List<RefusedRecord> refused = [];
        var (accepted, already, written) = (0, 0, 0);
        foreach (var (number, piece) in Cut(records, 0).Index())
        {
            var (verdict, count) = await WritePieceAsync(batch, number, exporter, records, piece, refused, cancellationToken);
            Throw(verdict);
            if (verdict == LogVerdict.Overtaken)
            {
                return new(accepted, already, refused) { Pieces = written, Overtaken = records.Count - piece.Start };
            }

            written += verdict == LogVerdict.Written ? 1 : 0;
            accepted += verdict == LogVerdict.Written ? count : 0;
            already += verdict == LogVerdict.AlreadyWritten ? count : 0;
        }

        return new(accepted, already, refused) { Pieces = written };
    }

    private async Task<(LogVerdict Verdict, int Records)> WritePieceAsync(
        TransferBatch batch, int number, string exporter, IReadOnlyList<SubjectTransfer> records, PieceOfPart piece, List<RefusedRecord> refused,
        CancellationToken cancellationToken)
    {
        var (data, chunk) = (piece.Data, piece.Chunk);
        var kept = Enumerable.Range(piece.Start, piece.Count).ToList();
        while (true)
        {
            try
            {
                var entry = new LogEntry(LogEntryKind.Records, batch.Id) { Pieces = data, Chunk = chunk };
                var (verdict, _) = await For(exporter).WriteAsync(
                    new(entry, BatchPiece.NumberOf(batch.Part, number), batch.Seen + number), cancellationToken);
                return (verdict, kept.Count);
            }
            catch (DictionaryFullException full)
            {
                // Rare: more names or facts than any real exporter has. What bears a new one is left out, the others go on.
                chunk.Release();
                LedgerTrial.LeaveOut(records, kept, full.Overflow, refused);
                (data, chunk) = ChunkCodec.Encode([.. kept.Select(index => records[index])]);
            }
        }
    }

    /// <summary>Packs records into as many rows as they need; the same records always into the same.</summary>
    private List<PieceOfPart> Cut(IReadOnlyList<SubjectTransfer> records, int start)
    {
        if (records.Count <= options.ChunkRecords)
        {
            var (data, chunk) = ChunkCodec.Encode(records);
            if (data.Sum(bytes => bytes.Length) <= LedgerLimits.RowBytes || records.Count == 1)
            {
                return [new(start, records.Count, data, chunk)];
            }

            chunk.Release();
        }

        var half = (records.Count + 1) / 2;
        return [.. Cut([.. records.Take(half)], start), .. Cut([.. records.Skip(half)], start + half)];
    }

    /// <summary>
    /// Rows are read one after the other. Where the survivor's was read before a union and the other's after it, the person is in neither: the
    /// survivor's is read again, which was written first.
    /// </summary>
    private async Task MendTornUnionsAsync(ExporterLedger ledger, string exporter, ShardRow[] rows, long position, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < MostTornReads; attempt++)
        {
            var unions = await ledger.UnionsAsync(position, rows.Max(row => row.Applied), cancellationToken);
            var torn = unions
                .Where(union => rows[union.Survivor.Shard(rows.Length)].Applied < union.Position && rows[union.Other.Shard(rows.Length)].Applied >= union.Position)
                .Select(union => union.Survivor.Shard(rows.Length)).ToHashSet();
            if (torn.Count == 0)
            {
                return;
            }

            foreach (var number in torn)
            {
                rows[number] = await ReadRowAsync(exporter, number, cancellationToken);
            }

            await CountAnewAsync(ledger, rows, cancellationToken);
        }

        throw new EntityStoreException("Identifiers keep being united while the counters are read.");
    }

    private async Task<ShardRow> ReadRowAsync(string exporter, int number, CancellationToken cancellationToken) =>
        await store.GetAsync(LedgerRows.ShardTable, LedgerRows.ShardPartition(exporter, number), LedgerRows.CounterRow, cancellationToken) is { } stored
            ? ShardRow.FromRow(stored, options)
            : new();

    private async Task<ShardRow[]> ReadRowsAsync(ExporterLedger ledger, string exporter, CancellationToken cancellationToken)
    {
        var rows = new ShardRow[options.Shards];
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = 16, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(
            Enumerable.Range(0, rows.Length), parallel, async (number, token) => rows[number] = await ReadRowAsync(exporter, number, token));
        await CountAnewAsync(ledger, rows, cancellationToken);
        return rows;
    }

    private async Task CountAnewAsync(ExporterLedger ledger, ShardRow[] rows, CancellationToken cancellationToken)
    {
        await ledger.Entries.LearnNamesAsync(rows.Max(row => row.Applied), cancellationToken);

        // Counted under other definitions: counted anew from the rows, and kept so.
        foreach (var number in Enumerable.Range(0, rows.Length)
            .Where(number => rows[number].ETag is not null && rows[number].Fingerprint != predicates.Fingerprint))
        {
            rows[number] = rows[number] with { Counters = await ledger.RedefineAsync(number, cancellationToken) };
        }
    }
}

/// <summary>Records of a part that go into one row.</summary>
internal sealed record PieceOfPart(int Start, int Count, IReadOnlyList<byte[]> Data, Chunk Chunk);
