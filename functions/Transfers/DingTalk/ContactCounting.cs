using System.Globalization;
using DingFlow.DingTalk;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Counts the people of DingTalk organisations whose data lie abroad, and learns from the contact list which identifiers are one
/// person's. Nobody is recorded twice in a year who has been recorded with the same facts.
/// </summary>
public sealed class ContactCounting(
    TransferIntake intake, SubjectIdentities identities, SubjectLinks links, SubjectLedger ledger, PseudonymKey key, TimeProvider time)
{
    /// <summary>Counts the whole contact list of a tenant. Returns how many people had to be recorded.</summary>
    public async Task<long> CountAsync(ContactFeed feed, IReadOnlyCollection<DingTalkUser> users, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(feed);
        ArgumentNullException.ThrowIfNull(users);
        await LinkAsync(feed, users, cancellationToken);
        var day = LegalTime.DayOf(time.GetUtcNow()).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        return await RecordAsync(feed, users.Select(user => user.UserId), $"dingtalk-contacts\n{feed.Tenant}\n{day}", null, cancellationToken);
    }

    /// <summary>Counts people of whom an event tells.</summary>
    /// <param name="feed">Their tenant.</param>
    /// <param name="userIds">Who.</param>
    /// <param name="users">Those of whom the contact list says more.</param>
    /// <param name="delivery">Names the event: handled again, it counts nothing again.</param>
    /// <param name="occurredAt">When it happened; <see langword="null"/> for now.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<long> CountAsync(
        ContactFeed feed, IReadOnlyList<string> userIds, IReadOnlyCollection<DingTalkUser> users, string delivery, DateTimeOffset? occurredAt, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(feed);
        await LinkAsync(feed, users, cancellationToken);
        return await RecordAsync(feed, userIds, $"dingtalk-event\n{delivery}", occurredAt, cancellationToken);
    }

    private async Task<long> RecordAsync(
        ContactFeed feed, IEnumerable<string> userIds, string batch, DateTimeOffset? occurredAt, CancellationToken cancellationToken)
    {
        await identities.RefreshAsync(cancellationToken);
        using var reader = intake.CreateReader(static _ => true);
        var now = time.GetUtcNow();

        // A clock of theirs that runs ahead must not keep anybody from being counted.
        var at = occurredAt is { } moment && moment < now ? moment : now;
        List<SubjectTransfer> transfers = [];
        foreach (var userId in userIds)
        {
            var (transfer, refusal) = reader.Read(RecordOf(feed, userId, at));
            transfers.Add(transfer ?? throw new UnusableMessageException(
                $"The contact list of {feed.Tenant} cannot be counted with the tenant's settings: {refusal?.Code} {refusal?.Message}"));
        }

        var news = await ledger.NewsAsync(feed.Exporter.Id, transfers, cancellationToken);
        return news.Count == 0 ? 0 : (await intake.RecordAsync(key.OpaqueId(batch), news, cancellationToken)).Accepted;
    }

    private TransferRecord RecordOf(ContactFeed feed, string userId, DateTimeOffset at) => new()
    {
        Id = $"contact-{key.OpaqueId($"contact\n{feed.CorpId}\n{userId}\n{at:O}")}",
        OccurredAt = at,
        Exporter = feed.Exporter.Id,
        Subject = new("dingTalkUserId", userId, feed.CorpId),
        Fields = feed.Fields,
        Origin = feed.Origin.ToString(),
        Destination = feed.Destination.ToString(),
        Recipient = feed.Recipient,
        Purpose = feed.Purpose,
        LegalBasis = feed.LegalBasis,
        Exemption = feed.Exemption,
        Mechanism = feed.Mechanism,
        Method = "remoteAccess",
        System = "dingtalk",
    };

    /// <summary>
    /// Says of each person which identifiers are the person's. One that several people of the list bear (a shared mailbox, a number given
    /// twice), or that is known as somebody else's, is nobody's: uniting two people would count one too few.
    /// </summary>
    private async Task LinkAsync(ContactFeed feed, IReadOnlyCollection<DingTalkUser> users, CancellationToken cancellationToken)
    {
        if (users.Count == 0)
        {
            return;
        }

        await identities.RefreshAsync(cancellationToken);
        using var pseudonymizer = key.CreatePseudonymizer();
        var people = users.Select(user => NamesOf(feed, user, pseudonymizer)).Where(names => names.Count > 0).ToList();
        var bearers = people.SelectMany(names => names).GroupBy(name => name).ToDictionary(name => name.Key, name => name.Count());

        // Who is counted under what already: two people of this list must not become one.
        Dictionary<SubjectPseudonym, SubjectPseudonym> owners = [];
        foreach (var names in people)
        {
            owners.TryAdd(identities.Resolve(names[0]), names[0]);
        }

        List<IReadOnlyList<SubjectPseudonym>> linked = [];
        foreach (var names in people)
        {
            List<SubjectPseudonym> own = [names[0]];
            var root = identities.Resolve(names[0]);
            foreach (var name in names.Skip(1).Where(name => bearers[name] == 1))
            {
                var other = identities.Resolve(name);
                if (other == root)
                {
                    continue;
                }

                // With the whole list at hand a known stranger is told from a known self; with one person, only what is unknown is safe.
                var free = users.Count > 1 || !identities.IsLinked(name);
                if (free && (!owners.TryGetValue(other, out var owner) || owner == names[0]))
                {
                    own.Add(name);
                    owners.TryAdd(other, names[0]);
                }
            }

            if (own.Count > 1)
            {
                linked.Add(own);
            }
        }

        if (linked.Count > 0)
        {
            await links.LinkAsync(linked, cancellationToken);
        }
    }

    /// <summary>The user id first; then union id, job number and addresses, as far as they are well formed.</summary>
    private static List<SubjectPseudonym> NamesOf(ContactFeed feed, DingTalkUser user, Pseudonymizer pseudonymizer)
    {
        List<SubjectPseudonym> names = [];
        Add(SubjectType.DingTalkUserId, user.UserId, feed.CorpId);
        if (names.Count == 1)
        {
            Add(SubjectType.UnionId, user.UnionId, "");
            Add(SubjectType.EmployeeId, user.JobNumber, feed.Exporter.Id);
            Add(SubjectType.Email, user.Email, "");
            Add(SubjectType.Email, user.OrgEmail, "");
        }

        return names;

        void Add(SubjectType type, string? identifier, string scope)
        {
            if (!string.IsNullOrWhiteSpace(identifier) && pseudonymizer.TryPseudonymize(type, identifier, scope, out var name) && !names.Contains(name))
            {
                names.Add(name);
            }
        }
    }
}
