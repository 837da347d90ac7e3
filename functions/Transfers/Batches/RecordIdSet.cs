using System.Buffers.Binary;
using System.IO.Hashing;
using System.Runtime.InteropServices;
using System.Text;

namespace DingFlow.Transfers;

/// <summary>
/// The record ids of a batch, in 12 bytes each and at most half as much again: a batch may have millions. Ids of at most 11 bytes are kept
/// as they are; longer ones as 88 bits of their XXH128, which two ids of a batch of twenty millions share by accident less than once in a
/// billion such batches. It is seeded anew in each process, so that nobody can choose ids that fall together.
/// </summary>
internal sealed class RecordIdSet
{
    private const int SmallestCapacity = 64;

    /// <summary>A full table grows by this part of itself: less room is empty, and each id is moved some seven times instead of four.</summary>
    private const int Growth = 8;

    private const int LongestKept = Key.Size - 1;
    private const byte Hashed = 0xFF;

    /// <summary>Ids that are looked for at the same time.</summary>
    private const int SideBySide = 16;

    private static readonly long Seed = Random.Shared.NextInt64();

    // Open addressing with linear probing. The last byte of a key is its length, or Hashed: never 0, so that 0 is an empty place. A key's
    // place is a share of the table, so that a larger table has them in the same order and growing goes from one end to the other.
    private readonly TablePages<Key> _memory = new();
    private Key[][] _pages = [new Key[SmallestCapacity]];
    private int _capacity = SmallestCapacity;
    private int _count;

    /// <summary>Adds an id; <see langword="false"/> when it was there.</summary>
    public bool Add(string id)
    {
        GrowFor(1);
        return TryPut(KeyOf(id));
    }

    /// <summary>Adds the ids of records and returns the records whose ids were not there, in their order; mostly these are all.</summary>
    public IReadOnlyList<SubjectTransfer> AddNew(IReadOnlyList<SubjectTransfer> records)
    {
        List<SubjectTransfer>? fresh = null;
        Span<Key> keys = stackalloc Key[SideBySide];
        Span<bool> taken = stackalloc bool[SideBySide];
        for (var from = 0; from < records.Count; from += SideBySide)
        {
            var count = Math.Min(SideBySide, records.Count - from);
            GrowFor(count);
            for (var i = 0; i < count; i++)
            {
                keys[i] = KeyOf(records[from + i].RecordId);
            }

            // A set of millions is far larger than any cache: memory is asked for all of these places before the first is needed.
            for (var i = 0; i < count; i++)
            {
                taken[i] = !At(HomeOf(keys[i])).IsNone;
            }

            for (var i = 0; i < count; i++)
            {
                if (!TryPut(keys[i]))
                {
                    fresh ??= [.. records.Take(from + i)];
                }
                else
                {
                    fresh?.Add(records[from + i]);
                }
            }
        }

        return fresh ?? records;
    }

    /// <summary>Whether an id is there.</summary>
    public bool Contains(string id)
    {
        var key = KeyOf(id);
        return At(PlaceOf(key)) == key;
    }

    /// <summary>Removes an id, if it is there.</summary>
    public void Remove(string id)
    {
        var key = KeyOf(id);
        var place = PlaceOf(key);
        if (At(place) != key)
        {
            return;
        }

        At(place) = default;
        _count--;
        // What follows may have been put there because this place was taken.
        for (var next = After(place); !At(next).IsNone; next = After(next))
        {
            var moved = At(next);
            At(next) = default;
            At(PlaceOf(moved)) = moved;
        }
    }

    private bool TryPut(Key key)
    {
        ref var place = ref At(PlaceOf(key));
        if (place == key)
        {
            return false;
        }

        place = key;
        _count++;
        return true;
    }

    private void GrowFor(int more)
    {
        if (_count + more <= _capacity / 4 * 3)
        {
            return;
        }

        var old = _pages;
        _capacity = TablePages<Key>.Rounded(Math.Max(_capacity + (_capacity / Growth), (_count + more) * 4 / 3));
        _pages = new Key[TablePages<Key>.PagesFor(_capacity)][];
        for (var page = 0; page < old.Length; page++)
        {
            foreach (var key in old[page])
            {
                if (!key.IsNone)
                {
                    Move(key);
                }
            }

            _memory.Return(old[page]);
            old[page] = [];
        }

        for (var page = 0; page < _pages.Length; page++)
        {
            _pages[page] ??= _memory.Take(_capacity);
        }
    }

    /// <summary>Puts a key into a table whose pages are made as they are reached.</summary>
    private void Move(Key key)
    {
        for (var place = HomeOf(key); ; place = After(place))
        {
            ref var page = ref _pages[place >> TablePages<Key>.Bits];
            page ??= _memory.Take(_capacity);
            ref var target = ref page[place & TablePages<Key>.Mask];
            if (target.IsNone)
            {
                target = key;
                return;
            }
        }
    }

    private ref Key At(int place) => ref _pages[place >> TablePages<Key>.Bits][place & TablePages<Key>.Mask];

    private int After(int place) => place + 1 == _capacity ? 0 : place + 1;

    /// <summary>Where a key is, or belongs.</summary>
    private int PlaceOf(Key key)
    {
        for (var place = HomeOf(key); ; place = After(place))
        {
            var there = At(place);
            if (there.IsNone || there == key)
            {
                return place;
            }
        }
    }

    /// <summary>Where a key is first looked for.</summary>
    private int HomeOf(Key key)
    {
        // Ids of a batch often differ in a few digits only: both halves are mixed.
        var mixed = (key.Low * 0x9E3779B97F4A7C15) ^ (key.High * 0xC2B2AE3D27D4EB4F);
        mixed = (mixed ^ (mixed >> 32)) * 0xD6E8FEB86659FD93;
        return (int)Math.BigMul(mixed ^ (mixed >> 32), (ulong)_capacity, out _);
    }

    private static Key KeyOf(string id)
    {
        Span<byte> key = stackalloc byte[Key.Size];
        if (Encoding.UTF8.TryGetBytes(id, key[..LongestKept], out var length) && length > 0)
        {
            key[LongestKept] = (byte)length;
        }
        else
        {
            Hash(id, key);
        }

        return new(BinaryPrimitives.ReadUInt64LittleEndian(key), BinaryPrimitives.ReadUInt32LittleEndian(key[sizeof(ulong)..]));
    }

    private static void Hash(string id, Span<byte> key)
    {
        Span<byte> text = stackalloc byte[3 * RecordJson.LongestId];
        Span<byte> hash = stackalloc byte[2 * sizeof(ulong)];
        XxHash128.Hash(text[..Encoding.UTF8.GetBytes(id, text)], hash, Seed);
        hash[..LongestKept].CopyTo(key);
        key[LongestKept] = Hashed;
    }

    /// <summary>What an id is known by.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = sizeof(uint))]
    private readonly record struct Key(ulong Low, uint High)
    {
        /// <summary>Bytes of a key.</summary>
        public const int Size = sizeof(ulong) + sizeof(uint);

        /// <summary>Nothing is there: the last byte of a key is never 0.</summary>
        public bool IsNone => High == 0;
    }
}
