using DingFlow.Settings;

namespace DingFlow.Offboarding.Guards;

/// <summary>Settings below <c>Offboarding:Brake</c>: when so many leave at once that it is more likely a fault of the HR feed.</summary>
public sealed record BrakeOptions
{
    /// <summary>Leavers that one window may hold at most, whatever is configured: the window is kept in one row.</summary>
    public const int LargestCount = 10_000;

    /// <summary><c>Count</c>: so many leavers are frozen within a window; those that come after them are held. Default 20; 0 switches it off.</summary>
    public int Count { get; init; } = 20;

    /// <summary>
    /// <c>Percent</c>: the same as a share of the roster of the source that reported them, once it has handed one in. Default 20; 0 switches
    /// it off. One leaver alone is never held by it.
    /// </summary>
    public int Percent { get; init; } = 20;

    /// <summary><c>Window</c>: how far back leavers are counted. Default 10 minutes.</summary>
    public TimeSpan Window { get; init; } = TimeSpan.FromMinutes(10);

    /// <summary>Reads the settings.</summary>
    public static BrakeOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Offboarding:Brake", faults);
        var defaults = new BrakeOptions();
        return new()
        {
            Count = reader.Number("Count", defaults.Count, 0, LargestCount),
            Percent = reader.Number("Percent", defaults.Percent, 0, 100),
            Window = reader.Duration("Window", defaults.Window),
        };
    }
}
