using System.Globalization;

namespace DingFlow.Messaging;

/// <summary>What happens to deliveries, in the audit trail.</summary>
internal static class InboxAudit
{
    public static AuditKind DeliveryAccepted { get; } =
        new("intake.delivery_accepted", AuditRetention.Operational, "A signed delivery was stored; the payload's hash is that of its body.");

    public static AuditKind HandshakeKept { get; } =
        new("intake.handshake_kept", AuditRetention.Operational, "A sender handed over a verification token before it had a secret; nothing confirms who it was.");

    public static AuditKind DeliveryRepeated { get; } =
        new("intake.delivery_repeated", AuditRetention.Operational, "A delivery came again and was answered as before.");

    public static AuditKind DeliveryReplayed { get; } =
        new("intake.delivery_replayed", AuditRetention.Legal, "An operator had a stored delivery handled once more.");

    public static AuditEvent Accepted(InboxDelivery delivery, InboxRecord record, bool idReused, AuditPseudonyms pseudonyms) => new()
    {
        Kind = delivery.IsHandshake ? HandshakeKept : DeliveryAccepted,
        Actor = ActorOf(delivery),
        Payload = PayloadHash.FromHex(record.BodyHash),
        On = new("delivery", record.Id),
        Subject = delivery.Events.Count == 1 ? pseudonyms.Of("employeeId", delivery.Events[0].EmployeeId) : null,
        OccurredAt = record.ReceivedAt,
        Details = new Dictionary<string, string>
        {
            ["events"] = delivery.Events.Count.ToString(CultureInfo.InvariantCulture), ["idReused"] = idReused ? "true" : "false",
        },
    };

    public static IEnumerable<AuditEvent> RoleChanges(InboxDelivery delivery, InboxRecord record, AuditPseudonyms pseudonyms) =>
        delivery.RoleChanges.Select(change => PermissionEvents.Event(
            delivery.Source, change.What, PermissionEvents.AccountOf(pseudonyms, change.Tenant, change.UserId),
            change.OperatorId is { } by ? PermissionEvents.AccountOf(pseudonyms, change.Tenant, by) : null,
            PayloadHash.FromHex(record.BodyHash), delivery.EventTime, record.Id, change.Permissions, change.AreGiven));

    public static AuditEvent Repeated(InboxDelivery delivery, string id, string bodyHash) => new()
    {
        Kind = DeliveryRepeated,
        Actor = ActorOf(delivery),
        Payload = PayloadHash.FromHex(bodyHash),
        On = new("delivery", id),
    };

    private static AuditActor ActorOf(InboxDelivery delivery) => delivery.VerifiedByKey is { } key
        ? new(AuditActorType.Source, delivery.Source, key)
        : AuditActor.Source(delivery.Source, delivery.VerifiedBy);

    public static AuditEvent Replayed(InboxRecord record) => new()
    {
        Kind = DeliveryReplayed,
        Actor = string.IsNullOrEmpty(record.ReplayedBy) ? AuditActor.Unknown : AuditActor.Principal(record.ReplayedBy),
        Payload = PayloadHash.FromHex(record.BodyHash),
        On = new("delivery", record.Id),
        Reason = record.ReplayReason,
        Details = new Dictionary<string, string> { ["replays"] = record.Replays.ToString(CultureInfo.InvariantCulture) },
    };
}
