using System.Diagnostics.CodeAnalysis;
using System.IO.Hashing;
using System.Text;

namespace DingFlow.Transfers;

/// <summary>
/// Objects made once per distinct text, looked up by UTF-8 without allocating: a batch repeats few purposes, recipients and fields a
/// million times. Bounded: when it is full, further texts get objects of their own. One thread at a time.
/// </summary>
internal sealed class Utf8Pool<T>
    where T : class
{
    private const int Capacity = 4096;

    private readonly Func<string, T> _create;
    private readonly Dictionary<byte[], T> _items = new(Utf8Comparer.Instance);
    private readonly Dictionary<byte[], T>.AlternateLookup<ReadOnlySpan<byte>> _lookup;

    public Utf8Pool(Func<string, T> create)
    {
        _create = create;
        _lookup = _items.GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    public T Get(ReadOnlySpan<byte> utf8)
    {
        if (_lookup.TryGetValue(utf8, out var item))
        {
            return item;
        }

        item = _create(Encoding.UTF8.GetString(utf8));
        if (_items.Count < Capacity)
        {
            _items.Add(utf8.ToArray(), item);
        }

        return item;
    }
}

/// <summary>Bytes by their content, to be looked up without an array of their own.</summary>
internal sealed class Utf8Comparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
{
    /// <summary>Seeded, so that nobody can choose texts that fall together.</summary>
    private static readonly long Seed = Random.Shared.NextInt64();

    public static Utf8Comparer Instance { get; } = new();

    public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

    public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

    public int GetHashCode([DisallowNull] byte[] obj) => GetHashCode(obj.AsSpan());

    public int GetHashCode(ReadOnlySpan<byte> alternate) => (int)XxHash3.HashToUInt64(alternate, Seed);

    public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
}
