using DingFlow.Hosting;

namespace DingFlow.Transfers;

/// <summary>
/// <c>POST transfers</c>: takes a batch of records in. Answered when everything that the answer calls accepted is durable; bad records
/// are refused one by one and the others go on.
/// </summary>
public sealed class RecordTransfers(TransfersOptions options, TransferIntake intake, PseudonymKey key, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        await using var body = await BatchBody.OpenAsync(context, options, key, time);
        if (body is null)
        {
            return;
        }

        var receipt = await intake.RecordAsync(
            body.BatchId, body, TransferAudit.By(context, TransferAudit.BatchRecorded, new("batch", body.BatchId)), context.MayReport(options), context.RequestAborted);
        if (receipt is { Read: 0, Complete: false })
        {
            await context.ProblemAsync(receipt.Problem, receipt.ProblemDetail);
            return;
        }

        await context.WriteJsonAsync(receipt, TransfersJson.Default.TransferReceipt, StatusCodes.Status202Accepted);
    });
}
