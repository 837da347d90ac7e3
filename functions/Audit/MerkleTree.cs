using System.Security.Cryptography;

namespace DingFlow.Audit;

/// <summary>
/// The Merkle tree of RFC 9162, section 2.1: a leaf is SHA-256 of <c>00</c> and its data, a node SHA-256 of <c>01</c> and its two
/// children, the left subtree as large as a power of two allows.
/// </summary>
internal static class MerkleTree
{
    private const int Size = SHA256.HashSizeInBytes;

    /// <summary>The root over leaves that come one after another; holds one hash for each level only.</summary>
    public sealed class Builder
    {
        private readonly Stack<(byte[] Hash, int Level)> _peaks = new();

        /// <summary>How many leaves were added.</summary>
        public long Count { get; private set; }

        /// <summary>Adds the data of a leaf, which is an entry's hash.</summary>
        public void Add(ReadOnlySpan<byte> data)
        {
            var (hash, level) = (Leaf(data), 0);
            while (_peaks.TryPeek(out var peak) && peak.Level == level)
            {
                hash = Node(_peaks.Pop().Hash, hash);
                level++;
            }

            _peaks.Push((hash, level));
            Count++;
        }

        /// <summary>The root; SHA-256 of nothing when there is no leaf.</summary>
        public byte[] Root()
        {
            byte[]? root = null;
            foreach (var (hash, _) in _peaks)
            {
                root = root is null ? hash : Node(hash, root);
            }

            return root ?? SHA256.HashData([]);
        }
    }

    /// <summary>The siblings on the way from a leaf to the root (RFC 9162, section 2.1.3.1), the lowest first.</summary>
    /// <param name="leaves">The data of all leaves, 32 bytes each.</param>
    /// <param name="index">Which leaf.</param>
    public static IReadOnlyList<byte[]> Path(ReadOnlySpan<byte> leaves, int index)
    {
        List<byte[]> path = [];
        Collect(leaves, index, path);
        return path;
    }

    /// <summary>The root that a leaf and its path lead to (RFC 9162, section 2.1.3.2); <see langword="null"/> when the path does not fit.</summary>
    public static byte[]? RootOf(ReadOnlySpan<byte> data, long index, long count, IReadOnlyList<byte[]> path)
    {
        if (index < 0 || index >= count)
        {
            return null;
        }

        var (fn, sn, hash) = (index, count - 1, Leaf(data));
        foreach (var sibling in path)
        {
            if (sn == 0)
            {
                return null;
            }

            if ((fn & 1) == 1 || fn == sn)
            {
                hash = Node(sibling, hash);
                while ((fn & 1) == 0 && fn != 0)
                {
                    (fn, sn) = (fn >> 1, sn >> 1);
                }
            }
            else
            {
                hash = Node(hash, sibling);
            }

            (fn, sn) = (fn >> 1, sn >> 1);
        }

        return sn == 0 ? hash : null;
    }

    private static byte[] Collect(ReadOnlySpan<byte> leaves, int index, List<byte[]>? path)
    {
        var count = leaves.Length / Size;
        if (count == 1)
        {
            return Leaf(leaves);
        }

        var left = 1;
        while (left * 2 < count)
        {
            left *= 2;
        }

        var inLeft = index < left;
        var first = Collect(leaves[..(left * Size)], index, inLeft ? path : null);
        var second = Collect(leaves[(left * Size)..], index - left, inLeft ? null : path);
        path?.Add(inLeft ? second : first);
        return Node(first, second);
    }

    private static byte[] Leaf(ReadOnlySpan<byte> data)
    {
        Span<byte> input = data.Length <= Size ? stackalloc byte[1 + data.Length] : new byte[1 + data.Length];
        input[0] = 0;
        data.CopyTo(input[1..]);
        return SHA256.HashData(input);
    }

    private static byte[] Node(ReadOnlySpan<byte> left, ReadOnlySpan<byte> right)
    {
        Span<byte> input = stackalloc byte[1 + (2 * Size)];
        input[0] = 1;
        left.CopyTo(input[1..]);
        right.CopyTo(input[(1 + Size)..]);
        return SHA256.HashData(input);
    }
}
