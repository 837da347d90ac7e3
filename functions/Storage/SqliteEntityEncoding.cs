using System.Buffers;
using System.Buffers.Binary;
using System.Text;

namespace DingFlow.Storage;

/// <summary>
/// How the properties of an entity are written into a row: a version byte, then for each property the length and UTF-8 of its name, a
/// byte for its type, and its value; lengths are variable, numbers little-endian. A null is not written.
/// </summary>
internal static class SqliteEntityEncoding
{
    private const byte Version = 1;

    /// <summary>Bytes of a row from which on its memory is borrowed: the rows of the ledger would be large objects, each for a moment.</summary>
    private const int LongestOwned = 16 * 1024;

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? t_buffer;

    private enum ValueType : byte
    {
        Text = 1,
        Int = 2,
        Long = 3,
        Double = 4,
        False = 5,
        True = 6,
        Time = 7,
        Guid = 8,
        Bytes = 9,
    }

    /// <summary>The row's bytes; long ones lie in borrowed memory, to be given back with <see cref="SqliteEncodedRow.Release"/>.</summary>
    public static SqliteEncodedRow Encode(EntityProperties properties)
    {
        var binary = 0L;
        foreach (var (_, value) in properties)
        {
            binary += value is byte[] bytes ? bytes.Length : 0;
        }

        if (binary > LongestOwned)
        {
            var borrowed = new BorrowedBuffer((int)binary + LongestOwned);
            Write(borrowed, properties);
            return borrowed.Row;
        }

        var buffer = t_buffer ??= new ArrayBufferWriter<byte>(1024);
        buffer.ResetWrittenCount();
        Write(buffer, properties);
        return new(buffer.WrittenSpan.ToArray());
    }

    private static void Write(IBufferWriter<byte> buffer, EntityProperties properties)
    {
        buffer.GetSpan(1)[0] = Version;
        buffer.Advance(1);
        foreach (var (name, value) in properties)
        {
            if (value is not null)
            {
                WriteText(buffer, name);
                WriteValue(buffer, value);
            }
        }
    }

    /// <exception cref="InvalidDataException">The row is damaged or was written by a newer version.</exception>
    public static EntityProperties Decode(ReadOnlySpan<byte> encoded)
    {
        if (encoded.IsEmpty || encoded[0] != Version)
        {
            throw new InvalidDataException("The row has an encoding that this version does not know.");
        }

        try
        {
            EntityProperties properties = [];
            for (var rest = encoded[1..]; !rest.IsEmpty;)
            {
                var name = Encoding.UTF8.GetString(Take(ref rest, ReadLength(ref rest)));
                properties.Add(name, ReadValue(ref rest));
            }

            return properties;
        }
        catch (ArgumentOutOfRangeException exception)
        {
            throw new InvalidDataException("The row ends in the middle of a property.", exception);
        }
    }

    private static void WriteValue(IBufferWriter<byte> buffer, object value)
    {
        switch (value)
        {
            case string text:
                WriteType(buffer, ValueType.Text);
                WriteText(buffer, text);
                break;
            case int number:
                WriteType(buffer, ValueType.Int);
                BinaryPrimitives.WriteInt32LittleEndian(buffer.GetSpan(sizeof(int)), number);
                buffer.Advance(sizeof(int));
                break;
            case long number:
                WriteType(buffer, ValueType.Long);
                WriteLong(buffer, number);
                break;
            case double number:
                WriteType(buffer, ValueType.Double);
                WriteLong(buffer, BitConverter.DoubleToInt64Bits(number));
                break;
            case bool flag:
                WriteType(buffer, flag ? ValueType.True : ValueType.False);
                break;
            case DateTimeOffset time:
                WriteType(buffer, ValueType.Time);
                WriteLong(buffer, time.UtcTicks);
                break;
            case Guid guid:
                WriteType(buffer, ValueType.Guid);
                guid.TryWriteBytes(buffer.GetSpan(16));
                buffer.Advance(16);
                break;
            case byte[] bytes:
                WriteType(buffer, ValueType.Bytes);
                WriteLength(buffer, bytes.Length);
                buffer.Write(bytes);
                break;
            default:
                throw new ArgumentException($"A {value.GetType().Name} cannot be stored.", nameof(value));
        }
    }

    private static object ReadValue(ref ReadOnlySpan<byte> rest)
    {
        var type = (ValueType)Take(ref rest, 1)[0];
        return type switch
        {
            ValueType.Text => Encoding.UTF8.GetString(Take(ref rest, ReadLength(ref rest))),
            ValueType.Int => BinaryPrimitives.ReadInt32LittleEndian(Take(ref rest, sizeof(int))),
            ValueType.Long => BinaryPrimitives.ReadInt64LittleEndian(Take(ref rest, sizeof(long))),
            ValueType.Double => BinaryPrimitives.ReadDoubleLittleEndian(Take(ref rest, sizeof(double))),
            ValueType.False => false,
            ValueType.True => true,
            ValueType.Time => new DateTimeOffset(BinaryPrimitives.ReadInt64LittleEndian(Take(ref rest, sizeof(long))), TimeSpan.Zero),
            ValueType.Guid => new Guid(Take(ref rest, 16)),
            ValueType.Bytes => Take(ref rest, ReadLength(ref rest)).ToArray(),
            _ => throw new InvalidDataException("The row has a property of a type that this version does not know."),
        };
    }

    private static ReadOnlySpan<byte> Take(ref ReadOnlySpan<byte> rest, int length)
    {
        var taken = rest[..length];
        rest = rest[length..];
        return taken;
    }

    private static int ReadLength(ref ReadOnlySpan<byte> rest)
    {
        var length = 0;
        for (var shift = 0; shift < 28; shift += 7)
        {
            var part = Take(ref rest, 1)[0];
            length |= (part & 0x7F) << shift;
            if (part < 0x80)
            {
                return length;
            }
        }

        throw new InvalidDataException("The row has a length that no property can have.");
    }

    private static void WriteType(IBufferWriter<byte> buffer, ValueType type)
    {
        buffer.GetSpan(1)[0] = (byte)type;
        buffer.Advance(1);
    }

    private static void WriteLong(IBufferWriter<byte> buffer, long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(buffer.GetSpan(sizeof(long)), value);
        buffer.Advance(sizeof(long));
    }

    private static void WriteText(IBufferWriter<byte> buffer, string text)
    {
        WriteLength(buffer, Encoding.UTF8.GetByteCount(text));
        Encoding.UTF8.GetBytes(text, buffer);
    }

    private static void WriteLength(IBufferWriter<byte> buffer, int length)
    {
        while (length >= 0x80)
        {
            buffer.GetSpan(1)[0] = (byte)(length | 0x80);
            buffer.Advance(1);
            length >>= 7;
        }

        buffer.GetSpan(1)[0] = (byte)length;
        buffer.Advance(1);
    }

    /// <summary>Writes into borrowed memory.</summary>
    private sealed class BorrowedBuffer(int capacity) : IBufferWriter<byte>
    {
        private byte[] _bytes = ArrayPool<byte>.Shared.Rent(capacity);
        private int _written;

        public SqliteEncodedRow Row => new(_bytes, _written);

        public void Advance(int count) => _written += count;

        public Memory<byte> GetMemory(int sizeHint = 0)
        {
            Reserve(sizeHint);
            return _bytes.AsMemory(_written);
        }

        public Span<byte> GetSpan(int sizeHint = 0)
        {
            Reserve(sizeHint);
            return _bytes.AsSpan(_written);
        }

        private void Reserve(int bytes)
        {
            if (_bytes.Length - _written < Math.Max(bytes, 1))
            {
                var larger = ArrayPool<byte>.Shared.Rent(Math.Max(_bytes.Length * 2, _written + bytes));
                _bytes.AsSpan(0, _written).CopyTo(larger);
                ArrayPool<byte>.Shared.Return(_bytes);
                _bytes = larger;
            }
        }
    }
}

/// <summary>The bytes of a row, in an array of their own or in a borrowed one.</summary>
internal sealed class SqliteEncodedRow(byte[] bytes, int? borrowed = null)
{
    private byte[]? _bytes = bytes;

    public ReadOnlySpan<byte> Bytes => (_bytes ?? throw new ObjectDisposedException(nameof(SqliteEncodedRow))).AsSpan(0, borrowed ?? _bytes.Length);

    /// <summary>Gives the memory back, when nobody reads it any more.</summary>
    public void Release()
    {
        if (borrowed is not null && Interlocked.Exchange(ref _bytes, null) is { } array)
        {
            ArrayPool<byte>.Shared.Return(array);
        }
    }
}
