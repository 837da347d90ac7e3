namespace DingFlow.Audit;

/// <summary>Compares seals with their anchors, and counts what vouches for them.</summary>
/// <param name="vouchedThrough">The last day that has an anchor; <see langword="null"/> when none has.</param>
internal sealed class AnchorCheck(string? vouchedThrough)
{
    /// <summary>A day is anchored minutes after its end, or some days later when the authority could not be reached.</summary>
    private static readonly TimeSpan StampedInTime = TimeSpan.FromDays(3);

    /// <summary>Days whose anchor was compared.</summary>
    public int Anchored { get; private set; }

    /// <summary>Of these, those with a valid time stamp.</summary>
    public int Stamped { get; private set; }

    /// <summary>Of these, those that were stamped late.</summary>
    public int StampedLate { get; private set; }

    /// <summary>Compares the next seal. One without an anchor is nothing unusual unless a later day has one.</summary>
    public AuditFault? Check(AuditSeal seal, AuditAnchor? anchor)
    {
        AuditFault Mismatch(string detail) => new(AuditFaultKind.AnchorMismatch, seal.Day, null, null, detail);
        if (anchor is null)
        {
            return string.CompareOrdinal(seal.Day, vouchedThrough) < 0
                ? new(AuditFaultKind.AnchorMissing, seal.Day, null, null, "The day's anchor is not there, though a later day has one.")
                : null;
        }

        Anchored++;
        if (anchor.Root != seal.Root)
        {
            return Mismatch("The day's root is not the one that was anchored.");
        }

        if (anchor.Timestamp is not { } token)
        {
            return null;
        }

        if (AuditAnchors.StampOf(token, seal.Root) is not { } stamp)
        {
            return Mismatch("The time stamp of the anchor is not one of the day's root.");
        }

        var end = AuditDay.EndOf(seal.Day);
        Stamped++;
        StampedLate += stamp.At > end + StampedInTime ? 1 : 0;
        return stamp.At < end ? Mismatch("The time stamp of the anchor is older than the end of the day.") : null;
    }
}
