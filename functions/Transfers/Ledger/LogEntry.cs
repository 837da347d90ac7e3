using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>What an entry of the log says. Stored by number.</summary>
internal enum LogEntryKind
{
    /// <summary>Records.</summary>
    Records = 0,

    /// <summary>A batch is taken back.</summary>
    Void = 1,

    /// <summary>Two identifiers are one person.</summary>
    Union = 2,

    /// <summary>A subject is forgotten.</summary>
    Erase = 3,
}

/// <summary>One entry of an exporter's log: records, or a correction. Entries are numbered without gaps.</summary>
internal sealed record LogEntry(LogEntryKind Kind, string BatchId)
{
    /// <summary>Its number, from 1; 0 while it has none.</summary>
    public long Position { get; init; }

    /// <summary>Who wrote it: settles whether a write whose answer was lost is ours.</summary>
    public Guid Writer { get; init; } = Guid.NewGuid();

    /// <summary>The day of acceptance in Shanghai, as yyyymmdd.</summary>
    public int Day { get; init; }

    /// <summary>The records, packed, as they are to be written.</summary>
    public IReadOnlyList<byte[]> Pieces { get; init; } = [];

    /// <summary>The records, packed, as they were read.</summary>
    public byte[] Bytes { get; init; } = [];

    /// <summary>How large the row's data are.</summary>
    public int Size => Pieces.Sum(piece => piece.Length);

    /// <summary>The records as merging needs them.</summary>
    public Chunk? Chunk { get; init; }

    /// <summary>For a union the survivor; for an erasure the subject.</summary>
    public SubjectKey Subject { get; init; }

    /// <summary>For a union the identifier that goes.</summary>
    public SubjectKey Other { get; init; }

    /// <summary>For an erasure: facts of years up to this one go.</summary>
    public int ThroughYear { get; init; }

    /// <summary>Another process wrote it, and may have merged it.</summary>
    public bool Foreign { get; init; }

    /// <summary>How many records it holds.</summary>
    public int Records => Chunk?.Count ?? 0;

    /// <summary>The row that stores it.</summary>
    public Entity ToRow(string exporter, LedgerOptions options)
    {
        var row = new Entity(exporter, LedgerRows.LogRow(Position));
        row.Properties["Kind"] = (int)Kind;
        row.Properties["Batch"] = BatchId;
        row.Properties["Writer"] = Writer;
        row.Properties["Day"] = Day;
        row.Properties["Records"] = Records;
        row.Properties["Shards"] = options.Shards;
        row.Properties["KeyId"] = options.KeyId;
        LedgerRows.Put(row.Properties, Kind == LogEntryKind.Records ? Pieces : [PackCorrection()]);
        return row;
    }

    /// <summary>The entry of a row.</summary>
    public static LogEntry FromRow(Entity row)
    {
        var kind = (LogEntryKind)row.Properties.Require<int>("Kind");
        var bytes = LedgerRows.Take(row.Properties);
        var entry = new LogEntry(kind, row.Properties.Require<string>("Batch"))
        {
            Position = LedgerRows.PositionOf(row.RowKey),
            Writer = row.Properties.Require<Guid>("Writer"),
            Day = row.Properties.Require<int>("Day"),
            Foreign = true,
        };
        if (kind == LogEntryKind.Records)
        {
            return entry with { Bytes = bytes, Chunk = ChunkCodec.Decode(bytes) };
        }

        var reader = new PackedReader(bytes);
        return entry with { Subject = reader.Key(), Other = reader.Key(), ThroughYear = reader.Int() };
    }

    /// <summary>What a correction says, as bytes.</summary>
    public byte[] PackCorrection()
    {
        var writer = new PackedWriter();
        writer.Key(Subject);
        writer.Key(Other);
        writer.Number(ThroughYear);
        return writer.ToArray();
    }
}
