using System.Text.Json.Serialization;
using DingFlow.Offboarding.Guards;

namespace DingFlow.Offboarding;

/// <summary>A case as the API shows it (DESIGN section 4).</summary>
public sealed record CaseView
{
    /// <inheritdoc cref="OffboardingCase.CaseId"/>
    public required string CaseId { get; init; }

    /// <inheritdoc cref="OffboardingCase.EmployeeId"/>
    public required string? EmployeeId { get; init; }

    /// <inheritdoc cref="OffboardingCase.State"/>
    public required CaseState State { get; init; }

    /// <inheritdoc cref="OffboardingCase.Mode"/>
    public required CaseMode Mode { get; init; }

    /// <inheritdoc cref="OffboardingCase.ReceivedAt"/>
    public required DateTimeOffset ReceivedAt { get; init; }

    /// <inheritdoc cref="OffboardingCase.ScheduledFor"/>
    public required DateTimeOffset? ScheduledFor { get; init; }

    /// <inheritdoc cref="OffboardingCase.DueAt"/>
    public required DateTimeOffset DueAt { get; init; }

    /// <inheritdoc cref="OffboardingCase.StartedAt"/>
    public required DateTimeOffset? StartedAt { get; init; }

    /// <inheritdoc cref="OffboardingCase.VerifiedAt"/>
    public required DateTimeOffset? VerifiedAt { get; init; }

    /// <inheritdoc cref="OffboardingCase.SecondsToVerified"/>
    public required double? SecondsToVerified { get; init; }

    /// <inheritdoc cref="OffboardingCase.RecheckedAt"/>
    public required DateTimeOffset? RecheckedAt { get; init; }

    /// <inheritdoc cref="OffboardingCase.OverdueAt"/>
    public required DateTimeOffset? OverdueAt { get; init; }

    /// <inheritdoc cref="OffboardingCase.EarlierBreachAt"/>
    public required DateTimeOffset? EarlierBreachAt { get; init; }

    /// <inheritdoc cref="OffboardingCase.NextAttemptAt"/>
    public required DateTimeOffset? NextAttemptAt { get; init; }

    /// <inheritdoc cref="OffboardingCase.MergedInto"/>
    public required string? MergedInto { get; init; }

    /// <inheritdoc cref="OffboardingCase.Plan"/>
    public required CasePlan? Plan { get; init; }

    /// <inheritdoc cref="OffboardingCase.Undo"/>
    public required CaseUndo? Undo { get; init; }

    /// <inheritdoc cref="OffboardingCase.Notes"/>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <inheritdoc cref="OffboardingCase.Accounts"/>
    public required IReadOnlyList<CaseAccount> Accounts { get; init; }

    /// <inheritdoc cref="OffboardingCase.Steps"/>
    public required IReadOnlyList<CaseStep> Steps { get; init; }

    /// <inheritdoc cref="OffboardingCase.Signals"/>
    public required IReadOnlyList<CaseSignal> Signals { get; init; }

    /// <inheritdoc cref="OffboardingCase.WordsLeftOut"/>
    public required int WordsLeftOut { get; init; }

    /// <inheritdoc cref="OffboardingCase.Actions"/>
    public required IReadOnlyList<CaseAction> Actions { get; init; }

    /// <inheritdoc cref="OffboardingCase.Quarantine"/>
    public required CaseQuarantine? Quarantine { get; init; }

    /// <inheritdoc cref="OffboardingCase.Consents"/>
    public required IReadOnlyList<ReleaseConsent> Consents { get; init; }

    /// <summary>What of a case is shown: not the e-mail address and not HR's reason.</summary>
    public static CaseView Of(OffboardingCase c) => new()
    {
        CaseId = c.CaseId,
        EmployeeId = c.EmployeeId,
        State = c.State,
        Mode = c.Mode,
        ReceivedAt = c.ReceivedAt,
        ScheduledFor = c.ScheduledFor,
        DueAt = c.DueAt,
        StartedAt = c.StartedAt,
        VerifiedAt = c.VerifiedAt,
        SecondsToVerified = c.SecondsToVerified,
        RecheckedAt = c.RecheckedAt,
        OverdueAt = c.OverdueAt,
        EarlierBreachAt = c.EarlierBreachAt,
        NextAttemptAt = c.NextAttemptAt,
        MergedInto = c.MergedInto,
        Plan = c.Plan,
        Undo = c.Undo,
        Notes = c.Notes,
        Accounts = c.Accounts,
        Steps = c.Steps,
        Signals = c.Signals,
        WordsLeftOut = c.WordsLeftOut,
        Actions = c.Actions,
        Quarantine = c.Quarantine,
        Consents = c.Consents,
    };
}

/// <summary>A page of cases; <paramref name="Next"/> goes into the query of the same name for the following page.</summary>
public sealed record CaseListView(IReadOnlyList<CaseView> Items, string? Next);

/// <summary>Answer to an action: where the case stands now.</summary>
public sealed record CaseStateView(string CaseId, CaseState State);

/// <summary>Body of a search; any one identifier. It is in the body because identifiers must not stand in addresses.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record CaseSearch
{
    /// <summary>The HR system's id.</summary>
    public string? EmployeeId { get; init; }

    /// <summary>Company e-mail address.</summary>
    public string? Email { get; init; }

    /// <summary>DingTalk user id, in any tenant.</summary>
    public string? DingTalkUserId { get; init; }
}

/// <summary>Body of an action.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record CaseActionRequest
{
    /// <summary>Why; kept with the case. 3 to 500 characters.</summary>
    public string? Reason { get; init; }
}
