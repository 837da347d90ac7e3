using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary>When a person leaves, by all that was said.</summary>
/// <param name="LeavesAt">From when on.</param>
/// <param name="Assumed">No sender named a date: nobody may be frozen on it.</param>
internal readonly record struct LeaveDate(DateTimeOffset LeavesAt, bool Assumed);

/// <summary>
/// The date of a case follows from its signals alone, whatever the order in which they came: of each source its last word counts (by the
/// sender's own time), and of different sources the earliest date. Pure.
/// </summary>
internal static class CaseDates
{
    /// <summary>An event with its date, for the case that hears it.</summary>
    public static CaseSignal Dated(CaseSignal signal, PersonEvent personEvent) => signal with
    {
        LeavesAt = !personEvent.Immediate && personEvent.EffectiveAt is { } effectiveAt && effectiveAt > signal.ReceivedAt ? effectiveAt : signal.ReceivedAt,
        DateAssumed = personEvent.DateAssumed,
    };

    /// <summary>The date; <see langword="null"/> where no signal says.</summary>
    public static LeaveDate? Of(IEnumerable<CaseSignal> signals)
    {
        var words = signals.Where(s => s.LeavesAt is not null)
            .GroupBy(s => s.Source, StringComparer.Ordinal)
            .Select(said => said.Aggregate((last, next) => next.SaidAt >= last.SaidAt ? next : last))
            .ToList();
        if (words.Count == 0)
        {
            return null;
        }

        // A date that somebody named counts before one that was only assumed.
        var assumed = words.TrueForAll(s => s.DateAssumed);
        return new(words.Where(s => assumed || !s.DateAssumed).Min(s => s.LeavesAt!.Value), assumed);
    }

    /// <summary>
    /// The case with the date that follows from its signals. A case on which no step was tried yet goes back to waiting when its date moves
    /// ahead, also one that is held or waits for people; a case that waits starts when its date is no longer ahead.
    /// </summary>
    public static OffboardingCase Apply(OffboardingCase c, OffboardingOptions options, DateTimeOffset now)
    {
        if (Of(c.Signals) is not { } date || c.Superseded || !(c.IsOpen || c.NeedsAttention))
        {
            return c;
        }

        if (date.LeavesAt > now)
        {
            var waits = c.State == CaseState.Scheduled;
            var stays = waits ? c.ScheduledFor == date.LeavesAt : c.MayHaveChanged;
            return stays
                ? c
                : CaseClock.Begin(c, date.LeavesAt, options) with
                {
                    State = CaseState.Scheduled,
                    ScheduledFor = date.LeavesAt,
                    NextAttemptAt = date.LeavesAt,
                    AdmittedAt = waits ? c.AdmittedAt : null,
                    Quarantine = null,
                    Consents = waits ? c.Consents : [],
                    OverdueAt = null,
                    LookUpAgain = true,
                    Notes = waits ? c.Notes : [],
                };
        }

        return c.State != CaseState.Scheduled || c.ScheduledFor <= date.LeavesAt
            ? c
            : CaseClock.Begin(c, date.LeavesAt, options) with
            {
                State = CaseState.Running,
                ScheduledFor = date.LeavesAt > c.ReceivedAt ? date.LeavesAt : null, // The clock begins there, not when HR first spoke of a later day.
                NextAttemptAt = now,
                LookUpAgain = true,
            };
    }
}
