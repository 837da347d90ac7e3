using DingFlow.Messaging;

namespace DingFlow.Intake;

/// <summary>Who may report leavers, for the audit trail.</summary>
internal static class IntakePolicy
{
    public static IEnumerable<PolicyStatement> Of(IntakeOptions options, AuditPseudonyms pseudonyms) => options.Sources.Values.Select(source => PolicyStatement.Of(
        $"hrSource/{source.Name}",
        ("dialect", source.Dialect.Name), ("dryRun", source.DryRun), ("paused", source.Paused), ("secrets", source.Secrets.Count),
        ("secretsFingerprint", PolicyStatement.Fingerprint(pseudonyms, source.Secrets.Select(Convert.ToBase64String))),
        ("networks", source.AllowedNetworks.Select(static network => network.ToString())), ("maxPerMinute", source.MaxPerMinute),
        ("tenants", source.Tenants is { } tenants ? string.Join(", ", tenants) : "all"), ("emailDomains", source.EmailDomains)));
}
