using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>How a request to write an entry ended.</summary>
internal enum LogVerdict
{
    /// <summary>It is in the log.</summary>
    Written,

    /// <summary>It was in the log before.</summary>
    AlreadyWritten,

    /// <summary>The batch was voided.</summary>
    BatchVoided,

    /// <summary>A part before it is missing.</summary>
    PartMissing,

    /// <summary>There is no such batch.</summary>
    UnknownBatch,
}

/// <summary>An entry that somebody wants in the log.</summary>
internal sealed class LogRequest(LogEntry entry, long cursor = 0, long nextCursor = 0)
{
    private readonly TaskCompletionSource<(LogVerdict Verdict, long Position)> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public LogEntry Entry { get; } = entry;

    /// <summary>Which piece of its batch it is; pieces come in order.</summary>
    public long Cursor { get; } = cursor;

    /// <summary>Which piece follows.</summary>
    public long NextCursor { get; } = nextCursor;

    public bool Settled => _answer.Task.IsCompleted;

    /// <summary>How it ended, and the entry's position.</summary>
    public Task<(LogVerdict Verdict, long Position)> Answer => _answer.Task;

    public void Settle(LogVerdict verdict, long position) => _answer.TrySetResult((verdict, position));

    public void Fail(Exception exception) => _answer.TrySetException(exception);
}

/// <summary>The registry's row of one batch: which pieces were accepted, and where they are in the log.</summary>
internal sealed record BatchRow(string Id, DateTimeOffset AcceptedAt)
{
    private const int PieceBits = 16;

    /// <summary>The piece that comes next.</summary>
    public long Next { get; init; }

    public int Records { get; init; }

    /// <summary>Its entries in the log.</summary>
    public IReadOnlyList<long> Positions { get; init; } = [];

    /// <summary>The entry that voided it; 0 for none.</summary>
    public long VoidedAt { get; init; }

    public string? ETag { get; init; }

    /// <summary>The number of a piece: parts are the sender's, pieces are what a part is cut into.</summary>
    public static long CursorOf(int part, int piece) => ((long)part << PieceBits) | (uint)piece;

    public BatchInfo ToInfo() => new(
        Id, VoidedAt == 0 ? BatchState.Accepted : BatchState.Voided, AcceptedAt, (int)((Next + (1L << PieceBits) - 1) >> PieceBits), Records);

    public Entity ToRow(string exporter)
    {
        var row = new Entity(exporter, LedgerRows.Batch(Id)) { ETag = ETag };
        row.Properties["Id"] = Id;
        row.Properties["AcceptedAt"] = AcceptedAt;
        row.Properties["Next"] = Next;
        row.Properties["Records"] = Records;
        row.Properties["VoidedAt"] = VoidedAt;
        var writer = new PackedWriter(Positions.Count * 2);
        var before = 0L;
        foreach (var position in Positions)
        {
            writer.Number((ulong)(position - before));
            before = position;
        }

        LedgerRows.Put(row.Properties, writer.Written);
        return row;
    }

    public static BatchRow FromRow(Entity row)
    {
        List<long> positions = [];
        var reader = new PackedReader(LedgerRows.Take(row.Properties));
        var position = 0L;
        while (!reader.AtEnd)
        {
            positions.Add(position += (long)reader.Number());
        }

        return new(row.Properties.Require<string>("Id"), row.Properties.Require<DateTimeOffset>("AcceptedAt"))
        {
            Next = row.Properties.Require<long>("Next"),
            Records = row.Properties.Require<int>("Records"),
            VoidedAt = row.Properties.Require<long>("VoidedAt"),
            Positions = positions,
            ETag = row.ETag,
        };
    }
}

/// <summary>Refuses settings that do not fit a stored row.</summary>
internal static class LedgerFit
{
    public static void Check(Entity row, LedgerOptions options)
    {
        var (shards, keyId) = (row.Properties.Require<int>("Shards"), row.Properties.Require<string>("KeyId"));
        if (shards != options.Shards)
        {
            throw new LedgerMismatchException("Transfers:Shards", Number(shards), Number(options.Shards));
        }

        if (!keyId.Equals(options.KeyId, StringComparison.Ordinal))
        {
            throw new LedgerMismatchException("Pseudonyms:LedgerKey", keyId, options.KeyId);
        }
    }

    private static string Number(int value) => value.ToString(System.Globalization.CultureInfo.InvariantCulture);
}
