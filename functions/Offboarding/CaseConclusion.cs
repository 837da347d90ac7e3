namespace DingFlow.Offboarding;

/// <summary>What follows from the steps of a case. Pure: no clock, no remote.</summary>
internal static class CaseConclusion
{
    private const string TokensMayLive = "Access tokens that were issued before the freeze may be accepted until they expire, usually within an hour or so.";
    private const string Synced = "The Entra user is synchronised from an on-premises directory: disable it there too, or the next synchronisation enables it again.";

    /// <summary>A case whose steps are all settled: verified only when every step reached its aim and was read back.</summary>
    public static OffboardingCase Conclude(OffboardingCase c, OffboardingOptions options, DateTimeOffset now)
    {
        var settled = c with { NextAttemptAt = null, FailingSince = null, Retries = 0 };
        var critical = c.Steps.Where(s => s.RulesOrUsual.Critical).ToList();
        if (critical.Exists(s => s.Outcome == StepOutcome.Failed || s.BlockedBy is not null))
        {
            return settled with { State = CaseState.Failed, Notes = NotesOf(c, StepOutcome.Failed, StepOutcome.NeedsHuman) };
        }

        if (critical.Exists(s => s.Outcome == StepOutcome.NeedsHuman) || !c.Accounts.Any(a => a.Status is AccountStatus.Found or AccountStatus.Gone))
        {
            return settled with { State = CaseState.NeedsHuman, Notes = NotesOf(c, StepOutcome.Failed, StepOutcome.NeedsHuman) };
        }

        if (!critical.TrueForAll(s => s.Outcome == StepOutcome.Skipped || s.IsProved))
        {
            return settled with { State = CaseState.Failed, Notes = ["A step has no proof."] };
        }

        var from = c.ScheduledFor > c.ReceivedAt ? c.ScheduledFor.Value : c.ReceivedAt;
        return settled with
        {
            State = CaseState.Verified,
            VerifiedAt = now,
            RecheckedAt = null,
            NextAttemptAt = now + options.RecheckAfter,
            SecondsToVerified = c.SecondsToVerified ?? Math.Round((now - from).TotalSeconds, 3),
            Notes =
            [
                .. c.Accounts.Any(a => a is { Target: FreezeTarget.Entra, Status: AccountStatus.Found }) ? [TokensMayLive] : Array.Empty<string>(),
                .. c.Accounts.Any(a => a.IsSynced) ? [Synced] : Array.Empty<string>(),
                .. c.Steps.Where(s => s.Outcome is StepOutcome.Failed or StepOutcome.NeedsHuman || s.BlockedBy is not null).Select(s => $"Not done, and not critical by the plan: {Note(s)}"),
                .. c.Steps.SelectMany(s => (s.Changes ?? []).Where(change => change.State == ChangeState.Kept).GroupBy(change => change.Note).Select(group =>
                    $"{s.Id}: {group.Count()} left as they are, because {group.Key}.")),
            ],
        };
    }

    /// <summary>A case that waited for people goes on: everything is looked up anew and what failed is tried again.</summary>
    public static OffboardingCase TakenUp(OffboardingCase c) => c.Undo is { } undo ? c with
    {
        State = CaseState.Running,
        Notes = [],
        FailingSince = null,
        Retries = 0,
        Undo = undo with
        {
            NotRestored = [],
            Steps = [.. undo.Steps.Select(s => s.Outcome is StepOutcome.Failed or StepOutcome.NeedsHuman ? s with { Outcome = null, ReadBack = null, Contradictions = 0, Attempts = 0 } : s)],
        },
    }
    : c with
    {
        State = CaseState.Running,
        Notes = [],
        LookUpAgain = true,
        FailingSince = null,
        Retries = 0,
        Steps =
        [
            .. c.Steps.Select(s => s.Outcome is StepOutcome.Failed or StepOutcome.NeedsHuman || s.BlockedBy is not null
                ? s with { Outcome = null, ReadBack = null, Contradictions = 0, BlockedBy = null, Attempts = s.RulesOrUsual.MaxAttempts is null ? s.Attempts : 0, TriedBefore = s.MayHaveChanged }
                : s),
        ],
    };

    /// <summary>A verified case with accounts that can sign in again: their steps are to be done anew, and the clock begins anew. A breach before that stays on the case.</summary>
    public static OffboardingCase Reopen(OffboardingCase c, IReadOnlyList<CaseAccount> alive, DateTimeOffset now, OffboardingOptions options) =>
        c.State != CaseState.Verified || c.Superseded ? c : CaseClock.Begin(c, now, options) with
        {
            State = CaseState.Running,
            VerifiedAt = null,
            OverdueAt = null,
            EarlierBreachAt = c.EarlierBreachAt ?? c.OverdueAt ?? (c.IsBreached ? c.DueAt : null),
            Steps =
            [
                .. c.Steps.Select(s => alive.Any(a => a.Target == s.Target && a.Tenant == s.Tenant)
                    ? s with
                    {
                        Outcome = null, ReadBack = null, Attempts = 0, TriedBefore = s.MayHaveChanged, Contradictions = 0, BlockedBy = null, StartedAt = null, EndedAt = null,
                        Detail = "Found enabled again.",
                    }
                    : s),
            ],
        };

    /// <summary>An account as a look-up found it, with what was known of it before; one that could not be asked now stays as it was.</summary>
    public static CaseAccount Kept(OffboardingCase c, CaseAccount account)
    {
        if (c.Accounts.FirstOrDefault(a => a.IsSame(account)) is not { } before)
        {
            return account;
        }

        var isChanged = c.Steps.Any(s => s.MayHaveChanged && IsOf(s, before));
        if (before.Status == AccountStatus.Found && account.Status == AccountStatus.Unknown && (isChanged || account.AccountId is null))
        {
            return before;
        }

        // Which account the case changed stays known, whatever a later look-up says of the person.
        var same = account with { AccountId = account.AccountId ?? (isChanged ? before.AccountId : null) };
        return before.AccountId != same.AccountId ? account : same with
        {
            // Until the case changes something, how the account is now counts: a look ahead of the date may be weeks old.
            WasEnabled = !isChanged ? account.WasEnabled : before.WasEnabled ?? (account.WasEnabled == true ? true : null),
            IsEnterprise = before.IsEnterprise || account.IsEnterprise,
            NotBefore = before.NotBefore,
        };
    }

    /// <summary>
    /// The steps of the accounts as they were looked up. A step that was tried before on the same account stays with the case, also when the
    /// plan no longer has it or the account must be left alone now: what it took is still to be given back.
    /// </summary>
    public static IReadOnlyList<CaseStep> StepsOf(OffboardingCase c, IReadOnlyList<CaseAccount> kept, OffboardingPlan plan, OffboardingOptions options)
    {
        var steps = kept.SelectMany(a => a.Status == AccountStatus.Found
            ? plan.Steps.Where(s => s.Step.IsFor(a)).Select(s => Planned(c, s, a))
            : Remembered(c, a, Settled(c, a, options))).ToList();
        steps.AddRange(c.Steps.Where(s => s.MayHaveChanged && kept.Any(a => IsOf(s, a) && IsKnown(c, a)) && !steps.Exists(s.IsSame))
            .Select(static s => s.IsSettled ? s : s with { Outcome = StepOutcome.Skipped, Detail = "The plan no longer has this step." }));
        return steps;
    }

    /// <summary>What was tried before the account had to be left alone is remembered under the step that stands for it now.</summary>
    private static IEnumerable<CaseStep> Remembered(OffboardingCase c, CaseAccount account, IEnumerable<CaseStep> settled) => settled.Select(step =>
        IsKnown(c, account) && c.Steps.FirstOrDefault(s => s.IsSame(step) && s.MayHaveChanged) is { } tried
            ? tried with { Outcome = step.Outcome, ReadBack = step.ReadBack, EndedAt = step.EndedAt, Detail = step.Detail, BlockedBy = null }
            : step);

    private static bool IsOf(CaseStep step, CaseAccount account) => step.Target == account.Target && step.Tenant == account.Tenant;

    /// <summary>A step of an account that was found; what was done before on the same account stays done.</summary>
    public static CaseStep Planned(OffboardingCase c, PlanStep step, CaseAccount account)
    {
        var planned = new CaseStep { Id = step.Step.Id, Target = account.Target, Tenant = account.Tenant, Rules = step.Rules };
        return IsKnown(c, account) ? c.Steps.FirstOrDefault(s => s.IsSame(planned)) ?? planned : planned;
    }

    /// <summary>The steps of an account that cannot be frozen, or need not be: one that stands for it, or those that it had when it was still there.</summary>
    public static IEnumerable<CaseStep> Settled(OffboardingCase c, CaseAccount account, OffboardingOptions options)
    {
        if (account.Status == AccountStatus.Gone && IsKnown(c, account))
        {
            return c.Steps.Where(s => s.Target == account.Target && s.Tenant == account.Tenant).Select(s => s.IsProved ? s
                : StepCatalogue.EndsWithAccount(s.Id) ? s with { Outcome = StepOutcome.AlreadyDone, ReadBack = ReadBack.Confirmed, EndedAt = account.LookedUpAt, Detail = account.Detail }
                : s with { Outcome = StepOutcome.NeedsHuman, ReadBack = null, EndedAt = account.LookedUpAt, Detail = StepCatalogue.LeftBehind });
        }

        var step = new CaseStep
        {
            Id = account.Target == FreezeTarget.DingTalk ? "dingtalk.disable" : "entra.disable",
            Target = account.Target,
            Tenant = account.Tenant,
            StartedAt = account.LookedUpAt,
            EndedAt = account.LookedUpAt,
            Detail = account.Detail,
        };
        return
        [
            account.Status switch
            {
                AccountStatus.Gone => step with { Outcome = StepOutcome.AlreadyDone, ReadBack = ReadBack.Confirmed },
                AccountStatus.Unknown => step with { Outcome = StepOutcome.RetryLater },
                AccountStatus.Denied => step with { Outcome = StepOutcome.Failed },
                AccountStatus.NotFound when options.MissingAccounts == MissingAccountPolicy.Accept => step with { Outcome = StepOutcome.Skipped },
                _ => step with { Outcome = StepOutcome.NeedsHuman },
            },
        ];
    }

    /// <summary>The account was found, by this case, under the same id.</summary>
    private static bool IsKnown(OffboardingCase c, CaseAccount account) =>
        c.Accounts.Any(a => a.IsSame(account) && a.AccountId == account.AccountId
            && (a.Status is AccountStatus.Found or AccountStatus.Gone || c.Steps.Any(s => s.MayHaveChanged && IsOf(s, a))))
        && c.Steps.Any(s => s.Target == account.Target && s.Tenant == account.Tenant);

    private static string Note(CaseStep step) => $"{step.Id}{(step.Tenant is null ? "" : $" ({step.Tenant})")}: {step.Detail}";

    private static List<string> NotesOf(OffboardingCase c, params ReadOnlySpan<StepOutcome> outcomes)
    {
        var notes = new List<string>();
        foreach (var step in c.Steps)
        {
            if (step.Outcome is { } outcome && outcomes.Contains(outcome))
            {
                notes.Add(Note(step));
            }
        }

        return notes.Count > 0 ? notes : ["No account of the person was found."];
    }
}
