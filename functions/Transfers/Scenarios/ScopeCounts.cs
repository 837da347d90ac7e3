using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Counts the persons of all scenarios with an approved number, exactly, whatever their number: where not all can be told apart at once, the
/// records are read several times, each time for another part of the persons.
/// </summary>
internal static class ScopeCounts
{
    /// <summary>Persons told apart at once; some 100 MB.</summary>
    private const int MostPersons = 2_000_000;

    /// <summary>Distinct persons by scenario.</summary>
    /// <param name="ledger">The ledger.</param>
    /// <param name="register">The register.</param>
    /// <param name="scopes">What is counted.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="mostPersons">Persons told apart at once, about.</param>
    public static async Task<IReadOnlyDictionary<string, long>> ReadAsync(
        SubjectLedger ledger, ScenarioRegister register, IReadOnlyList<ScenarioScope> scopes, CancellationToken cancellationToken, int mostPersons = MostPersons)
    {
        Dictionary<string, long> persons = scopes.ToDictionary(static scope => scope.Scenario, static _ => 0L, StringComparer.Ordinal);
        if (scopes.Count == 0)
        {
            return persons;
        }

        var book = new ScenarioBook(register);
        var parts = await PartsAsync(ledger, register.Exporter, scopes, mostPersons, cancellationToken);
        for (var part = 0; part < parts; part++)
        {
            // Each person is of one part, so the parts add up.
            var counter = new ScopeCounter(scopes, new(int.MaxValue));
            await foreach (var record in ledger.ReadRecordsAsync(register.Exporter, null, cancellationToken))
            {
                if ((int)(record.Person.Low % (ulong)parts) == part)
                {
                    Add(counter, book, record);
                }
            }

            foreach (var scope in scopes)
            {
                persons[scope.Scenario] += counter.PersonsOf(scope.Scenario) ?? throw new InvalidOperationException("There is room for all of a part.");
            }
        }

        return persons;
    }

    private static void Add(ScopeCounter counter, ScenarioBook book, LedgerRecord record)
    {
        foreach (var group in record.Facts.GroupBy(static fact => fact.Recipient, StringComparer.Ordinal))
        {
            if (book.Find(record, group.Key).Scenario is { } scenario)
            {
                counter.Add(scenario.Id, record, group);
            }
        }
    }

    /// <summary>How often the records are to be read: no scenario has more persons than the ledger has in the years of all scopes.</summary>
    private static async Task<int> PartsAsync(
        SubjectLedger ledger, string exporter, IReadOnlyList<ScenarioScope> scopes, int mostPersons, CancellationToken cancellationToken)
    {
        var subjects = 0L;
        for (var year = scopes.Min(static scope => scope.From.Year); year <= scopes.Max(static scope => scope.To.Year); year++)
        {
            subjects += (await ledger.ReadCountersAsync(exporter, year, cancellationToken)).Subjects;
        }

        return (int)Math.Min(int.MaxValue, 1 + (subjects * scopes.Count / mostPersons));
    }
}
