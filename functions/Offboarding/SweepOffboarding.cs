using DingFlow.Hosting;

namespace DingFlow.Offboarding;

/// <summary>
/// Every minute: releases cases whose date has come, tells people of clocks that ran out, and takes up again what should have been
/// taken up but was not (a process died before it had sent the message).
/// </summary>
public sealed partial class SweepOffboarding(
    CaseStore cases, CaseRuns runs, CaseAlerts alerts, TimeProvider time, ILogger<SweepOffboarding> logger) : ITimerFunction
{
    /// <summary>How late an attempt may be before its message counts as lost.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMinutes(2);

    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        await foreach (var active in cases.ActiveAsync(cancellationToken))
        {
            var current = active;
            var now = time.GetUtcNow();
            if (current.Case.State is not (CaseState.Scheduled or CaseState.Quarantined or CaseState.Verified) && current.Case.DueAt <= now && current.Case.OverdueAt is null)
            {
                await alerts.OverdueAsync(current.Case, cancellationToken);
                current = await cases.UpdateAsync(current, c => c with { OverdueAt = c.OverdueAt ?? now }, cancellationToken);
                Log.Overdue(logger, current.Case.CaseId);
            }

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
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "Case {CaseId} is not verified within its target.")]
        public static partial void Overdue(ILogger logger, string caseId);

        [LoggerMessage(2, LogLevel.Warning, "Case {CaseId} waited for a message that did not come; it is taken up again.")]
        public static partial void TakenUpAgain(ILogger logger, string caseId);
    }
}
