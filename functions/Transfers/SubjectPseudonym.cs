using System.Buffers.Binary;

namespace DingFlow.Transfers;

/// <summary>
/// A data subject without its identity: 32 bytes, an HMAC-SHA-256 under the ledger key. Ordered by its bytes. Still personal
/// information in law; opaque enough for keys and logs of the ledger.
/// </summary>
public readonly struct SubjectPseudonym : IEquatable<SubjectPseudonym>, IComparable<SubjectPseudonym>
{
    /// <summary>Its length in bytes.</summary>
    public const int Size = 32;

    /// <summary>The length of its text form.</summary>
    public const int TextLength = Size * 2;

    private readonly ulong _first;
    private readonly ulong _second;
    private readonly ulong _third;
    private readonly ulong _fourth;

    /// <summary>Takes over 32 bytes.</summary>
    /// <exception cref="ArgumentException">There are more or fewer.</exception>
    public SubjectPseudonym(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Size)
        {
            throw new ArgumentException("A pseudonym has 32 bytes.", nameof(bytes));
        }

        _first = BinaryPrimitives.ReadUInt64BigEndian(bytes);
        _second = BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]);
        _third = BinaryPrimitives.ReadUInt64BigEndian(bytes[16..]);
        _fourth = BinaryPrimitives.ReadUInt64BigEndian(bytes[24..]);
    }

    /// <summary>The first eight bytes as a number: uniformly spread, fit for shards and hash tables.</summary>
    public ulong Prefix => _first;

    /// <summary>Which of so many shards it belongs to, from its first 32 bits; with 2^n shards these are the first n bits.</summary>
    public int Shard(int shards)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(shards, 1);
        return (int)(((_first >> 32) * (ulong)shards) >> 32);
    }

    /// <summary>Writes the 32 bytes.</summary>
    public void CopyTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, _first);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], _second);
        BinaryPrimitives.WriteUInt64BigEndian(destination[16..], _third);
        BinaryPrimitives.WriteUInt64BigEndian(destination[24..], _fourth);
    }

    /// <summary>Reads the text form, in any case.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out SubjectPseudonym pseudonym)
    {
        Span<byte> bytes = stackalloc byte[Size];
        if (text.Length == TextLength && Convert.FromHexString(text, bytes, out _, out var written) == System.Buffers.OperationStatus.Done
            && written == Size)
        {
            pseudonym = new(bytes);
            return true;
        }

        pseudonym = default;
        return false;
    }

    /// <summary>64 lower-case hexadecimal digits, in the order of <see cref="CompareTo"/>.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[Size];
        CopyTo(bytes);
        return Convert.ToHexStringLower(bytes);
    }

    /// <inheritdoc/>
    public bool Equals(SubjectPseudonym other) =>
        _first == other._first && _second == other._second && _third == other._third && _fourth == other._fourth;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is SubjectPseudonym other && Equals(other);

    /// <summary>Bits of the pseudonym itself, which are uniformly spread.</summary>
    public override int GetHashCode() => (int)_second;

    /// <inheritdoc/>
    public int CompareTo(SubjectPseudonym other)
    {
        var order = _first.CompareTo(other._first);
        order = order != 0 ? order : _second.CompareTo(other._second);
        order = order != 0 ? order : _third.CompareTo(other._third);
        return order != 0 ? order : _fourth.CompareTo(other._fourth);
    }

    /// <summary>Same bytes.</summary>
    public static bool operator ==(SubjectPseudonym left, SubjectPseudonym right) => left.Equals(right);

    /// <summary>Other bytes.</summary>
    public static bool operator !=(SubjectPseudonym left, SubjectPseudonym right) => !left.Equals(right);

    /// <summary>By bytes.</summary>
    public static bool operator <(SubjectPseudonym left, SubjectPseudonym right) => left.CompareTo(right) < 0;

    /// <summary>By bytes.</summary>
    public static bool operator >(SubjectPseudonym left, SubjectPseudonym right) => left.CompareTo(right) > 0;

    /// <summary>By bytes.</summary>
    public static bool operator <=(SubjectPseudonym left, SubjectPseudonym right) => left.CompareTo(right) <= 0;

    /// <summary>By bytes.</summary>
    public static bool operator >=(SubjectPseudonym left, SubjectPseudonym right) => left.CompareTo(right) >= 0;
}
