using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary>
/// Has subscribers told when a case was verified, or its accounts given back. It is asked after every run of a case, before the run's
/// message is completed: whatever dies in between, the message comes again, and the same signal of the same case counts once.
/// </summary>
public sealed class CaseAnnouncements(CaseStore cases, ISignalSender signals)
{
    /// <summary>Sends the signal that belongs to where the case stands now, if there is one.</summary>
    public async Task AnnounceAsync(string caseId, CancellationToken cancellationToken)
    {
        if (!signals.IsNeeded || await cases.FindAsync(caseId, cancellationToken) is not { Case: var @case })
        {
            return;
        }

        AccountSignalKind? kind = @case.State switch
        {
            CaseState.Verified when @case.Mode == CaseMode.Live => AccountSignalKind.Disabled,
            CaseState.Reactivated => AccountSignalKind.Enabled,
            _ => null,
        };
        if (kind is not null)
        {
            await signals.SendAsync(new AccountSignal(kind.Value, caseId), cancellationToken);
        }
    }
}
