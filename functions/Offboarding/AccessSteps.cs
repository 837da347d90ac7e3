using DingFlow.Remote;

namespace DingFlow.Offboarding;

/// <summary>
/// Does the steps that take away what a person holds. What is held is written to the case before anything is taken, so that a process that
/// dies in between has lost nothing that reactivation needs.
/// </summary>
public sealed class AccessSteps
{
    /// <summary>More than this of one kind is not a person's usual outfit and would not fit a case: a person decides.</summary>
    internal const int MostHeld = 200;

    private readonly Dictionary<string, IAccessStep> _steps;

    /// <summary>With every step there is.</summary>
    public AccessSteps(IEnumerable<IAccessStep> steps) => _steps = steps.ToDictionary(step => step.Id, StringComparer.Ordinal);

    /// <summary>The step with this id; <see langword="null"/>: it is not one that takes away what is held.</summary>
    internal IAccessStep? Find(string id) => _steps.GetValueOrDefault(id);

    /// <summary>Takes away what the step concerns.</summary>
    internal async Task<StepResult> TakeAsync(CaseSession session, CaseAccount account, CaseStep step, StepRules rules, CancellationToken cancellationToken)
    {
        var access = _steps[step.Id];
        var list = await access.ListAsync(account, rules, cancellationToken);
        if (list.Result.Status == RemoteStatus.NotFound && IsRemoved(session, account))
        {
            return StepCatalogue.EndsWithAccount(step.Id)
                ? new(StepOutcome.AlreadyDone, "It went with the account, which is no longer in the organisation.") { RequestId = list.Result.RequestId }
                : new(StepOutcome.NeedsHuman, StepCatalogue.LeftBehind) { RequestId = list.Result.RequestId };
        }

        if (!list.Result.IsOk)
        {
            return StepResult.Of(list.Result, "");
        }

        if (list.Held.Count > MostHeld)
        {
            return new(StepOutcome.NeedsHuman, $"The person holds more than {MostHeld} of these: take them away by hand.") { RequestId = list.Result.RequestId };
        }

        await session.ChangeAsync(c => c.WithStep(step, s => s with { Changes = Merge(s.Changes, list.Held) }), cancellationToken);
        if (list.Blocked is { } blocked)
        {
            return new(StepOutcome.NeedsHuman, blocked) { RequestId = list.Result.RequestId };
        }

        return await TakeEachAsync(session, account, step, rules, access, list, cancellationToken);
    }

    /// <summary>Whether anything is left of what the step is to take away.</summary>
    internal async Task<StepProof> ProveAsync(CaseSession session, CaseAccount account, CaseStep step, CancellationToken cancellationToken)
    {
        var list = await _steps[step.Id].ListAsync(account, step.RulesOrUsual, cancellationToken);
        if (list.Result.Status == RemoteStatus.NotFound && IsRemoved(session, account) && StepCatalogue.EndsWithAccount(step.Id))
        {
            return new(ReadBack.Confirmed);
        }

        var left = list.ToTake.Count();
        return !list.Result.IsOk ? new(ReadBack.Unavailable, $"What the person holds could not be read back: {RemoteText.Of(list.Result)}.")
            : list.Blocked is { } blocked ? new(ReadBack.Contradicted, blocked)
            : left > 0 ? new(ReadBack.Contradicted, $"The step was accepted, but the person still holds {left} of these.")
            : new(ReadBack.Confirmed);
    }

    private static async Task<StepResult> TakeEachAsync(
        CaseSession session, CaseAccount account, CaseStep step, StepRules rules, IAccessStep access, AccessList list, CancellationToken cancellationToken)
    {
        var (sent, taken) = (new HashSet<string>(StringComparer.Ordinal), new HashSet<string>(StringComparer.Ordinal));
        StepResult? worst = null;
        var requestId = list.Result.RequestId;
        foreach (var held in list.ToTake)
        {
            // Written before the call: what is no longer held later on was taken by this case only if it was asked for.
            sent.Add(held.Id);
            await session.ChangeAsync(c => c.WithStep(step, s => s with { Changes = [.. (s.Changes ?? []).Select(change => change.Id == held.Id ? change with { Sent = true } : change)] }), cancellationToken);
            var result = await access.TakeAsync(account, held, rules, cancellationToken);
            requestId = result.RequestId ?? requestId;
            if (result.Outcome == StepOutcome.Done)
            {
                taken.Add(held.Id);
                continue;
            }

            worst = worst is null || result.Outcome > worst.Outcome ? result : worst;
            if (result.Outcome == StepOutcome.RetryLater || result.RetryAfter is not null)
            {
                break; // A remote that is in trouble is not asked for each of many.
            }
        }

        if (worst is not null)
        {
            // A refusal may only say that it is gone: an answer was lost, or somebody else took it away.
            var left = await access.ListAsync(account, rules, cancellationToken);
            if (left.Result.IsOk)
            {
                taken.UnionWith(sent.Except(left.Held.Select(h => h.Id), StringComparer.Ordinal));
                worst = left.ToTake.Any() ? worst : null;
            }
        }

        await session.ChangeAsync(
            c => c.WithStep(step, s => s with
            {
                Changes = [.. (s.Changes ?? []).Select(change => taken.Contains(change.Id) ? change with { State = ChangeState.Taken } : change)],
            }),
            cancellationToken);
        var kept = list.Held.Count(h => h.State == ChangeState.Kept);
        var about = kept == 0 ? "" : $" {kept} left as they are, each with its reason.";
        return worst is not null ? worst with { RequestId = worst.RequestId ?? requestId, Detail = $"{worst.Detail} {taken.Count} of {list.ToTake.Count()} were taken away.{about}" }
            : taken.Count > 0 ? new(StepOutcome.Done, $"{taken.Count} taken away.{about}") { RequestId = requestId }
            : new(StepOutcome.AlreadyDone, $"There was nothing to take away.{about}") { RequestId = requestId };
    }

    /// <summary>
    /// What was known and what is held now. Something that is no longer held was taken by this case, though the answer was lost, if it had
    /// asked for it, and by somebody else otherwise; something taken that is held again is to be taken anew.
    /// </summary>
    internal static IReadOnlyList<StepChange> Merge(IReadOnlyList<StepChange>? known, IReadOnlyList<StepChange> held)
    {
        var now = held.DistinctBy(h => h.Id).ToDictionary(h => h.Id, StringComparer.Ordinal);
        var before = (known ?? []).Where(k => !now.ContainsKey(k.Id) && k.State != ChangeState.Kept)
            .Select(k => k.State != ChangeState.Planned ? k : k.Sent ? k with { State = ChangeState.Taken } : k with { State = ChangeState.Kept, Note = NotOurDoing });
        var asked = (known ?? []).Where(static k => k.Sent).Select(static k => k.Id).ToHashSet(StringComparer.Ordinal);
        return [.. before, .. now.Values.Select(h => asked.Contains(h.Id) ? h with { Sent = true } : h)];
    }

    private const string NotOurDoing = "somebody else took it away before this case asked for it";

    /// <summary>The account was an ordinary one that this case, or somebody before it, removed from the organisation.</summary>
    private static bool IsRemoved(CaseSession session, CaseAccount account) =>
        session.StepsOf(account).Any(s => s.Id == "dingtalk.remove" && s.Outcome is StepOutcome.Done or StepOutcome.AlreadyDone);
}
