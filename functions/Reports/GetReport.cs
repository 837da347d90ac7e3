using System.Globalization;
using DingFlow.Alerts;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Transfers;

namespace DingFlow.Reports;

/// <summary><c>GET reports/{exporter}/{year}?format=json|csv|html&amp;language=</c>: the numbers of a year for filings.</summary>
public sealed class GetReport(TransfersOptions options, ReportBuilder builder, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    private const int FirstYear = 2000;

    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await context.ExporterAsync(options, context.Request.RouteValues["exporter"] as string) is not { } exporter)
        {
            return;
        }

        if (!int.TryParse(context.Request.RouteValues["year"] as string, NumberStyles.None, CultureInfo.InvariantCulture, out var year)
            || year < FirstYear || year > LegalTime.YearOf(time.GetUtcNow()))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "year must be a calendar year of four digits that has begun in Asia/Shanghai.");
            return;
        }

        var format = context.Request.Query["format"].ToString();
        if (format is not ("" or "json" or "csv" or "html"))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "format must be json, csv or html.");
            return;
        }

        if (await AlertAccess.LanguageAsync(context) is not { } language)
        {
            return;
        }

        // A large exporter's records take longer to read than other answers may; the caller going away still ends it.
        context.Features.Get<RequestTimeLimit>()?.Lift();
        var report = await builder.BuildAsync(exporter, year, language, context.RequestAborted);
        await trail.AppendAsync(ReportAudit.Taken(context.Principal()!, report, format.Length == 0 ? "json" : format), context.RequestAborted);
        await (format switch
        {
            "csv" => WriteAsync(context, report, "csv", "text/csv; charset=utf-8; header=present", ReportCsv.Write(report, language)),
            "html" => WritePageAsync(context, report, language),
            _ => context.WriteJsonAsync(report, ReportJson.Default.ExporterReport),
        });
    });

    private static Task WritePageAsync(HttpContext context, ExporterReport report, AlertLanguage language)
    {
        context.Response.Headers.ContentSecurityPolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        return WriteAsync(context, null, "html", "text/html; charset=utf-8", ReportPage.Write(report, language));
    }

    private static async Task WriteAsync(HttpContext context, ExporterReport? download, string extension, string contentType, byte[] body)
    {
        if (download is not null)
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"{download.Exporter.Id}-{download.Year}.{extension}");
            context.Response.Headers.ContentDisposition = $"attachment; filename=\"{name}\"";
        }

        context.Response.ContentType = contentType;
        context.Response.ContentLength = body.Length;
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }
}

/// <summary>What the trail keeps of reports.</summary>
internal static class ReportAudit
{
    /// <summary>Somebody took a report.</summary>
    public static AuditKind ReportTaken { get; } =
        new("reports.taken", AuditRetention.Legal, "Somebody took the report on an exporter and year.");

    /// <summary>The event, with the digest of what was taken.</summary>
    public static AuditEvent Taken(string principal, ExporterReport report, string format) => new()
    {
        Kind = ReportTaken,
        Actor = AuditActor.Principal(principal),
        Payload = PayloadHash.Of(System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(report, ReportJson.Default.ExporterReport)),
        On = new("report", string.Create(CultureInfo.InvariantCulture, $"{report.Exporter.Id}/{report.Year}")),
        Exporter = report.Exporter.Id,
        Details = new Dictionary<string, string> { ["format"] = format },
    };
}
