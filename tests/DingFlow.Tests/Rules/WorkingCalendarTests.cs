using System.Globalization;
using DingFlow.Rules;

namespace DingFlow.Tests.Rules;

public sealed class WorkingCalendarTests
{
    private static readonly WorkingCalendar Calendar = WorkingCalendar.Default;

    [Theory]
    [InlineData("2026-01-01", false)] // New Year
    [InlineData("2026-01-04", true)] // a Sunday that is worked
    [InlineData("2026-02-14", true)] // a Saturday that is worked
    [InlineData("2026-02-16", false)] // Spring Festival
    [InlineData("2026-02-23", false)]
    [InlineData("2026-02-24", true)]
    [InlineData("2026-05-09", true)]
    [InlineData("2026-10-07", false)]
    [InlineData("2026-10-08", true)]
    [InlineData("2026-11-21", false)] // a Saturday
    [InlineData("2026-11-23", true)]
    public void Days_of_2026_are_as_the_State_Council_published(string day, bool works) => Assert.Equal(works, Calendar.IsWorkingDay(Day(day)));

    [Fact]
    public void Every_year_has_a_plausible_number_of_working_days() => Assert.All(
        Calendar.Years.Where(static year => year.Value),
        year => Assert.InRange(
            Enumerable.Range(0, DateTime.IsLeapYear(year.Key) ? 366 : 365).Count(day => Calendar.IsWorkingDay(new DateOnly(year.Key, 1, 1).AddDays(day))), 245, 252));

    [Fact]
    public void It_says_which_years_it_covers() =>
        Assert.Equal([(2025, true), (2026, true), (2027, false)], Calendar.Years.OrderBy(static year => year.Key).Select(static year => (year.Key, year.Value)));

    [Theory]
    [InlineData("2026-11-24", 1, "2026-11-23", CalendarCertainty.Published)]
    [InlineData("2026-11-23", 1, "2026-11-20", CalendarCertainty.Published)]
    [InlineData("2026-10-08", 1, "2026-09-30", CalendarCertainty.Published)]
    [InlineData("2026-11-24", 0, "2026-11-24", CalendarCertainty.Published)]
    [InlineData("2027-03-01", 80, "2026-10-29", CalendarCertainty.Provisional)]
    public void The_last_day_on_which_a_filing_can_begin(string day, int workingDays, string expected, CalendarCertainty certainty)
    {
        var before = Calendar.Before(Day(day), workingDays);

        Assert.Equal(certainty, before.Certainty);
        Assert.Equal(Day(expected), before.Day);
        Assert.Equal(workingDays, Enumerable.Range(before.Day.DayNumber, Day(day).DayNumber - before.Day.DayNumber).Count(number => Calendar.IsWorkingDay(DateOnly.FromDayNumber(number))));
    }

    [Fact]
    public void Beyond_its_years_it_knows_weekends_only_and_says_so()
    {
        var after = Calendar.After(Day("2030-02-01"), 5);

        Assert.Equal((Day("2030-02-08"), CalendarCertainty.WeekendsOnly), (after.Day, after.Certainty));
        Assert.Equal(CalendarCertainty.WeekendsOnly, Calendar.Before(Day("2028-01-05"), 10).Certainty);
    }

    [Theory]
    [InlineData("2026-09-30", 1, "2026-10-08")]
    [InlineData("2026-02-13", 2, "2026-02-24")]
    public void The_last_day_of_a_period(string day, int workingDays, string expected) => Assert.Equal(Day(expected), Calendar.After(Day(day), workingDays).Day);

    private static DateOnly Day(string text) => DateOnly.ParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture);
}
