using DingFlow.Messaging;

namespace DingFlow.Alerts;

/// <summary>When people are told and through what, for the audit trail.</summary>
internal static class AlertPolicy
{
    public static IEnumerable<PolicyStatement> Of(AlertOptions options, AuditPseudonyms pseudonyms)
    {
        yield return PolicyStatement.Of(
            "alerts",
            ("levels", string.Join(", ", options.Levels)), ("hysteresis", options.Hysteresis), ("filingLeadDays", options.FilingLeadDays), ("repeat", options.Repeat),
            ("certificationLeadDays", options.CertificationLeadDays), ("contractLeadDays", options.ContractLeadDays), ("reviewLeadDays", options.ReviewLeadDays),
            ("retentionDays", options.RetentionDays));
        foreach (var channel in options.Channels)
        {
            yield return PolicyStatement.Of(
                $"alertChannel/{channel.Name}",
                ("type", channel.GetType().Name), ("severity", channel.Severity), ("language", channel.Language), ("groupWait", channel.GroupWait),
                ("areas", channel.Areas), ("documentBytes", (channel as MailChannel)?.DocumentBytes ?? (channel as WebhookChannel)?.DocumentBytes ?? 0),
                ("receiver", PolicyStatement.Fingerprint(pseudonyms, [channel.Fingerprint])));
        }
    }
}
