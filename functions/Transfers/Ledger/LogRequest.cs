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

    /// <summary>There is no such batch.</summary>
    UnknownBatch,

    /// <summary>The batch has pieces that the sender has not seen, or the log has entries that whoever asks has not.</summary>
    Overtaken,
}

/// <summary>An entry that somebody wants in the log.</summary>
internal sealed class LogRequest(LogEntry entry, long piece = 0, int? seen = null)
{
    private readonly TaskCompletionSource<(LogVerdict Verdict, long Position)> _answer = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public LogEntry Entry { get; } = entry;

    /// <summary>Which piece of its batch it is (<see cref="BatchPiece.NumberOf"/>).</summary>
    public long Piece { get; } = piece;

    /// <summary>How many pieces the batch must have; <see langword="null"/> for any.</summary>
    public int? Seen { get; } = seen;

    /// <summary>Which entry of the log it must become; <see langword="null"/> for the next, whatever it is.</summary>
    public long? At { get; init; }

    /// <summary>Voids the batch also where it has no records yet, so that it gets none.</summary>
    public bool EvenUnknown { get; init; }

    public bool Settled => _answer.Task.IsCompleted;

    /// <summary>How it ended, and the entry's position.</summary>
    public Task<(LogVerdict Verdict, long Position)> Answer => _answer.Task;

    public void Settle(LogVerdict verdict, long position) => _answer.TrySetResult((verdict, position));

    public void Fail(Exception exception) => _answer.TrySetException(exception);
}

/// <summary>A piece of a batch: its number, and where it is in the log. Parts are the sender's, pieces are what a part is cut into.</summary>
internal readonly record struct BatchPiece(long Number, long Position)
{
    private const int PieceBits = 16;

    public int Part => (int)(Number >> PieceBits);

    public static long NumberOf(int part, int piece) => ((long)part << PieceBits) | (uint)piece;
}

/// <summary>The registry's row of one batch: which pieces were accepted, and where they are in the log.</summary>
internal sealed record BatchRow(string Id, DateTimeOffset AcceptedAt)
{
    public int Records { get; init; }

    /// <summary>In the order of acceptance.</summary>
    public IReadOnlyList<BatchPiece> Pieces { get; init; } = [];

    /// <summary>The entry that voided it; 0 for none.</summary>
    public long VoidedAt { get; init; }

    public string? ETag { get; init; }

    public BatchInfo ToInfo() => new(
        Id, VoidedAt == 0 ? BatchState.Accepted : BatchState.Voided, AcceptedAt, Pieces.Select(piece => piece.Part).Distinct().Count(), Records,
        Pieces.Count == 0 ? 0 : Pieces.Max(piece => piece.Part) + 1, Pieces.Count);

    /// <summary>Where a piece is in the log; 0 when it was not accepted.</summary>
    public long PositionOf(long number)
    {
        // The latest first: a sender that asks again asks for what it sent last.
        for (var i = Pieces.Count - 1; i >= 0; i--)
        {
            if (Pieces[i].Number == number)
            {
                return Pieces[i].Position;
            }
        }

        return 0;
    }

    public Entity ToRow(string exporter)
    {
        var row = new Entity(exporter, LedgerRows.Batch(Id)) { ETag = ETag };
        row.Properties["Id"] = Id;
        row.Properties["AcceptedAt"] = AcceptedAt;
        row.Properties["Records"] = Records;
        row.Properties["VoidedAt"] = VoidedAt;
        var writer = new PackedWriter(Pieces.Count * 4);
        var before = default(BatchPiece);
        foreach (var piece in Pieces)
        {
            writer.Signed(piece.Number - before.Number);
            writer.Number((ulong)(piece.Position - before.Position));
            before = piece;
        }

        LedgerRows.Put(row.Properties, writer.Written);
        return row;
    }

    public static BatchRow FromRow(Entity row)
    {
        List<BatchPiece> pieces = [];
        var reader = new PackedReader(LedgerRows.Take(row.Properties));
        var (number, position) = (0L, 0L);
        while (!reader.AtEnd)
        {
            number += reader.Signed();
            position += (long)reader.Number();
            pieces.Add(new(number, position));
        }

        return new(row.Properties.Require<string>("Id"), row.Properties.Require<DateTimeOffset>("AcceptedAt"))
        {
            Records = row.Properties.Require<int>("Records"),
            VoidedAt = row.Properties.Require<long>("VoidedAt"),
            Pieces = pieces,
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
