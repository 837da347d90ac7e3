namespace DingFlow.Transfers.Ledger;

/// <content>What happens to what is past its retention.</content>
public sealed partial class SubjectLedger
{
    /// <summary>
    /// Forgets a subject: its entry, the records that name it, and identifiers that were united with it. The counters lose it under the
    /// same condition as every other write.
    /// </summary>
    /// <exception cref="LedgerRefusalException">One of its records is still within its retention.</exception>
    public async Task EraseSubjectAsync(string exporter, SubjectPseudonym subject, CancellationToken cancellationToken)
    {
        var from = LegalTime.StartOf(RetainedFrom());
        await foreach (var record in ReadRecordsAsync(exporter, subject, cancellationToken))
        {
            if (record.OccurredAt >= from)
            {
                throw new LedgerRefusalException(LedgerRefusal.WithinRetention);
            }
        }

        var entry = new LogEntry(LogEntryKind.Erase, "") { Subject = SubjectKey.Of(subject) };
        await For(exporter).WriteAsync(new(entry), cancellationToken);
        await For(exporter).MergeAcceptedAsync(cancellationToken);
    }

    /// <summary>The first day of acceptance (Asia/Shanghai, <c>yyyymmdd</c>) whose log entries are kept now.</summary>
    public int KeptFrom() => DayNumber(RetainedFrom());

    /// <summary>Whether there are log entries that were accepted before a day (<c>yyyymmdd</c>).</summary>
    public async Task<bool> HoldsBeforeAsync(string exporter, int day, CancellationToken cancellationToken) =>
        (await store.QueryAsync(LedgerRows.LogTable, exporter, LedgerRows.Log(0), 1, null, cancellationToken)).Entities
            .Any(row => row.Properties.Require<int>("Day") < day);

    /// <summary>
    /// Removes log entries accepted before the retention period, and the subjects' facts of calendar years that ended before it. For a
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
            if (batchId.Length > 0 && await log.BatchAsync(batchId, cancellationToken) is { } batch && batch.Pieces[^1].Position <= last)
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
        if (!shard.Entries().Any(entry => shards.Space[entry.State][0].Year < before))
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
