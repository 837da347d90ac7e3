using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>How many persons the mechanism of a scenario covers at most, and over which days they count.</summary>
/// <param name="Scenario">The scenario's id.</param>
/// <param name="Mechanism">The mechanism, with an approved number.</param>
/// <param name="From">The first day.</param>
/// <param name="To">The last day.</param>
public sealed record ScenarioScope(string Scenario, ScenarioMechanism Mechanism, DateOnly From, DateOnly To)
{
    /// <summary>The approved number.</summary>
    public long ApprovedPersons => Mechanism.ApprovedPersons!.Value;

    /// <summary>The scope of a version on a day; <see langword="null"/> when no number is approved, or nobody recorded since when it counts.</summary>
    public static ScenarioScope? Of(string scenario, ScenarioVersion version, DateOnly day)
    {
        ArgumentNullException.ThrowIfNull(version);
        if (version.Terms.Mechanism is not { ApprovedPersons: not null } mechanism)
        {
            return null;
        }

        return mechanism.ScopeWindow == ScopeWindow.Term
            ? mechanism.ValidFrom is { } from ? new(scenario, mechanism, from, mechanism.ValidTo is { } to && to < day ? to : day) : null
            : new(scenario, mechanism, new(day.Year, 1, 1), day);
    }

    /// <summary>Records of its first days may be past their retention: then what is counted is the least that there can be.</summary>
    public bool IsComplete(DateOnly today, int retentionYears) => From >= today.AddYears(-retentionYears);
}

/// <summary>Counts the distinct persons of scenarios against what is approved, from the records: the ledger's counters know no purposes.</summary>
internal sealed class ScopeCounter
{
    private readonly Dictionary<string, (ScenarioScope Scope, PersonCount Persons)> _scopes;

    /// <param name="scopes">What is approved.</param>
    /// <param name="sets">How many persons may be told apart.</param>
    public ScopeCounter(IEnumerable<ScenarioScope> scopes, FactSets sets) =>
        _scopes = scopes.ToDictionary(static scope => scope.Scenario, scope => (scope, new PersonCount(sets)), StringComparer.Ordinal);

    /// <summary>Takes in a record of a scenario.</summary>
    public void Add(string scenario, LedgerRecord record, IEnumerable<TransferFact> facts)
    {
        if (!_scopes.TryGetValue(scenario, out var counted))
        {
            return;
        }

        var day = LegalTime.DayOf(record.OccurredAt);
        if (day >= counted.Scope.From && day <= counted.Scope.To && facts.Any(fact => counted.Scope.Mechanism.Covers(in fact)))
        {
            counted.Persons.Add(record.Person);
        }
    }

    /// <summary>Distinct persons of a scenario within its scope; <see langword="null"/> when there are too many to be told apart.</summary>
    public long? PersonsOf(string scenario) => _scopes[scenario].Persons.Persons;
}
