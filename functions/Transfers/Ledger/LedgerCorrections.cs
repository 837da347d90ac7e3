using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// Applies those entries of the log that are not records. Everything before the entry is merged when it is applied, nothing after it;
/// each step can be done again, and a shard that already has the entry is passed over.
/// </summary>
internal sealed class LedgerCorrections(ExporterLog log, ShardSet shards)
{
    private const int RewriteAttempts = 10;

    public Task ApplyAsync(LogEntry entry, CancellationToken cancellationToken) => entry.Kind switch
    {
        LogEntryKind.Void => VoidAsync(entry, cancellationToken),
        LogEntryKind.Union => UniteAsync(entry, cancellationToken),
        LogEntryKind.Erase => EraseAsync(entry, cancellationToken),
        LogEntryKind.Records or _ => throw PackedReader.Damaged(),
    };

    /// <summary>First the survivor gets the facts, then the other loses them: in between the count errs high, never low.</summary>
    private async Task UniteAsync(LogEntry entry, CancellationToken cancellationToken)
    {
        var survivor = shards.Header.Resolve(entry.Subject, entry.Position);
        var other = shards.Header.Resolve(entry.Other, entry.Position);
        if (survivor == other)
        {
            return;
        }

        var (to, from) = (await shards.OpenAsync(survivor, cancellationToken), await shards.OpenAsync(other, cancellationToken));
        if (to == from)
        {
            await ShardSet.CommitAsync(
                to, entry.Position, always: true, purge: false,
                () =>
                {
                    to.Reserve(2);
                    to.Add(survivor, to.StateOf(other));
                    to.Set(other, FactSpace.Empty);
                },
                cancellationToken);
            return;
        }

        // The other's facts are final: what came before the entry is merged, and what comes after it goes to the survivor.
        await from.CatchUpAsync(cancellationToken);
        var facts = from.StateOf(other);
        await ShardSet.CommitAsync(
            to, entry.Position, always: true, purge: false,
            () =>
            {
                to.Reserve(1);
                to.Add(survivor, facts);
            },
            cancellationToken);
        await ShardSet.CommitAsync(
            from, entry.Position, always: true, purge: false, () => from.Set(other, FactSpace.Empty), cancellationToken);
    }

    /// <summary>Gives every subject of the batch the state that the other batches' records make.</summary>
    private async Task VoidAsync(LogEntry entry, CancellationToken cancellationToken)
    {
        await log.ReadCheckpointAsync(cancellationToken);
        if (IsDoneElsewhere(entry))
        {
            return;
        }

        var rebuilt = await TouchedAsync(entry, cancellationToken);
        await RebuildAsync(entry, rebuilt, cancellationToken);
        var frozen = shards.Header.FrozenThrough;
        foreach (var group in rebuilt.GroupBy(subject => subject.Key.Shard(shards.Count)))
        {
            var shard = await shards.OpenAsync(group.Key, cancellationToken);
            await ShardSet.CommitAsync(
                shard, entry.Position, always: true, purge: false,
                () =>
                {
                    shard.Reserve(group.Count());
                    foreach (var (key, state) in group)
                    {
                        // Records of frozen years may be gone, so nothing says what these years would be without the batch; and those that are
                        // left may tell of years that are past their retention.
                        var kept = shards.Space.Where(shard.StateOf(key), year => year <= frozen);
                        shard.Set(key, shards.Space.Union(shards.Space.Where(state, year => year > frozen), kept));
                    }
                },
                cancellationToken);
        }
    }

    private async Task<Dictionary<SubjectKey, int>> TouchedAsync(LogEntry entry, CancellationToken cancellationToken)
    {
        Dictionary<SubjectKey, int> touched = [];
        var batch = await log.BatchAsync(entry.BatchId, cancellationToken);
        foreach (var (_, position) in batch?.Pieces ?? [])
        {
            if (await log.EntryAsync(position, cancellationToken) is { Chunk: { } chunk })
            {
                for (var i = 0; i < chunk.Count; i++)
                {
                    if (chunk.Additions[i] >= 0)
                    {
                        touched[shards.Header.Resolve(chunk.Keys[i], entry.Position)] = FactSpace.Empty;
                    }
                }
            }
        }

        return touched;
    }

    private async Task RebuildAsync(LogEntry entry, Dictionary<SubjectKey, int> rebuilt, CancellationToken cancellationToken)
    {
        await foreach (var row in log.RowsAsync(entry.Position, cancellationToken))
        {
            if (shards.Header.IsVoided(row.Properties.Require<string>("Batch")) || LogEntry.FromRow(row).Chunk is not { } chunk)
            {
                continue;
            }

            var states = Array.ConvertAll(chunk.Table, addition => shards.Space.Intern(addition.Year, addition.Facts));
            for (var i = 0; i < chunk.Count; i++)
            {
                var key = shards.Header.Resolve(chunk.Keys[i], entry.Position);
                if (chunk.Additions[i] >= 0 && rebuilt.TryGetValue(key, out var state))
                {
                    rebuilt[key] = shards.Space.Union(state, states[chunk.Additions[i]]);
                }
            }
        }
    }

    /// <summary>
    /// The subject's entry goes, then its records, then the unions that name it, and at last its key in this very entry. Whoever goes on
    /// after a crash, or reads the log meanwhile, knows of a union as long as a record is left that it concerns.
    /// </summary>
    private async Task EraseAsync(LogEntry entry, CancellationToken cancellationToken)
    {
        // Names and unions that the log is about to lose are in the checkpoint first.
        await log.CheckpointAsync(entry.Position - 1, always: true, cancellationToken);
        if (IsDoneElsewhere(entry))
        {
            return;
        }

        var subject = shards.Header.Resolve(entry.Subject, entry.Position);
        var shard = await shards.OpenAsync(subject, cancellationToken);
        await ShardSet.CommitAsync(
            shard, entry.Position, always: true, purge: true, () => shard.Set(subject, FactSpace.Empty), cancellationToken);

        // A shard keeps the keys of those who went into another, without facts, until it is written anew.
        foreach (var number in shards.Header.UnitedWith(subject, entry.Position).Select(other => other.Shard(shards.Count)).Where(number => number != shard.Number).ToHashSet())
        {
            await ShardSet.CommitAsync(
                await shards.OpenAsync(number, cancellationToken), entry.Position, always: true, purge: true, static () => { }, cancellationToken);
        }

        List<Entity> corrections = [];
        await foreach (var row in log.RowsAsync(entry.Position, cancellationToken))
        {
            if ((LogEntryKind)row.Properties.Require<int>("Kind") == LogEntryKind.Records)
            {
                await ForgetAsync(row, subject, entry.Position, cancellationToken);
            }
            else
            {
                corrections.Add(row);
            }
        }

        foreach (var row in corrections)
        {
            await ForgetAsync(row, subject, entry.Position, cancellationToken);
        }

        await shards.SweepAsync(cancellationToken);
        shards.Header.Forget(entry.Position);
        await log.CheckpointAsync(log.Checkpointed, always: true, cancellationToken);
        if (await log.RowAsync(entry.Position, cancellationToken) is { } own)
        {
            await RewriteAsync(own, Blank, cancellationToken);
        }
    }

    /// <summary>Another process has merged the entry and everything before it; what is in memory here may lack some of that.</summary>
    private bool IsDoneElsewhere(LogEntry entry)
    {
        if (log.Checkpointed < entry.Position)
        {
            return false;
        }

        shards.Unload();
        return true;
    }

    private Task ForgetAsync(Entity row, SubjectKey subject, long position, CancellationToken cancellationToken) => RewriteAsync(
        row,
        entry =>
        {
            if (entry.Chunk is not { } chunk)
            {
                return shards.Header.Resolve(entry.Subject, position) == subject || shards.Header.Resolve(entry.Other, position) == subject ? Blank(entry) : null;
            }

            var records = ChunkCodec.DecodeRecords(entry.Bytes, "");
            return records.RemoveAll(record => shards.Header.Resolve(record.Subject, position) == subject) > 0 ? ChunkCodec.Encode(records, chunk.Table) : null;
        },
        cancellationToken);

    private static IReadOnlyList<byte[]>? Blank(LogEntry entry) =>
        entry.Subject == default && entry.Other == default ? null : [(entry with { Subject = default, Other = default }).PackCorrection()];

    /// <summary>Writes a row of the log anew, unless nothing is to be changed. Another instance may be at the same at this moment.</summary>
    private async Task RewriteAsync(Entity row, Func<LogEntry, IReadOnlyList<byte[]>?> change, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var entry = LogEntry.FromRow(row);
            if (change(entry) is not { } pieces)
            {
                return;
            }

            foreach (var name in row.Properties.Keys.Where(name => name.StartsWith("Data", StringComparison.Ordinal)).ToList())
            {
                row.Properties.Remove(name);
            }

            LedgerRows.Put(row.Properties, pieces);
            if (await log.ReplaceAsync(row, cancellationToken) || await log.RowAsync(entry.Position, cancellationToken) is not { } again)
            {
                return;
            }

            row = attempt < RewriteAttempts ? again : throw new EntityStoreException("The ledger's log kept changing while a subject was erased.");
        }
    }
}
