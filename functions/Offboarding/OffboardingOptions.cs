using DingFlow.Settings;

namespace DingFlow.Offboarding;

/// <summary>What to do with a DingTalk account that belongs to the person and not to the organisation; DingTalk cannot disable those.</summary>
public enum OrdinaryAccountPolicy
{
    /// <summary>Ask a person.</summary>
    NeedsHuman,

    /// <summary>Remove the person from the organisation. Destructive: group memberships and attendance are lost.</summary>
    Remove,
}

/// <summary>What to do when a person has no account in a system that is configured.</summary>
public enum MissingAccountPolicy
{
    /// <summary>Ask a person: an unknown person may be a mistyped one.</summary>
    NeedsHuman,

    /// <summary>Accept it when an account was found in another system.</summary>
    Accept,
}

/// <summary>What to do with a leaver's accounts while a system cannot be read, which may know the person by an identifier on the list of protected accounts.</summary>
public enum ProtectedUnreadPolicy
{
    /// <summary>Freeze where the person was found: protection rests on what the systems that can be read know.</summary>
    Freeze,

    /// <summary>Change nothing in the other systems either, until it can be read or people decide.</summary>
    Wait,
}

/// <summary>Settings below <c>Offboarding</c>.</summary>
public sealed record OffboardingOptions
{
    /// <summary><c>Target</c>: from receipt (or the effective date) to verified. Default 15 minutes.</summary>
    public TimeSpan Target { get; init; } = TimeSpan.FromMinutes(15);

    /// <summary><c>OrdinaryAccounts</c>: <c>needsHuman</c> (default) or <c>remove</c>.</summary>
    public OrdinaryAccountPolicy OrdinaryAccounts { get; init; }

    /// <summary><c>MissingAccounts</c>: <c>needsHuman</c> (default) or <c>accept</c>.</summary>
    public MissingAccountPolicy MissingAccounts { get; init; }

    /// <summary>
    /// <c>MatchEmployeeId</c>: an account found by e-mail that carries another employee number than the event is another person
    /// (default <see langword="true"/>). Switch off where HR, DingTalk and Entra number people differently.
    /// </summary>
    public bool MatchEmployeeId { get; init; } = true;

    /// <summary><c>Protected</c>: employee ids, e-mail addresses, DingTalk user ids or Entra object ids that no machine freezes.</summary>
    public IReadOnlySet<string> Protected { get; init; } = new HashSet<string>(StringComparer.OrdinalIgnoreCase);

    /// <summary><c>ProtectedUnread</c>: <c>freeze</c> (default) or <c>wait</c>, where the list of protected accounts is not empty and a system cannot be read.</summary>
    public ProtectedUnreadPolicy ProtectedUnread { get; init; }

    /// <summary><c>RetryDelay</c>: the wait before the first repetition, doubled each time. Default 5 s.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary><c>RetryMaxDelay</c>: the longest wait between two attempts. Default 5 minutes.</summary>
    public TimeSpan RetryMaxDelay { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary><c>GiveUpAfter</c>: how long a case is retried without any progress before it fails. Default one day.</summary>
    public TimeSpan GiveUpAfter { get; init; } = TimeSpan.FromDays(1);

    /// <summary><c>RecheckAfter</c>: a verified case is read back once more after this. Default 45 minutes.</summary>
    public TimeSpan RecheckAfter { get; init; } = TimeSpan.FromMinutes(45);

    /// <summary><c>JoinWindow</c>: an event about a person whose case was verified not longer ago joins that case. Default one day.</summary>
    public TimeSpan JoinWindow { get; init; } = TimeSpan.FromDays(1);

    /// <summary>Reads the settings.</summary>
    public static OffboardingOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Offboarding", faults);
        var defaults = new OffboardingOptions();
        return new()
        {
            Target = reader.Duration("Target", defaults.Target),
            OrdinaryAccounts = reader.Choice("OrdinaryAccounts", defaults.OrdinaryAccounts),
            MissingAccounts = reader.Choice("MissingAccounts", defaults.MissingAccounts),
            MatchEmployeeId = reader.Boolean("MatchEmployeeId", defaults.MatchEmployeeId),
            Protected = reader.List("Protected").Select(static entry => entry.Trim()).ToHashSet(StringComparer.OrdinalIgnoreCase),
            ProtectedUnread = reader.Choice("ProtectedUnread", defaults.ProtectedUnread),
            RetryDelay = reader.Duration("RetryDelay", defaults.RetryDelay),
            RetryMaxDelay = reader.Duration("RetryMaxDelay", defaults.RetryMaxDelay),
            GiveUpAfter = reader.Duration("GiveUpAfter", defaults.GiveUpAfter),
            RecheckAfter = reader.Duration("RecheckAfter", defaults.RecheckAfter),
            JoinWindow = reader.Duration("JoinWindow", defaults.JoinWindow),
        };
    }
}
