namespace DingFlow.Offboarding.Guards;

/// <summary>Why the brake held a case.</summary>
public enum QuarantineReason
{
    /// <summary>Too many leavers within the window.</summary>
    Count,

    /// <summary>Too large a share of the source's roster within the window.</summary>
    Percent,
}

/// <summary>A case is, or was, held by the mass-leaver brake.</summary>
public sealed record CaseQuarantine
{
    /// <summary>When it was held.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>Which limit it met.</summary>
    public required QuarantineReason Reason { get; init; }

    /// <summary>So many leavers were frozen within the window before it.</summary>
    public required int Limit { get; init; }

    /// <summary>The window.</summary>
    public required TimeSpan Window { get; init; }

    /// <summary>When two people had agreed to its release; <see langword="null"/> while it is held.</summary>
    public DateTimeOffset? ReleasedAt { get; init; }
}

/// <summary>One person's consent to the release of a case.</summary>
/// <param name="At">When.</param>
/// <param name="By">The principal: the name of the API key or the object id in Entra.</param>
/// <param name="MayApprove">The principal held <c>operations.approve</c>.</param>
/// <param name="Reason">Why, in the person's words.</param>
public sealed record ReleaseConsent(DateTimeOffset At, string By, bool MayApprove, string Reason);
