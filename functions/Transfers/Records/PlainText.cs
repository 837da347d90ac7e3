using System.Buffers;

namespace DingFlow.Transfers;

/// <summary>
/// Where a text value stands in the JSON of a record: its bytes are what it says, since nothing in it is escaped. Other plain bytes in
/// its place make the same record with another value.
/// </summary>
/// <param name="Name">Where the name of its property begins, at the quotation mark; the place of no value for the default.</param>
/// <param name="Start">Where the value begins, behind the quotation mark.</param>
/// <param name="Length">Bytes of the value.</param>
internal readonly record struct PlainText(int Name, int Start, int Length)
{
    /// <summary>All that may not stand in a plain value: quotation mark, escape, control characters; and what is beyond ASCII, which would have to be checked.</summary>
    private static readonly SearchValues<byte> NotPlain =
        SearchValues.Create([.. Enumerable.Range(0, 256).Where(value => value is < ' ' or '"' or '\\' or >= 0x7F).Select(value => (byte)value)]);

    /// <summary>There is such a value, and it is not escaped.</summary>
    public bool IsThere => Start > 0;

    /// <summary>Where the value ends, at the quotation mark.</summary>
    public int End => Start + Length;

    /// <summary>The value in the text.</summary>
    public ReadOnlySpan<byte> Of(ReadOnlySpan<byte> json) => json.Slice(Start, Length);

    /// <summary>Length of the plain value at the start of these bytes; -1 when what stands there is not plain or does not end.</summary>
    public static int LengthAt(ReadOnlySpan<byte> bytes)
    {
        var end = bytes.IndexOfAny(NotPlain);
        return end >= 0 && bytes[end] == (byte)'"' ? end : -1;
    }
}

/// <summary>A value of a record that was read, which may be another in the next one.</summary>
/// <param name="Meaning">What it means.</param>
/// <param name="Place">Where it stands.</param>
internal readonly record struct FoundValue(RecordValue Meaning, PlainText Place);
