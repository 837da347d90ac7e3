using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Remote;

namespace DingFlow.Offboarding;

/// <summary>
/// Finds a leaver's account in each system by every identifier there is. It fails closed: who cannot be found is not "gone", and
/// identifiers that lead to different people, or contradict the account they lead to, need a person.
/// </summary>
public sealed class AccountLookup(
    DingTalkClients clients, DingTalkDirectory directory, EntraDirectory entra, OffboardingOptions options, TimeProvider time)
{
    private const string MainAdministrator =
        "The person is a main administrator of the DingTalk organisation: a person must hand that over first, then retry the case.";

    private const string OutsideDomains = "The account has no address in the mail domains that the source is confined to.";

    /// <summary>Looks the person up in every tenant of the case and in Entra.</summary>
    public async Task<IReadOnlyList<CaseAccount>> LookUpAsync(OffboardingCase @case, CancellationToken cancellationToken)
    {
        var tenants = clients.Tenants.Where(t => @case.Tenants?.Contains(t) ?? true).ToList();
        var named = Known.Of(@case.Identifiers);

        // Entra can be asked at once when HR named the person there; otherwise what DingTalk knows of the person leads to it.
        var entraEarly = entra.IsConfigured && named is not { EmployeeIds.Count: 0, Emails.Count: 0 }
            ? LookUpEntraAsync(named, @case.EmailDomains, cancellationToken)
            : null;
        var dingTalk = await Task.WhenAll(tenants.Select(t => LookUpDingTalkAsync(t, @case, cancellationToken)));

        var found = OnePerPerson(dingTalk).ToList();
        if (entra.IsConfigured)
        {
            var learned = dingTalk.Aggregate(named, (known, found) => known.With(found.JobNumber, found.Email));
            found.Add(await (entraEarly ?? LookUpEntraAsync(learned, @case.EmailDomains, cancellationToken)));
        }

        return options.Protected.Count == 0
            ? [.. found.Select(static f => f.Account)]
            : Protect(@case, [.. dingTalk, .. found, .. await ElsewhereAsync(tenants, dingTalk, found, cancellationToken)], found);
    }

    /// <summary>Whom DingTalk knows by what Entra says of the person, where HR's words led to nobody there: to compare with the list, not to freeze.</summary>
    private async Task<List<Found>> ElsewhereAsync(
        IReadOnlyList<string> tenants, IReadOnlyList<Found> dingTalk, IReadOnlyList<Found> found, CancellationToken cancellationToken)
    {
        var known = new List<Found>();
        foreach (var person in found.Where(static f => f.Account is { Target: FreezeTarget.Entra, Status: AccountStatus.Found }))
        {
            foreach (var tenant in tenants.Where((_, i) => dingTalk[i].Account.Status == AccountStatus.NotFound))
            {
                var entries = await directory.FindAsync(tenant, options.MatchEmployeeId ? person.JobNumber : null, person.Email, cancellationToken);
                known.Add(entries.IsOk
                    ? new(Account(tenant, AccountStatus.NotFound, null)) { Identifiers = [.. entries.Value!.SelectMany(static e => (string?[])[e.UserId, e.JobNumber])] }
                    : new(Refused(tenant, entries)));
            }
        }

        return known;
    }

    /// <summary>A person is usually in one of several tenants: those without the person do not count when another has the person.</summary>
    private static IEnumerable<Found> OnePerPerson(IReadOnlyList<Found> found) =>
        found.Any(f => f.Account.Status is not AccountStatus.NotFound)
            ? found.Where(f => f.Account.Status is not AccountStatus.NotFound)
            : found.Take(1);

    /// <summary>
    /// A person is on the list by whatever identifier: one that somebody named, or one that the account of any system carries. Then none of
    /// the person's accounts is frozen. Where a system could not be read, an identifier that only it knows may be on the list: the accounts in
    /// the others wait, unless the settings say otherwise.
    /// </summary>
    private List<CaseAccount> Protect(OffboardingCase @case, IReadOnlyList<Found> all, IReadOnlyList<Found> found)
    {
        var identifiers = @case.Identifiers.Concat(@case.FormerAccounts).SelectMany(static i => (string?[])[i.EmployeeId, i.Email, i.DingTalkUserId])
            .Concat(@case.Accounts.Select(static a => a.AccountId))
            .Concat(all.SelectMany(static f => f.Identifiers.Append(f.Account.AccountId)));
        if (identifiers.Any(id => id is not null && options.Protected.Contains(id.Trim())))
        {
            return Instead(AccountStatus.Protected, "The person is on the list of protected accounts.");
        }

        var unread = all.Where(static f => f.Account.Status is AccountStatus.Unknown or AccountStatus.Denied && f.Identifiers.Length == 0).ToList();
        return unread.Count == 0 || options.ProtectedUnread == ProtectedUnreadPolicy.Freeze ? [.. found.Select(static f => f.Account)] : Instead(
            unread.Exists(static f => f.Account.Status == AccountStatus.Unknown) ? AccountStatus.Unknown : AccountStatus.Denied,
            "Nothing is changed before every system can be read: one that cannot may know the person by an identifier on the list of protected accounts.");

        List<CaseAccount> Instead(AccountStatus status, string why) =>
            [.. found.Select(f => f.Account.Status == AccountStatus.Found ? f.Account with { Status = status, Detail = why } : f.Account)];
    }

    private async Task<Found> LookUpDingTalkAsync(
        string tenant, OffboardingCase @case, CancellationToken cancellationToken)
    {
        var client = clients[tenant];
        var identifiers = @case.Identifiers;
        var known = Known.Of(identifiers);
        var named = identifiers
            .Where(i => i.DingTalkUserId is not null && (i.DingTalkTenant ?? tenant) == tenant)
            .Select(i => i.DingTalkUserId!).Distinct(StringComparer.Ordinal).ToList();
        var elsewhere = identifiers.All(i => i.DingTalkTenant is not null && i.DingTalkTenant != tenant && i is { EmployeeId: null, Email: null });
        if (named.Count > 1)
        {
            return new(Account(tenant, AccountStatus.Ambiguous, "The events name different DingTalk users."));
        }

        if (elsewhere)
        {
            return new(Account(tenant, AccountStatus.NotFound, "Only another tenant was named."));
        }

        var userId = named.SingleOrDefault();
        if (userId is null)
        {
            var mapped = await FindInDirectoryAsync(tenant, known, cancellationToken);
            if (mapped.Account is { } undecided)
            {
                return undecided.Status == AccountStatus.NotFound ? await FindFormerAsync(client, undecided, @case, cancellationToken) : new(undecided);
            }

            userId = mapped.UserId!;
        }

        var user = await client.GetUserAsync(userId, cancellationToken);
        if (user.Status == RemoteStatus.NotFound && named.Count == 0)
        {
            // The map may be older than a re-hire under another user id.
            var refreshed = await directory.RefreshAsync(tenant, cancellationToken);
            if (!refreshed.IsOk)
            {
                return new(Refused(tenant, refreshed));
            }

            var again = await FindInDirectoryAsync(tenant, known, cancellationToken);
            if (again.UserId is { } other && other != userId)
            {
                userId = other;
                user = await client.GetUserAsync(userId, cancellationToken);
            }
        }

        if (user.Status == RemoteStatus.NotFound)
        {
            return await FindTraceAsync(client, userId, @case, cancellationToken);
        }

        return user.IsOk
            ? await AgreeAsync(tenant, user.Value!, known, @case.EmailDomains, cancellationToken)
            : new(Refused(tenant, user) with { AccountId = userId });
    }

    private async Task<(string? UserId, CaseAccount? Account)> FindInDirectoryAsync(
        string tenant, Known known, CancellationToken cancellationToken)
    {
        var found = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (employeeId, email) in known.Pairs())
        {
            var entries = await directory.FindAsync(tenant, employeeId, email, cancellationToken);
            if (!entries.IsOk)
            {
                return (null, Refused(tenant, entries));
            }

            found.UnionWith(entries.Value!.Select(e => e.UserId));
        }

        return found.Count switch
        {
            0 => (null, Account(tenant, AccountStatus.NotFound, "No DingTalk user has this employee number or e-mail address.")),
            1 => (found.Single(), null),
            _ => (null, Account(tenant, AccountStatus.Ambiguous, "The employee number and the e-mail address lead to different DingTalk users.")),
        };
    }

    /// <summary>
    /// Nobody has the person's number or address: an earlier case may have known the account, which is gone now or has been given to somebody
    /// else. Only proof that it is gone counts.
    /// </summary>
    private async Task<Found> FindFormerAsync(
        DingTalkClient client, CaseAccount nobody, OffboardingCase @case, CancellationToken cancellationToken)
    {
        foreach (var former in @case.FormerAccounts.Where(f => f.DingTalkTenant == client.Tenant))
        {
            var user = await client.GetUserAsync(former.DingTalkUserId!, cancellationToken);
            if (user.Status == RemoteStatus.NotFound)
            {
                return await FindTraceAsync(client, former.DingTalkUserId!, @case, cancellationToken);
            }

            if (user.IsTransient || user.Status is RemoteStatus.Unexpected or RemoteStatus.Unauthenticated)
            {
                return new(Refused(client.Tenant, user));
            }
        }

        return new(nobody);
    }

    /// <summary>The account is no longer there: is there proof that it was, or may the identifier be wrong?</summary>
    private async Task<Found> FindTraceAsync(
        DingTalkClient client, string userId, OffboardingCase @case, CancellationToken cancellationToken)
    {
        var tenant = client.Tenant;
        var entry = await directory.GetKnownAsync(tenant, userId, cancellationToken);
        if (@case.Accounts.Any(a => a.Tenant == tenant && a.AccountId == userId && a.Status is AccountStatus.Found or AccountStatus.Gone))
        {
            return new(Gone("The account was there when this case first looked, and is no longer."), entry?.JobNumber);
        }

        if (@case.Identifiers.Any(i => i.LeftDingTalk && i.DingTalkTenant == tenant && i.DingTalkUserId == userId))
        {
            return new(Gone("DingTalk reported that the person left the organisation, and no longer knows the account."), entry?.JobNumber);
        }

        var now = time.GetUtcNow();
        var record = await client.FindLeaveRecordAsync(userId, now.AddDays(-365), now, cancellationToken);
        if (record is { IsOk: true, Value: not null })
        {
            return new(Gone("DingTalk's leave records name the account."), entry?.JobNumber);
        }

        if (entry is not null)
        {
            return new(Gone("The account was in the organisation before and is no longer."), entry.JobNumber);
        }

        return record.IsOk || !record.IsTransient
            ? new(Account(tenant, AccountStatus.NotFound, "DingTalk knows no such user and has no record that there was one.") with { AccountId = userId })
            : new(Refused(tenant, record));

        CaseAccount Gone(string evidence) => Account(tenant, AccountStatus.Gone, evidence) with { AccountId = userId };
    }

    /// <summary>The account found must not contradict what else was said about the person.</summary>
    private async Task<Found> AgreeAsync(
        string tenant, DingTalkUser user, Known known, IReadOnlyList<string>? emailDomains, CancellationToken cancellationToken)
    {
        var account = Account(tenant, AccountStatus.Found, null) with
        {
            AccountId = user.UserId, IsEnterprise = user.IsEnterpriseAccount, IsAdmin = user.IsAdmin, DepartmentIds = user.DepartmentIds,
        };
        string?[] identifiers = [user.JobNumber, user.Email, user.OrgEmail];
        if (user.IsAdmin)
        {
            // Who may do everything in the organisation cannot be told from the person's record; only the list says.
            var administrators = await clients[tenant].ListAdministratorsAsync(cancellationToken);
            if (!administrators.IsOk)
            {
                return new(Refused(tenant, administrators) with { AccountId = user.UserId }) { Identifiers = identifiers };
            }

            if (administrators.Value!.Any(a => a.UserId == user.UserId && a.IsMain))
            {
                return new(account with { Status = AccountStatus.Protected, Detail = MainAdministrator }, user.JobNumber, user.OrgEmail ?? user.Email) { Identifiers = identifiers };
            }
        }

        var email = user.OrgEmail ?? user.Email;
        var differs = known.EmployeeIds.Where(id => user.JobNumber is { Length: > 0 } number && !Same(number, id)).ToList();
        var differsInMail = known.Emails.Where(m => email is { Length: > 0 } && !Same(m, user.Email) && !Same(m, user.OrgEmail)).ToList();
        if (differs.Count > 0 && options.MatchEmployeeId)
        {
            return new(account with { Status = AccountStatus.Ambiguous, Detail = "The DingTalk user has another employee number." });
        }

        var agrees = known.EmployeeIds.Any(id => Same(id, user.JobNumber)) || known.Emails.Any(m => Same(m, user.Email) || Same(m, user.OrgEmail));
        if (differsInMail.Count > 0 && !agrees)
        {
            return new(account with { Status = AccountStatus.Ambiguous, Detail = "The DingTalk user has another e-mail address." });
        }

        if (!IsWithin(emailDomains, user.OrgEmail, user.Email))
        {
            return new(account with { Status = AccountStatus.Ambiguous, Detail = OutsideDomains });
        }

        foreach (var (employeeId, mail) in differs.Select(d => (Id: (string?)d, Mail: (string?)null)).Concat(differsInMail.Select(m => ((string?)null, (string?)m))))
        {
            var others = await directory.FindAsync(tenant, employeeId, mail, cancellationToken);
            if (!others.IsOk)
            {
                return new(Refused(tenant, others));
            }

            if (others.Value!.Any(o => o.UserId != user.UserId))
            {
                return new(account with { Status = AccountStatus.Ambiguous, Detail = "The identifiers lead to different DingTalk users." });
            }
        }

        return new(account, user.JobNumber, email) { Identifiers = identifiers };
    }

    private async Task<Found> LookUpEntraAsync(Known known, IReadOnlyList<string>? emailDomains, CancellationToken cancellationToken)
    {
        var users = new Dictionary<string, EntraUser>(StringComparer.Ordinal);
        foreach (var (employeeId, email) in known.Pairs())
        {
            var found = await entra.FindAsync(employeeId, email, cancellationToken);
            if (!found.IsOk)
            {
                return new(Refused(null, found));
            }

            foreach (var user in found.Value!)
            {
                users[user.Id] = user;
            }
        }

        if (users.Count > 1)
        {
            return new(Account(null, AccountStatus.Ambiguous, "The identifiers lead to different Entra users."))
            {
                Identifiers = [.. users.Values.SelectMany(static u => (string?[])[u.Id, u.EmployeeId, u.UserPrincipalName, u.Mail, .. u.Aliases])],
            };
        }

        if (users.Count == 0)
        {
            return new(await FindDeletedAsync(known, cancellationToken));
        }

        var one = users.Values.Single();
        var account = Account(null, AccountStatus.Found, null) with
        {
            AccountId = one.Id, IsSynced = one.OnPremisesSyncEnabled, WasEnabled = one.AccountEnabled,
        };
        if (!IsWithin(emailDomains, one.Mail, one.UserPrincipalName))
        {
            return new(account with { Status = AccountStatus.Ambiguous, Detail = OutsideDomains }) { Identifiers = [one.EmployeeId, one.UserPrincipalName, one.Mail, .. one.Aliases] };
        }

        return options.MatchEmployeeId && one.EmployeeId is { Length: > 0 } number && known.EmployeeIds.Any(id => !Same(id, number))
            ? new(account with { Status = AccountStatus.Ambiguous, Detail = "The Entra user has another employee id." })
            : new(account, one.EmployeeId, one.Mail ?? one.UserPrincipalName) { Identifiers = [one.EmployeeId, one.UserPrincipalName, one.Mail, .. one.Aliases] };
    }

    private async Task<CaseAccount> FindDeletedAsync(Known known, CancellationToken cancellationToken)
    {
        foreach (var (employeeId, email) in known.Pairs())
        {
            var deleted = await entra.FindDeletedAsync(employeeId, email, cancellationToken);
            if (!deleted.IsOk)
            {
                return Refused(null, deleted);
            }

            if (deleted.Value!.Count == 1)
            {
                return Account(null, AccountStatus.Gone, "The Entra user is among the deleted items.") with { AccountId = deleted.Value[0].Id };
            }

            if (deleted.Value.Count > 1)
            {
                return Account(null, AccountStatus.Ambiguous, "The identifiers lead to several deleted Entra users.");
            }
        }

        return Account(null, AccountStatus.NotFound, "No Entra user has this employee id or e-mail address, among the deleted ones neither.");
    }

    private CaseAccount Refused(string? tenant, RemoteResult result) => result.IsTransient || result.Status is RemoteStatus.Unexpected or RemoteStatus.Unauthenticated
        ? Account(tenant, AccountStatus.Unknown, $"Could not be asked ({RemoteText.Of(result)}).")
        : Account(tenant, AccountStatus.Denied, $"The look-up was refused: {RemoteText.Of(result)}.");

    private CaseAccount Account(string? tenant, AccountStatus status, string? detail) => new()
    {
        Target = tenant is null ? FreezeTarget.Entra : FreezeTarget.DingTalk,
        Tenant = tenant,
        Status = status,
        Detail = detail,
        LookedUpAt = time.GetUtcNow(),
    };

    /// <summary>A confined source must not reach an account whose address lies elsewhere or is not known, whatever else it names.</summary>
    private static bool IsWithin(IReadOnlyList<string>? domains, params ReadOnlySpan<string?> addresses)
    {
        if (domains is null)
        {
            return true;
        }

        foreach (var address in addresses)
        {
            if (address is not null && domains.Contains(address[(address.LastIndexOf('@') + 1)..], StringComparer.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }

    private static bool Same(string? a, string? b) => string.Equals(a?.Trim(), b?.Trim(), StringComparison.OrdinalIgnoreCase);

    /// <summary>What a look-up found, and what it learned of the person for other systems.</summary>
    private sealed record Found(CaseAccount Account, string? JobNumber = null, string? Email = null)
    {
        /// <summary>Everything by which the account names its person.</summary>
        public string?[] Identifiers { get; init; } = [];
    }

    /// <summary>Everything said of a person that any system can look for.</summary>
    private sealed record Known(IReadOnlyList<string> EmployeeIds, IReadOnlyList<string> Emails)
    {
        public static Known Of(IReadOnlyList<PersonIdentifiers> identifiers) => new(
            Distinct(identifiers.Select(i => i.EmployeeId)), Distinct(identifiers.Select(i => i.Email)));

        public Known With(string? employeeId, string? email) => new(
            EmployeeIds.Count > 0 ? EmployeeIds : Distinct([employeeId]), Emails.Count > 0 ? Emails : Distinct([email]));

        public IEnumerable<(string? EmployeeId, string? Email)> Pairs() =>
            Enumerable.Range(0, Math.Max(EmployeeIds.Count, Emails.Count)).Select(i => (EmployeeIds.ElementAtOrDefault(i), Emails.ElementAtOrDefault(i)));

        private static List<string> Distinct(IEnumerable<string?> values) =>
            [.. values.Where(v => !string.IsNullOrWhiteSpace(v)).Select(v => v!.Trim()).Distinct(StringComparer.OrdinalIgnoreCase)];
    }
}

/// <summary>A remote's refusal in plain words, without personal data.</summary>
internal static class RemoteText
{
    /// <summary>In plain words.</summary>
    public static string Of(RemoteResult result)
    {
        var code = result.Code is { Length: > 0 } c ? $" ({c})" : "";
        return result.Status switch
        {
            RemoteStatus.Denied when result.MissingScopes.Count > 0 => $"our app lacks the permission {string.Join(", ", result.MissingScopes)}{code}",
            RemoteStatus.Denied => $"our app lacks a permission, or the account is outside its scope{code}",
            RemoteStatus.Unauthenticated => $"our credentials were refused{code}",
            RemoteStatus.Throttled => $"too many calls{code}",
            RemoteStatus.QuotaExhausted => $"the monthly quota of calls is used up{code}",
            RemoteStatus.Unavailable => $"no usable answer{code}",
            RemoteStatus.NotFound => $"no such account{code}",
            RemoteStatus.NotApplicable => $"not possible for this kind of account{code}",
            RemoteStatus.Rejected => $"the request was rejected{code}",
            RemoteStatus.Ok => "done",
            _ => $"an answer that is not documented{code}",
        };
    }
}
