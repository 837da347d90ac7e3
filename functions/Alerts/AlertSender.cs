using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Messaging;

namespace DingFlow.Alerts;

/// <summary>Puts alerts on their queue, each under an id made from its own.</summary>
public sealed class AlertSender(IMessageQueue queue) : IAlertSender
{
    /// <inheritdoc/>
    public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(alert);
        return queue.SendAsync(Queues.Alerts, [new AlertWork { Alert = alert }.ToMessage()], cancellationToken);
    }
}

/// <summary>
/// The body of a message on <see cref="Queues.Alerts"/>: an alert to begin with, or the next attempt to deliver it to one channel.
/// </summary>
internal sealed record AlertWork
{
    /// <summary>The alert, in the first message of it.</summary>
    public AlertMessage? Alert { get; init; }

    /// <summary>The alert's key, in a message for one channel.</summary>
    public string? Key { get; init; }

    /// <summary>The channel, in a message for one channel.</summary>
    public string? Channel { get; init; }

    /// <summary>Which attempt to make, from 1.</summary>
    public int Attempt { get; init; }

    /// <summary>How often it was put off because the store was down.</summary>
    public int Postponed { get; init; }

    /// <summary>The name of an alert in keys and message ids: its own id may hold anything.</summary>
    public static string KeyOf(string alertId) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(alertId)).AsSpan(0, 16));

    /// <summary>The message that carries it.</summary>
    public OutgoingMessage ToMessage(DateTimeOffset? enqueueAt = null) => new()
    {
        MessageId = (Alert is not null
            ? $"alert-{KeyOf(Alert.AlertId)}"
            : string.Create(CultureInfo.InvariantCulture, $"alert-{Key}-{Channel}-{Attempt}"))
            + (Postponed == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"-later-{Postponed}")),
        Subject = Alert is not null ? "alert" : "attempt",
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
                && (work.Alert is not null || work is { Key.Length: > 0, Channel.Length: > 0, Attempt: > 0 })
                ? work
                : throw new FormatException("An alert message names neither an alert nor an attempt.");
        }
        catch (JsonException exception)
        {
            throw new FormatException("An alert message is not the JSON it should be.", exception);
        }
    }
}

/// <summary>What a receiver gets: the envelope of Standard Webhooks.</summary>
internal sealed record AlertEnvelope(string Type, DateTimeOffset Timestamp, AlertData Data)
{
    public static byte[] Of(AlertMessage alert) => JsonSerializer.SerializeToUtf8Bytes(
        new AlertEnvelope(
            alert.Type, alert.OccurredAt, new AlertData(alert.AlertId, alert.Severity.ToString().ToLowerInvariant(), alert.Summary, alert.About, alert.Details)),
        AlertJson.Default.AlertEnvelope);
}

/// <summary>The alert inside the envelope.</summary>
internal sealed record AlertData(
    string AlertId, string Severity, string Summary, string? About, IReadOnlyDictionary<string, string> Details);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(AlertWork))]
[JsonSerializable(typeof(AlertMessage))]
[JsonSerializable(typeof(AlertEnvelope))]
internal sealed partial class AlertJson : JsonSerializerContext;
