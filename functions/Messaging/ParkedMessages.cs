using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>A message that can never succeed, however often it is delivered. It is parked at once.</summary>
/// <param name="reason">Why, in plain words; no personal data.</param>
public sealed class UnusableMessageException(string reason) : Exception(reason);

/// <summary>
/// Sets messages aside that cannot be handled. A function under the Functions host cannot dead-letter a message with a reason, so we
/// keep it ourselves: the message, why, and how often it was tried. Table <c>ParkedMessages</c>, partition = queue.
/// </summary>
public sealed partial class ParkedMessages(IEntityStore store, IAlertSender alerts, TimeProvider time, ILogger<ParkedMessages> logger)
{
    private const string Table = "ParkedMessages";

    /// <summary>Keeps the message and tells people. Doing it again changes nothing but the time.</summary>
    /// <param name="message">The message.</param>
    /// <param name="reason">Why, in plain words; no personal data.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task ParkAsync(ReceivedMessage message, string reason, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        var now = time.GetUtcNow();
        var id = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(message.MessageId)), 0, 16);
        var properties = new EntityProperties
        {
            ["Schema"] = 1,
            ["MessageId"] = message.MessageId,
            ["SessionId"] = message.SessionId,
            ["Subject"] = message.Subject,
            ["TraceParent"] = message.TraceParent,
            ["DeliveryCount"] = message.DeliveryCount,
            ["EnqueuedAt"] = message.EnqueuedAt,
            ["ParkedAt"] = now,
            ["Reason"] = reason,
        };
        for (var (i, at) = (0, 0); at < message.Body.Length; i++, at += EntityLimits.BinaryLength)
        {
            var length = Math.Min(EntityLimits.BinaryLength, message.Body.Length - at);
            properties[string.Create(CultureInfo.InvariantCulture, $"Body{i}")] = message.Body.Slice(at, length).ToArray();
        }

        await store.SubmitAsync(
            EntityTransaction.Of(Table, EntityOperation.Upsert(new Entity(message.Queue, id) { Properties = properties })), cancellationToken);
        Log.Parked(logger, id, message.Queue, message.DeliveryCount, reason);
        if (message.Queue == Queues.Alerts.Name)
        {
            return; // An alert about an alert that cannot be delivered would go the same way; the log line has to do.
        }

        await alerts.SendAsync(
            new()
            {
                // A case whose runs fail again and again parks many messages: people are told once a day of each session.
                AlertId = string.Create(CultureInfo.InvariantCulture, $"messaging/parked/{message.Queue}/{message.SessionId ?? id}/{now:yyyyMMdd}"),
                Type = "messaging.parked",
                Severity = AlertSeverity.Critical,
                OccurredAt = now,
                Summary = "A message could not be handled and was set aside.",
                About = message.Queue,
                Details = new Dictionary<string, string> { ["parkedId"] = id, ["reason"] = reason },
            },
            cancellationToken);
    }

    /// <summary>The parked messages of a queue, at most so many.</summary>
    public async Task<IReadOnlyList<ParkedMessage>> ListAsync(QueueDefinition queue, int maximum, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(queue);
        var page = await store.QueryAsync(Table, queue.Name, RowKeyRange.All, maximum, null, cancellationToken);
        return [.. page.Entities.Select(Read)];
    }

    private static ParkedMessage Read(Entity entity)
    {
        var properties = entity.Properties;
        using var body = new MemoryStream();
        for (var i = 0; properties.Get<byte[]>(string.Create(CultureInfo.InvariantCulture, $"Body{i}")) is { } part; i++)
        {
            body.Write(part);
        }

        return new(
            entity.RowKey,
            new()
            {
                Queue = entity.PartitionKey,
                MessageId = properties.Require<string>("MessageId"),
                SessionId = properties.Get<string>("SessionId"),
                Subject = properties.Get<string>("Subject"),
                TraceParent = properties.Get<string>("TraceParent"),
                DeliveryCount = properties.Require<int>("DeliveryCount"),
                EnqueuedAt = properties.TryGetValue("EnqueuedAt", out var enqueuedAt) ? (DateTimeOffset?)enqueuedAt : null,
                Body = body.ToArray(),
            },
            properties.Require<string>("Reason"),
            properties.Require<DateTimeOffset>("ParkedAt"));
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Critical, "Message {ParkedId} of queue {Queue} was set aside after {Deliveries} deliveries: {Reason}")]
        public static partial void Parked(ILogger logger, string parkedId, string queue, int deliveries, string reason);
    }
}

/// <summary>A message that was set aside, and why.</summary>
public sealed record ParkedMessage(string ParkedId, ReceivedMessage Message, string Reason, DateTimeOffset ParkedAt);
