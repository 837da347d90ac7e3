using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>Tables, keys and the packing of bytes into properties.</summary>
/// <remarks>
/// <para><c>LedgerLog</c>, partition exporter: <c>L{number}</c> the log, <c>B{hash}</c> the batches, <c>C</c> the checkpoint, <c>F</c> the facts known as of it.</para>
/// <para><c>LedgerShards</c>, partition <c>{exporter}|{shard}</c>: <c>C</c> the counter row, <c>S{version}{writer}|{part}</c> segments.</para>
/// <para><c>LedgerOpenings</c>, partition exporter: opening balances.</para>
/// </remarks>
internal static class LedgerRows
{
    public const string LogTable = "LedgerLog";
    public const string ShardTable = "LedgerShards";
    public const string OpeningTable = "LedgerOpenings";

    public const string Checkpoint = "C";
    public const string Facts = "F";
    public const string CounterRow = "C";

    private const string LogPrefix = "L";
    private const string SegmentPrefix = "S";
    private const string Data = "Data";

    /// <summary>All segments of a shard.</summary>
    public static RowKeyRange Segments { get; } = RowKeyRange.StartingWith(SegmentPrefix);

    public static string LogRow(long position) => string.Create(CultureInfo.InvariantCulture, $"{LogPrefix}{position:x12}");

    /// <summary>The log from one position (inclusive) to another (exclusive).</summary>
    public static RowKeyRange Log(long from, long before = long.MaxValue) =>
        new(LogRow(from), before == long.MaxValue ? RowKeyRange.StartingWith(LogPrefix).Before : LogRow(before));

    public static long PositionOf(string logRow) => long.Parse(logRow.AsSpan(1), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>The registry's row of a batch. Ids come from outside and may hold anything, so their hash is the key.</summary>
    public static string Batch(string batchId) => "B" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(batchId)).AsSpan(0, 16));

    public static string ShardPartition(string exporter, int shard) => string.Create(CultureInfo.InvariantCulture, $"{exporter}|{shard:d4}");

    public static string Segment(long version, uint writer, int part) =>
        string.Create(CultureInfo.InvariantCulture, $"{SegmentPrefix}{version:x12}{writer:x8}|{part:x4}");

    public static long VersionOf(string segmentRow) =>
        long.Parse(segmentRow.AsSpan(1, 12), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);

    /// <summary>Bytes cut into what one property holds.</summary>
    public static IReadOnlyList<byte[]> Pieces(ReadOnlySpan<byte> bytes)
    {
        List<byte[]> pieces = [];
        do
        {
            var length = Math.Min(bytes.Length, EntityLimits.BinaryLength);
            pieces.Add(bytes[..length].ToArray());
            bytes = bytes[length..];
        }
        while (!bytes.IsEmpty);
        return pieces;
    }

    /// <summary>Puts bytes into as many properties as they need.</summary>
    public static void Put(EntityProperties properties, ReadOnlySpan<byte> bytes) => Put(properties, Pieces(bytes));

    /// <summary>Puts pieces into properties.</summary>
    public static void Put(EntityProperties properties, IReadOnlyList<byte[]> pieces)
    {
        for (var i = 0; i < pieces.Count; i++)
        {
            properties[NameOf(i)] = pieces[i];
        }
    }

    /// <summary>The bytes that <see cref="Put(EntityProperties, ReadOnlySpan{byte})"/> put there.</summary>
    public static byte[] Take(EntityProperties properties)
    {
        var first = properties.Require<byte[]>(NameOf(0));
        if (first.Length < EntityLimits.BinaryLength)
        {
            return first;
        }

        List<byte[]> parts = [first];
        while (properties.Get<byte[]>(NameOf(parts.Count)) is { } part)
        {
            parts.Add(part);
        }

        var all = new byte[parts.Sum(part => part.Length)];
        var at = 0;
        foreach (var part in parts)
        {
            part.CopyTo(all, at);
            at += part.Length;
        }

        return all;
    }

    private static string NameOf(int part) => part == 0 ? Data : Data + part.ToString(CultureInfo.InvariantCulture);
}
