using System.Globalization;

namespace DingFlow.Benchmarks;

/// <summary>What the command line asks for.</summary>
/// <param name="Name">Which benchmark, or <c>all</c>.</param>
/// <param name="Published">A directory with the published programs; published anew when not given.</param>
/// <param name="Runs">How often each side is run; <see langword="null"/> for the benchmark's own number.</param>
/// <param name="Seconds">How long one run of load takes; <see langword="null"/> for the benchmark's own number.</param>
/// <param name="Only">Names of the parts to be run; <see langword="null"/> for all.</param>
internal sealed record Options(string Name, string? Published, int? Runs, int? Seconds, IReadOnlyList<string>? Only)
{
    public static Options Read(string[] args)
    {
        var named = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 1; i + 1 < args.Length; i += 2)
        {
            named[args[i]] = args[i + 1];
        }

        return new Options(args.FirstOrDefault() ?? "", named.GetValueOrDefault("--published"), Number("--runs"), Number("--seconds"), named.GetValueOrDefault("--only")?.Split(','));

        int? Number(string name) => named.TryGetValue(name, out var text) ? int.Parse(text, CultureInfo.InvariantCulture) : null;
    }
}
