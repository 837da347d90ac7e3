using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Signals;

/// <summary>How far a signal has come on its way to one subscriber.</summary>
internal enum SignalState
{
    /// <summary>Not delivered yet.</summary>
    Pending,

    /// <summary>The subscriber took it.</summary>
    Delivered,

    /// <summary>Every attempt failed.</summary>
    GivenUp,

    /// <summary>It is not true any more: the accounts were given back before the subscriber could be told that they are disabled.</summary>
    Superseded,

    /// <summary>Nothing is known of the person by which this subscriber knows people.</summary>
    NoSubject,
}

/// <summary>A signal on its way to one subscriber.</summary>
internal sealed record SignalProgress
{
    public required string Key { get; init; }

    public required string Subscriber { get; init; }

    public required SignalState State { get; init; }

    public required string CaseId { get; init; }

    public required AccountSignalKind Kind { get; init; }

    /// <summary>The token's <c>jti</c>: the same for every attempt, so that a receiver recognises a repetition.</summary>
    public required string Jti { get; init; }

    public int Attempts { get; init; }

    public DateTimeOffset? NextAt { get; init; }

    /// <summary>The claims, encrypted; gone when the signal is.</summary>
    public byte[]? Claims { get; init; }

    public string? KeyId { get; init; }

    /// <summary>SHA-256 of the claims, lower-case hexadecimal: what the subscriber was told, for the evidence.</summary>
    public string? ClaimsHash { get; init; }

    public string? ETag { get; init; }
}

/// <summary>
/// The table <c>Signals</c>: <c>{key}|{subscriber}</c> the progress of a signal, in a partition by its key; in the partition
/// <c>subscribers</c>, since when a subscriber fails.
/// </summary>
internal sealed class SignalRecords(IEntityStore store, IAuditTrail trail)
{
    private const string Table = "Signals";
    private const string Subscribers = "subscribers";

    /// <summary>The name of a signal in keys and message ids.</summary>
    public static string KeyOf(AccountSignal signal) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes($"{signal.Kind}\n{signal.CaseId}")).AsSpan(0, 16));

    public async Task<SignalProgress?> FindAsync(string key, string subscriber, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, PartitionOf(key), RowOf(key, subscriber), cancellationToken) is { } entity ? Read(key, subscriber, entity) : null;

    /// <summary>Stores a new one; it is there already when somebody else was faster.</summary>
    public Task AddAsync(SignalProgress progress, CancellationToken cancellationToken) =>
        store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(Write(progress))), cancellationToken);

    /// <summary>Stores how far it has come, with the event that tells of it. <see langword="false"/>: another delivery of the same message was faster.</summary>
    public async Task<bool> SaveAsync(SignalProgress progress, AuditEvent? auditEvent, CancellationToken cancellationToken)
    {
        var transaction = EntityTransaction.Of(Table, EntityOperation.Replace(Write(progress)));
        return (auditEvent is null
            ? await store.SubmitAsync(transaction, cancellationToken)
            : await trail.SubmitAsync(transaction, [auditEvent], cancellationToken)).Committed;
    }

    /// <summary>Since when pushes to a subscriber have failed in a row; <see langword="null"/> when the last one worked.</summary>
    public async Task<DateTimeOffset?> FailingSinceAsync(SignalSubscriber subscriber, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, Subscribers, subscriber.Name, cancellationToken) is { } entity ? entity.Properties.Require<DateTimeOffset>("Since") : null;

    public async Task RecordFailureAsync(SignalSubscriber subscriber, DateTimeOffset now, CancellationToken cancellationToken)
    {
        // The first of a row counts; AlreadyExists is not the first.
        await store.SubmitAsync(
            EntityTransaction.Of(Table, EntityOperation.Insert(new Entity(Subscribers, subscriber.Name) { Properties = { ["Since"] = now } })), cancellationToken);
    }

    public async Task RecordSuccessAsync(SignalSubscriber subscriber, CancellationToken cancellationToken)
    {
        if (await store.GetAsync(Table, Subscribers, subscriber.Name, cancellationToken) is not null)
        {
            await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete(Subscribers, subscriber.Name)), cancellationToken);
        }
    }

    private static string PartitionOf(string key) => key[..1];

    private static string RowOf(string key, string subscriber) => $"{key}|{subscriber}";

    private static Entity Write(SignalProgress progress) => new(PartitionOf(progress.Key), RowOf(progress.Key, progress.Subscriber))
    {
        ETag = progress.ETag,
        Properties =
        {
            ["Schema"] = 1,
            ["State"] = progress.State.ToString(),
            ["CaseId"] = progress.CaseId,
            ["Kind"] = progress.Kind.ToString(),
            ["Jti"] = progress.Jti,
            ["Attempts"] = progress.Attempts,
            ["NextAt"] = progress.NextAt,
            ["Claims"] = progress.Claims,
            ["KeyId"] = progress.KeyId,
            ["ClaimsHash"] = progress.ClaimsHash,
        },
    };

    private static SignalProgress Read(string key, string subscriber, Entity entity) => new()
    {
        Key = key,
        Subscriber = subscriber,
        State = Enum.Parse<SignalState>(entity.Properties.Require<string>("State")),
        CaseId = entity.Properties.Require<string>("CaseId"),
        Kind = Enum.Parse<AccountSignalKind>(entity.Properties.Require<string>("Kind")),
        Jti = entity.Properties.Require<string>("Jti"),
        Attempts = entity.Properties.Require<int>("Attempts"),
        NextAt = entity.Properties.Get<DateTimeOffset?>("NextAt"),
        Claims = entity.Properties.Get<byte[]>("Claims"),
        KeyId = entity.Properties.Get<string>("KeyId"),
        ClaimsHash = entity.Properties.Get<string>("ClaimsHash"),
        ETag = entity.ETag,
    };
}
