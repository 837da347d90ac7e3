using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
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

    /// <summary>A row has 252 properties and 1 MiB.</summary>
    private const int EventsPerWaitingRow = 80;

    private const int BytesPerWaitingRow = 640 * 1024;

    public static string EntryRow(long first) => string.Create(CultureInfo.InvariantCulture, $"{EntryPrefix}{first:D15}");

    /// <summary>The rows of a chain that hold nothing but entries from a number on. The row before may hold some as well: see <see cref="AuditChainReader"/>.</summary>
    public static RowKeyRange EntriesFrom(long first) => new(EntryRow(first), "e}");

    /// <exception cref="InvalidDataException">No writer makes such a row.</exception>
    public static long FirstOf(string rowKey) => long.TryParse(rowKey.AsSpan(EntryPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var first)
        ? first
        : throw new InvalidDataException("A row of the trail has a key that no writer makes.");

    public static Entity Head(string chain, AuditHead head) => new(chain, HeadRow)
    {
        ETag = head.ETag,
        Properties = { ["Schema"] = SchemaVersion, ["Sequence"] = head.Sequence, ["Hash"] = head.Hash.ToArray(), ["At"] = head.At },
    };

    /// <exception cref="InvalidDataException">It is damaged.</exception>
    public static AuditHead ReadHead(Entity entity)
    {
        try
        {
            return new(
                entity.Properties.Require<long>("Sequence"), entity.Properties.Require<byte[]>("Hash"),
                entity.Properties.Require<DateTimeOffset>("At"), entity.ETag);
        }
        catch (Exception exception) when (exception is KeyNotFoundException or InvalidCastException)
        {
            throw new InvalidDataException($"The row of the end of {entity.PartitionKey} is damaged.", exception);
        }
    }

    /// <summary>A row of lines that were not written together, or from which content was taken.</summary>
    public static Entity Entries(string chain, long first, ReadOnlySpan<byte> lines)
    {
        var entity = new Entity(chain, EntryRow(first)) { Properties = { ["Schema"] = SchemaVersion } };
        InboxPayload.AddChunks(entity.Properties, lines.ToArray());
        return entity;
    }

    /// <summary>A row of lines that one write appends, and beside them what whoever seals them needs.</summary>
    public static Entity Entries(string chain, long first, ReadOnlySpan<byte> lines, AuditDigest digest)
    {
        var entity = Entries(chain, first, lines);
        entity.Properties["At"] = digest.At;
        entity.Properties["Hashes"] = digest.Hashes;
        entity.Properties["Keys"] = digest.Keys;
        return entity;
    }

    /// <summary>What stands beside the lines of a row; <see langword="null"/> when only the lines tell.</summary>
    public static AuditDigest? ReadDigest(Entity entity) =>
        entity.Properties.Get<byte[]>("Hashes") is { } hashes && hashes.Length % AuditHash.Size == 0 && entity.Properties.Get<byte[]>("Keys") is { } keys
            ? new(entity.Properties.Require<DateTimeOffset>("At"), hashes, keys)
            : null;

    /// <summary>The lines of a row, in the order in which they stand there.</summary>
    /// <exception cref="InvalidDataException">A line is damaged.</exception>
    public static IEnumerable<AuditEntry> ReadEntries(Entity entity)
    {
        foreach (var line in LinesOf(entity))
        {
            yield return AuditLines.Read(line);
        }
    }

    /// <summary>The same without lines that are damaged: the verification names those, and a search finds all others.</summary>
    public static IEnumerable<AuditEntry> ReadIntact(Entity entity)
    {
        using var lines = LinesOf(entity).GetEnumerator();
        while (true)
        {
            AuditEntry? entry = null;
            try
            {
                if (!lines.MoveNext())
                {
                    yield break;
                }

                entry = AuditLines.Read(lines.Current);
            }
            catch (InvalidDataException)
            {
                // The next line may be whole. Behind a row that cannot be read at all there is none.
            }

            if (entry is not null)
            {
                yield return entry;
            }
        }
    }

    private static IEnumerable<ReadOnlyMemory<byte>> LinesOf(Entity entity)
    {
        ReadOnlyMemory<byte> rest;
        try
        {
            rest = InboxPayload.JoinChunks(entity.Properties);
        }
        catch (Exception exception) when (exception is KeyNotFoundException or InvalidCastException)
        {
            throw new InvalidDataException("A row of the trail has no lines.", exception);
        }

        while (!rest.IsEmpty)
        {
            var end = rest.Span.IndexOf((byte)'\n');
            if (end < 0)
            {
                throw new InvalidDataException("A row of the trail ends within a line.");
            }

            yield return rest[..end];
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

    /// <summary>The events of one transaction, in as few rows as hold them.</summary>
    public static IEnumerable<WaitingRow> Wait(IReadOnlyList<WaitingEvent> events)
    {
        List<WaitingEvent> row = [];
        var (bytes, rows) = (0, 0);
        foreach (var one in events)
        {
            if (row.Count == EventsPerWaitingRow || bytes + one.Content.Length > BytesPerWaitingRow)
            {
                yield return new(IdOf(rows++), row);
                (row, bytes) = ([], 0);
            }

            row.Add(one);
            bytes += one.Content.Length;
        }

        yield return new(IdOf(rows), row);

        // They sort as the events stand.
        string IdOf(int number) => number == 0 ? events[0].Id : string.Create(CultureInfo.InvariantCulture, $"{events[0].Id}-{number}");
    }

    public static Entity Waiting(string partition, WaitingRow waiting)
    {
        var first = waiting.Events[0];
        var entity = new Entity(partition, AuditOutbox.RowPrefix + waiting.Id)
        {
            Properties = { ["Schema"] = SchemaVersion, ["Chain"] = first.Chain, ["After"] = first.After, ["StagedAt"] = first.StagedAt },
        };
        for (var i = 0; i < waiting.Events.Count; i++)
        {
            entity.Properties[Numbered("Kind", i)] = waiting.Events[i].Kind;
            entity.Properties[Numbered("Retention", i)] = waiting.Events[i].Retention.ToString();
            entity.Properties[Numbered("Content", i)] = waiting.Events[i].Content;
        }

        return entity;
    }

    public static WaitingRow ReadWaiting(Entity entity)
    {
        List<WaitingEvent> events = [];
        for (var i = 0; entity.Properties.Get<byte[]>(Numbered("Content", i)) is { } bytes; i++)
        {
            var content = JsonSerializer.Deserialize(bytes, AuditJson.Default.AuditContent) ?? throw new InvalidDataException("An event that waits is empty.");
            events.Add(new()
            {
                Id = content.Id,
                Chain = entity.Properties.Require<string>("Chain"),
                After = entity.Properties.Require<long>("After"),
                StagedAt = entity.Properties.Require<DateTimeOffset>("StagedAt"),
                Kind = entity.Properties.Require<string>(Numbered("Kind", i)),
                Retention = Enum.Parse<AuditRetention>(entity.Properties.Require<string>(Numbered("Retention", i))),
                Content = bytes,
                ContentHash = SHA256.HashData(bytes),
                Keys = AuditKeys.Of(entity.Properties.Require<string>(Numbered("Kind", i)), content),
            });
        }

        return events.Count > 0
            ? new(entity.RowKey[AuditOutbox.RowPrefix.Length..], events)
            : throw new InvalidDataException("A row of events that wait holds none.");
    }

    private static string Numbered(string name, int number) => string.Create(CultureInfo.InvariantCulture, $"{name}{number}");
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

/// <summary>What stands beside the lines of a row, so that a day can be sealed without reading what its entries say.</summary>
/// <param name="At">When its entries were recorded, all of them.</param>
/// <param name="Hashes">Their hashes, in order.</param>
/// <param name="Keys">The <see cref="AuditKeys"/> of them all, each once.</param>
internal sealed record AuditDigest(DateTimeOffset At, byte[] Hashes, byte[] Keys);

/// <summary>Events that wait together beside the state that they describe.</summary>
/// <param name="Id">The row's own id: that of the first event, and a number behind it for further rows.</param>
/// <param name="Events">At least one.</param>
internal sealed record WaitingRow(string Id, IReadOnlyList<WaitingEvent> Events);

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

    /// <summary>SHA-256 of the content: made where the event comes from, not by the one loop that appends them all.</summary>
    public required byte[] ContentHash { get; init; }

    /// <summary>The <see cref="AuditKeys"/> of the entry that it becomes.</summary>
    public required ulong[] Keys { get; init; }

    public static WaitingEvent Of(AuditEvent auditEvent, string chain, long after, DateTimeOffset now, AuditIds? ids = null)
    {
        var content = AuditContent.Of(auditEvent, now, ids?.Next(now));
        var bytes = content.ToBytes();
        return new()
        {
            Id = content.Id, Chain = chain, After = after, StagedAt = now, Kind = auditEvent.Kind.Name, Retention = auditEvent.Kind.Retention,
            Content = bytes, ContentHash = SHA256.HashData(bytes), Keys = AuditKeys.Of(auditEvent.Kind.Name, content),
        };
    }
}
