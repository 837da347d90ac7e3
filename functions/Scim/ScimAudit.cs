using DingFlow.Messaging;

namespace DingFlow.Scim;

/// <summary>What identity providers do by SCIM, in the audit trail.</summary>
internal static class ScimAudit
{
    public static AuditKind UserCreated { get; } = new("scim.user_created", AuditRetention.Operational, "An identity provider made a user known.");

    public static AuditKind UserChanged { get; } =
        new("scim.user_changed", AuditRetention.Operational, "An identity provider changed a user; the details say whether it is active.");

    public static AuditKind UserRead { get; } = new("scim.user_read", AuditRetention.Operational, "An identity provider read a user, or looked for users.");

    public static AuditKind UserRemoved { get; } = new("scim.user_removed", AuditRetention.Operational, "An identity provider removed a user.");
}
