namespace DingFlow.Offboarding;

/// <summary>
/// Who must give accounts back when a person returns and leaves again. A case that was called off after the freeze asks people to give the
/// accounts back; once the person has left again by a younger case it asks nobody any more, and says why. When that younger case is called off
/// in its turn, the earlier one asks again: what it took is not in the younger one's snapshot.
/// </summary>
/// <remarks>
/// The younger case learns of the earlier one before that one gives way, so a process that dies in between leaves a case that still asks, and
/// the next look settles it. Looking again changes nothing.
/// </remarks>
public sealed partial class CaseSuccession(CaseStore cases, CaseRestorer restorer, CaseAlerts alerts, ILogger<CaseSuccession> logger)
{
    /// <summary>Settles a case that waits for people although nobody leaves by it any more.</summary>
    public async Task SettleAsync(StoredCase current, CancellationToken cancellationToken)
    {
        if (current.Case is not { NeedsAttention: true, Superseded: true })
        {
            return;
        }

        if (await restorer.SuccessorAsync(current.Case, cancellationToken) is not { } successor)
        {
            await AskAgainAsync(current, cancellationToken);
            return;
        }

        // One that has changed nothing yet may still be called off and end without a word: until then the earlier one asks.
        if (!successor.MayHaveChanged || await cases.FindAsync(successor.CaseId, cancellationToken) is not { } younger)
        {
            return;
        }

        younger = await cases.UpdateAsync(
            younger,
            c => c.Superseded || !c.MayHaveChanged || c.EarlierCases.Contains(current.Case.CaseId) ? c : c with { EarlierCases = [.. c.EarlierCases, current.Case.CaseId] },
            cancellationToken);
        if (!younger.Case.EarlierCases.Contains(current.Case.CaseId))
        {
            return; // It was called off meanwhile.
        }

        var stored = await cases.UpdateAsync(current, c => GivenWay(c, successor.CaseId), cancellationToken);
        if (stored.Case.LeavesAgainBy == successor.CaseId)
        {
            Log.GaveWay(logger, stored.Case.CaseId, successor.CaseId);
            if (await cases.FindAsync(successor.CaseId, cancellationToken) is { Case.Superseded: true } late)
            {
                await AskAgainAsync(late, cancellationToken); // Called off between the two writes.
            }
        }
    }

    /// <summary>The earlier cases that gave way to one by which nobody leaves any more ask people again. Nothing when the person left once more.</summary>
    public async Task AskAgainAsync(StoredCase current, CancellationToken cancellationToken)
    {
        if (!current.Case.Superseded || current.Case.EarlierCases.Count == 0 || await restorer.SuccessorAsync(current.Case, cancellationToken) is not null)
        {
            return;
        }

        foreach (var earlierId in current.Case.EarlierCases)
        {
            if (await cases.FindAsync(earlierId, cancellationToken) is not { } earlier || Asking(earlier.Case, current.Case.CaseId) is var asking && ReferenceEquals(asking, earlier.Case))
            {
                continue;
            }

            // People are told before the case asks: whoever dies in between tells them again, under the same id.
            await alerts.NeedsHumanAsync(asking, cancellationToken);
            await cases.UpdateAsync(earlier, c => Asking(c, current.Case.CaseId), cancellationToken);
            Log.AsksAgain(logger, earlierId, current.Case.CaseId);
        }
    }

    private static OffboardingCase GivenWay(OffboardingCase c, string successorId) => c is not { NeedsAttention: true, Superseded: true } ? c : c with
    {
        State = CaseState.Cancelled,
        NextAttemptAt = null,
        LeavesAgainBy = successorId,
        Undo = c.Undo is { CompletedAt: null } ? null : c.Undo,
        Notes = [$"The person has left again, by the case {successorId}: nothing of what this case took is to be given back."],
    };

    private static OffboardingCase Asking(OffboardingCase c, string successorId) => c.State != CaseState.Cancelled || c.LeavesAgainBy != successorId ? c : c with
    {
        State = CaseState.NeedsHuman,
        LeavesAgainBy = null,
        Runs = c.Runs + 1,
        Notes = [$"The case {successorId}, by which the person had left again, is called off: give back what this case took, too."],
    };

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Case {CaseId} asks nobody any more: the person has left again by case {Successor}.")]
        public static partial void GaveWay(ILogger logger, string caseId, string successor);

        [LoggerMessage(2, LogLevel.Information, "Case {CaseId} asks people again: the younger case {Successor} is called off.")]
        public static partial void AsksAgain(ILogger logger, string caseId, string successor);
    }
}
