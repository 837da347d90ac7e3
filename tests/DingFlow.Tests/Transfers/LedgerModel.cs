using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>
/// The ledger as its definition reads, without shards, logs or counters: records in a list, for each subject the facts of each year, and every
/// counter computed when it is asked for. What a ledger says after the same steps must be the same.
/// </summary>
internal sealed class LedgerModel(PredicateSet predicates)
{
    private readonly List<KeptRecord> _records = [];
    private readonly HashSet<string> _voided = new(StringComparer.Ordinal);
    private readonly Dictionary<SubjectPseudonym, SubjectPseudonym> _united = [];
    private readonly Dictionary<SubjectPseudonym, Dictionary<int, HashSet<TransferFact>>> _states = [];
    private int _frozenThrough;

    /// <summary>Records that are kept and stand, as (batch, record) pairs.</summary>
    public IEnumerable<(string Batch, string Record)> Standing =>
        _records.Where(kept => !_voided.Contains(kept.Batch)).Select(kept => (kept.Batch, kept.Record.RecordId));

    /// <summary>Takes records in, accepted on a day (Asia/Shanghai).</summary>
    public void Append(string batchId, IEnumerable<SubjectTransfer> records, DateOnly acceptedOn = default)
    {
        foreach (var record in records)
        {
            _records.Add(new(batchId, record, acceptedOn));
            AddTo(StateOf(Root(record.Subject)), record);
        }
    }

    public bool Has(string batchId) => _records.Exists(kept => kept.Batch.Equals(batchId, StringComparison.Ordinal));

    public bool IsVoided(string batchId) => _voided.Contains(batchId);

    /// <summary>Every subject of the batch gets what the other batches' records say; years whose records may be gone stay as they are.</summary>
    public void Void(string batchId)
    {
        if (!_voided.Add(batchId))
        {
            return;
        }

        foreach (var subject in _records.Where(kept => kept.Batch == batchId).Select(kept => Root(kept.Record.Subject)).ToHashSet())
        {
            var state = StateOf(subject);
            foreach (var year in state.Keys.Where(year => year > _frozenThrough).ToList())
            {
                state.Remove(year);
            }

            foreach (var kept in _records.Where(kept => !_voided.Contains(kept.Batch) && Root(kept.Record.Subject) == subject && kept.Year > _frozenThrough))
            {
                AddTo(state, kept.Record);
            }
        }
    }

    public void Union(SubjectPseudonym survivor, SubjectPseudonym other)
    {
        var (to, from) = (Root(survivor), Root(other));
        if (to == from)
        {
            return;
        }

        _united[from] = to;
        foreach (var (year, facts) in StateOf(from))
        {
            FactsOf(StateOf(to), year).UnionWith(facts);
        }

        _states.Remove(from);
    }

    /// <summary>No record of the subject that stands is as young as that.</summary>
    public bool MayErase(SubjectPseudonym subject, DateOnly from) => !_records.Exists(kept =>
        Root(kept.Record.Subject) == Root(subject) && !_voided.Contains(kept.Batch) && kept.Record.OccurredAt >= LegalTime.StartOf(from));

    public void Erase(SubjectPseudonym subject)
    {
        var root = Root(subject);
        _records.RemoveAll(kept => Root(kept.Record.Subject) == root);
        _states.Remove(root);
        foreach (var other in _united.Keys.Where(other => Root(other) == root).ToList())
        {
            _united.Remove(other);
        }
    }

    /// <summary>Records accepted before a day go, and what is said of years that ended before it.</summary>
    public void Prune(DateOnly from)
    {
        _records.RemoveAll(kept => kept.AcceptedOn < from);
        _frozenThrough = Math.Max(_frozenThrough, from.Year);
        foreach (var state in _states.Values)
        {
            foreach (var year in state.Keys.Where(year => year < from.Year).ToList())
            {
                state.Remove(year);
            }
        }
    }

    /// <summary>The subject has these facts in the year.</summary>
    public bool Holds(SubjectTransfer record) =>
        StateOf(Root(record.Subject)).TryGetValue(YearOf(record), out var facts) && facts.IsSupersetOf(record.Facts);

    /// <summary>The counters that are not zero.</summary>
    public SortedDictionary<string, long> Counters(int year)
    {
        var counters = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var subject in _states.Values)
        {
            foreach (var name in predicates.NamesFor([.. subject.GetValueOrDefault(year, [])], [.. subject.GetValueOrDefault(year - 1, [])]))
            {
                counters[name] = counters.GetValueOrDefault(name) + 1;
            }
        }

        return counters;
    }

    /// <summary>The ledger says the same, and its rows say what its counters say.</summary>
    public Task AssertAgreesAsync(SubjectLedger ledger, string exporter, CancellationToken cancellationToken) =>
        AssertAgreesAsync(ledger, exporter, [2024, 2025, 2026, 2027], cancellationToken);

    /// <summary>The same for other years.</summary>
    public async Task AssertAgreesAsync(SubjectLedger ledger, string exporter, IEnumerable<int> years, CancellationToken cancellationToken)
    {
        foreach (var year in years)
        {
            var counters = await ledger.ReadCountersAsync(exporter, year, cancellationToken);
            var actual = new SortedDictionary<string, long>(
                counters.Counters.Where(counter => counter.Value != 0).ToDictionary(), StringComparer.Ordinal);
            Assert.Equal(Counters(year), actual);
        }

        var recount = await ledger.RecountAsync(exporter, cancellationToken);
        Assert.Empty(recount.Differences);
        Assert.Equal(_states.Values.Count(state => state.Values.Any(facts => facts.Count > 0)), recount.Subjects);
    }

    private static int YearOf(SubjectTransfer record) => record.OccurredAt.ToUniversalTime().AddHours(8).Year;

    private static void AddTo(Dictionary<int, HashSet<TransferFact>> state, SubjectTransfer record)
    {
        if (record.Facts.Count > 0)
        {
            FactsOf(state, YearOf(record)).UnionWith(record.Facts);
        }
    }

    private static HashSet<TransferFact> FactsOf(Dictionary<int, HashSet<TransferFact>> state, int year)
    {
        if (!state.TryGetValue(year, out var facts))
        {
            state.Add(year, facts = []);
        }

        return facts;
    }

    private Dictionary<int, HashSet<TransferFact>> StateOf(SubjectPseudonym subject)
    {
        if (!_states.TryGetValue(subject, out var state))
        {
            _states.Add(subject, state = []);
        }

        return state;
    }

    private SubjectPseudonym Root(SubjectPseudonym subject)
    {
        while (_united.TryGetValue(subject, out var survivor))
        {
            subject = survivor;
        }

        return subject;
    }

    private sealed record KeptRecord(string Batch, SubjectTransfer Record, DateOnly AcceptedOn)
    {
        public int Year => YearOf(Record);
    }
}
