using DingFlow.DingTalk;
using DingFlow.Messaging;

namespace DingFlow.Transfers;

/// <summary>Makes people of feeds of what DingTalk and HR sources say.</summary>
internal static class FeedPeople
{
    /// <summary>Somebody of whom DingTalk's list says more: the user id first; then union id, job number and addresses.</summary>
    public static FeedPerson Of(PeopleFeed feed, DingTalkUser user)
    {
        List<(SubjectType, string, string)> names = [(SubjectType.DingTalkUserId, user.UserId, feed.CorpId)];
        Add(names, SubjectType.UnionId, user.UnionId, "");
        if (feed.JobNumbers == JobNumberScope.Exporter)
        {
            Add(names, SubjectType.EmployeeId, user.JobNumber, feed.Exporter.Id);
        }

        Add(names, SubjectType.Email, user.Email, "");
        Add(names, SubjectType.Email, user.OrgEmail, "");
        return new(names);
    }

    /// <summary>Somebody of whom only the DingTalk user id is known.</summary>
    public static FeedPerson OfUserId(PeopleFeed feed, string userId) => new([(SubjectType.DingTalkUserId, userId, feed.CorpId)]);

    /// <summary>
    /// Somebody whom an HR source named: the number first, then the address, then the user id in the exporter's organisation. Without any
    /// that is well formed, whatever it has is taken as it stands; <see langword="null"/> when it has nothing.
    /// </summary>
    public static FeedPerson? Of(PeopleFeed feed, HeldPerson person, Pseudonymizer pseudonymizer)
    {
        List<(SubjectType Type, string Id, string Scope)> names = [];
        Add(names, SubjectType.EmployeeId, person.EmployeeId, feed.Exporter.Id);
        Add(names, SubjectType.Email, person.Email, "");
        if (feed.CorpId.Length > 0)
        {
            Add(names, SubjectType.DingTalkUserId, person.DingTalkUserId, feed.CorpId);
        }
        else
        {
            Add(names, SubjectType.Opaque, person.DingTalkUserId, feed.Exporter.Id);
        }

        names.RemoveAll(name => !pseudonymizer.TryPseudonymize(name.Type, name.Id, name.Scope, out _));
        if (names.Count == 0)
        {
            Add(names, SubjectType.Opaque, person.EmployeeId ?? person.Email ?? person.DingTalkUserId, feed.Exporter.Id);
        }

        return names.Count == 0 ? null : new(names);
    }

    private static void Add(List<(SubjectType, string, string)> names, SubjectType type, string? identifier, string scope)
    {
        if (!string.IsNullOrWhiteSpace(identifier))
        {
            names.Add((type, identifier, scope));
        }
    }
}
