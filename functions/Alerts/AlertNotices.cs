using System.Globalization;
using DingFlow.Storage;

namespace DingFlow.Alerts;

/// <summary>How far a message has come on its channel.</summary>
public enum NoticeState
{
    /// <summary>It waits for more alerts of its burst.</summary>
    Collecting,

    /// <summary>Not delivered yet.</summary>
    Pending,

    /// <summary>The receiver took it; whether it reached anybody is being asked.</summary>
    Unproved,

    /// <summary>It was delivered.</summary>
    Delivered,

    /// <summary>Every attempt failed.</summary>
    GivenUp,

    /// <summary>The channel has been ended by its receiver, or is not configured any more.</summary>
    Disabled,

    /// <summary>When its turn came, nobody needed to be told any more: acknowledged, silenced or over.</summary>
    Withheld,
}

/// <summary>A message on one channel: what it carries, which attempts were made and when the next is due.</summary>
internal sealed record NoticeProgress(string Id, string Channel, NoticeState State, IReadOnlyList<(string Key, int Occurrence)> Alerts)
{
    /// <summary>Attempts that were made.</summary>
    public int Attempts { get; init; }

    /// <summary>How often the present attempt was asked after.</summary>
    public int Checks { get; init; }

    /// <summary>When the next step is due.</summary>
    public DateTimeOffset? NextAt { get; init; }

    /// <summary>By what to ask after the present attempt.</summary>
    public string? Reference { get; init; }

    /// <summary>The version that was read.</summary>
    public string? ETag { get; init; }
}

/// <summary>
/// The messages to channels, in the partition of the alerts: <c>n|{notice}|{channel}</c> a message, <c>m|{key}|{occurrence}|{channel}</c>
/// which message carries an alert, <c>g|{channel}</c> the message that still collects. The second is written in one transaction with
/// what it names, so that an alert is in one message of a channel and never in two. Channels that their receivers ended, that fail, and
/// their pace are in the partition <c>channels</c>.
/// </summary>
internal sealed class AlertNotices(IEntityStore store)
{
    /// <summary>More alerts than this open another message.</summary>
    public const int LargestBurst = 100;

    private const string Table = AlertStore.Table;
    private const string Partition = AlertStore.Partition;
    private const string ChannelsPartition = "channels";
    private const int SchemaVersion = AlertStore.SchemaVersion;
    private const int Tries = 50;

    /// <summary>
    /// Puts an alert into a message of a channel: one of its own, or the one that collects. Returns the message as it stands, also when
    /// the alert was in it before.
    /// </summary>
    public async Task<NoticeProgress?> AssignAsync(string key, int occurrence, AlertChannel channel, DateTimeOffset now, CancellationToken cancellationToken)
    {
        for (var attempt = 0; attempt < Tries; attempt++)
        {
            if (await store.GetAsync(Table, Partition, MemberRow(key, occurrence, channel.Name), cancellationToken) is { } known)
            {
                return await FindAsync(known.Properties.Require<string>("Notice"), channel.Name, cancellationToken);
            }

            var (operations, notice) = channel.GroupWait == TimeSpan.Zero
                ? Open(key, occurrence, channel, NoticeState.Pending, null, null)
                : await GroupAsync(key, occurrence, channel, now, cancellationToken);
            var member = new Entity(Partition, MemberRow(key, occurrence, channel.Name)) { Properties = { ["Notice"] = notice.Id } };
            var result = await store.SubmitAsync(
                EntityTransaction.Of(Table, [EntityOperation.Insert(member), .. operations]), cancellationToken);
            if (result.Committed)
            {
                return notice;
            }
        }

        throw new EntityStoreException("A burst of alerts is changed by others again and again.");
    }

    /// <summary>A message of a channel.</summary>
    public async Task<NoticeProgress?> FindAsync(string id, string channel, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, Partition, NoticeRow(id, channel), cancellationToken) is { } entity ? Read(entity, id, channel) : null;

    /// <summary>The messages that carried an alert.</summary>
    public async Task<IReadOnlyList<NoticeProgress>> OfAlertAsync(string key, AlertStore alerts, CancellationToken cancellationToken)
    {
        var notices = new List<NoticeProgress>();
        foreach (var member in await alerts.AllAsync($"m|{key}|", cancellationToken))
        {
            if (await FindAsync(member.Properties.Require<string>("Notice"), member.RowKey.Split('|')[^1], cancellationToken) is { } notice)
            {
                notices.Add(notice);
            }
        }

        return notices;
    }

    /// <summary>Keeps how far a message has come; returns it with its new version, or <see langword="null"/> when another was faster.</summary>
    public async Task<NoticeProgress?> SaveAsync(NoticeProgress notice, CancellationToken cancellationToken)
    {
        var result = await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(ToEntity(notice), notice.ETag)), cancellationToken);
        return result.Committed ? notice with { ETag = result.ETags[0] } : null;
    }

    /// <summary>
    /// Takes a turn of a receiver that takes so many messages within a window, whichever channel and instance asks. Returns how long to
    /// wait when there is none.
    /// </summary>
    public async Task<TimeSpan?> TakeTurnAsync(string receiver, int messages, TimeSpan window, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var row = $"pace|{receiver}";
        for (var attempt = 0; attempt < Tries; attempt++)
        {
            var known = await store.GetAsync(Table, ChannelsPartition, row, cancellationToken);
            var turns = (known?.Properties.Get<string>("Turns") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries)
                .Select(static text => DateTimeOffset.FromUnixTimeMilliseconds(long.Parse(text, CultureInfo.InvariantCulture)))
                // A clock that was set back leaves turns in the future; they count as long as any other.
                .Where(turn => (now - turn).Duration() < window).Order().ToList();
            if (turns.Count >= messages)
            {
                return turns[^messages] + window - now;
            }

            var entity = new Entity(ChannelsPartition, row)
            {
                Properties =
                {
                    ["Schema"] = SchemaVersion,
                    ["Turns"] = string.Join(',', turns.Append(now).Select(static turn => turn.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture))),
                },
            };
            var operation = known is null ? EntityOperation.Insert(entity) : EntityOperation.Replace(entity, known.ETag);
            if ((await store.SubmitAsync(EntityTransaction.Of(Table, operation), cancellationToken)).Committed)
            {
                return null;
            }
        }

        return window;
    }

    /// <summary>Whether the receiver of this channel, as it is configured now, has ended it.</summary>
    public async Task<bool> IsDisabledAsync(AlertChannel channel, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, ChannelsPartition, channel.Name, cancellationToken) is { } entity
        && entity.Properties.Get<string>("Fingerprint") == channel.Fingerprint;

    /// <summary>The receiver has ended the channel.</summary>
    public Task DisableAsync(AlertChannel channel, DateTimeOffset now, CancellationToken cancellationToken) => store.SubmitAsync(
        EntityTransaction.Of(Table, EntityOperation.Upsert(new Entity(ChannelsPartition, channel.Name)
        {
            Properties = { ["Schema"] = SchemaVersion, ["Fingerprint"] = channel.Fingerprint, ["DisabledAt"] = now },
        })),
        cancellationToken);

    /// <summary>Since when attempts at this channel, as it is configured now, have failed in a row; <see langword="null"/> when the last one worked.</summary>
    public async Task<DateTimeOffset?> FailingSinceAsync(AlertChannel channel, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, ChannelsPartition, FailingRow(channel), cancellationToken) is { } entity
        && entity.Properties.Get<string>("Fingerprint") == channel.Fingerprint
            ? entity.Properties.Require<DateTimeOffset>("Since")
            : null;

    /// <summary>An attempt at the channel failed. The first of a row counts.</summary>
    public async Task RecordFailureAsync(AlertChannel channel, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (await FailingSinceAsync(channel, cancellationToken) is null)
        {
            await store.SubmitAsync(
                EntityTransaction.Of(Table, EntityOperation.Upsert(new Entity(ChannelsPartition, FailingRow(channel))
                {
                    Properties = { ["Schema"] = SchemaVersion, ["Fingerprint"] = channel.Fingerprint, ["Since"] = now },
                })),
                cancellationToken);
        }
    }

    /// <summary>An attempt at the channel worked.</summary>
    public async Task RecordSuccessAsync(AlertChannel channel, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(Table, ChannelsPartition, FailingRow(channel), cancellationToken) is not null)
        {
            // NotFound: another instance was quicker.
            await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete(ChannelsPartition, FailingRow(channel))), cancellationToken);
        }
    }

    /// <summary>Joins the message that collects, or opens one that will.</summary>
    private async Task<(IReadOnlyList<EntityOperation> Operations, NoticeProgress Notice)> GroupAsync(
        string key, int occurrence, AlertChannel channel, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var pointer = await store.GetAsync(Table, Partition, GroupRow(channel.Name), cancellationToken);
        if (pointer is not null
            && await FindAsync(pointer.Properties.Require<string>("Notice"), channel.Name, cancellationToken)
                is { State: NoticeState.Collecting, Alerts.Count: < LargestBurst } collecting
            && collecting.NextAt > now)
        {
            var joined = collecting with { Alerts = [.. collecting.Alerts, (key, occurrence)] };
            return ([EntityOperation.Replace(ToEntity(joined), collecting.ETag)], joined);
        }

        return Open(key, occurrence, channel, NoticeState.Collecting, now + channel.GroupWait, pointer ?? new Entity(Partition, GroupRow(channel.Name)));
    }

    private static (IReadOnlyList<EntityOperation> Operations, NoticeProgress Notice) Open(
        string key, int occurrence, AlertChannel channel, NoticeState state, DateTimeOffset? nextAt, Entity? pointer)
    {
        var notice = new NoticeProgress(NoticeId(key, occurrence), channel.Name, state, [(key, occurrence)]) { NextAt = nextAt };
        var operations = new List<EntityOperation> { EntityOperation.Insert(ToEntity(notice)) };
        if (pointer is not null)
        {
            var next = new Entity(pointer.PartitionKey, pointer.RowKey) { Properties = { ["Notice"] = notice.Id } };
            operations.Add(pointer.ETag is null ? EntityOperation.Insert(next) : EntityOperation.Replace(next, pointer.ETag));
        }

        return (operations, notice);
    }

    private static string NoticeId(string key, int occurrence) => string.Create(CultureInfo.InvariantCulture, $"{key}-{occurrence}");

    private static string NoticeRow(string id, string channel) => $"n|{id}|{channel}";

    private static string MemberRow(string key, int occurrence, string channel) =>
        string.Create(CultureInfo.InvariantCulture, $"m|{key}|{occurrence:D6}|{channel}");

    private static string GroupRow(string channel) => $"g|{channel}";

    private static string FailingRow(AlertChannel channel) => $"failing|{channel.Name}";

    private static Entity ToEntity(NoticeProgress notice) => new(Partition, NoticeRow(notice.Id, notice.Channel))
    {
        Properties =
        {
            ["Schema"] = SchemaVersion,
            ["State"] = notice.State.ToString(),
            ["Alerts"] = string.Join(',', notice.Alerts.Select(static alert => NoticeId(alert.Key, alert.Occurrence))),
            ["Attempts"] = notice.Attempts,
            ["Checks"] = notice.Checks,
            ["NextAt"] = notice.NextAt,
            ["Reference"] = notice.Reference,
        },
    };

    private static NoticeProgress Read(Entity entity, string id, string channel)
    {
        var properties = entity.Properties;
        var alerts = properties.Require<string>("Alerts").Split(',').Select(static text => text.Split('-'))
            .Select(static parts => (parts[0], int.Parse(parts[1], CultureInfo.InvariantCulture)));
        return new(id, channel, Enum.Parse<NoticeState>(properties.Require<string>("State")), [.. alerts])
        {
            Attempts = properties.Require<int>("Attempts"),
            Checks = properties.Require<int>("Checks"),
            NextAt = properties.TryGetValue("NextAt", out var next) ? (DateTimeOffset?)next : null,
            Reference = properties.Get<string>("Reference"),
            ETag = entity.ETag,
        };
    }
}
