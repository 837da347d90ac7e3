using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>What rules the program, in the audit trail.</summary>
internal static class PolicyAudit
{
    public static AuditKind Stated { get; } =
        new("policy.stated", AuditRetention.Legal, "A rule set, policy or key was in force at the first start that knew it, or was added; the details are its values.");

    public static AuditKind Changed { get; } =
        new("policy.changed", AuditRetention.Legal, "A rule set, policy or key was found changed at a start; the details say what it was and is.");

    public static AuditKind Withdrawn { get; } =
        new("policy.withdrawn", AuditRetention.Legal, "A policy or key was found gone at a start.");
}
