using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Transfers;

/// <summary>
/// Handles the messages of the <c>transfers</c> queue: people who joined, changed or activated their account in an organisation whose
/// data lie abroad.
/// </summary>
public sealed partial class ProcessTransfers(
    IInbox inbox, ContactFeedOptions feeds, ContactCounting counting, DingTalkClients clients, ILogger<ProcessTransfers> logger) : IQueueFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(ReceivedMessage message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
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

        foreach (var (tenant, events) in work.Events
            .Where(e => e is { Kind: PersonEventKind.SeenInOrganisation, DingTalkUserId: not null, Tenants.Count: 1 })
            .GroupBy(e => e.Tenants![0], StringComparer.OrdinalIgnoreCase).Select(group => (group.Key, group.ToList())))
        {
            // A tenant that no longer lies abroad, or is gone from the settings, counts nobody.
            if (feeds.Tenants.TryGetValue(tenant, out var feed))
            {
                var userIds = events.Select(e => e.DingTalkUserId!).Distinct(StringComparer.Ordinal).ToList();
                var counted = await counting.CountAsync(
                    feed, userIds, await LookUpAsync(tenant, userIds, cancellationToken), $"{work.DeliveryId}\n{reference.Item}", events[0].OccurredAt, cancellationToken);
                Log.Counted(logger, work.DeliveryId, tenant, counted);
            }
        }

        await inbox.CompleteAsync(reference, cancellationToken);
    }

    /// <summary>What DingTalk says of the people. Without an answer they are counted under their user ids; the daily baseline links the rest.</summary>
    private async Task<IReadOnlyCollection<DingTalkUser>> LookUpAsync(string tenant, IReadOnlyList<string> userIds, CancellationToken cancellationToken)
    {
        List<DingTalkUser> users = [];
        foreach (var userId in userIds)
        {
            var user = await clients[tenant].GetUserAsync(userId, cancellationToken);
            if (user is { IsOk: true, Value: { } found } && found.UserId == userId)
            {
                users.Add(found);
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
        [LoggerMessage(1, LogLevel.Information, "Delivery {DeliveryId} of DingTalk tenant {Tenant}: {Counted} people recorded as transferred")]
        public static partial void Counted(ILogger logger, string deliveryId, string tenant, long counted);

        [LoggerMessage(2, LogLevel.Information, "A person of DingTalk tenant {Tenant} could not be looked up ({Status}, code {Code}) and is counted under the user id alone")]
        public static partial void NotLookedUp(ILogger logger, string tenant, Remote.RemoteStatus status, string? code);
    }
}

/// <summary>
/// Reads the whole contact list of every organisation whose data lie abroad, daily just after midnight in Shanghai: whoever is in it can be
/// reached from abroad, and counts anew each calendar year.
/// </summary>
public sealed partial class CountDingTalkContacts(
    ContactFeedOptions feeds, DingTalkDirectory directory, ContactCounting counting, IAlertSender alerts, TimeProvider time,
    ILogger<CountDingTalkContacts> logger) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        foreach (var feed in feeds.Tenants.Values)
        {
            var contacts = await directory.ListAsync(feed.Tenant, cancellationToken);
            if (contacts is { IsOk: true, Value: { } users })
            {
                Log.Counted(logger, feed.Tenant, users.Count, await counting.CountAsync(feed, users, cancellationToken));
                continue;
            }

            Log.Failed(logger, feed.Tenant, contacts.Status, contacts.Code);
            var now = time.GetUtcNow();
            await alerts.SendAsync(
                new()
                {
                    AlertId = $"transfers.contacts_failed:{feed.Tenant}:{LegalTime.DayOf(now):yyyy-MM-dd}",
                    Type = "transfers.contacts_failed",
                    Severity = AlertSeverity.Warning,
                    OccurredAt = now,
                    Summary = $"The contact list of DingTalk tenant {feed.Tenant} could not be read; new people in it are not counted yet.",
                    About = feed.Tenant,
                    Details = new Dictionary<string, string> { ["exporter"] = feed.Exporter.Id, ["status"] = contacts.Status.ToString() },
                },
                cancellationToken);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The contact list of DingTalk tenant {Tenant} shows {People} people; {Recorded} of them had to be recorded as transferred")]
        public static partial void Counted(ILogger logger, string tenant, int people, long recorded);

        [LoggerMessage(2, LogLevel.Error, "The contact list of DingTalk tenant {Tenant} could not be read: {Status}, code {Code}")]
        public static partial void Failed(ILogger logger, string tenant, Remote.RemoteStatus status, string? code);
    }
}

/// <summary>Wires the feed.</summary>
internal static class ContactFeedServices
{
    public static IServiceCollection AddContactFeed(
        this IServiceCollection services, IConfiguration configuration, TransfersOptions options, SettingsFaults faults) => services
        .AddSingleton(ContactFeedOptions.Read(configuration, options, faults))
        .AddSingleton<ContactCounting>()
        .AddFunction<ProcessTransfers>()
        .AddFunction<CountDingTalkContacts>();
}
