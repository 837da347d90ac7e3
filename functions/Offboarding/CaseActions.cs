using DingFlow.Hosting;

namespace DingFlow.Offboarding;

/// <summary>
/// <c>POST /api/offboarding/{caseId}/cancel</c>: a person ends a case that is not verified. Changes that were made stay. An earlier case of the
/// person that had given way to it asks people again; asked for once more, that is made up for if the process died in between.
/// </summary>
public sealed class CancelOffboardingCase(CaseStore cases, CaseSuccession succession, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (context.Request.RouteValues["caseId"] is string caseId
            && await cases.FindAsync(caseId, context.RequestAborted) is { Case: { State: CaseState.Cancelled, Superseded: true } } ended)
        {
            await succession.AskAgainAsync(ended, context.RequestAborted);
        }

        await EndAsync(context);
    }

    private Task EndAsync(HttpContext context) => OperatorActions.TakeAsync(
        context, cases, time, "cancel",
        c => c.IsOpen || c.NeedsAttention
            ? c with
            {
                State = CaseState.Cancelled,
                Superseded = true,
                NextAttemptAt = null,
                Notes = c.MayHaveChanged ? ["An operator ended the case; what its steps changed stays as it is."] : ["An operator ended the case."],
            }
            : null,
        succession.AskAgainAsync);
}

/// <summary><c>POST /api/offboarding/{caseId}/retry</c>: takes up a case that waits for people, after they mended the cause.</summary>
public sealed class RetryOffboardingCase(CaseStore cases, CaseRuns runs, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => OperatorActions.TakeAsync(
        context, cases, time, "retry",
        c => c.NeedsAttention && (!c.Superseded || c.IsRestoring) ? CaseConclusion.TakenUp(c) : null,
        (stored, cancellationToken) => runs.ScheduleAsync(stored, time.GetUtcNow(), "retry by an operator", c => c, cancellationToken));
}

/// <summary>
/// <c>POST /api/offboarding/{caseId}/reactivate</c>: gives back what the case took. Refused where a younger case of the person stands: the
/// person leaves by that one.
/// </summary>
public sealed class ReactivateOffboardingCase(CaseStore cases, CaseRestorer restorer, CaseRuns runs, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (context.Request.RouteValues["caseId"] is string caseId && await cases.FindAsync(caseId, context.RequestAborted) is { } found
            && await restorer.SuccessorAsync(found.Case, context.RequestAborted) is { } successor)
        {
            await context.ProblemAsync(ProblemCode.Conflict, $"The person leaves by the younger case {successor.CaseId}: reactivate or cancel that one.");
            return;
        }

        await OperatorActions.TakeAsync(
            context, cases, time, "reactivate",
            (c, action) => CaseRestorer.Begin(c, action.By, action.Reason, action.At),
            (stored, cancellationToken) => runs.ScheduleAsync(stored, time.GetUtcNow(), "reactivation by an operator", c => c, cancellationToken));
    }
}

/// <summary>What all actions of operators share.</summary>
internal static class OperatorActions
{
    /// <summary>What is asked of a reason.</summary>
    public const string ReasonRule = "reason must have 3 to 500 characters, and none that control how text is shown.";

    private const int MaximumBody = 4 * 1024;

    /// <summary>The reason, without the space around it; <see langword="null"/> when it is none.</summary>
    public static string? ReasonOf(string? text) =>
        text?.Trim() is { Length: >= 3 and <= 500 } reason && !reason.Any(static c => char.IsControl(c) || c is (>= '\u202A' and <= '\u202E') or (>= '\u2066' and <= '\u2069') or '\u200E' or '\u200F')
            ? reason
            : null;

    /// <summary>Reads a body that holds a reason and nothing else. <see langword="null"/>: a problem has been answered.</summary>
    public static async Task<string?> ReadReasonAsync(HttpContext context)
    {
        if (await context.ReadJsonAsync(OffboardingJson.Default.CaseActionRequest, MaximumBody) is not { } request)
        {
            return null;
        }

        if (ReasonOf(request.Reason) is { } reason)
        {
            return reason;
        }

        await context.ProblemAsync(ProblemCode.Malformed, ReasonRule);
        return null;
    }

    /// <summary>Reads the reason, changes the case and notes who did it and why.</summary>
    /// <param name="context">The request.</param>
    /// <param name="cases">The cases.</param>
    /// <param name="time">The clock.</param>
    /// <param name="what">The action.</param>
    /// <param name="change">The change; <see langword="null"/> when the case's state does not allow it.</param>
    /// <param name="then">What follows once the change is stored.</param>
    public static Task TakeAsync(
        HttpContext context, CaseStore cases, TimeProvider time, string what, Func<OffboardingCase, OffboardingCase?> change,
        Func<StoredCase, CancellationToken, Task> then) => TakeAsync(context, cases, time, what, (c, _) => change(c), then);

    /// <inheritdoc cref="TakeAsync(HttpContext, CaseStore, TimeProvider, string, Func{OffboardingCase, OffboardingCase?}, Func{StoredCase, CancellationToken, Task})"/>
    public static async Task TakeAsync(
        HttpContext context, CaseStore cases, TimeProvider time, string what, Func<OffboardingCase, CaseAction, OffboardingCase?> change,
        Func<StoredCase, CancellationToken, Task> then)
    {
        if (await ReadReasonAsync(context) is not { } reason)
        {
            return;
        }

        if (context.Request.RouteValues["caseId"] is not string caseId || await cases.FindAsync(caseId, context.RequestAborted) is not { } found)
        {
            await context.ProblemAsync(ProblemCode.NotFound, "There is no such case.");
            return;
        }

        var action = new CaseAction(time.GetUtcNow(), context.Principal()!, what, reason);
        var stored = await cases.UpdateAsync(
            found, c => change(c, action) is { } changed ? changed with { Actions = [.. c.Actions, action] } : c, context.RequestAborted);
        if (!stored.Case.Actions.Contains(action))
        {
            await context.ProblemAsync(ProblemCode.Conflict, "The case's state does not allow this.");
            return;
        }

        await then(stored, context.RequestAborted);
        await context.WriteJsonAsync(
            new CaseStateView(stored.Case.CaseId, stored.Case.State), OffboardingJson.Default.CaseStateView, StatusCodes.Status202Accepted);
    }
}
