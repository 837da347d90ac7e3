using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// A change of the ledger and its entries. The ledger has a store of its own, so no transaction holds both: what is about to be done is in
/// the trail before it is done, and what came of it afterwards. Where a process ends in between, the first entry stands alone and says that
/// nobody was answered; asking once more is safe, and tells.
/// </summary>
internal static class AuditedChange
{
    /// <summary>Does it. What the ledger refuses is recorded as refused, what fails as failed, and thrown on.</summary>
    /// <param name="trail">The trail.</param>
    /// <param name="events">The change, as its entries say it once it is done.</param>
    /// <param name="change">Does it; what it puts into the details stands in the entries, also when it throws afterwards.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<T> RunAsync<T>(
        IAuditTrail trail, IReadOnlyList<AuditEvent> events, Func<IDictionary<string, string>, Task<T>> change, CancellationToken cancellationToken)
    {
        foreach (var about in events)
        {
            await trail.AppendAsync(
                about with { Kind = TransferAudit.ChangeBegun, Details = new Dictionary<string, string>(about.Details) { ["kind"] = about.Kind.Name } },
                cancellationToken);
        }

        var found = new Dictionary<string, string>(StringComparer.Ordinal);
        T result;
        try
        {
            result = await change(found);
        }
        catch (Exception exception)
        {
            var (outcome, why) = exception is LedgerRefusalException refusal ? (AuditOutcome.Refused, refusal.Reason.ToString()) : (AuditOutcome.Failed, exception.GetType().Name);
            found["cause"] = why;
            await EndAsync(trail, events, outcome, found);
            throw;
        }

        await EndAsync(trail, events, AuditOutcome.Succeeded, found);
        return result;
    }

    /// <summary>It has happened, whoever still waits for the answer: the entries are not given up with the request.</summary>
    private static async Task EndAsync(IAuditTrail trail, IReadOnlyList<AuditEvent> events, AuditOutcome outcome, Dictionary<string, string> found)
    {
        foreach (var about in events)
        {
            var details = new Dictionary<string, string>(about.Details);
            foreach (var (name, value) in found)
            {
                details[name] = value;
            }

            await trail.AppendAsync(about with { Outcome = outcome, Details = details, OccurredAt = null }, CancellationToken.None);
        }
    }
}
