using System.Globalization;
using System.Text;
using DingFlow.Messaging;

namespace DingFlow.Rules;

/// <summary>What the rules lead to, in the audit trail.</summary>
internal static class RulesAudit
{
    public static AuditKind TierReached { get; } =
        new("thresholds.tier_reached", AuditRetention.Legal, "An exporter's counters reached a tier of a rule set in a calendar year.");

    public static AuditKind TierReviewed { get; } =
        new("thresholds.tier_reviewed", AuditRetention.Legal, "A person decided on a tier that was reached.");

    public static AuditEvent Reached(string exporter, LatchedTier tier) =>
        EventOf(TierReached, AuditActor.System(nameof(TierLatch)), exporter, tier, string.Join(", ", tier.Rules));

    public static AuditEvent Reviewed(string exporter, LatchedTier tier, string by, string reason) =>
        EventOf(TierReviewed, AuditActor.Principal(by), exporter, tier, reason);

    private static AuditEvent EventOf(AuditKind kind, AuditActor actor, string exporter, LatchedTier tier, string reason) => new()
    {
        Kind = kind,
        Actor = actor,
        Payload = PayloadHash.Of(Encoding.UTF8.GetBytes(string.Create(
            CultureInfo.InvariantCulture, $"{tier.Key}\n{string.Join(',', tier.Rules)}\n{tier.ReachedAt:O}\n{tier.Review?.Reason}"))),
        On = new("tier", tier.Key),
        Exporter = exporter,
        Reason = reason,
        Details = new Dictionary<string, string> { ["ruleSet"] = tier.RuleSet, ["rules"] = string.Join(',', tier.Rules) },
    };
}
