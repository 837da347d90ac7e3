using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Serialization;
using DingFlow.Settings;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>What is wrong between HR and a directory.</summary>
public enum FindingKind
{
    /// <summary>A case froze the account and proved it, and it can sign in again: somebody, or a synchronisation, enabled it.</summary>
    LeaverAlive,

    /// <summary>By HR's roster the person has left, and the account can sign in.</summary>
    LeftHr,

    /// <summary>No roster knows the person of an account that can sign in (an orphan).</summary>
    UnknownToHr,

    /// <summary>By HR's roster the person works here, and the account is no longer there, and no case says why.</summary>
    GoneButInHr,

    /// <summary>By HR's roster the person works here, and the account is disabled, and no case says why.</summary>
    DisabledButInHr,

    /// <summary>By HR's roster the person works here, and DingTalk knows the account, but does not list it: what becomes of it is not seen.</summary>
    NotListed,
}

/// <summary>Where a finding stands.</summary>
public enum FindingStatus
{
    /// <summary>It was there when last looked at.</summary>
    Open,

    /// <summary>It was no longer there.</summary>
    Resolved,

    /// <summary>An operator accepted it.</summary>
    Dismissed,
}

/// <summary>A difference between HR and one account. The same difference is one finding however often it is seen.</summary>
public sealed record Finding
{
    /// <summary>Its id: what is wrong with which account.</summary>
    public required string FindingId { get; init; }

    /// <summary>What is wrong.</summary>
    public required FindingKind Kind { get; init; }

    /// <summary>In which system.</summary>
    public required FreezeTarget Target { get; init; }

    /// <summary>The DingTalk tenant; <see langword="null"/> for Entra.</summary>
    public string? Tenant { get; init; }

    /// <summary>User id in DingTalk, object id in Entra.</summary>
    public required string AccountId { get; init; }

    /// <summary>The employee id, where one is known.</summary>
    public string? EmployeeId { get; init; }

    /// <summary>Why it is one and what to do, in plain words.</summary>
    public required string Explanation { get; init; }

    /// <summary>The case that froze the account, or that the finding became.</summary>
    public string? CaseId { get; init; }

    /// <summary>Where it stands.</summary>
    public FindingStatus Status { get; init; }

    /// <summary>When it was first seen, since it was last resolved.</summary>
    public DateTimeOffset FirstSeenAt { get; init; }

    /// <summary>When it was last seen.</summary>
    public DateTimeOffset LastSeenAt { get; init; }

    /// <summary>It was handed over to a case, by policy or by an operator.</summary>
    public bool BecameCase { get; init; }

    /// <summary>Who dismissed it, when and why.</summary>
    public CaseAction? Action { get; init; }

    /// <summary>The account can sign in and should not, so that a case may be made of the finding.</summary>
    public static bool MayBecomeCase(FindingKind kind) => kind is FindingKind.LeaverAlive or FindingKind.LeftHr or FindingKind.UnknownToHr;

    /// <summary>A finding as a look shows it.</summary>
    internal static Finding Of(FindingKind kind, DirectoryAccount account, RosterEntry? person, OffboardingCase? c) => new()
    {
        FindingId = IdOf(kind, account.Target, account.Tenant, account.AccountId),
        Kind = kind,
        Target = account.Target,
        Tenant = account.Tenant,
        AccountId = account.AccountId,
        EmployeeId = person?.EmployeeId ?? account.EmployeeId ?? c?.EmployeeId,
        CaseId = c?.CaseId,
        Explanation = kind switch
        {
            FindingKind.LeaverAlive =>
                "A case froze this account and proved it; it can sign in again. Somebody enabled it, or a synchronisation from an on-premises directory did.",
            FindingKind.LeftHr => person!.IsDropped
                ? "The person is no longer on HR's roster, and the account can sign in. HR's notice may have been lost: open a case, or ask HR."
                : "By HR's roster the person has left, and the account can sign in. HR's notice may have been lost: open a case, or ask HR.",
            FindingKind.UnknownToHr =>
                "No roster of HR knows the person of this account. It may be a service account (Offboarding:Reconciliation:Ignore), somebody external, or a leaver.",
            FindingKind.DisabledButInHr =>
                "By HR's roster the person works here, but the account is disabled, and no case says why. Somebody disabled it by hand: ask why, or whether HR forgot a leaver.",
            FindingKind.NotListed =>
                "By HR's roster the person works here, and DingTalk knows the account but does not list it to our app: its contact scope leaves the person out, "
                + "so that a leave, or an account that lives again, would not be seen. Widen the scope.",
            _ => "By HR's roster the person works here, but the account is no longer there, and no case says why. Ask why, or whether HR forgot a leaver.",
        },
    };

    /// <summary>The id of a finding.</summary>
    public static string IdOf(FindingKind kind, FreezeTarget target, string? tenant, string accountId) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{kind}\n{target}\n{tenant}\n{accountId}")), 0, 16);
}

/// <summary>What a reconciliation looked at and found.</summary>
public sealed record ReconciliationReport
{
    /// <summary>When it began.</summary>
    public required DateTimeOffset StartedAt { get; init; }

    /// <summary>When it ended.</summary>
    public required DateTimeOffset EndedAt { get; init; }

    /// <summary>Rosters that were in force: source and people.</summary>
    public IReadOnlyDictionary<string, int> Rosters { get; init; } = new Dictionary<string, int>();

    /// <summary>Directories that were read to their end: name and accounts.</summary>
    public IReadOnlyDictionary<string, int> Directories { get; init; } = new Dictionary<string, int>();

    /// <summary>Directories that could not be read, and why: nothing is said of them, and their findings stay as they were.</summary>
    public IReadOnlyDictionary<string, string> NotRead { get; init; } = new Dictionary<string, string>();

    /// <summary>About how many accounts DingTalk was asked one by one, by sort: what its lists do not say.</summary>
    public IReadOnlyDictionary<string, AccountLooks> Asked { get; init; } = new Dictionary<string, AccountLooks>();

    /// <summary>People who work here by HR's roster, whom no list of DingTalk shows and of whom no account was ever known. No finding: nobody can be asked about.</summary>
    public int WithoutTrace { get; init; }

    /// <summary>Open findings by kind.</summary>
    public IReadOnlyDictionary<string, int> Open { get; init; } = new Dictionary<string, int>();

    /// <summary>Findings that were not there before.</summary>
    public int New { get; init; }

    /// <summary>Findings that are no longer there.</summary>
    public int Resolved { get; init; }

    /// <summary>Findings that became cases.</summary>
    public int Cases { get; init; }
}

/// <summary>How far the asking one by one came in one run.</summary>
/// <param name="Due">How many there are to be asked about; over as many runs as it takes.</param>
/// <param name="Asked">How many of them DingTalk answered about in this run.</param>
/// <param name="Stopped">Why it ended early; <see langword="null"/>: it did not.</param>
public sealed record AccountLooks(int Due, int Asked, string? Stopped);

/// <summary>A page of findings.</summary>
/// <param name="Items">The findings.</param>
/// <param name="Count">How many there are of those asked for.</param>
/// <param name="LastReport">The last reconciliation; <see langword="null"/> when there was none.</param>
/// <param name="Next">Where the next page starts; <see langword="null"/> when there is none.</param>
public sealed record FindingListView(IReadOnlyList<Finding> Items, int Count, ReconciliationReport? LastReport, string? Next);

/// <summary>A reconciliation was asked for.</summary>
/// <param name="RequestedAt">When.</param>
/// <param name="LastReport">The last one that ended; <see langword="null"/> when there was none.</param>
public sealed record ReconciliationRequestedView(DateTimeOffset RequestedAt, ReconciliationReport? LastReport);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DictionaryKeyPolicy = JsonKnownNamingPolicy.Unspecified,
    Converters = [typeof(WordConverter<FindingKind>), typeof(WordConverter<FindingStatus>), typeof(WordConverter<FreezeTarget>)])]
[JsonSerializable(typeof(Finding))]
[JsonSerializable(typeof(FindingListView))]
[JsonSerializable(typeof(ReconciliationReport))]
[JsonSerializable(typeof(ReconciliationRequestedView))]
[JsonSerializable(typeof(RosterView))]
internal sealed partial class ReconciliationJson : JsonSerializerContext;
