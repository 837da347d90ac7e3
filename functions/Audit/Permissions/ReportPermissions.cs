using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// On the first of each month, from 01:00 UTC (09:00 in Shanghai): the report of the month before, a month in UTC as the trail's days are,
/// into the archive and with its documents to people. It runs every hour and a row says which month was told last: what an outage or a fault
/// kept from the first of the month is made up for, and no month is told twice.
/// </summary>
/// <remarks>
/// The archive's JSON is the report from the moment it is there: after a crash the other forms and the alert are made of it. The row, the
/// entry of the trail and nothing before them say that the month is done.
/// </remarks>
public sealed partial class ReportPermissions(
    PermissionReports reports, AuditArchive archive, AuditOptions options, IEntityStore store, IAuditTrail trail, IAlertSender alerts,
    IAlertDocuments documents, AuditPseudonyms pseudonyms, TimeProvider time, ILogger<ReportPermissions> logger) : ITimerFunction
{
    private const string Partition = "permissions";
    private const string Row = "report|last";

    /// <summary>Unexplained changes that a text names; the documents hold all.</summary>
    private const int Named = 5;

    /// <summary>The content of older entries may be gone.</summary>
    private const int MonthsMadeUpFor = 24;

    /// <summary>What happened in the last night of the month is read and reported by then.</summary>
    private static readonly TimeSpan Settling = TimeSpan.FromHours(1);

    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var ended = StartOf(now - Settling).AddMonths(-1);
        var known = await store.GetAsync(AuditRows.TrailTable, Partition, Row, cancellationToken);
        var etag = known?.ETag;
        if (known is null && (now - Settling).UtcDateTime.Day > 1)
        {
            // Nothing was watched in the month before the first start.
            await store.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(RowOf(ended))), cancellationToken);
            return;
        }

        var next = known is null ? ended : known.Properties.Require<DateTimeOffset>("Month").AddMonths(1);
        for (var month = next < ended.AddMonths(1 - MonthsMadeUpFor) ? ended.AddMonths(1 - MonthsMadeUpFor) : next; month <= ended; month = month.AddMonths(1))
        {
            var report = await TellAsync(month, cancellationToken);
            var row = RowOf(month);
            var result = await trail.SubmitAsync(
                EntityTransaction.Of(AuditRows.TrailTable, etag is null ? EntityOperation.Insert(row) : EntityOperation.Replace(row, etag)),
                [
                    new()
                    {
                        Kind = PermissionAudit.ReportMade, Actor = AuditActor.System(nameof(ReportPermissions)), Payload = PayloadHash.Of(report.ToJson()),
                        On = new("permissions", NameOf(month)),
                    },
                ],
                cancellationToken);
            if (!result.Committed)
            {
                return; // Another instance tells the same.
            }

            etag = result.ETags[0];
        }
    }

    private static DateTimeOffset StartOf(DateTimeOffset moment) => new(moment.UtcDateTime.Year, moment.UtcDateTime.Month, 1, 0, 0, 0, TimeSpan.Zero);

    private static string NameOf(DateTimeOffset month) => month.ToString("yyyy-MM", CultureInfo.InvariantCulture);

    private static Entity RowOf(DateTimeOffset month) => new(Partition, Row) { Properties = { ["Month"] = month } };

    /// <summary>Archives a month's report and sends its alert with the documents.</summary>
    private async Task<PermissionReport> TellAsync(DateTimeOffset from, CancellationToken cancellationToken)
    {
        var (to, month) = (from.AddMonths(1), NameOf(from));
        var alertId = $"audit.permissions_report:{month}";
        var report = await ArchivedAsync(from, to, month, cancellationToken);
        List<AlertDocument> kept = [];
        var links = new Dictionary<string, string>();
        foreach (var form in PermissionReport.Forms)
        {
            var path = $"/api/permissions/report?from={AuditDay.Of(from)}&to={AuditDay.Before(AuditDay.Of(to))}&format={form.Name}";
            var link = options.PublicUrl is { } address ? new Uri(address, path).ToString() : null;
            kept.Add(await documents.KeepAsync(alertId, $"permissions-{month}.{form.Name}", form.MediaType, form.Write(report), link ?? path, cancellationToken));
            if (link is not null)
            {
                links[form.Name] = link;
            }
        }

        await alerts.SendAsync(
            new()
            {
                AlertId = alertId,
                Type = "audit.permissions_report",
                Severity = report.Unexplained > 0 ? AlertSeverity.Warning : AlertSeverity.Information,
                OccurredAt = time.GetUtcNow(),
                Summary = $"Changes of permissions in {month}: {report.Gained} gained, {report.Lost} lost, {report.Unexplained} unexplained.",
                About = month,
                Details = new Dictionary<string, string>([.. links, .. FirstUnexplained(report)])
                {
                    ["gained"] = report.Gained.ToString(CultureInfo.InvariantCulture), ["lost"] = report.Lost.ToString(CultureInfo.InvariantCulture),
                    ["unexplained"] = report.Unexplained.ToString(CultureInfo.InvariantCulture),
                    ["span"] = $"{AuditDay.Of(from)} – {AuditDay.Before(AuditDay.Of(to))}",
                },
                Documents = kept,
            },
            cancellationToken);
        return report;
    }

    /// <summary>The month's report: the archived one, or a new one that is archived.</summary>
    private async Task<PermissionReport> ArchivedAsync(DateTimeOffset from, DateTimeOffset to, string month, CancellationToken cancellationToken)
    {
        if (archive.IsNone)
        {
            return await reports.MakeAsync(from, to, cancellationToken);
        }

        if (await ReadAsync(month, cancellationToken) is not { } report)
        {
            report = await reports.MakeAsync(from, to, cancellationToken);
            if (!await PutAsync(month, "json", report.ToJson(), cancellationToken))
            {
                // Another instance may have been quicker; then its report is the one.
                report = await ReadAsync(month, cancellationToken) ?? report;
            }
        }

        foreach (var form in PermissionReport.Forms.Where(static form => form.Name != "json"))
        {
            await PutAsync(month, form.Name, form.Write(report), cancellationToken);
        }

        return report;
    }

    private async Task<PermissionReport?> ReadAsync(string month, CancellationToken cancellationToken)
    {
        if (await archive.FindFileAsync(FileOf(month, "json"), IAlertDocuments.MaximumBytes, cancellationToken) is not { } json)
        {
            return null;
        }

        var report = PermissionReport.FromJson(json);
        if (report is null)
        {
            Log.Damaged(logger, month);
        }

        return report;
    }

    private async Task<bool> PutAsync(string month, string extension, byte[] content, CancellationToken cancellationToken)
    {
        using var stream = new MemoryStream(content);
        return await archive.PutFileAsync(FileOf(month, extension), stream, cancellationToken);
    }

    private static string FileOf(string month, string extension) => $"permissions/{month}.{extension}";

    /// <summary>
    /// The first unexplained changes for texts that people read outside: when, in which system, whose and what. Object ids of Entra stand there
    /// by pseudonym (type <c>entraObjectId</c>), as DingTalk's accounts already do.
    /// </summary>
    private IEnumerable<KeyValuePair<string, string>> FirstUnexplained(PermissionReport report) =>
        report.Changes.Where(static change => !change.Explained).Take(Named).SelectMany((change, index) =>
        {
            var name = string.Create(CultureInfo.InvariantCulture, $"first{index + 1}.");
            return new KeyValuePair<string, string>[]
            {
                new(name + "at", change.At.UtcDateTime.ToString("yyyy-MM-dd HH:mm 'UTC'", CultureInfo.InvariantCulture)), new(name + "system", change.System),
                new(name + "who", WhoOf(change)), new(name + "change", change.Change), new(name + "permission", change.Permission),
            };
        });

    private string WhoOf(PermissionChange change) => change.Who.StartsWith(PermissionSources.EntraPrefix, StringComparison.Ordinal)
        ? pseudonyms.Of("entraObjectId", change.Who[PermissionSources.EntraPrefix.Length..]) ?? "unknown"
        : change.Who;

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The archived report on permissions of {Month} is damaged; it is made anew from the trail")]
        public static partial void Damaged(ILogger logger, string month);
    }
}
