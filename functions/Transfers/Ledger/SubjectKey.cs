using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The name of a data subject in the ledger: the leading 128 bits of its <see cref="SubjectPseudonym"/>. Half of the bytes, and among
/// 100 million subjects the chance that any two share them is below 2^-75. Ordered like the pseudonyms.
/// </summary>
/// <param name="High">The first 64 bits.</param>
/// <param name="Low">The next 64 bits.</param>
[StructLayout(LayoutKind.Sequential)]
public readonly record struct SubjectKey(ulong High, ulong Low) : IComparable<SubjectKey>
{
    /// <summary>Its length in bytes.</summary>
    public const int Size = 16;

    /// <summary>The key of a pseudonym.</summary>
    public static SubjectKey Of(in SubjectPseudonym pseudonym)
    {
        Span<byte> bytes = stackalloc byte[SubjectPseudonym.Size];
        pseudonym.CopyTo(bytes);
        return new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));
    }

    /// <summary>The same shard as <see cref="SubjectPseudonym.Shard"/> gives.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Shard(int shards) => (int)(((High >> 32) * (ulong)shards) >> 32);

    /// <summary>32 lower-case hexadecimal digits.</summary>
    public override string ToString() => string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{High:x16}{Low:x16}");

    /// <inheritdoc/>
    public int CompareTo(SubjectKey other)
    {
        var order = High.CompareTo(other.High);
        return order != 0 ? order : Low.CompareTo(other.Low);
    }

    /// <summary>By bits.</summary>
    public static bool operator <(SubjectKey left, SubjectKey right) => left.CompareTo(right) < 0;

    /// <summary>By bits.</summary>
    public static bool operator >(SubjectKey left, SubjectKey right) => left.CompareTo(right) > 0;

    /// <summary>By bits.</summary>
    public static bool operator <=(SubjectKey left, SubjectKey right) => left.CompareTo(right) <= 0;

    /// <summary>By bits.</summary>
    public static bool operator >=(SubjectKey left, SubjectKey right) => left.CompareTo(right) >= 0;
}
