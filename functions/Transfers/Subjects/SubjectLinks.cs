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

    /// <summary>Records that identifiers belong to one person each, and unites what is counted.</summary>
    public async Task<UnionOutcome> LinkAsync(IReadOnlyList<IReadOnlyList<SubjectPseudonym>> persons, CancellationToken cancellationToken)
    {
        await identities.LinkAsync(persons, cancellationToken);
        return await SettleAsync(cancellationToken);
    }

    /// <summary>Unites whatever is linked and counted apart.</summary>
    public async Task<UnionOutcome> SettleAsync(CancellationToken cancellationToken) => (await UniteAsync(cancellationToken)).Outcome;

    /// <summary>
    /// The same for a timer, which confirms what the run before has seen: by then no batch is under way any more that was begun before the
    /// links were known. Where a ledger is full nothing is confirmed: what could not be united now may be later.
    /// </summary>
    public async Task<UnionOutcome> SettleAndConfirmAsync(CancellationToken cancellationToken)
    {
        await identities.RefreshAsync(cancellationToken);
        var before = Interlocked.Read(ref _seen);
        var (outcome, generation) = await UniteAsync(cancellationToken);
        if (outcome.Full.Count > 0)
        {
            return outcome;
        }

        if (before > 0)
        {
            await identities.ConfirmAsync(before, cancellationToken);
        }

        Interlocked.Exchange(ref _seen, generation);
        return outcome;
    }

    private async Task<(UnionOutcome Outcome, long Generation)> UniteAsync(CancellationToken cancellationToken)
    {
        var pending = await identities.PendingAsync(cancellationToken);
        var (united, full) = (0, new List<string>());
        if (pending.Unions.Count > 0)
        {
            var gone = pending.Unions.Select(union => union.From).Distinct().ToList();
            foreach (var exporter in options.Exporters.Values)
            {
                try
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
                catch (LedgerRefusalException refusal) when (refusal.Reason == LedgerRefusal.TooManyUnions)
                {
                    // These persons stay counted under each identifier: too high, and no reason to count others not at all.
                    full.Add(exporter.Id);
                }
            }
        }

        return (new(united, full), pending.Generation);
    }
}

/// <summary>What came of uniting.</summary>
/// <param name="United">How many entries were brought into another.</param>
/// <param name="Full">Exporters whose ledgers remember as many unions as they can: some of their persons are counted under each of their identifiers.</param>
public sealed record UnionOutcome(int United, IReadOnlyList<string> Full);

/// <summary>Unites what other instances, or a run that was interrupted, left apart.</summary>
public sealed partial class UniteLinkedSubjects(SubjectLinks links, IAlertSender alerts, TimeProvider time, ILogger<UniteLinkedSubjects> logger) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        var (united, full) = await links.SettleAndConfirmAsync(cancellationToken);
        if (united > 0)
        {
            Log.United(logger, united);
        }

        var now = time.GetUtcNow();
        foreach (var exporter in full)
        {
            Log.Full(logger, exporter);
            await alerts.SendAsync(
                new()
                {
                    AlertId = $"transfers.unions_full:{exporter}:{LegalTime.YearOf(now):d4}",
                    Type = "transfers.unions_full",
                    Severity = AlertSeverity.Warning,
                    OccurredAt = now,
                    Summary = $"The ledger of {exporter} remembers no more united identifiers: some persons are counted more than once. Send records under one kind of identifier.",
                    About = exporter,
                    Details = new Dictionary<string, string> { ["exporter"] = exporter },
                },
                cancellationToken);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Count} entries of the ledger were united with another of the same person")]
        public static partial void United(ILogger logger, int count);

        [LoggerMessage(2, LogLevel.Error, "The ledger of {Exporter} remembers no more united identifiers; its count errs high")]
        public static partial void Full(ILogger logger, string exporter);
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
