using System.Globalization;

namespace DingFlow.Benchmarks;

/// <summary>What all cores together did since it was read.</summary>
internal sealed record MachineTime(long Idle, long Total)
{
    public static MachineTime Read()
    {
        var times = File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..]
            .Select(text => long.Parse(text, CultureInfo.InvariantCulture)).ToArray();
        return new MachineTime(times[3] + times[4], times.Sum());
    }

    public double BusyShare()
    {
        var now = Read();
        return 1 - ((double)(now.Idle - Idle) / Math.Max(1, now.Total - Total));
    }
}
