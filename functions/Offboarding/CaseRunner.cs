using DingFlow.Offboarding.Guards;

namespace DingFlow.Offboarding;

/// <summary>
/// Drives a case: looks the person up, freezes every account, reads each back, and concludes. Whatever it finds half done it goes on
/// with, so it may be called again at any time, also after the process died at any point.
/// </summary>
public sealed partial class CaseRunner(
    CaseStore cases, CaseMerger merger, CaseRuns runs, CaseAlerts alerts, AccountLookup lookup, CaseGates gates,
    IEnumerable<IFreezeDriver> drivers, AccessSteps access, OffboardingPlans plans, DryRun dryRun, CaseRestorer restorer, CaseSuccession succession,
    OffboardingOptions options, OffboardingMetrics metrics, TimeProvider time, ILogger<CaseRunner> logger)
{
    /// <summary>A step that the remote accepts without effect so often is not going to work.</summary>
    private const int MaximumContradictions = 6;

    /// <summary>How long a look-up ahead of the date waits that found a system not answering.</summary>
    private static readonly TimeSpan LookAgainAfter = TimeSpan.FromHours(1);

    private readonly Dictionary<FreezeTarget, IFreezeDriver> _drivers = drivers.ToDictionary(d => d.Target);

    /// <summary>Takes the case up.</summary>
    public async Task RunAsync(string caseId, CancellationToken cancellationToken)
    {
        if (await cases.FindAsync(caseId, cancellationToken) is not { } current)
        {
            Log.NoSuchCase(logger, caseId);
            return;
        }

        using var activity = OffboardingMetrics.Activities.StartActivity("offboarding.run");
        activity?.SetTag("dingflow.case", caseId);
        switch (current.Case.State)
        {
            case CaseState.Scheduled when current.Case.ScheduledFor > time.GetUtcNow():
                await LookAheadAsync(current, cancellationToken);
                break;
            case CaseState.Running when current.Case.Undo is not null:
                await succession.AskAgainAsync(current, cancellationToken);
                await restorer.RestoreAsync(current, cancellationToken);
                break;
            case CaseState.Scheduled or CaseState.Running:
                if (await gates.MayStartAsync(current, cancellationToken) is { } started)
                {
                    await FreezeAsync(started, cancellationToken);
                }

                break;
            case CaseState.Verified when !current.Case.Superseded:
                await RecheckAsync(current, cancellationToken);
                break;
            case CaseState.NeedsHuman or CaseState.Failed:
                await TellAsync(current, cancellationToken); // The process may have died before people were told; told twice, it counts once.
                break;
            default:
                break; // Quarantined or ended: nothing that a machine should do.
        }
    }

    private async Task FreezeAsync(StoredCase current, CancellationToken cancellationToken)
    {
        if (current.Case.State == CaseState.Scheduled || current.Case.StartedAt is null)
        {
            // What was looked up ahead may be weeks old.
            current = await cases.UpdateAsync(
                current,
                c => c.State is not (CaseState.Scheduled or CaseState.Running) || c.ScheduledFor > time.GetUtcNow() ? c : c with
                {
                    State = CaseState.Running, StartedAt = c.StartedAt ?? time.GetUtcNow(), LookUpAgain = c.LookUpAgain || c.State == CaseState.Scheduled,
                },
                cancellationToken);
            if (!current.Case.IsFreezing)
            {
                return; // Called off, held or moved to a later date meanwhile.
            }
        }

        using var session = new CaseSession(cases, current);
        if (current.Case.LookUpAgain || current.Case.Accounts.Count == 0)
        {
            var asked = session.Case.Identifiers.Count;
            var accounts = await lookup.LookUpAsync(session.Case, cancellationToken);
            var canonical = await merger.ClaimAsync(session, accounts, cancellationToken);
            if (!canonical)
            {
                return; // The person has another, older case, which now knows everything that this one knew.
            }

            await session.ChangeAsync(c => c.IsFreezing ? WithAccounts(c, accounts, asked) : c, cancellationToken);
        }

        if (!session.Case.IsFreezing)
        {
            return; // Called off, ended or moved to a later date while the person was looked up.
        }

        if (session.Case.Mode == CaseMode.DryRun)
        {
            var plan = plans.For(session.Case, session.Case.Accounts);
            var lanes = await Task.WhenAll(session.Case.Accounts.Select(a => dryRun.StepsAsync(session.Case, a, plan, cancellationToken)));
            await session.ChangeAsync(c => Rehearsed(c, [.. lanes.SelectMany(lane => lane)]), cancellationToken);
            return;
        }

        if (!await gates.MayFreezeAsync(session, cancellationToken))
        {
            return; // Held by the brake until people release it.
        }

        // Every account is a lane of its own: trouble with one never delays another.
        var waits = await Task.WhenAll(session.Case.Accounts
            .Where(a => a.Status == AccountStatus.Found)
            .Select(a => RunLaneAsync(session, a, cancellationToken)));
        await ConcludeAsync(session, waits.Min() ?? TimeSpan.Zero, cancellationToken);
    }

    /// <summary>
    /// A case whose date lies ahead: whom it concerns is found out now, so that several words about one person are one case, and so that
    /// people see before the date what will be done.
    /// </summary>
    private async Task LookAheadAsync(StoredCase current, CancellationToken cancellationToken)
    {
        using var session = new CaseSession(cases, current);
        if (current.Case.LookUpAgain || current.Case.Accounts.Count == 0)
        {
            var asked = session.Case.Identifiers.Count;
            var accounts = await lookup.LookUpAsync(session.Case, cancellationToken);
            if (!await merger.ClaimAsync(session, accounts, cancellationToken))
            {
                return;
            }

            await session.ChangeAsync(c => c.State == CaseState.Scheduled ? WithAccounts(c, accounts, asked) : c, cancellationToken);
        }

        if (session.Case is { State: CaseState.Scheduled, ScheduledFor: { } start })
        {
            // Where a system could not be asked there is time to try again; near its date the case is enqueued for that moment.
            var now = time.GetUtcNow();
            var next = session.Case.LookUpAgain && start > now + LookAgainAfter ? now + LookAgainAfter : start;
            await session.ChangeAsync(
                c => c.State == CaseState.Scheduled && c.NextAttemptAt != next ? c with { NextAttemptAt = next, Runs = c.Runs + 1 } : c, cancellationToken);
            if (next <= now + CaseEvents.ScheduleAhead)
            {
                await runs.SendAsync(session.Case, next, "date reached", cancellationToken);
            }
        }
    }

    /// <summary>Does the steps of one account and reads it back. Returns how long to wait before going on; <see langword="null"/>: nothing is left to do.</summary>
    private async Task<TimeSpan?> RunLaneAsync(CaseSession session, CaseAccount account, CancellationToken cancellationToken)
    {
        var driver = _drivers[account.Target];
        if (session.StepsOf(account).All(s => s.IsProved))
        {
            return null;
        }

        if (session.AccountNow(account).NotBefore is { } notBefore && notBefore > time.GetUtcNow())
        {
            return notBefore - time.GetUtcNow();
        }

        var before = await driver.ReadAsync(account, cancellationToken);
        // What is found disabled once this case may have acted may be its own doing, and says nothing of the time before.
        if (before.Enabled is { } enabled
            && (!session.StepsOf(account).Any(static s => s.MayHaveChanged) || (enabled && session.AccountNow(account).WasEnabled is null)))
        {
            await session.ChangeAsync(c => c.WithAccount(account, a => a with { WasEnabled = enabled }), cancellationToken);
        }

        var wait = before.Result.RetryAfter ?? TimeSpan.Zero;
        foreach (var step in session.StepsOf(account).Where(s => !s.IsSettled))
        {
            if (!session.Case.IsFreezing)
            {
                return null; // Called off meanwhile.
            }

            if (BlockerOf(session, account, step) is { } blocker)
            {
                await session.ChangeAsync(
                    c => c.WithStep(step, s => s with { Outcome = StepOutcome.Skipped, BlockedBy = blocker, Detail = $"Not done, because {blocker} was not.", EndedAt = time.GetUtcNow() }),
                    cancellationToken);
                continue;
            }

            var result = await TryAsync(session, driver, account, step, before, cancellationToken);
            if (result.Outcome == StepOutcome.RetryLater)
            {
                wait = result.RetryAfter > wait ? result.RetryAfter.Value : wait;
                if (StepCatalogue.Freezes(step.Id) || !step.RulesOrUsual.ContinueOnError)
                {
                    break;
                }
            }
        }

        await ReadBackAsync(session, account, driver, cancellationToken);
        if (session.StepsOf(account).All(s => s.IsSettled))
        {
            return null;
        }

        if (wait > TimeSpan.Zero)
        {
            var until = time.GetUtcNow() + wait;
            await session.ChangeAsync(c => c.WithAccount(account, a => a with { NotBefore = until }), cancellationToken);
        }

        return wait;
    }

    /// <summary>Makes one attempt of a step, noted on the case before the remote is called and after it answered.</summary>
    private async Task<StepResult> TryAsync(
        CaseSession session, IFreezeDriver driver, CaseAccount account, CaseStep step, AccountReading before, CancellationToken cancellationToken)
    {
        var started = time.GetUtcNow();
        await session.ChangeAsync(
            c => c.WithStep(step, s => s with { Attempts = s.Attempts + 1, StartedAt = s.StartedAt ?? started }), cancellationToken);
        var rules = step.RulesOrUsual;
        var result = await WithinAsync(
            rules.Timeout,
            token => access.Find(step.Id) is null
                ? driver.ActAsync(step.Id, account, before, session.Case.CaseId, token)
                : access.TakeAsync(session, account, step, rules, token),
            cancellationToken);

        // It was tried before and the answer was lost: what is done now, this case has done.
        var outcome = result.Outcome == StepOutcome.AlreadyDone && (access.Find(step.Id) is null ? step.Attempts > 0 : TookAny(session, account, step))
            ? StepOutcome.Done
            : result.Outcome;
        if (outcome == StepOutcome.RetryLater && step.Attempts + 1 >= rules.MaxAttempts)
        {
            outcome = StepOutcome.Failed;
        }

        var ended = time.GetUtcNow();
        metrics.StepEnded(step.Id, outcome);
        await session.ChangeAsync(
            c => c.WithStep(step, s => s with
            {
                Outcome = outcome, EndedAt = ended, Detail = result.Detail, RequestId = result.RequestId, ReadBack = null,
            }) with { LookUpAgain = c.LookUpAgain || result.AccountMissing },
            cancellationToken);
        return result with { Outcome = outcome };
    }

    /// <summary>Gives one attempt its time: a remote that takes longer is asked again, not waited for.</summary>
    private async Task<StepResult> WithinAsync(TimeSpan timeout, Func<CancellationToken, Task<StepResult>> attempt, CancellationToken cancellationToken)
    {
        using var limit = new CancellationTokenSource(timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            return await attempt(either.Token);
        }
        catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            return new(StepOutcome.RetryLater, $"It took longer than the {timeout:c} that the plan gives it.");
        }
    }

    private static bool TookAny(CaseSession session, CaseAccount account, CaseStep step) =>
        session.StepsOf(account).First(s => s.IsSame(step)).Changes?.Any(change => change.State == ChangeState.Taken) == true;

    /// <summary>The earlier step after which this one must not be done.</summary>
    private static string? BlockerOf(CaseSession session, CaseAccount account, CaseStep step) => StepCatalogue.Freezes(step.Id) ? null : session.StepsOf(account)
        .TakeWhile(s => !s.IsSame(step))
        .FirstOrDefault(s => s.Outcome is StepOutcome.Failed or StepOutcome.NeedsHuman && !s.RulesOrUsual.ContinueOnError)?.Id;

    private async Task ReadBackAsync(CaseSession session, CaseAccount account, IFreezeDriver driver, CancellationToken cancellationToken)
    {
        if (!session.StepsOf(account).Any(s => s.Outcome is StepOutcome.Done or StepOutcome.AlreadyDone))
        {
            return;
        }

        var after = await driver.ReadAsync(account, cancellationToken);
        var proofs = new Dictionary<string, StepProof>(StringComparer.Ordinal);
        foreach (var step in session.StepsOf(account).Where(s => s.Outcome is StepOutcome.Done or StepOutcome.AlreadyDone))
        {
            proofs[step.Id] = access.Find(step.Id) is null ? driver.Judge(step, after)
                : step.IsProved ? new(ReadBack.Confirmed)
                : await access.ProveAsync(session, account, step, cancellationToken);
        }

        // Where ending access failed for good the account is not expected to be frozen: repeating the others would prove nothing.
        var hopeless = session.StepsOf(account).Any(s => s.Outcome is StepOutcome.Failed or StepOutcome.NeedsHuman && StepCatalogue.Freezes(s.Id));
        await session.ChangeAsync(
            c => session.StepsOf(account).Where(s => proofs.ContainsKey(s.Id)).Aggregate(
                c with { LookUpAgain = c.LookUpAgain || (after.Missing && account.Target == FreezeTarget.Entra) },
                (changed, step) => changed.WithStep(step, s => Prove(s, proofs[s.Id], hopeless))),
            cancellationToken);
    }

    private static CaseStep Prove(CaseStep step, StepProof proof, bool hopeless)
    {
        if (step.Outcome is not (StepOutcome.Done or StepOutcome.AlreadyDone))
        {
            return step;
        }

        var proved = step with
        {
            ReadBack = proof.ReadBack, Contradictions = step.Contradictions + (proof.ReadBack == ReadBack.Contradicted ? 1 : 0),
        };
        return proof.ReadBack switch
        {
            ReadBack.Confirmed => proved,
            _ when hopeless => proved,
            ReadBack.Contradicted when proved.Contradictions >= MaximumContradictions =>
                proved with { Outcome = StepOutcome.Failed, Detail = proof.Detail },
            _ => proved with { Outcome = StepOutcome.RetryLater, Detail = proof.Detail },
        };
    }

    /// <summary>What follows from the steps: done, wait, or tell a person.</summary>
    private async Task ConcludeAsync(CaseSession session, TimeSpan wait, CancellationToken cancellationToken)
    {
        if (!session.Case.IsFreezing)
        {
            return;
        }

        var now = time.GetUtcNow();
        if (session.Case.LookUpAgain || session.Case.Steps.Any(s => !s.IsSettled))
        {
            await RetryAsync(session, wait, now, cancellationToken);
            return;
        }

        await session.ChangeAsync(c => CaseConclusion.Conclude(c, options, now), cancellationToken);
        await TellAsync(session.Stored, cancellationToken);
    }

    private async Task TellAsync(StoredCase stored, CancellationToken cancellationToken)
    {
        var concluded = stored.Case;
        Log.CaseConcluded(logger, concluded.CaseId, concluded.State);
        metrics.CaseConcluded(concluded);
        switch (concluded.State)
        {
            case CaseState.Verified:
                await runs.ScheduleAsync(stored, time.GetUtcNow() + options.RecheckAfter, "recheck", c => c with { NextAttemptAt = null }, cancellationToken);
                break;
            case CaseState.NeedsHuman:
                await alerts.NeedsHumanAsync(concluded, cancellationToken);
                break;
            case CaseState.Failed:
                await alerts.FailedAsync(concluded, cancellationToken);
                break;
            default:
                break;
        }
    }

    private async Task RetryAsync(CaseSession session, TimeSpan wait, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var failingSince = session.Case.FailingSince ?? now;
        if (now - failingSince >= options.GiveUpAfter)
        {
            await session.ChangeAsync(
                c => CaseConclusion.Conclude(
                    c with { Steps = [.. c.Steps.Select(s => s.IsSettled ? s : s with { Outcome = StepOutcome.Failed })], LookUpAgain = true },
                    options, now),
                cancellationToken);
            await TellAsync(session.Stored, cancellationToken);
            return;
        }

        var delay = CaseRuns.BackOff(options, session.Case.Retries);
        var at = now + (wait > delay ? wait : delay);
        Log.Retry(logger, session.Case.CaseId, at - now);
        await runs.ScheduleAsync(
            session.Stored, at, "retry", c => c with { Retries = c.Retries + 1, FailingSince = failingSince, NextAttemptAt = null }, cancellationToken);
    }

    /// <summary>Reads a verified case's accounts once more. One that lives again is frozen again.</summary>
    private async Task RecheckAsync(StoredCase current, CancellationToken cancellationToken)
    {
        var alive = new List<CaseAccount>();
        var unread = false;
        foreach (var account in current.Case.Accounts.Where(a => a.Status == AccountStatus.Found))
        {
            var reading = await _drivers[account.Target].ReadAsync(account, cancellationToken);
            unread |= reading.Enabled is null && !reading.Missing;
            if (reading.Enabled == true)
            {
                alive.Add(account);
            }
        }

        var now = time.GetUtcNow();
        if ((alive.Count > 0 || current.Case.LookUpAgain) && current.Case is { IsBreached: true, OverdueAt: null })
        {
            await alerts.OverdueAsync(current.Case, cancellationToken); // The sweeper sees the new clock only.
        }

        if (alive.Count > 0)
        {
            Log.AliveAgain(logger, current.Case.CaseId, alive.Count);
            await alerts.AliveAgainAsync(current.Case, cancellationToken);
            var reopened = await cases.UpdateAsync(current, c => CaseConclusion.Reopen(c, alive, now, options), cancellationToken);
            if (reopened.Case.IsFreezing)
            {
                await FreezeAsync(reopened, cancellationToken);
            }
        }
        else if (unread)
        {
            await runs.ScheduleAsync(
                current, now + CaseRuns.BackOff(options, current.Case.Retries), "recheck", c => c with { Retries = c.Retries + 1, NextAttemptAt = null }, cancellationToken);
        }
        else if (current.Case.LookUpAgain)
        {
            // An event named the person by further identifiers: they may lead to accounts that nobody has looked at.
            var reopened = await cases.UpdateAsync(current, c => CaseConclusion.Reopen(c, [], now, options), cancellationToken);
            if (reopened.Case.IsFreezing)
            {
                await FreezeAsync(reopened, cancellationToken);
            }
        }
        else
        {
            await cases.UpdateAsync(
                current,
                c => now - c.VerifiedAt >= options.RecheckAfter
                    ? c with { RecheckedAt = now, NextAttemptAt = null, Retries = 0 }
                    : c with { NextAttemptAt = c.RecheckedAt is null ? c.VerifiedAt + options.RecheckAfter : null },
                cancellationToken);
        }
    }

    /// <summary>
    /// Takes over what a look-up found, keeping the steps and snapshots of accounts that it found before. The look-up is repeated when a
    /// system could not be asked, or when the person was named by more identifiers while it ran.
    /// </summary>
    private OffboardingCase WithAccounts(OffboardingCase c, IReadOnlyList<CaseAccount> accounts, int identifiersAsked)
    {
        var kept = accounts.Select(a => CaseConclusion.Kept(c, a)).ToList();
        var plan = plans.For(c, kept);
        return CaseClock.WithPlan(c, plans.Of(plan), options, time.GetUtcNow()) with
        {
            Accounts = kept,
            Steps = CaseConclusion.StepsOf(c, kept, plan, options),
            LookUpAgain = accounts.Any(a => a.Status == AccountStatus.Unknown) || c.Identifiers.Count != identifiersAsked,
            Notes = [],
        };
    }

    /// <summary>A dry run ends with what would have been done; where a live word joined meanwhile, the case goes on.</summary>
    private OffboardingCase Rehearsed(OffboardingCase c, IReadOnlyList<CaseStep> steps) => c.Mode != CaseMode.DryRun || c.State != CaseState.Running ? c : c with
    {
        State = CaseState.Cancelled,
        NextAttemptAt = null,
        Steps = [.. steps.Select(s => s with { EndedAt = time.GetUtcNow() })],
        Notes = ["Dry run: everything was looked up, nothing was changed."],
    };

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "A run of case {CaseId} was asked for, but there is no such case.")]
        public static partial void NoSuchCase(ILogger logger, string caseId);

        [LoggerMessage(2, LogLevel.Information, "Case {CaseId} is {State}.")]
        public static partial void CaseConcluded(ILogger logger, string caseId, CaseState state);

        [LoggerMessage(3, LogLevel.Information, "Case {CaseId} will be tried again in {Delay}.")]
        public static partial void Retry(ILogger logger, string caseId, TimeSpan delay);

        [LoggerMessage(4, LogLevel.Error, "Case {CaseId}: {Count} frozen account(s) can sign in again.")]
        public static partial void AliveAgain(ILogger logger, string caseId, int count);
    }
}
