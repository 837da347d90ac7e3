using System.Globalization;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Alerts;

/// <summary>What a change of an alert means, for the audit trail.</summary>
internal static class AlertAudit
{
    public static AuditKind Raised { get; } = new("alerts.raised", AuditRetention.Legal, "An alert arose and people are told.");

    public static AuditKind Acknowledged { get; } = new("alerts.acknowledged", AuditRetention.Legal, "A person took note of an alert.");

    public static AuditKind Silenced { get; } = new("alerts.silenced", AuditRetention.Legal, "A person silenced an alert for a time.");

    public static AuditKind Read { get; } = new("alerts.read", AuditRetention.Operational, "Somebody read alerts; those on cases name the employee.");

    public static AuditKind Resolved { get; } = new("alerts.resolved", AuditRetention.Legal, "An alert is over.");

    /// <summary>The events that a change means; none when it was only told again.</summary>
    public static IReadOnlyList<AuditEvent> Of(StoredAlert? before, StoredAlert after)
    {
        List<AuditEvent> events = [];
        var system = AuditActor.System(nameof(DeliverAlert));
        if (before is null)
        {
            events.Add(EventOf(Raised, system, after, null));
        }

        if (after.Acknowledged is { } acknowledged && acknowledged != before?.Acknowledged)
        {
            events.Add(EventOf(Acknowledged, AuditActor.Principal(acknowledged.By), after, acknowledged.Reason));
        }

        if (after.Silenced is { } silenced && silenced != before?.Silenced)
        {
            events.Add(EventOf(Silenced, AuditActor.Principal(silenced.By), after, silenced.Reason));
        }

        if (after.ResolvedAt is not null && before?.ResolvedAt is null)
        {
            events.Add(EventOf(Resolved, system, after, null));
        }

        return events;
    }

    private static AuditEvent EventOf(AuditKind kind, AuditActor actor, StoredAlert alert, string? reason)
    {
        var details = new Dictionary<string, string>
        {
            ["type"] = alert.Alert.Type, ["severity"] = Words.Of(alert.Alert.Severity),
        };
        if (alert.SilencedUntil is { } until && kind == Silenced)
        {
            details["until"] = until.UtcDateTime.ToString("O", CultureInfo.InvariantCulture);
        }

        return new()
        {
            Kind = kind,
            Actor = actor,
            Payload = PayloadHash.Of(JsonSerializer.SerializeToUtf8Bytes(alert.Alert, AlertJson.Default.AlertMessage)),
            On = new("alert", alert.Key),
            Exporter = alert.Alert.Details.GetValueOrDefault("exporter"),
            Reason = reason,
            Details = details,
        };
    }
}
