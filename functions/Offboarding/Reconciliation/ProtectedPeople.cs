namespace DingFlow.Offboarding.Reconciliation;

/// <summary>
/// Whom no machine freezes (<c>Offboarding:Protected</c>): every account of a person of whom any account, or HR's roster, carries an identifier
/// on the list. Accounts are one person's where they share an employee number, an address or a person of the roster.
/// </summary>
internal sealed class ProtectedPeople
{
    private readonly HashSet<string> _keys = new(StringComparer.OrdinalIgnoreCase);
    private readonly RosterIndex _roster;
    private readonly OffboardingOptions _options;
    private readonly HashSet<Guid> _addresses;

    private ProtectedPeople(RosterIndex roster, OffboardingOptions options)
    {
        (_roster, _options) = (roster, options);
        _addresses = [.. options.Protected.Select(RosterStore.DigestOf)];
    }

    /// <summary>Finds everybody who is protected among the accounts of a look at the directories.</summary>
    public static ProtectedPeople Of(DirectorySnapshot snapshot, RosterIndex roster, OffboardingOptions options)
    {
        var people = new ProtectedPeople(roster, options);
        if (options.Protected.Count == 0)
        {
            return people;
        }

        // One account leads to the next, which may be known by what the first was not: until none is added.
        List<DirectoryAccount> accounts = [.. snapshot.Accounts, .. snapshot.Deleted];
        var before = -1;
        while (before != people._keys.Count)
        {
            before = people._keys.Count;
            foreach (var account in accounts.Where(people.Contains))
            {
                people._keys.UnionWith(people.KeysOf(account));
            }
        }

        return people;
    }

    /// <summary>The account is a protected person's.</summary>
    public bool Contains(DirectoryAccount account) => _options.Protected.Count > 0
        && (_options.Protected.Contains(account.AccountId)
            || account.Emails.Any(_options.Protected.Contains)
            || (account.EmployeeId is { } id && _options.Protected.Contains(id.Trim()))
            || (_roster.Find(account) is { } person && IsListed(person))
            || KeysOf(account).Any(_keys.Contains));

    private bool IsListed(RosterEntry person) => _options.Protected.Contains(person.EmployeeId)
        || (person.DingTalkUserId is { } userId && _options.Protected.Contains(userId))
        || (person.EmailHash is { } hash && _addresses.Contains(hash));

    /// <summary>By what another account of the same person may be known.</summary>
    private IEnumerable<string> KeysOf(DirectoryAccount account)
    {
        yield return $"id|{account.Target}|{account.Tenant}|{account.AccountId}";
        foreach (var address in account.Emails)
        {
            yield return "mail|" + address;
        }

        if (!string.IsNullOrWhiteSpace(account.EmployeeId))
        {
            // Where systems number people differently the same number is not the same person.
            yield return _options.MatchEmployeeId ? "number|" + account.EmployeeId.Trim() : $"number|{account.Target}|{account.Tenant}|{account.EmployeeId.Trim()}";
        }

        if (_roster.Find(account) is { } person)
        {
            yield return "person|" + person.EmployeeId;
        }
    }
}
