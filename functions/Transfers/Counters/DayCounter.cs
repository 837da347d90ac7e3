using System.Globalization;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Where the counters of a calendar year stood at the end of each of its days, counted from the records themselves by when the transfers
/// happened: exact also for days on which nobody looked, for records that came late and without batches that were taken back. Holds a key and a
/// number per person; more persons than its bound make it give up.
/// </summary>
/// <param name="predicates">What the counters mean.</param>
/// <param name="year">The year, in Asia/Shanghai.</param>
/// <param name="mostPersons">More persons than these are not told apart.</param>
public sealed class DayCounter(PredicateSet predicates, int year, int mostPersons = DayCounter.MostPersons)
{
    /// <summary>Some 100 MB.</summary>
    public const int MostPersons = 2_000_000;

    /// <summary>Stands for the day of everything in the year before, which windows of two years look at.</summary>
    private const int YearBefore = -1;

    private const int MostSteps = 200_000;
    private const int MostFactSets = 50_000;

    private readonly Dictionary<SubjectKey, int> _persons = [];
    private readonly List<Timeline> _timelines = [Timeline.Empty];
    private readonly Dictionary<string, int> _known = new(StringComparer.Ordinal) { [Timeline.Empty.Name] = 0 };
    private readonly Dictionary<(int Timeline, object Facts, int Day), int> _steps = [];
    private readonly Dictionary<TransferFact, int> _factNumbers = [];
    private readonly List<TransferFact> _facts = [];
    private readonly Dictionary<string, IReadOnlySet<string>> _names = new(StringComparer.Ordinal);

    /// <summary>There are more persons than can be told apart: there is no answer.</summary>
    public bool Overflowed { get; private set; }

    /// <summary>Takes a record in; those of other years are passed over.</summary>
    public void Add(LedgerRecord record)
    {
        ArgumentNullException.ThrowIfNull(record);
        var day = LegalTime.DayOf(record.OccurredAt);
        if (Overflowed || record.Facts.Count == 0 || (day.Year != year && day.Year != year - 1))
        {
            return;
        }

        if (!_persons.TryGetValue(record.Person, out var timeline) && _persons.Count >= mostPersons)
        {
            Overflowed = true;
            _persons.Clear();
            return;
        }

        _persons[record.Person] = Step(timeline, record.Facts, day.Year == year ? day.DayOfYear - 1 : YearBefore);
    }

    /// <summary>
    /// All days of the year, when the records explain what the ledger counts; <see langword="null"/> when some are past their retention or there are
    /// too many persons.
    /// </summary>
    /// <param name="subjects">The ledger's distinct subjects of the year, read before the records: what was accepted since may only add to them.</param>
    public IReadOnlyList<CounterDay>? ToCompleteDays(long subjects) =>
        !Overflowed && ToDays(new(year, 12, 31)) is var days && days[^1].Counters.GetValueOrDefault("subjects") >= subjects ? days : null;

    /// <summary>The counters at the end of each day from 1 January to a day; those that are zero throughout are left out.</summary>
    public IReadOnlyList<CounterDay> ToDays(DateOnly through)
    {
        var first = new DateOnly(year, 1, 1);
        var count = through < first ? 0 : Math.Min(through.DayNumber - first.DayNumber + 1, new DateOnly(year, 12, 31).DayOfYear);
        Dictionary<string, long[]> changes = new(StringComparer.Ordinal);
        foreach (var persons in _persons.Values.GroupBy(static timeline => timeline))
        {
            Replay(_timelines[persons.Key], persons.Count(), count, changes);
        }

        var days = new CounterDay[count];
        Dictionary<string, long> stand = new(StringComparer.Ordinal);
        for (var day = 0; day < count; day++)
        {
            foreach (var (name, by) in changes.Where(change => change.Value[day] != 0))
            {
                stand[name] = stand.GetValueOrDefault(name) + by[day];
            }

            days[day] = new(first.AddDays(day), new Dictionary<string, long>(stand, StringComparer.Ordinal));
        }

        return days;
    }

    /// <summary>Adds what persons of this timeline change, day by day.</summary>
    private void Replay(Timeline timeline, int persons, int days, Dictionary<string, long[]> changes)
    {
        List<int> before = [.. timeline.Entries.Where(static entry => entry.Day == YearBefore).Select(static entry => entry.Fact)];
        List<int> facts = [];
        IReadOnlySet<string> stand = new HashSet<string>();
        foreach (var onDay in timeline.Entries.Where(static entry => entry.Day >= 0).GroupBy(static entry => entry.Day).OrderBy(static group => group.Key)
            .Select(static group => (Day: group.Key, Facts: group.Select(static entry => entry.Fact)))
            .Prepend((Day: 0, Facts: [])))
        {
            if (onDay.Day >= days)
            {
                return;
            }

            facts.AddRange(onDay.Facts);
            var names = NamesFor(facts, before);
            Change(names.Except(stand), persons, onDay.Day);
            Change(stand.Except(names), -persons, onDay.Day);
            stand = names;
        }

        void Change(IEnumerable<string> names, int by, int day)
        {
            foreach (var name in names)
            {
                (changes.TryGetValue(name, out var known) ? known : changes[name] = new long[days])[day] += by;
            }
        }
    }

    private IReadOnlySet<string> NamesFor(List<int> facts, List<int> before)
    {
        var key = $"{string.Join(',', facts.Order())}/{string.Join(',', before.Order())}";
        if (_names.TryGetValue(key, out var names))
        {
            return names;
        }

        names = predicates.NamesFor([.. facts.Select(number => _facts[number])], [.. before.Select(number => _facts[number])]);
        if (_names.Count < MostFactSets)
        {
            _names.Add(key, names);
        }

        return names;
    }

    /// <summary>Lists of facts are shared among records, and people have few histories: a step is nearly always known.</summary>
    private int Step(int from, IReadOnlyList<TransferFact> facts, int day)
    {
        if (_steps.TryGetValue((from, facts, day), out var known))
        {
            return known;
        }

        var entries = _timelines[from].Entries.ToDictionary(static entry => (entry.Fact, BeforeYear: entry.Day == YearBefore), static entry => entry.Day);
        foreach (var fact in facts)
        {
            if (!_factNumbers.TryGetValue(fact, out var number))
            {
                _factNumbers.Add(fact, number = _facts.Count);
                _facts.Add(fact);
            }

            var key = (number, day == YearBefore);
            entries[key] = entries.TryGetValue(key, out var earlier) ? Math.Min(earlier, day) : day;
        }

        var timeline = new Timeline([.. entries.Select(static entry => (entry.Value, entry.Key.Fact)).Order()]);
        if (!_known.TryGetValue(timeline.Name, out var index))
        {
            index = _timelines.Count;
            _timelines.Add(timeline);
            _known.Add(timeline.Name, index);
        }

        if (_steps.Count < MostSteps)
        {
            _steps.Add((from, facts, day), index);
        }

        return index;
    }

    /// <summary>On which day of the year a person first took part in each fact.</summary>
    private sealed record Timeline((int Day, int Fact)[] Entries)
    {
        public static Timeline Empty { get; } = new([]);

        /// <summary>The same for equal histories.</summary>
        public string Name { get; } = string.Join(' ', Entries.Select(static entry => string.Create(CultureInfo.InvariantCulture, $"{entry.Day}:{entry.Fact}")));
    }
}
