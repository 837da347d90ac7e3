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
    public static string Id(DateTimeOffset now) => Id(now.ToUnixTimeMilliseconds(), counter: null);

    /// <summary>The same with a counter in place of the first twelve random bits (section 6.2, method 1): ids of one millisecond sort by it.</summary>
    internal static string Id(long milliseconds, int? counter)
    {
        Span<byte> id = stackalloc byte[IdBytes];
        BinaryPrimitives.WriteInt64BigEndian(id, milliseconds << 16);
        Take(id[TimeBytes..]);
        if (counter is { } number)
        {
            BinaryPrimitives.WriteUInt16BigEndian(id[TimeBytes..], (ushort)number);
        }

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

/// <summary>
/// The ids of one writer's events, which sort in the order in which they were made, also within a millisecond: a sweep that finishes what a
/// dead process began has nothing else to tell their order by.
/// </summary>
internal sealed class AuditIds
{
    private const int CounterBits = 12;

    /// <summary>A clock that goes back further than this is followed.</summary>
    private const long Patience = 10_000L << CounterBits;

    private long _last;

    public string Next(DateTimeOffset now)
    {
        var wanted = now.ToUnixTimeMilliseconds() << CounterBits;
        long last, next;
        do
        {
            last = Interlocked.Read(ref _last);
            next = wanted > last || last - wanted > Patience ? wanted : last + 1;
        }
        while (Interlocked.CompareExchange(ref _last, next, last) != last);
        return AuditRandom.Id(next >> CounterBits, (int)(next & ((1 << CounterBits) - 1)));
    }
}
