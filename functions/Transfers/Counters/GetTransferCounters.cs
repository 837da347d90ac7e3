using DingFlow.Hosting;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// <c>GET transfers/counters?exporter=&amp;year=</c>: how many distinct persons, exact for everything that was accepted before the question.
/// </summary>
public sealed class GetTransferCounters(TransfersOptions options, SubjectLedger ledger, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await context.ExporterAsync(options, context.Request.Query["exporter"]) is not { } exporter
            || await context.YearAsync(time) is not { } year)
        {
            return;
        }

        var counters = await ledger.ReadCountersAsync(exporter.Id, year, context.RequestAborted);
        var openings = await ledger.ReadOpeningBalancesAsync(exporter.Id, context.RequestAborted);
        await context.WriteJsonAsync(CountersView.Of(counters, openings), TransfersJson.Default.CountersView);
    });
}

/// <summary>The counters of one exporter and calendar year (Asia/Shanghai) as the API shows them.</summary>
/// <param name="Exporter">The exporter's id.</param>
/// <param name="Year">The year.</param>
/// <param name="Subjects">Distinct data subjects.</param>
/// <param name="Counters">Distinct data subjects by what was transferred: <c>predicates.json</c> says what each name means.</param>
/// <param name="OpeningBalances">Counts from before DingFlow, which are in no counter.</param>
internal sealed record CountersView(
    string Exporter, int Year, long Subjects, IReadOnlyDictionary<string, long> Counters, IReadOnlyList<OpeningBalance> OpeningBalances)
{
    public static CountersView Of(LedgerCounters counters, IReadOnlyList<OpeningBalance> openings) => new(
        counters.Exporter, counters.Year, counters.Subjects,
        new SortedDictionary<string, long>(
            counters.Counters.Where(counter => counter.Key != "subjects").ToDictionary(StringComparer.Ordinal), StringComparer.Ordinal),
        [.. openings.Where(opening => opening.Year == counters.Year)]);
}
