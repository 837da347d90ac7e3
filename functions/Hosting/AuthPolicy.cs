using DingFlow.Messaging;

namespace DingFlow.Hosting;

/// <summary>Who may call the management routes, for the audit trail.</summary>
internal static class AuthPolicy
{
    public static IEnumerable<PolicyStatement> Of(AuthOptions options, AuditPseudonyms pseudonyms)
    {
        foreach (var key in options.ApiKeys)
        {
            yield return PolicyStatement.Of(
                $"apiKey/{key.Name}",
                ("roles", key.Roles), ("exporters", key.Exporters.Count == 0 ? "all" : key.Exporters), ("sources", key.Sources.Count == 0 ? "all" : key.Sources),
                ("keyFingerprint", PolicyStatement.Fingerprint(pseudonyms, [Convert.ToHexStringLower(key.Hash.Span)])));
        }

        if (options.Entra is { } entra)
        {
            yield return PolicyStatement.Of("auth.entra", ("authority", entra.Authority), ("audiences", entra.Audiences));
        }
    }
}
