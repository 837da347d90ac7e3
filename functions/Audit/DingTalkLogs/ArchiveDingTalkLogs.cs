using System.Globalization;
using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Remote;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>A log that DingTalk keeps for 180 days.</summary>
internal enum DingTalkLog
{
    /// <summary>Who downloaded, previewed, shared which file; exclusive edition.</summary>
    FileAudit,

    /// <summary>What administrators did in the management console.</summary>
    AdminOperation,

    /// <summary>Who left, when and how.</summary>
    LeaveRecords,
}

/// <summary>
/// Every night: keeps DingTalk's own logs before they expire, a day (Asia/Shanghai) as one compressed file of JSON Lines in the archive, and
/// its hash as an entry of the trail. The records name people: they lie in the files alone, the trail knows their number and hash.
/// </summary>
/// <remarks>
/// The entry is written after the file, together with how far the log is kept; a file without its entry is written again. A log that the
/// organisation's edition or our permissions do not offer is said once and asked for again after a month.
/// </remarks>
public sealed partial class ArchiveDingTalkLogs(
    DingTalkClients clients, AuditArchive archive, IEntityStore store, IAuditTrail trail, IAlertSender alerts, TimeProvider time,
    ILogger<ArchiveDingTalkLogs> logger) : ITimerFunction
{
    private const string Partition = "dingtalk-logs";

    /// <summary>DingTalk forgets after 180 days; two of them are left for the time that a run takes.</summary>
    private const int KeptDays = 178;

    /// <summary>Days of a log that may stay unread before people are told.</summary>
    private const int PatientDays = 14;

    /// <summary>Days of one log in one run, so that catching up does not use up the month's calls.</summary>
    private const int DaysPerRun = 30;

    /// <summary>Pages of one day: five million file records.</summary>
    private const int MostPages = 10_000;

    /// <summary>Records that arrive late are still of their day after this.</summary>
    private static readonly TimeSpan Settled = TimeSpan.FromHours(2);

    private static readonly TimeSpan AskAgain = TimeSpan.FromDays(30);
    private static readonly TimeSpan Shanghai = TimeSpan.FromHours(8);

    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        if (archive.IsNone)
        {
            Log.NoArchive(logger);
            return;
        }

        foreach (var tenant in clients.Tenants)
        {
            foreach (var log in Enum.GetValues<DingTalkLog>())
            {
                await KeepAsync(tenant, log, cancellationToken);
            }
        }
    }

    private static string WordOf(DingTalkLog log) => log switch
    {
        DingTalkLog.FileAudit => "file-audit",
        DingTalkLog.AdminOperation => "admin-operation",
        _ => "leave-records",
    };

    private static DateTimeOffset StartOf(DateOnly day) => new(day.ToDateTime(TimeOnly.MinValue), Shanghai);

    private async Task KeepAsync(string tenant, DingTalkLog log, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var row = $"{tenant}|{WordOf(log)}";
        var progress = await store.GetAsync(AuditRows.TrailTable, Partition, row, cancellationToken);
        if (progress?.Properties.TryGetValue("AbsentSince", out var absent) == true && absent is DateTimeOffset since && now - since < AskAgain)
        {
            return;
        }

        var last = DateOnly.FromDateTime((now - Settled).ToOffset(Shanghai).Date).AddDays(-1);
        var earliest = last.AddDays(-KeptDays);
        var next = progress?.Properties.Get<string>("Day") is { } done ? DateOnly.ParseExact(done, "yyyy-MM-dd", CultureInfo.InvariantCulture).AddDays(1) : earliest;
        if (next < earliest)
        {
            await TellGapAsync(tenant, log, next, earliest.AddDays(-1), now, cancellationToken);
            next = earliest;
        }

        for (var days = 0; next <= last && days < DaysPerRun; next = next.AddDays(1), days++)
        {
            await using var lines = new LogLines();
            var result = await ReadDayAsync(tenant, log, next, lines, cancellationToken);
            if (!result.IsOk)
            {
                await ConcludeRefusalAsync(tenant, log, row, progress, result, now, (next, last), cancellationToken);
                return;
            }

            progress = await StoreDayAsync(tenant, log, row, next, lines, cancellationToken);
        }
    }

    /// <summary>Reads the pages of a day. Pages that do not lead to an end are no day: what is missing then nobody knows.</summary>
    private async Task<RemoteResult> ReadDayAsync(string tenant, DingTalkLog log, DateOnly day, LogLines lines, CancellationToken cancellationToken)
    {
        var (from, to) = (StartOf(day), StartOf(day.AddDays(1)).AddMilliseconds(-1));
        var client = clients[tenant];
        var asked = new HashSet<string>(StringComparer.Ordinal);
        string? next = null;
        do
        {
            var page = log switch
            {
                DingTalkLog.FileAudit => await client.ReadFileAuditLogAsync(from, to, next, cancellationToken),
                DingTalkLog.AdminOperation => await client.ReadOperatorLogAsync(from, to, next, cancellationToken),
                _ => await client.ReadLeaveRecordsAsync(from, to, next, cancellationToken),
            };
            if (page.Value is not { } read)
            {
                return page;
            }

            if ((read.Next is { } following && !asked.Add(following)) || asked.Count > MostPages || !await lines.AddAsync(read.Records, cancellationToken))
            {
                return new RemoteResult(RemoteStatus.Unavailable) { Code = "endless-pages", RequestId = page.RequestId };
            }

            next = read.Next;
        }
        while (next is not null);

        return new RemoteResult(RemoteStatus.Ok);
    }

    private async Task<Entity> StoreDayAsync(string tenant, DingTalkLog log, string row, DateOnly day, LogLines lines, CancellationToken cancellationToken)
    {
        var text = day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        var (content, payload) = await lines.EndAsync(cancellationToken);
        if (lines.Count > 0)
        {
            await archive.PutFileAsync($"dingtalk/{tenant}/{WordOf(log)}/{text[..4]}/{text}.jsonl.gz", content, cancellationToken);
        }

        var progress = new Entity(Partition, row) { Properties = { ["Schema"] = 1, ["Day"] = text } };
        await trail.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(progress)),
            [
                EventOf(DingTalkLogAudit.Kept, tenant, log, payload, null) with
                {
                    Details = new Dictionary<string, string> { ["day"] = text, ["records"] = lines.Count.ToString(CultureInfo.InvariantCulture) },
                },
            ],
            cancellationToken);
        return progress;
    }

    private async Task ConcludeRefusalAsync(
        string tenant, DingTalkLog log, string row, Entity? progress, RemoteResult result, DateTimeOffset now, (DateOnly First, DateOnly Last) unread,
        CancellationToken cancellationToken)
    {
        Log.Refused(logger, WordOf(log), tenant, result.Status, result.Code);
        if (result.Status is not (RemoteStatus.Denied or RemoteStatus.NotFound or RemoteStatus.NotApplicable or RemoteStatus.Rejected or RemoteStatus.Unexpected))
        {
            // It may work tomorrow, and 180 days are long; but people have to know before they are over.
            if (unread.Last.DayNumber - unread.First.DayNumber >= PatientDays)
            {
                await TellLateAsync(tenant, log, row, unread.First, result, now, cancellationToken);
            }

            return;
        }

        var isNew = progress?.Properties.ContainsKey("AbsentSince") != true;
        var absent = new Entity(Partition, row)
        {
            Properties = { ["Schema"] = 1, ["Day"] = progress?.Properties.Get<string>("Day"), ["AbsentSince"] = now },
        };
        await trail.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(absent)),
            isNew
                ? [EventOf(DingTalkLogAudit.Absent, tenant, log, PayloadHash.None, $"DingTalk refuses it: {result.Status} {result.Code}.") with { Outcome = AuditOutcome.Failed }]
                : [],
            cancellationToken);
        if (isNew)
        {
            await alerts.SendAsync(
                new()
                {
                    AlertId = $"audit.dingtalk_log_absent:{row}",
                    Type = "audit.dingtalk_log_absent",
                    Severity = AlertSeverity.Warning,
                    OccurredAt = now,
                    Summary = $"The DingTalk organisation {tenant} does not offer its log {WordOf(log)}.",
                    About = tenant,
                    Details = new Dictionary<string, string> { ["log"] = WordOf(log), ["code"] = result.Code ?? result.Status.ToString() },
                },
                cancellationToken);
        }
    }

    private Task TellLateAsync(
        string tenant, DingTalkLog log, string row, DateOnly first, RemoteResult result, DateTimeOffset now, CancellationToken cancellationToken) => alerts.SendAsync(
        new()
        {
            AlertId = string.Create(CultureInfo.InvariantCulture, $"audit.dingtalk_log_late:{row}:{now:yyyyMM}"),
            Type = "audit.dingtalk_log_late",
            Severity = AlertSeverity.Warning,
            OccurredAt = now,
            Summary = $"The log {WordOf(log)} of the DingTalk organisation {tenant} has not been read for weeks.",
            About = tenant,
            Details = new Dictionary<string, string>
            {
                ["log"] = WordOf(log), ["from"] = first.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
                ["lostOn"] = first.AddDays(KeptDays).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), ["code"] = result.Code ?? result.Status.ToString(),
            },
        },
        cancellationToken);

    private async Task TellGapAsync(string tenant, DingTalkLog log, DateOnly from, DateOnly to, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (first, last) = (from.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture), to.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture));
        await trail.AppendAsync(
            EventOf(DingTalkLogAudit.Gap, tenant, log, PayloadHash.None, $"DingTalk has forgotten {first} to {last}.") with { Outcome = AuditOutcome.Failed }, cancellationToken);
        await alerts.SendAsync(
            new()
            {
                AlertId = $"audit.dingtalk_log_gap:{tenant}:{WordOf(log)}:{first}",
                Type = "audit.dingtalk_log_gap",
                Severity = AlertSeverity.Critical,
                OccurredAt = now,
                Summary = $"The log {WordOf(log)} of the DingTalk organisation {tenant} was not kept from {first} to {last}.",
                About = tenant,
                Details = new Dictionary<string, string> { ["log"] = WordOf(log), ["from"] = first, ["to"] = last },
            },
            cancellationToken);
    }

    private static AuditEvent EventOf(AuditKind kind, string tenant, DingTalkLog log, PayloadHash payload, string? reason) => new()
    {
        Kind = kind, Actor = AuditActor.System(nameof(ArchiveDingTalkLogs)), Payload = payload, On = new("dingtalkLog", $"{tenant}/{WordOf(log)}"), Reason = reason,
    };

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The log {LogName} of the DingTalk organisation {Tenant} could not be read: {Status} {Code}")]
        public static partial void Refused(ILogger logger, string logName, string tenant, RemoteStatus status, string? code);

        [LoggerMessage(2, LogLevel.Warning, "DingTalk's own logs are not kept: there is no archive (Audit:Archive)")]
        public static partial void NoArchive(ILogger logger);
    }
}
