namespace DingFlow.Transfers.Ledger;

/// <summary>
/// What records would add to the subjects of one exporter in a calendar year and the one before, collected record by record. Holds a key
/// and a number per subject, whatever the number of records.
/// </summary>
public sealed class ProposedFacts
{
    private readonly Dictionary<SubjectKey, int> _states = [];
    private readonly List<State> _table = [State.Nothing];
    private readonly Dictionary<(int State, object Facts, bool Last), int> _steps = [];
    private readonly Dictionary<string, int> _known = new(StringComparer.Ordinal) { [State.Nothing.Name] = 0 };

    /// <summary>Nothing yet.</summary>
    /// <param name="exporter">Whose records count.</param>
    /// <param name="year">The calendar year (Asia/Shanghai) that is asked about.</param>
    public ProposedFacts(string exporter, int year) => (Exporter, Year) = (exporter, year);

    /// <summary>Whose records count.</summary>
    public string Exporter { get; }

    /// <summary>The calendar year that is asked about.</summary>
    public int Year { get; }

    /// <summary>The same for the year before, where that is asked about as well: records that come late may make it reach a limit.</summary>
    public ProposedFacts? YearBefore { get; init; }

    /// <summary>No record of the year or of the one before.</summary>
    public bool IsEmpty => _states.Count == 0;

    /// <summary>Subjects with something to add.</summary>
    internal IReadOnlyDictionary<SubjectKey, int> States => _states;

    /// <summary>Adds records; those of other exporters and of other years are passed over.</summary>
    public void Add(IReadOnlyList<SubjectTransfer> records)
    {
        ArgumentNullException.ThrowIfNull(records);
        YearBefore?.Add(records);
        foreach (var record in records)
        {
            var year = LegalTime.YearOf(record.OccurredAt);
            if (record.Facts.Count > 0 && (year == Year || year == Year - 1) && record.Exporter.Equals(Exporter, StringComparison.Ordinal))
            {
                var key = SubjectKey.Of(record.Subject);
                _states[key] = Step(_states.GetValueOrDefault(key), record.Facts, year < Year);
            }
        }
    }

    internal State StateOf(int number) => _table[number];

    /// <summary>Lists of facts are shared among records, so a step is nearly always known.</summary>
    private int Step(int from, IReadOnlyList<TransferFact> facts, bool last)
    {
        if (_steps.TryGetValue((from, facts, last), out var known))
        {
            return known;
        }

        var before = _table[from];
        var state = last ? new State(before.This, [.. before.Last.Union(facts)]) : new State([.. before.This.Union(facts)], before.Last);
        if (!_known.TryGetValue(state.Name, out var number))
        {
            number = _table.Count;
            _table.Add(state);
            _known.Add(state.Name, number);
        }

        const int mostSteps = 100_000;
        if (_steps.Count < mostSteps)
        {
            _steps.Add((from, facts, last), number);
        }

        return number;
    }

    /// <summary>Facts of the year and of the one before.</summary>
    internal sealed record State(IReadOnlyList<TransferFact> This, IReadOnlyList<TransferFact> Last)
    {
        public static State Nothing { get; } = new([], []);

        /// <summary>The same for equal sets.</summary>
        public string Name { get; } = $"{NameOf(This)}/{NameOf(Last)}";

        private static string NameOf(IReadOnlyList<TransferFact> facts) =>
            string.Join('+', facts.Select(fact => $"{fact.Lane}|{(int)fact.Exemption}|{(int)fact.Class}|{fact.Minor}|{fact.Recipient}").Order(StringComparer.Ordinal));
    }
}
