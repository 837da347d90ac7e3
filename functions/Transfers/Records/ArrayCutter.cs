using System.Buffers;
using System.Numerics;
using System.Runtime.Intrinsics;

namespace DingFlow.Transfers;

/// <summary>Where a record stands in a block.</summary>
/// <param name="Start">Its first byte.</param>
/// <param name="Length">Its bytes; -1 for one that was too long to be held.</param>
internal readonly record struct RecordPlace(int Start, int Length)
{
    /// <summary>A record whose bytes were dropped.</summary>
    public static RecordPlace TooLarge => new(0, -1);

    /// <summary>It was too long to be held.</summary>
    public bool IsTooLarge => Length < 0;
}

/// <summary>Records in a JSON array; or one object alone. Finds where they end by their quotation marks and brackets; what they say is judged later.</summary>
internal sealed class ArrayCutter(int maximumBytes, bool cloudEvents) : RecordCutter
{
    /// <summary>Bytes of a record that is shorter than most.</summary>
    private const int ShortRecord = 256;

    private static readonly SearchValues<byte> ScalarEnd = SearchValues.Create(",]} \t\r\n"u8);

    private Place _place = Place.BeforeBatch;
    private bool _single;

    // Of the record under way: what was looked at, and what that came to.
    private int _scanned;
    private bool _dropping;
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

    /// <inheritdoc/>
    public override BlockCut Cut(ReadOnlyMemory<byte> block, bool isFull, bool isLast)
    {
        List<RecordPlace> records = new(block.Length / ShortRecord);
        var broken = !TryCut(block.Span, isLast, records, out var taken);
        return new(taken, reader => reader.ReadRecords(block.Span, records, cloudEvents), broken);
    }

    /// <summary>Finds the records that end in a text, and how many bytes are done with; <see langword="false"/> when what stands between records is no array's.</summary>
    internal bool TryCut(ReadOnlySpan<byte> text, bool isLast, List<RecordPlace> records, out int taken)
    {
        taken = 0;
        return TryCut(text, records, ref taken) && (!isLast || _place == Place.AfterBatch);
    }

    private bool TryCut(ReadOnlySpan<byte> text, List<RecordPlace> records, ref int taken)
    {
        while (true)
        {
            if (_place is Place.InStructure or Place.InScalar)
            {
                if (!TryEnd(text, records, ref taken))
                {
                    return true;
                }

                continue;
            }

            var blanks = text[taken..].IndexOfAnyExcept(" \t\r\n"u8);
            if (blanks < 0)
            {
                taken = text.Length;
                return true;
            }

            taken += blanks;
            if (!TryEnter(text[taken]))
            {
                return false;
            }

            if (_place is not (Place.InStructure or Place.InScalar))
            {
                taken++;
            }
        }
    }

    /// <summary>Goes to the end of the record under way; <see langword="false"/> when it does not end here.</summary>
    private bool TryEnd(ReadOnlySpan<byte> text, List<RecordPlace> records, ref int taken)
    {
        var rest = text[(taken + _scanned)..];
        var end = _place == Place.InScalar ? rest.IndexOfAny(ScalarEnd) : FindStructureEnd(rest);
        if (end < 0)
        {
            _scanned += rest.Length;
            if (_dropping || _scanned > maximumBytes)
            {
                (taken, _scanned, _dropping) = (text.Length, 0, true);
            }

            return false;
        }

        var length = _scanned + end;
        records.Add(_dropping || length > maximumBytes ? RecordPlace.TooLarge : new(taken, length));
        taken += length;
        (_scanned, _dropping) = (0, false);
        _place = _single ? Place.AfterBatch : Place.AfterRecord;
        return true;
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

    /// <summary>How many bytes there are to the end of an object, array or text; -1 when it does not end among these.</summary>
    private int FindStructureEnd(ReadOnlySpan<byte> bytes)
    {
        var at = 0;
        while (at < bytes.Length)
        {
            // The first byte opens an object, an array or a text; what follows goes by vectors unless it is a text, or something in it is escaped.
            var some = bytes.Slice(at, _depth == 0 && !_inString ? 1 : Math.Min(Vector256<byte>.Count, bytes.Length - at));
            var end = Vector256.IsHardwareAccelerated && some.Length == Vector256<byte>.Count && _depth > 0 && !_escaped
                ? FindEnd(Vector256.Create(some), some)
                : FindEnd(some);
            if (end >= 0)
            {
                return at + end;
            }

            at += some.Length;
        }

        return -1;
    }

    /// <summary>The same for as many bytes as are looked at side by side.</summary>
    private int FindEnd(Vector256<byte> vector, ReadOnlySpan<byte> bytes)
    {
        if (Vector256.EqualsAny(vector, Vector256.Create((byte)'\\')))
        {
            return FindEnd(bytes);
        }

        var quotes = Vector256.Equals(vector, Vector256.Create((byte)'"')).ExtractMostSignificantBits();

        // Each bit becomes the parity of the quotation marks up to it: 1 within a text.
        var inside = quotes;
        inside ^= inside << 1;
        inside ^= inside << 2;
        inside ^= inside << 4;
        inside ^= inside << 8;
        inside ^= inside << 16;
        inside = _inString ? ~inside : inside;
        _inString = (int)inside < 0;

        // Brackets and braces differ in one bit: [ { and ] }.
        var braces = vector | Vector256.Create((byte)0x20);
        var opening = Vector256.Equals(braces, Vector256.Create((byte)'{')).ExtractMostSignificantBits() & ~inside;
        var closing = Vector256.Equals(braces, Vector256.Create((byte)'}')).ExtractMostSignificantBits() & ~inside;
        for (var left = opening | closing; left != 0; left &= left - 1)
        {
            _depth += (opening & left & (uint)-(int)left) != 0 ? 1 : -1;
            if (_depth == 0)
            {
                return BitOperations.TrailingZeroCount(left) + 1;
            }
        }

        return -1;
    }

    /// <summary>The same, byte by byte.</summary>
    private int FindEnd(ReadOnlySpan<byte> bytes)
    {
        for (var i = 0; i < bytes.Length; i++)
        {
            if (_escaped)
            {
                _escaped = false;
                continue;
            }

            switch (bytes[i])
            {
                case (byte)'\\' when _inString:
                    _escaped = true;
                    break;
                case (byte)'"':
                    _inString = !_inString;
                    if (!_inString && _depth == 0)
                    {
                        return i + 1;
                    }

                    break;
                case (byte)'{' or (byte)'[' when !_inString:
                    _depth++;
                    break;
                case (byte)'}' or (byte)']' when !_inString:
                    if (--_depth <= 0)
                    {
                        return i + 1;
                    }

                    break;
            }
        }

        return -1;
    }
}
