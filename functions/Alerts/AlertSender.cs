using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Messaging;
using DingFlow.Telemetry;

namespace DingFlow.Alerts;

/// <summary>Puts alerts on their queue, each under an id made from its own.</summary>
public sealed class AlertSender(IMessageQueue queue) : IAlertSender
{
    /// <inheritdoc/>
    public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(alert);
        OperationalMetrics.AlertRaised(alert.Type, alert.Severity.ToString().ToLowerInvariant());
        return queue.SendAsync(Queues.Alerts, [new AlertWork { Alert = alert }.ToMessage()], cancellationToken);
    }
}

/// <summary>
/// The body of a message on <see cref="Queues.Alerts"/>: an alert to begin with, one to tell again, or the next step of a message to a
/// channel.
/// </summary>
internal sealed record AlertWork
{
    /// <summary>The alert, in the first message of it.</summary>
    public AlertMessage? Alert { get; init; }

    /// <summary>The key of an alert that is to be told again.</summary>
    public string? Key { get; init; }

    /// <summary>Which telling of it, from 2.</summary>
    public int Occurrence { get; init; }

    /// <summary>The message to a channel (<see cref="NoticeProgress.Id"/>), in its steps.</summary>
    public string? Notice { get; init; }

    /// <summary>The channel, in the steps of a message to it.</summary>
    public string? Channel { get; init; }

    /// <summary>Which attempt to make, from 1.</summary>
    public int Attempt { get; init; }

    /// <summary>How often that attempt is asked after, from 1; 0 when it is to be made.</summary>
    public int Check { get; init; }

    /// <summary>How often it was put off because the store was down or the channel had no turn left.</summary>
    public int Postponed { get; init; }

    /// <summary>The name of an alert in keys and message ids: its own id may hold anything.</summary>
    public static string KeyOf(string alertId) => AlertStore.Hash(alertId);

    /// <summary>The message that carries it.</summary>
    public OutgoingMessage ToMessage(DateTimeOffset? enqueueAt = null) => new()
    {
        MessageId = Identity() + (Postponed == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"-later-{Postponed}")),
        Subject = Alert is not null ? "alert" : Key is not null ? "again" : Check == 0 ? "attempt" : "check",
        EnqueueAt = enqueueAt,
        Body = JsonSerializer.SerializeToUtf8Bytes(this, AlertJson.Default.AlertWork),
    };

    /// <summary>Reads a body that <see cref="ToMessage"/> wrote.</summary>
    /// <exception cref="FormatException">It is not such a body.</exception>
    public static AlertWork Parse(ReadOnlySpan<byte> body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, AlertJson.Default.AlertWork) is { } work
                && (work.Alert is not null || work is { Key.Length: > 0, Occurrence: > 1 }
                    || work is { Notice.Length: > 0, Channel.Length: > 0, Attempt: > 0 })
                ? work
                : throw new FormatException("An alert message names neither an alert nor a step of one.");
        }
        catch (JsonException exception)
        {
            throw new FormatException("An alert message is not the JSON it should be.", exception);
        }
    }

    private string Identity() => Alert is not null ? $"alert-{KeyOf(Alert.AlertId)}"
        : Key is not null ? string.Create(CultureInfo.InvariantCulture, $"alert-{Key}-again-{Occurrence}")
        : string.Create(CultureInfo.InvariantCulture, $"alert-{Notice}-{Channel}-{Attempt}")
            + (Check == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"-check-{Check}"));
}

/// <summary>What a receiver gets: the envelope of Standard Webhooks, for one alert or for a burst of them.</summary>
internal sealed record AlertEnvelope(string Type, DateTimeOffset Timestamp, AlertData Data)
{
    public static byte[] Of(TellingOfAlert telling, IReadOnlyList<AlertEnclosure> enclosures) =>
        JsonSerializer.SerializeToUtf8Bytes(EnvelopeOf(telling, enclosures), AlertJson.Default.AlertEnvelope);

    public static byte[] Of(IReadOnlyList<TellingOfAlert> burst, IReadOnlyList<AlertEnclosure> enclosures) => JsonSerializer.SerializeToUtf8Bytes(
        new AlertBurstEnvelope(
            "alerts.burst", burst[0].Alert.OccurredAt, new([.. burst.Select(telling => EnvelopeOf(telling, enclosures))])),
        AlertJson.Default.AlertBurstEnvelope);

    private static AlertEnvelope EnvelopeOf(TellingOfAlert telling, IReadOnlyList<AlertEnclosure> enclosures)
    {
        var (alert, occurrence) = (telling.Alert, telling.Occurrence);
        List<AlertDocumentData> documents = [.. enclosures.Where(one => one.Key == telling.Key).Select(AlertDocumentData.Of)];
        return new(
            alert.Type, alert.OccurredAt,
            new(
                alert.AlertId, alert.Severity.ToString().ToLowerInvariant(), alert.Summary, alert.About, alert.Details, occurrence == 1 ? null : occurrence,
                documents.Count == 0 ? null : documents));
    }
}

/// <summary>Several alerts in one message.</summary>
internal sealed record AlertBurstEnvelope(string Type, DateTimeOffset Timestamp, AlertBurst Data);

/// <summary>The alerts of a burst.</summary>
internal sealed record AlertBurst(IReadOnlyList<AlertEnvelope> Alerts);

/// <summary>The alert inside the envelope.</summary>
internal sealed record AlertData(
    string AlertId, string Severity, string Summary, string? About, IReadOnlyDictionary<string, string> Details, int? Occurrence,
    IReadOnlyList<AlertDocumentData>? Documents);

/// <summary>
/// A document inside the envelope: its bytes in base64, compressed where <c>contentEncoding</c> says so; or, without them, why they are left
/// out. Size and hash are those of the document itself.
/// </summary>
internal sealed record AlertDocumentData(
    string Name, string MediaType, long Bytes, string Sha256, string Source, string? ContentEncoding, byte[]? Content, string? Omitted)
{
    public static AlertDocumentData Of(AlertEnclosure one) => new(
        one.Document.Name, one.Document.MediaType, one.Document.Bytes, one.Document.Sha256, one.Document.Source,
        one.Form == EnclosureForm.Gzip ? "gzip" : null, one.IsEnclosed ? one.Content : null,
        one.Form switch { EnclosureForm.TooLarge => "tooLarge", EnclosureForm.Gone => "gone", _ => null });
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(AlertWork))]
[JsonSerializable(typeof(AlertMessage))]
[JsonSerializable(typeof(AlertEnvelope))]
[JsonSerializable(typeof(AlertBurstEnvelope))]
internal sealed partial class AlertJson : JsonSerializerContext;
