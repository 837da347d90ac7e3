using System.Numerics;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The subjects of one shard in memory: a hash table with open addressing, 21 bytes a place. Beside each subject's state stands its
/// level: where its newest entry is stored (<see cref="Level"/>).
/// </summary>
internal sealed class ShardMap
{
    /// <summary>Levels of an entry; segments of level n have <see cref="Tail"/> + n.</summary>
    public static class Level
    {
        /// <summary>Changed in memory, not yet stored.</summary>
        public const byte Changed = 0;

        /// <summary>In the counter row itself.</summary>
        public const byte Tail = 1;

        /// <summary>Not stored anywhere: the change that brought it was taken back.</summary>
        public const byte Absent = byte.MaxValue - 1;

        /// <summary>Nobody is here.</summary>
        public const byte Free = byte.MaxValue;
    }

    private const int SmallestCapacity = 16;

    private SubjectKey[] _keys = new SubjectKey[SmallestCapacity];
    private int[] _states = new int[SmallestCapacity];
    private byte[] _levels = Fresh(SmallestCapacity);

    /// <summary>Places taken, those of subjects without facts included.</summary>
    public int Count { get; private set; }

    public int Capacity => _keys.Length;

    public Span<byte> Levels => _levels;

    public SubjectKey KeyAt(int place) => _keys[place];

    public ref int StateAt(int place) => ref _states[place];

    public ref byte LevelAt(int place) => ref _levels[place];

    /// <summary>Makes room for so many more, so that places stay where they are while these are added.</summary>
    public void Reserve(int more)
    {
        if (!HasRoom(more))
        {
            Resize((int)BitOperations.RoundUpToPowerOf2((uint)Needed(more)));
        }
    }

    public bool HasRoom(int more) => Needed(more) <= _keys.Length;

    /// <summary>Three quarters full at most, so that probes stay short.</summary>
    private int Needed(int more) => (int)(((long)(Count + more) * 4 / 3) + 1);

    /// <summary>The place of a subject, or -1.</summary>
    public int Find(SubjectKey key)
    {
        var mask = _keys.Length - 1;
        for (var place = (int)key.Low & mask; ; place = (place + 1) & mask)
        {
            if (_levels[place] == Level.Free)
            {
                return -1;
            }

            if (_keys[place] == key)
            {
                return place;
            }
        }
    }

    /// <summary>The place of a subject, taken now if it was not there; room must have been reserved.</summary>
    public int FindOrAdd(SubjectKey key, out bool added)
    {
        var (keys, levels) = (_keys, _levels);
        var mask = keys.Length - 1;
        for (var place = (int)key.Low & mask; ; place = (place + 1) & mask)
        {
            if (levels[place] == Level.Free)
            {
                keys[place] = key;
                _states[place] = FactSpace.Empty;
                levels[place] = Level.Changed;
                Count++;
                added = true;
                return place;
            }

            if (keys[place] == key)
            {
                added = false;
                return place;
            }
        }
    }

    /// <summary>Lets go of the places of subjects without facts.</summary>
    public void Purge()
    {
        var kept = 0;
        for (var place = 0; place < _keys.Length; place++)
        {
            if (_levels[place] != Level.Free && _states[place] == FactSpace.Empty)
            {
                _levels[place] = Level.Free;
            }

            kept += _levels[place] != Level.Free ? 1 : 0;
        }

        Count = kept;
        Resize(_keys.Length);
    }

    private static byte[] Fresh(int capacity)
    {
        var levels = new byte[capacity];
        Array.Fill(levels, Level.Free);
        return levels;
    }

    private void Resize(int capacity)
    {
        var (keys, states, levels) = (_keys, _states, _levels);
        (_keys, _states, _levels) = (new SubjectKey[capacity], new int[capacity], Fresh(capacity));
        var mask = capacity - 1;
        for (var old = 0; old < keys.Length; old++)
        {
            if (levels[old] != Level.Free)
            {
                var place = (int)keys[old].Low & mask;
                while (_levels[place] != Level.Free)
                {
                    place = (place + 1) & mask;
                }

                (_keys[place], _states[place], _levels[place]) = (keys[old], states[old], levels[old]);
            }
        }
    }
}
