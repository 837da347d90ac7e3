using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>Every night: who may do what, compared with the night before.</summary>
public sealed class SnapshotPermissions(PermissionLog log) : ITimerFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => log.SnapshotAsync(cancellationToken);
}

/// <summary>On the first of each month: last month's report into the archive, and to people.</summary>
public sealed class ReportPermissions(
    PermissionReports reports, AuditArchive archive, AuditOptions options, IAuditTrail trail, IAlertSender alerts, TimeProvider time) : ITimerFunction
{
    private static readonly string[] s_forms = ["html", "csv", "json"];

    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var to = new DateTimeOffset(now.Year, now.Month, 1, 0, 0, 0, TimeSpan.Zero);
        var from = to.AddMonths(-1);
        var month = from.ToString("yyyy-MM", CultureInfo.InvariantCulture);
        var report = await reports.MakeAsync(from, to, cancellationToken);
        if (!archive.IsNone)
        {
            foreach (var (extension, bytes) in new[] { ("json", report.ToJson()), ("csv", report.ToCsv()), ("html", report.ToHtml()) })
            {
                using var content = new MemoryStream(bytes);
                await archive.PutFileAsync($"permissions/{month}.{extension}", content, cancellationToken);
            }
        }

        await trail.AppendAsync(
            new()
            {
                Kind = PermissionAudit.ReportMade, Actor = AuditActor.System(nameof(ReportPermissions)), Payload = PayloadHash.Of(report.ToJson()), On = new("permissions", month),
            },
            cancellationToken);
        await alerts.SendAsync(
            new()
            {
                AlertId = $"audit.permissions_report:{month}",
                Type = "audit.permissions_report",
                Severity = report.Unexplained > 0 ? AlertSeverity.Warning : AlertSeverity.Information,
                OccurredAt = now,
                Summary = $"Changes of permissions in {month}: {report.Gained} gained, {report.Lost} lost, {report.Unexplained} unexplained.",
                About = month,
                Details = new Dictionary<string, string>(LinksTo(from, to))
                {
                    ["gained"] = report.Gained.ToString(CultureInfo.InvariantCulture), ["lost"] = report.Lost.ToString(CultureInfo.InvariantCulture),
                    ["unexplained"] = report.Unexplained.ToString(CultureInfo.InvariantCulture),
                },
            },
            cancellationToken);
    }

    /// <summary>The report in each form, for every channel: it names accounts, so whoever follows a link signs in.</summary>
    private IEnumerable<KeyValuePair<string, string>> LinksTo(DateTimeOffset from, DateTimeOffset to) => options.PublicUrl is { } address
        ? s_forms.Select(format => KeyValuePair.Create(
            format, new Uri(address, $"/api/permissions/report?from={AuditDay.Of(from)}&to={AuditDay.Before(AuditDay.Of(to))}&format={format}").ToString()))
        : [];
}

/// <summary><c>GET /api/permissions/report?from=&amp;to=&amp;format=json|csv|html</c>: the report of any span of days, this month by default.</summary>
public sealed class GetPermissionReport(PermissionReports reports, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var (fromText, toText) = (context.Request.Query["from"].ToString(), context.Request.Query["to"].ToString());
        if ((fromText.Length > 0 && !AuditDay.IsValid(fromText)) || (toText.Length > 0 && !AuditDay.IsValid(toText)))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "from and to must be days such as 2026-11-24.");
            return;
        }

        var now = time.GetUtcNow();
        var from = fromText.Length > 0 ? AuditDay.EndOf(AuditDay.Before(fromText)) : new DateTimeOffset(now.Year, now.Month, 1, 0, 0, 0, TimeSpan.Zero);
        var to = toText.Length > 0 ? AuditDay.EndOf(toText) : now;
        Func<PermissionReport, byte[]>? write = context.Request.Query["format"].ToString() switch
        {
            "" or "json" => static report => report.ToJson(),
            "csv" => static report => report.ToCsv(),
            "html" => static report => report.ToHtml(),
            _ => null,
        };
        if (write is null || from > to)
        {
            await context.ProblemAsync(ProblemCode.Malformed, write is null ? "format must be json, csv or html." : "from must not be after to.");
            return;
        }

        var body = write(await reports.MakeAsync(from, to, context.RequestAborted));
        await trail.AppendAsync(
            new() { Kind = PermissionAudit.ReportMade, Actor = context.AuditActor(), Payload = PayloadHash.Of(body), On = new("permissions", $"{AuditDay.Of(from)}/{AuditDay.Of(to)}") },
            context.RequestAborted);
        context.Response.ContentType = context.Request.Query["format"].ToString() switch
        {
            "csv" => "text/csv; charset=utf-8", "html" => "text/html; charset=utf-8", _ => "application/json",
        };
        context.Response.Headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'";
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }
}
