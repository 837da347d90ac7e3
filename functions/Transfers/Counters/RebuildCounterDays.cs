using DingFlow.Hosting;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Every night after the day has ended in Shanghai: counts from the records how the counters stood on days of the present year and of the one
/// before on which nobody saw anything yet, so that a company that begins in mid-year has a past to draw a forecast from.
/// </summary>
public sealed partial class RebuildCounterDays(
    TransfersOptions options, SubjectLedger ledger, PredicateSet predicates, CounterHistory history, TimeProvider time, ILogger<RebuildCounterDays> logger) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        foreach (var exporter in options.Exporters.Values)
        {
            await RebuildAsync(exporter.Id, cancellationToken);
        }
    }

    private async Task RebuildAsync(string exporter, CancellationToken cancellationToken)
    {
        var yesterday = LegalTime.DayOf(time.GetUtcNow()).AddDays(-1);
        DayCounter[] years = [new(predicates, yesterday.Year - 1), new(predicates, yesterday.Year)];
        long[] subjects =
        [
            (await ledger.ReadCountersAsync(exporter, yesterday.Year - 1, cancellationToken)).Subjects,
            (await ledger.ReadCountersAsync(exporter, yesterday.Year, cancellationToken)).Subjects,
        ];
        await foreach (var record in ledger.ReadRecordsAsync(exporter, null, cancellationToken))
        {
            foreach (var year in years)
            {
                year.Add(record);
            }
        }

        foreach (var (counter, through, counted) in years.Zip([new DateOnly(yesterday.Year - 1, 12, 31), yesterday], subjects))
        {
            if (counter.ToCompleteDays(counted) is not { } days)
            {
                // What was observed day by day stands.
                Log.NotRebuilt(logger, exporter, through.Year);
            }
            else if (counted > 0)
            {
                Log.Rebuilt(
                    logger, exporter, through.Year, await history.FillAsync(exporter, [.. days.Where(day => day.Day <= through)], cancellationToken));
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The days of {Exporter} in {Year} were counted from the records; {Days} of them changed")]
        public static partial void Rebuilt(ILogger logger, string exporter, int year, int days);

        [LoggerMessage(2, LogLevel.Warning, "The days of {Exporter} in {Year} cannot be counted from the records: too many persons, or records past their retention; what was observed stands")]
        public static partial void NotRebuilt(ILogger logger, string exporter, int year);
    }
}
