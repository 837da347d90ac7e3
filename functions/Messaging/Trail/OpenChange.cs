using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// A change of another store that is about to be made. No transaction holds both that store and the trail, so the journal keeps it until an
/// entry says what came of it (<see cref="ChangeJournal"/>).
/// </summary>
public sealed record IntendedChange
{
    /// <summary>The kind of the entry that says it is about to be made.</summary>
    public required AuditKind Begun { get; init; }

    /// <summary>What is asked of the other store when nobody is left who knows what came of it; an <see cref="IChangeSettler"/> knows it. Stored: it never changes its meaning.</summary>
    public required string Question { get; init; }

    /// <summary>What is asked about: opaque ids and pseudonyms, no personal data.</summary>
    public required IReadOnlyList<string> Arguments { get; init; }

    /// <summary>The entries that it becomes, one or more, as they are before anything is known of how it ended.</summary>
    public required IReadOnlyList<AuditEvent> Events { get; init; }
}

/// <summary>What another store says became of a change whose process ended within it.</summary>
/// <param name="Outcome">Succeeded when the store holds it, wholly or in part; failed when it does not.</param>
/// <param name="Found">What the store holds, for the details of the entry.</param>
public sealed record ChangeSettlement(AuditOutcome Outcome, IReadOnlyDictionary<string, string> Found);

/// <summary>Asks another store what became of a change.</summary>
public interface IChangeSettler
{
    /// <summary>Whether it answers this <see cref="IntendedChange.Question"/>.</summary>
    bool Knows(string question);

    /// <summary>
    /// What the store really holds of it. Nobody makes the change any more; what it left half done may be finished. <see langword="null"/>
    /// when that cannot be told now: it is asked again.
    /// </summary>
    /// <param name="question">Which question.</param>
    /// <param name="arguments">About what.</param>
    /// <param name="begunAt">When the change was begun, UTC.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="EntityStoreException">The store is down: it is asked again.</exception>
    Task<ChangeSettlement?> SettleAsync(string question, IReadOnlyList<string> arguments, DateTimeOffset begunAt, CancellationToken cancellationToken);
}

/// <summary>
/// A change as it lies in the journal: table <c>AuditTrail</c>, partition <c>changes</c>, a row until its outcome is in the trail. A change
/// that was settled leaves its row for a day, so that a process which only slept finds out.
/// </summary>
internal sealed record OpenChange
{
    public const string Partition = "changes";
    private const int SchemaVersion = 1;

    public required string Id { get; init; }

    /// <summary>The process that makes it; another one of the same name is another owner.</summary>
    public required string Owner { get; init; }

    public required DateTimeOffset BegunAt { get; init; }

    /// <summary>Until then its owner is taken to be alive.</summary>
    public required DateTimeOffset LeaseUntil { get; init; }

    public bool IsSettled { get; init; }

    public required OpenChangeContent Content { get; init; }

    public string? ETag { get; init; }

    /// <exception cref="InvalidDataException">It is damaged.</exception>
    /// <exception cref="JsonException">It is damaged.</exception>
    public static OpenChange Read(Entity row) => new()
    {
        Id = row.RowKey,
        Owner = row.Properties.Require<string>("Owner"),
        BegunAt = row.Properties.Require<DateTimeOffset>("BegunAt"),
        LeaseUntil = row.Properties.Require<DateTimeOffset>("LeaseUntil"),
        IsSettled = row.Properties.Require<bool>("Settled"),
        Content = JsonSerializer.Deserialize(InboxPayload.JoinChunks(row.Properties), OpenChangeJson.Default.OpenChangeContent)
            ?? throw new InvalidDataException("An open change is empty."),
        ETag = row.ETag,
    };

    public Entity ToRow()
    {
        var row = new Entity(Partition, Id)
        {
            ETag = ETag,
            Properties =
            {
                ["Schema"] = SchemaVersion, ["Owner"] = Owner, ["BegunAt"] = BegunAt, ["LeaseUntil"] = LeaseUntil, ["Settled"] = IsSettled,
            },
        };
        InboxPayload.AddChunks(row.Properties, JsonSerializer.SerializeToUtf8Bytes(Content, OpenChangeJson.Default.OpenChangeContent));
        return row;
    }

    /// <summary>The events that say it is about to be made.</summary>
    /// <param name="resumed">Once more: it had been settled, and its process goes on.</param>
    public IReadOnlyList<AuditEvent> Begun(bool resumed = false) =>
    [
        .. Content.Events.Select(about =>
        {
            var said = about.ToEvent(Id);
            var details = new Dictionary<string, string>(said.Details) { ["kind"] = about.Kind };
            if (resumed)
            {
                details["resumed"] = "true";
            }

            return said with { Kind = new(Content.BegunKind, Content.BegunRetention, ""), Details = details };
        }),
    ];

    /// <summary>The events that say what came of it.</summary>
    public IReadOnlyList<AuditEvent> Ended(AuditOutcome outcome, IEnumerable<KeyValuePair<string, string>> found) =>
    [
        .. Content.Events.Select(about =>
        {
            var said = about.ToEvent(Id);
            var details = new Dictionary<string, string>(said.Details);
            foreach (var (name, value) in found)
            {
                details[name] = value;
            }

            return said with { Outcome = outcome, Details = details };
        }),
    ];
}

/// <summary>What an open change says.</summary>
internal sealed record OpenChangeContent
{
    public required string BegunKind { get; init; }

    public required AuditRetention BegunRetention { get; init; }

    public required string Question { get; init; }

    public required IReadOnlyList<string> Arguments { get; init; }

    public required IReadOnlyList<OpenChangeEvent> Events { get; init; }

    public static OpenChangeContent Of(IntendedChange intended, DateTimeOffset now) => new()
    {
        BegunKind = intended.Begun.Name,
        BegunRetention = intended.Begun.Retention,
        Question = intended.Question,
        Arguments = intended.Arguments,
        Events = [.. intended.Events.Select(said => new OpenChangeEvent(said.Kind.Name, said.Kind.Retention, AuditContent.Of(said, now)))],
    };
}

/// <summary>An entry that an open change becomes.</summary>
internal sealed record OpenChangeEvent(string Kind, AuditRetention Retention, AuditContent Content)
{
    public AuditEvent ToEvent(string change) => new()
    {
        Kind = new(Kind, Retention, ""),
        Actor = Content.Actor,
        Payload = Content.PayloadHash is { } hash ? PayloadHash.FromHex(hash) : PayloadHash.None,
        On = Content.On,
        CaseId = Content.CaseId,
        Subject = Content.Subject,
        Exporter = Content.Exporter,
        Reason = Content.Reason,
        RequestId = Content.RequestId,
        Details = new Dictionary<string, string>(Content.Details ?? new Dictionary<string, string>()) { ["change"] = change },
    };
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(WordConverter<AuditActorType>), typeof(WordConverter<AuditOutcome>), typeof(WordConverter<AuditRetention>)])]
[JsonSerializable(typeof(OpenChangeContent))]
internal sealed partial class OpenChangeJson : JsonSerializerContext;
