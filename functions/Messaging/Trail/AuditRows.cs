using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// Where the trail lies. Table <c>AuditEntries</c>, a partition for each chain: <c>e|{sequence}</c> the entries that one write appended,
/// under the number of the first; <c>head</c> the last entry's number and hash. Table <c>AuditTrail</c>: <c>chains</c> every chain there
/// is, <c>outbox</c> the partitions in which events may wait.
/// </summary>
internal static class AuditRows
{
    public const string EntriesTable = "AuditEntries";
    public const string TrailTable = "AuditTrail";
    public const string ChainsPartition = "chains";
    public const string OutboxPartition = "outbox";
    public const string HeadRow = "head";
    private const int SchemaVersion = 1;
    private const string EntryPrefix = "e|";

    public static string EntryRow(long first) => string.Create(CultureInfo.InvariantCulture, $"{EntryPrefix}{first:D15}");

    /// <summary>The rows of a chain that hold nothing but entries from a number on. The row before may hold some as well: see <see cref="AuditChainReader"/>.</summary>
    public static RowKeyRange EntriesFrom(long first) => new(EntryRow(first), "e}");

    public static long FirstOf(string rowKey) => long.Parse(rowKey.AsSpan(EntryPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture);

    public static Entity Head(string chain, AuditHead head) => new(chain, HeadRow)
    {
        ETag = head.ETag,
        Properties = { ["Schema"] = SchemaVersion, ["Sequence"] = head.Sequence, ["Hash"] = head.Hash.ToArray(), ["At"] = head.At },
    };

    public static AuditHead ReadHead(Entity entity) => new(
        entity.Properties.Require<long>("Sequence"), entity.Properties.Require<byte[]>("Hash"),
        entity.Properties.Require<DateTimeOffset>("At"), entity.ETag);

    public static Entity Entries(string chain, long first, ReadOnlySpan<byte> lines)
    {
        var entity = new Entity(chain, EntryRow(first)) { Properties = { ["Schema"] = SchemaVersion } };
        InboxPayload.AddChunks(entity.Properties, lines.ToArray());
        return entity;
    }

    /// <summary>The lines of a row, in the order in which they stand there.</summary>
    /// <exception cref="InvalidDataException">A line is damaged.</exception>
    public static IEnumerable<AuditEntry> ReadEntries(Entity entity)
    {
        ReadOnlyMemory<byte> rest = InboxPayload.JoinChunks(entity.Properties);
        while (!rest.IsEmpty)
        {
            var end = rest.Span.IndexOf((byte)'\n');
            if (end < 0)
            {
                throw new InvalidDataException("A row of the trail ends within a line.");
            }

            yield return AuditLines.Read(rest[..end]);
            rest = rest[(end + 1)..];
        }
    }

    public static Entity Chain(string chain, DateTimeOffset now) =>
        new(ChainsPartition, chain) { Properties = { ["Schema"] = SchemaVersion, ["Since"] = now } };

    /// <summary>A partition in which events may wait: from a day on, until a sweep finds that it is left.</summary>
    public static Entity OutboxPlace(string day, string table, string partition) =>
        new(OutboxPartition, $"{day}|{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{table}\n{partition}")).AsSpan(0, 16))}")
        {
            Properties = { ["Schema"] = SchemaVersion, ["Table"] = table, ["Partition"] = partition },
        };

    public static string DayOf(DateTimeOffset time) => time.UtcDateTime.ToString("yyyyMMdd", CultureInfo.InvariantCulture);

    public static Entity Waiting(string partition, WaitingEvent waiting) => new(partition, AuditOutbox.RowPrefix + waiting.Id)
    {
        Properties =
        {
            ["Schema"] = SchemaVersion,
            ["Chain"] = waiting.Chain,
            ["After"] = waiting.After,
            ["StagedAt"] = waiting.StagedAt,
            ["Kind"] = waiting.Kind,
            ["Retention"] = waiting.Retention.ToString(),
            ["Content"] = waiting.Content,
        },
    };

    public static WaitingEvent ReadWaiting(Entity entity) => new()
    {
        Id = entity.RowKey[AuditOutbox.RowPrefix.Length..],
        Chain = entity.Properties.Require<string>("Chain"),
        After = entity.Properties.Require<long>("After"),
        StagedAt = entity.Properties.Require<DateTimeOffset>("StagedAt"),
        Kind = entity.Properties.Require<string>("Kind"),
        Retention = Enum.Parse<AuditRetention>(entity.Properties.Require<string>("Retention")),
        Content = entity.Properties.Require<byte[]>("Content"),
    };
}

/// <summary>The end of a chain.</summary>
/// <param name="Sequence">The number of the last entry; 0 when there is none.</param>
/// <param name="Hash">Its hash.</param>
/// <param name="At">When it was appended, by the writer's clock.</param>
/// <param name="ETag">The version of the row; <see langword="null"/> when there is none.</param>
internal sealed record AuditHead(long Sequence, ReadOnlyMemory<byte> Hash, DateTimeOffset At, string? ETag)
{
    public static AuditHead Empty { get; } = new(0, AuditHash.Zero, DateTimeOffset.MinValue, null);
}

/// <summary>An event on its way into a chain.</summary>
internal sealed record WaitingEvent
{
    public required string Id { get; init; }

    /// <summary>The chain that it was meant for when it was staged: whoever moves it moves it there, so that it cannot be moved twice.</summary>
    public required string Chain { get; init; }

    /// <summary>The last entry of that chain when the event was staged: if it is in the chain, it is behind this one.</summary>
    public required long After { get; init; }

    public required DateTimeOffset StagedAt { get; init; }

    public required string Kind { get; init; }

    public required AuditRetention Retention { get; init; }

    public required byte[] Content { get; init; }

    public static WaitingEvent Of(AuditEvent auditEvent, string chain, long after, DateTimeOffset now)
    {
        var content = AuditContent.Of(auditEvent, now);
        return new()
        {
            Id = content.Id, Chain = chain, After = after, StagedAt = now, Kind = auditEvent.Kind.Name, Retention = auditEvent.Kind.Retention,
            Content = content.ToBytes(),
        };
    }
}
