namespace DingFlow.Transfers;

/// <summary>
/// The time in which legal windows are counted: Asia/Shanghai, UTC+8 without summer time since 1991. A year turns at 16:00 UTC on
/// 31 December. Fixed here rather than read from a time zone database, which a slim container may lack.
/// </summary>
public static class LegalTime
{
    /// <summary>Eight hours ahead of UTC.</summary>
    public static TimeSpan Offset { get; } = TimeSpan.FromHours(8);

    /// <summary>The same moment as a clock in Shanghai shows it.</summary>
    public static DateTimeOffset Of(DateTimeOffset moment) => moment.ToOffset(Offset);

    /// <summary>The calendar year of a moment in Shanghai.</summary>
    public static int YearOf(DateTimeOffset moment) => moment.ToOffset(Offset).Year;

    /// <summary>The calendar day of a moment in Shanghai.</summary>
    public static DateOnly DayOf(DateTimeOffset moment) => DateOnly.FromDateTime(moment.ToOffset(Offset).DateTime);

    /// <summary>The first moment of a calendar year in Shanghai.</summary>
    public static DateTimeOffset StartOf(int year) => new(year, 1, 1, 0, 0, 0, Offset);

    /// <summary>The first moment of a day in Shanghai.</summary>
    public static DateTimeOffset StartOf(DateOnly day) => new(day.ToDateTime(TimeOnly.MinValue), Offset);
}
