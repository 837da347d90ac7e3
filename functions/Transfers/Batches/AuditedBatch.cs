using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// The entries of one batch, from whichever door it comes: that it is about to be recorded, before its first record is, and what came of it.
/// A batch of which nothing is to be recorded (it was sent before, or nothing of it is good) has the second alone.
/// </summary>
/// <param name="journal">The journal.</param>
/// <param name="trail">The trail.</param>
/// <param name="batchId">Our id of the batch.</param>
/// <param name="reported">The batch, as its entry says it once it is recorded.</param>
internal sealed class AuditedBatch(ChangeJournal journal, IAuditTrail trail, string batchId, AuditEvent reported) : IAsyncDisposable
{
    private readonly SortedSet<string> _exporters = new(StringComparer.Ordinal);
    private ChangeUnderWay? _underWay;

    /// <summary>Before records of exporters are appended: the journal knows of the batch and of each of them, and its lease holds.</summary>
    public async Task BeforeAsync(IReadOnlyCollection<string> exporters, CancellationToken cancellationToken)
    {
        var isNews = exporters.Any(exporter => !_exporters.Contains(exporter));
        _exporters.UnionWith(exporters);
        if (_underWay is null)
        {
            _underWay = await journal.BeginAsync(
                new()
                {
                    Begun = TransferAudit.ChangeBegun,
                    Question = LedgerQuestion.BatchName,
                    Arguments = LedgerQuestion.Batch(batchId, _exporters).Arguments,
                    Events = [Reported()],
                },
                cancellationToken);
        }
        else
        {
            await _underWay.HoldAsync(isNews ? LedgerQuestion.Batch(batchId, _exporters).Arguments : null, cancellationToken);
        }
    }

    /// <summary>The batch was taken in, to its end or to where a limit or a fault ended it.</summary>
    /// <param name="receipt">How.</param>
    /// <param name="body">The hash of its body, if it was read to its end.</param>
    public Task TakenInAsync(TransferReceipt receipt, PayloadHash body)
    {
        Dictionary<string, string> found = new(StringComparer.Ordinal)
        {
            ["accepted"] = Number(receipt.Accepted), ["duplicates"] = Number(receipt.Duplicates), ["rejected"] = Number(receipt.RejectedCount),
        };
        if (!receipt.Complete)
        {
            found["stopped"] = receipt.Stopped.ToString();
        }

        return EndAsync(AuditOutcome.Succeeded, found, body);
    }

    /// <summary>The ledger refused it, after so many of its records.</summary>
    public Task RefusedAsync(LedgerRefusal reason, long accepted) => EndAsync(
        AuditOutcome.Refused, new(StringComparer.Ordinal) { ["cause"] = reason.ToString(), ["accepted"] = Number(accepted) }, PayloadHash.None);

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _underWay?.DisposeAsync() ?? ValueTask.CompletedTask;

    private async Task EndAsync(AuditOutcome outcome, Dictionary<string, string> found, PayloadHash body)
    {
        if (_exporters.Count > 1)
        {
            found["exporters"] = string.Join(' ', _exporters);
        }

        if (_underWay is { } underWay)
        {
            await underWay.EndAsync(outcome, found, body);
            return;
        }

        foreach (var (name, value) in reported.Details)
        {
            found.TryAdd(name, value);
        }

        await trail.AppendAsync(reported with { Outcome = outcome, Details = found, Payload = body.Hex is null ? reported.Payload : body }, CancellationToken.None);
    }

    private AuditEvent Reported() => _exporters.Count == 1 ? reported with { Exporter = _exporters.Min } : reported;

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
