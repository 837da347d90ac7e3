using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Settings;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>Where a finding stands in a list: by what is wrong, the newest first, then by its id.</summary>
/// <param name="Kind">What is wrong.</param>
/// <param name="FirstSeenAt">Ticks (UTC) at which it was first seen.</param>
/// <param name="FindingId">Its id.</param>
internal sealed record FindingPlace(FindingKind Kind, long FirstSeenAt, string FindingId) : IComparable<FindingPlace>
{
    public static FindingPlace Of(Finding finding) => new(finding.Kind, finding.FirstSeenAt.UtcTicks, finding.FindingId);

    /// <summary>What <see cref="Next"/> wrote; <see langword="null"/> for anything else.</summary>
    public static FindingPlace? Read(string[] parts) =>
        parts is [var word, { Length: < 20 } seen, { Length: 32 } id] && Words.TryRead(word, out FindingKind kind)
            && long.TryParse(seen, NumberStyles.None, CultureInfo.InvariantCulture, out var ticks) && id.All(char.IsAsciiHexDigitLower)
            ? new(kind, ticks, id)
            : null;

    /// <summary>The cursor of the page after it.</summary>
    public string Next() => Paging.Next(Words.Of(Kind), FirstSeenAt.ToString(CultureInfo.InvariantCulture), FindingId);

    public int CompareTo(FindingPlace? other) => other is null ? 1
        : Kind != other.Kind ? Kind.CompareTo(other.Kind)
        : FirstSeenAt != other.FirstSeenAt ? other.FirstSeenAt.CompareTo(FirstSeenAt)
        : string.CompareOrdinal(FindingId, other.FindingId);
}
