using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>What is wrong with an entry or a seal.</summary>
public enum AuditFaultKind
{
    /// <summary>It does not say any more what it said: its bytes do not lead to its hash.</summary>
    Changed,

    /// <summary>It is not there.</summary>
    Removed,

    /// <summary>It is there and was not written by the writer of the chain.</summary>
    Inserted,

    /// <summary>It stands in another place than the one it was written to.</summary>
    Reordered,

    /// <summary>It leads to its hash, which is not the one that was sealed, or that the entry after it remembers.</summary>
    Forged,

    /// <summary>Its content is gone, though its retention has not passed and no record of a removal covers it.</summary>
    ContentMissing,

    /// <summary>The seal of the day is missing, damaged, or does not lead to the one after it.</summary>
    SealBroken,

    /// <summary>The seal is not the one whose root was anchored outside, or the seal of an anchored day is not there.</summary>
    AnchorMismatch,

    /// <summary>The anchor of the day is not there, though it was, or a later day has one.</summary>
    AnchorMissing,

    /// <summary>Archived days are not there any more.</summary>
    ArchiveMissing,

    /// <summary>The index of the day does not lead to all of its entries: a search, and a hold, would miss some.</summary>
    IndexBroken,
}

/// <summary>The first thing that is wrong.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Day">The day of the seal; <see langword="null"/> for what is not sealed yet.</param>
/// <param name="Chain">The chain, when it is about an entry.</param>
/// <param name="Sequence">The entry's number in its chain.</param>
/// <param name="Detail">One sentence for people.</param>
public sealed record AuditFault(AuditFaultKind Kind, string? Day, string? Chain, long? Sequence, string Detail);

/// <summary>What a verification found.</summary>
/// <param name="Ok">Everything is as it was written.</param>
/// <param name="From">The first day that was verified; <see langword="null"/> when there is none.</param>
/// <param name="To">The last.</param>
/// <param name="Days">How many sealed days.</param>
/// <param name="Entries">How many sealed entries.</param>
/// <param name="OpenEntries">How many entries that are in no seal yet.</param>
/// <param name="WithoutContent">Entries whose content went after its retention; their hashes were verified.</param>
/// <param name="Anchored">Days whose root was compared with the one that was anchored outside.</param>
/// <param name="Stamped">Of these, how many have a valid time stamp of an authority over their root.</param>
/// <param name="StampedLate">Of these, how many were stamped more than three days after the day's end: whoever rewrites the trail and its anchors has to have it stamped anew.</param>
/// <param name="VouchedThrough">The last day that is anchored outside; <see langword="null"/> when none is: then nothing tells whether days are missing at the end.</param>
/// <param name="ArchivedThrough">The last archived day; its seal and those before were compared with the ones in the store.</param>
/// <param name="UnsealedDays">Days that are over and have no seal. More than one, an hour after the start, means that sealing does not run or that seals were lost.</param>
/// <param name="Root">The root of the last day.</param>
/// <param name="FirstFault">The first thing that is wrong, in the order of days, chains and entries.</param>
public sealed record AuditVerification(
    bool Ok, string? From, string? To, int Days, long Entries, long OpenEntries, long WithoutContent, int Anchored, int Stamped, int StampedLate, string? VouchedThrough,
    string? ArchivedThrough, int UnsealedDays, string? Root, AuditFault? FirstFault);

/// <summary>What a verification needs to know of what was removed lawfully.</summary>
internal interface IContentExpiry
{
    /// <summary>Whether the content of such an entry may be gone.</summary>
    bool MayBeGone(string day, AuditEntry entry);

    /// <summary>How many entries of a day may have no content, as the last removal records it; <see langword="null"/> when it does not say.</summary>
    long? MostGone(string day);
}
