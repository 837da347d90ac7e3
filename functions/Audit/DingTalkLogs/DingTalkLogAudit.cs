using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>What is said of DingTalk's logs in the trail.</summary>
internal static class DingTalkLogAudit
{
    public static AuditKind Kept { get; } =
        new("audit.dingtalk_log_kept", AuditRetention.Legal, "A day of a DingTalk log was archived; the payload's hash is that of its lines.");

    public static AuditKind Absent { get; } = new("audit.dingtalk_log_absent", AuditRetention.Legal, "A DingTalk organisation does not offer a log.");

    public static AuditKind Gap { get; } = new("audit.dingtalk_log_gap", AuditRetention.Legal, "Days of a DingTalk log were forgotten before they were archived.");
}
