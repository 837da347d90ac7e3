using DingFlow.Messaging;

namespace DingFlow.Offboarding.Guards;

/// <summary>What a case must pass before it changes anything: its source is not paused, its date was really named, and the brake lets it.</summary>
public sealed partial class CaseGates(
    CaseStore cases, CaseRuns runs, CaseAlerts alerts, IInboxGate sources, MassLeaverBrake brake, TimeProvider time, ILogger<CaseGates> logger)
{
    /// <summary>How often a case of a paused source looks whether the source goes on.</summary>
    private static readonly TimeSpan PauseCheck = TimeSpan.FromMinutes(1);

    /// <summary>Whether the case may be worked on now. <see langword="null"/>: not now; whatever it waits for takes it up again.</summary>
    public async Task<StoredCase?> MayStartAsync(StoredCase current, CancellationToken cancellationToken)
    {
        // A freeze that has begun is ended: half a freeze helps nobody.
        if (current.Case.MayHaveChanged)
        {
            return current;
        }

        if (await IsPausedAsync(current.Case, cancellationToken))
        {
            Log.SourcePaused(logger, current.Case.CaseId);
            await runs.ScheduleAsync(
                current, time.GetUtcNow() + PauseCheck, "source paused",
                c => c.IsOpen ? c with { NextAttemptAt = null, Notes = [PausedNote] } : c, cancellationToken);
            return null;
        }

        if (current.Case.State == CaseState.Scheduled && CaseDates.Of(current.Case.Signals) is { Assumed: true })
        {
            var asked = await cases.UpdateAsync(
                current,
                c => c.State == CaseState.Scheduled && CaseDates.Of(c.Signals) is { Assumed: true } date && date.LeavesAt <= time.GetUtcNow()
                    ? c with { State = CaseState.NeedsHuman, NextAttemptAt = null, Notes = [AssumedNote] }
                    : c,
                cancellationToken);
            if (asked.Case.State == CaseState.NeedsHuman)
            {
                await alerts.NeedsHumanAsync(asked.Case, cancellationToken);
            }

            return null;
        }

        return current.Case.Notes is [PausedNote] ? await cases.UpdateAsync(current, c => c with { Notes = [] }, cancellationToken) : current;
    }

    /// <summary>Whether the case may change accounts. When it may not it is held when this returns, and people know.</summary>
    internal async Task<bool> MayFreezeAsync(CaseSession session, CancellationToken cancellationToken)
    {
        if (!session.Case.IsFreezing)
        {
            return false;
        }

        if (session.Case.AdmittedAt is not null || !session.Case.Accounts.Any(a => a.Status == AccountStatus.Found))
        {
            return true;
        }

        var verdict = await brake.JudgeAsync(session.Case, cancellationToken);
        var now = time.GetUtcNow();
        if (verdict.Admitted)
        {
            // Called off or moved ahead meanwhile, it has not passed: on its own date it counts again.
            await session.ChangeAsync(c => c.IsFreezing && c.AdmittedAt is null ? c with { AdmittedAt = now } : c, cancellationToken);
            return session.Case is { IsFreezing: true, AdmittedAt: not null };
        }

        await session.ChangeAsync(
            c => c.State != CaseState.Running || c.AdmittedAt is not null ? c : c with
            {
                State = CaseState.Quarantined,
                Quarantine = verdict.Quarantine,
                Consents = [],
                NextAttemptAt = null,
                Notes = ["Held by the mass-leaver brake: nothing is changed until two people release it."],
            },
            cancellationToken);
        return session.Case.AdmittedAt is not null;
    }

    private const string PausedNote = "The source is paused: nothing is changed until it goes on.";

    private const string AssumedNote =
        "A resignation was agreed without a last day, and nobody has named one since. Confirm that the person has left and retry, or cancel.";

    private async Task<bool> IsPausedAsync(OffboardingCase c, CancellationToken cancellationToken)
    {
        var named = false;
        foreach (var source in c.Signals.Where(s => s.LeavesAt is not null).Select(s => s.Source).Distinct(StringComparer.Ordinal))
        {
            if (!await sources.IsHeldAsync(source, cancellationToken))
            {
                return false;
            }

            named = true;
        }

        return named;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Case {CaseId} waits: its source is paused.")]
        public static partial void SourcePaused(ILogger logger, string caseId);
    }
}
