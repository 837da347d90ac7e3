using System.Runtime.InteropServices;

namespace DingFlow.Transfers.Ledger;

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
