using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace DingFlow.Offboarding;

/// <summary>The id of a case: a version 7 UUID in 32 hexadecimal digits. Its time tells the partition and the order in lists.</summary>
public static class CaseId
{
    private static readonly SearchValues<char> HexadecimalDigits = SearchValues.Create("0123456789abcdef");

    private const long NewestFirst = 9_999_999_999_999;

    /// <summary>A new id.</summary>
    public static string New(DateTimeOffset now) => Guid.CreateVersion7(now).ToString("N");

    /// <summary>
    /// A new id for somebody who has had a case before: of two cases of a person the younger has the greater id, also when they were opened in
    /// the same millisecond or the clock was put back in between.
    /// </summary>
    public static string NewAfter(string? earlier, DateTimeOffset now)
    {
        var id = New(now);
        return string.CompareOrdinal(id, earlier) > 0 ? id : New(TimeOf(earlier!).AddMilliseconds(1));
    }

    /// <summary>Whether a text from outside can be a case id.</summary>
    public static bool IsValid([NotNullWhen(true)] string? text) =>
        text is { Length: 32 } && text[12] == '7' && !text.AsSpan().ContainsAnyExcept(HexadecimalDigits);

    /// <summary>When the case was opened, UTC, to the millisecond.</summary>
    public static DateTimeOffset TimeOf(string caseId) => DateTimeOffset.FromUnixTimeMilliseconds(MillisecondsOf(caseId));

    /// <summary>The partition: the month in which the case was opened, as <c>yyyyMM</c>.</summary>
    public static string PartitionOf(string caseId) => PartitionOf(TimeOf(caseId));

    /// <summary>The partition of cases opened at a time.</summary>
    public static string PartitionOf(DateTimeOffset time) => time.UtcDateTime.ToString("yyyyMM", CultureInfo.InvariantCulture);

    /// <summary>The row: sorts the newest case first.</summary>
    public static string RowOf(string caseId) =>
        string.Create(CultureInfo.InvariantCulture, $"{NewestFirst - MillisecondsOf(caseId):D13}-{caseId}");

    private static long MillisecondsOf(string caseId) => long.Parse(caseId.AsSpan(0, 12), NumberStyles.HexNumber, CultureInfo.InvariantCulture);
}
