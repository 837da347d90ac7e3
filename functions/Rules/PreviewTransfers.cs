using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Settings;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Rules;

/// <summary>
/// <c>POST transfers/preview</c>: what recording this batch would answer, and how counters and rules would stand then. Records nothing.
/// </summary>
public sealed class PreviewTransfers(
    TransfersOptions options, TransferIntake intake, SubjectLedger ledger, RuleEngine engine, ThresholdReader thresholds, PseudonymKey key, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        await using var body = await BatchBody.OpenAsync(context, options, key, time);
        if (body is null)
        {
            return;
        }

        var now = time.GetUtcNow();
        var (receipt, proposed) = await intake.PreviewAsync(body, LegalTime.YearOf(now), context.MayReport(options), context.RequestAborted);
        if (receipt is { Read: 0, Complete: false })
        {
            await context.ProblemAsync(receipt.Problem, receipt.ProblemDetail);
            return;
        }

        await context.RecordReadAsync(TransferAudit.Previewed, new("batch", body.BatchId));
        List<ExporterPreview> exporters = [];
        foreach (var facts in proposed)
        {
            var exporter = options.Exporters[facts.Exporter];
            var preview = await ledger.PreviewAsync(facts, context.RequestAborted);
            exporters.Add(new(
                exporter.Id, facts.Year, preview.Counters.Subjects,
                new SortedDictionary<string, long>(preview.Counters.Counters.Where(counter => counter.Key != "subjects").ToDictionary(StringComparer.Ordinal), StringComparer.Ordinal),
                new SortedDictionary<string, long>(preview.Changes.ToDictionary(StringComparer.Ordinal), StringComparer.Ordinal),
                CrossedBy(preview, exporter, now),
                facts.YearBefore is { IsEmpty: false } late
                    ? CrossedBy(await ledger.PreviewAsync(late, context.RequestAborted), exporter, LegalTime.StartOf(facts.Year).AddTicks(-1))
                    : [],
                await thresholds.PreviewAsync(exporter, preview.Counters, now, context.RequestAborted)));
        }

        await context.WriteJsonAsync(new TransferPreview(receipt, exporters), PreviewJson.Default.TransferPreview);
    });

    /// <summary>Rules that would be reached and are not now. Incidents are no matter of a batch: with or without them it crosses the same rules.</summary>
    private IReadOnlyList<string> CrossedBy(LedgerPreview preview, Exporter exporter, DateTimeOffset asOf)
    {
        var after = preview.Counters.Counters;
        var before = after.ToDictionary(counter => counter.Key, counter => counter.Value - preview.Changes.GetValueOrDefault(counter.Key), StringComparer.Ordinal);
        var reached = engine.Evaluate(exporter, before, asOf).Rules.Where(static rule => rule.Reached).Select(static rule => rule.Rule).ToHashSet(StringComparer.Ordinal);
        return [.. engine.Evaluate(exporter, after, asOf).Rules.Where(rule => rule.Reached && !reached.Contains(rule.Rule)).Select(static rule => rule.Rule)];
    }
}

/// <summary>How things would stand if the batch were recorded.</summary>
/// <param name="Receipt">What recording it would answer.</param>
/// <param name="Exporters">Counters and rules of each exporter that has records in it.</param>
internal sealed record TransferPreview(TransferReceipt Receipt, IReadOnlyList<ExporterPreview> Exporters);

/// <summary>How one exporter would stand.</summary>
/// <param name="Exporter">The exporter's id.</param>
/// <param name="Year">The present calendar year (Asia/Shanghai).</param>
/// <param name="Subjects">Distinct data subjects.</param>
/// <param name="Counters">As they would be.</param>
/// <param name="Changes">By how much each would change; those that would not are left out.</param>
/// <param name="Crossed">Rules that would be reached and are not now.</param>
/// <param name="CrossedLastYear">The same for the year before, to which records that come late belong.</param>
/// <param name="Thresholds">Every rule as it would stand, with its forecast; what would be latched is not said.</param>
internal sealed record ExporterPreview(
    string Exporter, int Year, long Subjects, IReadOnlyDictionary<string, long> Counters, IReadOnlyDictionary<string, long> Changes,
    IReadOnlyList<string> Crossed, IReadOnlyList<string> CrossedLastYear, Thresholds Thresholds);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true, Converters = [typeof(WordConverter<BatchStop>)])]
[JsonSerializable(typeof(TransferPreview))]
internal sealed partial class PreviewJson : JsonSerializerContext;
