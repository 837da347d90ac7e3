using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary><c>POST transfers/recount?exporter=</c>: counts every row of an exporter's ledger anew and compares. An operator's proof that the counters are right.</summary>
public sealed class RecountTransfers(TransfersOptions options, LedgerProof proof, IAuditTrail trail) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await context.ExporterAsync(options, context.Request.Query["exporter"]) is { } exporter)
        {
            context.Features.Get<RequestTimeLimit>()?.Lift();
            var report = await proof.RecountAsync(exporter.Id, context.RequestAborted);
            await trail.AppendAsync(
                TransferAudit.RecountOf(report, TransferAudit.By(context, TransferAudit.Recounted, new("exporter", exporter.Id))), context.RequestAborted);
            await context.WriteJsonAsync(report, TransfersJson.Default.RecountReport);
        }
    });
}

/// <summary>The same for every exporter, weekly.</summary>
public sealed class ProveTransferCounters(TransfersOptions options, LedgerProof proof, IAuditTrail trail) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        foreach (var exporter in options.Exporters.Values)
        {
            var report = await proof.RecountAsync(exporter.Id, cancellationToken);
            await trail.AppendAsync(
                TransferAudit.RecountOf(report, new()
                {
                    Kind = TransferAudit.Recounted,
                    Actor = AuditActor.System(nameof(ProveTransferCounters)),
                    Payload = PayloadHash.None,
                    On = new("exporter", exporter.Id),
                }),
                cancellationToken);
        }
    }
}

/// <summary>Recounts, and tells people when a counter is not what its rows say.</summary>
public sealed partial class LedgerProof(SubjectLedger ledger, IAlertSender alerts, TimeProvider time, ILogger<LedgerProof> logger)
{
    /// <summary>Recounts one exporter.</summary>
    public async Task<RecountReport> RecountAsync(string exporter, CancellationToken cancellationToken)
    {
        var report = await ledger.RecountAsync(exporter, cancellationToken);
        if (report.Agrees)
        {
            Log.Agrees(logger, exporter, report.Subjects);
            return report;
        }

        Log.Differs(logger, exporter, report.Differences.Count);
        var now = time.GetUtcNow();
        await alerts.SendAsync(
            new()
            {
                AlertId = $"transfers.recount_differs:{exporter}:{LegalTime.DayOf(now):yyyy-MM-dd}",
                Type = "transfers.recount_differs",
                Severity = AlertSeverity.Critical,
                OccurredAt = now,
                Summary = $"Counters of {exporter} are not what the rows of its ledger say. Do not report from them before this is cleared.",
                About = exporter,
                Details = new Dictionary<string, string>
                {
                    ["exporter"] = exporter,
                    ["differences"] = report.Differences.Count.ToString(System.Globalization.CultureInfo.InvariantCulture),
                },
            },
            cancellationToken);
        return report;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Recounted {Exporter}: {Subjects} subjects, the counters agree")]
        public static partial void Agrees(ILogger logger, string exporter, long subjects);

        [LoggerMessage(2, LogLevel.Critical, "Recounted {Exporter}: {Differences} counters differ from the rows")]
        public static partial void Differs(ILogger logger, string exporter, int differences);
    }
}
