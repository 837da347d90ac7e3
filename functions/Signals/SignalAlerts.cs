using System.Globalization;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Signals;

/// <summary>What people are told about signals.</summary>
internal static class SignalAlerts
{
    /// <summary>An event that should be acted on names nobody who can be looked up; one alert a day and source.</summary>
    public static AlertMessage UnknownSubject(HrSource source, string deliveryId, DateTimeOffset now) => new()
    {
        AlertId = string.Create(CultureInfo.InvariantCulture, $"signals.unknown_subject:{source.Name}:{now:yyyyMMdd}"),
        Type = "signals.unknown_subject",
        Severity = AlertSeverity.Critical,
        OccurredAt = now,
        Summary = $"The signal source {source.Name} sent an event about a subject that cannot be told here; nothing was done. Set SubjectIs or have the transmitter send e-mail addresses, then replay the delivery.",
        About = source.QualifiedName,
        Details = new Dictionary<string, string> { ["deliveryId"] = deliveryId },
    };

    /// <summary>The transmitter started, paused or ended its stream.</summary>
    public static AlertMessage StreamUpdated(HrSource source, string status, string deliveryId, DateTimeOffset now) => new()
    {
        AlertId = $"signals.stream_updated:{deliveryId}",
        Type = "signals.stream_updated",
        Severity = status == "enabled" ? AlertSeverity.Information : AlertSeverity.Critical,
        OccurredAt = now,
        Summary = status == "enabled"
            ? $"The transmitter of the signal source {source.Name} sends again."
            : $"The transmitter of the signal source {source.Name} set its stream to {status}: what happens there is not reported here until it is enabled again.",
        About = source.QualifiedName,
        Details = new Dictionary<string, string> { ["status"] = status, ["deliveryId"] = deliveryId },
    };

    /// <summary>A subscriber says that something is wrong with our tokens; one alert a day.</summary>
    public static AlertMessage Refused(SignalSubscriber subscriber, string detail, DateTimeOffset now) => new()
    {
        AlertId = string.Create(CultureInfo.InvariantCulture, $"signals.push_refused:{subscriber.Name}:{now:yyyyMMdd}"),
        Type = "signals.push_refused",
        Severity = AlertSeverity.Warning,
        OccurredAt = now,
        Summary = $"The subscriber {subscriber.Name} refuses our signals ({detail}); they are tried again for three days. Compare Issuer, Audience, Token and the keys with what it expects.",
        About = subscriber.Name,
        Details = new Dictionary<string, string> { ["detail"] = detail },
    };

    /// <summary>A subscriber could not be told.</summary>
    public static AlertMessage GivenUp(SignalSubscriber subscriber, string caseId, string detail, DateTimeOffset now) => new()
    {
        AlertId = $"signals.given_up:{subscriber.Name}:{caseId}",
        Type = "signals.given_up",
        Severity = AlertSeverity.Critical,
        OccurredAt = now,
        Summary = $"The subscriber {subscriber.Name} could not be told for days what became of a person's accounts ({detail}): tell it by hand.",
        About = subscriber.Name,
        Details = new Dictionary<string, string> { ["caseId"] = caseId, ["detail"] = detail },
    };

    /// <summary>A subscriber knows people by something that is not known of this one.</summary>
    public static AlertMessage NoSubject(SignalSubscriber subscriber, string caseId, DateTimeOffset now) => new()
    {
        AlertId = $"signals.no_subject:{subscriber.Name}:{caseId}",
        Type = "signals.no_subject",
        Severity = AlertSeverity.Warning,
        OccurredAt = now,
        Summary = $"The subscriber {subscriber.Name} was not told of a case: nothing is known of the person by which it knows people.",
        About = subscriber.Name,
        Details = new Dictionary<string, string> { ["caseId"] = caseId },
    };
}
