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
/// Says on which day a counter will reach a limit if things go on at their pace (<see cref="ForecastPace"/>). Pure. Nothing is said
/// beyond 31 December, when windows restart.
/// </summary>
public static class CrossingForecast
{
    /// <summary>Projects a counter.</summary>
    /// <param name="days">What is known.</param>
    /// <param name="count">The counter at the end of the last full day.</param>
    /// <param name="limit">The number to be reached.</param>
    /// <param name="present">Where the counter stands on the day that is not over, when that is known.</param>
    /// <param name="today">The day that is not over; the one after the last full day unless nobody looked for some days.</param>
    public static ThresholdForecast Project(DailySubjects days, long count, long limit, long? present = null, DateOnly? today = null)
    {
        ArgumentNullException.ThrowIfNull(days);
        if (count >= limit || present >= limit)
        {
            return new(null, "reached");
        }

        if (ForecastPace.Of(days) is not { } pace)
        {
            return new(null, "fewer than three full days of data");
        }

        if (pace.IsNone)
        {
            return new(null, $"{pace.Method}: no new subjects");
        }

        var (next, expected) = Start(pace.Last, count, present, today);
        for (var day = next; day.Year == pace.Last.Year || day == next; day = day.AddDays(1))
        {
            expected += pace.On(day);
            if (day == next && present is { } known)
            {
                // The day that is not over brings at least what it has brought already.
                expected = Math.Max(expected, known);
            }

            // The sum of a few hundred terms is exact to far better than this.
            if (expected >= limit - 1e-6)
            {
                return new(day, pace.Method) { Basis = pace.Basis };
            }
        }

        return new(null, $"{pace.Method}: not before the window restarts on 1 January");
    }

    /// <summary>Where a counter will stand at the end of the year if things go on as they do; <see langword="null"/> when that cannot be said.</summary>
    /// <param name="days">What is known.</param>
    /// <param name="count">The counter at the end of the last full day.</param>
    /// <param name="present">Where it stands on the day that is not over.</param>
    /// <param name="today">The day that is not over; the one after the last full day unless nobody looked for some days.</param>
    public static long? AtYearEnd(DailySubjects days, long count, long present, DateOnly? today = null)
    {
        ArgumentNullException.ThrowIfNull(days);
        if (ForecastPace.Of(days) is not { } pace)
        {
            return null;
        }

        var (next, expected) = Start(pace.Last, count, present, today);
        for (var day = next; day.Year == pace.Last.Year; day = day.AddDays(1))
        {
            expected += pace.On(day);
            expected = day == next ? Math.Max(expected, present) : expected;
        }

        return Math.Max((long)Math.Round(expected, MidpointRounding.AwayFromZero), present);
    }

    /// <summary>The first day that is still to come, and where the counter stands as it begins.</summary>
    private static (DateOnly Day, double Count) Start(DateOnly last, long count, long? present, DateOnly? today)
    {
        var next = last.AddDays(1);

        // What came on days on which nobody looked is in the present count; whether before or after midnight, nobody knows.
        return today is { } day && day > next ? (day, present ?? count) : (next, count);
    }
}
