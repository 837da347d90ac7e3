namespace DingFlow.Messaging;

/// <summary>What happened to a person, whoever said so and in whatever dialect.</summary>
public enum PersonEventKind
{
    /// <summary>The employment ends (HR).</summary>
    Terminated,

    /// <summary>An announced end was called off (HR).</summary>
    TerminationCancelled,

    /// <summary>The person works here again (HR).</summary>
    Rehired,

    /// <summary>The person was removed from the DingTalk organisation.</summary>
    LeftOrganisation,

    /// <summary>
    /// DingTalk's HR recorded a leave. DingTalk does not say whether it does so when the leave is confirmed or on the last day: the day has to
    /// be asked for (DingTalk).
    /// </summary>
    LeaveRecorded,

    /// <summary>A resignation was agreed in DingTalk's approvals; its last day has to be asked for (DingTalk).</summary>
    ResignationAgreed,

    /// <summary>
    /// The sender named a person and little else: the HR system must be asked first (<see cref="PersonEvent.Lookup"/>). Only what the
    /// answer makes of it reaches a case.
    /// </summary>
    Unresolved,

    /// <summary>
    /// An identity provider disabled or purged the person's account, and its source is set to take that for a leave. Nobody said that the
    /// employment ends.
    /// </summary>
    AccountDisabled,

    /// <summary>
    /// An identity provider enabled the person's account again. It takes back what the same source said, never what HR said.
    /// </summary>
    AccountEnabled,

    /// <summary>The person's sessions are to end everywhere. The accounts stay as they are, and no case is opened.</summary>
    SessionsRevoked,

    /// <summary>
    /// The person is in a DingTalk organisation whose data lie abroad: added, changed or activated. It goes to the <c>transfers</c> queue,
    /// to be counted; no case hears of it.
    /// </summary>
    SeenInOrganisation,

    /// <summary>
    /// The delivery arrived in an instance abroad, so that its people's data were exported: stands beside the events of an HR source's
    /// delivery. It goes to the <c>transfers</c> queue, where everybody in the delivery is counted; no case hears of it.
    /// </summary>
    Received,
}

/// <summary>What a sender whose webhooks carry ids only says of the person.</summary>
public enum LookupHint
{
    /// <summary>The employment changed in some way: the HR system's answer decides.</summary>
    Changed,

    /// <summary>An end of the employment was announced; it may lie ahead.</summary>
    Leaving,

    /// <summary>The employment has ended.</summary>
    Left,

    /// <summary>Access is to end at once, whatever the last day is.</summary>
    AccessRevoked,

    /// <summary>The person does not work now; the HR system's answer tells a leave of absence from an end.</summary>
    Inactive,

    /// <summary>An announced end was called off.</summary>
    LeaveCancelled,

    /// <summary>The person works here, again or for the first time.</summary>
    Returned,

    /// <summary>The HR system's record of the person was removed.</summary>
    Deleted,
}

/// <summary>A question to the HR system. It stays encrypted in the inbox like the event that it is part of.</summary>
/// <param name="PersonId">The HR system's own id of the person.</param>
/// <param name="Hint">What the sender says.</param>
public sealed record PersonLookup(string PersonId, LookupHint Hint);

/// <summary>One normalised event about one person. Identifiers are personal data: never in a log, a URL, a trace or an error.</summary>
public sealed record PersonEvent
{
    /// <summary>What happened.</summary>
    public required PersonEventKind Kind { get; init; }

    /// <summary>Who says so: <c>hr/{source}</c> or <c>dingtalk/{tenant}</c>.</summary>
    public required string Source { get; init; }

    /// <summary>The HR system's opaque id of the person; the only identifier that may be shown.</summary>
    public string? EmployeeId { get; init; }

    /// <summary>Company e-mail address.</summary>
    public string? Email { get; init; }

    /// <summary>DingTalk user id, unique within its organisation.</summary>
    public string? DingTalkUserId { get; init; }

    /// <summary>The DingTalk tenants to act in; <see langword="null"/> means all that are configured.</summary>
    public IReadOnlyList<string>? Tenants { get; init; }

    /// <summary>
    /// The mail domains that the source is confined to (<c>HrSources:{source}:EmailDomains</c>): the accounts found must have an address
    /// there. <see langword="null"/> means any.
    /// </summary>
    public IReadOnlyList<string>? EmailDomains { get; init; }

    /// <summary>When the change takes effect; <see langword="null"/> means at once.</summary>
    public DateTimeOffset? EffectiveAt { get; init; }

    /// <summary>The sender named no date and <see cref="EffectiveAt"/> is assumed: a person must confirm it before anybody is frozen on it alone.</summary>
    public bool DateAssumed { get; init; }

    /// <summary>Act at once whatever <see cref="EffectiveAt"/> says.</summary>
    public bool Immediate { get; init; }

    /// <summary>The reason that HR gave; kept with the case, never logged.</summary>
    public string? Reason { get; init; }

    /// <summary>When it happened at the sender, if it said so.</summary>
    public DateTimeOffset? OccurredAt { get; init; }

    /// <summary>What to ask the HR system, for <see cref="PersonEventKind.Unresolved"/>.</summary>
    public PersonLookup? Lookup { get; init; }

    /// <summary>Plan and remember, change nothing (<c>HrSources:{source}:DryRun</c>).</summary>
    public bool DryRun { get; init; }
}
