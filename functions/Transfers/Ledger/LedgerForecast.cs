namespace DingFlow.Transfers.Ledger;

/// <summary>What records would change, computed on facts by name: their recipients need no numbers, which only accepting gives.</summary>
internal sealed class LedgerForecast(ShardSet shards, PredicateSet predicates)
{
    /// <summary>By how much the counters of a year would change.</summary>
    public async Task<IReadOnlyDictionary<string, long>> ChangesAsync(ProposedFacts proposed, CancellationToken cancellationToken)
    {
        Dictionary<string, long> changes = new(StringComparer.Ordinal);

        // What a subject has and what it would get decide; few such pairs are distinct.
        Dictionary<(int Held, string Proposed), (IReadOnlyList<string> Gained, IReadOnlyList<string> Lost)> steps = [];
        foreach (var ofShard in Resolved(proposed).GroupBy(subject => subject.Key.Shard(shards.Count)))
        {
            var shard = await shards.OpenAsync(ofShard.Key, cancellationToken);
            await shard.CatchUpAsync(cancellationToken);
            foreach (var (key, state) in ofShard)
            {
                var held = shard.StateOf(key);
                if (!steps.TryGetValue((held, state.Name), out var step))
                {
                    steps.Add((held, state.Name), step = StepOf(held, state, proposed.Year));
                }

                Add(step.Gained, 1);
                Add(step.Lost, -1);
            }
        }

        return changes.Where(change => change.Value != 0).ToDictionary(StringComparer.Ordinal);

        void Add(IReadOnlyList<string> names, long change)
        {
            foreach (var name in names)
            {
                changes[name] = changes.GetValueOrDefault(name) + change;
            }
        }
    }

    /// <summary>The places of those records that say something which their subject does not have yet.</summary>
    public static async Task<IReadOnlyList<int>> NewsAsync(
        ShardSet shards, IReadOnlyList<SubjectTransfer> records, CancellationToken cancellationToken)
    {
        List<int> news = [];
        Dictionary<(int Held, object Facts, int Year), bool> known = [];
        foreach (var ofShard in records.Index().GroupBy(record => KeyOf(shards, record.Item.Subject).Shard(shards.Count)))
        {
            var shard = await shards.OpenAsync(ofShard.Key, cancellationToken);
            await shard.CatchUpAsync(cancellationToken);
            foreach (var (index, record) in ofShard)
            {
                var question = (shard.StateOf(KeyOf(shards, record.Subject)), record.Facts, LegalTime.YearOf(record.OccurredAt));
                if (!known.TryGetValue(question, out var has))
                {
                    known.Add(question, has = record.Facts.All(FactsOf(shards, question.Item1, question.Item3).Contains));
                }

                if (!has)
                {
                    news.Add(index);
                }
            }
        }

        news.Sort();
        return news;
    }

    private IEnumerable<(SubjectKey Key, ProposedFacts.State State)> Resolved(ProposedFacts proposed)
    {
        var all = proposed.States.Select(subject => (Key: shards.Header.Resolve(subject.Key), State: proposed.StateOf(subject.Value)));

        // Without united identifiers every subject is there once.
        return !shards.Header.HasAliases ? all : all.GroupBy(subject => subject.Key).Select(same => (same.Key, same
            .Select(subject => subject.State)
            .Aggregate((one, other) => new([.. one.This.Union(other.This)], [.. one.Last.Union(other.Last)]))));
    }

    private (IReadOnlyList<string> Gained, IReadOnlyList<string> Lost) StepOf(int held, ProposedFacts.State state, int year)
    {
        var (thisYear, lastYear) = (FactsOf(shards, held, year), FactsOf(shards, held, year - 1));
        var now = predicates.NamesFor(thisYear, lastYear);
        var then = predicates.NamesFor([.. thisYear.Union(state.This)], [.. lastYear.Union(state.Last)]);
        return ([.. then.Except(now)], [.. now.Except(then)]);
    }

    private static SubjectKey KeyOf(ShardSet shards, SubjectPseudonym subject) => shards.Header.Resolve(SubjectKey.Of(subject));

    private static TransferFact[] FactsOf(ShardSet shards, int state, int year)
    {
        foreach (var (at, facts) in shards.Space[state])
        {
            if (at == year)
            {
                return [.. facts.Select(shards.Header.Dictionary.Unpack)];
            }
        }

        return [];
    }
}
