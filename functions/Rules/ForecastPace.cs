using System.Globalization;

namespace DingFlow.Rules;

/// <summary>
/// How many new subjects a day brings, by what the days before brought. Less than three full days say nothing; up to two weeks are drawn on
/// as a straight line; from two weeks on each weekday goes on as that weekday has been, recent weeks weighing more (half as much for every
/// four weeks of age, eight weeks at most).
/// </summary>
/// <remarks>
/// <para>Who brings more than twice as many on each day from Monday to Friday as on Saturdays and Sundays works by the calendar of the
/// mainland: public holidays go as weekends and worked weekends as other working days, and neither says anything of its weekday. Without
/// that a week of holidays makes the forecast worse than a straight line.</para>
/// <para>First days that dwarf the others are an opening load, not a pace, and are left out: the list that counts anew on 1 January, or
/// the import with which somebody begins.</para>
/// </remarks>
internal sealed class ForecastPace
{
    private const int MinimumDays = 3;
    private const int Week = 7;
    private const int MinimumWeekdayDays = 2 * Week;
    private const int MaximumWeeks = 8;
    private const int HalfLifeWeeks = 4;
    private const int OpeningLoadFactor = 10;
    private const int MostOpeningDays = Week;

    private readonly double[] _weekdays;
    private readonly bool _byCalendar;

    private ForecastPace(DateOnly last, double[] weekdays, bool byCalendar) => (Last, _weekdays, _byCalendar) = (last, weekdays, byCalendar);

    /// <summary>The last full day.</summary>
    public DateOnly Last { get; }

    /// <summary>How it was found, in words.</summary>
    public required string Method { get; init; }

    /// <summary>How it was found.</summary>
    public required ForecastBasis Basis { get; init; }

    /// <summary>No day brings anybody.</summary>
    public bool IsNone => _weekdays.Sum() <= 0;

    /// <summary>New subjects on a day.</summary>
    public double On(DateOnly day) => !_byCalendar || !IsOutOfStep(day) ? _weekdays[(int)day.DayOfWeek]
        : WorkingCalendar.Default.IsWorkingDay(day) ? _weekdays[1..6].Average()
        : (_weekdays[0] + _weekdays[6]) / 2;

    /// <summary>The pace of some days; <see langword="null"/> when they are too few.</summary>
    public static ForecastPace? Of(DailySubjects days)
    {
        var (first, counts, note) = WithoutOpeningLoad(days);
        if (counts.Count < MinimumDays)
        {
            return null;
        }

        var last = first.AddDays(counts.Count - 1);
        if (counts.Count < MinimumWeekdayDays)
        {
            var pace = new double[Week];
            Array.Fill(pace, Math.Max(0, counts.Average()));
            return new(last, pace, byCalendar: false)
            {
                Method = string.Create(CultureInfo.InvariantCulture, $"straight line over {counts.Count} days{note}"), Basis = ForecastBasis.StraightLine,
            };
        }

        var ordinary = ByWeekday(counts, last, static day => !IsOutOfStep(day));
        var byCalendar = KeepsWeekends(ordinary);
        var weekdays = byCalendar ? ordinary : ByWeekday(counts, last, static _ => true);
        return new(last, [.. weekdays.Select(static pace => pace ?? 0)], byCalendar)
        {
            Method = string.Create(
                CultureInfo.InvariantCulture,
                $"by weekday over {Math.Min(counts.Count / Week, MaximumWeeks)} weeks, recent weeks weighing more{(byCalendar ? ", holidays as weekends" : "")}{note}"),
            Basis = ForecastBasis.ByWeekday,
        };
    }

    private static (DateOnly First, IReadOnlyList<long> Counts, string Note) WithoutOpeningLoad(DailySubjects days)
    {
        var (counts, opening) = (days.Counts, 0);
        while (opening < MostOpeningDays && counts.Count >= MinimumDays && IsLoad(counts))
        {
            (counts, opening) = ([.. counts.Skip(1)], opening + 1);
        }

        return opening == 0 ? (days.First, days.Counts, "") : (days.First.AddDays(opening), counts, opening == 1
            ? ", without the opening load of the first day"
            : string.Create(CultureInfo.InvariantCulture, $", without the opening load of the first {opening} days"));
    }

    /// <summary>The first day brought more than ten times what the middle one of the others did.</summary>
    private static bool IsLoad(IReadOnlyList<long> counts) =>
        counts[0] > OpeningLoadFactor * Math.Max(1, counts.Skip(1).Order().ElementAt((counts.Count - 1) / 2));

    /// <summary>Every day from Monday to Friday brings more than twice what Saturdays and Sundays do, and each of the seven is known.</summary>
    private static bool KeepsWeekends(double?[] weekdays) =>
        !weekdays.Contains(null) && weekdays[1..6].Min() > 2 * Math.Max(weekdays[0]!.Value, weekdays[6]!.Value);

    /// <summary>Sunday first; <see langword="null"/> where no day of that weekday is taken.</summary>
    private static double?[] ByWeekday(IReadOnlyList<long> counts, DateOnly last, Func<DateOnly, bool> takes)
    {
        var (sums, weights) = (new double[Week], new double[Week]);
        var span = Math.Min(counts.Count / Week, MaximumWeeks) * Week;
        for (var age = 0; age < span; age++)
        {
            var day = last.AddDays(-age);
            if (takes(day))
            {
                var weight = Math.Pow(0.5, (double)(age / Week) / HalfLifeWeeks);
                sums[(int)day.DayOfWeek] += weight * counts[^(age + 1)];
                weights[(int)day.DayOfWeek] += weight;
            }
        }

        return [.. sums.Zip(weights, static (sum, weight) => weight == 0 ? default(double?) : Math.Max(0, sum / weight))];
    }

    /// <summary>A weekday that is off, or a Saturday or Sunday that is worked.</summary>
    private static bool IsOutOfStep(DateOnly day) => WorkingCalendar.Default.IsWorkingDay(day) == (day.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday);
}
