using System.Globalization;
using DingFlow.Rules;
using DingFlow.Transfers;

namespace DingFlow.Tests.Rules;

public sealed class CrossingForecastTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Fewer_than_three_full_days_say_nothing(int days)
    {
        var forecast = CrossingForecast.Project(Steady("2026-03-02", days, 100), 100 * days, 10_000);

        Assert.Null(forecast.Date);
        Assert.Equal("fewer than three full days of data", forecast.Method);
    }

    [Fact]
    public void A_few_days_go_on_as_a_straight_line()
    {
        // 300 after Wednesday 4 March; 9 700 more at 100 a day are 97 days.
        var forecast = CrossingForecast.Project(Steady("2026-03-02", 3, 100), 300, 10_000);

        Assert.Equal(Day("2026-03-04").AddDays(97), forecast.Date);
        Assert.Equal(("straight line over 3 days", ForecastBasis.StraightLine), (forecast.Method, forecast.Basis));
    }

    [Fact]
    public void Two_weeks_go_on_by_weekday()
    {
        // Monday to Friday 100 each, nothing at weekends: 1 000 after two weeks, on Sunday 15 March. 250 more: the Wednesday after.
        var counts = Enumerable.Range(0, 14).Select(static day => day % 7 < 5 ? 100L : 0L).ToList();

        var forecast = CrossingForecast.Project(new(Day("2026-03-02"), counts), 1_000, 1_250);

        Assert.Equal(Day("2026-03-18"), forecast.Date);
        Assert.Equal(("by weekday over 2 weeks, recent weeks weighing more, holidays as weekends", ForecastBasis.ByWeekday), (forecast.Method, forecast.Basis));
    }

    /// <summary>The measure of a forecast is how far off the day is. Sends on Mondays only, in amounts that vary by chance.</summary>
    [Fact]
    public void With_a_weekly_rhythm_it_errs_less_than_the_straight_line()
    {
        var random = new Random(20261122);
        var (byWeekday, straight) = (0, 0);
        for (var trial = 0; trial < 200; trial++)
        {
            var counts = Enumerable.Range(0, 200).Select(day => day % 7 == 0 ? 600L + random.Next(200) : random.Next(10)).ToList();
            var known = 21 + random.Next(28);
            var count = counts.Take(known).Sum();
            var limit = count + 700 + random.Next(4_000);
            var truth = Day("2026-01-05").AddDays(Enumerable.Range(known, 200 - known).First(day => counts.Take(day + 1).Sum() >= limit));
            var forecast = CrossingForecast.Project(new(Day("2026-01-05"), counts[..known]), count, limit);
            var pace = (double)count / known;
            var line = Day("2026-01-05").AddDays(known - 1 + (int)Math.Ceiling((limit - count) / pace));
            byWeekday += Math.Abs(forecast.Date!.Value.DayNumber - truth.DayNumber);
            straight += Math.Abs(line.DayNumber - truth.DayNumber);
        }

        Assert.True(byWeekday * 2 < straight, $"{byWeekday} days off by weekday, {straight} by the straight line");
    }

    /// <summary>
    /// Companies of which the forecast knows nothing beforehand, over 2026 with its holidays: how many days the day is off, in the mean of
    /// 300 looks at random days of the first five months for random limits.
    /// </summary>
    /// <param name="company">Which.</param>
    /// <param name="most">The largest part of the straight line's error that it may have. Without a weekly rhythm it may be a little worse.</param>
    [Theory]
    [InlineData("office", 0.5)]
    [InlineData("growing office", 0.9)]
    [InlineData("shrinking office", 0.95)]
    [InlineData("small office", 1.0)]
    [InlineData("shop", 0.6)]
    [InlineData("every Wednesday", 0.4)]
    [InlineData("every day the same", 1.15)]
    [InlineData("no rule at all", 1.15)]
    public void It_is_better_than_the_straight_line_where_there_is_a_weekly_rhythm_and_hardly_worse_where_there_is_none(string company, double most)
    {
        var random = new Random(company.Length);
        var first = Day("2026-01-05");
        var (ours, line, looks) = (0, 0, 0);
        while (looks < 300)
        {
            var counts = Enumerable.Range(0, 350).Select(day => NewSubjects(company, first.AddDays(day), day, random)).ToList();
            var known = 14 + random.Next(120);
            var count = counts.Take(known).Sum();
            var limit = count + (company == "small office" ? random.Next(20, 150) : random.Next(200, 4_000));
            var truth = first.AddDays(Enumerable.Range(known, 350 - known).FirstOrDefault(day => counts.Take(day + 1).Sum() >= limit));
            var forecast = CrossingForecast.Project(new(first, counts[..known]), count, limit).Date;
            var straight = first.AddDays(known - 1 + (int)Math.Ceiling((limit - count) / ((double)count / known)));
            if (forecast is not { } day || straight.Year > 2026 || truth == first)
            {
                continue;
            }

            looks++;
            ours += Math.Abs(day.DayNumber - truth.DayNumber);
            line += Math.Abs(straight.DayNumber - truth.DayNumber);
        }

        Assert.True(ours <= most * line, $"{company}: {ours} days off, {line} by the straight line");
    }

    [Fact]
    public void Holidays_go_as_weekends_and_worked_weekends_as_working_days_for_an_office()
    {
        // 100 on every working day from 5 January to 13 February 2026 and nobody else; a Saturday that is worked and nine days off follow.
        var counts = Enumerable.Range(0, 40).Select(static day => WorkingCalendar.Default.IsWorkingDay(Day("2026-01-05").AddDays(day)) ? 100L : 0L).ToList();
        var days = new DailySubjects(Day("2026-01-05"), counts);

        Assert.Equal(Day("2026-02-13"), days.Last);
        Assert.Equal(Day("2026-02-14"), CrossingForecast.Project(days, 3_000, 3_100).Date);
        Assert.Equal(Day("2026-02-24"), CrossingForecast.Project(days, 3_000, 3_101).Date);
        Assert.EndsWith(", holidays as weekends", CrossingForecast.Project(days, 3_000, 3_101).Method, StringComparison.Ordinal);
    }

    [Fact]
    public void A_year_with_a_leap_day_is_as_long_as_it_is()
    {
        // 10 a day: 59 days from 1 January to 28 February 2028; one more on the 29th, and 1 March after it.
        var days = Steady("2028-01-01", 59, 10);

        Assert.Equal(Day("2028-02-29"), CrossingForecast.Project(days, 590, 600).Date);
        Assert.Equal(Day("2028-03-01"), CrossingForecast.Project(days, 590, 610).Date);
        Assert.Equal(3_660, CrossingForecast.AtYearEnd(days, 590, 590));
    }

    [Fact]
    public void Recent_weeks_weigh_more()
    {
        // Eight weeks of 10 a day, then one week of 100: the pace lies between and nearer to what is recent than the mean would.
        var counts = Enumerable.Range(0, 56).Select(static day => day < 49 ? 10L : 100L).ToList();

        var forecast = CrossingForecast.Project(new(Day("2026-01-05"), counts), 1_190, 1_190 + 1_000);

        var pace = 1_000.0 / (forecast.Date!.Value.DayNumber - Day("2026-03-01").DayNumber);
        Assert.InRange(pace, counts.Average() + 1, 100);
    }

    [Fact]
    public void An_opening_load_is_no_pace()
    {
        var days = new DailySubjects(Day("2026-03-02"), [50_000, 100, 100, 100]);

        var forecast = CrossingForecast.Project(days, 50_300, 51_000);

        Assert.Equal(Day("2026-03-05").AddDays(7), forecast.Date);
        Assert.Contains("without the opening load", forecast.Method, StringComparison.Ordinal);
    }

    /// <summary>The first full days of a year in which a contact list counts anew, or in which a window of two years begins with all of the last.</summary>
    [Theory]
    [InlineData(new long[] { 5_000, 3, 2 }, "fewer than three full days of data")]
    [InlineData(new long[] { 5_000, 3, 2, 4 }, "straight line over 3 days, without the opening load of the first day")]
    [InlineData(new long[] { 5_000, 800, 3, 2, 4, 3, 2 }, "straight line over 5 days, without the opening load of the first 2 days")]
    public void What_counts_anew_on_1_January_is_no_pace(long[] counts, string method)
    {
        var days = new DailySubjects(Day("2026-01-01"), counts);

        var forecast = CrossingForecast.Project(days, counts.Sum(), 100_000);

        Assert.Null(forecast.Date);
        Assert.StartsWith(method, forecast.Method, StringComparison.Ordinal);
    }

    [Fact]
    public void After_days_on_which_nobody_looked_it_goes_on_from_where_the_counter_stands()
    {
        // 100 a day to 11 March, when the count was 1 000; the timer is back on the 20th and finds 1 500.
        var days = Steady("2026-03-02", 10, 100);

        Assert.Equal(Day("2026-03-26"), CrossingForecast.Project(days, 1_000, 2_200, present: 1_500, today: Day("2026-03-20")).Date);
        Assert.Equal(1_500 + (100 * (Day("2026-12-31").DayNumber - Day("2026-03-19").DayNumber)), CrossingForecast.AtYearEnd(days, 1_000, 1_500, Day("2026-03-20")));
    }

    [Fact]
    public void Nothing_is_said_beyond_the_year()
    {
        var forecast = CrossingForecast.Project(Steady("2026-12-01", 20, 10), 200, 10_000);

        Assert.Null(forecast.Date);
        Assert.EndsWith("not before the window restarts on 1 January", forecast.Method, StringComparison.Ordinal);
    }

    [Fact]
    public void The_last_day_of_the_year_is_still_said() =>
        Assert.Equal(Day("2026-12-31"), CrossingForecast.Project(Steady("2026-12-01", 30, 10), 300, 310).Date);

    [Fact]
    public void No_new_persons_reach_nothing() => Assert.Null(CrossingForecast.Project(Steady("2026-03-02", 10, 0), 500, 1_000).Date);

    [Fact]
    public void A_correction_downwards_is_no_negative_pace() =>
        Assert.Null(CrossingForecast.Project(new(Day("2026-03-02"), [100, 100, -5_000, 10]), 100, 1_000).Date);

    [Fact]
    public void What_is_reached_has_no_date() => Assert.Equal((null, "reached"), Pair(CrossingForecast.Project(Steady("2026-03-02", 10, 10), 100, 100)));

    [Fact]
    public void The_present_day_brings_at_least_what_it_has_brought()
    {
        // At 100 a day from 1 000 it would take ten days; today alone has brought 950.
        var forecast = CrossingForecast.Project(Steady("2026-03-02", 10, 100), 1_000, 2_000, present: 1_950);

        Assert.Equal(Day("2026-03-13"), forecast.Date);
    }

    [Fact]
    public void Days_that_nobody_looked_at_share_what_came_over_them()
    {
        CounterDay At(string day, long count) => new(Day(day), new Dictionary<string, long> { ["c"] = count });

        var (days, atEnd) = DailyHistory.Of([At("2026-03-02", 10), At("2026-03-03", 15), At("2026-03-06", 25)], "c");

        Assert.Equal([10L, 5L, 3L, 3L, 4L], days!.Counts);
        Assert.Equal((Day("2026-03-02"), Day("2026-03-06"), 25L), (days.First, days.Last, atEnd));
        Assert.Null(DailyHistory.Of([], "c").Days);
    }

    private static long NewSubjects(string company, DateOnly day, int age, Random random) => company switch
    {
        "office" => Around(WorkingCalendar.Default.IsWorkingDay(day) ? 120 : 4, random),
        "growing office" => Around(WorkingCalendar.Default.IsWorkingDay(day) ? 60 + (0.6 * age) : 4, random),
        "shrinking office" => Around(WorkingCalendar.Default.IsWorkingDay(day) ? Math.Max(10, 200 - age) : 4, random),
        "small office" => Around(WorkingCalendar.Default.IsWorkingDay(day) ? 3 : 0.2, random),
        "shop" => Around(day.DayOfWeek switch { DayOfWeek.Saturday => 200, DayOfWeek.Sunday => 180, DayOfWeek.Friday => 110, _ => 60 }, random),
        "every Wednesday" => Around(day.DayOfWeek == DayOfWeek.Wednesday ? 600 : 3, random),
        "every day the same" => Around(90, random),
        _ => (long)(-90 * Math.Log(1 - random.NextDouble())),
    };

    /// <summary>As many as come by chance where so many come in the mean (Poisson).</summary>
    private static long Around(double mean, Random random)
    {
        var (count, left) = (-1L, mean);
        do
        {
            count++;
            left += Math.Log(1 - random.NextDouble());
        }
        while (left > 0);
        return count;
    }

    private static (DateOnly?, string) Pair(ThresholdForecast forecast) => (forecast.Date, forecast.Method);

    private static DailySubjects Steady(string first, int days, long count) => new(Day(first), [.. Enumerable.Repeat(count, days)]);

    private static DateOnly Day(string text) => DateOnly.ParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture);
}
