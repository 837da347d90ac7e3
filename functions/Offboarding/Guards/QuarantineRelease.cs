namespace DingFlow.Offboarding.Guards;

/// <summary>What became of a consent to a release.</summary>
public enum ReleaseOutcome
{
    /// <summary>Two people have agreed: the case goes on.</summary>
    Released,

    /// <summary>A second, different principal is needed; of the two one must hold <c>operations.approve</c>.</summary>
    AwaitsSecond,

    /// <summary>The same principal had agreed before; it takes another one.</summary>
    SamePrincipal,

    /// <summary>The case is neither held nor waiting for its date.</summary>
    NotHeld,
}

/// <summary>
/// The release of cases that the brake holds, by two people: both consents are on the case, so that it does not matter which instance hears
/// which, in what order, or whether a process dies in between. A case that waits for its date may be released beforehand: it then does not
/// count for the brake when its date comes.
/// </summary>
public sealed class QuarantineRelease(CaseStore cases, CaseRuns runs, TimeProvider time)
{
    /// <summary>Notes one person's consent, and lets the case go on when it is the second.</summary>
    public async Task<(StoredCase Case, ReleaseOutcome Outcome)> ConsentAsync(
        StoredCase current, ReleaseConsent consent, CancellationToken cancellationToken)
    {
        var outcome = ReleaseOutcome.NotHeld;
        var now = time.GetUtcNow();
        var stored = await cases.UpdateAsync(
            current,
            c =>
            {
                (var changed, outcome) = Consented(c, consent, now);
                return changed;
            },
            cancellationToken);

        // Sent again when the same consent comes again: the process may have died before it had sent the message.
        if (outcome == ReleaseOutcome.Released && stored.Case.State == CaseState.Running)
        {
            stored = await runs.ScheduleAsync(stored, now, "released", c => c, cancellationToken);
        }

        return (stored, outcome);
    }

    internal static (OffboardingCase Case, ReleaseOutcome Outcome) Consented(OffboardingCase c, ReleaseConsent consent, DateTimeOffset now)
    {
        if (c.State is not (CaseState.Quarantined or CaseState.Scheduled) || c.AdmittedAt is not null)
        {
            return (c, ReleaseOutcome.NotHeld);
        }

        if (c.Consents.Any(k => k.By == consent.By))
        {
            return (c, ReleaseOutcome.SamePrincipal);
        }

        var agreed = c with
        {
            Consents = [.. c.Consents, consent], Actions = [.. c.Actions, new CaseAction(now, consent.By, "release", consent.Reason)],
        };
        if (agreed.Consents.Count < 2 || !agreed.Consents.Any(k => k.MayApprove))
        {
            return (agreed, ReleaseOutcome.AwaitsSecond);
        }

        var released = agreed with { AdmittedAt = now, Quarantine = agreed.Quarantine is { } q ? q with { ReleasedAt = now } : null };
        return (
            c.State == CaseState.Scheduled
                ? released
                : released with { State = CaseState.Running, LookUpAgain = true, NextAttemptAt = now, Notes = [] },
            ReleaseOutcome.Released);
    }
}
