using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>Somebody of a feed, under one or more identifiers; the first is the one to be counted under.</summary>
/// <param name="Names">Identifiers with what each is unique within.</param>
public sealed record FeedPerson(IReadOnlyList<(SubjectType Type, string Id, string Scope)> Names)
{
    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(FeedPerson);
}

/// <summary>
/// Counts the people of feeds, and learns from them which identifiers are one person's. Nobody is recorded twice in a year who has been
/// recorded with the same facts.
/// </summary>
internal sealed class PeopleCounting(
    TransferIntake intake, SubjectIdentities identities, SubjectLinks links, FeedMembers members, SubjectLedger ledger, PseudonymKey key, ChangeJournal journal,
    TimeProvider time)
{
    /// <summary>Persons that one change links: what the journal holds of it stays small.</summary>
    private const int PersonsPerChange = 200;

    private static readonly AuditActor s_doer = AuditActor.System(nameof(PeopleCounting));

    /// <summary>Counts everybody of a feed, once a day at most. Returns how many people had to be recorded.</summary>
    /// <param name="feed">The feed.</param>
    /// <param name="people">All of its people: that an identifier is borne by two of them shows here.</param>
    /// <param name="former">
    /// Those who left it, as far as they are remembered: a number or address of theirs that is given anew is not them. For HR sources,
    /// whom this remembers itself, nobody.
    /// </param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<long> CountAllAsync(
        PeopleFeed feed, IReadOnlyList<FeedPerson> people, IReadOnlyList<FeedPerson> former, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(feed);
        ArgumentNullException.ThrowIfNull(people);
        ArgumentNullException.ThrowIfNull(former);
        await LinkAsync(feed, people, former, whole: true, cancellationToken);
        var now = time.GetUtcNow();
        var day = LegalTime.DayOf(now).ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
        return await RecordAsync(feed, people, $"people\n{feed.Source}\n{feed.Destination}\n{day}", now, [new("feed", feed.Source)], cancellationToken);
    }

    /// <summary>Counts people of whom an event or a delivery tells.</summary>
    /// <param name="feed">Their feed.</param>
    /// <param name="people">Who.</param>
    /// <param name="delivery">Names the event: handled again, it counts nothing again.</param>
    /// <param name="at">When it happened or arrived; the same whenever it is handled.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<long> CountAsync(
        PeopleFeed feed, IReadOnlyList<FeedPerson> people, string delivery, DateTimeOffset at, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(feed);
        ArgumentNullException.ThrowIfNull(people);
        await LinkAsync(feed, people, [], whole: false, cancellationToken);
        var now = time.GetUtcNow();

        // A clock of theirs that runs ahead must not keep anybody from being counted.
        return await RecordAsync(
            feed, people, $"event\n{delivery}\n{feed.Destination}", at < now ? at : now,
            [new("feed", feed.Source), new("delivery", delivery.Split('\n')[0])], cancellationToken);
    }

    private async Task<long> RecordAsync(
        PeopleFeed feed, IReadOnlyList<FeedPerson> people, string batch, DateTimeOffset at, IReadOnlyList<KeyValuePair<string, string>> details,
        CancellationToken cancellationToken)
    {
        await identities.RefreshAsync(cancellationToken);
        using var reader = intake.CreateReader(static _ => true);
        var (transfers, refused, why) = (new List<SubjectTransfer>(), 0, "");
        foreach (var person in people)
        {
            var (transfer, refusal) = reader.Read(RecordOf(feed, person.Names[0], at));
            if (transfer is null)
            {
                (refused, why) = (refused + 1, $"{refusal?.Code} {refusal?.Message}");
                continue;
            }

            transfers.Add(transfer);
        }

        var news = await ledger.NewsAsync(feed.Exporter.Id, transfers, cancellationToken);
        var recorded = 0L;
        if (news.Count > 0)
        {
            var batchId = key.OpaqueId(batch);
            var reported = new AuditEvent
            {
                Kind = TransferAudit.BatchRecorded, Actor = s_doer, Payload = PayloadHash.None, On = new("batch", batchId), Details = new Dictionary<string, string>(details),
            };
            recorded = (await intake.RecordAsync(batchId, news, reported, cancellationToken)).Accepted;
        }

        // The others are counted all the same.
        return refused == 0 ? recorded : throw new UnusableMessageException(
            $"{refused} of {people.Count} people of {feed.Source} cannot be counted with its settings: {why}");
    }

    private TransferRecord RecordOf(PeopleFeed feed, (SubjectType Type, string Id, string Scope) name, DateTimeOffset at)
    {
        var word = SubjectTypes.WordOf(name.Type);
        return new()
        {
            Id = $"feed-{key.OpaqueId($"feed\n{feed.Source}\n{feed.Destination}\n{word}\n{name.Scope}\n{name.Id}\n{at:O}")}",
            OccurredAt = at,
            Exporter = feed.Exporter.Id,
            Subject = new(word, name.Id, name.Scope.Length == 0 || name.Scope == feed.Exporter.Id ? null : name.Scope),
            Fields = feed.Fields,
            Origin = feed.Origin.ToString(),
            Destination = feed.Destination.ToString(),
            Recipient = feed.Recipient,
            Purpose = feed.Purpose,
            LegalBasis = feed.LegalBasis,
            Exemption = feed.Exemption,
            Mechanism = feed.Mechanism,
            Method = feed.Method,
            System = feed.System,
        };
    }

    /// <summary>
    /// Says of each person which identifiers are the person's. One that several people of the list bear (a shared mailbox, a number given
    /// twice), or that is known as somebody else's (of the list, or of one who left it), is nobody's: uniting two people would count one
    /// too few. A union id is one person's for ever, so that somebody who comes back under another user id is known by it.
    /// </summary>
    private async Task LinkAsync(
        PeopleFeed feed, IReadOnlyList<FeedPerson> list, IReadOnlyList<FeedPerson> former, bool whole, CancellationToken cancellationToken)
    {
        using var pseudonymizer = key.CreatePseudonymizer();
        var people = list.Select(person => NamesOf(person, pseudonymizer)).Where(names => names.Count > 0).ToList();

        // Before anything is linked: what a person bears must not become a successor's after a crash.
        var remembered = feed.IsHrSource ? await RememberAsync(feed.Source, people, whole, cancellationToken) : [];
        if (!people.Any(static names => names.Count > 1))
        {
            return;
        }

        await identities.RefreshAsync(cancellationToken);
        var bearers = people.SelectMany(names => names).GroupBy(name => name.Name).ToDictionary(name => name.Key, name => name.Count());

        // Who is counted under what already: two people of this list must not become one.
        Dictionary<SubjectPseudonym, SubjectPseudonym> owners = [];
        foreach (var names in people)
        {
            owners.TryAdd(identities.Resolve(names[0].Name), names[0].Name);
        }

        var gone = former.SelectMany(person => NamesOf(person, pseudonymizer)).Select(static name => name.Name).Concat(remembered).Select(identities.Resolve).ToHashSet();
        List<IReadOnlyList<SubjectPseudonym>> linked = [];
        foreach (var names in people)
        {
            var self = names[0].Name;
            List<SubjectPseudonym> own = [self];
            var root = identities.Resolve(self);

            // The union id before the rest: it tells whether one who left has come back.
            foreach (var (type, name) in names.Skip(1).Where(name => bearers[name.Name] == 1).OrderByDescending(static name => name.Type == SubjectType.UnionId))
            {
                var other = identities.Resolve(name);
                if (other == root)
                {
                    continue;
                }

                if (type == SubjectType.UnionId)
                {
                    gone.Remove(other);
                }

                // With the whole list at hand a known stranger is told from a known self; with a part of it, only what is unknown is safe.
                var free = type == SubjectType.UnionId || (whole && list.Count > 1 && !gone.Contains(other)) || !identities.IsLinked(name);
                if (free && (!owners.TryGetValue(other, out var owner) || owner == self))
                {
                    own.Add(name);
                    owners.TryAdd(other, self);
                }
            }

            if (own.Count > 1)
            {
                linked.Add(own);
            }
        }

        IReadOnlyList<IReadOnlyList<SubjectPseudonym>> ordered = linked.Count == 0 ? [] : await HeldFirstAsync(feed, linked, cancellationToken);
        foreach (var persons in ordered.Chunk(PersonsPerChange))
        {
            await AuditedChange.RunAsync(
                journal, LedgerQuestion.Unite(persons),
                [
                    new()
                    {
                        Kind = TransferAudit.SubjectsUnited,
                        Actor = s_doer,
                        Payload = PayloadHash.None,
                        On = new("exporter", feed.Exporter.Id),
                        Exporter = feed.Exporter.Id,
                        Reason = "The feed shows these identifiers as one person's.",
                        Details = new Dictionary<string, string> { ["feed"] = feed.Source, ["persons"] = persons.Length.ToString(CultureInfo.InvariantCulture) },
                    },
                ],
                async details =>
                {
                    var (united, _) = await links.LinkAsync(persons, cancellationToken);
                    details["united"] = united.ToString(CultureInfo.InvariantCulture);
                    return united;
                },
                cancellationToken);
        }
    }

    /// <summary>Whom an HR source named before and does not any more, when all of its people are at hand.</summary>
    private async Task<IReadOnlyList<SubjectPseudonym>> RememberAsync(
        string source, List<List<(SubjectType Type, SubjectPseudonym Name)>> people, bool whole, CancellationToken cancellationToken)
    {
        var present = people.Select(static names => names[0].Name).ToHashSet();
        if (whole)
        {
            return await members.NoteAllAsync(source, present, cancellationToken);
        }

        await members.NoteAsync(source, present, cancellationToken);
        return [];
    }

    /// <summary>
    /// Whoever is counted under one of the names already goes on being counted under it: only persons counted under several have to be united, of
    /// which a ledger remembers so many and no more.
    /// </summary>
    private async Task<IReadOnlyList<IReadOnlyList<SubjectPseudonym>>> HeldFirstAsync(
        PeopleFeed feed, List<IReadOnlyList<SubjectPseudonym>> persons, CancellationToken cancellationToken)
    {
        var held = await ledger.HeldAsync(feed.Exporter.Id, [.. persons.SelectMany(names => names).Select(identities.Resolve)], cancellationToken);
        return [.. persons.Select(names => names.OrderBy(name => held.Contains(identities.Resolve(name)) ? 0 : 1).ToList())];
    }

    /// <summary>Pseudonyms of the well-formed identifiers, in their order; none when the first is not well formed.</summary>
    private static List<(SubjectType Type, SubjectPseudonym Name)> NamesOf(FeedPerson person, Pseudonymizer pseudonymizer)
    {
        List<(SubjectType Type, SubjectPseudonym Name)> names = [];
        foreach (var (type, id, scope) in person.Names)
        {
            if (pseudonymizer.TryPseudonymize(type, id, scope, out var name))
            {
                if (!names.Exists(known => known.Name == name))
                {
                    names.Add((type, name));
                }
            }
            else if (names.Count == 0)
            {
                break;
            }
        }

        return names;
    }
}
