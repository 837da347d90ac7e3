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
    private const int LargestKeptBuffer = 256 * 1024;

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

    public static byte[] Encode(EntityProperties properties)
    {
        var buffer = t_buffer ??= new ArrayBufferWriter<byte>(1024);
        buffer.ResetWrittenCount();
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

        var encoded = buffer.WrittenSpan.ToArray();
        if (buffer.Capacity > LargestKeptBuffer)
        {
            t_buffer = null;
        }

        return encoded;
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

    private static void WriteValue(ArrayBufferWriter<byte> buffer, object value)
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

    private static void WriteType(ArrayBufferWriter<byte> buffer, ValueType type)
    {
        buffer.GetSpan(1)[0] = (byte)type;
        buffer.Advance(1);
    }

    private static void WriteLong(ArrayBufferWriter<byte> buffer, long value)
    {
        BinaryPrimitives.WriteInt64LittleEndian(buffer.GetSpan(sizeof(long)), value);
        buffer.Advance(sizeof(long));
    }

    private static void WriteText(ArrayBufferWriter<byte> buffer, string text)
    {
        WriteLength(buffer, Encoding.UTF8.GetByteCount(text));
        Encoding.UTF8.GetBytes(text, buffer);
    }

    private static void WriteLength(ArrayBufferWriter<byte> buffer, int length)
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
}
