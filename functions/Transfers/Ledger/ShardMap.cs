using System.Runtime.CompilerServices;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The subjects of one shard in memory: a hash table with open addressing, seven tenths to four fifths full, 20 bytes a place.
/// </summary>
/// <remarks>
/// <para>The place follows from the key's bits as a share of the table, so a larger table has the subjects in the same order: growing reads and
/// writes memory from one end to the other, and takes a seventh at most, not as much again.</para>
/// <para>The places lie in pages (<see cref="TablePages{T}"/>), which the shards of an exporter share.</para>
/// </remarks>
internal sealed class ShardMap(TablePages<SubjectEntry> pages, int number = 0)
{
    /// <summary>Where a subject's newest state is stored.</summary>
    public static class Level
    {
        /// <summary>Nobody is here.</summary>
        public const byte Free = 0;

        /// <summary>Changed in memory, not yet stored.</summary>
        public const byte Changed = 1;

        /// <summary>In the counter row itself.</summary>
        public const byte Tail = 2;

        /// <summary>Not stored anywhere: the change that brought it was taken back.</summary>
        public const byte Absent = 31;

        private const byte Highest = Absent - 1;

        /// <summary>In a segment of this level. The highest ones share a number: then more is written anew than need be, and nothing less.</summary>
        public static byte OfSegment(int level) => (byte)Math.Min(Tail + level, Highest);
    }

    private const int SmallestCapacity = 16;

    private SubjectEntry[][] _pages = [new SubjectEntry[SmallestCapacity]];

    /// <summary>Places taken, those of subjects without facts included.</summary>
    public int Count { get; private set; }

    public int Capacity { get; private set; } = SmallestCapacity;

    /// <summary>What is at a place; good until room is made.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ref SubjectEntry At(int place) => ref _pages[place >> TablePages<SubjectEntry>.Bits][place & TablePages<SubjectEntry>.Mask];

    /// <summary>Makes room for so many more, so that places stay where they are while these are added.</summary>
    public void Reserve(int more)
    {
        if (!HasRoom(more))
        {
            // Not the same share in every shard: shards that fill alike do not all grow at once.
            Resize(Math.Max(Needed(more), Capacity + (Capacity / (7 + (number % 8)))), purge: false);
        }
    }

    public bool HasRoom(int more) => Needed(more) <= Capacity;

    /// <summary>The place of a subject, or -1.</summary>
    public int Find(SubjectKey key)
    {
        for (var place = HomeOf(key); ; place = After(place))
        {
            ref var entry = ref At(place);
            if (entry.Level == Level.Free)
            {
                return -1;
            }

            if (entry.Key == key)
            {
                return place;
            }
        }
    }

    /// <summary>The place of a subject, taken now if it was not there; room must have been reserved.</summary>
    public int FindOrAdd(SubjectKey key, out bool added)
    {
        for (var place = HomeOf(key); ; place = After(place))
        {
            ref var entry = ref At(place);
            if (entry.Level == Level.Free)
            {
                entry = new(key, FactSpace.Empty, Level.Changed);
                Count++;
                added = true;
                return place;
            }

            if (entry.Key == key)
            {
                added = false;
                return place;
            }
        }
    }

    /// <summary>
    /// Has the places of subjects, where they will be looked for, in the processor's cache: what waits for memory waits side by side here
    /// and one after the other later.
    /// </summary>
    public uint Fetch(SubjectKey key) => At(HomeOf(key)).Level;

    /// <summary>Adds the places whose subjects are stored at a level or below, or not yet.</summary>
    public void Collect(byte level, List<int> places)
    {
        for (var (page, first) = (0, 0); page < _pages.Length; first += _pages[page++].Length)
        {
            var entries = _pages[page];
            for (var i = 0; i < entries.Length; i++)
            {
                if ((uint)(entries[i].Level - Level.Changed) <= (uint)(level - Level.Changed))
                {
                    places.Add(first + i);
                }
            }
        }
    }

    /// <summary>Lets go of the places of subjects without facts.</summary>
    public void Purge() => Resize(Capacity, purge: true);

    /// <summary>Four fifths full at most, so that searches stay short.</summary>
    private int Needed(int more) => (int)(((long)(Count + more) * 5 / 4) + 1);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int HomeOf(SubjectKey key) => (int)(((key.Low >> 32) * (ulong)Capacity) >> 32);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private int After(int place) => place + 1 == Capacity ? 0 : place + 1;

    private void Resize(int capacity, bool purge)
    {
        var old = _pages;
        (Capacity, Count) = (TablePages<SubjectEntry>.Rounded(capacity), 0);
        _pages = new SubjectEntry[TablePages<SubjectEntry>.PagesFor(Capacity)][];
        for (var page = 0; page < old.Length; page++)
        {
            foreach (ref var entry in old[page].AsSpan())
            {
                if (entry.Level != Level.Free && !(purge && entry.State == FactSpace.Empty))
                {
                    Put(entry);
                }
            }

            pages.Return(old[page]);
            old[page] = [];
        }

        for (var page = 0; page < _pages.Length; page++)
        {
            _pages[page] ??= pages.Take(Capacity);
        }
    }

    /// <summary>Puts an entry into a table whose pages are made as they are reached.</summary>
    private void Put(in SubjectEntry entry)
    {
        for (var place = HomeOf(entry.Key); ; place = After(place))
        {
            _pages[place >> TablePages<SubjectEntry>.Bits] ??= pages.Take(Capacity);
            ref var target = ref At(place);
            if (target.Level == Level.Free)
            {
                target = entry;
                Count++;
                return;
            }
        }
    }
}
