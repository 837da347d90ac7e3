using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Storage;
using DingFlow.Telemetry;

namespace DingFlow.Messaging;

/// <summary>A message that can never succeed, however often it is delivered. It is parked at once.</summary>
/// <param name="reason">Why, in plain words; no personal data.</param>
public sealed class UnusableMessageException(string reason) : Exception(reason);

/// <summary>
/// Sets messages aside that cannot be handled. A function under the Functions host cannot dead-letter a message with a reason, so we
/// keep it ourselves: the message, why, and how often it was tried. Table <c>ParkedMessages</c>, partition = queue.
/// </summary>
public sealed partial class ParkedMessages(
    IEntityStore store, IMessageQueue queue, IAuditTrail trail, IAlertSender alerts, TimeProvider time, ILogger<ParkedMessages> logger)
{
    /// <summary>Characters of an id.</summary>
    public const int IdLength = 32;

    private const string Table = "ParkedMessages";

    /// <summary>How long one that somebody has dealt with is kept for those who ask about it.</summary>
    private static readonly TimeSpan Retention = TimeSpan.FromDays(90);

    /// <summary>
    /// Keeps the message and tells people. The same message again, after a crash or a lost answer, changes nothing: neither what was kept
    /// nor what somebody has decided on it since.
    /// </summary>
    /// <param name="message">The message.</param>
    /// <param name="reason">Why, in plain words; no personal data.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task ParkAsync(ReceivedMessage message, string reason, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        var now = time.GetUtcNow();
        var id = IdOf(message);
        var known = await store.GetAsync(Table, message.Queue, id, cancellationToken);
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
            ["Replays"] = known?.Properties.Get<int>("Replays") ?? 0,
        };
        for (var (i, at) = (0, 0); at < message.Body.Length; i++, at += EntityLimits.BinaryLength)
        {
            var length = Math.Min(EntityLimits.BinaryLength, message.Body.Length - at);
            properties[string.Create(CultureInfo.InvariantCulture, $"Body{i}")] = message.Body.Slice(at, length).ToArray();
        }

        var row = new Entity(message.Queue, id) { Properties = properties };
        if (known is null || known.Properties.Get<DateTimeOffset?>("EnqueuedAt") != message.EnqueuedAt)
        {
            // Not committed: another delivery of it is being kept at this moment.
            await trail.SubmitAsync(
                EntityTransaction.Of(Table, known is null ? EntityOperation.Insert(row) : EntityOperation.Replace(row, known.ETag)),
                [ParkedEvent(message, id, reason)], cancellationToken);
        }

        Log.Parked(logger, id, message.Queue, message.DeliveryCount, reason);
        OperationalMetrics.MessageParked(message.Queue);
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

    /// <summary>A parked message by its id; <see langword="null"/> when there is none.</summary>
    public async Task<ParkedMessage?> FindAsync(string parkedId, CancellationToken cancellationToken)
    {
        foreach (var definition in Queues.All)
        {
            if (await store.GetAsync(Table, definition.Name, parkedId, cancellationToken) is { } found)
            {
                return Read(found);
            }
        }

        return null;
    }

    /// <summary>Every parked message of a queue, also those that somebody has dealt with.</summary>
    public async IAsyncEnumerable<ParkedMessage> AllAsync(
        QueueDefinition definition, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(definition);
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, definition.Name, AuditOutbox.RowsBefore(), 100, continuation, cancellationToken);
            foreach (var entity in page.Entities)
            {
                yield return Read(entity);
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    /// <summary>
    /// Sends the message once more, under an identity that no queue has seen. The order to do so is stored first: a process that dies in
    /// between leaves a message that says it was replayed and can be replayed again, never one that was sent and looks untouched.
    /// </summary>
    /// <returns>The message as it is now; <see langword="null"/> when it was discarded, or somebody else changed it at this moment.</returns>
    public async Task<ParkedMessage?> ReplayAsync(ParkedMessage parked, string principal, string reason, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(parked);
        if (parked.Status == ParkedStatus.Discarded)
        {
            return null;
        }

        var changed = await ActAsync(parked, ParkedStatus.Replayed, parked.Replays + 1, principal, reason, cancellationToken);
        if (changed is not null)
        {
            await queue.SendAsync(
                Queues.All.Single(q => q.Name == parked.Message.Queue),
                [
                    new()
                    {
                        MessageId = string.Create(CultureInfo.InvariantCulture, $"replay/{parked.ParkedId}/{changed.Replays}"),
                        SessionId = parked.Message.SessionId,
                        Subject = parked.Message.Subject,
                        TraceParent = parked.Message.TraceParent,
                        Body = parked.Message.Body,
                    },
                ],
                cancellationToken);
        }

        return changed;
    }

    /// <summary>Notes that the message is not to be handled any more.</summary>
    /// <returns>The message as it is now; <see langword="null"/> when it was discarded before, or somebody else changed it at this moment.</returns>
    public async Task<ParkedMessage?> DiscardAsync(ParkedMessage parked, string principal, string reason, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(parked);
        return parked.Status == ParkedStatus.Discarded
            ? null
            : await ActAsync(parked, ParkedStatus.Discarded, parked.Replays, principal, reason, cancellationToken);
    }

    /// <summary>Forgets messages that somebody dealt with longer ago than they are kept.</summary>
    public async Task PruneAsync(CancellationToken cancellationToken)
    {
        var before = time.GetUtcNow() - Retention;
        foreach (var definition in Queues.All)
        {
            var old = new List<EntityTransaction>();
            await foreach (var parked in AllAsync(definition, cancellationToken))
            {
                if (parked.Status != ParkedStatus.Parked && parked.Action!.At < before)
                {
                    old.Add(EntityTransaction.Of(Table, EntityOperation.Delete(definition.Name, parked.ParkedId, parked.ETag)));
                }
            }

            if (old.Count > 0)
            {
                await store.SubmitManyAsync(old, cancellationToken);
            }
        }
    }

    private static AuditEvent ParkedEvent(ReceivedMessage message, string id, string reason) => new()
    {
        Kind = MessagingAudit.MessageParked,
        Actor = AuditActor.System(nameof(ParkedMessages)),
        Payload = PayloadHash.Of(message.Body.Span),
        Outcome = AuditOutcome.Failed,
        On = new("parkedMessage", id),
        Reason = reason,
        Details = new Dictionary<string, string>
        {
            ["queue"] = message.Queue, ["deliveries"] = message.DeliveryCount.ToString(CultureInfo.InvariantCulture),
        },
    };

    private async Task<ParkedMessage?> ActAsync(
        ParkedMessage parked, ParkedStatus status, int replays, string principal, string reason, CancellationToken cancellationToken)
    {
        var action = new ParkedAction(time.GetUtcNow(), principal, reason);
        if (await store.GetAsync(Table, parked.Message.Queue, parked.ParkedId, cancellationToken) is not { } row || row.ETag != parked.ETag)
        {
            return null;
        }

        row.Properties["Status"] = status.ToString();
        row.Properties["Replays"] = replays;
        row.Properties["ActedAt"] = action.At;
        row.Properties["ActedBy"] = action.By;
        row.Properties["ActedFor"] = action.Reason;
        var written = await trail.SubmitAsync(
            EntityTransaction.Of(Table, EntityOperation.Replace(row)),
            [
                new()
                {
                    Kind = status == ParkedStatus.Replayed ? MessagingAudit.MessageReplayed : MessagingAudit.MessageDiscarded,
                    Actor = AuditActor.Principal(principal),
                    Payload = PayloadHash.Of(parked.Message.Body.Span),
                    On = new("parkedMessage", parked.ParkedId),
                    Reason = reason,
                    Details = new Dictionary<string, string> { ["queue"] = parked.Message.Queue },
                },
            ],
            cancellationToken);
        if (!written.Committed)
        {
            return null;
        }

        Log.Acted(logger, parked.ParkedId, parked.Message.Queue, status);
        return parked with { Status = status, Replays = replays, Action = action, ETag = written.ETags[0]! };
    }

    private static string IdOf(ReceivedMessage message) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(message.MessageId)), 0, IdLength / 2);

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
            properties.Require<DateTimeOffset>("ParkedAt"))
        {
            Status = Enum.TryParse<ParkedStatus>(properties.Get<string>("Status"), out var status) ? status : ParkedStatus.Parked,
            Replays = properties.Get<int>("Replays"),
            Action = properties.Get<string>("ActedBy") is { } by
                ? new(properties.Require<DateTimeOffset>("ActedAt"), by, properties.Require<string>("ActedFor"))
                : null,
            ETag = entity.ETag!,
        };
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Critical, "Message {ParkedId} of queue {Queue} was set aside after {Deliveries} deliveries: {Reason}")]
        public static partial void Parked(ILogger logger, string parkedId, string queue, int deliveries, string reason);

        [LoggerMessage(2, LogLevel.Warning, "Message {ParkedId} of queue {Queue} was {Status} by an operator.")]
        public static partial void Acted(ILogger logger, string parkedId, string queue, ParkedStatus status);
    }
}

/// <summary>Whether somebody has dealt with a parked message.</summary>
public enum ParkedStatus
{
    /// <summary>Nobody has.</summary>
    Parked,

    /// <summary>It was sent once more. If that fails again, it is parked anew under another id.</summary>
    Replayed,

    /// <summary>It is not to be handled any more.</summary>
    Discarded,
}

/// <summary>What somebody did with a parked message.</summary>
/// <param name="At">When.</param>
/// <param name="By">The principal.</param>
/// <param name="Reason">Why, in the person's words.</param>
public sealed record ParkedAction(DateTimeOffset At, string By, string Reason);

/// <summary>A message that was set aside, and why.</summary>
public sealed record ParkedMessage(string ParkedId, ReceivedMessage Message, string Reason, DateTimeOffset ParkedAt)
{
    /// <summary>Whether somebody has dealt with it.</summary>
    public ParkedStatus Status { get; init; }

    /// <summary>How often it was replayed.</summary>
    public int Replays { get; init; }

    /// <summary>Who dealt with it last.</summary>
    public ParkedAction? Action { get; init; }

    internal string ETag { get; init; } = "";
}
