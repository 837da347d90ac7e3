using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <content>How a shard comes into memory, and how it takes in what other writers committed.</content>
internal sealed partial class Shard
{
    /// <summary>Takes in what other writers committed.</summary>
    public async Task CatchUpAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < LedgerLimits.Attempts; attempt++)
        {
            var stored = await context.Store.GetAsync(LedgerRows.ShardTable, Partition, LedgerRows.CounterRow, cancellationToken);
            if (_loaded && stored?.ETag == _row.ETag)
            {
                return;
            }

            var row = await RowOfAsync(stored, cancellationToken);
            if (!_loaded || row.Version < _row.Version || row.PurgedAt > _row.Version)
            {
                Unload();
                await LoadAsync(cancellationToken);
                return;
            }

            if (await TakeInAsync(row, cancellationToken))
            {
                return;
            }
        }

        throw new EntityStoreException("The ledger's shard keeps changing while it is read.");
    }

    private async Task<ShardRow> RowOfAsync(Entity? stored, CancellationToken cancellationToken)
    {
        if (stored is null)
        {
            return new();
        }

        var row = ShardRow.FromRow(stored, context.Options);
        await context.Log.LearnNamesAsync(row.Applied, cancellationToken);
        return row;
    }

    private async Task LoadAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < LedgerLimits.Attempts; attempt++)
        {
            var stored = await context.Store.GetAsync(LedgerRows.ShardTable, Partition, LedgerRows.CounterRow, cancellationToken);
            var row = await RowOfAsync(stored, cancellationToken);
            _map = new(context.Pages, number);
            if (row.Segments.Count > 0 && !await ReadSegmentsAsync(row, cancellationToken))
            {
                continue;
            }

            Adopt(row);
            _loaded = true;
            return;
        }

        throw new EntityStoreException("The ledger's shard keeps changing while it is read.");
    }

    /// <summary>Reads all segments; <see langword="false"/> when one was replaced meanwhile.</summary>
    private async Task<bool> ReadSegmentsAsync(ShardRow row, CancellationToken cancellationToken)
    {
        var wanted = row.Segments
            .SelectMany(s => Enumerable.Range(0, s.Parts).Select(part => (Key: LedgerRows.Segment(s.Version, s.Writer, part), s.Level)))
            .ToDictionary(part => part.Key, part => part.Level, StringComparer.Ordinal);
        Garbage.Clear();
        string? continuation = null;
        do
        {
            // Rows come in the order of their versions, so later states replace earlier ones.
            var page = await context.Store.QueryAsync(
                LedgerRows.ShardTable, Partition, LedgerRows.Segments, pageSize: 8, continuation, cancellationToken);
            foreach (var part in page.Entities)
            {
                if (wanted.Remove(part.RowKey, out var level))
                {
                    _codec.Read(LedgerRows.Take(part.Properties), _map, ShardMap.Level.OfSegment(level));
                }
                else if (LedgerRows.VersionOf(part.RowKey) <= row.Version)
                {
                    // Left behind by a commit that failed or by one that removed much; a newer one may be in the making.
                    Garbage.Add(part.RowKey);
                }
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
        return wanted.Count == 0;
    }

    /// <summary>Takes in the segments written since; <see langword="false"/> when one was replaced meanwhile.</summary>
    private async Task<bool> TakeInAsync(ShardRow row, CancellationToken cancellationToken)
    {
        List<(Segment Segment, byte[] Bytes)> parts = [];
        foreach (var segment in row.Segments.Where(segment => segment.To > _row.Version))
        {
            for (var part = 0; part < segment.Parts; part++)
            {
                var entity = await context.Store.GetAsync(
                    LedgerRows.ShardTable, Partition, LedgerRows.Segment(segment.Version, segment.Writer, part), cancellationToken);
                if (entity is null)
                {
                    return false;
                }

                parts.Add((segment, LedgerRows.Take(entity.Properties)));
            }
        }

        foreach (var (segment, bytes) in parts)
        {
            _codec.Read(bytes, _map, ShardMap.Level.OfSegment(segment.Level));
        }

        Adopt(row);
        return true;
    }

    private void Adopt(ShardRow row)
    {
        if (row.Tail.Length > 0)
        {
            _codec.Read(row.Tail, _map, ShardMap.Level.Tail);
        }

        (_row, _counters) = (row, row.Counters);
        if (row.ETag is not null && row.Fingerprint != context.Predicates.Fingerprint)
        {
            // Counted under other definitions: the rows say what these ones count.
            (_counters, _recounted) = (Recount(), true);
        }
    }
}
