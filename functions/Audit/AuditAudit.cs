using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>What the feature says of itself in the trail.</summary>
internal static class AuditAudit
{
    public static AuditKind Read { get; } = new("audit.read", AuditRetention.Operational, "Somebody searched the trail.");

    public static AuditKind Exported { get; } = new("audit.exported", AuditRetention.Legal, "Somebody exported entries of the trail.");

    public static AuditKind Proved { get; } = new("audit.proof_exported", AuditRetention.Operational, "Somebody took the proof of an entry.");

    public static AuditKind Verified { get; } = new("audit.verified", AuditRetention.Operational, "The trail was recomputed; the outcome says whether it was whole.");

    public static AuditKind ContentExpired { get; } = new("audit.content_expired", AuditRetention.Legal, "The content of a day's entries was removed because its retention had passed.");

    public static AuditKind HoldPlaced { get; } = new("audit.hold_placed", AuditRetention.Legal, "A legal hold keeps the entries of a case.");

    public static AuditKind HoldReleased { get; } = new("audit.hold_released", AuditRetention.Legal, "A legal hold was ended.");
}
