using System.Security.Cryptography;
using System.Text;
using DingFlow.Storage;

namespace DingFlow.DingTalk;

/// <summary>
/// The stored map of who is who. Sixteen partitions per tenant hold two kinds of rows: <c>u|…</c> a person under a digest of the user id
/// (which is stored, the digest only makes it fit for a key), and <c>j|…</c> / <c>m|…</c> from the keyed hash of an employee number or
/// e-mail address to a person. Neither names nor addresses nor telephone numbers are stored.
/// </summary>
internal sealed class DirectoryMap(IEntityStore store, ReadOnlyMemory<byte>? secret, TimeProvider time)
{
    public const string Table = "DingTalkDirectory";

    private const int SchemaVersion = 1;
    private const int PageSize = 1000;
    private const int KeyBytes = 32;
    private const string ShardDigits = "0123456789abcdef";

    /// <summary>How long somebody who left stays known: as evidence, and not longer than DingTalk's own leave records can be asked for, and a month.</summary>
    private static readonly TimeSpan Retention = TimeSpan.FromDays(395);

    private byte[]? _key;

    /// <summary>The person of a user id, as last seen.</summary>
    public async Task<DirectoryEntry?> GetAsync(string tenant, string userId, CancellationToken cancellationToken)
    {
        var digest = Digest(userId);
        var row = await store.GetAsync(Table, Partition(tenant, digest), $"u|{digest}", cancellationToken);
        return row is null ? null : ReadEntry(tenant, row);
    }

    /// <summary>Everybody who is remembered.</summary>
    public async IAsyncEnumerable<DirectoryEntry> AllAsync(
        string tenant, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var shard in ShardDigits)
        {
            await foreach (var row in QueryAsync(Partition(tenant, [shard]), "u|", cancellationToken))
            {
                yield return ReadEntry(tenant, row);
            }
        }
    }

    /// <summary>All people that any of the identifiers leads to.</summary>
    public async Task<IReadOnlyList<DirectoryEntry>> FindAsync(
        string tenant, string? jobNumber, string? email, CancellationToken cancellationToken)
    {
        var key = await KeyAsync(cancellationToken);
        var identifiers = Identifiers(key, tenant, jobNumber, [email]).ToList();
        var userIds = (await Task.WhenAll(identifiers.Select(id => UserIdsAsync(tenant, id, cancellationToken))))
            .SelectMany(static ids => ids).Distinct(StringComparer.Ordinal);
        var entries = await Task.WhenAll(userIds.Select(userId => GetAsync(tenant, userId, cancellationToken)));
        return [.. entries.OfType<DirectoryEntry>()];
    }

    /// <summary>Brings the map to what the contact list shows now. Running it again changes nothing but the times.</summary>
    public async Task SaveAsync(string tenant, IReadOnlyCollection<DingTalkUser> users, CancellationToken cancellationToken)
    {
        var key = await KeyAsync(cancellationToken);
        var now = time.GetUtcNow();
        var known = await ReadPeopleAsync(tenant, cancellationToken);
        var (identifiers, people, stale) = (new List<EntityOperation>(), new List<EntityOperation>(), new List<EntityOperation>());
        foreach (var user in users)
        {
            var current = Identifiers(key, tenant, user.JobNumber, [user.Email, user.OrgEmail]).Distinct(StringComparer.Ordinal).ToList();
            identifiers.AddRange(current.Select(id => EntityOperation.Upsert(IdentifierRow(tenant, id, user.UserId))));
            people.Add(EntityOperation.Upsert(PersonRow(tenant, user, current, now)));
            if (known.Remove(user.UserId, out var before))
            {
                stale.AddRange(ReadIdentifiers(before).Except(current).Select(id => DeleteIdentifier(tenant, id, user.UserId)));
            }
        }

        foreach (var (userId, row) in known.Where(left => now - left.Value.Require<DateTimeOffset>("SeenAt") > Retention))
        {
            stale.AddRange(ReadIdentifiers(row).Select(id => DeleteIdentifier(tenant, id, userId)));
            people.Add(EntityOperation.Delete(Partition(tenant, Digest(userId)), $"u|{Digest(userId)}"));
        }

        // People come last: a row that still names its old identifiers makes the next run repeat what this one did not finish.
        await SubmitAsync(identifiers, EntityLimits.OperationsPerTransaction, cancellationToken);
        await SubmitAsync(stale, 1, cancellationToken);
        await SubmitAsync(people.Where(static o => o.Kind == EntityOperationKind.Upsert), EntityLimits.OperationsPerTransaction, cancellationToken);
        await SubmitAsync(people.Where(static o => o.Kind == EntityOperationKind.Delete), 1, cancellationToken);
    }

    private async Task SubmitAsync(IEnumerable<EntityOperation> operations, int perTransaction, CancellationToken cancellationToken)
    {
        var transactions = operations.GroupBy(static o => o.Entity.PartitionKey, StringComparer.Ordinal)
            .SelectMany(partition => partition.Chunk(perTransaction))
            .Select(static chunk => new EntityTransaction(Table, chunk)).ToList();
        if (transactions.Count == 0)
        {
            return;
        }

        // An upsert cannot be refused; a deletion finds its row gone when another instance was quicker, which is as well.
        var results = await store.SubmitManyAsync(transactions, cancellationToken);
        if (results.FirstOrDefault(static r => r.Outcome is not (TransactionOutcome.Committed or TransactionOutcome.NotFound)) is { } refused)
        {
            throw new EntityStoreException($"The map of who is who could not be written: {refused.Outcome}.");
        }
    }

    private async Task<Dictionary<string, EntityProperties>> ReadPeopleAsync(string tenant, CancellationToken cancellationToken)
    {
        var people = new Dictionary<string, EntityProperties>(StringComparer.Ordinal);
        foreach (var shard in ShardDigits)
        {
            await foreach (var row in QueryAsync(Partition(tenant, [shard]), "u|", cancellationToken))
            {
                people[row.Properties.Require<string>("UserId")] = row.Properties;
            }
        }

        return people;
    }

    private async Task<List<string>> UserIdsAsync(string tenant, string identifier, CancellationToken cancellationToken)
    {
        var userIds = new List<string>();
        await foreach (var row in QueryAsync(Partition(tenant, identifier.AsSpan(2)), $"{identifier}|", cancellationToken))
        {
            userIds.Add(row.Properties.Require<string>("UserId"));
        }

        return userIds;
    }

    private async IAsyncEnumerable<Entity> QueryAsync(
        string partition, string prefix, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(
                Table, partition, RowKeyRange.StartingWith(prefix), PageSize, continuation, cancellationToken);
            foreach (var entity in page.Entities)
            {
                yield return entity;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    /// <summary>The key of the hashes: derived from the configured secret, or made once and kept in the table.</summary>
    private async Task<byte[]> KeyAsync(CancellationToken cancellationToken)
    {
        if (_key is { } key)
        {
            return key;
        }

        if (secret is { } configured)
        {
            return _key = HKDF.DeriveKey(HashAlgorithmName.SHA256, configured.ToArray(), KeyBytes, info: "dingflow/dingtalk-directory/1"u8.ToArray());
        }

        var row = await store.GetAsync(Table, "key", "1", cancellationToken);
        if (row is null)
        {
            var made = new Entity("key", "1") { Properties = { ["Key"] = RandomNumberGenerator.GetBytes(KeyBytes), ["V"] = SchemaVersion } };
            await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Insert(made)), cancellationToken);

            // Another instance may have been quicker: what is stored counts.
            row = await store.GetAsync(Table, "key", "1", cancellationToken)
                ?? throw new EntityStoreException("The key of the map of who is who is not there after it was stored.");
        }

        return _key = row.Properties.Require<byte[]>("Key");
    }

    private static IEnumerable<string> Identifiers(byte[] key, string tenant, string? jobNumber, IEnumerable<string?> emails)
    {
        if (!string.IsNullOrWhiteSpace(jobNumber))
        {
            yield return $"j|{Hash(key, 'j', tenant, jobNumber)}";
        }

        foreach (var email in emails.Where(static email => !string.IsNullOrWhiteSpace(email)))
        {
            yield return $"m|{Hash(key, 'm', tenant, email!)}";
        }
    }

    private static string Hash(byte[] key, char kind, string tenant, string identifier) => Hex(HMACSHA256.HashData(
        key, Encoding.UTF8.GetBytes(string.Join('\n', kind, Canonical(tenant), Canonical(identifier)))));

    private static string Digest(string userId) => Hex(SHA256.HashData(Encoding.UTF8.GetBytes(userId)));

    /// <summary>128 bits are far more than two people could share by accident.</summary>
    private static string Hex(byte[] hash) => Convert.ToHexStringLower(hash.AsSpan(0, 16));

    private static string Canonical(string text) => text.Trim().ToLowerInvariant();

    private static string Partition(string tenant, ReadOnlySpan<char> hash) => $"{Canonical(tenant)}|{hash[0]}";

    private static Entity IdentifierRow(string tenant, string identifier, string userId) =>
        new(Partition(tenant, identifier.AsSpan(2)), $"{identifier}|{Digest(userId)}")
        {
            Properties = { ["UserId"] = userId, ["V"] = SchemaVersion },
        };

    private static EntityOperation DeleteIdentifier(string tenant, string identifier, string userId) =>
        EntityOperation.Delete(Partition(tenant, identifier.AsSpan(2)), $"{identifier}|{Digest(userId)}");

    private static Entity PersonRow(string tenant, DingTalkUser user, IReadOnlyList<string> identifiers, DateTimeOffset now)
    {
        var digest = Digest(user.UserId);
        return new(Partition(tenant, digest), $"u|{digest}")
        {
            Properties =
            {
                ["UserId"] = user.UserId,
                ["UnionId"] = user.UnionId,
                ["JobNumber"] = user.JobNumber,
                ["Identifiers"] = string.Join(',', identifiers),
                ["SeenAt"] = now,
                ["V"] = SchemaVersion,
            },
        };
    }

    private static string[] ReadIdentifiers(EntityProperties person) =>
        (person.Get<string>("Identifiers") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries);

    private static DirectoryEntry ReadEntry(string tenant, Entity row) => new()
    {
        Tenant = tenant,
        UserId = row.Properties.Require<string>("UserId"),
        UnionId = row.Properties.Get<string>("UnionId"),
        JobNumber = row.Properties.Get<string>("JobNumber"),
        SeenAt = row.Properties.Require<DateTimeOffset>("SeenAt"),
    };
}
