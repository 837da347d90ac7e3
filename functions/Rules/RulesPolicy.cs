using DingFlow.Messaging;
using DingFlow.Transfers;

namespace DingFlow.Rules;

/// <summary>Which rules are applied, for the audit trail.</summary>
internal static class RulesPolicy
{
    public static IEnumerable<PolicyStatement> Of(TransfersOptions options)
    {
        yield return PolicyStatement.Of(
            "rules",
            ("active", options.RuleSets), ("fingerprint", RuleCatalogue.Default.Fingerprint), ("countExempt", options.CountExempt),
            ("countExemptByRule", options.CountExemptByRule.Select(static rule => $"{rule.Key}: {rule.Value}")));
    }
}
