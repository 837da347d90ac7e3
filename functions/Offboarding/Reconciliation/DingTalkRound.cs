using DingFlow.DingTalk;
using DingFlow.Remote;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>
/// What DingTalk's lists do not say. They do not show whether an account is disabled, nor anybody outside our app's contact scope, nor
/// anybody who is gone; so people of HR's rosters are asked about one by one: those whom the lists show whether their account is disabled
/// (<c>orgAccounts/status</c>), those whom they do not show whether DingTalk knows them at all (<c>user/get</c>). Each run asks about so
/// many of each sort and goes on where the last one stopped; accounts with a finding are asked about every time.
/// </summary>
public sealed class DingTalkRound(DingTalkClients clients, DingTalkDirectory directory, FindingStore store, ReconciliationOptions options)
{
    /// <summary>Refusals of one person, not of the app: the person, or the department, is outside the app's contact scope.</summary>
    private static readonly string[] OutOfScope = ["50002", "50004"];

    /// <summary>After so many failures in a row the rest waits for the next run.</summary>
    private const int Patience = 3;

    /// <summary>Goes one part of the way round.</summary>
    /// <param name="snapshot">What the lists show.</param>
    /// <param name="roster">HR's people.</param>
    /// <param name="isExplained">A case says why the account is as it is, or nobody needs to know.</param>
    /// <param name="known">The findings that there are.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    internal async Task<RoundResult> GoAsync(
        DirectorySnapshot snapshot, RosterIndex roster, Func<DirectoryAccount, bool> isExplained, IReadOnlyCollection<Finding> known, CancellationToken cancellationToken)
    {
        var result = new RoundResult();
        if (!roster.HasPeople)
        {
            return result;
        }

        var noted = known.Where(static f => f.Status != FindingStatus.Resolved && f.Target == FreezeTarget.DingTalk)
            .Select(static f => (f.Tenant!, f.AccountId)).ToHashSet();
        foreach (var tenant in clients.Tenants.Where(t => snapshot.WasRead(FreezeTarget.DingTalk, t)))
        {
            var listed = snapshot.Accounts
                .Where(a => a is { Target: FreezeTarget.DingTalk, IsEnterprise: true } && a.Tenant == tenant && !isExplained(a))
                .Select(a => (Account: a, Person: roster.Find(a))).Where(static p => p.Person is { HasLeft: false })
                .Select(static p => new Look(p.Account.AccountId, p.Person!, [p.Account])).ToList();
            await AskAsync($"dingtalk/{tenant}", $"listed|{tenant}", listed, noted, ListedAsync, result, cancellationToken);
        }

        // Somebody whom no list shows may be in one that could not be read.
        if (clients.Tenants.All(t => snapshot.WasRead(FreezeTarget.DingTalk, t)))
        {
            var missing = await MissingAsync(snapshot, roster, isExplained, result, cancellationToken);
            await AskAsync("dingtalk, not listed", "missing", missing, noted, NotListedAsync, result, cancellationToken);
        }
        else
        {
            result.Undecided.UnionWith(known.Where(static f => f.Target == FreezeTarget.DingTalk).Select(static f => f.FindingId));
        }

        return result;
    }

    /// <summary>The people whom no list shows, and under which ids DingTalk may know them: as HR names them, or as they were seen before.</summary>
    private async Task<List<Look>> MissingAsync(
        DirectorySnapshot snapshot, RosterIndex roster, Func<DirectoryAccount, bool> isExplained, RoundResult result, CancellationToken cancellationToken)
    {
        var shown = snapshot.Accounts.Where(static a => a.Target == FreezeTarget.DingTalk).Select(roster.Find).OfType<RosterEntry>()
            .Select(static p => p.EmployeeId).ToHashSet(StringComparer.OrdinalIgnoreCase);
        var missing = roster.People.Where(p => !shown.Contains(p.EmployeeId)).DistinctBy(static p => p.EmployeeId, StringComparer.OrdinalIgnoreCase)
            .ToDictionary(static p => p.EmployeeId, static p => new Look(p.EmployeeId, p, []), StringComparer.OrdinalIgnoreCase);
        foreach (var tenant in clients.Tenants)
        {
            await foreach (var entry in directory.KnownAsync(tenant, cancellationToken))
            {
                Add(new(FreezeTarget.DingTalk, tenant, entry.UserId, entry.JobNumber, [], null, false) { WasSeen = true });
            }
        }

        foreach (var look in missing.Values.ToList())
        {
            foreach (var tenant in clients.Tenants.Where(_ => look.Person.DingTalkUserId is not null))
            {
                Add(new(FreezeTarget.DingTalk, tenant, look.Person.DingTalkUserId!, look.Person.EmployeeId, [], null, false));
            }
        }

        result.WithoutTrace = missing.Values.Count(static look => look is { Person.HasLeft: false, Accounts.Count: 0 });
        return [.. missing.Values.Where(static look => look.Accounts.Count > 0)];

        void Add(DirectoryAccount account)
        {
            if (snapshot.Find(FreezeTarget.DingTalk, account.Tenant, account.AccountId) is null && roster.Find(account) is { } person
                && missing.TryGetValue(person.EmployeeId, out var look) && !isExplained(account)
                && !look.Accounts.Exists(a => a.Tenant == account.Tenant && a.AccountId == account.AccountId))
            {
                look.Accounts.Add(account);
            }
        }
    }

    /// <summary>Asks about the next so many, and about all of whom there is a finding.</summary>
    private async Task AskAsync(
        string sort, string cursorName, List<Look> looks, HashSet<(string, string)> noted, Func<Look, CancellationToken, Task<Verdict>> ask, RoundResult result,
        CancellationToken cancellationToken)
    {
        looks.Sort(static (a, b) => string.CompareOrdinal(a.Key, b.Key));
        var after = await store.CursorAsync(cursorName, cancellationToken);
        var start = Math.Max(looks.FindIndex(look => string.CompareOrdinal(look.Key, after) > 0), 0);
        var page = Enumerable.Range(start, Math.Min(looks.Count, options.AccountsPerRun)).Select(i => looks[i % looks.Count]).ToList();
        var inPage = page.Select(static look => look.Key).ToHashSet(StringComparer.Ordinal);
        var (asked, failures, last, stopped) = (0, 0, (string?)null, (string?)null);
        foreach (var look in looks.Where(look => !inPage.Contains(look.Key) && look.Accounts.Exists(a => noted.Contains((a.Tenant!, a.AccountId)))).Concat(page))
        {
            if (stopped is not null)
            {
                result.Undecided.UnionWith(FindingsOf(look));
                continue;
            }

            var verdict = await ask(look, cancellationToken);
            if (verdict.Refusal is { } refusal)
            {
                failures++;
                stopped = failures >= Patience || !refusal.IsTransient ? RemoteText.Of(refusal) : null;
                result.Undecided.UnionWith(FindingsOf(look));
                continue;
            }

            (asked, failures) = (asked + 1, 0);
            last = inPage.Contains(look.Key) ? look.Key : last;
            if (verdict.Kind is { } kind)
            {
                result.Findings.Add(Finding.Of(kind, verdict.Account, look.Person, null));
            }
        }

        if (last is not null)
        {
            await store.SaveCursorAsync(cursorName, last, cancellationToken);
        }

        result.Looks[sort] = new(looks.Count, asked, stopped);
    }

    /// <summary>Every finding that asking could confirm or end.</summary>
    private static IEnumerable<string> FindingsOf(Look look) => look.Accounts.SelectMany(static account =>
        Enum.GetValues<FindingKind>().Select(kind => Finding.IdOf(kind, account.Target, account.Tenant, account.AccountId)));

    /// <summary>An account that the lists show, of somebody who works here.</summary>
    private async Task<Verdict> ListedAsync(Look look, CancellationToken cancellationToken)
    {
        var account = look.Accounts[0];
        var disabled = await clients[account.Tenant!].IsAccountDisabledAsync(account.AccountId, cancellationToken);
        return disabled.Status switch
        {
            RemoteStatus.Ok => new(disabled.Value ? FindingKind.DisabledButInHr : null, account),
            RemoteStatus.NotFound or RemoteStatus.NotApplicable => new(null, account), // Gone since the list was read: the next run sees it.
            RemoteStatus.Denied when OutOfScope.Contains(disabled.Code) => new(null, account),
            _ => new(null, account, disabled),
        };
    }

    /// <summary>Somebody whom no list shows: gone, disabled, or only not shown to our app. Of somebody who has left by HR's word only an account that can sign in is told of.</summary>
    private async Task<Verdict> NotListedAsync(Look look, CancellationToken cancellationToken)
    {
        foreach (var account in look.Accounts)
        {
            var client = clients[account.Tenant!];
            var user = await client.GetUserAsync(account.AccountId, cancellationToken);
            if (user.Status == RemoteStatus.NotFound)
            {
                continue;
            }

            if (!user.IsOk)
            {
                return user.Status == RemoteStatus.Denied && OutOfScope.Contains(user.Code)
                    ? new(look.Person.HasLeft ? null : FindingKind.NotListed, account)
                    : new(null, account, user);
            }

            if (!user.Value!.IsEnterpriseAccount)
            {
                return new(look.Person.HasLeft ? FindingKind.LeftHr : FindingKind.NotListed, account);
            }

            var disabled = await client.IsAccountDisabledAsync(account.AccountId, cancellationToken);
            return !disabled.IsOk ? new(null, account, disabled)
                : look.Person.HasLeft ? new(disabled.Value ? null : FindingKind.LeftHr, account)
                : new(disabled.Value ? FindingKind.DisabledButInHr : FindingKind.NotListed, account);
        }

        return new(look.Person.HasLeft ? null : FindingKind.GoneButInHr, look.Accounts.Find(static a => a.WasSeen) ?? look.Accounts[0]);
    }

    /// <summary>A person of a roster and the accounts to ask about.</summary>
    /// <param name="Key">Its place on the way round.</param>
    /// <param name="Person">The person.</param>
    /// <param name="Accounts">Under which ids to ask.</param>
    private sealed record Look(string Key, RosterEntry Person, List<DirectoryAccount> Accounts);

    /// <summary>What asking showed.</summary>
    /// <param name="Kind">What is wrong; <see langword="null"/>: nothing.</param>
    /// <param name="Account">With which account.</param>
    /// <param name="Refusal">DingTalk did not say.</param>
    private readonly record struct Verdict(FindingKind? Kind, DirectoryAccount Account, RemoteResult? Refusal = null);
}

/// <summary>What a part of the way round showed.</summary>
internal sealed class RoundResult
{
    /// <summary>What is wrong.</summary>
    public List<Finding> Findings { get; } = [];

    /// <summary>Ids of findings of which nothing new is known: they stay as they are.</summary>
    public HashSet<string> Undecided { get; } = new(StringComparer.Ordinal);

    /// <summary>How far it came, by sort.</summary>
    public Dictionary<string, AccountLooks> Looks { get; } = new(StringComparer.Ordinal);

    /// <summary>People who work here by HR's roster, whom no list of DingTalk shows and of whom no account was ever known.</summary>
    public int WithoutTrace { get; set; }
}
