using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Brings together what is counted of persons whose identifiers were found to belong together: first the link is recorded, then each
/// exporter's ledger unites the entries. A crash in between leaves work that the next run does; until then the count errs high, never low.
/// </summary>
public sealed class SubjectLinks(TransfersOptions options, SubjectIdentities identities, SubjectLedger ledger)
{
    private long _seen;

    /// <summary>Records that identifiers belong to one person each, and unites what is counted. Returns how many entries were united.</summary>
    public async Task<int> LinkAsync(IReadOnlyList<IReadOnlyList<SubjectPseudonym>> persons, CancellationToken cancellationToken)
    {
        await identities.LinkAsync(persons, cancellationToken);
        return await SettleAsync(cancellationToken);
    }

    /// <summary>Unites whatever is linked and counted apart.</summary>
    public async Task<int> SettleAsync(CancellationToken cancellationToken) => (await UniteAsync(cancellationToken)).United;

    /// <summary>
    /// The same for a timer, which confirms what the run before has seen: by then no batch is under way any more that was begun before the
    /// links were known.
    /// </summary>
    public async Task<int> SettleAndConfirmAsync(CancellationToken cancellationToken)
    {
        await identities.RefreshAsync(cancellationToken);
        var before = Interlocked.Read(ref _seen);
        var (united, generation) = await UniteAsync(cancellationToken);
        if (before > 0)
        {
            await identities.ConfirmAsync(before, cancellationToken);
        }

        Interlocked.Exchange(ref _seen, generation);
        return united;
    }

    private async Task<(int United, long Generation)> UniteAsync(CancellationToken cancellationToken)
    {
        var pending = await identities.PendingAsync(cancellationToken);
        var united = 0;
        if (pending.Unions.Count > 0)
        {
            var gone = pending.Unions.Select(union => union.From).Distinct().ToList();
            foreach (var exporter in options.Exporters.Values)
            {
                foreach (var from in await ledger.HeldAsync(exporter.Id, gone, cancellationToken))
                {
                    var person = identities.Resolve(from);
                    if (person != from)
                    {
                        await ledger.UnionAsync(exporter.Id, person, from, cancellationToken);
                        united++;
                    }
                }
            }
        }

        return (united, pending.Generation);
    }
}

/// <summary>Unites what other instances, or a run that was interrupted, left apart.</summary>
public sealed partial class UniteLinkedSubjects(SubjectLinks links, ILogger<UniteLinkedSubjects> logger) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        if (await links.SettleAndConfirmAsync(cancellationToken) is var united and > 0)
        {
            Log.United(logger, united);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Count} entries of the ledger were united with another of the same person")]
        public static partial void United(ILogger logger, int count);
    }
}

/// <summary>Removes records past their retention, and what they say about persons in years past it (<c>Transfers:RetentionYears</c>).</summary>
public sealed partial class PruneTransfers(TransfersOptions options, SubjectLedger ledger, ChangeJournal journal, ILogger<PruneTransfers> logger) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        foreach (var exporter in options.Exporters.Values)
        {
            var day = ledger.KeptFrom();
            var removed = await ledger.HoldsBeforeAsync(exporter.Id, day, cancellationToken)
                ? await AuditedAsync(exporter.Id, day, cancellationToken)
                : await ledger.PruneAsync(exporter.Id, cancellationToken);
            if (removed > 0)
            {
                Log.Pruned(logger, exporter.Id, removed);
            }
        }
    }

    private Task<int> AuditedAsync(string exporter, int day, CancellationToken cancellationToken) => AuditedChange.RunAsync(
        journal, LedgerQuestion.Prune(exporter, day),
        [
            new()
            {
                Kind = TransferAudit.RecordsExpired,
                Actor = AuditActor.System(nameof(PruneTransfers)),
                Payload = PayloadHash.None,
                On = new("exporter", exporter),
                Exporter = exporter,
                Reason = "Transfers:RetentionYears",
                Details = new Dictionary<string, string> { ["acceptedBefore"] = day.ToString(System.Globalization.CultureInfo.InvariantCulture) },
            },
        ],
        async details =>
        {
            var removed = await ledger.PruneAsync(exporter, cancellationToken);
            details["parts"] = removed.ToString(System.Globalization.CultureInfo.InvariantCulture);
            return removed;
        },
        cancellationToken);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Count} parts of batches of {Exporter} were past their retention and are gone")]
        public static partial void Pruned(ILogger logger, string exporter, int count);
    }
}
