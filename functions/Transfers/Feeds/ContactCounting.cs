using System.Globalization;
using DingFlow.DingTalk;
using DingFlow.Messaging;
using DingFlow.Remote;

namespace DingFlow.Transfers;

/// <summary>Counts everybody in the contact list of a DingTalk organisation.</summary>
internal sealed partial class ContactCounting(
    PeopleFeedOptions feeds, DingTalkDirectory directory, PeopleCounting counting, ILogger<ContactCounting> logger)
{
    /// <summary>Reads the list and counts whom it shows. Returns why the list could not be read; <see langword="null"/> when it was.</summary>
    /// <param name="tenant">One of <see cref="PeopleFeedOptions.Tenants"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<RemoteStatus?> CountAsync(string tenant, CancellationToken cancellationToken)
    {
        var contacts = await directory.ListAsync(tenant, cancellationToken);
        if (contacts is not { IsOk: true, Value: { } users })
        {
            Log.Failed(logger, tenant, contacts.Status, contacts.Code);
            return contacts.Status;
        }

        var present = users.Select(static user => user.UserId).ToHashSet(StringComparer.Ordinal);
        List<DirectoryEntry> left = [];
        await foreach (var known in directory.KnownAsync(tenant, cancellationToken))
        {
            if (!present.Contains(known.UserId))
            {
                left.Add(known);
            }
        }

        foreach (var feed in feeds.Tenants[tenant])
        {
            List<FeedPerson> people = [.. users.Select(user => FeedPeople.Of(feed, user))];
            List<FeedPerson> former = [.. left.Select(entry => FeedPeople.OfUserId(feed, entry.UserId))];
            Log.Counted(logger, feed.Source, people.Count, await counting.CountAllAsync(feed, people, former, cancellationToken));
        }

        return null;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Source} shows {People} people; {Recorded} of them had to be recorded as transferred")]
        public static partial void Counted(ILogger logger, string source, int people, long recorded);

        [LoggerMessage(2, LogLevel.Error, "The contact list of DingTalk tenant {Tenant} could not be read: {Status}, code {Code}")]
        public static partial void Failed(ILogger logger, string tenant, RemoteStatus status, string? code);
    }
}

/// <summary>Has a feed read again that could not be: on 1 January nobody of it is counted until it is, and the night is long.</summary>
internal sealed class FeedRetries(IMessageQueue queue, TimeProvider time)
{
    /// <summary>Half an hour apart, these reach into the working day; then the next night's reading is due.</summary>
    private const int Most = 24;

    private static readonly TimeSpan Wait = TimeSpan.FromMinutes(30);

    /// <summary>Sends for another reading of a feed, unless there were enough.</summary>
    /// <param name="source">The feed (<see cref="PeopleFeed.Source"/>).</param>
    /// <param name="attempt">Which attempt it will be, from 1.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task LaterAsync(string source, int attempt, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var day = LegalTime.DayOf(now).ToString("yyyyMMdd", CultureInfo.InvariantCulture);
        var who = source.Replace('/', '-');
        return attempt > Most ? Task.CompletedTask : queue.SendAsync(
            Queues.Transfers,
            [
                new()
                {
                    MessageId = string.Create(CultureInfo.InvariantCulture, $"held-{who}-{day}-{attempt}"),
                    SessionId = $"held-{who}",
                    Subject = HeldPeopleMessage.KindOfIt,
                    EnqueueAt = now + Wait,
                    Body = new HeldPeopleMessage(HeldPeopleMessage.KindOfIt, source, null, day, now) { Attempt = attempt }.ToBody(),
                },
            ],
            cancellationToken);
    }
}
