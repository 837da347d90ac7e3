using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Alerts;

/// <summary>How far an alert has come on one channel.</summary>
public enum AlertChannelState
{
    /// <summary>Not delivered yet.</summary>
    Pending,

    /// <summary>The receiver took it.</summary>
    Delivered,

    /// <summary>Every attempt failed.</summary>
    GivenUp,

    /// <summary>The channel has been ended by its receiver.</summary>
    Disabled,
}

/// <summary>An alert on one channel: which attempts were made and when the next is due.</summary>
internal sealed record AlertProgress(string Key, string Channel, AlertChannelState State, int Attempts, DateTimeOffset? NextAt, string? ETag = null);

/// <summary>
/// The table <c>Alerts</c>. The alert's key decides the partition: <c>a|{key}</c> the alert, <c>c|{key}|{channel}</c> its progress on a
/// channel. Channels that their receivers ended are in the partition <c>channels</c>.
/// </summary>
internal sealed class AlertRecords(IEntityStore store)
{
    private const string Table = "Alerts";
    private const string ChannelsPartition = "channels";
    private const int SchemaVersion = 1;

    public async Task<AlertMessage?> FindAsync(string key, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, PartitionOf(key), AlertRow(key), cancellationToken) is { } entity
            ? JsonSerializer.Deserialize(entity.Properties.Require<byte[]>("Alert"), AlertJson.Default.AlertMessage)
            : null;

    /// <summary>Stores an alert with its channels at their beginning. <see langword="false"/>: it is known.</summary>
    public async Task<bool> AddAsync(string key, AlertMessage alert, IEnumerable<string> channels, CancellationToken cancellationToken)
    {
        var entity = new Entity(PartitionOf(key), AlertRow(key))
        {
            Properties =
            {
                ["Schema"] = SchemaVersion,
                ["Type"] = alert.Type,
                ["Severity"] = alert.Severity.ToString(),
                ["OccurredAt"] = alert.OccurredAt,
                ["Alert"] = JsonSerializer.SerializeToUtf8Bytes(alert, AlertJson.Default.AlertMessage),
            },
        };
        var result = await store.SubmitAsync(
            EntityTransaction.Of(Table,
            [
                EntityOperation.Insert(entity),
                .. channels.Select(channel => EntityOperation.Insert(ToEntity(new AlertProgress(key, channel, AlertChannelState.Pending, 0, null)))),
            ]),
            cancellationToken);
        return result.Committed;
    }

    public async Task<AlertProgress?> FindProgressAsync(string key, string channel, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, PartitionOf(key), ProgressRow(key, channel), cancellationToken) is { } entity
            ? new AlertProgress(
                key, channel,
                Enum.Parse<AlertChannelState>(entity.Properties.Require<string>("State")),
                entity.Properties.Require<int>("Attempts"),
                entity.Properties.TryGetValue("NextAt", out var next) ? (DateTimeOffset?)next : null,
                entity.ETag)
            : null;

    /// <summary>Stores how far it has come. <see langword="false"/>: another delivery of the same message was faster.</summary>
    public async Task<bool> SaveAsync(AlertProgress progress, CancellationToken cancellationToken) =>
        (await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(ToEntity(progress))), cancellationToken)).Committed;

    /// <summary>Whether the receiver of this channel, as it is configured now, has ended it.</summary>
    public async Task<bool> IsDisabledAsync(AlertChannel channel, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, ChannelsPartition, channel.Name, cancellationToken) is { } entity
        && entity.Properties.Get<string>("Fingerprint") == channel.Fingerprint;

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

    private static string FailingRow(AlertChannel channel) => $"failing|{channel.Name}";

    private static string PartitionOf(string key) => key[..1];

    private static string AlertRow(string key) => $"a|{key}";

    private static string ProgressRow(string key, string channel) => $"c|{key}|{channel}";

    private static Entity ToEntity(AlertProgress progress) => new(PartitionOf(progress.Key), ProgressRow(progress.Key, progress.Channel))
    {
        ETag = progress.ETag,
        Properties =
        {
            ["Schema"] = SchemaVersion,
            ["State"] = progress.State.ToString(),
            ["Attempts"] = progress.Attempts,
            ["NextAt"] = progress.NextAt,
        },
    };
}
