using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>An entry in a proof; its content as the text that was hashed.</summary>
internal sealed record ProvedEntry(
    string Chain, long Sequence, string RecordedAt, string Kind, string Retention, string ContentHash, string Previous, string Hash, string? Content);

/// <summary>
/// Shows that one entry is in a sealed day, without any other entry: the entry, the way from its leaf to the Merkle root, the seal, and
/// the anchor when there is one.
/// </summary>
internal sealed record AuditProof(
    string Format, ProvedEntry Entry, long LeafIndex, long LeafCount, IReadOnlyList<string> Path, AuditSeal Seal, AuditAnchor? Anchor)
{
    public const string FormatName = "dingflow-audit-proof-1";

    /// <summary>The proof of an entry at a place of the day's leaves.</summary>
    public static AuditProof Of(AuditEntry entry, AuditSeal seal, byte[] leaves, int index, AuditAnchor? anchor) => new(
        FormatName,
        new(
            entry.Chain, entry.Sequence, entry.RecordedAt.UtcDateTime.ToString(AuditHash.TimeFormat, CultureInfo.InvariantCulture), entry.Kind,
            entry.Retention == AuditRetention.Legal ? "legal" : "operational", Convert.ToHexStringLower(entry.ContentHash.Span),
            Convert.ToHexStringLower(entry.Previous.Span), Convert.ToHexStringLower(entry.Hash.Span),
            entry.Content is { } content ? Encoding.UTF8.GetString(content.Span) : null),
        index, seal.Count, [.. MerkleTree.Path(leaves, index).Select(Convert.ToHexStringLower)], seal, anchor);

    /// <summary>Everything that does not hold, in plain words; empty when the proof holds.</summary>
    public IReadOnlyList<string> Faults()
    {
        List<string> faults = [];
        try
        {
            Check(faults);
        }
        catch (Exception exception) when (exception is FormatException or ArgumentException or NullReferenceException or IndexOutOfRangeException)
        {
            faults.Add("The proof is malformed.");
        }

        return faults;
    }

    private void Check(List<string> faults)
    {
        if (Format != FormatName)
        {
            faults.Add($"The format is not {FormatName}.");
            return;
        }

        if (!Seal.IsWellFormed() || !AuditTrailOptions.IsValid(Entry.Chain) || !AuditKind.IsValid(Entry.Kind) || Entry.Retention is not ("legal" or "operational"))
        {
            faults.Add("The proof is malformed.");
            return;
        }

        if (Entry.Content is { } content && Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(content))) != Entry.ContentHash)
        {
            faults.Add("The content is not the one that was hashed.");
        }

        var time = DateTimeOffset.ParseExact(Entry.RecordedAt, AuditHash.TimeFormat, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal);
        var hash = AuditHash.OfEntry(
            Entry.Chain, Entry.Sequence, time, Entry.Kind, Entry.Retention == "legal" ? AuditRetention.Legal : AuditRetention.Operational,
            Convert.FromHexString(Entry.ContentHash), Convert.FromHexString(Entry.Previous));
        if (Convert.ToHexStringLower(hash) != Entry.Hash)
        {
            faults.Add("The entry does not lead to its hash.");
        }

        var root = MerkleTree.RootOf(hash, LeafIndex, LeafCount, [.. Path.Select(Convert.FromHexString)]);
        if (root is null || LeafCount != Seal.Count || Convert.ToHexStringLower(root) != Seal.MerkleRoot)
        {
            faults.Add("The way from the entry does not lead to the day's Merkle root.");
        }

        if (Seal.ExpectedRoot() != Seal.Root)
        {
            faults.Add("The seal does not lead to its root.");
        }

        if (Anchor is not null && (Anchor.Root != Seal.Root || Anchor.Day != Seal.Day))
        {
            faults.Add("The anchor is not of this seal.");
        }

        if (Anchor?.Timestamp is { } token && !AuditAnchors.IsStampOf(token, Seal.Root))
        {
            faults.Add("The time stamp is not valid for this root.");
        }
    }
}
