using System.Buffers.Binary;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;

namespace DingFlow.Transfers.Ledger;

/// <summary>Writes numbers (7 bits a byte), texts and keys one after the other. Little-endian on every machine.</summary>
internal sealed class PackedWriter(int capacity = 256)
{
    private byte[] _buffer = new byte[capacity];

    public int Length { get; private set; }

    public int Capacity => _buffer.Length;

    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    public void Clear() => Length = 0;

    public void Byte(byte value) => Reserve(1)[0] = value;

    public void Number(ulong value)
    {
        if (_buffer.Length - Length < 10)
        {
            Grow(10);
        }

        while (value >= 0x80)
        {
            _buffer[Length++] = (byte)(value | 0x80);
            value >>= 7;
        }

        _buffer[Length++] = (byte)value;
    }

    public void Number(int value) => Number((ulong)(uint)value);

    /// <summary>A number of either sign; small ones stay short.</summary>
    public void Signed(long value) => Number((ulong)((value << 1) ^ (value >> 63)));

    public void Text(string value)
    {
        var bytes = Encoding.UTF8.GetByteCount(value);
        Number(bytes);
        Encoding.UTF8.GetBytes(value, Reserve(bytes));
    }

    /// <summary>A text that may be missing.</summary>
    public void OptionalText(string? value)
    {
        Byte(value is null ? (byte)0 : (byte)1);
        if (value is not null)
        {
            Text(value);
        }
    }

    public void Bytes(ReadOnlySpan<byte> value) => value.CopyTo(Reserve(value.Length));

    public void Key(SubjectKey key)
    {
        var span = Reserve(SubjectKey.Size);
        BinaryPrimitives.WriteUInt64LittleEndian(span, key.High);
        BinaryPrimitives.WriteUInt64LittleEndian(span[8..], key.Low);
    }

    /// <summary>Keys side by side, as <see cref="Key"/> writes each.</summary>
    public void Keys(ReadOnlySpan<SubjectKey> keys)
    {
        if (BitConverter.IsLittleEndian)
        {
            Bytes(MemoryMarshal.AsBytes(keys));
            return;
        }

        foreach (var key in keys)
        {
            Key(key);
        }
    }

    /// <summary>Room for so many bytes, which count as written.</summary>
    public Span<byte> Reserve(int bytes)
    {
        if (_buffer.Length - Length < bytes)
        {
            Grow(bytes);
        }

        var span = _buffer.AsSpan(Length, bytes);
        Length += bytes;
        return span;
    }

    public byte[] ToArray() => Written.ToArray();

    private void Grow(int bytes) => Array.Resize(ref _buffer, (int)BitOperations.RoundUpToPowerOf2((uint)(Length + bytes)));
}

/// <summary>Reads what <see cref="PackedWriter"/> wrote.</summary>
/// <remarks>Whatever is wrong with the bytes is an <see cref="InvalidDataException"/>.</remarks>
internal ref struct PackedReader(ReadOnlySpan<byte> bytes)
{
    private ReadOnlySpan<byte> _rest = bytes;

    public readonly bool AtEnd => _rest.IsEmpty;

    public readonly int Remaining => _rest.Length;

    public byte Byte() => Bytes(1)[0];

    public ulong Number()
    {
        ulong value = 0;
        for (var shift = 0; shift < 64; shift += 7)
        {
            var part = Byte();
            value |= (ulong)(part & 0x7F) << shift;
            if (part < 0x80)
            {
                return value;
            }
        }

        throw Damaged();
    }

    public int Int()
    {
        var value = Number();
        return value <= int.MaxValue ? (int)value : throw Damaged();
    }

    /// <summary>A count of things that take at least one byte each: never more than there are bytes.</summary>
    public int Count()
    {
        var value = Int();
        return value <= _rest.Length ? value : throw Damaged();
    }

    public long Signed()
    {
        var value = Number();
        return (long)(value >> 1) ^ -(long)(value & 1);
    }

    public string Text() => Encoding.UTF8.GetString(Bytes(Int()));

    public string? OptionalText() => Byte() == 0 ? null : Text();

    public ReadOnlySpan<byte> Bytes(int length)
    {
        if ((uint)length > (uint)_rest.Length)
        {
            throw Damaged();
        }

        var taken = _rest[..length];
        _rest = _rest[length..];
        return taken;
    }

    public SubjectKey Key()
    {
        var span = Bytes(SubjectKey.Size);
        return new(BinaryPrimitives.ReadUInt64LittleEndian(span), BinaryPrimitives.ReadUInt64LittleEndian(span[8..]));
    }

    public void Keys(Span<SubjectKey> keys)
    {
        if (BitConverter.IsLittleEndian)
        {
            Bytes(keys.Length * SubjectKey.Size).CopyTo(MemoryMarshal.AsBytes(keys));
            return;
        }

        for (var i = 0; i < keys.Length; i++)
        {
            keys[i] = Key();
        }
    }

    public static InvalidDataException Damaged() => new("A row of the ledger is damaged or was written by a newer version.");
}
