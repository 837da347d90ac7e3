using DingFlow.DingTalk;
using DingFlow.Entra;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>An account of a directory as a reconciliation read it.</summary>
/// <param name="Target">The system.</param>
/// <param name="Tenant">The DingTalk tenant; <see langword="null"/> for Entra.</param>
/// <param name="AccountId">User id in DingTalk, object id in Entra.</param>
/// <param name="EmployeeId">The employee number that the directory has.</param>
/// <param name="Emails">Its addresses.</param>
/// <param name="Enabled">It can sign in; <see langword="null"/>: DingTalk must be asked about this account.</param>
/// <param name="IsEnterprise">A DingTalk enterprise account.</param>
internal sealed record DirectoryAccount(
    FreezeTarget Target, string? Tenant, string AccountId, string? EmployeeId, IReadOnlyList<string> Emails, bool? Enabled, bool IsEnterprise)
{
    /// <summary>It was in the directory's lists before.</summary>
    public bool WasSeen { get; init; }

    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(DirectoryAccount);
}

/// <summary>Every account of every directory that could be read, in one look.</summary>
internal sealed class DirectorySnapshot
{
    private const string DeletedItems = "entra/deletedItems";
    private const int ObjectIdDigits = 32;

    private readonly Dictionary<(FreezeTarget, string?, string), DirectoryAccount> _accounts = [];
    private readonly Dictionary<(FreezeTarget, string?), int> _read = [];

    /// <summary>The directories that were read to their end: name and accounts.</summary>
    public IReadOnlyDictionary<string, int> Read => _read.ToDictionary(r => NameOf(r.Key.Item1, r.Key.Item2), r => r.Value);

    /// <summary>Those that could not be read, and why.</summary>
    public Dictionary<string, string> NotRead { get; } = [];

    public IEnumerable<DirectoryAccount> Accounts => _accounts.Values;

    /// <summary>Entra's deleted users; they are kept 30 days.</summary>
    public List<DirectoryAccount> Deleted { get; } = [];

    public bool WasRead(FreezeTarget target, string? tenant) => _read.ContainsKey((target, tenant));

    /// <summary>What the finding says was looked at.</summary>
    public bool WasRead(Finding finding) => WasRead(finding.Target, finding.Tenant)
        && (finding is not { Target: FreezeTarget.Entra, Kind: FindingKind.GoneButInHr } || !NotRead.ContainsKey(DeletedItems));

    public DirectoryAccount? Find(FreezeTarget target, string? tenant, string accountId) => _accounts.GetValueOrDefault((target, tenant, accountId));

    /// <summary>Reads the contact list of every tenant and all of Entra.</summary>
    public static async Task<DirectorySnapshot> TakeAsync(
        DingTalkClients clients, DingTalkDirectory directory, EntraDirectory entra, CancellationToken cancellationToken)
    {
        var snapshot = new DirectorySnapshot();
        foreach (var tenant in clients.Tenants)
        {
            var users = await directory.ListAsync(tenant, cancellationToken);
            if (!users.IsOk)
            {
                snapshot.NotRead[NameOf(FreezeTarget.DingTalk, tenant)] = RemoteText.Of(users);
                continue;
            }

            snapshot.Add(FreezeTarget.DingTalk, tenant, users.Value!.Select(user => new DirectoryAccount(
                FreezeTarget.DingTalk, tenant, user.UserId, user.JobNumber, Addresses(user.Email, user.OrgEmail),
                user.IsEnterpriseAccount ? null : true, user.IsEnterpriseAccount)));
        }

        if (entra.IsConfigured)
        {
            var users = await entra.ListUsersAsync(cancellationToken);
            if (users.IsOk)
            {
                snapshot.Add(FreezeTarget.Entra, null, users.Value!.Where(static u => !u.IsGuest).Select(static user => new DirectoryAccount(
                    FreezeTarget.Entra, null, user.Id, user.EmployeeId, Addresses([user.Mail, user.UserPrincipalName, .. user.Aliases]), user.AccountEnabled, false)));
            }
            else
            {
                snapshot.NotRead[NameOf(FreezeTarget.Entra, null)] = RemoteText.Of(users);
            }
        }

        if (entra.IsConfigured && snapshot.WasRead(FreezeTarget.Entra, null))
        {
            var deleted = await entra.ListDeletedUsersAsync(cancellationToken);
            if (deleted.IsOk)
            {
                snapshot.Deleted.AddRange(deleted.Value!.Where(static u => !u.IsGuest).Select(static user => new DirectoryAccount(
                    FreezeTarget.Entra, null, user.Id, user.EmployeeId, Addresses(user.Mail, SignInNameOf(user)), false, false)));
            }
            else
            {
                snapshot.NotRead[DeletedItems] = RemoteText.Of(deleted);
            }
        }

        return snapshot;
    }

    /// <summary>Deletion puts the object id, without its hyphens, before the sign-in name.</summary>
    private static string? SignInNameOf(EntraUser deleted) =>
        deleted.UserPrincipalName is { Length: > ObjectIdDigits } name && name[..ObjectIdDigits].All(char.IsAsciiHexDigit) ? name[ObjectIdDigits..] : deleted.UserPrincipalName;

    private static string NameOf(FreezeTarget target, string? tenant) => target == FreezeTarget.Entra ? "entra" : $"dingtalk/{tenant}";

    private static List<string> Addresses(params ReadOnlySpan<string?> addresses)
    {
        var found = new List<string>();
        foreach (var address in addresses)
        {
            if (!string.IsNullOrWhiteSpace(address))
            {
                found.Add(address.Trim());
            }
        }

        return found;
    }

    private void Add(FreezeTarget target, string? tenant, IEnumerable<DirectoryAccount> accounts)
    {
        var count = 0;
        foreach (var account in accounts)
        {
            _accounts[(target, tenant, account.AccountId)] = account;
            count++;
        }

        _read[(target, tenant)] = count;
    }
}
