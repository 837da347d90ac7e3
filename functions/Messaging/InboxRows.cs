using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// The rows of the table <c>Inbox</c>. A delivery's id decides its partition and names its rows:
/// <c>d|{id}</c> what was received, <c>p|{id}|{item}</c> one for each work item until it is complete,
/// <c>t|{received}|{id}</c> to find old deliveries by time.
/// </summary>
internal static class InboxRows
{
    public const string Table = "Inbox";
    public const string PendingPrefix = "p|";
    private const int SchemaVersion = 1;
    private const int IdBytes = 16;

    /// <summary>Generations of one replay; a work item is never enqueued so often in between.</summary>
    public const int GenerationsPerReplay = 10_000;

    /// <summary>All partitions: the first hexadecimal digit of the id.</summary>
    public static IReadOnlyList<string> Partitions { get; } = [.. Enumerable.Range(0, 16).Select(static n => n.ToString("x", CultureInfo.InvariantCulture))];

    public static string PartitionOf(string id) => id[..1];

    public static string DeliveryRow(string id) => $"d|{id}";

    public static string PendingRow(string id, int item) => string.Create(CultureInfo.InvariantCulture, $"p|{id}|{item:D2}");

    public static string TimeRow(DateTimeOffset receivedAt, string id) => $"{TimePrefix(receivedAt)}|{id}";

    /// <summary>Row keys of deliveries received before that moment.</summary>
    public static RowKeyRange ReceivedBefore(DateTimeOffset time) => new("t|", TimePrefix(time));

    /// <summary>The id at the end of a <see cref="TimeRow"/>.</summary>
    public static string IdOfTimeRow(string row) => row[(row.LastIndexOf('|') + 1)..];

    /// <summary>
    /// The id of a delivery: source and the sender's id, else source, the event's own time and the body. Fields are separated by a
    /// byte that occurs in none of them.
    /// </summary>
    public static string IdOf(InboxDelivery delivery, string contentHash) => Hash(delivery.SenderId is { } senderId
        ? $"id\n{delivery.Source}\n{senderId}"
        : string.Create(CultureInfo.InvariantCulture, $"body\n{delivery.Source}\n{delivery.EventTime?.UtcTicks ?? 0}\n{contentHash}"));

    /// <summary>The id of a second delivery that came under an id used before.</summary>
    public static string IdOfReuse(string id, string contentHash) => Hash($"reuse\n{id}\n{contentHash}");

    /// <summary>Everything a delivery leaves behind, in one transaction.</summary>
    public static EntityTransaction Insert(InboxRecord record, IReadOnlyList<PendingItem> items)
    {
        var partition = PartitionOf(record.Id);
        List<EntityOperation> operations =
        [
            EntityOperation.Insert(ToEntity(record)),
            EntityOperation.Insert(new Entity(partition, TimeRow(record.ReceivedAt, record.Id))),
        ];
        foreach (var item in items)
        {
            operations.Add(EntityOperation.Insert(ToEntity(item)));
        }

        return new EntityTransaction(Table, operations);
    }

    /// <summary>The delivery's row anew, and its work items, whether or not they are still there.</summary>
    public static EntityTransaction Replay(InboxRecord record, IReadOnlyList<PendingItem> items) => new(
        Table, [EntityOperation.Replace(ToEntity(record)), .. items.Select(static item => EntityOperation.Upsert(ToEntity(item)))]);

    public static Entity ToEntity(InboxRecord record)
    {
        var entity = new Entity(PartitionOf(record.Id), DeliveryRow(record.Id))
        {
            ETag = record.ETag,
            Properties =
            {
                ["Schema"] = SchemaVersion,
                ["Source"] = record.Source,
                ["SenderId"] = record.SenderId,
                ["ReceivedAt"] = record.ReceivedAt,
                ["BodyHash"] = record.BodyHash,
                ["ContentHash"] = record.ContentHash,
                ["VerifiedBy"] = record.VerifiedBy,
                ["KeyId"] = record.KeyId,
                ["ItemSize"] = record.ItemSize,
                ["Replays"] = record.Replays == 0 ? null : record.Replays,
                ["ReplayedAt"] = record.ReplayedAt,
                ["ReplayedBy"] = record.ReplayedBy,
                ["ReplayReason"] = record.ReplayReason,
            },
        };
        InboxPayload.AddChunks(entity.Properties, record.Encrypted);
        return entity;
    }

    public static InboxRecord ReadRecord(string id, Entity entity) => new()
    {
        Id = id,
        ETag = entity.ETag,
        Replays = entity.Properties.Get<int>("Replays"),
        ReplayedAt = entity.Properties.Get<DateTimeOffset?>("ReplayedAt"),
        ReplayedBy = entity.Properties.Get<string>("ReplayedBy"),
        ReplayReason = entity.Properties.Get<string>("ReplayReason"),
        Source = entity.Properties.Require<string>("Source"),
        SenderId = entity.Properties.Get<string>("SenderId"),
        ReceivedAt = entity.Properties.Require<DateTimeOffset>("ReceivedAt"),
        BodyHash = entity.Properties.Require<string>("BodyHash"),
        ContentHash = entity.Properties.Get<string>("ContentHash"),
        VerifiedBy = entity.Properties.Require<int>("VerifiedBy"),
        KeyId = entity.Properties.Require<string>("KeyId"),
        ItemSize = entity.Properties.Require<int>("ItemSize"),
        Encrypted = InboxPayload.JoinChunks(entity.Properties),
    };

    public static Entity ToEntity(PendingItem item) => new(PartitionOf(item.DeliveryId), PendingRow(item.DeliveryId, item.Item))
    {
        ETag = item.ETag,
        Properties =
        {
            ["Schema"] = SchemaVersion,
            ["Source"] = item.Source,
            ["Session"] = item.SessionId,
            ["AcceptedAt"] = item.AcceptedAt,
            ["EnqueuedAt"] = item.EnqueuedAt,
            ["Generation"] = item.Generation,
            ["Alerted"] = item.Alerted,
            ["IdReused"] = item.IdReused,
            ["TraceParent"] = item.TraceParent,
            ["Queue"] = item.Queue == Queues.Offboarding ? null : item.Queue.Name,
        },
    };

    public static PendingItem ReadPending(Entity entity)
    {
        var parts = entity.RowKey.Split('|');
        return new PendingItem
        {
            DeliveryId = parts[1],
            Item = int.Parse(parts[2], CultureInfo.InvariantCulture),
            Source = entity.Properties.Require<string>("Source"),
            SessionId = entity.Properties.Require<string>("Session"),
            AcceptedAt = entity.Properties.Require<DateTimeOffset>("AcceptedAt"),
            EnqueuedAt = entity.Properties.Require<DateTimeOffset>("EnqueuedAt"),
            Generation = entity.Properties.Require<int>("Generation"),
            Alerted = entity.Properties.Get<bool>("Alerted"),
            IdReused = entity.Properties.Get<bool>("IdReused"),
            TraceParent = entity.Properties.Get<string>("TraceParent"),
            Queue = entity.Properties.Get<string>("Queue") == Queues.Transfers.Name ? Queues.Transfers : Queues.Offboarding,
            ETag = entity.ETag,
        };
    }

    private static string TimePrefix(DateTimeOffset time) => string.Create(CultureInfo.InvariantCulture, $"t|{time.ToUnixTimeMilliseconds():D13}");

    private static string Hash(string identity)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(identity), hash);
        return Convert.ToHexStringLower(hash[..IdBytes]);
    }
}

/// <summary>What a delivery's row holds.</summary>
internal sealed record InboxRecord
{
    public required string Id { get; init; }

    public required string Source { get; init; }

    public string? SenderId { get; init; }

    public required DateTimeOffset ReceivedAt { get; init; }

    /// <summary>SHA-256 of the body, lower-case hexadecimal.</summary>
    public required string BodyHash { get; init; }

    /// <summary>SHA-256 of what of the body tells a repetition from something new, where that is not the whole.</summary>
    public string? ContentHash { get; init; }

    public required int VerifiedBy { get; init; }

    public required string KeyId { get; init; }

    /// <summary>Events per work item.</summary>
    public required int ItemSize { get; init; }

    public required byte[] Encrypted { get; init; }

    /// <summary>How often it was replayed; the last time by whom and why.</summary>
    public int Replays { get; init; }

    public DateTimeOffset? ReplayedAt { get; init; }

    public string? ReplayedBy { get; init; }

    public string? ReplayReason { get; init; }

    public string? ETag { get; init; }
}

/// <summary>A work item that is not complete.</summary>
internal sealed record PendingItem
{
    public required string DeliveryId { get; init; }

    public required int Item { get; init; }

    public required string Source { get; init; }

    public required string SessionId { get; init; }

    /// <summary>Where it is handled.</summary>
    public QueueDefinition Queue { get; init; } = Queues.Offboarding;

    public required DateTimeOffset AcceptedAt { get; init; }

    /// <summary>When it was last enqueued; at first, when it was accepted, since the enqueueing follows at once.</summary>
    public required DateTimeOffset EnqueuedAt { get; init; }

    public int Generation { get; init; }

    /// <summary>People were told that it has waited for too long.</summary>
    public bool Alerted { get; init; }

    public bool IdReused { get; init; }

    /// <summary>The trace of the delivery, so that a later enqueueing belongs to it.</summary>
    public string? TraceParent { get; init; }

    public string? ETag { get; init; }

    /// <summary>How often it was enqueued before, since it was accepted or last replayed.</summary>
    public int Attempt => Generation % InboxRows.GenerationsPerReplay;

    public OutgoingMessage ToMessage(int generation, DateTimeOffset? at = null) => new()
    {
        EnqueueAt = at,
        MessageId = string.Create(CultureInfo.InvariantCulture, $"delivery-{DeliveryId}-{Item}-{generation}"),
        SessionId = SessionId,
        Subject = "delivery",
        TraceParent = TraceParent,
        Body = new OffboardingMessage
        {
            Kind = OffboardingMessageKind.Delivery,
            Delivery = new InboxReference(InboxRows.PartitionOf(DeliveryId), DeliveryId, Item),
            Generation = generation,
        }.ToBody(),
    };
}
