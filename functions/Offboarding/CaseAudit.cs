using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Offboarding;

/// <summary>
/// What a change of a case means, for the audit trail. It is found by comparing the case before and after, where cases are stored: so no
/// transition can be made without its entry, whoever makes it.
/// </summary>
internal static class CaseAudit
{
    /// <summary>A transaction has room for so many beside the case; a change that means more is summed up.</summary>
    private const int MostEvents = 60;

    public static AuditKind Opened { get; } = new("offboarding.case_opened", AuditRetention.Legal, "A leaver was reported and a case opened.");

    public static AuditKind Heard { get; } = new("offboarding.case_heard", AuditRetention.Legal, "A case heard a further event about its person.");

    public static AuditKind Joined { get; } =
        new("offboarding.case_joined", AuditRetention.Legal, "A case became part of another one of the same person, took one over, or follows one.");

    public static AuditKind Searched { get; } = new("offboarding.person_searched", AuditRetention.Legal, "Somebody searched for the cases of a person; the identifier stands here as a pseudonym.");

    public static AuditKind CaseRead { get; } = new("offboarding.case_read", AuditRetention.Legal, "Somebody read a case, or the cases of a person.");

    public static AuditKind CasesListed { get; } = new("offboarding.cases_listed", AuditRetention.Operational, "Somebody read a page of the list of cases.");

    public static AuditKind StateChanged { get; } = new("offboarding.case_state_changed", AuditRetention.Legal, "A case went from one state to another.");

    public static AuditKind ActionTaken { get; } = new("offboarding.case_action", AuditRetention.Legal, "A person acted on a case: cancelled, retried, released, reactivated it …");

    public static AuditKind StepTried { get; } = new("offboarding.step_tried", AuditRetention.Legal, "A step is about to be tried; the remote has not been called yet.");

    public static AuditKind StepEnded { get; } = new("offboarding.step_ended", AuditRetention.Legal, "A step ended, or its account was read back.");

    /// <summary>How the names of steps begin that give back what a case took.</summary>
    private const string UndoPrefix = "undo.";

    public static AuditKind LookedUp { get; } = new("offboarding.account_looked_up", AuditRetention.Legal, "A person's account was looked up; the details say what was found.");

    public static AuditKind Rechecked { get; } = new("offboarding.case_rechecked", AuditRetention.Legal, "A verified case's accounts were read once more and still were frozen.");

    public static AuditKind Overdue { get; } = new("offboarding.case_overdue", AuditRetention.Legal, "A case was not verified in time.");

    public static AuditKind Changed { get; } = new("offboarding.case_changed", AuditRetention.Legal, "A case changed in many ways at once; the details count them.");

    /// <summary>The events that a change means; none when nothing of consequence changed.</summary>
    /// <param name="before">The case as it was stored; <see langword="null"/> for a new one.</param>
    /// <param name="after">The case as it is to be stored.</param>
    /// <param name="payload">The hash of what is to be stored.</param>
    /// <param name="pseudonyms">Names the person.</param>
    public static IReadOnlyList<AuditEvent> Of(OffboardingCase? before, OffboardingCase after, PayloadHash payload, AuditPseudonyms pseudonyms)
    {
        var events = new Events(after, payload, pseudonyms.Of("employeeId", after.EmployeeId));
        if (before is null)
        {
            events.Add(Opened, ActorOf(after.Signals), after.Reason, ("state", Words.Of(after.State)), ("mode", Words.Of(after.Mode)),
                (CaseLinks.Delivery, after.Signals.Count > 0 ? after.Signals[0].DeliveryId : null));
        }

        // Not by their number: a case that keeps only the words that decide leaves out others for a new one.
        var heard = before is null ? [.. after.Signals.Skip(1)]
            : after.Signals.Where(s => !before.Signals.Any(known => known.DeliveryId == s.DeliveryId && known.Item == s.Item)).ToList();
        foreach (var signal in heard)
        {
            events.Add(Heard, AuditActor.Source(signal.Source, signal.VerifiedBy), null, ("kind", Words.Of(signal.Kind)), (CaseLinks.Delivery, signal.DeliveryId));
        }

        var actions = after.Actions.Skip(before?.Actions.Count ?? 0).ToList();
        foreach (var action in actions)
        {
            events.Add(ActionTaken, AuditActor.Principal(action.By), action.Reason, ("action", action.What));
        }

        if (before is not null && before.State != after.State)
        {
            var actor = actions.Count > 0 ? AuditActor.Principal(actions[^1].By)
                : heard.Count > 0 ? ActorOf(heard)
                : AuditActor.System(nameof(CaseRunner));
            events.Add(
                StateChanged, actor, actions.Count > 0 ? actions[^1].Reason : after.Notes.Count > 0 ? after.Notes[0] : null,
                ("from", Words.Of(before.State)), ("to", Words.Of(after.State)));
        }

        AddLinks(events, before, after);
        AddAccounts(events, before, after);
        AddSteps(events, before, after, pseudonyms);
        if (after.RecheckedAt is not null && before?.RecheckedAt is null)
        {
            events.Add(Rechecked, AuditActor.System(nameof(CaseRunner)), null);
        }

        if (after.OverdueAt is not null && before?.OverdueAt is null)
        {
            events.Add(Overdue, AuditActor.System(nameof(SweepOffboarding)), null);
        }

        return events.All(MostEvents);
    }

    /// <summary>A merger is told in both cases, so that each leads to the other.</summary>
    private static void AddLinks(Events events, OffboardingCase? before, OffboardingCase after)
    {
        if (after.MergedInto is { } older && before?.MergedInto != older)
        {
            events.Add(Joined, AuditActor.System(nameof(CaseMerger)), null, ("relation", "mergedInto"), (CaseLinks.OtherCase, older));
            events.AddFor(older, Joined, AuditActor.System(nameof(CaseMerger)), null, ("relation", "tookOver"), (CaseLinks.OtherCase, after.CaseId));
        }

        foreach (var earlier in after.EarlierCases.Except(before?.EarlierCases ?? [], StringComparer.Ordinal))
        {
            events.Add(Joined, AuditActor.System(nameof(CaseSuccession)), null, ("relation", "follows"), (CaseLinks.OtherCase, earlier));
        }

        foreach (var standing in after.StandingCases.Except(before?.StandingCases ?? [], StringComparer.Ordinal))
        {
            events.Add(Joined, AuditActor.System(nameof(CaseEvents)), null, ("relation", "standsFor"), (CaseLinks.OtherCase, standing));
        }
    }

    private static void AddAccounts(Events events, OffboardingCase? before, OffboardingCase after)
    {
        foreach (var account in after.Accounts)
        {
            if (before?.Accounts.FirstOrDefault(known => known.IsSame(account)) is { } was && was.Status == account.Status && was.LookedUpAt == account.LookedUpAt)
            {
                continue;
            }

            events.Add(
                LookedUp, AuditActor.System(nameof(AccountLookup)), account.Detail,
                ("target", Words.Of(account.Target)), ("tenant", account.Tenant), ("status", Words.Of(account.Status)));
        }
    }

    private static void AddSteps(Events events, OffboardingCase? before, OffboardingCase after, AuditPseudonyms pseudonyms)
    {
        AddSteps(events, before?.Steps ?? [], after.Steps, "", after, pseudonyms);

        // Giving rights back is the more dangerous half.
        AddSteps(events, before?.Undo?.Steps ?? [], after.Undo?.Steps ?? [], UndoPrefix, after, pseudonyms);
    }

    private static void AddSteps(
        Events events, IReadOnlyList<CaseStep> before, IReadOnlyList<CaseStep> now, string prefix, OffboardingCase after, AuditPseudonyms pseudonyms)
    {
        foreach (var step in now)
        {
            var was = before.FirstOrDefault(known => known.IsSame(step));
            if (step.Attempts > (was?.Attempts ?? 0))
            {
                events.Add(StepTried, AuditActor.System(nameof(CaseRunner)), null, ("step", prefix + step.Id), ("tenant", step.Tenant), ("attempt", Number(step.Attempts)));
            }

            if (step.Outcome is { } outcome && (was?.Outcome != outcome || was.ReadBack != step.ReadBack || was.EndedAt != step.EndedAt))
            {
                events.Add(
                    StepEnded, AuditActor.System(nameof(CaseRunner)), step.Detail,
                    ("step", prefix + step.Id), ("tenant", step.Tenant), ("outcome", Words.Of(outcome)), ("readBack", step.ReadBack is { } readBack ? Words.Of(readBack) : null),
                    ("attempt", Number(step.Attempts)), ("remoteRequestId", step.RequestId), ("account", AccountOf(after, step, pseudonyms)));
            }
        }
    }

    /// <summary>The account as the permission log names it: so a permission that a case took away is explained.</summary>
    private static string? AccountOf(OffboardingCase @case, CaseStep step, AuditPseudonyms pseudonyms) =>
        @case.Accounts.FirstOrDefault(account => account.Target == step.Target && account.Tenant == step.Tenant)?.AccountId is not { } id ? null
        : step.Target == FreezeTarget.Entra ? $"entra:{id}"
        : PermissionEvents.AccountOf(pseudonyms, step.Tenant ?? "", id);

    private static AuditActor ActorOf(IReadOnlyList<CaseSignal> signals) =>
        signals.Count > 0 ? AuditActor.Source(signals[0].Source, signals[0].VerifiedBy) : AuditActor.System(nameof(CaseEvents));

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);

    /// <summary>Events about one case.</summary>
    private sealed class Events(OffboardingCase about, PayloadHash payload, string? subject)
    {
        private readonly List<AuditEvent> _events = [];

        public void Add(AuditKind kind, AuditActor actor, string? reason, params ReadOnlySpan<(string Name, string? Value)> details) =>
            AddFor(about.CaseId, kind, actor, reason, details);

        /// <summary>The same about another case of the person.</summary>
        public void AddFor(string caseId, AuditKind kind, AuditActor actor, string? reason, params ReadOnlySpan<(string Name, string? Value)> details)
        {
            var known = new Dictionary<string, string>(StringComparer.Ordinal);
            foreach (var (name, value) in details)
            {
                if (value is not null)
                {
                    known[name] = value;
                }
            }

            _events.Add(new()
            {
                Kind = kind, Actor = actor, Payload = payload, On = new("case", caseId), CaseId = caseId, Subject = subject, Reason = reason,
                Details = known,
            });
        }

        public List<AuditEvent> All(int most)
        {
            if (_events.Count > most)
            {
                var counts = _events.Skip(most - 1).GroupBy(static one => one.Kind.Name).Select(static kind => (kind.Key, (string?)Number(kind.Count()))).ToArray();
                _events.RemoveRange(most - 1, _events.Count - most + 1);
                Add(Changed, AuditActor.System(nameof(CaseStore)), null, counts);
            }

            return _events;
        }
    }
}
