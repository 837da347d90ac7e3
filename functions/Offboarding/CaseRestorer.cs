namespace DingFlow.Offboarding;

/// <summary>
/// Gives back what a case took: rights first, the sign-in last, each read back. It restores from what the steps had written down before
/// they took anything, so it may be called again at any time, also after the process died at any point.
/// </summary>
public sealed partial class CaseRestorer(
    CaseStore cases, CaseRuns runs, CaseAlerts alerts, PersonClaims claims, IEnumerable<IFreezeDriver> drivers, AccessSteps access,
    OffboardingOptions options, OffboardingMetrics metrics, TimeProvider time, ILogger<CaseRestorer> logger)
{
    private const int MaximumContradictions = 6;
    private const int MaximumAttempts = 5;

    private readonly Dictionary<FreezeTarget, IFreezeDriver> _drivers = drivers.ToDictionary(d => d.Target);

    /// <summary>The case as it begins to give back; <see langword="null"/>: there is nothing to give back, or it is being done.</summary>
    public static OffboardingCase? Begin(OffboardingCase c, string by, string reason, DateTimeOffset now) =>
        (c.IsRestoring && c.State != CaseState.Cancelled) // What waits for people goes on by retry; what an operator ended may begin anew.
        || c.State is CaseState.Reactivated or CaseState.Scheduled or CaseState.Quarantined || c.MergedInto is not null || !c.MayHaveChanged ? null : c with
        {
            State = CaseState.Running,

            // A new word that the person leaves opens a new case; nothing is frozen again by this one.
            Superseded = true,
            Notes = [],
            Retries = 0,
            FailingSince = null,
            NextAttemptAt = now,
            Undo = new()
            {
                RequestedAt = now,
                RequestedBy = by,
                Reason = reason,
                Steps = [.. c.Steps.Where(s => s.MayHaveChanged).Reverse().OrderBy(s => StepCatalogue.Freezes(s.Id) ? 1 : 0).Select(s => new CaseStep
                {
                    Id = s.Id, Target = s.Target, Tenant = s.Tenant, Rules = s.Rules, Changes = s.Changes is null ? null : [.. s.Changes.Where(change => change.MayBeTaken)],
                })],
            },
        };

    /// <summary>The younger case that holds the person by now: what it wants counts.</summary>
    public async Task<OffboardingCase?> SuccessorAsync(OffboardingCase @case, CancellationToken cancellationToken)
    {
        var keys = CaseMerger.KeysOf(@case.Accounts).Concat(@case.Identifiers.Where(i => i.Email is not null).Select(i => PersonKey.OfEmail(i.Email!)))
            .Concat(@case.Identifiers.Where(i => i.EmployeeId is not null).SelectMany(i => @case.Signals.Select(s => PersonKey.OfEmployee(s.Source, i.EmployeeId!))));
        foreach (var key in keys.Distinct(StringComparer.Ordinal))
        {
            if (await claims.FindAsync(key, cancellationToken) is { } claim && claim.CaseId != @case.CaseId
                && await cases.FindAsync(claim.CaseId, cancellationToken) is { Case: { Superseded: false, MergedInto: null, Mode: CaseMode.Live, State: not (CaseState.Cancelled or CaseState.Scheduled or CaseState.Quarantined) } } holder
                && string.CompareOrdinal(holder.Case.CaseId, @case.CaseId) > 0)
            {
                return holder.Case;
            }
        }

        return null;
    }

    /// <summary>Gives back what is left to give back.</summary>
    public async Task RestoreAsync(StoredCase current, CancellationToken cancellationToken)
    {
        using var activity = OffboardingMetrics.Activities.StartActivity("offboarding.restore");
        activity?.SetTag("dingflow.case", current.Case.CaseId);
        using var session = new CaseSession(cases, current);
        if (await SuccessorAsync(session.Case, cancellationToken) is { } successor)
        {
            await GiveWayAsync(session, successor, cancellationToken);
            return;
        }

        // Every account is a lane of its own: trouble with one never delays another.
        var waits = await Task.WhenAll(session.Case.Accounts.Where(a => a.AccountId is not null).Select(a => RunLaneAsync(session, a, cancellationToken)));
        if (await SuccessorAsync(session.Case, cancellationToken) is { } late)
        {
            // It may have frozen and read back before this case let the person in again: it looks once more.
            await GiveWayAsync(session, late, cancellationToken);
            return;
        }

        await ConcludeAsync(session, waits.Max() ?? TimeSpan.Zero, cancellationToken);
    }

    private async Task GiveWayAsync(CaseSession session, OffboardingCase successor, CancellationToken cancellationToken)
    {
        if (await cases.FindAsync(successor.CaseId, cancellationToken) is { } stored)
        {
            await runs.ScheduleAsync(stored, time.GetUtcNow(), "an earlier case gave back", c => c, cancellationToken);
        }

        await session.ChangeAsync(
            c => c with
            {
                State = CaseState.Cancelled, NextAttemptAt = null, Undo = c.Undo! with { CompletedAt = time.GetUtcNow() },
                Notes = [$"Giving back stopped: the person leaves again by the case {successor.CaseId}."],
            },
            cancellationToken);
    }

    /// <summary>Returns how long to wait before going on; <see langword="null"/>: nothing is left to do.</summary>
    private async Task<TimeSpan?> RunLaneAsync(CaseSession session, CaseAccount account, CancellationToken cancellationToken)
    {
        TimeSpan? wait = null;
        foreach (var step in StepsOf(session, account).Where(s => !s.IsSettled))
        {
            if (!session.Case.IsRestoring || session.Case.State != CaseState.Running)
            {
                return null; // An operator ended it.
            }

            var started = time.GetUtcNow();
            await ChangeAsync(session, step, s => s with { Attempts = s.Attempts + 1, StartedAt = s.StartedAt ?? started }, cancellationToken);
            using var limit = new CancellationTokenSource(step.RulesOrUsual.Timeout, time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
            Restored restored;
            try
            {
                restored = access.Find(step.Id) is { } taken
                    ? await GiveBackAsync(session, account, step, taken, either.Token)
                    : await LetInAsync(session, account, step, either.Token);
            }
            catch (OperationCanceledException) when (limit.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
            {
                restored = new(new(StepOutcome.RetryLater, "It took longer than the plan gives it."), null);
            }

            var result = restored.Result;
            var contradictions = step.Contradictions + (restored.ReadBack == ReadBack.Contradicted ? 1 : 0);
            var hopeless = result.Outcome == StepOutcome.RetryLater
                && (contradictions >= MaximumContradictions || (!StepCatalogue.Freezes(step.Id) && step.Attempts + 1 >= MaximumAttempts));
            var ended = time.GetUtcNow();
            metrics.StepEnded("undo." + step.Id, hopeless ? StepOutcome.Failed : result.Outcome);
            await ChangeAsync(
                session, step, s => s with
                {
                    Outcome = hopeless ? StepOutcome.Failed : result.Outcome, EndedAt = ended, Detail = result.Detail, RequestId = result.RequestId ?? s.RequestId,
                    ReadBack = restored.ReadBack, Contradictions = contradictions, Changes = restored.Changes ?? s.Changes,
                },
                cancellationToken);
            if (result.Outcome == StepOutcome.RetryLater && !hopeless)
            {
                wait = result.RetryAfter > (wait ?? TimeSpan.Zero) ? result.RetryAfter : wait ?? TimeSpan.Zero;
            }
        }

        return wait;
    }

    /// <summary>Gives back what an access step took, and lists what the person holds again.</summary>
    private static async Task<Restored> GiveBackAsync(CaseSession session, CaseAccount account, CaseStep step, IAccessStep access, CancellationToken cancellationToken)
    {
        var rules = step.RulesOrUsual;
        var taken = step.Changes ?? [];
        if (taken.Count == 0)
        {
            return new(new(StepOutcome.Skipped, "The case had taken nothing away."), null);
        }

        var note = StepCatalogue.Find(step.Id)?.UndoNote ?? "Give it back by hand.";
        var before = await access.ListAsync(account, rules, cancellationToken);
        if (!before.Result.IsOk)
        {
            return new(StepResult.Of(before.Result, ""), ReadBack.Unavailable);
        }

        var results = new Dictionary<string, StepResult>(StringComparer.Ordinal);
        StepResult? waiting = null;
        foreach (var change in taken.Where(change => change.State != ChangeState.GivenBack && !Holds(before, change)))
        {
            if (!session.Case.IsRestoring)
            {
                break;
            }

            if (access.GiveBackAsync(account, change, rules, cancellationToken) is not { } giving)
            {
                return new(
                    new(StepOutcome.NeedsHuman, note), null, [.. taken.Select(c => c with { State = ChangeState.NotGivenBack, Note = note })]);
            }

            var result = results[change.Id] = await giving;
            if (result.Outcome == StepOutcome.RetryLater)
            {
                waiting = result;
                break;
            }
        }

        var after = await access.ListAsync(account, rules, cancellationToken);
        if (!after.Result.IsOk)
        {
            return new(StepResult.Of(after.Result, ""), ReadBack.Unavailable);
        }

        var changes = taken.Select(change => Holds(after, change)
            ? change with { State = ChangeState.GivenBack, Note = null }
            : change with { State = ChangeState.NotGivenBack, Note = results.GetValueOrDefault(change.Id)?.Detail ?? "It was accepted, but the person does not hold it." }).ToList();
        var back = changes.Count(change => change.State == ChangeState.GivenBack);
        if (back == changes.Count)
        {
            return new(new(results.Count == 0 ? StepOutcome.AlreadyDone : StepOutcome.Done, $"{back} given back.") { RequestId = after.Result.RequestId }, ReadBack.Confirmed, changes);
        }

        var detail = $"{back} of {changes.Count} given back; {changes.First(change => change.State == ChangeState.NotGivenBack).Note}";
        var refused = results.Values.Any(result => result.Outcome is StepOutcome.Failed or StepOutcome.NeedsHuman);
        return new(
            new(refused && waiting is null ? StepOutcome.Failed : StepOutcome.RetryLater, detail) { RetryAfter = waiting?.RetryAfter, RequestId = after.Result.RequestId },
            waiting is null ? ReadBack.Contradicted : ReadBack.Unavailable, changes);

        static bool Holds(AccessList list, StepChange change) => list.Held.Any(h => h.Id == change.Id);
    }

    /// <summary>Undoes a step that ended access.</summary>
    private async Task<Restored> LetInAsync(CaseSession session, CaseAccount account, CaseStep step, CancellationToken cancellationToken)
    {
        var definition = StepCatalogue.Find(step.Id);
        if (step.Id == "dingtalk.remove")
        {
            var removal = session.Case.Steps.First(s => s.IsSame(step));
            return removal.Outcome == StepOutcome.Done
                ? new(new(StepOutcome.NeedsHuman, definition!.UndoNote!), null)
                : new(new(StepOutcome.Skipped, "The case had not removed the person."), null);
        }

        if (definition?.Undo is null)
        {
            return new(new(StepOutcome.Skipped, definition?.UndoNote ?? "There is nothing to give back."), null);
        }

        if (session.AccountNow(account).WasEnabled == false)
        {
            return new(new(StepOutcome.Skipped, "The account was disabled before this case: it stays so."), null);
        }

        var driver = _drivers[account.Target];
        var before = await driver.ReadAsync(account, cancellationToken);
        if (before.Missing)
        {
            return new(new(StepOutcome.NeedsHuman, "The account is no longer there: restore it by hand, if that is still possible.") { RequestId = before.Result.RequestId }, ReadBack.Contradicted);
        }

        if (before.Enabled == true)
        {
            return new(
                new(step.Attempts > 0 ? StepOutcome.Done : StepOutcome.AlreadyDone, "The account can sign in.") { RequestId = before.Result.RequestId }, ReadBack.Confirmed);
        }

        var result = await driver.EnableAsync(account, cancellationToken);
        if (result.Outcome != StepOutcome.Done)
        {
            return new(result, null);
        }

        var after = await driver.ReadAsync(account, cancellationToken);
        return after.Enabled switch
        {
            true => new(result, ReadBack.Confirmed),
            false => new(result with { Outcome = StepOutcome.RetryLater, Detail = "It was accepted, but the account still cannot sign in." }, ReadBack.Contradicted),
            null => new(result with { Outcome = StepOutcome.RetryLater, Detail = $"The account could not be read back: {RemoteText.Of(after.Result)}." }, ReadBack.Unavailable),
        };
    }

    private async Task ConcludeAsync(CaseSession session, TimeSpan wait, CancellationToken cancellationToken)
    {
        if (!session.Case.IsRestoring || session.Case.State != CaseState.Running)
        {
            return;
        }

        var now = time.GetUtcNow();
        var failingSince = session.Case.FailingSince ?? now;
        if (session.Case.Undo!.Steps.Any(s => !s.IsSettled))
        {
            if (now - failingSince < options.GiveUpAfter)
            {
                var delay = CaseRuns.BackOff(options, session.Case.Retries);
                await runs.ScheduleAsync(
                    session.Stored, now + (wait > delay ? wait : delay), "retry",
                    c => c with { Retries = c.Retries + 1, FailingSince = failingSince, NextAttemptAt = null }, cancellationToken);
                return;
            }

            await session.ChangeAsync(
                c => c with { Undo = c.Undo! with { Steps = [.. c.Undo.Steps.Select(s => s.IsSettled ? s : s with { Outcome = StepOutcome.Failed })] } }, cancellationToken);
        }

        await session.ChangeAsync(c => Concluded(c, now), cancellationToken);
        Log.Restored(logger, session.Case.CaseId, session.Case.State, session.Case.Undo!.NotRestored.Count);
        metrics.CaseConcluded(session.Case);
        if (session.Case.State == CaseState.NeedsHuman)
        {
            await alerts.NeedsHumanAsync(session.Case, cancellationToken);
        }
    }

    /// <summary>Reactivated when the person can sign in wherever the case had ended that; the rest that could not be given back is listed.</summary>
    private static OffboardingCase Concluded(OffboardingCase c, DateTimeOffset now)
    {
        var undo = c.Undo!;
        var notRestored = undo.Steps.Where(s => s.Outcome is StepOutcome.Failed or StepOutcome.NeedsHuman)
            .Select(s => $"{s.Id}{(s.Tenant is null ? "" : $" ({s.Tenant})")}: {s.Detail}").ToList();
        var letIn = undo.Steps.Where(s => StepCatalogue.Freezes(s.Id)).All(s => s.Outcome is StepOutcome.Skipped or StepOutcome.Done or StepOutcome.AlreadyDone);
        return c with
        {
            State = letIn ? CaseState.Reactivated : CaseState.NeedsHuman,
            Undo = undo with { CompletedAt = letIn ? now : null, NotRestored = notRestored },
            NextAttemptAt = null,
            Retries = 0,
            FailingSince = null,
            Notes = notRestored,
        };
    }

    private static IReadOnlyList<CaseStep> StepsOf(CaseSession session, CaseAccount account) =>
        [.. session.Case.Undo!.Steps.Where(s => s.Target == account.Target && s.Tenant == account.Tenant)];

    private static Task ChangeAsync(CaseSession session, CaseStep step, Func<CaseStep, CaseStep> change, CancellationToken cancellationToken) => session.ChangeAsync(
        c => c with { Undo = c.Undo! with { Steps = [.. c.Undo.Steps.Select(s => s.IsSame(step) ? change(s) : s)] } }, cancellationToken);

    /// <summary>How one attempt to undo a step ended.</summary>
    private sealed record Restored(StepResult Result, ReadBack? ReadBack, IReadOnlyList<StepChange>? Changes = null);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Case {CaseId} is {State}; {Count} step(s) could not be undone.")]
        public static partial void Restored(ILogger logger, string caseId, CaseState state, int count);
    }
}
