using DingFlow.Messaging;

namespace DingFlow.HrSystems;

/// <summary>What an HR system's answer makes of an event.</summary>
internal enum LeaverConclusion
{
    /// <summary>There is nothing to do.</summary>
    Nothing,

    /// <summary>The person leaves.</summary>
    Terminated,

    /// <summary>The announced end was called off.</summary>
    TerminationCancelled,

    /// <summary>The person works here again.</summary>
    Rehired,

    /// <summary>The event and the answer contradict one another: the answer may lag behind, or somebody must look.</summary>
    Contradiction,
}

/// <summary>Decides what to do about a person of whom an event said one thing and the HR system's answer says more.</summary>
internal static class LeaverDecision
{
    /// <summary>The decision, when it takes effect (<see langword="null"/>: at once) and whether it must not wait.</summary>
    public static (LeaverConclusion Conclusion, DateTimeOffset? EffectiveAt, bool Immediate) Decide(
        LookupHint hint, EmployeeRecord record, bool freezeOnLeave, DateTimeOffset now)
    {
        var leavesLater = record.EndsAt is { } end && end > now ? record.EndsAt : null;
        // Somebody who was rehired may keep the last day of before: it counts only where nothing says that the person works.
        var saysEnd = record.State == EmploymentState.Unknown || hint is LookupHint.Left or LookupHint.Leaving or LookupHint.Deleted;
        var hasEnded = record.State == EmploymentState.Ended || (record.EndsAt <= now && saysEnd);
        var stays = record.State is EmploymentState.Employed or EmploymentState.OnLeave && !hasEnded && leavesLater is null;
        return hint switch
        {
            // A wish to end access at once is not weighed against the last day.
            LookupHint.AccessRevoked => (LeaverConclusion.Terminated, null, true),
            LookupHint.Left => stays ? Contradicted
                : hasEnded || leavesLater is null ? (LeaverConclusion.Terminated, null, true)
                // HR moved the day after the event was sent.
                : (LeaverConclusion.Terminated, leavesLater, false),
            LookupHint.Leaving => leavesLater is not null ? (LeaverConclusion.Terminated, leavesLater, false)
                : hasEnded ? (LeaverConclusion.Terminated, null, true)
                : Contradicted,
            LookupHint.LeaveCancelled => stays ? (LeaverConclusion.TerminationCancelled, null, false)
                : leavesLater is not null ? (LeaverConclusion.Terminated, leavesLater, false)
                : Contradicted,
            LookupHint.Returned => record.State is EmploymentState.Employed ? (LeaverConclusion.Rehired, null, false)
                : hasEnded ? (LeaverConclusion.Nothing, null, false) // Announced for later; its own event will say so.
                : Contradicted,
            LookupHint.Inactive => record.State switch
            {
                EmploymentState.Ended => (LeaverConclusion.Terminated, null, true),
                EmploymentState.OnLeave => freezeOnLeave ? (LeaverConclusion.Terminated, null, true) : (LeaverConclusion.Nothing, null, false),
                _ => Contradicted,
            },
            LookupHint.Deleted => hasEnded ? (LeaverConclusion.Terminated, null, true) : Contradicted,
            _ => hasEnded ? (LeaverConclusion.Terminated, null, true)
                : leavesLater is not null ? (LeaverConclusion.Terminated, leavesLater, false)
                : stays ? (LeaverConclusion.Rehired, null, false)
                : Contradicted,
        };
    }

    private static (LeaverConclusion, DateTimeOffset?, bool) Contradicted => (LeaverConclusion.Contradiction, null, false);
}
