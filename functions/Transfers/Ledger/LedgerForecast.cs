namespace DingFlow.Transfers.Ledger;

/// <summary>What records would change, computed on facts by name: their recipients need no numbers, which only accepting gives.</summary>
internal sealed class LedgerForecast(ShardSet shards, PredicateSet predicates)
{
    /// <summary>By how much the counters of a year would change.</summary>
    public async Task<IReadOnlyDictionary<string, long>> ChangesAsync(
        IReadOnlyList<SubjectTransfer> records, int year, CancellationToken cancellationToken)
    {
        Dictionary<string, long> changes = new(StringComparer.Ordinal);
        foreach (var shardRecords in records.GroupBy(KeyOf).GroupBy(subject => subject.Key.Shard(shards.Count)))
        {
            var shard = await shards.OpenAsync(shardRecords.Key, cancellationToken);
            await shard.CatchUpAsync(cancellationToken);
            foreach (var subject in shardRecords)
            {
                var before = FactsOf(shard.StateOf(subject.Key), year);
                var after = (This: before.This.ToHashSet(), Last: before.Last.ToHashSet());
                foreach (var record in subject)
                {
                    var at = LegalTime.YearOf(record.OccurredAt);
                    (at == year ? after.This : at == year - 1 ? after.Last : null)?.UnionWith(record.Facts);
                }

                if (after.This.Count != before.This.Length || after.Last.Count != before.Last.Length)
                {
                    var (now, then) = (predicates.NamesFor(before.This, before.Last), predicates.NamesFor([.. after.This], [.. after.Last]));
                    Add(then.Except(now), 1);
                    Add(now.Except(then), -1);
                }
            }
        }

        return changes.Where(change => change.Value != 0).ToDictionary(StringComparer.Ordinal);

        void Add(IEnumerable<string> names, long change)
        {
            foreach (var name in names)
            {
                changes[name] = changes.GetValueOrDefault(name) + change;
            }
        }
    }

    private SubjectKey KeyOf(SubjectTransfer record) => shards.Header.Resolve(SubjectKey.Of(record.Subject));

    private (TransferFact[] This, TransferFact[] Last) FactsOf(int state, int year)
    {
        var (thisYear, lastYear) = (Array.Empty<TransferFact>(), Array.Empty<TransferFact>());
        foreach (var (at, facts) in shards.Space[state])
        {
            if (at == year || at == year - 1)
            {
                TransferFact[] unpacked = [.. facts.Select(shards.Header.Dictionary.Unpack)];
                (thisYear, lastYear) = at == year ? (unpacked, lastYear) : (thisYear, unpacked);
            }
        }

        return (thisYear, lastYear);
    }
}
