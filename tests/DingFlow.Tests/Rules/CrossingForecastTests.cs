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
        Assert.Equal(("by weekday over 2 weeks, recent weeks weighing more", ForecastBasis.ByWeekday), (forecast.Method, forecast.Basis));
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

    private static (DateOnly?, string) Pair(ThresholdForecast forecast) => (forecast.Date, forecast.Method);

    private static DailySubjects Steady(string first, int days, long count) => new(Day(first), [.. Enumerable.Repeat(count, days)]);

    private static DateOnly Day(string text) => DateOnly.ParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture);
}
