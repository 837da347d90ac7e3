using System.Security.Cryptography;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>
/// Checks the entries of one chain within one day, one after another: that none is missing, doubled or in the wrong place, that each leads
/// to its hash, that each follows the one before, and that its hash is the one that was sealed.
/// </summary>
internal sealed class PartCheck(string? day, SealedChain part, ReadOnlyMemory<byte> leaves, IContentExpiry expiry)
{
    private const int HashSize = 32;

    private long _next = part.First;
    private byte[] _previous = Convert.FromHexString(part.Previous);

    /// <summary>How many entries were found right.</summary>
    public long Checked => _next - part.First;

    /// <summary>Of these, how many had no content any more.</summary>
    public long WithoutContent { get; private set; }

    /// <summary>The number of the entry that is awaited.</summary>
    public long Next => _next;

    /// <summary>The hash of the last entry that was found right.</summary>
    public ReadOnlySpan<byte> Last => _previous;

    /// <summary>Checks the next entry as it stands; <see langword="null"/> when it is right.</summary>
    public AuditFault? Check(AuditEntry entry)
    {
        if (entry.Sequence < _next)
        {
            return Fault(AuditFaultKind.Inserted, entry.Sequence, "An entry of this number stands there twice.");
        }

        if (entry.Sequence > _next)
        {
            return Fault(AuditFaultKind.Removed, _next, "The entry is not there.");
        }

        if (Content(entry) is { } contentFault)
        {
            return contentFault;
        }

        var hash = AuditHash.OfEntry(
            part.Chain, entry.Sequence, entry.RecordedAt, entry.Kind, entry.Retention, entry.ContentHash.Span, entry.Previous.Span);
        if (entry.Chain != part.Chain || !hash.AsSpan().SequenceEqual(entry.Hash.Span))
        {
            return Fault(AuditFaultKind.Changed, _next, "The entry does not lead to its hash.");
        }

        if (!leaves.IsEmpty && !leaves.Span.Slice((int)(_next - part.First) * HashSize, HashSize).SequenceEqual(hash))
        {
            return Fault(AuditFaultKind.Forged, _next, "The entry is not the one that was sealed.");
        }

        if (!entry.Previous.Span.SequenceEqual(_previous))
        {
            return Fault(AuditFaultKind.Forged, Math.Max(_next - 1, 1), "The entry after it remembers another one.");
        }

        _previous = hash;
        _next++;
        return null;
    }

    /// <summary>
    /// Compares how many entries of a day have no content with what the last removal records: whoever takes away what is held, on a day
    /// from which other content went lawfully, is found out by the number.
    /// </summary>
    public static AuditFault? MoreGone(string day, long withoutContent, IContentExpiry? expiry) => withoutContent > 0 && expiry?.MostGone(day) is { } most && withoutContent > most
        ? new(AuditFaultKind.ContentMissing, day, null, null, $"{withoutContent} entries of the day have no content; the removals record {most}.")
        : null;

    /// <summary>Checks that all entries were there.</summary>
    public AuditFault? End() =>
        _next <= part.Last ? Fault(AuditFaultKind.Removed, _next, "The entry is not there.")
        : Convert.ToHexStringLower(_previous) != part.Head ? Fault(AuditFaultKind.Forged, part.Last, "The last entry is not the one that was sealed.")
        : null;

    public AuditFault Fault(AuditFaultKind kind, long sequence, string detail) => new(kind, day, part.Chain, sequence, detail);

    private AuditFault? Content(AuditEntry entry)
    {
        if (entry.Content is { } content)
        {
            Span<byte> hash = stackalloc byte[HashSize];
            SHA256.HashData(content.Span, hash);
            return hash.SequenceEqual(entry.ContentHash.Span) ? null : Fault(AuditFaultKind.Changed, _next, "The content is not the one that was hashed.");
        }

        WithoutContent++;
        return day is null || !expiry.MayBeGone(day, entry)
            ? Fault(AuditFaultKind.ContentMissing, _next, "The content is gone before its time, and no record of a removal covers it.")
            : null;
    }
}
