using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Rules;

/// <summary>Says how an exporter stands, from the ledger's exact counters, what was observed of their days, and the incidents that are open.</summary>
public sealed class ThresholdReader(RuleEngine engine, SubjectLedger ledger, CounterHistory history, IncidentStore incidents, TimeProvider time)
{
    /// <summary>How an exporter stands now. Everything that was accepted before the call is counted.</summary>
    public async Task<Thresholds> ReadAsync(Exporter exporter, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(exporter);
        var now = time.GetUtcNow();
        var counters = await ledger.ReadCountersAsync(exporter.Id, LegalTime.YearOf(now), cancellationToken);
        return await EvaluateAsync(exporter, counters, now, cancellationToken);
    }

    /// <summary>
    /// How an exporter stood at the end of the calendar year before the present one: records that come late, or after the timer's last look
    /// at that year, may have made it reach what it had not. Only what is accumulated within a year is looked at.
    /// </summary>
    public async Task<Thresholds> ReadLastYearAsync(Exporter exporter, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(exporter);
        var year = LegalTime.YearOf(time.GetUtcNow()) - 1;
        var counters = await ledger.ReadCountersAsync(exporter.Id, year, cancellationToken);
        var thresholds = engine.Evaluate(exporter, counters.Counters, LegalTime.StartOf(year + 1).AddTicks(-1));
        return thresholds with { Rules = [.. thresholds.Rules.Where(static rule => rule.Predicate is not null)] };
    }

    /// <summary>As <see cref="ReadAsync"/>, and notes where the counters stand today.</summary>
    public async Task<Thresholds> ReadAndRecordAsync(Exporter exporter, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(exporter);
        var now = time.GetUtcNow();
        var counters = await ledger.ReadCountersAsync(exporter.Id, LegalTime.YearOf(now), cancellationToken);
        await history.RecordAsync(counters, cancellationToken);
        return await EvaluateAsync(exporter, counters, now, cancellationToken);
    }

    /// <summary>How an exporter would stand with counters of the present year that are not recorded.</summary>
    public Task<Thresholds> PreviewAsync(Exporter exporter, LedgerCounters counters, DateTimeOffset now, CancellationToken cancellationToken) =>
        EvaluateAsync(exporter, counters, now, cancellationToken);

    private async Task<Thresholds> EvaluateAsync(Exporter exporter, LedgerCounters counters, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var today = LegalTime.DayOf(now);
        var days = await history.ReadAsync(exporter.Id, counters.Year, cancellationToken);
        IReadOnlyList<CounterDay> full = [.. days.Where(day => day.Day < today)];
        var incident = await incidents.LargestOpenAsync(exporter.Id, cancellationToken);
        return engine.Evaluate(exporter, counters.Counters, now, (predicate, count, lower) =>
        {
            var (known, atEnd) = DailyHistory.Of(full, predicate);
            return known is null
                ? new(null, "fewer than three full days of data")
                // A correction since then lowers the point from which it goes on.
                : CrossingForecast.Project(known, Math.Min(atEnd, count), lower, count, today);
        }, incident);
    }
}

/// <summary>Makes new subjects a day of counters that were observed at the ends of days.</summary>
internal static class DailyHistory
{
    /// <summary>
    /// New subjects by day, from the first day on which there were any. What came over days of which nothing is known is spread evenly over
    /// them. The first known day brought all that there was.
    /// </summary>
    /// <param name="days">Full days, in order.</param>
    /// <param name="counter">Which counter.</param>
    /// <returns>The days and the count at the end of the last; <see langword="null"/> when none was looked at.</returns>
    public static (DailySubjects? Days, long AtEnd) Of(IReadOnlyList<CounterDay> days, string counter)
    {
        days = [.. days.SkipWhile(day => day.Counters.GetValueOrDefault(counter) == 0)];
        if (days.Count == 0)
        {
            return (null, 0);
        }

        var counts = new List<long> { days[0].Counters.GetValueOrDefault(counter) };
        for (var i = 1; i < days.Count; i++)
        {
            var (span, gain) = (
                days[i].Day.DayNumber - days[i - 1].Day.DayNumber, days[i].Counters.GetValueOrDefault(counter) - days[i - 1].Counters.GetValueOrDefault(counter));
            for (var part = 1; part <= span; part++)
            {
                counts.Add((gain * part / span) - (gain * (part - 1) / span));
            }
        }

        return (new(days[0].Day, counts), days[^1].Counters.GetValueOrDefault(counter));
    }
}
