namespace DingFlow.Messaging;

/// <summary>What operators do with messages, in the audit trail.</summary>
internal static class MessagingAudit
{
    /// <summary>A message was set aside.</summary>
    public static AuditKind MessageParked { get; } =
        new("messaging.message_parked", AuditRetention.Legal, "A message could not be handled and was set aside; the payload's hash is that of its body.");

    /// <summary>A parked message was sent once more.</summary>
    public static AuditKind MessageReplayed { get; } =
        new("messaging.message_replayed", AuditRetention.Operational, "An operator had a parked message handled once more.");

    /// <summary>A parked message was discarded.</summary>
    public static AuditKind MessageDiscarded { get; } =
        new("messaging.message_discarded", AuditRetention.Legal, "An operator discarded a parked message: it is not handled any more.");
}
