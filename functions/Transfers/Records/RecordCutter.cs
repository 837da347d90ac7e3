namespace DingFlow.Transfers;

/// <summary>How a batch is written.</summary>
public enum TransferFormat
{
    /// <summary><c>application/json</c>: an array of records, or one record.</summary>
    Json,

    /// <summary><c>application/x-ndjson</c>: a record per line.</summary>
    NdJson,

    /// <summary><c>application/cloudevents-batch+json</c>: an array of CloudEvents 1.0 with the record in <c>data</c>.</summary>
    CloudEvents,
}

/// <summary>What a cutter found in a block.</summary>
/// <param name="Taken">Bytes of the block that are done with; what follows them is to stand before the next block.</param>
/// <param name="Judge">Judges the records that are whole, by any reader.</param>
/// <param name="IsBroken">What follows is no batch of this format.</param>
internal readonly record struct BlockCut(int Taken, Func<TransferReader, TransferChunk> Judge, bool IsBroken);

/// <summary>
/// Cuts the blocks of a batch where records end, so that each block can be judged by itself. Looks at each byte once. Of a record that
/// is too long the rest is dropped as it comes.
/// </summary>
internal abstract class RecordCutter
{
    /// <summary>A cutter for one batch.</summary>
    /// <param name="format">How it is written.</param>
    /// <param name="maximumBytes">The longest record that is held; a full block is longer.</param>
    public static RecordCutter For(TransferFormat format, int maximumBytes) =>
        format == TransferFormat.NdJson ? new LineCutter() : new ArrayCutter(maximumBytes, format == TransferFormat.CloudEvents);

    /// <summary>Finds the whole records at the start of a block.</summary>
    /// <param name="block">What was left of the block before, and what follows it.</param>
    /// <param name="isFull">There is no room for more in a block.</param>
    /// <param name="isLast">Nothing follows.</param>
    public abstract BlockCut Cut(ReadOnlyMemory<byte> block, bool isFull, bool isLast);
}

/// <summary>Records on lines of their own. Only the last end of a line is looked for here: who judges them looks for the others.</summary>
internal sealed class LineCutter : RecordCutter
{
    private bool _dropping;

    /// <summary>What a blank line may hold, which is no record.</summary>
    public static ReadOnlySpan<byte> Blanks => " \t\r"u8;

    /// <inheritdoc/>
    public override BlockCut Cut(ReadOnlyMemory<byte> block, bool isFull, bool isLast)
    {
        var text = block.Span;
        var start = 0;
        if (_dropping)
        {
            // The rest of a line that was too long already.
            var end = text.IndexOf((byte)'\n');
            (start, _dropping) = (end < 0 ? text.Length : end + 1, end < 0);
        }

        var taken = isLast ? text.Length : Math.Max(start, text.LastIndexOf((byte)'\n') + 1);
        if (taken == start && isFull && start == 0)
        {
            // One line alone fills the block, so it is longer than any that is held: it is judged by what there is of it, and the rest is dropped.
            (taken, _dropping) = (text.Length, true);
        }

        var lines = block[start..taken];
        return new(taken, reader => reader.ReadLines(lines), IsBroken: false);
    }
}
