namespace DingFlow.Messaging;

/// <summary>What the trail says of itself.</summary>
internal static class TrailAudit
{
    /// <summary>A writer's clock went back.</summary>
    public static AuditKind ClockWentBack { get; } =
        new("audit.clock_went_back", AuditRetention.Legal, "A writer's clock showed an earlier time than that of the entry before.");

    /// <summary>Somebody has removed the newest entries.</summary>
    public static AuditKind ChainShortened { get; } =
        new("audit.chain_shortened", AuditRetention.Legal, "A writer found its chain shorter than it had left it.");
}
