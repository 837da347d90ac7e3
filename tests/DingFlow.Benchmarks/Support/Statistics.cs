using System.Globalization;

namespace DingFlow.Benchmarks;

/// <summary>Medians, percentiles and how they are printed.</summary>
internal static class Statistics
{
    public static double Median(this IEnumerable<double> values) => values.Percentile(0.5);

    /// <summary>Nearest rank.</summary>
    public static double Percentile(this IEnumerable<double> values, double share)
    {
        double[] sorted = [.. values.Order()];
        return sorted[Math.Clamp((int)Math.Ceiling(share * sorted.Length) - 1, 0, sorted.Length - 1)];
    }

    public static string Text(this double value, string format = "0.0") => value.ToString(format, CultureInfo.InvariantCulture);

    public static string Load() => File.ReadAllText("/proc/loadavg").Split(' ')[0];
}
