using System.Runtime.InteropServices;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// Memory of the shards of one exporter, in pages of one size that go from table to table. Tables of less than a page have an array of their own.
/// </summary>
internal sealed class ShardPages
{
    /// <summary>Places in a page, as a power of two: 20 KB.</summary>
    public const int Bits = 10;

    public const int Mask = Places - 1;

    private const int Places = 1 << Bits;
    private const int SmallStep = 16;

    /// <summary>Pages kept for the next table; what is beyond is left to the garbage collector.</summary>
    private const int MostKept = 64;

    private readonly Stack<SubjectEntry[]> _free = new();

    /// <summary>The number of places that a table of at least so many has.</summary>
    public static int Rounded(int capacity)
    {
        var step = capacity > Places ? Places : SmallStep;
        return checked((capacity + step - 1) / step * step);
    }

    /// <summary>How many pages hold so many places.</summary>
    public static int PagesFor(int capacity) => (capacity + Places - 1) / Places;

    /// <summary>An empty page for a table of so many places.</summary>
    public SubjectEntry[] Take(int capacity)
    {
        if (capacity < Places)
        {
            return new SubjectEntry[capacity];
        }

        if (!_free.TryPop(out var page))
        {
            return new SubjectEntry[Places];
        }

        Array.Clear(page);
        return page;
    }

    /// <summary>Takes back a page that no table uses any more.</summary>
    public void Return(SubjectEntry[] page)
    {
        if (page.Length == Places && _free.Count < MostKept)
        {
            _free.Push(page);
        }
    }
}

/// <summary>A subject in memory: its key, the number of its state, and where that is stored.</summary>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
internal struct SubjectEntry(SubjectKey key, int state, byte level)
{
    private const int LevelBits = 5;
    private const uint LevelMask = (1 << LevelBits) - 1;

    /// <summary>Distinct states that one exporter's subjects may be in: more than fit into memory.</summary>
    public const int MostStates = 1 << (32 - LevelBits);

    private readonly ulong _high = key.High;
    private readonly ulong _low = key.Low;
    private uint _packed = ((uint)state << LevelBits) | level;

    public readonly SubjectKey Key => new(_high, _low);

    public int State
    {
        readonly get => (int)(_packed >> LevelBits);
        set => _packed = ((uint)value << LevelBits) | (_packed & LevelMask);
    }

    /// <summary>One of <see cref="ShardMap.Level"/>.</summary>
    public byte Level
    {
        readonly get => (byte)(_packed & LevelMask);
        set => _packed = (_packed & ~LevelMask) | value;
    }
}
