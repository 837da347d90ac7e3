namespace DingFlow.Offboarding.Reconciliation;

/// <summary>A person of a roster as reconciliation needs it.</summary>
/// <param name="EmployeeId">The HR system's id.</param>
/// <param name="HasLeft">No roster says that the person works here now.</param>
/// <param name="IsDropped">The person was on the roster before and is no longer.</param>
/// <param name="DingTalkUserId">The DingTalk user id, where HR knows it.</param>
internal sealed record RosterEntry(string EmployeeId, bool HasLeft, bool IsDropped, string? DingTalkUserId)
{
    /// <summary>Digest of the e-mail address, where HR knows it (<see cref="RosterStore.DigestOf"/>).</summary>
    public Guid? EmailHash { get; init; }

    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(RosterEntry);
}

/// <summary>Who is on the rosters, by everything that an account may carry. Who works here by one roster works here.</summary>
internal sealed class RosterIndex
{
    private readonly Dictionary<string, RosterEntry> _byEmployeeId = new(StringComparer.OrdinalIgnoreCase);
    private readonly Dictionary<Guid, RosterEntry> _byEmail = [];
    private readonly Dictionary<string, RosterEntry> _byUserId = new(StringComparer.Ordinal);

    /// <summary>There is a roster: accounts that it does not know are worth telling of.</summary>
    public bool HasPeople => _byEmployeeId.Count > 0;

    /// <summary>Everybody.</summary>
    public IReadOnlyCollection<RosterEntry> People => _byEmployeeId.Values;

    /// <summary>Reads the rosters in force; <see langword="null"/> when one changed while it was read.</summary>
    public static async Task<RosterIndex?> ReadAsync(
        RosterStore rosters, IReadOnlyList<RosterHead> heads, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var index = new RosterIndex();
        foreach (var head in heads)
        {
            if (await rosters.ReadAsync(head, cancellationToken) is not { } people)
            {
                return null;
            }

            foreach (var person in people)
            {
                index.Add(person, now);
            }
        }

        return index;
    }

    /// <summary>The person of an account.</summary>
    public RosterEntry? Find(DirectoryAccount account) =>
        (account.EmployeeId is { Length: > 0 } id ? _byEmployeeId.GetValueOrDefault(id.Trim()) : null)
        ?? (account.Target == FreezeTarget.DingTalk ? _byUserId.GetValueOrDefault(account.AccountId) : null)
        ?? account.Emails.Select(e => _byEmail.GetValueOrDefault(RosterStore.DigestOf(e))).FirstOrDefault(static e => e is not null);

    private void Add(RosterPerson person, DateTimeOffset now)
    {
        var entry = new RosterEntry(person.EmployeeId, person.IsDropped || person.LeavesAt <= now, person.IsDropped, person.DingTalkUserId) { EmailHash = person.EmailHash };
        Put(_byEmployeeId, person.EmployeeId, entry);
        if (person.EmailHash is { } hash)
        {
            Put(_byEmail, hash, entry);
        }

        if (person.DingTalkUserId is { } userId)
        {
            Put(_byUserId, userId, entry);
        }
    }

    private static void Put<TKey>(Dictionary<TKey, RosterEntry> index, TKey key, RosterEntry entry)
        where TKey : notnull
    {
        if (!index.TryGetValue(key, out var known) || (known.HasLeft && !entry.HasLeft))
        {
            index[key] = entry;
        }
    }
}
