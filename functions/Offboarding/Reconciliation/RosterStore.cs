using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Offboarding.Guards;
using DingFlow.Storage;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>Somebody on a roster.</summary>
/// <param name="EmployeeId">The HR system's id.</param>
/// <param name="EmailHash">Digest of the company address, by <see cref="RosterStore.DigestOf"/>; the address itself is not kept.</param>
/// <param name="DingTalkUserId">The DingTalk user id, where HR knows it.</param>
/// <param name="LeavesAt">From when on the person no longer works here; <see langword="null"/> when no end is known.</param>
public sealed record RosterPerson(string EmployeeId, Guid? EmailHash, string? DingTalkUserId, DateTimeOffset? LeavesAt)
{
    /// <summary>The person was on the roster before and is no longer.</summary>
    public bool IsDropped { get; init; }

    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(RosterPerson);
}

/// <summary>A roster in force.</summary>
/// <param name="Source">Of which source (<c>hr/{source}</c>).</param>
/// <param name="Version">Its version.</param>
/// <param name="People">How many people it holds.</param>
/// <param name="At">When it was handed in.</param>
/// <param name="By">By whom.</param>
public sealed record RosterHead(string Source, string Version, int People, DateTimeOffset At, string By)
{
    /// <summary>The people, and those who were dropped from the roster not long ago.</summary>
    internal int Rows { get; init; }

    internal string? ETag { get; init; }
}

/// <summary>How putting a roster in force ended.</summary>
public enum RosterOutcome
{
    /// <summary>It is in force.</summary>
    InForce,

    /// <summary>It holds so many people fewer than the one before that it is more likely a fault.</summary>
    Shrunk,

    /// <summary>Another one was put in force meanwhile.</summary>
    Overtaken,
}

/// <summary>
/// The rosters of the HR sources. Table <c>OffboardingRosters</c>: partition <c>heads</c>, a row per source, says which version is in force;
/// the people of a version lie in a partition of their own, many to a row. A version that is not in force is nobody's; those that a dead
/// process left are removed with the next roster.
/// </summary>
public sealed class RosterStore(IEntityStore store, IAuditTrail trail, TimeProvider time) : IRosterSizes
{
    private const string Table = "OffboardingRosters";
    private const string Heads = "heads";
    private const int PeoplePerRow = 400;

    /// <summary>Rows carry their number in seven digits.</summary>
    internal const int MaximumPeople = 1_000_000;

    /// <summary>The digest under which an address is compared; upper and lower case and space around it do not matter.</summary>
    public static Guid DigestOf(string email)
    {
        ArgumentNullException.ThrowIfNull(email);
        return new(SHA256.HashData(Encoding.UTF8.GetBytes("roster-email:" + email.Trim().ToLowerInvariant())).AsSpan(0, 16));
    }

    /// <inheritdoc/>
    public async Task<int?> SizeOfAsync(string source, CancellationToken cancellationToken) => (await FindAsync(source, cancellationToken))?.People;

    /// <summary>The roster of a source that is in force; <see langword="null"/> when there is none.</summary>
    public async Task<RosterHead?> FindAsync(string source, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, Heads, RowOf(source), cancellationToken) is { } row ? ReadHead(row) : null;

    /// <summary>Every roster in force.</summary>
    public async Task<IReadOnlyList<RosterHead>> ListAsync(CancellationToken cancellationToken)
    {
        var heads = new List<RosterHead>();
        await foreach (var row in RowsAsync(Heads, cancellationToken))
        {
            if (row.Properties.ContainsKey("Version"))
            {
                heads.Add(ReadHead(row));
            }
        }

        return heads;
    }

    /// <summary>The people of a roster; <see langword="null"/> when another one was put in force meanwhile.</summary>
    public async Task<IReadOnlyList<RosterPerson>?> ReadAsync(RosterHead head, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(head);
        var people = new List<RosterPerson>(head.People);
        await foreach (var row in RowsAsync(PartitionOf(head.Source, head.Version), cancellationToken))
        {
            Unpack(row.Properties.Require<byte[]>("People"), people);
        }

        return people.Count == head.Rows ? people : null;
    }

    /// <summary>Begins a roster, which is not in force before <see cref="CommitAsync"/>.</summary>
    public async Task<RosterDraft> BeginAsync(string source, string by, CancellationToken cancellationToken)
    {
        var draft = new RosterDraft(source, Guid.CreateVersion7(time.GetUtcNow()).ToString("N"), by, await FindAsync(source, cancellationToken));
        await store.SubmitAsync(
            EntityTransaction.Of(Table, EntityOperation.Insert(new Entity(DraftsOf(source), draft.Version) { Properties = new() { ["BegunAt"] = time.GetUtcNow() } })),
            cancellationToken);
        return draft;
    }

    /// <summary>Adds a person.</summary>
    public async Task AddAsync(RosterDraft draft, RosterPerson person, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(draft);
        draft.Waiting.Add(person);
        draft.Rows++;
        draft.People += person.IsDropped ? 0 : 1;
        if (draft.Waiting.Count == PeoplePerRow)
        {
            await FlushAsync(draft, cancellationToken);
        }
    }

    /// <summary>Puts the roster in force in place of the one that was when it was begun.</summary>
    /// <param name="draft">The roster.</param>
    /// <param name="mostShrinkPercent">By how many percent it may be smaller than the one before.</param>
    /// <param name="inForce">What the audit trail says of it, exactly if it is in force then.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task<RosterOutcome> CommitAsync(RosterDraft draft, int mostShrinkPercent, AuditEvent inForce, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(draft);
        if (draft.Before is { } before && (long)draft.People * 100 < (long)before.People * (100 - mostShrinkPercent))
        {
            return RosterOutcome.Shrunk;
        }

        await FlushAsync(draft, cancellationToken);
        var head = new Entity(Heads, RowOf(draft.Source))
        {
            Properties = new()
            {
                ["Schema"] = 1, ["Source"] = draft.Source, ["Version"] = draft.Version, ["People"] = draft.People, ["Rows"] = draft.Rows,
                ["At"] = time.GetUtcNow(), ["By"] = draft.By,
            },
        };
        var operation = draft.Before is null ? EntityOperation.Insert(head) : EntityOperation.Replace(head, draft.Before.ETag);
        return (await trail.SubmitAsync(EntityTransaction.Of(Table, operation), [inForce], cancellationToken)).Committed
            ? RosterOutcome.InForce
            : RosterOutcome.Overtaken;
    }

    /// <summary>Removes what is not in force of a source: what came before, was refused, or was left by a dead process.</summary>
    public async Task CleanAsync(string source, CancellationToken cancellationToken)
    {
        var current = (await FindAsync(source, cancellationToken))?.Version;
        var now = time.GetUtcNow();
        await foreach (var draft in RowsAsync(DraftsOf(source), cancellationToken))
        {
            // Another one may be on its way: a request does not take an hour.
            var isRecent = now - draft.Properties.Require<DateTimeOffset>("BegunAt") < TimeSpan.FromHours(1);
            if (draft.RowKey == current || (isRecent && string.CompareOrdinal(draft.RowKey, current) > 0))
            {
                continue;
            }

            var deletions = new List<EntityTransaction>();
            await foreach (var row in RowsAsync(PartitionOf(source, draft.RowKey), cancellationToken))
            {
                deletions.Add(EntityTransaction.Of(Table, EntityOperation.Delete(row.PartitionKey, row.RowKey)));
            }

            if (deletions.Count > 0)
            {
                await store.SubmitManyAsync(deletions, cancellationToken);
            }

            await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Delete(DraftsOf(source), draft.RowKey)), cancellationToken);
        }
    }

    private async Task FlushAsync(RosterDraft draft, CancellationToken cancellationToken)
    {
        if (draft.Waiting.Count == 0)
        {
            return;
        }

        var row = new Entity(PartitionOf(draft.Source, draft.Version), string.Create(CultureInfo.InvariantCulture, $"{draft.Chunks:D7}"))
        {
            Properties = new() { ["People"] = Pack(draft.Waiting) },
        };
        await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Upsert(row)), cancellationToken);
        draft.Chunks++;
        draft.Waiting.Clear();
    }

    private static byte[] Pack(List<RosterPerson> people)
    {
        using var bytes = new MemoryStream();
        using var writer = new BinaryWriter(bytes, Encoding.UTF8);
        foreach (var person in people)
        {
            writer.Write(person.EmployeeId);
            writer.Write(person.EmailHash is not null);
            if (person.EmailHash is { } hash)
            {
                writer.Write(hash.ToByteArray());
            }

            writer.Write(person.DingTalkUserId ?? "");
            writer.Write(person.LeavesAt?.UtcTicks ?? 0);
            writer.Write(person.IsDropped);
        }

        writer.Flush();
        return bytes.ToArray();
    }

    private static void Unpack(byte[] bytes, List<RosterPerson> people)
    {
        using var reader = new BinaryReader(new MemoryStream(bytes), Encoding.UTF8);
        while (reader.BaseStream.Position < bytes.Length)
        {
            var employeeId = reader.ReadString();
            Guid? hash = reader.ReadBoolean() ? new Guid(reader.ReadBytes(16)) : null;
            var userId = reader.ReadString();
            var leavesAt = reader.ReadInt64();
            people.Add(new(employeeId, hash, userId.Length == 0 ? null : userId, leavesAt == 0 ? null : new DateTimeOffset(leavesAt, TimeSpan.Zero))
            {
                IsDropped = reader.ReadBoolean(),
            });
        }
    }

    private async IAsyncEnumerable<Entity> RowsAsync(
        string partition, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, partition, AuditOutbox.RowsBefore(), 200, continuation, cancellationToken);
            foreach (var row in page.Entities)
            {
                yield return row;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    private static RosterHead ReadHead(Entity row) => new(
        row.Properties.Require<string>("Source"), row.Properties.Require<string>("Version"), row.Properties.Require<int>("People"),
        row.Properties.Require<DateTimeOffset>("At"), row.Properties.Require<string>("By"))
    {
        Rows = row.Properties.Require<int>("Rows"), ETag = row.ETag,
    };

    private static string RowOf(string source) => PersonKey.Escape(source);

    private static string DraftsOf(string source) => "drafts|" + PersonKey.Escape(source);

    private static string PartitionOf(string source, string version) => $"people|{PersonKey.Escape(source)}|{version}";
}

/// <summary>A roster that is being handed in.</summary>
public sealed class RosterDraft
{
    internal RosterDraft(string source, string version, string by, RosterHead? before) => (Source, Version, By, Before) = (source, version, by, before);

    /// <summary>Of which source.</summary>
    public string Source { get; }

    /// <summary>How many people so far.</summary>
    public int People { get; internal set; }

    internal int Rows { get; set; }

    internal string Version { get; }

    internal string By { get; }

    internal RosterHead? Before { get; }

    internal List<RosterPerson> Waiting { get; } = [];

    internal int Chunks { get; set; }
}
