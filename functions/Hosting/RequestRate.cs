namespace DingFlow.Hosting;

/// <summary>How many requests have arrived lately: work that can wait makes room while there are many. Safe for several threads.</summary>
/// <remarks>Counts in slots of 128 milliseconds and looks at the last two, so it follows the load within a quarter of a second.</remarks>
public sealed class RequestRate(TimeProvider time)
{
    private const int SlotBits = 7;

    /// <summary>Requests within 128 to 256 ms from which on there are many: some 60 in a second.</summary>
    private const int Many = 12;

    private readonly long _start = time.GetTimestamp();

    /// <summary>The slot under way in the upper half, its count and that of the slot before in 16 bits each.</summary>
    private long _state;

    /// <summary>Requests arrive so fast that whatever can wait should wait.</summary>
    public bool IsHigh
    {
        get
        {
            var (count, before) = CountsAt(Volatile.Read(ref _state), Slot());
            return count + before >= Many;
        }
    }

    /// <summary>A request has arrived.</summary>
    public void Add()
    {
        while (true)
        {
            var (state, slot) = (Volatile.Read(ref _state), Slot());
            var (count, before) = CountsAt(state, slot);
            if (Interlocked.CompareExchange(ref _state, ((long)slot << 32) | ((long)Math.Min(count + 1, ushort.MaxValue) << 16) | (uint)before, state) == state)
            {
                return;
            }
        }
    }

    private int Slot() => (int)((long)time.GetElapsedTime(_start).TotalMilliseconds >> SlotBits);

    private static (int Count, int Before) CountsAt(long state, int slot)
    {
        var (counted, count, before) = ((int)(state >> 32), (ushort)(state >> 16), (ushort)state);
        return (slot - counted) switch
        {
            0 => (count, before),
            1 => (0, count),
            _ => (0, 0),
        };
    }
}
