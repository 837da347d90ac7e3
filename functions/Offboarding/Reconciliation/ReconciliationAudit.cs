using DingFlow.Messaging;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>What reconciliation says in the audit trail.</summary>
internal static class ReconciliationAudit
{
    /// <summary>A roster was handed in.</summary>
    public static AuditKind RosterPut { get; } = new("offboarding.roster_put", AuditRetention.Operational, "A roster of an HR source was handed in, and put in force or refused.");

    /// <summary>Somebody asked for a comparison now.</summary>
    public static AuditKind Requested { get; } =
        new("offboarding.reconciliation_requested", AuditRetention.Operational, "Somebody asked for HR, cases and directories to be compared at once.");

    /// <summary>The findings were read; they name accounts.</summary>
    public static AuditKind FindingsRead { get; } =
        new("offboarding.findings_read", AuditRetention.Operational, "Somebody read the differences between HR and the directories.");

    /// <summary>A finding was dismissed.</summary>
    public static AuditKind FindingDismissed { get; } =
        new("offboarding.finding_dismissed", AuditRetention.Legal, "An operator accepted a difference between HR and a directory: it is not reported again.");

    /// <summary>A finding became a case.</summary>
    public static AuditKind FindingOpened { get; } =
        new("offboarding.finding_opened", AuditRetention.Legal, "A difference between HR and a directory became a case, by policy or by an operator.");
}
