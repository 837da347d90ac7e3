using System.Buffers;

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

/// <summary>What a splitter found next.</summary>
internal enum SplitOutcome
{
    /// <summary>More bytes are needed.</summary>
    NeedMore,

    /// <summary>A record is complete.</summary>
    Record,

    /// <summary>A record ended that was too long to be held.</summary>
    TooLarge,

    /// <summary>The batch is over.</summary>
    End,

    /// <summary>The text between records is not what it must be; what follows cannot be read.</summary>
    Broken,
}

/// <summary>
/// Cuts a stream of bytes into records without holding more than one. Each byte is looked at once, however small the pieces are in
/// which it arrives. Bytes of a record that is too long are dropped as they come.
/// </summary>
internal abstract class RecordSplitter(int maximumBytes)
{
    /// <summary>How many bytes of the record at the start of the buffer have been looked at.</summary>
    protected long Scanned { get; set; }

    /// <summary>The record under way is too long; its bytes are dropped.</summary>
    protected bool Dropping { get; set; }

    /// <summary>The longest record that is held.</summary>
    protected int MaximumBytes { get; } = maximumBytes;

    /// <summary>A splitter for a format.</summary>
    public static RecordSplitter For(TransferFormat format, int maximumBytes) =>
        format == TransferFormat.NdJson ? new LineSplitter(maximumBytes) : new ArraySplitter(maximumBytes);

    /// <summary>Looks for the next record at the start of the buffer and takes it, or what can be dropped, off the buffer.</summary>
    public abstract SplitOutcome Next(ref ReadOnlySequence<byte> buffer, bool isLast, out ReadOnlySequence<byte> record);

    /// <summary>Takes the record of this length off the buffer.</summary>
    protected SplitOutcome Take(ref ReadOnlySequence<byte> buffer, long length, out ReadOnlySequence<byte> record)
    {
        var tooLarge = Dropping || length > MaximumBytes;
        record = tooLarge ? default : buffer.Slice(0, length);
        buffer = buffer.Slice(length);
        (Scanned, Dropping) = (0, false);
        return tooLarge ? SplitOutcome.TooLarge : SplitOutcome.Record;
    }

    /// <summary>Everything has been looked at and the record goes on.</summary>
    protected SplitOutcome Wait(ref ReadOnlySequence<byte> buffer)
    {
        Scanned = buffer.Length;
        if (Dropping || Scanned > MaximumBytes)
        {
            buffer = buffer.Slice(buffer.End);
            (Scanned, Dropping) = (0, true);
        }

        return SplitOutcome.NeedMore;
    }
}

/// <summary>Records on lines of their own. Blank lines are none.</summary>
internal sealed class LineSplitter(int maximumBytes) : RecordSplitter(maximumBytes)
{
    /// <summary>What a blank line may hold.</summary>
    public static ReadOnlySpan<byte> Blanks => " \t\r"u8;

    public override SplitOutcome Next(ref ReadOnlySequence<byte> buffer, bool isLast, out ReadOnlySequence<byte> record)
    {
        while (true)
        {
            record = default;
            long length;
            if (buffer.Slice(Scanned).PositionOf((byte)'\n') is { } end)
            {
                length = buffer.Slice(0, end).Length;
            }
            else if (!isLast)
            {
                return Wait(ref buffer);
            }
            else if (buffer.Length == 0 && !Dropping)
            {
                return SplitOutcome.End;
            }
            else
            {
                length = buffer.Length;
            }

            var outcome = Take(ref buffer, length, out record);
            if (!buffer.IsEmpty)
            {
                buffer = buffer.Slice(1);
            }

            if (outcome == SplitOutcome.TooLarge || !IsBlank(record))
            {
                return outcome;
            }
        }
    }

    private static bool IsBlank(in ReadOnlySequence<byte> line)
    {
        foreach (var segment in line)
        {
            if (segment.Span.ContainsAnyExcept(Blanks))
            {
                return false;
            }
        }

        return true;
    }
}

/// <summary>Records in a JSON array; or one value alone.</summary>
internal sealed class ArraySplitter(int maximumBytes) : RecordSplitter(maximumBytes)
{
    private static readonly SearchValues<byte> Structure = SearchValues.Create("\"{}[]"u8);
    private static readonly SearchValues<byte> StringEnd = SearchValues.Create("\"\\"u8);
    private static readonly SearchValues<byte> ScalarEnd = SearchValues.Create(",]} \t\r\n"u8);

    private Place _place = Place.BeforeBatch;
    private bool _single;
    private long _depth;
    private bool _inString;
    private bool _escaped;

    private enum Place
    {
        BeforeBatch,
        BeforeFirst,
        BeforeRecord,
        InStructure,
        InScalar,
        AfterRecord,
        AfterBatch,
    }

    public override SplitOutcome Next(ref ReadOnlySequence<byte> buffer, bool isLast, out ReadOnlySequence<byte> record)
    {
        record = default;
        while (true)
        {
            if (_place is Place.InStructure or Place.InScalar)
            {
                if (FindEnd(buffer.Slice(Scanned)) is { } length)
                {
                    _place = _single ? Place.AfterBatch : Place.AfterRecord;
                    return Take(ref buffer, Scanned + length, out record);
                }

                if (isLast)
                {
                    // The batch ends within a record, which is still to be sent whole.
                    return SplitOutcome.Broken;
                }

                return Wait(ref buffer);
            }

            if (!TryNextByte(ref buffer, out var next))
            {
                return !isLast ? SplitOutcome.NeedMore
                    : _place == Place.AfterBatch ? SplitOutcome.End
                    : SplitOutcome.Broken;
            }

            if (!TryEnter(next))
            {
                return SplitOutcome.Broken;
            }

            if (_place is not (Place.InStructure or Place.InScalar))
            {
                buffer = buffer.Slice(1);
            }
        }
    }

    /// <summary>Moves on by one byte between records.</summary>
    private bool TryEnter(byte next)
    {
        switch (_place)
        {
            case Place.BeforeBatch when next == (byte)'[':
                _place = Place.BeforeFirst;
                return true;
            case Place.BeforeFirst when next == (byte)']':
            case Place.AfterRecord when next == (byte)']':
                _place = Place.AfterBatch;
                return true;
            case Place.AfterRecord when next == (byte)',':
                _place = Place.BeforeRecord;
                return true;
            case Place.BeforeBatch when next == (byte)'{':
                _single = true;
                goto case Place.BeforeRecord;
            case Place.BeforeFirst:
            case Place.BeforeRecord:
                _place = next is (byte)'{' or (byte)'[' or (byte)'"' ? Place.InStructure : Place.InScalar;
                (_depth, _inString, _escaped) = (0, false, false);
                return next is not ((byte)',' or (byte)']' or (byte)'}');
            default:
                return false;
        }
    }

    private static bool TryNextByte(ref ReadOnlySequence<byte> buffer, out byte next)
    {
        var reader = new SequenceReader<byte>(buffer);
        reader.AdvancePastAny((byte)' ', (byte)'\t', (byte)'\r', (byte)'\n');
        buffer = buffer.Slice(reader.Position);
        return reader.TryPeek(out next);
    }

    /// <summary>How many bytes there are to the end of the record under way; <see langword="null"/> when it is not among these.</summary>
    private long? FindEnd(in ReadOnlySequence<byte> bytes)
    {
        long before = 0;
        foreach (var segment in bytes)
        {
            var end = _place == Place.InScalar ? segment.Span.IndexOfAny(ScalarEnd) : FindStructureEnd(segment.Span);
            if (end >= 0)
            {
                return before + end;
            }

            before += segment.Length;
        }

        return null;
    }

    private int FindStructureEnd(ReadOnlySpan<byte> bytes)
    {
        var i = 0;
        while (i < bytes.Length)
        {
            if (_escaped)
            {
                _escaped = false;
                i++;
                continue;
            }

            var next = bytes[i..].IndexOfAny(_inString ? StringEnd : Structure);
            if (next < 0)
            {
                return -1;
            }

            i += next;
            switch (bytes[i++])
            {
                case (byte)'\\':
                    _escaped = true;
                    break;
                case (byte)'"':
                    _inString = !_inString;
                    if (!_inString && _depth == 0)
                    {
                        return i;
                    }

                    break;
                case (byte)'{' or (byte)'[':
                    _depth++;
                    break;
                default:
                    if (--_depth <= 0)
                    {
                        return i;
                    }

                    break;
            }
        }

        return -1;
    }
}
