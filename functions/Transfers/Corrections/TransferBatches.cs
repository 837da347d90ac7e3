using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary><c>GET transfers/batches/{id}</c>: what became of a batch, for each exporter that has records in it.</summary>
public sealed class GetTransferBatch(TransfersOptions options, SubjectLedger ledger) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await BatchesOf.FindAsync(context, options, ledger) is { } found)
        {
            await context.WriteJsonAsync(new TransferBatchView(found.Id, found.Parts), TransfersJson.Default.TransferBatchView);
        }
    });
}

/// <summary>
/// <c>POST transfers/batches/{id}/void</c>: takes a wrong batch back. Every person in it keeps what other batches say. Voiding again
/// changes nothing; the batch cannot be sent again under its id.
/// </summary>
public sealed partial class VoidTransferBatch(TransfersOptions options, SubjectLedger ledger, ChangeJournal journal, ILogger<VoidTransferBatch> logger) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await context.ReasonAsync() is not { } reason || await BatchesOf.FindAsync(context, options, ledger) is not { } found)
        {
            return;
        }

        // A batch of millions takes longer to take back than a request may.
        context.Features.Get<RequestTimeLimit>()?.Lift();

        // Its sender may be about to send the rest of it, which may be of other exporters.
        foreach (var exporter in BatchesOf.ExportersOf(context, options))
        {
            if (found.Parts.All(part => part.Exporter != exporter.Id))
            {
                await ledger.CloseBatchAsync(exporter.Id, found.Id, context.RequestAborted);
            }
        }
        foreach (var part in found.Parts)
        {
            await AuditedChange.RunAsync(
                journal, LedgerQuestion.Void(part.Exporter, found.Id),
                [TransferAudit.By(context, TransferAudit.BatchVoided, new("batch", found.Id)) with { Exporter = part.Exporter, Reason = reason, Payload = context.PayloadHash() }],
                async _ =>
                {
                    await ledger.VoidBatchAsync(part.Exporter, found.Id, context.RequestAborted);
                    return true;
                },
                context.RequestAborted);
        }

        Log.Voided(logger, found.Id, found.Parts.Count, context.Principal());
        await context.WriteJsonAsync(
            new TransferBatchView(found.Id, [.. found.Parts.Select(part => part with { State = BatchState.Voided })]), TransfersJson.Default.TransferBatchView);
    });

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Batch {BatchId} of {Exporters} exporters was voided by {Principal}")]
        public static partial void Voided(ILogger logger, string batchId, int exporters, string? principal);
    }
}

/// <summary>A batch as the API shows it.</summary>
/// <param name="BatchId">Our id of it.</param>
/// <param name="Exporters">Its records by exporter, as far as the caller may see them.</param>
internal sealed record TransferBatchView(string BatchId, IReadOnlyList<TransferBatchPart> Exporters);

/// <summary>The records that one exporter has in a batch.</summary>
/// <param name="Exporter">The exporter's id.</param>
/// <param name="State">Where they stand.</param>
/// <param name="AcceptedAt">When the first of them was accepted.</param>
/// <param name="Records">How many were accepted.</param>
internal sealed record TransferBatchPart(string Exporter, BatchState State, DateTimeOffset AcceptedAt, int Records);

/// <summary>Finds a batch wherever it has records.</summary>
internal static class BatchesOf
{
    private const int IdLength = 32;

    /// <summary>The exporters for which the caller may act.</summary>
    public static IEnumerable<Exporter> ExportersOf(HttpContext context, TransfersOptions options) =>
        options.Exporters.Values.Where(exporter => context.MayUseExporter(exporter.Id)).OrderBy(exporter => exporter.Id, StringComparer.Ordinal);

    public static async Task<(string Id, IReadOnlyList<TransferBatchPart> Parts)?> FindAsync(HttpContext context, TransfersOptions options, SubjectLedger ledger)
    {
        List<TransferBatchPart> parts = [];
        if (context.Request.RouteValues["id"] is string { Length: IdLength } id && id.All(char.IsAsciiHexDigitLower))
        {
            foreach (var exporter in ExportersOf(context, options))
            {
                if (await ledger.FindBatchAsync(exporter.Id, id, context.RequestAborted) is { Records: > 0 } info)
                {
                    parts.Add(new(exporter.Id, info.State, info.AcceptedAt, info.Records));
                }
            }

            if (parts.Count > 0)
            {
                return (id, parts);
            }
        }

        await context.ProblemAsync(ProblemCode.NotFound, "There is no such batch, or its records are past their retention.");
        return null;
    }
}
