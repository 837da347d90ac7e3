using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>The ledger as its definition reads: batches, voids and unions in lists; everything else is computed when asked.</summary>
internal sealed class LedgerModel(PredicateSet predicates)
{
    private readonly Dictionary<string, List<SubjectTransfer>> _batches = new(StringComparer.Ordinal);
    private readonly HashSet<string> _voided = new(StringComparer.Ordinal);
    private readonly Dictionary<SubjectPseudonym, SubjectPseudonym> _united = [];

    public void Append(string batchId, IEnumerable<SubjectTransfer> records)
    {
        if (!_batches.TryGetValue(batchId, out var batch))
        {
            _batches.Add(batchId, batch = []);
        }

        batch.AddRange(records);
    }

    public bool Has(string batchId) => _batches.ContainsKey(batchId);

    public bool IsVoided(string batchId) => _voided.Contains(batchId);

    public void Void(string batchId) => _voided.Add(batchId);

    public void Union(SubjectPseudonym survivor, SubjectPseudonym other)
    {
        if (Root(survivor) != Root(other))
        {
            _united[Root(other)] = Root(survivor);
        }
    }

    public void Erase(SubjectPseudonym subject)
    {
        foreach (var records in _batches.Values)
        {
            records.RemoveAll(record => Root(record.Subject) == Root(subject));
        }
    }

    /// <summary>The counters that are not zero.</summary>
    public SortedDictionary<string, long> Counters(int year)
    {
        var counters = new SortedDictionary<string, long>(StringComparer.Ordinal);
        foreach (var subject in Subjects().Values)
        {
            foreach (var name in predicates.NamesFor([.. FactsOf(subject, year)], [.. FactsOf(subject, year - 1)]))
            {
                counters[name] = counters.GetValueOrDefault(name) + 1;
            }
        }

        return counters;
    }

    public Dictionary<SubjectPseudonym, Dictionary<int, HashSet<TransferFact>>> Subjects()
    {
        Dictionary<SubjectPseudonym, Dictionary<int, HashSet<TransferFact>>> subjects = [];
        foreach (var record in _batches.Where(batch => !_voided.Contains(batch.Key)).SelectMany(batch => batch.Value))
        {
            var key = Root(record.Subject);
            if (!subjects.TryGetValue(key, out var years))
            {
                subjects.Add(key, years = []);
            }

            var year = record.OccurredAt.ToUniversalTime().AddHours(8).Year;
            if (!years.TryGetValue(year, out var facts))
            {
                years.Add(year, facts = []);
            }

            facts.UnionWith(record.Facts);
        }

        return subjects;
    }

    /// <summary>The ledger says the same, and its rows say what its counters say.</summary>
    public async Task AssertAgreesAsync(SubjectLedger ledger, string exporter, CancellationToken cancellationToken)
    {
        foreach (var year in (int[])[2024, 2025, 2026, 2027])
        {
            var counters = await ledger.ReadCountersAsync(exporter, year, cancellationToken);
            var actual = new SortedDictionary<string, long>(
                counters.Counters.Where(counter => counter.Value != 0).ToDictionary(), StringComparer.Ordinal);
            Assert.Equal(Counters(year), actual);
        }

        var recount = await ledger.RecountAsync(exporter, cancellationToken);
        Assert.Empty(recount.Differences);
        Assert.Equal(Subjects().Values.Count(years => years.Values.Any(facts => facts.Count > 0)), recount.Subjects);
    }

    private static HashSet<TransferFact> FactsOf(Dictionary<int, HashSet<TransferFact>> subject, int year) =>
        subject.TryGetValue(year, out var facts) ? facts : [];

    private SubjectPseudonym Root(SubjectPseudonym subject)
    {
        while (_united.TryGetValue(subject, out var survivor))
        {
            subject = survivor;
        }

        return subject;
    }
}
