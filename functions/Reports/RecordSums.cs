using DingFlow.Settings;
using DingFlow.Rules;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Reports;

/// <summary>For what, to whom and along which lane.</summary>
internal readonly record struct ScenarioKey(string Purpose, string Recipient, string Lane) : IComparable<ScenarioKey>
{
    public int CompareTo(ScenarioKey other)
    {
        var order = string.CompareOrdinal(Purpose, other.Purpose);
        order = order != 0 ? order : string.CompareOrdinal(Recipient, other.Recipient);
        return order != 0 ? order : string.CompareOrdinal(Lane, other.Lane);
    }

    public static bool operator <(ScenarioKey left, ScenarioKey right) => left.CompareTo(right) < 0;

    public static bool operator >(ScenarioKey left, ScenarioKey right) => left.CompareTo(right) > 0;

    public static bool operator <=(ScenarioKey left, ScenarioKey right) => left.CompareTo(right) <= 0;

    public static bool operator >=(ScenarioKey left, ScenarioKey right) => left.CompareTo(right) >= 0;
}

/// <summary>
/// Adds up records. Memory is bounded: persons are told apart up to a total number over all scenarios, values up to a number of each
/// kind; what would go beyond is said to be unknown, or falls to "others".
/// </summary>
internal sealed class RecordSums(ScenarioBook? book = null, int mostPersons = 2_000_000, int mostScenarios = 1_000)
{
    private const int MostFields = 2_000;
    private const string Others = "…";

    private readonly Dictionary<ScenarioKey, Scenario> _scenarios = [];
    private int _persons;

    public long Count { get; private set; }

    public IReadOnlyDictionary<ScenarioKey, Scenario> Scenarios => _scenarios;

    public Dictionary<string, long> Fields { get; } = new(StringComparer.Ordinal);

    public SortedDictionary<string, long> Notices { get; } = new(StringComparer.Ordinal);

    public void Add(LedgerRecord record)
    {
        Count++;
        foreach (var field in record.Circumstances.Fields)
        {
            var name = Fields.ContainsKey(field) || Fields.Count < MostFields ? field : Others;
            Fields[name] = Fields.GetValueOrDefault(name) + 1;
        }

        foreach (var notice in Enum.GetValues<TransferNotices>())
        {
            if (notice != TransferNotices.None && record.Circumstances.Notices.HasFlag(notice))
            {
                var name = Words.Of(notice);
                Notices[name] = Notices.GetValueOrDefault(name) + 1;
            }
        }

        foreach (var group in record.Facts.GroupBy(static fact => (fact.Recipient, fact.Lane)))
        {
            var key = new ScenarioKey(record.Circumstances.Purpose, group.Key.Recipient, group.Key.Lane.ToString());
            key = _scenarios.ContainsKey(key) || _scenarios.Count < mostScenarios ? key : new(Others, Others, Others);
            if (!_scenarios.TryGetValue(key, out var scenario))
            {
                _scenarios.Add(key, scenario = new());
            }

            _persons += scenario.Add(record, group, _persons < mostPersons);
            if (book?.Find(record, group.Key.Recipient).Scenario is { } registered)
            {
                scenario.RegisteredAs.Add(registered.Id);
            }
        }
    }

    internal sealed class Scenario
    {
        private const int MostValues = 50;

        private readonly SortedSet<string> _legalBases = new(StringComparer.Ordinal);
        private readonly SortedSet<string> _mechanisms = new(StringComparer.Ordinal);
        private readonly SortedSet<string> _exemptions = new(StringComparer.Ordinal);
        private readonly SortedSet<string> _methods = new(StringComparer.Ordinal);
        private readonly SortedSet<string> _systems = new(StringComparer.Ordinal);

        // With the day of the year on which each was there first.
        private Dictionary<SubjectKey, int>? _persons = [];
        private long _records;
        private DateTimeOffset _first = DateTimeOffset.MaxValue;
        private DateTimeOffset _last = DateTimeOffset.MinValue;

        /// <summary>Scenarios of the register to which its records belong; no more than the register has.</summary>
        public SortedSet<string> RegisteredAs { get; } = new(StringComparer.Ordinal);

        /// <summary>Returns by how many persons more there are to remember.</summary>
        public int Add(LedgerRecord record, IEnumerable<TransferFact> facts, bool mayRemember)
        {
            _records++;
            (_first, _last) = (record.OccurredAt < _first ? record.OccurredAt : _first, record.OccurredAt > _last ? record.OccurredAt : _last);
            var about = record.Circumstances;
            Note(_legalBases, about.LegalBasis);
            Note(_mechanisms, about.Mechanism);
            Note(_methods, about.Method);
            Note(_systems, about.System);
            foreach (var fact in facts)
            {
                Note(_exemptions, fact.Exemption == ExemptionKind.None ? null : Vocabulary.Of(fact.Exemption));
            }

            if (_persons is null)
            {
                return 0;
            }

            var day = LegalTime.DayOf(record.OccurredAt).DayOfYear;
            if (_persons.TryGetValue(record.Person, out var first))
            {
                _persons[record.Person] = Math.Min(first, day);
                return 0;
            }

            if (mayRemember)
            {
                _persons.Add(record.Person, day);
                return 1;
            }

            var forgotten = -_persons.Count;
            _persons = null;
            return forgotten;
        }

        public ReportScenario ToScenario(ScenarioKey key) => new()
        {
            Purpose = key.Purpose, Recipient = key.Recipient, Lane = key.Lane, Persons = _persons?.Count, Records = _records,
            LegalBases = [.. _legalBases], Mechanisms = [.. _mechanisms], Exemptions = [.. _exemptions], Methods = [.. _methods], Systems = [.. _systems],
            RegisteredAs = [.. RegisteredAs],
            First = LegalTime.Of(_first), Last = LegalTime.Of(_last),
        };

        /// <summary>Distinct persons up to a day of the year; <see langword="null"/> when there are too many.</summary>
        public long? PersonsThrough(int dayOfYear) => _persons?.Values.LongCount(day => day <= dayOfYear);

        /// <summary>Distinct persons at the end of the year if things go on as they do; <see langword="null"/> when that cannot be said.</summary>
        public long? Expected(DateOnly today)
        {
            if (_persons is not { Count: > 0 } persons)
            {
                return null;
            }

            var (first, yesterday) = (persons.Values.Min(), today.DayOfYear - 1);
            if (first > yesterday)
            {
                return null;
            }

            var counts = new long[yesterday - first + 1];
            foreach (var day in persons.Values.Where(day => day <= yesterday))
            {
                counts[day - first]++;
            }

            return CrossingForecast.AtYearEnd(new(new DateOnly(today.Year, 1, 1).AddDays(first - 1), counts), counts.Sum(), persons.Count);
        }

        private static void Note(SortedSet<string> values, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                values.Add(values.Count < MostValues || values.Contains(value) ? value : Others);
            }
        }
    }
}
