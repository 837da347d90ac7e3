using System.Globalization;

namespace DingFlow.Rules;

/// <summary>New subjects of a counter, day by day.</summary>
/// <param name="First">The first day, in Asia/Shanghai.</param>
/// <param name="Counts">One number per calendar day without gaps; the last day is the last full one. Corrections may be negative.</param>
public sealed record DailySubjects(DateOnly First, IReadOnlyList<long> Counts)
{
    /// <summary>The last full day.</summary>
    public DateOnly Last => First.AddDays(Counts.Count - 1);
}

/// <summary>
/// Says on which day a counter will reach a limit if things go on as they do. Pure. Less than three full days say nothing; up to two
/// weeks are drawn on as a straight line; from two weeks on each weekday goes on as that weekday has been, recent weeks weighing more
/// (half as much for every four weeks of age, eight weeks at most). A first day that dwarfs the others is an opening load, not a pace,
/// and is left out. Nothing is said beyond 31 December, when windows restart.
/// </summary>
public static class CrossingForecast
{
    private const int MinimumDays = 3;
    private const int Week = 7;
    private const int MinimumWeekdayDays = 2 * Week;
    private const int MaximumWeeks = 8;
    private const int HalfLifeWeeks = 4;
    private const int OpeningLoadFactor = 10;

    /// <summary>Projects a counter.</summary>
    /// <param name="days">What is known.</param>
    /// <param name="count">The counter at the end of the last full day.</param>
    /// <param name="limit">The number to be reached.</param>
    /// <param name="present">Where the counter stands on the day that is not over, when that is known.</param>
    public static ThresholdForecast Project(DailySubjects days, long count, long limit, long? present = null)
    {
        ArgumentNullException.ThrowIfNull(days);
        if (count >= limit || present >= limit)
        {
            return new(null, "reached");
        }

        if (PaceOf(days) is not var (last, pace, method, basis))
        {
            return new(null, "fewer than three full days of data");
        }

        if (pace.Sum() <= 0)
        {
            return new(null, $"{method}: no new subjects");
        }

        double expected = count;
        for (var day = last.AddDays(1); day.Year == last.Year || day == last.AddDays(1); day = day.AddDays(1))
        {
            expected += pace[(int)day.DayOfWeek];
            if (day == last.AddDays(1) && present is { } known)
            {
                // The day that is not over brings at least what it has brought already.
                expected = Math.Max(expected, known);
            }

            // The sum of a few hundred terms is exact to far better than this.
            if (expected >= limit - 1e-6)
            {
                return new(day, method) { Basis = basis };
            }
        }

        return new(null, $"{method}: not before the window restarts on 1 January");
    }

    /// <summary>Where a counter will stand at the end of the year if things go on as they do; <see langword="null"/> when that cannot be said.</summary>
    /// <param name="days">What is known.</param>
    /// <param name="count">The counter at the end of the last full day.</param>
    /// <param name="present">Where it stands on the day that is not over.</param>
    public static long? AtYearEnd(DailySubjects days, long count, long present)
    {
        ArgumentNullException.ThrowIfNull(days);
        if (PaceOf(days) is not var (last, pace, _, _))
        {
            return null;
        }

        double expected = count;
        for (var day = last.AddDays(1); day.Year == last.Year; day = day.AddDays(1))
        {
            expected += pace[(int)day.DayOfWeek];
            expected = day == last.AddDays(1) ? Math.Max(expected, present) : expected;
        }

        return Math.Max((long)Math.Round(expected, MidpointRounding.AwayFromZero), present);
    }

    private static (DateOnly Last, double[] Pace, string Method, ForecastBasis Basis)? PaceOf(DailySubjects days)
    {
        var (first, counts, note) = WithoutOpeningLoad(days);
        if (counts.Count < MinimumDays)
        {
            return null;
        }

        var last = first.AddDays(counts.Count - 1);
        return counts.Count < MinimumWeekdayDays
            ? (last, StraightLine(counts), string.Create(CultureInfo.InvariantCulture, $"straight line over {counts.Count} days{note}"), ForecastBasis.StraightLine)
            : (last, ByWeekday(counts, last), string.Create(
                CultureInfo.InvariantCulture, $"by weekday over {Math.Min(counts.Count / Week, MaximumWeeks)} weeks, recent weeks weighing more{note}"),
                ForecastBasis.ByWeekday);
    }

    private static (DateOnly First, IReadOnlyList<long> Counts, string Note) WithoutOpeningLoad(DailySubjects days)
    {
        if (days.Counts.Count <= MinimumDays)
        {
            return (days.First, days.Counts, "");
        }

        var rest = days.Counts.Skip(1).ToList();
        var median = rest.Order().ElementAt(rest.Count / 2);
        return days.Counts[0] > OpeningLoadFactor * Math.Max(1, median)
            ? (days.First.AddDays(1), rest, ", without the opening load of the first day")
            : (days.First, days.Counts, "");
    }

    private static double[] StraightLine(IReadOnlyList<long> counts)
    {
        var pace = new double[Week];
        Array.Fill(pace, Math.Max(0, counts.Average()));
        return pace;
    }

    private static double[] ByWeekday(IReadOnlyList<long> counts, DateOnly last)
    {
        var (sums, weights) = (new double[Week], new double[Week]);
        var span = Math.Min(counts.Count / Week, MaximumWeeks) * Week;
        for (var age = 0; age < span; age++)
        {
            var weekday = (int)last.AddDays(-age).DayOfWeek;
            var weight = Math.Pow(0.5, (double)(age / Week) / HalfLifeWeeks);
            sums[weekday] += weight * counts[^(age + 1)];
            weights[weekday] += weight;
        }

        return [.. sums.Zip(weights, (sum, weight) => Math.Max(0, sum / weight))];
    }
}
