using DingFlow.Hosting;

namespace DingFlow.Audit;

/// <summary><c>GET /api/audit/holds</c>: the legal holds in force.</summary>
public sealed class ListAuditHolds(AuditHolds holds) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (!await AuditQuery.MaySeeAllAsync(context))
        {
            return;
        }

        await context.WriteJsonAsync(new AuditHoldListView(await holds.ListAsync(context.RequestAborted)), AuditApiJson.Default.AuditHoldListView);
    }
}

/// <summary><c>POST /api/audit/holds</c>: keeps the entries of a case beyond their retention.</summary>
public sealed class PlaceAuditHold(AuditHolds holds, AuditSearch search, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (await AuditHoldRequests.ReadAsync(context) is not { } request)
        {
            return;
        }

        if (request.CaseId is not { Length: > 0 and <= 100 } caseId || !caseId.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "caseId must be the id of a case.");
            return;
        }

        if (!await search.ReadAsync(new() { CaseId = caseId }, new(), context.RequestAborted).AnyAsync(context.RequestAborted))
        {
            // A hold with a typing error would hold nothing, and nobody would notice until the content is gone.
            await context.ProblemAsync(ProblemCode.NotFound, "No entry of the trail belongs to such a case.");
            return;
        }

        var hold = new AuditHold(caseId, request.Reason!, context.Principal()!, time.GetUtcNow());
        if (!await holds.PlaceAsync(hold, context.RequestAborted))
        {
            await context.ProblemAsync(ProblemCode.Conflict, "The case has a hold.");
            return;
        }

        await context.WriteJsonAsync(hold, AuditApiJson.Default.AuditHold, StatusCodes.Status201Created);
    }
}

/// <summary><c>POST /api/audit/holds/{caseId}/release</c>: ends a hold.</summary>
public sealed class ReleaseAuditHold(AuditHolds holds) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (await AuditHoldRequests.ReadAsync(context) is not { } request)
        {
            return;
        }

        if (context.Request.RouteValues["caseId"] is not string caseId
            || !await holds.ReleaseAsync(caseId, request.Reason!, context.Principal()!, context.RequestAborted))
        {
            await context.ProblemAsync(ProblemCode.NotFound, "The case has no hold.");
            return;
        }

        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }
}

/// <summary>Requests about holds.</summary>
internal static class AuditHoldRequests
{
    private const int MaximumBody = 4 * 1024;

    /// <summary>The body with its reason; <see langword="null"/> when a problem has been answered.</summary>
    public static async Task<AuditHoldRequest?> ReadAsync(HttpContext context)
    {
        if (!await AuditQuery.MaySeeAllAsync(context) || await context.ReadJsonAsync(AuditApiJson.Default.AuditHoldRequest, MaximumBody) is not { } request)
        {
            return null;
        }

        if (request.Reason?.Trim() is not { Length: >= 3 and <= 500 } reason)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "reason must have 3 to 500 characters.");
            return null;
        }

        return request with { Reason = reason };
    }
}
