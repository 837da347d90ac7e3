using DingFlow.Settings;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>Settings below <c>Offboarding:Roster</c> and <c>Offboarding:Reconciliation</c>.</summary>
public sealed record ReconciliationOptions
{
    /// <summary>The HR sources that may hand in a roster, in lower case.</summary>
    public IReadOnlySet<string> Sources { get; init; } = new HashSet<string>(StringComparer.Ordinal);

    /// <summary><c>Roster:MaxShrinkPercent</c>: a roster that is smaller than the one before by more than this is refused. Default 10.</summary>
    public int MaxShrinkPercent { get; init; } = 10;

    /// <summary><c>Roster:MaxBytes</c>: bytes that a roster may have. Default 64 MiB.</summary>
    public int MaxRosterBytes { get; init; } = 64 * 1024 * 1024;

    /// <summary><c>Reconciliation:OpenCases</c>: the kinds of findings that become cases by themselves. Default <c>leaverAlive</c>.</summary>
    public IReadOnlySet<FindingKind> OpenCases { get; init; } = new HashSet<FindingKind> { FindingKind.LeaverAlive };

    /// <summary><c>Reconciliation:LookBack</c>: cases verified longer ago are not read again. Default 180 days.</summary>
    public TimeSpan LookBack { get; init; } = TimeSpan.FromDays(180);

    /// <summary><c>Reconciliation:Ignore</c>: accounts that HR need not know, such as service accounts: user ids, object ids, e-mail addresses.</summary>
    public IReadOnlySet<string> Ignore { get; init; } = new HashSet<string>(StringComparer.OrdinalIgnoreCase);

    /// <summary><c>Reconciliation:AccountsPerRun</c>: about how many DingTalk accounts of each sort a run asks one by one. Default 500.</summary>
    public int AccountsPerRun { get; init; } = 500;

    /// <summary>Reads the settings.</summary>
    public static ReconciliationOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Offboarding", faults);
        var defaults = new ReconciliationOptions();
        var kinds = new HashSet<FindingKind>();
        var listed = reader.List("Reconciliation:OpenCases");
        foreach (var text in listed.Where(static t => !t.Equals("none", StringComparison.OrdinalIgnoreCase)))
        {
            if (Words.TryRead<FindingKind>(text, out var kind) && Finding.MayBecomeCase(kind))
            {
                kinds.Add(kind);
            }
            else
            {
                reader.Fault("Reconciliation:OpenCases", "must be none, or some of leaverAlive, leftHr, unknownToHr");
            }
        }

        return new()
        {
            Sources = new SettingsReader(configuration, "", faults).Children("HrSources").Select(static s => s.ToLowerInvariant()).ToHashSet(StringComparer.Ordinal),
            MaxShrinkPercent = reader.Number("Roster:MaxShrinkPercent", defaults.MaxShrinkPercent, 0, 100),
            MaxRosterBytes = reader.Number("Roster:MaxBytes", defaults.MaxRosterBytes, 1024, 1024 * 1024 * 1024),
            OpenCases = listed.Count == 0 ? defaults.OpenCases : kinds,
            LookBack = reader.Duration("Reconciliation:LookBack", defaults.LookBack),
            AccountsPerRun = reader.Number("Reconciliation:AccountsPerRun", defaults.AccountsPerRun, 1, 10_000),
            Ignore = reader.List("Reconciliation:Ignore").ToHashSet(StringComparer.OrdinalIgnoreCase),
        };
    }
}
