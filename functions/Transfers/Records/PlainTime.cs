namespace DingFlow.Transfers;

/// <summary>
/// Reads a moment in the form in which nearly all senders write it: <c>yyyy-MM-ddTHH:mm:ss</c>, up to seven digits of a fraction, then
/// <c>Z</c> or <c>±HH:mm</c>. Other forms of RFC 3339 are left to the JSON reader. Remembers the last one, which records repeat.
/// </summary>
internal sealed class PlainTime
{
    private const int Longest = 33;
    private const int Seconds = 19;
    private const int FractionDigits = 7;

    private readonly byte[] _last = new byte[Longest];
    private int _length;
    private DateTimeOffset _moment;

    /// <summary>Reads a moment; <see langword="false"/> when it is malformed or of another form.</summary>
    public bool TryRead(ReadOnlySpan<byte> text, out DateTimeOffset moment)
    {
        if (text.SequenceEqual(_last.AsSpan(0, _length)))
        {
            moment = _moment;
            return _length > 0;
        }

        if (text.Length > Longest || !TryParse(text, out moment))
        {
            moment = default;
            return false;
        }

        text.CopyTo(_last);
        (_length, _moment) = (text.Length, moment);
        return true;
    }

    private static bool TryParse(ReadOnlySpan<byte> text, out DateTimeOffset moment)
    {
        moment = default;
        if (text.Length <= Seconds || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':')
        {
            return false;
        }

        var (year, month, day) = ((Two(text) * 100) + Two(text[2..]), Two(text[5..]), Two(text[8..]));
        var (hour, minute, second) = (Two(text[11..]), Two(text[14..]), Two(text[17..]));
        if (year is < 1900 or > 2999 || month is < 1 or > 12 || day < 1 || day > DateTime.DaysInMonth(year, month)
            || hour is < 0 or > 23 || minute is < 0 or > 59 || second is < 0 or > 59)
        {
            return false;
        }

        var rest = text[Seconds..];
        if (!TryFraction(ref rest, out var ticks) || !TryOffset(rest, out var offset))
        {
            return false;
        }

        moment = new(new DateTime(year, month, day, hour, minute, second).AddTicks(ticks), offset);
        return true;
    }

    private static bool TryFraction(ref ReadOnlySpan<byte> text, out int ticks)
    {
        ticks = 0;
        if (text[0] != '.')
        {
            return true;
        }

        var digits = text[1..].IndexOfAnyExceptInRange((byte)'0', (byte)'9');
        if (digits is < 1 or > FractionDigits)
        {
            return false;
        }

        for (var i = 1; i <= FractionDigits; i++)
        {
            ticks = (ticks * 10) + (i <= digits ? text[i] - '0' : 0);
        }

        text = text[(1 + digits)..];
        return true;
    }

    private static bool TryOffset(ReadOnlySpan<byte> text, out TimeSpan offset)
    {
        offset = default;
        if (text.Length == 1)
        {
            return text[0] == 'Z';
        }

        if (text.Length != 6 || text[0] is not ((byte)'+' or (byte)'-') || text[3] != ':'
            || Two(text[1..]) is not (>= 0 and <= 13 and var hours) || Two(text[4..]) is not (>= 0 and <= 59 and var minutes))
        {
            return false;
        }

        offset = new(text[0] == '-' ? -hours : hours, text[0] == '-' ? -minutes : minutes, 0);
        return true;
    }

    /// <summary>Two digits; far below 0 when they are none.</summary>
    private static int Two(ReadOnlySpan<byte> text) => char.IsAsciiDigit((char)text[0]) && char.IsAsciiDigit((char)text[1])
        ? ((text[0] - '0') * 10) + text[1] - '0'
        : -100_000;
}
