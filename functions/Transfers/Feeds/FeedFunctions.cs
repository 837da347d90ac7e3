using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Handles the messages of the <c>transfers</c> queue: people who joined, changed or activated their account in an organisation that is
/// counted, and deliveries of HR sources and people they keep that arrived in a DingFlow abroad.
/// </summary>
internal sealed partial class ProcessTransfers(
    IInbox inbox, PeopleFeedOptions feeds, PeopleCounting counting, HeldPeopleCounting held, ContactCounting contacts, FeedRetries retries, PseudonymKey key,
    DingTalkClients clients, ILogger<ProcessTransfers> logger)
    : IQueueFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(ReceivedMessage message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (HeldPeopleMessage.Read(message.Body.Span) is { } news)
        {
            await CountHeldAsync(news, message.MessageId, cancellationToken);
            return;
        }

        OffboardingMessage body;
        try
        {
            body = OffboardingMessage.Parse(message.Body.Span);
        }
        catch (FormatException exception)
        {
            throw new UnusableMessageException($"The body is not one that this queue carries: {exception.Message}");
        }

        if (body.Delivery is not { } reference || await inbox.ReadAsync(reference, cancellationToken) is not { } work)
        {
            return; // Completed by an earlier delivery of this message.
        }

        if (work.Events.Any(static e => e.Kind == PersonEventKind.Received))
        {
            await CountDeliveryAsync(work, cancellationToken);
        }

        foreach (var (tenant, events) in work.Events
            .Where(e => e is { Kind: PersonEventKind.SeenInOrganisation, DingTalkUserId: not null, Tenants.Count: 1 })
            .GroupBy(e => e.Tenants![0], StringComparer.OrdinalIgnoreCase).Select(group => (group.Key, group.ToList())))
        {
            await CountArrivalsAsync(tenant, events, work, reference, cancellationToken);
        }

        await inbox.CompleteAsync(reference, cancellationToken);
    }

    /// <summary>A feed whose data no longer come abroad, or that is gone from the settings, counts nobody.</summary>
    private async Task CountHeldAsync(HeldPeopleMessage news, string messageId, CancellationToken cancellationToken)
    {
        if (feeds.OfHrSource(news.Source) is { } feed)
        {
            Log.Counted(logger, messageId, feed.Source, await held.CountAsync(feed, news, cancellationToken));
        }
        else if (feeds.TenantOf(news.Source) is { } tenant && await contacts.CountAsync(tenant, cancellationToken) is not null)
        {
            await retries.LaterAsync(news.Source, news.Attempt + 1, cancellationToken);
        }
    }

    private async Task CountArrivalsAsync(
        string tenant, List<PersonEvent> events, InboxWork work, InboxReference reference, CancellationToken cancellationToken)
    {
        // A tenant that no longer lies abroad, or is gone from the settings, counts nobody.
        if (!feeds.Tenants.TryGetValue(tenant, out var ofTenant))
        {
            return;
        }

        var userIds = events.Select(e => e.DingTalkUserId!).Distinct(StringComparer.Ordinal).ToList();
        var known = await LookUpAsync(tenant, userIds, cancellationToken);
        foreach (var feed in ofTenant)
        {
            List<FeedPerson> people =
                [.. userIds.Select(userId => known.TryGetValue(userId, out var user) ? FeedPeople.Of(feed, user) : FeedPeople.OfUserId(feed, userId))];
            var counted = await counting.CountAsync(
                feed, people, $"{work.DeliveryId}\n{reference.Item}", events[0].OccurredAt ?? work.ReceivedAt, cancellationToken);
            Log.Counted(logger, work.DeliveryId, feed.Source, counted);
        }
    }

    /// <summary>Everybody in a delivery that arrived here, at the moment at which it did.</summary>
    private async Task CountDeliveryAsync(InboxWork work, CancellationToken cancellationToken)
    {
        if (feeds.OfHrSource(work.Source) is not { } feed || await inbox.FindAsync(work.DeliveryId, cancellationToken) is not { } delivery)
        {
            return;
        }

        using var pseudonymizer = key.CreatePseudonymizer();
        List<FeedPerson> people =
        [
            .. delivery.Events.Where(static e => e.Kind != PersonEventKind.Received).Select(static e => new HeldPerson(e.EmployeeId, e.Email, e.DingTalkUserId)).Distinct()
                .Select(person => FeedPeople.Of(feed, person, pseudonymizer)).OfType<FeedPerson>(),
        ];
        Log.Counted(logger, work.DeliveryId, feed.Source, await counting.CountAsync(feed, people, work.DeliveryId, delivery.ReceivedAt, cancellationToken));
    }

    /// <summary>What DingTalk says of the people. Without an answer they are counted under their user ids; the daily baseline links the rest.</summary>
    private async Task<IReadOnlyDictionary<string, DingTalkUser>> LookUpAsync(string tenant, IReadOnlyList<string> userIds, CancellationToken cancellationToken)
    {
        Dictionary<string, DingTalkUser> users = new(StringComparer.Ordinal);
        foreach (var userId in userIds)
        {
            var user = await clients[tenant].GetUserAsync(userId, cancellationToken);
            if (user is { IsOk: true, Value: { } found } && found.UserId == userId)
            {
                users[userId] = found;
            }
            else
            {
                Log.NotLookedUp(logger, tenant, user.Status, user.Code);
            }
        }

        return users;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Delivery {DeliveryId} of {Source}: {Counted} people recorded as transferred")]
        public static partial void Counted(ILogger logger, string deliveryId, string source, long counted);

        [LoggerMessage(2, LogLevel.Information, "A person of DingTalk tenant {Tenant} could not be looked up ({Status}, code {Code}) and is counted under the user id alone")]
        public static partial void NotLookedUp(ILogger logger, string tenant, Remote.RemoteStatus status, string? code);
    }
}

/// <summary>
/// Daily just after midnight in Shanghai, reads who can be reached from abroad: the whole contact list of every organisation that is
/// counted, and the rosters and provisioned users of HR sources that a DingFlow abroad keeps. Everybody counts anew each calendar year.
/// </summary>
internal sealed partial class CountDingTalkContacts(
    PeopleFeedOptions feeds, ContactCounting contacts, HeldPeopleCounting held, FeedRetries retries, IAlertSender alerts, TimeProvider time,
    ILogger<CountDingTalkContacts> logger) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        EntityStoreException? trouble = null;
        List<string> unread = [];
        foreach (var (tenant, ofTenant) in feeds.Tenants)
        {
            await AttemptAsync(ofTenant[0], async () =>
            {
                if (await contacts.CountAsync(tenant, cancellationToken) is { } status)
                {
                    unread.Add(ofTenant[0].Source);
                    await alerts.SendAsync(Failed(tenant, ofTenant[0].Exporter.Id, status.ToString()), cancellationToken);
                }
            });
        }

        foreach (var feed in feeds.HrSources.Values)
        {
            await AttemptAsync(feed, async () =>
            {
                var (people, recorded) = await held.CountAllAsync(feed, cancellationToken);
                Log.Counted(logger, feed.Source, people, recorded);
            });
        }

        foreach (var source in unread)
        {
            await retries.LaterAsync(source, 1, cancellationToken);
        }

        if (trouble is not null)
        {
            throw new EntityStoreException("The people of some feeds could not be counted.", trouble);
        }

        // One that cannot be counted keeps nobody from being counted whom another shows.
        async Task AttemptAsync(PeopleFeed feed, Func<Task> count)
        {
            try
            {
                await count();
            }
            catch (EntityStoreException exception)
            {
                Log.StoreFailed(logger, feed.Source, exception);
                trouble = exception;
                unread.Add(feed.Source);
            }
            catch (Exception exception) when (exception is UnusableMessageException or LedgerMismatchException or LedgerRefusalException)
            {
                Log.NotCounted(logger, feed.Source, exception.Message);
                await alerts.SendAsync(NotCounted(feed, exception.Message), cancellationToken);
            }
        }
    }

    private AlertMessage NotCounted(PeopleFeed feed, string why)
    {
        var now = time.GetUtcNow();
        return new()
        {
            AlertId = $"transfers.people_not_counted:{feed.Source}:{LegalTime.DayOf(now):yyyy-MM-dd}",
            Type = "transfers.people_not_counted",
            Severity = AlertSeverity.Critical,
            OccurredAt = now,
            Summary = $"People of {feed.Source} could not be counted as transferred; the counters lack those who are new.",
            About = feed.Source,
            Details = new Dictionary<string, string> { ["exporter"] = feed.Exporter.Id, ["reason"] = why },
        };
    }

    private AlertMessage Failed(string tenant, string exporter, string status)
    {
        var now = time.GetUtcNow();
        return new()
        {
            AlertId = $"transfers.contacts_failed:{tenant}:{LegalTime.DayOf(now):yyyy-MM-dd}",
            Type = "transfers.contacts_failed",
            Severity = AlertSeverity.Warning,
            OccurredAt = now,
            Summary = $"The contact list of DingTalk tenant {tenant} could not be read; new people in it are not counted yet.",
            About = tenant,
            Details = new Dictionary<string, string> { ["exporter"] = exporter, ["status"] = status },
        };
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Source} shows {People} people; {Recorded} of them had to be recorded as transferred")]
        public static partial void Counted(ILogger logger, string source, int people, long recorded);

        [LoggerMessage(3, LogLevel.Error, "The people of {Source} could not be counted: the store does not answer")]
        public static partial void StoreFailed(ILogger logger, string source, Exception exception);

        [LoggerMessage(4, LogLevel.Error, "The people of {Source} could not be counted: {Why}")]
        public static partial void NotCounted(ILogger logger, string source, string why);
    }
}

/// <summary>Says at the start which transfers exist since DingFlow itself runs abroad.</summary>
internal sealed partial class RegionNotice(PeopleFeedOptions feeds, ILogger<RegionNotice> logger) : IHostedService
{
    public Task StartAsync(CancellationToken cancellationToken)
    {
        foreach (var feed in feeds.All.Where(feed => feed.Destination == feeds.Region))
        {
            Log.Declares(logger, feed.Destination.ToString(), feed.Source, feed.Origin.ToString(), feed.Exporter.Id, feed.Recipient);
        }

        return Task.CompletedTask;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "DingFlow runs in {Region}: what {Source} sends from {Origin} is a transfer of {Exporter} to {Recipient}, and its people are counted")]
        public static partial void Declares(ILogger logger, string region, string source, string origin, string exporter, string recipient);
    }
}

/// <summary>Wires the feeds.</summary>
internal static class PeopleFeedServices
{
    public static IServiceCollection AddPeopleFeeds(
        this IServiceCollection services, IConfiguration configuration, TransfersOptions options, SettingsFaults faults) => services
        .AddSingleton(PeopleFeedOptions.Read(configuration, options, faults))
        .AddSingleton<FeedMembers>()
        .AddSingleton<PeopleCounting>()
        .AddSingleton<ContactCounting>()
        .AddSingleton<HeldPeopleCounting>()
        .AddSingleton<FeedRetries>()
        .AddSingleton<IHeldPeopleListener, HeldPeopleNews>()
        .AddSingleton<IHostedService, RegionNotice>()
        .AddFunction<ProcessTransfers>()
        .AddFunction<CountDingTalkContacts>();
}
