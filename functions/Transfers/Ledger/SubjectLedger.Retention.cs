namespace DingFlow.Transfers.Ledger;

/// <content>What happens to what is past its retention.</content>
public sealed partial class SubjectLedger
{
    /// <summary>
    /// Forgets a subject: its entry, the records that name it, and identifiers that were united with it. The counters lose it under the
    /// same condition as every other write.
    /// </summary>
    /// <returns>Something was held.</returns>
    /// <exception cref="LedgerRefusalException">One of its records is still within its retention.</exception>
    public Task<bool> EraseSubjectAsync(string exporter, SubjectPseudonym subject, CancellationToken cancellationToken) =>
        EraseSubjectAsync(exporter, new HashSet<SubjectPseudonym> { subject }, cancellationToken);

    /// <summary>The same for a person under any of several pseudonyms.</summary>
    public async Task<bool> EraseSubjectAsync(string exporter, IReadOnlySet<SubjectPseudonym> person, CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        var from = LegalTime.StartOf(RetainedFrom());
        HashSet<SubjectKey> named = [];
        foreach (var name in person)
        {
            if (await ReadSubjectAsync(exporter, name, cancellationToken) is { Years.Count: > 0 } held)
            {
                named.Add(held.Subject);
            }
        }

        HashSet<SubjectKey> erased = [];
        for (var seen = 0L; ;)
        {
            var head = await ledger.MergeAcceptedAsync(cancellationToken);
            var keys = person.Select(name => ledger.Header.Resolve(SubjectKey.Of(name))).ToHashSet();
            await foreach (var row in ledger.Entries.RowsAsync(seen + 1, head + 1, cancellationToken))
            {
                named.UnionWith(NamedIn(LogEntry.FromRow(row), keys, ledger.Header, from));
            }

            seen = head;
            if (named.Except(erased).ToList() is not [var next, ..])
            {
                return erased.Count > 0;
            }

            // A record that is accepted meanwhile would go with the others: then it is looked at first.
            var entry = new LogEntry(LogEntryKind.Erase, "") { Subject = next };
            if ((await ledger.WriteAsync(new(entry) { At = head + 1 }, cancellationToken)).Verdict != LogVerdict.Overtaken)
            {
                erased.Add(next);
                seen++;
                await ledger.MergeAcceptedAsync(cancellationToken);
            }
        }
    }

    /// <summary>Those of the subjects that the entry names, in a record or as one of two that were united.</summary>
    /// <exception cref="LedgerRefusalException">A record of one that stands is still within its retention.</exception>
    private static HashSet<SubjectKey> NamedIn(LogEntry entry, HashSet<SubjectKey> subjects, LedgerHeader header, DateTimeOffset from)
    {
        HashSet<SubjectKey> named = [];
        if (entry.Chunk is not { } chunk)
        {
            named.UnionWith(entry.Kind == LogEntryKind.Union ? [header.Resolve(entry.Subject), header.Resolve(entry.Other)] : []);
            named.IntersectWith(subjects);
            return named;
        }

        foreach (var key in chunk.Keys)
        {
            if (header.Resolve(key) is var person && subjects.Contains(person))
            {
                named.Add(person);
            }
        }

        if (named.Count > 0 && !header.IsVoided(entry.BatchId)
            && ChunkCodec.DecodeRecords(entry.Bytes, "").Exists(record => record.OccurredAt >= from && named.Contains(header.Resolve(record.Subject))))
        {
            throw new LedgerRefusalException(LedgerRefusal.WithinRetention);
        }

        return named;
    }

    /// <summary>The first day of acceptance (Asia/Shanghai, <c>yyyymmdd</c>) whose log entries are kept now.</summary>
    public int KeptFrom() => DayNumber(RetainedFrom());

    /// <summary>Whether there are log entries that were accepted before a day (<c>yyyymmdd</c>).</summary>
    public async Task<bool> HoldsBeforeAsync(string exporter, int day, CancellationToken cancellationToken) =>
        (await store.QueryAsync(LedgerRows.LogTable, exporter, LedgerRows.Log(0), 1, null, cancellationToken)).Entities
            .Any(row => row.Properties.Require<int>("Day") < day);

    /// <summary>
    /// Removes log entries accepted before the retention period, and the subjects' facts of calendar years that ended before it; who is left without facts goes, too. For a
    /// timer; a run that was interrupted is finished by the next.
    /// </summary>
    /// <returns>How many log entries were removed.</returns>
    public async Task<int> PruneAsync(string exporter, CancellationToken cancellationToken)
    {
        var ledger = For(exporter);
        var head = await ledger.MergeAcceptedAsync(cancellationToken);
        var from = RetainedFrom();
        var day = KeptFrom();
        return await ledger.WithShardsAsync(
            async shards =>
            {
                // First it is said that these years can no longer be rebuilt, then the records go.
                shards.Header.FrozenThrough = Math.Max(shards.Header.FrozenThrough, from.Year);
                await ledger.CheckpointAsync(cancellationToken);
                var removed = await RemoveEntriesAsync(ledger.Entries, head, day, cancellationToken);
                for (var number = 0; number < shards.Count; number++)
                {
                    await DropYearsAsync(shards, number, from.Year, cancellationToken);
                }

                await shards.SweepAsync(cancellationToken);
                return removed;
            },
            cancellationToken);
    }

    private static int DayNumber(DateOnly day) => (day.Year * 10000) + (day.Month * 100) + day.Day;

    private DateOnly RetainedFrom() => LegalTime.DayOf(time.GetUtcNow()).AddYears(-options.RetentionYears);

    private static async Task<int> RemoveEntriesAsync(ExporterLog log, long head, int day, CancellationToken cancellationToken)
    {
        var removed = 0;
        List<string> keys = [];
        Dictionary<string, long> batches = new(StringComparer.Ordinal);
        await foreach (var row in log.RowsAsync(head + 1, cancellationToken))
        {
            if (row.Properties.Require<int>("Day") >= day)
            {
                break;
            }

            keys.Add(row.RowKey);
            batches[row.Properties.Require<string>("Batch")] = LedgerRows.PositionOf(row.RowKey);
        }

        foreach (var key in keys)
        {
            // One by one, oldest first: an interrupted run leaves no gap behind it.
            removed += await log.RemoveAsync(key, cancellationToken) ? 1 : 0;
        }

        foreach (var (batchId, last) in batches)
        {
            if (batchId.Length > 0 && await log.BatchAsync(batchId, cancellationToken) is { } batch && (batch.Pieces.Count == 0 ? batch.VoidedAt : batch.Pieces[^1].Position) <= last)
            {
                await log.RemoveAsync(LedgerRows.Batch(batchId), cancellationToken);
            }
        }

        return removed;
    }

    private static async Task DropYearsAsync(ShardSet shards, int number, int before, CancellationToken cancellationToken)
    {
        var shard = await shards.OpenAsync(number, cancellationToken);
        await shard.CatchUpAsync(cancellationToken);
        if (!shard.KeepsForgotten() && !shard.Entries().Any(entry => shards.Space[entry.State][0].Year < before))
        {
            return;
        }

        await ShardSet.CommitAsync(
            shard, shard.Applied, always: false, purge: true,
            () =>
            {
                foreach (var (key, state) in shard.Entries().ToList())
                {
                    shard.Set(key, shards.Space.Where(state, year => year >= before));
                }
            },
            cancellationToken);
    }
}
