using System.Buffers;
using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// What is encrypted of a delivery: one byte that says whether the rest is compressed (Brotli), then the length of the body in four
/// bytes (big-endian), the body, and the events as JSON.
/// </summary>
internal static class InboxPayload
{
    private const byte Plain = 0;
    private const byte Compressed = 1;

    /// <summary>Below this many bytes nothing is gained: the row is small anyway.</summary>
    private const int CompressFrom = 16 * 1024;

    public static ReadOnlyMemory<byte> Pack(ReadOnlyMemory<byte> body, IReadOnlyList<PersonEvent> events)
    {
        var buffer = new ArrayBufferWriter<byte>(1 + sizeof(int) + body.Length + 512);
        buffer.Write([Plain]);
        BinaryPrimitives.WriteInt32BigEndian(buffer.GetSpan(sizeof(int)), body.Length);
        buffer.Advance(sizeof(int));
        buffer.Write(body.Span);
        if (events.Count > 0)
        {
            using var writer = new Utf8JsonWriter(buffer);
            JsonSerializer.Serialize(writer, events, InboxJson.Default.IReadOnlyListPersonEvent);
        }

        return buffer.WrittenCount < CompressFrom ? buffer.WrittenMemory : Compress(buffer.WrittenSpan[1..]);
    }

    public static (ReadOnlyMemory<byte> Body, IReadOnlyList<PersonEvent> Events) Unpack(ReadOnlyMemory<byte> payload)
    {
        var content = payload.Span[0] switch
        {
            Plain => payload[1..],
            Compressed => Decompress(payload[1..]),
            _ => throw new InvalidDataException("A delivery was written by a later version."),
        };
        var bodyLength = BinaryPrimitives.ReadInt32BigEndian(content.Span);
        var events = content[(sizeof(int) + bodyLength)..];
        return (
            content.Slice(sizeof(int), bodyLength),
            events.IsEmpty ? [] : JsonSerializer.Deserialize(events.Span, InboxJson.Default.IReadOnlyListPersonEvent)
                ?? throw new InvalidDataException("A delivery holds no list of events."));
    }

    /// <summary>Spreads bytes over properties <c>C0</c>, <c>C1</c> … of at most what a property takes.</summary>
    public static void AddChunks(EntityProperties properties, byte[] bytes)
    {
        if (bytes.Length <= EntityLimits.BinaryLength)
        {
            properties["C0"] = bytes;
            return;
        }

        var number = 0;
        foreach (var chunk in bytes.Chunk(EntityLimits.BinaryLength))
        {
            properties[ChunkName(number++)] = chunk;
        }
    }

    public static byte[] JoinChunks(EntityProperties properties)
    {
        var first = properties.Require<byte[]>("C0");
        if (!properties.ContainsKey("C1"))
        {
            return first;
        }

        var chunks = new List<byte[]> { first };
        while (properties.Get<byte[]>(ChunkName(chunks.Count)) is { } next)
        {
            chunks.Add(next);
        }

        return [.. chunks.SelectMany(static chunk => chunk)];
    }

    private static string ChunkName(int number) => string.Create(CultureInfo.InvariantCulture, $"C{number}");

    private static byte[] Compress(ReadOnlySpan<byte> content)
    {
        var output = new byte[1 + BrotliEncoder.GetMaxCompressedLength(content.Length)];
        output[0] = Compressed;
        return BrotliEncoder.TryCompress(content, output.AsSpan(1), out var written, quality: 4, window: 22)
            ? output[..(1 + written)]
            : throw new InvalidOperationException("A delivery could not be compressed.");
    }

    private static byte[] Decompress(ReadOnlyMemory<byte> compressed)
    {
        using var input = new MemoryStream(compressed.ToArray(), writable: false);
        using var brotli = new BrotliStream(input, CompressionMode.Decompress);
        using var output = new MemoryStream();
        brotli.CopyTo(output);
        return output.ToArray();
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    UseStringEnumConverter = true)]
[JsonSerializable(typeof(IReadOnlyList<PersonEvent>))]
internal sealed partial class InboxJson : JsonSerializerContext;
