using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Says to which scenario of a register a record belongs: to the one that it names; where it names none, to the one that has its recipient
/// and purpose on its day. Never a guess: a record that fits none, or names one that is not in the register, belongs to none.
/// </summary>
public sealed class ScenarioBook
{
    private readonly Dictionary<string, Scenario> _byId;
    private readonly Dictionary<(string Recipient, string Purpose), List<Scenario>> _byPair = [];

    /// <summary>A book of a register.</summary>
    public ScenarioBook(ScenarioRegister register)
    {
        ArgumentNullException.ThrowIfNull(register);
        _byId = register.Scenarios.ToDictionary(static scenario => scenario.Id, StringComparer.Ordinal);
        foreach (var scenario in register.Scenarios)
        {
            foreach (var pair in scenario.Versions.Select(static version => (version.Terms.Recipient, version.Terms.Purpose)).Distinct())
            {
                (_byPair.TryGetValue(pair, out var known) ? known : _byPair[pair] = []).Add(scenario);
            }
        }
    }

    /// <summary>Every scenario, by id.</summary>
    public IReadOnlyDictionary<string, Scenario> Scenarios => _byId;

    /// <summary>To which scenario the record belongs, as far as it went to this recipient.</summary>
    public ScenarioOfRecord Find(LedgerRecord record, string recipient)
    {
        ArgumentNullException.ThrowIfNull(record);
        if (record.Circumstances.Paperwork?.Scenario is { } named)
        {
            return _byId.TryGetValue(named, out var scenario)
                ? new(scenario, scenario.On(LegalTime.DayOf(record.OccurredAt)) is { Withdrawn: false }, null)
                : new(null, false, named);
        }

        if (!_byPair.TryGetValue((recipient, record.Circumstances.Purpose), out var candidates))
        {
            return default;
        }

        var day = LegalTime.DayOf(record.OccurredAt);
        Scenario? found = null;
        foreach (var candidate in candidates)
        {
            if (candidate.On(day) is { Withdrawn: false, Terms: var terms } && terms.Recipient == recipient && terms.Purpose == record.Circumstances.Purpose)
            {
                if (found is not null)
                {
                    return default;
                }

                found = candidate;
            }
        }

        return new(found, found is not null, null);
    }
}

/// <summary>The scenario of a record.</summary>
/// <param name="Scenario">Which; <see langword="null"/> for none.</param>
/// <param name="InForce">It was in force on the record's day.</param>
/// <param name="Unknown">The name of one that the record gives and the register does not know.</param>
public readonly record struct ScenarioOfRecord(Scenario? Scenario, bool InForce, string? Unknown);
