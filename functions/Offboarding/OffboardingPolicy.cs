using DingFlow.Messaging;
using DingFlow.Offboarding.Guards;
using DingFlow.Offboarding.Reconciliation;

namespace DingFlow.Offboarding;

/// <summary>What is done to leavers and what holds it back, for the audit trail.</summary>
internal static class OffboardingPolicy
{
    public static IEnumerable<PolicyStatement> Of(
        OffboardingOptions options, BrakeOptions brake, ReconciliationOptions reconciliation, OffboardingPlans plans, AuditPseudonyms pseudonyms)
    {
        yield return PolicyStatement.Of(
            "offboarding.plan", ("policy", plans.Policy), ("hash", plans.Hash), ("plans", string.Join(", ", plans.All.Select(static plan => plan.Name))));
        yield return PolicyStatement.Of(
            "offboarding",
            ("target", options.Target), ("ordinaryAccounts", options.OrdinaryAccounts), ("missingAccounts", options.MissingAccounts),
            ("matchEmployeeId", options.MatchEmployeeId), ("retryDelay", options.RetryDelay), ("retryMaxDelay", options.RetryMaxDelay),
            ("giveUpAfter", options.GiveUpAfter), ("recheckAfter", options.RecheckAfter), ("joinWindow", options.JoinWindow));
        yield return PolicyStatement.Of(
            "offboarding.protected", ("count", options.Protected.Count), ("accounts", PolicyStatement.Fingerprint(pseudonyms, options.Protected)));
        yield return PolicyStatement.Of("offboarding.brake", ("count", brake.Count), ("percent", brake.Percent), ("window", brake.Window));
        yield return PolicyStatement.Of(
            "offboarding.reconciliation",
            ("sources", reconciliation.Sources), ("maxShrinkPercent", reconciliation.MaxShrinkPercent), ("openCases", reconciliation.OpenCases),
            ("lookBack", reconciliation.LookBack), ("ignored", reconciliation.Ignore.Count), ("ignoredAccounts", PolicyStatement.Fingerprint(pseudonyms, reconciliation.Ignore)));
    }
}
