using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>What one chain gave to a day.</summary>
/// <param name="Chain">The chain.</param>
/// <param name="First">The number of its first entry in the day.</param>
/// <param name="Last">That of its last.</param>
/// <param name="Previous">The hash before the first.</param>
/// <param name="Head">The hash of the last.</param>
public sealed record SealedChain(string Chain, long First, long Last, string Previous, string Head)
{
    /// <summary>How many entries.</summary>
    [JsonIgnore]
    public long Count => Last - First + 1;
}

/// <summary>
/// A day of the trail, closed: every entry that was recorded before its end and not in an earlier seal, in one hash. <c>docs/audit.md</c>
/// says how it is made.
/// </summary>
public sealed record AuditSeal
{
    /// <summary>Entries of a day: their hashes lie in memory together.</summary>
    private const long MostEntries = 60_000_000;

    private const int HexLength = 64;

    /// <summary>The root before the first seal.</summary>
    public static string NoPrevious { get; } = new('0', HexLength);

    /// <summary>The day, UTC, <c>yyyy-MM-dd</c>.</summary>
    public required string Day { get; init; }

    /// <summary>How many entries.</summary>
    public required long Count { get; init; }

    /// <summary>The Merkle root over the hashes of all entries, chain by chain in ordinal order, each in its order; hex.</summary>
    public required string MerkleRoot { get; init; }

    /// <summary>The root of the day before; zeros for the first seal there is.</summary>
    public required string Previous { get; init; }

    /// <summary>What each chain gave, in ordinal order of the chains.</summary>
    public required IReadOnlyList<SealedChain> Chains { get; init; }

    /// <summary>The hash over all of the above.</summary>
    public required string Root { get; init; }

    /// <summary>When it was sealed, UTC.</summary>
    public required DateTimeOffset SealedAt { get; init; }

    /// <summary>The earliest time at which one of its entries was recorded; <see langword="null"/> without entries.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>The latest.</summary>
    public DateTimeOffset? To { get; init; }

    /// <summary>
    /// The root: SHA-256 over lines of text joined by a line feed: <c>dingflow-audit-day-1</c>, day, count, Merkle root, the root of the
    /// day before, then a line <c>{chain} {first} {last} {previous} {head}</c> for each chain.
    /// </summary>
    public static string RootOf(string day, long count, string merkleRoot, string previous, IEnumerable<SealedChain> chains) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join(
            '\n',
            (IEnumerable<string>)[
                "dingflow-audit-day-1", day, count.ToString(CultureInfo.InvariantCulture), merkleRoot, previous,
                .. chains.Select(static chain => string.Create(CultureInfo.InvariantCulture, $"{chain.Chain} {chain.First} {chain.Last} {chain.Previous} {chain.Head}")),
            ]))));

    /// <summary>
    /// Whether this can be a seal at all. One from a file or a row that somebody has changed may lack anything, or name numbers that no
    /// memory holds; everything that works with a seal relies on this.
    /// </summary>
    internal bool IsWellFormed() =>
        AuditDay.IsValid(Day) && Count is >= 0 and <= MostEntries && IsHash(MerkleRoot) && IsHash(Previous) && IsHash(Root) && Chains is not null
        && Chains.All(static part => part is not null && AuditTrailOptions.IsValid(part.Chain) && part.First > 0 && part.Last >= part.First
            && part.Last - part.First < MostEntries && IsHash(part.Previous) && IsHash(part.Head));

    /// <summary>
    /// The seal is stored, and what follows from it (the list of hashes, the index, how far the chains are sealed, in this order) may not be
    /// yet: an instance is at it, or died, and the next run completes it.
    /// </summary>
    internal bool IsBeingCompleted(IEnumerable<ChainState> chains) =>
        Chains.Any(part => chains.Any(chain => chain.Chain == part.Chain && chain.SealedThrough < part.Last));

    private static bool IsHash(string? text) => text is { Length: HexLength } && text.All(char.IsAsciiHexDigitLower);

    /// <summary>The root as it follows from everything else.</summary>
    public string ExpectedRoot() => RootOf(Day, Count, MerkleRoot, Previous, Chains);
}
