using DingFlow.Hosting;

namespace DingFlow.Offboarding;

/// <summary>
/// Every minute: releases cases whose date has come, tells people of clocks that ran out, ends the waiting of cases whose person has left
/// again by a younger one, and takes up again what should have been taken up but was not (a process died before it had sent the message).
/// </summary>
public sealed partial class SweepOffboarding(
    CaseStore cases, CaseRuns runs, CaseAlerts alerts, CaseSuccession succession, TimeProvider time, ILogger<SweepOffboarding> logger) : ITimerFunction
{
    /// <summary>How late an attempt may be before its message counts as lost.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(2);

    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        var held = new List<StoredCase>();
        await foreach (var active in cases.ActiveAsync(cancellationToken))
        {
            var current = active;
            var now = time.GetUtcNow();
            if (HasBreached(current.Case, now))
            {
                if (current.Case.State == CaseState.Quarantined)
                {
                    held.Add(current);
                    continue;
                }

                await alerts.OverdueAsync(current.Case, cancellationToken);
                current = await MarkAsync(current, now, cancellationToken);
            }

            await succession.SettleAsync(current, cancellationToken);
            if (current.Case is { State: CaseState.Scheduled, ScheduledFor: { } start } && start <= now + CaseEvents.ScheduleAhead)
            {
                await runs.SendAsync(current.Case, start, "date reached", cancellationToken);
            }

            var lateSince = current.Case.NextAttemptAt ?? current.Case.StartedAt ?? current.Case.ReceivedAt;
            if ((current.Case.State is CaseState.Running or CaseState.Scheduled || current.Case.AwaitsRecheck) && lateSince + Grace <= now)
            {
                Log.TakenUpAgain(logger, current.Case.CaseId);
                await runs.ScheduleAsync(current, now, "taken up again", c => c with { NextAttemptAt = null }, cancellationToken);
            }
        }

        if (held.Count > 0)
        {
            // The brake may hold thousands: people are told of them together, and each case says so.
            await alerts.HeldOverdueAsync(held.Min(h => h.Case.Quarantine!.Since), held.Count, cancellationToken);
            foreach (var current in held)
            {
                await MarkAsync(current, time.GetUtcNow(), cancellationToken);
            }
        }
    }

    /// <summary>The clock ran out and nobody was told yet: also of a case that was verified too late between two sweeps.</summary>
    private static bool HasBreached(OffboardingCase c, DateTimeOffset now) =>
        c is { OverdueAt: null, Superseded: false } && c.State != CaseState.Scheduled
        && (c.VerifiedAt is { } verifiedAt ? verifiedAt > c.DueAt : c.DueAt <= now);

    private async Task<StoredCase> MarkAsync(StoredCase current, DateTimeOffset now, CancellationToken cancellationToken)
    {
        Log.Overdue(logger, current.Case.CaseId);
        return await cases.UpdateAsync(current, c => HasBreached(c, now) ? c with { OverdueAt = now } : c, cancellationToken);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "Case {CaseId} is not verified within its target.")]
        public static partial void Overdue(ILogger logger, string caseId);

        [LoggerMessage(2, LogLevel.Warning, "Case {CaseId} waited for a message that did not come; it is taken up again.")]
        public static partial void TakenUpAgain(ILogger logger, string caseId);
    }
}
