using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>Who may do what, and how that changed, in the audit trail.</summary>
internal static class PermissionAudit
{
    public static AuditKind SnapshotTaken { get; } =
        new("permissions.snapshot_taken", AuditRetention.Legal, "Who may do what in a system was read for the first time, or could not be read.");

    public static AuditKind Gained { get; } = new("permissions.gained", AuditRetention.Legal, "The nightly reading found a permission that was not there before.");

    public static AuditKind Lost { get; } = new("permissions.lost", AuditRetention.Legal, "The nightly reading found that a permission is gone.");

    public static AuditKind ReportMade { get; } = new("permissions.report_made", AuditRetention.Legal, "The report on changes of permissions was made.");
}
