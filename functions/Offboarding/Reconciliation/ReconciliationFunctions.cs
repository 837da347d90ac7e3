using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>Every hour: has everything compared.</summary>
public sealed class ReconcileAccounts(ReconciliationRequests requests) : ITimerFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => requests.SendAsync(cancellationToken);
}

/// <summary>Asks for a reconciliation. They run from the queue, one after another, so that neither a timer nor a caller waits for directories.</summary>
public sealed class ReconciliationRequests(IMessageQueue queue, TimeProvider time)
{
    /// <summary>Sends the message. Each asks for a look of its own: what was looked at before it was sent is no answer.</summary>
    public Task SendAsync(CancellationToken cancellationToken) => queue.SendAsync(
        Queues.Offboarding,
        [
            new()
            {
                MessageId = string.Create(CultureInfo.InvariantCulture, $"reconcile/{time.GetUtcNow().UtcTicks}"),
                SessionId = "reconciliation",
                Subject = "reconcile",
                Body = new OffboardingMessage { Kind = OffboardingMessageKind.Reconcile }.ToBody(),
            },
        ],
        cancellationToken);
}

/// <summary><c>POST /api/offboarding/reconciliations</c>: compares HR, cases and directories now.</summary>
public sealed class RequestReconciliation(ReconciliationRequests requests, FindingStore findings, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        var now = time.GetUtcNow();
        await trail.AppendAsync(
            new() { Kind = ReconciliationAudit.Requested, Actor = context.AuditActor(), Payload = PayloadHash.None, RequestId = context.RequestId() }, context.RequestAborted);
        await requests.SendAsync(context.RequestAborted);
        await context.WriteJsonAsync(
            new ReconciliationRequestedView(now, await findings.LastReportAsync(context.RequestAborted)),
            ReconciliationJson.Default.ReconciliationRequestedView, StatusCodes.Status202Accepted);
    }
}

/// <summary><c>GET /api/offboarding/findings?kind=&amp;status=&amp;limit=</c>: what does not agree between HR and the directories.</summary>
public sealed class ListFindings(FindingStore findings) : IHttpFunction
{
    private const int LargestPage = 1000;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.QueryWordAsync<FindingKind>("kind") is not { IsRead: true, Value: var kind }
            || await context.QueryWordAsync<FindingStatus>("status") is not { IsRead: true } asked
            || await context.PageLimitAsync(200, LargestPage) is not { } limit
            || await context.PageStartAsync(FindingPlace.Read) is not { IsRead: true, Value: var after })
        {
            return;
        }

        await context.RecordReadAsync(ReconciliationAudit.FindingsRead);
        var status = asked.Value ?? FindingStatus.Open;
        var found = (await findings.ReadAsync(context.RequestAborted)).Values.Select(static f => f.Finding)
            .Where(f => f.Status == status && (kind is null || f.Kind == kind)).ToList();
        var page = found.Select(static f => (Place: FindingPlace.Of(f), Finding: f)).OrderBy(static f => f.Place)
            .Where(f => after is null || f.Place.CompareTo(after) > 0).Take(limit + 1).ToList();
        await context.WriteJsonAsync(
            new FindingListView(
                [.. page.Take(limit).Select(static f => f.Finding)], found.Count, await findings.LastReportAsync(context.RequestAborted),
                page.Count > limit ? page[limit - 1].Place.Next() : null),
            ReconciliationJson.Default.FindingListView);
    }
}

/// <summary><c>POST /api/offboarding/findings/{findingId}/dismiss</c>: the difference is as it should be; it is not reported again.</summary>
public sealed class DismissFinding(FindingStore findings, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await OperatorActions.ReadReasonAsync(context) is not { } reason || await context.FindingAsync(findings) is not { } found)
        {
            return;
        }

        var dismissed = found.Finding with
        {
            Status = FindingStatus.Dismissed, Action = new CaseAction(time.GetUtcNow(), context.Principal()!, "dismiss", reason),
        };
        var saved = found.Finding.Status == FindingStatus.Open && await findings.SaveAsync(
            dismissed, found.ETag,
            new()
            {
                Kind = ReconciliationAudit.FindingDismissed, Actor = AuditActor.Principal(context.Principal()!), Payload = PayloadHash.Of(reason),
                On = new("finding", dismissed.FindingId), Reason = reason,
            },
            context.RequestAborted);
        await context.AnswerAsync(saved ? dismissed : null);
    }
}

/// <summary><c>POST /api/offboarding/findings/{findingId}/open</c>: has the account's person frozen by a case.</summary>
public sealed class OpenFinding(FindingStore findings, Reconciler reconciler) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await OperatorActions.ReadReasonAsync(context) is not { } reason || await context.FindingAsync(findings) is not { } found)
        {
            return;
        }

        if (found.Finding.Status != FindingStatus.Open || !Finding.MayBecomeCase(found.Finding.Kind))
        {
            await context.AnswerAsync(null);
            return;
        }

        if (!await reconciler.OpenCaseAsync(found.Finding, reason, context.RequestAborted))
        {
            await context.ProblemAsync(ProblemCode.Unavailable, "Entra did not say whose account it is; nothing was done.");
            return;
        }

        var opened = found.Finding with { BecameCase = true };
        var saved = await findings.SaveAsync(
            opened, found.ETag, Reconciler.Opened(opened, AuditActor.Principal(context.Principal()!), reason), context.RequestAborted);
        await context.AnswerAsync(saved ? opened : null);
    }
}

/// <summary>What these routes share.</summary>
file static class FindingRequests
{
    public static async Task<(Finding Finding, string ETag)?> FindingAsync(this HttpContext context, FindingStore findings)
    {
        if (context.Request.RouteValues["findingId"] is string { Length: 32 } id && id.All(char.IsAsciiHexDigitLower)
            && await findings.FindAsync(id, context.RequestAborted) is { } found)
        {
            return found;
        }

        await context.ProblemAsync(ProblemCode.NotFound, "There is no such finding.");
        return null;
    }

    public static Task AnswerAsync(this HttpContext context, Finding? finding) => finding is null
        ? context.ProblemAsync(ProblemCode.Conflict, "The finding's kind or status does not allow this, or somebody changed it at this moment.")
        : context.WriteJsonAsync(finding, ReconciliationJson.Default.Finding, StatusCodes.Status202Accepted);
}
