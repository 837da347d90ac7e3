using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// A change of the ledger and its entries. The ledger has a store of its own, so no transaction holds both: what is about to be done is in
/// the trail and in the journal before it is done, and what came of it afterwards. Where a process ends in between, the journal asks the
/// ledger (<see cref="LedgerChangeSettler"/>).
/// </summary>
internal static class AuditedChange
{
    /// <summary>
    /// Does it. What the ledger refuses is recorded as refused and thrown on. Whether something that failed was done nobody knows: the
    /// journal finds out.
    /// </summary>
    /// <param name="journal">The journal.</param>
    /// <param name="question">What the ledger is asked when nobody is left who knows.</param>
    /// <param name="events">The change, as its entries say it once it is done.</param>
    /// <param name="change">Does it; what it puts into the details stands in the entries, also when the ledger refuses afterwards.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<T> RunAsync<T>(
        ChangeJournal journal, LedgerQuestion question, IReadOnlyList<AuditEvent> events, Func<IDictionary<string, string>, Task<T>> change,
        CancellationToken cancellationToken)
    {
        await using var underWay = await journal.BeginAsync(
            new() { Begun = TransferAudit.ChangeBegun, Question = question.Name, Arguments = question.Arguments, Events = events }, cancellationToken);
        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        T result;
        try
        {
            result = await change(found);
        }
        catch (LedgerRefusalException refusal)
        {
            found["cause"] = refusal.Reason.ToString();
            await underWay.EndAsync(AuditOutcome.Refused, found);
            throw;
        }

        await underWay.EndAsync(AuditOutcome.Succeeded, found);
        return result;
    }
}
