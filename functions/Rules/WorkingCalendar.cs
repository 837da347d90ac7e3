using System.Collections.Frozen;
using System.Globalization;
using DingFlow.Transfers;

namespace DingFlow.Rules;

/// <summary>How certain a computed day is.</summary>
public enum CalendarCertainty
{
    /// <summary>All days between lie in years that the State Council has published.</summary>
    Published,

    /// <summary>Some lie in a year whose holidays are provisional: the day may move.</summary>
    Provisional,

    /// <summary>Some lie in a year of which only Saturdays and Sundays are known.</summary>
    WeekendsOnly,
}

/// <summary>A day, and how certain it is.</summary>
/// <param name="Day">In Asia/Shanghai.</param>
/// <param name="Certainty">How certain.</param>
public readonly record struct WorkingDay(DateOnly Day, CalendarCertainty Certainty);

/// <summary>Working days of the mainland (<c>Rules/Calendar/china.json</c>), by which filing periods are counted.</summary>
public sealed class WorkingCalendar
{
    private static readonly Lazy<WorkingCalendar> Loaded = new(Load);

    private readonly FrozenSet<DateOnly> _off;
    private readonly FrozenSet<DateOnly> _work;
    private readonly FrozenDictionary<int, bool> _years;

    /// <summary>
    /// The years that the calendar covers, and whether the State Council has published them. In any other year every Monday to Friday is
    /// a working day, and what is computed with it says so (<see cref="CalendarCertainty.WeekendsOnly"/>).
    /// </summary>
    public IReadOnlyDictionary<int, bool> Years => _years;

    private WorkingCalendar(IEnumerable<DateOnly> off, IEnumerable<DateOnly> work, IReadOnlyDictionary<int, bool> years) =>
        (_off, _work, _years) = (off.ToFrozenSet(), work.ToFrozenSet(), years.ToFrozenDictionary());

    /// <summary>The calendar that the program carries; read on first use.</summary>
    public static WorkingCalendar Default => Loaded.Value;

    /// <summary>People work on this day.</summary>
    public bool IsWorkingDay(DateOnly day) =>
        _work.Contains(day) || (day.DayOfWeek is not (DayOfWeek.Saturday or DayOfWeek.Sunday) && !_off.Contains(day));

    /// <summary>
    /// The working day that lies so many working days before a day (which itself does not count): the last on which something that takes
    /// so long can begin.
    /// </summary>
    public WorkingDay Before(DateOnly day, int workingDays) => Step(day, workingDays, -1);

    /// <summary>The working day that lies so many working days after a day (which itself does not count): the last day of a period.</summary>
    public WorkingDay After(DateOnly day, int workingDays) => Step(day, workingDays, 1);

    private WorkingDay Step(DateOnly day, int workingDays, int direction)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(workingDays);
        var certainty = CertaintyOf(day.Year);
        while (workingDays > 0)
        {
            day = day.AddDays(direction);
            certainty = CertaintyOf(day.Year) is var other && other > certainty ? other : certainty;
            workingDays -= IsWorkingDay(day) ? 1 : 0;
        }

        return new(day, certainty);
    }

    private CalendarCertainty CertaintyOf(int year) => !_years.TryGetValue(year, out var published) ? CalendarCertainty.WeekendsOnly
        : published ? CalendarCertainty.Published
        : CalendarCertainty.Provisional;

    private static WorkingCalendar Load()
    {
        using var document = DataFile.Open("Rules/Calendar/china.json");
        var years = document.RootElement.Items("years").ToList();
        return new(
            years.SelectMany(year => year.Texts("off")).SelectMany(Days),
            years.SelectMany(year => year.Texts("work")).SelectMany(Days),
            years.ToDictionary(year => (int)year.OptionalNumber("year")!, year => year.OptionalBoolean("published") == true));
    }

    /// <summary>A day, or <c>first..last</c>.</summary>
    private static IEnumerable<DateOnly> Days(string text)
    {
        var bounds = text.Split("..");
        var last = Day(bounds[^1]);
        for (var day = Day(bounds[0]); day <= last; day = day.AddDays(1))
        {
            yield return day;
        }

        static DateOnly Day(string text) => DateOnly.ParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture);
    }
}
