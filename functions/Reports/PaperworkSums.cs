using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Reports;

/// <summary>
/// Adds up what the records of a year, and of the one before, say of scenarios, consent and notices. Persons are told apart up to a number
/// over all of it; what would go beyond is said to be unknown.
/// </summary>
internal sealed class PaperworkSums
{
    /// <summary>Names of unknown scenarios, and versions of notices, that are told apart.</summary>
    private const int MostNames = 100;

    private const int MostPersons = 2_000_000;
    private const string Others = "…";

    private readonly ScenarioBook _book;
    private readonly int _year;
    private readonly DateOnly _sameDayBefore;
    private readonly FactSets _sets;
    private readonly ScopeCounter _scopes;
    private readonly SortedDictionary<string, Tally> _tallies = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, PersonCount> _notices = new(StringComparer.Ordinal);
    private readonly SortedDictionary<string, long> _unknown = new(StringComparer.Ordinal);
    private readonly PersonCount _withEvidence;
    private readonly PersonCount _separate;
    private readonly PersonCount _onConsent;
    private readonly PersonCount _withoutEvidence;
    private readonly PersonCount _notSeparate;
    private readonly PersonCount _late;

    /// <param name="book">Which record belongs to which scenario.</param>
    /// <param name="scopes">What mechanisms approve.</param>
    /// <param name="year">The calendar year (Asia/Shanghai).</param>
    /// <param name="through">Its last day that is looked at.</param>
    /// <param name="mostPersons">Persons that may be told apart.</param>
    public PaperworkSums(ScenarioBook book, IEnumerable<ScenarioScope> scopes, int year, DateOnly through, int mostPersons = MostPersons)
    {
        (_book, _year, _sameDayBefore, _sets) = (book, year, through.AddYears(-1), new(mostPersons));
        _scopes = new(scopes, _sets);
        (_withEvidence, _separate, _onConsent, _withoutEvidence, _notSeparate, _late) = (new(_sets), new(_sets), new(_sets), new(_sets), new(_sets), new(_sets));
    }

    /// <summary>What was added up on a scenario; <see langword="null"/> when no record belongs to it.</summary>
    public Tally? Find(string scenario) => _tallies.GetValueOrDefault(scenario);

    /// <summary>Distinct persons of a scenario within its scope; <see langword="null"/> when there are too many.</summary>
    public long? PersonsWithin(ScenarioScope scope) => _scopes.PersonsOf(scope.Scenario);

    /// <summary>What the records of the year say of consent and notice.</summary>
    public ReportConsent ToConsent() => new(
        Of(_onConsent), Of(_withEvidence), Of(_separate), Of(_withoutEvidence), _onConsent.Without(_withEvidence), Of(_notSeparate), Of(_late),
        [.. _notices.Select(static notice => new ReportNotice(notice.Key, notice.Value.Records, notice.Value.Persons))]);

    /// <summary>Scenarios that records name and the register does not know, with the records of each.</summary>
    public IReadOnlyDictionary<string, long> UnknownScenarios => _unknown;

    /// <summary>Takes a record in, of whatever year.</summary>
    public void Add(LedgerRecord record)
    {
        var year = LegalTime.YearOf(record.OccurredAt);
        if (year == _year)
        {
            AddConsent(record);
        }

        // Nearly every record went to one recipient.
        var facts = record.Facts;
        if (facts.Count == 0)
        {
            return;
        }

        if (facts.All(fact => fact.Recipient.Equals(facts[0].Recipient, StringComparison.Ordinal)))
        {
            Add(record, facts[0].Recipient, facts, year);
            return;
        }

        foreach (var group in facts.GroupBy(static fact => fact.Recipient, StringComparer.Ordinal))
        {
            Add(record, group.Key, [.. group], year);
        }
    }

    private void Add(LedgerRecord record, string recipient, IReadOnlyList<TransferFact> facts, int year)
    {
        var found = _book.Find(record, recipient);
        if (found.Unknown is { } unknown && year == _year)
        {
            var name = _unknown.Count < MostNames || _unknown.ContainsKey(unknown) ? unknown : Others;
            _unknown[name] = _unknown.GetValueOrDefault(name) + 1;
        }

        if (found.Scenario is not { Id: var id })
        {
            return;
        }

        _scopes.Add(id, record, facts);
        if (year == _year || year == _year - 1)
        {
            (_tallies.TryGetValue(id, out var tally) ? tally : _tallies[id] = new(_sets)).Add(
                record, facts, year == _year, found.InForce, LegalTime.DayOf(record.OccurredAt) <= _sameDayBefore);
        }
    }

    private void AddConsent(LedgerRecord record)
    {
        var (consent, paperwork, person) = (record.Consent, record.Circumstances.Paperwork, record.Person);
        var rests = RestsOnConsent(record.Circumstances.LegalBasis);
        if (paperwork?.NoticeVersion is { } notice)
        {
            var version = _notices.Count < MostNames || _notices.ContainsKey(notice) ? notice : Others;
            (_notices.TryGetValue(version, out var known) ? known : _notices[version] = new(_sets)).Add(person);
        }

        AddIf(rests, _onConsent);
        AddIf(consent?.Id is not null, _withEvidence);
        AddIf(paperwork?.SeparateConsent == true, _separate);
        AddIf(rests && consent?.Id is null, _withoutEvidence);
        AddIf(rests && paperwork?.SeparateConsent != true, _notSeparate);
        AddIf(consent?.At > record.OccurredAt, _late);

        void AddIf(bool holds, PersonCount count)
        {
            if (holds)
            {
                count.Add(person);
            }
        }
    }

    /// <summary>The word <c>consent</c> or <c>separateConsent</c>, in any case, by itself or before a colon.</summary>
    internal static bool RestsOnConsent(string legalBasis)
    {
        var word = legalBasis.AsSpan();
        word = word.IndexOf(':') is >= 0 and var colon ? word[..colon] : word;
        return word.Equals("consent", StringComparison.OrdinalIgnoreCase) || word.Equals("separateConsent", StringComparison.OrdinalIgnoreCase);
    }

    private static ReportTally Of(PersonCount count) => new(count.Records, count.Persons);

    /// <summary>What the records of a scenario say.</summary>
    internal sealed class Tally(FactSets sets)
    {
        private readonly PersonFacts _year = new(sets);
        private readonly PersonFacts _before = new(sets);
        private readonly PersonFacts _beforeToDate = new(sets);

        /// <summary>Records of the year.</summary>
        public long Records { get; private set; }

        /// <summary>Those of them on whose day the scenario was not in force.</summary>
        public long OutsideForce { get; private set; }

        /// <summary>Its recipients, as the records name them.</summary>
        public SortedSet<string> Recipients { get; } = new(StringComparer.Ordinal);

        public void Add(LedgerRecord record, IReadOnlyList<TransferFact> facts, bool isYear, bool inForce, bool isToDate)
        {
            if (!isYear)
            {
                _before.Add(record.Person, facts);
                if (isToDate)
                {
                    _beforeToDate.Add(record.Person, facts);
                }

                return;
            }

            Records++;
            OutsideForce += inForce ? 0 : 1;
            _year.Add(record.Person, facts);
            if (Recipients.Count < MostNames)
            {
                Recipients.Add(facts[0].Recipient);
            }
        }

        /// <summary>Every counter of the scenario; <see langword="null"/> when there are too many persons.</summary>
        public IReadOnlyList<ReportCount>? Counts(PredicateSet predicates, bool isPresent)
        {
            if (_year.Counters(predicates) is not { } year)
            {
                return null;
            }

            var (before, toDate) = (_before.Counters(predicates), _beforeToDate.Counters(predicates));
            if (before is null || toDate is null)
            {
                return null;
            }

            return
            [
                .. year.Keys.Union(before.Keys).Where(static name => IsShown(name)).Order(StringComparer.Ordinal).Select(name => new ReportCount(
                    name, year.GetValueOrDefault(name), toDate.GetValueOrDefault(name), before.GetValueOrDefault(name),
                    isPresent ? null : year.GetValueOrDefault(name))),
            ];
        }

        /// <summary>Windows of two years ask for the facts of the year before, which are counted apart here.</summary>
        private static bool IsShown(string name) => !name.EndsWith(".twoYears", StringComparison.Ordinal);
    }
}
