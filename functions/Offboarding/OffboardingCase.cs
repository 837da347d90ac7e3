using System.Text.Json.Serialization;
using DingFlow.Messaging;
using DingFlow.Offboarding.Guards;

namespace DingFlow.Offboarding;

/// <summary>Where a case stands.</summary>
public enum CaseState
{
    /// <summary>Waits for its effective date; nothing was changed.</summary>
    Scheduled,

    /// <summary>Held back by the mass-leaver brake until people release it.</summary>
    Quarantined,

    /// <summary>Being worked on, or waiting to be tried again.</summary>
    Running,

    /// <summary>Every account was read back after the change and is frozen or provably gone.</summary>
    Verified,

    /// <summary>A person must decide or do something; the case says what.</summary>
    NeedsHuman,

    /// <summary>It was tried and did not work, or the fault is ours (a missing permission).</summary>
    Failed,

    /// <summary>Called off before anything was changed, a rehearsal without changes, or merged into another case of the same person.</summary>
    Cancelled,

    /// <summary>The accounts were given back.</summary>
    Reactivated,
}

/// <summary>How a step ended.</summary>
public enum StepOutcome
{
    /// <summary>The change was made by this case.</summary>
    Done,

    /// <summary>It was so before, or the account is provably gone.</summary>
    AlreadyDone,

    /// <summary>Not done on purpose.</summary>
    Skipped,

    /// <summary>Did not work this time; will be tried again.</summary>
    RetryLater,

    /// <summary>Only a person can do or decide it.</summary>
    NeedsHuman,

    /// <summary>Did not work and will not by itself.</summary>
    Failed,
}

/// <summary>What reading the account after the step showed.</summary>
public enum ReadBack
{
    /// <summary>The account was read after the step and is as the step wants it.</summary>
    Confirmed,

    /// <summary>The account was read after the step and is not as the step wants it, whatever the remote answered to the step.</summary>
    Contradicted,

    /// <summary>The account could not be read.</summary>
    Unavailable,
}

/// <summary>Whether a case changes anything.</summary>
public enum CaseMode
{
    /// <summary>Accounts are frozen.</summary>
    Live,

    /// <summary>Everything is looked up and planned, nothing is changed.</summary>
    DryRun,
}

/// <summary>A system in which accounts are frozen.</summary>
public enum FreezeTarget
{
    /// <summary>A DingTalk organisation.</summary>
    [JsonStringEnumMemberName("dingtalk")]
    DingTalk,

    /// <summary>Microsoft Entra ID.</summary>
    Entra,
}

/// <summary>What the look-up of a person in one system found.</summary>
public enum AccountStatus
{
    /// <summary>One account.</summary>
    Found,

    /// <summary>Provably gone: the system's leave record, deleted items, its own event, or our map of who was there.</summary>
    Gone,

    /// <summary>Nobody, and no evidence that there ever was somebody.</summary>
    NotFound,

    /// <summary>The identifiers lead to different people, or contradict the account that they lead to.</summary>
    Ambiguous,

    /// <summary>The system refused us; a fault of ours.</summary>
    Denied,

    /// <summary>The system could not be asked; will be asked again.</summary>
    Unknown,

    /// <summary>On the list of accounts that are never frozen by a machine.</summary>
    Protected,
}

/// <summary>One step of a case, as the API shows it.</summary>
public sealed record CaseStep
{
    /// <summary>Which step, such as <c>dingtalk.disable</c>.</summary>
    public required string Id { get; init; }

    /// <summary>The system.</summary>
    public required FreezeTarget Target { get; init; }

    /// <summary>The DingTalk tenant; <see langword="null"/> for Entra.</summary>
    public string? Tenant { get; init; }

    /// <summary>How it ended last; <see langword="null"/> while it has not.</summary>
    public StepOutcome? Outcome { get; init; }

    /// <summary>How often it was tried.</summary>
    public int Attempts { get; init; }

    /// <summary>How often the remote accepted it without effect.</summary>
    public int Contradictions { get; init; }

    /// <summary>When it was first tried. Written before the remote is called, so that a process that died in between is known to have tried.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    /// <summary>When it last ended.</summary>
    public DateTimeOffset? EndedAt { get; init; }

    /// <summary>What happened, for people; no personal data.</summary>
    public string? Detail { get; init; }

    /// <summary>What reading back showed.</summary>
    public ReadBack? ReadBack { get; init; }

    /// <summary>The remote's request id of the last attempt.</summary>
    public string? RequestId { get; init; }

    /// <summary>How the plan wants it done; <see langword="null"/> in cases from before there were plans.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public StepRules? Rules { get; init; }

    /// <summary>What it concerns, one by one, and what became of each: reactivation restores from it.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<StepChange>? Changes { get; init; }

    /// <summary>It was tried before its attempts were counted anew, because the case was opened or taken up again.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool TriedBefore { get; init; }

    /// <summary>This case has changed something by it, or may have.</summary>
    [JsonIgnore]
    public bool MayHaveChanged => TriedBefore || Attempts > 0;

    /// <summary>How it is to be done.</summary>
    [JsonIgnore]
    public StepRules RulesOrUsual => Rules ?? StepRules.Usual;

    /// <summary>It was not tried because an earlier one, after which nothing may go on, had failed.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? BlockedBy { get; init; }

    /// <summary>The step needs no further work.</summary>
    [JsonIgnore]
    public bool IsSettled => Outcome is not (null or StepOutcome.RetryLater);

    /// <summary>The step's aim is reached and was read back.</summary>
    [JsonIgnore]
    public bool IsProved => Outcome is StepOutcome.Done or StepOutcome.AlreadyDone && ReadBack == Offboarding.ReadBack.Confirmed;
}

/// <summary>The person's account in one system and how it was before the case touched it.</summary>
public sealed record CaseAccount
{
    /// <summary>The system.</summary>
    public required FreezeTarget Target { get; init; }

    /// <summary>The DingTalk tenant; <see langword="null"/> for Entra.</summary>
    public string? Tenant { get; init; }

    /// <summary>What the look-up found.</summary>
    public required AccountStatus Status { get; init; }

    /// <summary>User id in DingTalk, object id in Entra.</summary>
    public string? AccountId { get; init; }

    /// <summary>A DingTalk enterprise account, owned by the organisation: the only kind that can be disabled.</summary>
    public bool IsEnterprise { get; init; }

    /// <summary>Synchronised from an on-premises directory, which may enable the account again.</summary>
    public bool IsSynced { get; init; }

    /// <summary>Held administrator rights when it was looked up.</summary>
    public bool IsAdmin { get; init; }

    /// <summary>The DingTalk departments that the person is in; <see langword="null"/> when they are not known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<long>? DepartmentIds { get; init; }

    /// <summary>Could sign in before the first step; <see langword="null"/> until read.</summary>
    public bool? WasEnabled { get; init; }

    /// <summary>What the look-up rests on, for people; no personal data.</summary>
    public string? Detail { get; init; }

    /// <summary>When it was looked up.</summary>
    public DateTimeOffset? LookedUpAt { get; init; }

    /// <summary>The system asked us not to call again before this.</summary>
    public DateTimeOffset? NotBefore { get; init; }
}

/// <summary>An event that this case heard, for the evidence.</summary>
public sealed record CaseSignal
{
    /// <summary>The delivery it came in.</summary>
    public required string DeliveryId { get; init; }

    /// <summary>Its place in the delivery.</summary>
    public int Item { get; init; }

    /// <summary>Who said so.</summary>
    public required string Source { get; init; }

    /// <summary>What happened.</summary>
    public required PersonEventKind Kind { get; init; }

    /// <summary>When the delivery was accepted.</summary>
    public required DateTimeOffset ReceivedAt { get; init; }

    /// <summary>When it happened at the sender.</summary>
    public DateTimeOffset? OccurredAt { get; init; }

    /// <summary>Which of the source's keys verified the delivery.</summary>
    public int VerifiedBy { get; init; }

    /// <summary>SHA-256 of the delivery's body, lower-case hex.</summary>
    public string? BodyHash { get; init; }

    /// <summary>From when on the person leaves by this word: the effective date, or the receipt for a leave at once. <see langword="null"/> where it says nothing of a leave.</summary>
    public DateTimeOffset? LeavesAt { get; init; }

    /// <summary>
    /// When it was said, for the order of words: the sender's own time, unless that lies ahead of the receipt. Some senders put the
    /// effective date there, and a clock may be wrong: nobody speaks from the future.
    /// </summary>
    [JsonIgnore]
    public DateTimeOffset SaidAt => SaidAtBy(OccurredAt, ReceivedAt);

    /// <summary>By how much a sender's clock may be ahead of ours.</summary>
    public static TimeSpan ClockSkew { get; } = TimeSpan.FromMinutes(5);

    /// <inheritdoc cref="SaidAt"/>
    public static DateTimeOffset SaidAtBy(DateTimeOffset? occurredAt, DateTimeOffset receivedAt) => occurredAt <= receivedAt + ClockSkew ? occurredAt.Value : receivedAt;

    /// <summary>The sender named no date; <see cref="LeavesAt"/> is assumed, and nobody is frozen on it alone.</summary>
    public bool DateAssumed { get; init; }
}

/// <summary>The identifiers under which a person was named. Personal data.</summary>
public sealed record PersonIdentifiers
{
    /// <summary>The HR system's id.</summary>
    public string? EmployeeId { get; init; }

    /// <summary>Company e-mail address.</summary>
    public string? Email { get; init; }

    /// <summary>DingTalk user id.</summary>
    public string? DingTalkUserId { get; init; }

    /// <summary>The tenant of <see cref="DingTalkUserId"/> when the event came from DingTalk; otherwise any of the case's tenants.</summary>
    public string? DingTalkTenant { get; init; }

    /// <summary>DingTalk itself said that this user left the organisation.</summary>
    public bool LeftDingTalk { get; init; }
}

/// <summary>What an operator did to a case.</summary>
/// <param name="At">When.</param>
/// <param name="By">The principal: the name of the API key or the object id in Entra.</param>
/// <param name="What">Which action, such as <c>retry</c>.</param>
/// <param name="Reason">Why, in the operator's words.</param>
public sealed record CaseAction(DateTimeOffset At, string By, string What, string Reason);

/// <summary>One leaver's case.</summary>
public sealed record OffboardingCase
{
    /// <summary>Opaque id, sortable by time.</summary>
    public required string CaseId { get; init; }

    /// <summary>The HR system's id of the person; for a case that DingTalk opened, the job number if it is known.</summary>
    public string? EmployeeId { get; init; }

    /// <summary>Where it stands.</summary>
    public required CaseState State { get; init; }

    /// <summary>Whether it changes anything.</summary>
    public CaseMode Mode { get; init; }

    /// <summary>When the first delivery was accepted: the clock's start, unless it waits for a date.</summary>
    public required DateTimeOffset ReceivedAt { get; init; }

    /// <summary>Not to start before this.</summary>
    public DateTimeOffset? ScheduledFor { get; init; }

    /// <summary>When it should be verified at the latest.</summary>
    public required DateTimeOffset DueAt { get; init; }

    /// <summary>When work began.</summary>
    public DateTimeOffset? StartedAt { get; init; }

    /// <summary>When everything was read back as frozen.</summary>
    public DateTimeOffset? VerifiedAt { get; init; }

    /// <summary>From receipt (or the effective date, if later) to verified.</summary>
    public double? SecondsToVerified { get; init; }

    /// <summary>When the accounts were read once more after the verification, and still were frozen.</summary>
    public DateTimeOffset? RecheckedAt { get; init; }

    /// <summary>The clock ran out before the case was verified, and people were told at this time.</summary>
    public DateTimeOffset? OverdueAt { get; init; }

    /// <summary>The clock had run out already before an account was found alive and the clock began anew: when that was known.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public DateTimeOffset? EarlierBreachAt { get; init; }

    /// <summary>When it will be tried again.</summary>
    public DateTimeOffset? NextAttemptAt { get; init; }

    /// <summary>What a person must do or know, in plain words; no personal data.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>The case that this one became part of.</summary>
    public string? MergedInto { get; init; }

    /// <summary>The plan by which it goes; <see langword="null"/> until the person was looked up.</summary>
    public CasePlan? Plan { get; init; }

    /// <summary>What is given back after the freeze; <see langword="null"/> when nothing is. While it goes on the case is running.</summary>
    public CaseUndo? Undo { get; init; }

    /// <summary>The accounts found.</summary>
    public IReadOnlyList<CaseAccount> Accounts { get; init; } = [];

    /// <summary>The steps, in order.</summary>
    public IReadOnlyList<CaseStep> Steps { get; init; } = [];

    /// <summary>The events that this case heard.</summary>
    public IReadOnlyList<CaseSignal> Signals { get; init; } = [];

    /// <summary>How many more words it heard that said nothing new and were not kept.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public int WordsLeftOut { get; init; }

    /// <summary>What operators did.</summary>
    public IReadOnlyList<CaseAction> Actions { get; init; } = [];

    /// <summary>Under which identifiers the person was named.</summary>
    public IReadOnlyList<PersonIdentifiers> Identifiers { get; init; } = [];

    /// <summary>When the mass-leaver brake let it pass, or two people did. From then on it does not count again.</summary>
    public DateTimeOffset? AdmittedAt { get; init; }

    /// <summary>The brake holds it, or held it.</summary>
    public CaseQuarantine? Quarantine { get; init; }

    /// <summary>Who agreed to its release.</summary>
    public IReadOnlyList<ReleaseConsent> Consents { get; init; } = [];

    /// <summary>
    /// DingTalk accounts that an earlier case of the person found: where nobody is found under the person's number and address any more, they
    /// lead to the proof that the account is gone.
    /// </summary>
    public IReadOnlyList<PersonIdentifiers> FormerAccounts { get; init; } = [];

    /// <summary>Cases of the same person, called off after their freeze, that need nobody as long as the person leaves by this one.</summary>
    public IReadOnlyList<string> EarlierCases { get; init; } = [];

    /// <summary>
    /// Earlier cases of the same person that were too old to be joined, and whose freeze stood when this one took the person over: by the
    /// person's identifiers only this one is found any more, and when it is called off, so are they.
    /// </summary>
    public IReadOnlyList<string> StandingCases { get; init; } = [];

    /// <summary>The younger case by which the person has left again: until it is called off nothing of this one is to be given back.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? LeavesAgainBy { get; init; }

    /// <summary>The tenants to act in; <see langword="null"/> means all that are configured.</summary>
    public IReadOnlyList<string>? Tenants { get; init; }

    /// <summary>The mail domains in which the accounts must have an address; <see langword="null"/> means any.</summary>
    public IReadOnlyList<string>? EmailDomains { get; init; }

    /// <summary>The reason that HR gave.</summary>
    public string? Reason { get; init; }

    /// <summary>The person came back after this case; a new termination opens a new one.</summary>
    public bool Superseded { get; init; }

    /// <summary>Accounts must be looked up (again) before the next step.</summary>
    public bool LookUpAgain { get; init; } = true;

    /// <summary>Counts the run messages that were sent, for their identity.</summary>
    public int Runs { get; init; }

    /// <summary>Counts failed rounds since the last progress, for the back-off.</summary>
    public int Retries { get; init; }

    /// <summary>Since when rounds have failed in a row.</summary>
    public DateTimeOffset? FailingSince { get; init; }

    /// <summary>The case has changed an account, or may have; it stays so, also when the case is opened again and its attempts begin anew.</summary>
    [JsonIgnore]
    public bool MayHaveChanged => Steps.Any(static s => s.MayHaveChanged);

    /// <summary>Accounts are being frozen, and not given back.</summary>
    [JsonIgnore]
    public bool IsFreezing => State == CaseState.Running && Undo is null;

    /// <summary>Accounts are to be given back and not all of it is done, whether it is under way or waits for people.</summary>
    [JsonIgnore]
    public bool IsRestoring => Undo is { CompletedAt: null };

    /// <summary>Work may still change it.</summary>
    [JsonIgnore]
    public bool IsOpen => State is CaseState.Scheduled or CaseState.Quarantined or CaseState.Running;

    /// <summary>Verified, and to be read back once more.</summary>
    [JsonIgnore]
    public bool AwaitsRecheck => State == CaseState.Verified && RecheckedAt is null && !Superseded;

    /// <summary>It was, or is, not verified within its target; also when that was before an account was found alive again.</summary>
    [JsonIgnore]
    public bool IsBreached => OverdueAt is not null || EarlierBreachAt is not null || VerifiedAt > DueAt;

    /// <summary>It waits for people.</summary>
    [JsonIgnore]
    public bool NeedsAttention => State is CaseState.NeedsHuman or CaseState.Failed;
}
