using System.Buffers.Binary;
using System.Security.Cryptography;

namespace DingFlow.Messaging;

/// <summary>Ids and salts of entries. The system's random numbers are asked for many at once: each call costs as much as hashing an entry.</summary>
internal static class AuditRandom
{
    private const int SaltBytes = 16;
    private const int IdBytes = 16;
    private const int TimeBytes = 6;
    private const int Block = 2048;

    [ThreadStatic]
    private static byte[]? t_block;

    [ThreadStatic]
    private static int t_left;

    /// <summary>A UUID of version 7 (RFC 9562, section 5.7), 32 lower-case hexadecimal digits: ids sort by time.</summary>
    public static string Id(DateTimeOffset now)
    {
        Span<byte> id = stackalloc byte[IdBytes];
        BinaryPrimitives.WriteInt64BigEndian(id, now.ToUnixTimeMilliseconds() << 16);
        Take(id[TimeBytes..]);
        id[6] = (byte)((id[6] & 0x0F) | 0x70);
        id[8] = (byte)((id[8] & 0x3F) | 0x80);
        return Convert.ToHexStringLower(id);
    }

    /// <summary>128 bits, base64.</summary>
    public static string Salt()
    {
        Span<byte> salt = stackalloc byte[SaltBytes];
        Take(salt);
        return Convert.ToBase64String(salt);
    }

    private static void Take(Span<byte> bytes)
    {
        var block = t_block ??= new byte[Block];
        if (t_left < bytes.Length)
        {
            RandomNumberGenerator.Fill(block);
            t_left = Block;
        }

        var taken = block.AsSpan(Block - t_left, bytes.Length);
        taken.CopyTo(bytes);
        taken.Clear();
        t_left -= bytes.Length;
    }
}
