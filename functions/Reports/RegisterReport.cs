using DingFlow.Settings;
using DingFlow.Transfers;

namespace DingFlow.Reports;

/// <summary>The part of a report that comes from the register of scenarios: what was recorded on each, beside what the records say.</summary>
internal sealed class RegisterReport
{
    private static readonly Country[] GreaterBayTerritories = [Country.Parse("HK"), Country.Parse("MO")];

    private readonly ScenarioRegister _register;
    private readonly int _year;
    private readonly DateOnly _through;
    private readonly Dictionary<string, ScenarioScope> _scopes;

    /// <param name="register">The register.</param>
    /// <param name="year">The calendar year (Asia/Shanghai).</param>
    /// <param name="through">Its last day that is looked at.</param>
    public RegisterReport(ScenarioRegister register, int year, DateOnly through)
    {
        (_register, _year, _through) = (register, year, through);
        _scopes = register.Scenarios.Select(scenario => ScenarioScope.Of(scenario.Id, Shown(scenario), through)).OfType<ScenarioScope>()
            .ToDictionary(static scope => scope.Scenario, StringComparer.Ordinal);
        Book = new(register);
        Sums = new(Book, _scopes.Values, year, through);
    }

    /// <summary>Which record belongs to which scenario.</summary>
    public ScenarioBook Book { get; }

    /// <summary>What the records say, to be given every record.</summary>
    public PaperworkSums Sums { get; }

    /// <summary>The scenarios that held in the window or have records in it.</summary>
    public IReadOnlyList<ReportRegistered> ToRegistered(PredicateSet predicates, bool isPresent, DateOnly today, int retentionYears)
    {
        List<ReportRegistered> registered = [];
        foreach (var scenario in _register.Scenarios)
        {
            var periods = scenario.Periods(new(_year, 1, 1), _through);
            var tally = Sums.Find(scenario.Id);
            if (tally is not { Records: > 0 } && periods.All(static period => period.Version.Withdrawn))
            {
                continue;
            }

            var version = Shown(scenario);
            registered.Add(new()
            {
                Scenario = scenario.Id,
                Revision = version.Revision,
                InForceFrom = version.InForceFrom,
                RecordedAt = version.RecordedAt,
                RecordedBy = version.RecordedBy,
                WithdrawnFrom = version.Withdrawn ? version.InForceFrom : null,
                Terms = version.Terms,
                Periods = [.. periods.Select(static period => new ReportPeriod(period.Version.Revision, period.From, period.To, period.Version.Withdrawn))],
                Persons = tally is null ? [] : tally.Counts(predicates, isPresent),
                Records = tally?.Records ?? 0,
                RecordsOutsideForce = tally?.OutsideForce ?? 0,
                Recipients = [.. tally?.Recipients ?? []],
                Scope = _scopes.TryGetValue(scenario.Id, out var scope) ? ScopeOf(scope, today, retentionYears) : null,
                OnwardInsideGreaterBay = IsInsideGreaterBay(version.Terms.OnwardRecipients),
                ChangedSinceFiling = scenario.ChangedSinceFiling(_through),
                Missing = ScenarioGaps.Of(version, _year),
            });
        }

        return registered;
    }

    /// <summary>What filings ask for and neither settings nor register say.</summary>
    public static IEnumerable<ReportGap> Gaps(
        Exporter exporter, IReadOnlyList<ReportRecipient> recipients, IReadOnlyList<ReportRegistered> registered, IReadOnlyList<ReportScenario> scenarios)
    {
        List<ReportGap> gaps = [];
        Add("exporter", exporter.Id, [exporter.Name is null ? "name" : null, exporter.CreditCode is null ? "creditCode" : null, exporter.ProcessedPersons is null ? "processedPersons" : null]);
        foreach (var recipient in recipients)
        {
            Add("recipient", recipient.Id, [recipient.Name is null ? "name" : null, recipient.Country is null ? "country" : null]);
        }

        foreach (var scenario in registered)
        {
            Add("scenario", scenario.Scenario, [.. scenario.Missing.Select(Words.Of)]);
        }

        foreach (var scenario in scenarios.Where(static scenario => scenario.RegisteredAs.Count == 0))
        {
            Add("transfers", $"{scenario.Purpose} / {scenario.Recipient} / {scenario.Lane}", ["scenario"]);
        }

        return gaps;

        void Add(string on, string name, IReadOnlyList<string?> lacks)
        {
            if (lacks.OfType<string>().ToList() is { Count: > 0 } some)
            {
                gaps.Add(new(on, name, some));
            }
        }
    }

    /// <summary>What held at the end of the window; of a scenario that only comes later, what was recorded last.</summary>
    private ScenarioVersion Shown(Scenario scenario) => scenario.On(_through) ?? scenario.Latest;

    private ReportScope ScopeOf(ScenarioScope scope, DateOnly today, int retentionYears)
    {
        var (persons, complete) = (Sums.PersonsWithin(scope), scope.IsComplete(today, retentionYears));

        // What is missing can only add persons: beyond the limit is beyond it, and within it may still be beyond.
        bool? exceeded = persons is null ? null : persons > scope.ApprovedPersons ? true : complete ? false : null;
        return new(scope.ApprovedPersons, scope.Mechanism.ScopeWindow ?? ScopeWindow.CalendarYear, scope.From, scope.To, persons, complete, exceeded);
    }

    private static bool? IsInsideGreaterBay(IReadOnlyList<OnwardRecipient>? onward) => onward is null || onward.Any(static one => one.Place is null)
        ? null
        : onward.All(static one => ExemptionPolicy.Default.IsGreaterBayCity(one.Place!) || (Country.TryParse(one.Place!, out var country) && GreaterBayTerritories.Contains(country)));
}
