using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace DingFlow.Messaging;

/// <summary>
/// One entry as it stands in a chain. <c>docs/audit.md</c> describes how its hash is made, so that anybody can make it again.
/// </summary>
internal sealed record AuditEntry
{
    /// <summary>The chain: the writer's name.</summary>
    public required string Chain { get; init; }

    /// <summary>Its place in the chain, from 1, without gaps.</summary>
    public required long Sequence { get; init; }

    /// <summary>When the writer appended it, by the writer's clock, UTC.</summary>
    public required DateTimeOffset RecordedAt { get; init; }

    /// <summary>The name of its kind.</summary>
    public required string Kind { get; init; }

    /// <summary>How long its content is kept.</summary>
    public required AuditRetention Retention { get; init; }

    /// <summary>SHA-256 of the content's bytes.</summary>
    public required ReadOnlyMemory<byte> ContentHash { get; init; }

    /// <summary>The hash of the entry before; zeros for the first.</summary>
    public required ReadOnlyMemory<byte> Previous { get; init; }

    /// <summary>Its own hash, over everything above.</summary>
    public required ReadOnlyMemory<byte> Hash { get; init; }

    /// <summary>The content, JSON, byte by byte as it was hashed; <see langword="null"/> once its retention has passed.</summary>
    public ReadOnlyMemory<byte>? Content { get; init; }

    /// <summary>Parses the content.</summary>
    /// <exception cref="JsonException">It is damaged.</exception>
    public AuditContent? Read() => Content is { } content ? JsonSerializer.Deserialize(content.Span, AuditJson.Default.AuditContent) : null;
}

/// <summary>Hashes of entries.</summary>
internal static class AuditHash
{
    /// <summary>Bytes of a hash.</summary>
    public const int Size = SHA256.HashSizeInBytes;

    /// <summary>How times are written into what is hashed.</summary>
    public const string TimeFormat = "yyyy-MM-ddTHH:mm:ss.fffffffZ";

    /// <summary>The same for a time that is UTC, and quicker.</summary>
    internal const string UtcTimeFormat = "O";

    private const int MaximumText = 512;

    /// <summary>What the first entry of a chain follows.</summary>
    public static ReadOnlyMemory<byte> Zero { get; } = new byte[Size];

    /// <summary>
    /// The hash of an entry: SHA-256 over eight lines of text, <c>dingflow-audit-1</c>, chain, sequence, time, kind, retention, the hash of
    /// the content and the hash of the entry before, the last without a line end.
    /// </summary>
    public static byte[] OfEntry(
        string chain, long sequence, DateTimeOffset recordedAt, string kind, AuditRetention retention, ReadOnlySpan<byte> contentHash, ReadOnlySpan<byte> previous)
    {
        Span<byte> text = stackalloc byte[MaximumText];
        var at = Put(text, 0, "dingflow-audit-1\n");
        at = Put(text, at, chain);
        text[at++] = (byte)'\n';
        sequence.TryFormat(text[at..], out var written, default, CultureInfo.InvariantCulture);
        at += written;
        text[at++] = (byte)'\n';
        recordedAt.UtcDateTime.TryFormat(text[at..], out written, UtcTimeFormat, CultureInfo.InvariantCulture);
        at += written;
        text[at++] = (byte)'\n';
        at = Put(text, at, kind);
        text[at++] = (byte)'\n';
        at = Put(text, at, retention == AuditRetention.Legal ? "legal" : "operational");
        text[at++] = (byte)'\n';
        at = PutHex(text, at, contentHash);
        text[at++] = (byte)'\n';
        at = PutHex(text, at, previous);
        return SHA256.HashData(text[..at]);
    }

    internal static int Put(Span<byte> text, int at, string part) => at + Encoding.UTF8.GetBytes(part, text[at..]);

    internal static int PutHex(Span<byte> text, int at, ReadOnlySpan<byte> bytes)
    {
        Convert.TryToHexStringLower(bytes, text[at..], out var written);
        return at + written;
    }
}

/// <summary>
/// Entries as lines of JSON: in the rows of the store, in exports and in archives. The content is the line's last member, so its bytes can
/// be cut out as they were hashed.
/// </summary>
internal static class AuditLines
{
    private const int MaximumHead = 640;

    /// <summary>Writes the line with its end. Its names and values hold nothing that JSON escapes.</summary>
    public static void Write(IBufferWriter<byte> output, AuditEntry entry)
    {
        var line = output.GetSpan(MaximumHead + (entry.Content?.Length ?? 0));
        var at = AuditHash.Put(line, 0, "{\"chain\":\"");
        at = AuditHash.Put(line, at, entry.Chain);
        at = AuditHash.Put(line, at, "\",\"sequence\":");
        entry.Sequence.TryFormat(line[at..], out var written, default, CultureInfo.InvariantCulture);
        at = AuditHash.Put(line, at + written, ",\"recordedAt\":\"");
        entry.RecordedAt.UtcDateTime.TryFormat(line[at..], out written, AuditHash.UtcTimeFormat, CultureInfo.InvariantCulture);
        at = AuditHash.Put(line, at + written, "\",\"kind\":\"");
        at = AuditHash.Put(line, at, entry.Kind);
        at = AuditHash.Put(line, at, entry.Retention == AuditRetention.Legal ? "\",\"retention\":\"legal\",\"contentHash\":\"" : "\",\"retention\":\"operational\",\"contentHash\":\"");
        at = AuditHash.PutHex(line, at, entry.ContentHash.Span);
        at = AuditHash.Put(line, at, "\",\"previous\":\"");
        at = AuditHash.PutHex(line, at, entry.Previous.Span);
        at = AuditHash.Put(line, at, "\",\"hash\":\"");
        at = AuditHash.PutHex(line, at, entry.Hash.Span);
        at = AuditHash.Put(line, at, "\"");
        if (entry.Content is { } content)
        {
            at = AuditHash.Put(line, at, ",\"content\":");
            content.Span.CopyTo(line[at..]);
            at += content.Length;
        }

        at = AuditHash.Put(line, at, "}\n");
        output.Advance(at);
    }

    /// <summary>Reads a line.</summary>
    /// <exception cref="InvalidDataException">It is none.</exception>
    public static AuditEntry Read(ReadOnlyMemory<byte> line)
    {
        try
        {
            var reader = new Utf8JsonReader(line.Span);
            var parts = default(Parts);
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                throw new InvalidDataException("A line of the trail is no object.");
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                ReadMember(ref reader, line, ref parts);
            }

            // Whatever stands behind the entry would be hashed by nobody.
            return reader.TokenType == JsonTokenType.EndObject && reader.BytesConsumed == line.Length
                ? parts.ToEntry()
                : throw new InvalidDataException("A line of the trail goes on behind its entry.");
        }
        catch (Exception exception) when (exception is JsonException or FormatException or InvalidOperationException or OverflowException)
        {
            throw new InvalidDataException("A line of the trail is damaged.", exception);
        }
    }

    private static void ReadMember(ref Utf8JsonReader reader, ReadOnlyMemory<byte> line, ref Parts parts)
    {
        if (reader.ValueTextEquals("content"u8))
        {
            Once(parts.Content is null);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            parts.Content = line[start..(int)reader.BytesConsumed];
            return;
        }

        var name = reader.ValueSpan;
        reader.Read();
        if (name.SequenceEqual("sequence"u8))
        {
            Once(parts.Sequence == 0);
            parts.Sequence = reader.GetInt64();
        }
        else if (name.SequenceEqual("recordedAt"u8))
        {
            Once(parts.RecordedAt == default);
            parts.RecordedAt = reader.GetDateTimeOffset();
        }
        else if (name.SequenceEqual("contentHash"u8))
        {
            Once(parts.ContentHash is null);
            parts.ContentHash = Hash(ref reader);
        }
        else if (name.SequenceEqual("previous"u8))
        {
            Once(parts.Previous is null);
            parts.Previous = Hash(ref reader);
        }
        else if (name.SequenceEqual("hash"u8))
        {
            Once(parts.Hash is null);
            parts.Hash = Hash(ref reader);
        }
        else if (name.SequenceEqual("retention"u8))
        {
            Once(parts.Retention is null);
            parts.Retention = reader.ValueTextEquals("legal"u8) ? AuditRetention.Legal
                : reader.ValueTextEquals("operational"u8) ? AuditRetention.Operational
                : throw new InvalidDataException("A line of the trail names an unknown retention.");
        }
        else if (name.SequenceEqual("chain"u8))
        {
            Once(parts.Chain is null);
            parts.Chain = reader.GetString();
        }
        else if (name.SequenceEqual("kind"u8))
        {
            Once(parts.Kind is null);
            parts.Kind = reader.GetString();
        }
        else
        {
            throw new InvalidDataException("A line of the trail has an unknown member.");
        }
    }

    /// <summary>Of a member that stands there twice, others might read the other one.</summary>
    private static void Once(bool isFirst)
    {
        if (!isFirst)
        {
            throw new InvalidDataException("A line of the trail has a member twice.");
        }
    }

    private static byte[] Hash(ref Utf8JsonReader reader)
    {
        var bytes = new byte[AuditHash.Size];
        return Convert.FromHexString(reader.ValueSpan, bytes, out _, out var written) == OperationStatus.Done && written == AuditHash.Size
            && reader.ValueSpan.Length == AuditHash.Size * 2
            ? bytes
            : throw new InvalidDataException("A line of the trail has a malformed hash.");
    }

    private struct Parts
    {
        public string? Chain, Kind;
        public long Sequence;
        public DateTimeOffset RecordedAt;
        public AuditRetention? Retention;
        public byte[]? ContentHash, Previous, Hash;
        public ReadOnlyMemory<byte>? Content;

        public readonly AuditEntry ToEntry() =>
            AuditTrailOptions.IsValid(Chain) && AuditKind.IsValid(Kind) && Sequence > 0 && RecordedAt != default && Retention is { } retention
            && ContentHash is not null && Previous is not null && Hash is not null
                ? new()
                {
                    Chain = Chain!, Sequence = Sequence, RecordedAt = RecordedAt, Kind = Kind!, Retention = retention,
                    ContentHash = ContentHash, Previous = Previous, Hash = Hash, Content = Content,
                }
                : throw new InvalidDataException("A line of the trail lacks a member, or names a chain or kind that cannot be.");
    }
}
