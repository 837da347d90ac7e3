using System.Globalization;

namespace DingFlow.Audit;

/// <summary>Days of the trail: UTC, <c>yyyy-MM-dd</c>, which sorts as it should.</summary>
internal static class AuditDay
{
    private const string Format = "yyyy-MM-dd";

    public static string Of(DateTimeOffset time) => time.UtcDateTime.ToString(Format, CultureInfo.InvariantCulture);

    public static string Next(string day) => Text(Date(day).AddDays(1));

    public static string Before(string day) => Text(Date(day).AddDays(-1));

    /// <summary>How many days lie from one, itself included, to before another; none when there is no first one.</summary>
    public static int Between(string? from, string before) => from is null ? 0 : Math.Max(0, Date(before).DayNumber - Date(from).DayNumber);

    /// <summary>The moment at which the day is over.</summary>
    public static DateTimeOffset EndOf(string day) => new(Date(day).AddDays(1).ToDateTime(TimeOnly.MinValue), TimeSpan.Zero);

    /// <summary>A day of this millennium: no other can be in a trail, and each has a day before and after it.</summary>
    public static bool IsValid(string? text) =>
        DateOnly.TryParseExact(text, Format, CultureInfo.InvariantCulture, DateTimeStyles.None, out var day) && day.Year is >= 2000 and < 3000;

    private static DateOnly Date(string day) => DateOnly.ParseExact(day, Format, CultureInfo.InvariantCulture);

    private static string Text(DateOnly date) => date.ToString(Format, CultureInfo.InvariantCulture);
}
