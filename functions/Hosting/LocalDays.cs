using System.Globalization;
using DingFlow.Settings;

namespace DingFlow.Hosting;

/// <summary>
/// When a day without a time begins to count for a sender: its time zone (<c>TimeZone</c>, an IANA name) and the time after the local
/// midnight of that day (<c>DayOffset</c>; <c>1.00:00:00</c> is the end of the day).
/// </summary>
public sealed record LocalDays
{
    private static readonly TimeSpan LongestOffset = TimeSpan.FromDays(2);

    /// <summary>The zone in which the sender's days lie.</summary>
    public required TimeZoneInfo Zone { get; init; }

    /// <summary>From midnight to the moment that counts.</summary>
    public TimeSpan Offset { get; init; }

    /// <summary>Reads the two settings; what is wrong is added to the faults.</summary>
    public static LocalDays Read(SettingsReader reader, string defaultZone = "UTC", TimeSpan defaultOffset = default)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var offset = reader.Text("DayOffset") is not { } text ? defaultOffset
            : TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out var read) && read >= TimeSpan.Zero && read <= LongestOffset ? read
            : Fault(reader, "DayOffset", "must be a duration from 00:00:00 to 2.00:00:00", defaultOffset);
        return new LocalDays { Zone = ReadZone(reader, "TimeZone", defaultZone), Offset = offset };
    }

    /// <summary>Reads a setting that names a time zone.</summary>
    public static TimeZoneInfo ReadZone(SettingsReader reader, string name, string defaultZone = "UTC")
    {
        ArgumentNullException.ThrowIfNull(reader);
        var zone = reader.Text(name) ?? defaultZone;
        return TimeZoneInfo.TryFindSystemTimeZoneById(zone, out var found)
            ? found
            : Fault(reader, name, "must be a time zone that this machine knows, such as Asia/Shanghai", TimeZoneInfo.Utc);
    }

    /// <summary>The moment from which that day counts.</summary>
    public DateTimeOffset MomentOf(DateOnly day) => MomentOf(day, Zone);

    /// <summary>The moment from which that day counts in another zone.</summary>
    public DateTimeOffset MomentOf(DateOnly day, TimeZoneInfo zone)
    {
        ArgumentNullException.ThrowIfNull(zone);
        var local = day.ToDateTime(TimeOnly.MinValue) + Offset;
        while (zone.IsInvalidTime(local))
        {
            // The clock jumps over it: the day begins when it has jumped.
            local = local.AddMinutes(15);
        }

        return new DateTimeOffset(local, zone.GetUtcOffset(local));
    }

    /// <summary>Reads <c>yyyy-MM-dd</c> between 2000 and 2200.</summary>
    public static bool TryReadDay(ReadOnlySpan<char> text, out DateOnly day) =>
        DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out day) && day.Year is >= 2000 and <= 2200;

    private static T Fault<T>(SettingsReader reader, string name, string fault, T value)
    {
        reader.Fault(name, fault);
        return value;
    }
}
