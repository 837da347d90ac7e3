using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Alerts;

/// <summary>Where an alert stands.</summary>
public enum AlertState
{
    /// <summary>Nobody has acknowledged it.</summary>
    Open,

    /// <summary>A person has taken note of it; it is not told again.</summary>
    Acknowledged,

    /// <summary>It is over: a higher one took its place, the count was corrected, or its window ended.</summary>
    Resolved,
}

/// <summary>What a person did with an alert.</summary>
/// <param name="At">When.</param>
/// <param name="By">The principal.</param>
/// <param name="Reason">Why, in the person's words.</param>
public sealed record AlertAction(DateTimeOffset At, string By, string? Reason);

/// <summary>An alert as it is kept.</summary>
public sealed record StoredAlert
{
    /// <summary>Its name in addresses: 32 hexadecimal digits.</summary>
    public required string Key { get; init; }

    /// <summary>The alert.</summary>
    public required AlertMessage Alert { get; init; }

    /// <summary>Where it stands.</summary>
    public AlertState State { get; init; }

    /// <summary>How often it was told.</summary>
    public int Occurrence { get; init; } = 1;

    /// <summary>When it was told last.</summary>
    public required DateTimeOffset ToldAt { get; init; }

    /// <summary>Who acknowledged it.</summary>
    public AlertAction? Acknowledged { get; init; }

    /// <summary>Who silenced it last.</summary>
    public AlertAction? Silenced { get; init; }

    /// <summary>Until when it is not told.</summary>
    public DateTimeOffset? SilencedUntil { get; init; }

    /// <summary>When it was over.</summary>
    public DateTimeOffset? ResolvedAt { get; init; }

    /// <summary>The version that was read.</summary>
    internal string? ETag { get; init; }

    /// <summary>It is told again until somebody acknowledges it.</summary>
    public bool Repeats => Alert.Severity >= AlertSeverity.Warning;

    /// <summary>People need not be told of it now.</summary>
    public bool IsQuiet(DateTimeOffset now) => State != AlertState.Open || SilencedUntil > now;
}

/// <summary>A page of alerts, and where the next one starts.</summary>
public sealed record AlertPage(IReadOnlyList<StoredAlert> Alerts, string? Next);

/// <summary>
/// The alerts in the table <c>Alerts</c>, all in one partition so that an alert and its indexes change together: <c>a|{key}</c> the alert,
/// <c>t|{time}|{key}</c> the order, newest first, <c>o|{key}</c> those that are told again, <c>s|{series}|{key}</c> those of a series that
/// are not over. There are far fewer alerts than a partition bears (<c>docs/decisions/0012-alerts.md</c>).
/// </summary>
public sealed class AlertStore(IEntityStore store, IAuditTrail trail)
{
    internal const string Table = "Alerts";
    internal const string Partition = "alerts";
    internal const int SchemaVersion = 2;

    private const int ScanPages = 5;
    private const int PageSize = 200;
    private const int Attempts = 20;

    /// <summary>The alert of a key.</summary>
    public async Task<StoredAlert?> FindAsync(string key, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, Partition, AlertRow(key), cancellationToken) is { } entity ? Read(entity) : null;

    /// <summary>Keeps a new alert. <see langword="false"/>: it is known.</summary>
    public async Task<bool> AddAsync(StoredAlert alert, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(alert);
        var result = await trail.SubmitAsync(
            EntityTransaction.Of(Table,
            [
                EntityOperation.Insert(ToEntity(alert)),
                EntityOperation.Insert(new Entity(Partition, TimeRow(alert)) { Properties = { ["Key"] = alert.Key } }),
                .. IndexRows(alert).Select(static row => EntityOperation.Insert(row)),
            ]),
            AlertAudit.Of(null, alert), cancellationToken);
        return result.Committed;
    }

    /// <summary>Changes an alert, whoever else does so at the time. <see langword="null"/>: there is none, or the change does not apply.</summary>
    /// <param name="key">Which.</param>
    /// <param name="change">The change; <see langword="null"/> when the alert's state does not allow it. It may be asked several times.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<StoredAlert?> UpdateAsync(string key, Func<StoredAlert, StoredAlert?> change, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(change);
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            if (await FindAsync(key, cancellationToken) is not { } before || change(before) is not { } after)
            {
                return null;
            }

            if (after == before)
            {
                return before;
            }

            var (had, has) = (IndexRows(before).Select(static row => row.RowKey).ToHashSet(), IndexRows(after).ToDictionary(static row => row.RowKey));
            var result = await trail.SubmitAsync(
                EntityTransaction.Of(Table,
                [
                    EntityOperation.Replace(ToEntity(after), before.ETag),
                    .. had.Where(row => !has.ContainsKey(row)).Select(static row => EntityOperation.Delete(Partition, row)),
                    .. has.Where(row => !had.Contains(row.Key)).Select(static row => EntityOperation.Upsert(row.Value)),
                ]),
                AlertAudit.Of(before, after), cancellationToken);
            if (result.Committed)
            {
                return after with { ETag = result.ETags[0] };
            }
        }

        throw new EntityStoreException("An alert is changed by others again and again.");
    }

    /// <summary>The alerts that are told again until somebody acknowledges them.</summary>
    public async Task<IReadOnlyList<StoredAlert>> RepeatingAsync(CancellationToken cancellationToken)
    {
        var alerts = new List<StoredAlert>();
        foreach (var row in await AllAsync("o|", cancellationToken))
        {
            if (await FindAsync(row.Properties.Require<string>("Key"), cancellationToken) is { } alert)
            {
                alerts.Add(alert);
            }
        }

        return alerts;
    }

    /// <summary>The alerts of a series that are not over: their keys and ranks.</summary>
    public async Task<IReadOnlyList<(string Key, int Rank)>> SeriesAsync(string series, CancellationToken cancellationToken) =>
        [.. (await AllAsync($"s|{Hash(series)}|", cancellationToken)).Select(static row =>
            (row.Properties.Require<string>("Key"), row.Properties.Require<int>("Rank")))];

    /// <summary>Ends the alerts of a series whose rank fits: they are not told any more.</summary>
    public async Task ResolveAsync(string series, Func<int, bool> fits, DateTimeOffset now, CancellationToken cancellationToken)
    {
        foreach (var (key, rank) in await SeriesAsync(series, cancellationToken))
        {
            if (fits(rank))
            {
                await UpdateAsync(key, alert => alert with { State = AlertState.Resolved, ResolvedAt = alert.ResolvedAt ?? now }, cancellationToken);
            }
        }
    }

    /// <summary>Alerts that fit, the newest first. It looks at a thousand at most; a page may be short though more follow.</summary>
    public async Task<AlertPage> ListAsync(Func<StoredAlert, bool> fits, int limit, string? after, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(fits);
        var found = new List<StoredAlert>();
        var range = RowKeyRange.StartingWith("t|");
        var from = after is null ? range.From : after + "!";
        for (var page = 0; page < ScanPages; page++)
        {
            var rows = await store.QueryAsync(Table, Partition, range with { From = from }, PageSize, null, cancellationToken);
            foreach (var row in rows.Entities)
            {
                from = row.RowKey + "!";
                if (await FindAsync(row.Properties.Require<string>("Key"), cancellationToken) is { } alert && fits(alert))
                {
                    found.Add(alert);
                    if (found.Count == limit)
                    {
                        return new(found, row.RowKey);
                    }
                }
            }

            if (rows.Continuation is null)
            {
                return new(found, null);
            }
        }

        return new(found, from![..^1]);
    }

    /// <summary>Forgets alerts that arose before a moment and need nobody any more, at most a thousand at once.</summary>
    public async Task PruneAsync(DateTimeOffset before, CancellationToken cancellationToken)
    {
        var range = RowKeyRange.StartingWith("t|") with { From = $"t|{Descending(before)}" };
        var rows = await store.QueryAsync(Table, Partition, range, 1000, null, cancellationToken);
        foreach (var row in rows.Entities)
        {
            var key = row.Properties.Require<string>("Key");
            if (await FindAsync(key, cancellationToken) is { } alert && (alert.State != AlertState.Open || !alert.Repeats))
            {
                // Its messages and documents first: a crash in between leaves the alert, from which the next run finds the rest.
                foreach (var messages in (await AllAsync($"m|{key}|", cancellationToken)).Concat(await AllAsync($"n|{key}-", cancellationToken)).Chunk(100))
                {
                    await store.SubmitAsync(
                        EntityTransaction.Of(Table, [.. messages.Select(static message => EntityOperation.Delete(Partition, message.RowKey))]), cancellationToken);
                }

                await AlertDocuments.RemoveAsync(store, key, cancellationToken);
                await store.SubmitAsync(
                    EntityTransaction.Of(Table,
                    [
                        EntityOperation.Delete(Partition, AlertRow(key), alert.ETag), EntityOperation.Delete(Partition, row.RowKey),
                        .. IndexRows(alert).Select(static index => EntityOperation.Delete(Partition, index.RowKey)),
                    ]),
                    cancellationToken);
            }
        }
    }

    /// <summary>A short name of a text in row keys.</summary>
    internal static string Hash(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)).AsSpan(0, 16));

    /// <summary>All rows of a prefix.</summary>
    internal async Task<IReadOnlyList<Entity>> AllAsync(string prefix, CancellationToken cancellationToken)
    {
        var rows = new List<Entity>();
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, Partition, RowKeyRange.StartingWith(prefix), 1000, continuation, cancellationToken);
            rows.AddRange(page.Entities);
            continuation = page.Continuation;
        }
        while (continuation is not null);
        return rows;
    }

    private static IEnumerable<Entity> IndexRows(StoredAlert alert)
    {
        if (alert is { State: AlertState.Open, Repeats: true })
        {
            yield return new(Partition, $"o|{alert.Key}") { Properties = { ["Key"] = alert.Key } };
        }

        if (alert is { State: not AlertState.Resolved, Alert.Series: { } series })
        {
            yield return new(Partition, $"s|{Hash(series)}|{alert.Key}") { Properties = { ["Key"] = alert.Key, ["Rank"] = alert.Alert.Rank } };
        }
    }

    private static string AlertRow(string key) => $"a|{key}";

    private static string TimeRow(StoredAlert alert) => $"t|{Descending(alert.Alert.OccurredAt)}|{alert.Key}";

    private static string Descending(DateTimeOffset moment) =>
        (DateTimeOffset.MaxValue.UtcTicks - moment.UtcTicks).ToString("D19", CultureInfo.InvariantCulture);

    private static Entity ToEntity(StoredAlert alert) => new(Partition, AlertRow(alert.Key))
    {
        Properties =
        {
            ["Schema"] = SchemaVersion,
            ["Type"] = alert.Alert.Type,
            ["Severity"] = alert.Alert.Severity.ToString(),
            ["OccurredAt"] = alert.Alert.OccurredAt,
            ["Alert"] = JsonSerializer.SerializeToUtf8Bytes(alert.Alert, AlertJson.Default.AlertMessage),
            ["State"] = alert.State.ToString(),
            ["Occurrence"] = alert.Occurrence,
            ["ToldAt"] = alert.ToldAt,
            ["AcknowledgedAt"] = alert.Acknowledged?.At,
            ["AcknowledgedBy"] = alert.Acknowledged?.By,
            ["AcknowledgedFor"] = alert.Acknowledged?.Reason,
            ["SilencedAt"] = alert.Silenced?.At,
            ["SilencedBy"] = alert.Silenced?.By,
            ["SilencedFor"] = alert.Silenced?.Reason,
            ["SilencedUntil"] = alert.SilencedUntil,
            ["ResolvedAt"] = alert.ResolvedAt,
        },
    };

    private static StoredAlert Read(Entity entity)
    {
        var properties = entity.Properties;
        return new()
        {
            Key = entity.RowKey[2..],
            Alert = JsonSerializer.Deserialize(properties.Require<byte[]>("Alert"), AlertJson.Default.AlertMessage)
                ?? throw new InvalidDataException($"Alert {entity.RowKey} has no content."),
            State = Enum.Parse<AlertState>(properties.Require<string>("State")),
            Occurrence = properties.Require<int>("Occurrence"),
            ToldAt = properties.Require<DateTimeOffset>("ToldAt"),
            Acknowledged = Action("Acknowledged"),
            Silenced = Action("Silenced"),
            SilencedUntil = Moment("SilencedUntil"),
            ResolvedAt = Moment("ResolvedAt"),
            ETag = entity.ETag,
        };

        AlertAction? Action(string what) => Moment(what + "At") is { } at
            ? new(at, properties.Require<string>(what + "By"), properties.Get<string>(what + "For"))
            : null;

        DateTimeOffset? Moment(string name) => properties.TryGetValue(name, out var value) ? (DateTimeOffset?)value : null;
    }
}
