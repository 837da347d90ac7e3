using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>Every night: who may do what, compared with the night before.</summary>
public sealed class SnapshotPermissions(PermissionLog log) : ITimerFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => log.SnapshotAsync(cancellationToken);
}

/// <summary><c>GET /api/permissions/report?from=&amp;to=&amp;format=json|csv|html</c>: the report of any span of days, this month by default.</summary>
public sealed class GetPermissionReport(PermissionReports reports, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (!await AuditQuery.MaySeeAllAsync(context))
        {
            return;
        }

        var (fromText, toText) = (context.Request.Query["from"].ToString(), context.Request.Query["to"].ToString());
        if ((fromText.Length > 0 && !AuditDay.IsValid(fromText)) || (toText.Length > 0 && !AuditDay.IsValid(toText)))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "from and to must be days such as 2026-11-24.");
            return;
        }

        var now = time.GetUtcNow();
        var from = fromText.Length > 0 ? AuditDay.EndOf(AuditDay.Before(fromText)) : new DateTimeOffset(now.Year, now.Month, 1, 0, 0, 0, TimeSpan.Zero);
        var to = toText.Length > 0 ? AuditDay.EndOf(toText) : now;
        var format = context.Request.Query["format"].ToString();
        var form = Array.Find(PermissionReport.Forms, one => one.Name == (format.Length == 0 ? "json" : format));
        if (form is null || from > to)
        {
            await context.ProblemAsync(ProblemCode.Malformed, form is null ? "format must be json, csv or html." : "from must not be after to.");
            return;
        }

        var body = form.Write(await reports.MakeAsync(from, to, context.RequestAborted));
        await trail.AppendAsync(
            new() { Kind = PermissionAudit.ReportMade, Actor = context.AuditActor(), Payload = PayloadHash.Of(body), On = new("permissions", $"{AuditDay.Of(from)}/{AuditDay.Of(to)}") },
            context.RequestAborted);
        context.Response.ContentType = form.MediaType == "application/json" ? form.MediaType : $"{form.MediaType}; charset=utf-8";
        context.Response.Headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }
}
