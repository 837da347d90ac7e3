using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>Asks the ledger what became of a change whose process ended within it.</summary>
internal sealed class LedgerChangeSettler(SubjectLedger ledger, SubjectIdentities identities, SubjectLinks links) : IChangeSettler
{
    /// <inheritdoc/>
    public bool Knows(string question) => question is LedgerQuestion.BatchName or LedgerQuestion.VoidName or LedgerQuestion.EraseName
        or LedgerQuestion.UniteName or LedgerQuestion.PruneName or LedgerQuestion.OpeningSetName or LedgerQuestion.OpeningRemovedName;

    /// <inheritdoc/>
    public Task<ChangeSettlement?> SettleAsync(
        string question, IReadOnlyList<string> arguments, DateTimeOffset begunAt, CancellationToken cancellationToken) => question switch
    {
        LedgerQuestion.BatchName => BatchAsync(arguments[0], [.. arguments.Skip(1)], cancellationToken),
        LedgerQuestion.VoidName => VoidAsync(arguments[0], arguments[1], cancellationToken),
        LedgerQuestion.EraseName => EraseAsync([.. arguments.Select(static place => place.Split(' '))], cancellationToken),
        LedgerQuestion.UniteName => UniteAsync([.. arguments.Select(static names => names.Split(' ').Select(Pseudonym).ToList())], cancellationToken),
        LedgerQuestion.PruneName => PruneAsync(arguments[0], int.Parse(arguments[1], NumberStyles.None, CultureInfo.InvariantCulture), cancellationToken),
        LedgerQuestion.OpeningSetName => OpeningAsync(arguments, begunAt, cancellationToken),
        LedgerQuestion.OpeningRemovedName => OpeningAsync(arguments, begunAt, cancellationToken),
        _ => throw new ArgumentException("That is no question about the ledger.", nameof(question)),
    };

    /// <summary>How many records there are under the batch's id, by whichever of its requests: the one that was interrupted got no answer.</summary>
    private async Task<ChangeSettlement?> BatchAsync(string batchId, IReadOnlyList<string> exporters, CancellationToken cancellationToken)
    {
        var (records, holding, voided) = (0L, new List<string>(), false);
        foreach (var exporter in exporters)
        {
            if (await ledger.FindBatchAsync(exporter, batchId, cancellationToken) is { Records: > 0 } batch)
            {
                records += batch.Records;
                holding.Add(exporter);
                voided |= batch.State == BatchState.Voided;
            }
        }

        var found = Details(("records", Number(records)));
        if (holding.Count > 1)
        {
            found["exporters"] = string.Join(' ', holding);
        }

        if (voided)
        {
            found["voided"] = "true";
        }

        return new(records > 0 ? AuditOutcome.Succeeded : AuditOutcome.Failed, found);
    }

    private async Task<ChangeSettlement?> VoidAsync(string exporter, string batchId, CancellationToken cancellationToken) =>
        await ledger.FindBatchAsync(exporter, batchId, cancellationToken) is { State: BatchState.Voided }
            ? new(AuditOutcome.Succeeded, Details())
            : new(AuditOutcome.Failed, Details(("cause", "NotVoided")));

    private async Task<ChangeSettlement?> EraseAsync(IReadOnlyList<string[]> places, CancellationToken cancellationToken)
    {
        await identities.RefreshAsync(cancellationToken);
        SortedSet<string> holding = new(StringComparer.Ordinal);
        var isLinked = false;
        foreach (var place in places)
        {
            var person = identities.PersonOf(Pseudonym(place[1]));
            isLinked |= person.Count > 1;
            if (await HoldsAsync(place[0], person, cancellationToken))
            {
                holding.Add(place[0]);
            }
        }

        var found = Details(("linked", isLinked ? "true" : "false"));
        if (holding.Count > 0)
        {
            found["held"] = string.Join(' ', holding);
            found["cause"] = "StillHeld";
        }

        return new(holding.Count > 0 ? AuditOutcome.Failed : AuditOutcome.Succeeded, found);
    }

    /// <summary>Facts of the person, or records that tell nothing that is counted.</summary>
    private async Task<bool> HoldsAsync(string exporter, IReadOnlySet<SubjectPseudonym> person, CancellationToken cancellationToken)
    {
        foreach (var name in person)
        {
            if ((await ledger.ReadSubjectAsync(exporter, name, cancellationToken)).Years.Count > 0)
            {
                return true;
            }
        }

        return await ledger.ReadRecordsOfAnyAsync(exporter, person, cancellationToken).AnyAsync(cancellationToken);
    }

    /// <summary>Links that were recorded are followed by the ledger, sooner or later: it is made to do so now.</summary>
    private async Task<ChangeSettlement?> UniteAsync(IReadOnlyList<List<SubjectPseudonym>> persons, CancellationToken cancellationToken)
    {
        await identities.RefreshAsync(cancellationToken);
        var linked = persons.Count(names => names.Select(identities.Resolve).Distinct().Count() == 1);
        var united = linked > 0 ? (await links.SettleAsync(cancellationToken)).United : 0;
        return linked > 0
            ? new(AuditOutcome.Succeeded, Details(("linked", Number(linked)), ("united", Number(united))))
            : new(AuditOutcome.Failed, Details(("cause", "NotLinked")));
    }

    private async Task<ChangeSettlement?> PruneAsync(string exporter, int day, CancellationToken cancellationToken) =>
        await ledger.HoldsBeforeAsync(exporter, day, cancellationToken)
            ? new(AuditOutcome.Failed, Details(("cause", "SomeLeft")))
            : new(AuditOutcome.Succeeded, Details());

    private async Task<ChangeSettlement?> OpeningAsync(IReadOnlyList<string> arguments, DateTimeOffset begunAt, CancellationToken cancellationToken)
    {
        var year = int.Parse(arguments[1], NumberStyles.None, CultureInfo.InvariantCulture);
        var wanted = arguments.Count > 3 ? arguments[3] : null;
        var stored = (await ledger.ReadOpeningBalancesAsync(arguments[0], cancellationToken))
            .FirstOrDefault(balance => balance.Year == year && balance.Counter.Equals(arguments[2], StringComparison.Ordinal));
        if (wanted == (stored is null ? null : Number(stored.Count)))
        {
            return new(AuditOutcome.Succeeded, Details());
        }

        // What is there now may have been entered after this, by somebody else: then whether this was ever done cannot be told.
        var found = Details(("held", stored is null ? "none" : Number(stored.Count)), ("cause", stored?.RecordedAt >= begunAt ? "Overtaken" : "NotDone"));
        return new(AuditOutcome.Failed, found);
    }

    private static SubjectPseudonym Pseudonym(string text) =>
        SubjectPseudonym.TryParse(text, out var pseudonym) ? pseudonym : throw new InvalidDataException("The journal holds no pseudonym where one belongs.");

    private static Dictionary<string, string> Details(params ReadOnlySpan<(string Name, string Value)> found)
    {
        Dictionary<string, string> details = new(StringComparer.Ordinal);
        foreach (var (name, value) in found)
        {
            details[name] = value;
        }

        return details;
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
