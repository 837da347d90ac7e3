using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The counter row of a shard: the counters, which segments hold the subjects, the entries changed last, and how far into the log all
/// of that goes. Its ETag is the condition of every write to the shard.
/// </summary>
internal sealed record ShardRow
{
    private const byte FormatVersion = 1;

    /// <summary>How many commits the shard has seen.</summary>
    public long Version { get; init; }

    /// <summary>Every entry of the log up to this one that touches the shard is in.</summary>
    public long Applied { get; init; }

    /// <summary>Subjects without facts were dropped at this version: who knows only an older one must read the shard again.</summary>
    public long PurgedAt { get; init; }

    /// <summary>The tail holds what changed after this version.</summary>
    public long TailFrom { get; init; }

    /// <summary>Under which predicates the counters were kept.</summary>
    public string Fingerprint { get; init; } = "";

    public CounterTable Counters { get; init; } = new();

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<Segment> Segments { get; init; } = [];

    /// <summary>The entries changed last, as a segment's part; empty for none.</summary>
    public byte[] Tail { get; init; } = [];

    public string? ETag { get; init; }

    public Entity ToRow(string partition, LedgerOptions options, CounterTable counters)
    {
        var row = new Entity(partition, LedgerRows.CounterRow) { ETag = ETag };
        row.Properties["Version"] = Version;
        row.Properties["Applied"] = Applied;
        row.Properties["Shards"] = options.Shards;
        row.Properties["KeyId"] = options.KeyId;
        row.Properties["Fingerprint"] = Fingerprint;
        var writer = new PackedWriter(1024 + Tail.Length);
        writer.Byte(FormatVersion);
        writer.Number((ulong)PurgedAt);
        writer.Number((ulong)TailFrom);
        counters.Write(writer);
        writer.Number(Segments.Count);
        foreach (var segment in Segments)
        {
            segment.Write(writer);
        }

        writer.Bytes(Tail);
        LedgerRows.Put(row.Properties, writer.Written);
        return row;
    }

    /// <exception cref="LedgerMismatchException">It was written with other settings.</exception>
    public static ShardRow FromRow(Entity row, LedgerOptions options)
    {
        LedgerFit.Check(row, options);
        var reader = new PackedReader(LedgerRows.Take(row.Properties));
        if (reader.Byte() != FormatVersion)
        {
            throw PackedReader.Damaged();
        }

        var (purgedAt, tailFrom) = ((long)reader.Number(), (long)reader.Number());
        var counters = CounterTable.Read(ref reader);
        var segments = new Segment[reader.Count()];
        for (var i = 0; i < segments.Length; i++)
        {
            segments[i] = Segment.Read(ref reader);
        }

        return new()
        {
            Version = row.Properties.Require<long>("Version"),
            Applied = row.Properties.Require<long>("Applied"),
            Fingerprint = row.Properties.Require<string>("Fingerprint"),
            PurgedAt = purgedAt,
            TailFrom = tailFrom,
            Counters = counters,
            Segments = segments,
            Tail = reader.Bytes(reader.Remaining).ToArray(),
            ETag = row.ETag,
        };
    }
}
