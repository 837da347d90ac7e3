using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Scim;

/// <summary>A user as it is stored.</summary>
/// <param name="Id">The opaque id that providers know.</param>
/// <param name="User">The user.</param>
/// <param name="ETag">The stored version.</param>
/// <param name="KeyId">The key under which it was written.</param>
internal sealed record StoredScimUser(string Id, ScimUser User, string ETag, string KeyId);

/// <summary>Who has, or had, a user name.</summary>
/// <param name="Row">The row that says so.</param>
/// <param name="Id">The user.</param>
/// <param name="IsRemoved">The user was removed; the row remembers that there was one.</param>
/// <param name="Transition">The removed user's <see cref="ScimUser.Transition"/>.</param>
/// <param name="ETag">The stored version of the row.</param>
internal sealed record ScimNameClaim(string Row, string Id, bool IsRemoved, int Transition, string ETag);

/// <summary>
/// The rows of the table <c>ScimUsers</c>, one partition for each source: <c>u|{id}</c> a user, encrypted, in the order of creation;
/// <c>n|{hash}</c> who has the user name, which makes it unique; <c>x|{hash}|{id}</c> and <c>e|{hash}|{id}</c> who has the external id
/// or the e-mail address. No identifier of a person can be read in a row key.
/// </summary>
internal sealed class ScimUserStore(IEntityStore store, IAuditTrail trail, AuditPseudonyms pseudonyms, ScimKeys keys)
{
    public const string Table = "ScimUsers";
    public const string ByUserName = "n";
    public const string ByExternalId = "x";
    public const string ByEmail = "e";
    private const int SchemaVersion = 1;
    private const int PageSize = 500;
    private const int IdLength = 32;

    /// <summary>The user with that id.</summary>
    public async Task<StoredScimUser?> FindAsync(string source, string id, CancellationToken cancellationToken) =>
        IsId(id) && await store.GetAsync(Table, source, UserRow(id), cancellationToken) is { } entity ? Read(source, entity) : null;

    /// <summary>The users with that user name, external id or e-mail address.</summary>
    public async Task<IReadOnlyList<StoredScimUser>> FindByAsync(string source, string kind, string value, CancellationToken cancellationToken)
    {
        if (kind == ByUserName)
        {
            return await FindClaimAsync(source, value, cancellationToken) is { IsRemoved: false } claim
                && await FindAsync(source, claim.Id, cancellationToken) is { } named ? [named] : [];
        }

        var found = new List<StoredScimUser>();
        foreach (var keyId in keys.KeyIds)
        {
            var range = RowKeyRange.StartingWith($"{kind}|{Hash(keyId, source, kind, value)}|");
            string? continuation = null;
            do
            {
                var page = await store.QueryAsync(Table, source, range, PageSize, continuation, cancellationToken);
                foreach (var row in page.Entities)
                {
                    if (await FindAsync(source, row.RowKey[(row.RowKey.LastIndexOf('|') + 1)..], cancellationToken) is { } user)
                    {
                        found.Add(user);
                    }
                }

                continuation = page.Continuation;
            }
            while (continuation is not null);
        }

        return found;
    }

    /// <summary>Who has, or had, the user name.</summary>
    public async Task<ScimNameClaim?> FindClaimAsync(string source, string userName, CancellationToken cancellationToken)
    {
        foreach (var keyId in keys.KeyIds)
        {
            var row = $"{ByUserName}|{Hash(keyId, source, ByUserName, userName)}";
            if (await store.GetAsync(Table, source, row, cancellationToken) is { } entity)
            {
                return new ScimNameClaim(
                    row, entity.Properties.Require<string>("Id"), entity.Properties.Get<bool>("Removed"), entity.Properties.Get<int>("Transition"),
                    entity.ETag!);
            }
        }

        return null;
    }

    /// <summary>Every user of a source in the order of creation.</summary>
    public async IAsyncEnumerable<StoredScimUser> ScanAsync(string source, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var entity in ScanRowsAsync(source, cancellationToken))
        {
            yield return Read(source, entity);
        }
    }

    /// <summary>One page of the users of a source, and how many there are in all. Only what is on the page is decrypted.</summary>
    public async Task<(IReadOnlyList<StoredScimUser> Users, int Total)> PageAsync(string source, int skip, int take, CancellationToken cancellationToken)
    {
        var (users, total) = (new List<StoredScimUser>(), 0);
        await foreach (var entity in ScanRowsAsync(source, cancellationToken))
        {
            if (total++ >= skip && users.Count < take)
            {
                users.Add(Read(source, entity));
            }
        }

        return (users, total);
    }

    /// <summary>Stores a new user. <see langword="null"/>: meanwhile somebody took the user name, or the claim of a removed one changed.</summary>
    public async Task<StoredScimUser?> InsertAsync(
        ScimSource caller, string id, ScimUser user, ScimNameClaim? removed, CancellationToken cancellationToken)
    {
        var (source, key) = (caller.Name, caller.Key);
        List<EntityOperation> operations = [EntityOperation.Insert(ToEntity(source, id, user))];
        foreach (var row in RowsOf(source, id, user, keys.CurrentKeyId))
        {
            AddLookup(operations, source, row, id, removed);
        }

        DropForeignClaim(operations, source, removed);
        var result = await trail.SubmitAsync(
            new EntityTransaction(Table, operations), [EventOf(ScimAudit.UserCreated, source, key, id, user)], cancellationToken);
        return result.Committed ? new StoredScimUser(id, user, result.ETags[0]!, keys.CurrentKeyId) : null;
    }

    /// <summary>Replaces a user. <see langword="null"/>: it was changed meanwhile, or its new user name was taken.</summary>
    public async Task<StoredScimUser?> ReplaceAsync(
        ScimSource caller, StoredScimUser current, ScimUser user, ScimNameClaim? removed, CancellationToken cancellationToken)
    {
        var (source, key) = (caller.Name, caller.Key);
        List<EntityOperation> operations = [EntityOperation.Replace(ToEntity(source, current.Id, user), current.ETag)];
        var before = RowsOf(source, current.Id, current.User, current.KeyId);
        var after = RowsOf(source, current.Id, user, keys.CurrentKeyId);
        operations.AddRange(before.Except(after).Select(row => EntityOperation.Delete(source, row)));
        foreach (var row in after.Except(before))
        {
            AddLookup(operations, source, row, current.Id, removed);
        }

        DropForeignClaim(operations, source, removed);
        var result = await trail.SubmitAsync(
            new EntityTransaction(Table, operations),
            // What is only intended has its entry when it is done; what is written anew under another key has changed nothing.
            user.Intent is not null || ReferenceEquals(user, current.User) ? [] : [EventOf(ScimAudit.UserChanged, source, key, current.Id, user)],
            cancellationToken);
        return result.Committed ? new StoredScimUser(current.Id, user, result.ETags[0]!, keys.CurrentKeyId) : null;
    }

    /// <summary>
    /// Removes a user; nothing that could be read stays. Of a person who was deprovisioned once, the hash of the user name is kept, so
    /// that provisioning the person again is known for a return. <see langword="false"/>: it was changed meanwhile.
    /// </summary>
    public async Task<bool> RemoveAsync(ScimSource caller, StoredScimUser current, CancellationToken cancellationToken)
    {
        var (source, key) = (caller.Name, caller.Key);
        List<EntityOperation> operations = [EntityOperation.Delete(source, UserRow(current.Id), current.ETag)];
        foreach (var row in RowsOf(source, current.Id, current.User, current.KeyId))
        {
            operations.Add(current.User.Transition > 0 && IsNameRow(row)
                ? EntityOperation.Replace(new Entity(source, row)
                {
                    Properties = { ["Schema"] = SchemaVersion, ["Id"] = current.Id, ["Removed"] = true, ["Transition"] = current.User.Transition },
                })
                : EntityOperation.Delete(source, row));
        }

        return (await trail.SubmitAsync(
            new EntityTransaction(Table, operations), [EventOf(ScimAudit.UserRemoved, source, key, current.Id, current.User)], cancellationToken)).Committed;
    }

    private AuditEvent EventOf(AuditKind kind, string source, string? key, string id, ScimUser user) => new()
    {
        Kind = kind,
        Actor = new(AuditActorType.Source, $"hr/{source}", key),
        Payload = PayloadHash.Of(JsonSerializer.SerializeToUtf8Bytes(user, ScimStateJson.Default.ScimUser)),
        On = new("scimUser", id),
        Subject = pseudonyms.Of("employeeId", user.EmployeeNumber),
        Details = new Dictionary<string, string> { ["active"] = user.Active ? "true" : "false" },
    };

    private async IAsyncEnumerable<Entity> ScanRowsAsync(string source, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, source, RowKeyRange.StartingWith("u|"), PageSize, continuation, cancellationToken);
            foreach (var entity in page.Entities)
            {
                yield return entity;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    private static void AddLookup(List<EntityOperation> operations, string source, string row, string id, ScimNameClaim? removed)
    {
        var entity = new Entity(source, row) { Properties = { ["Schema"] = SchemaVersion, ["Id"] = id } };
        operations.Add(removed is not null && removed.Row == row
            ? EntityOperation.Replace(entity, removed.ETag) : EntityOperation.Insert(entity));
    }

    /// <summary>A claim that was hashed under the key before this one lies in another row than its successor.</summary>
    private static void DropForeignClaim(List<EntityOperation> operations, string source, ScimNameClaim? removed)
    {
        if (removed is not null && !operations.Exists(operation => operation.Entity.RowKey == removed.Row))
        {
            operations.Add(EntityOperation.Delete(source, removed.Row, removed.ETag));
        }
    }

    private List<string> RowsOf(string source, string id, ScimUser user, string keyId)
    {
        List<string> rows = [$"{ByUserName}|{Hash(keyId, source, ByUserName, user.UserName)}"];
        if (user.ExternalId is { } externalId)
        {
            rows.Add($"{ByExternalId}|{Hash(keyId, source, ByExternalId, externalId)}|{id}");
        }

        rows.AddRange(user.Emails.Select(email => $"{ByEmail}|{Hash(keyId, source, ByEmail, email.Value)}|{id}").Distinct(StringComparer.Ordinal));
        return rows;
    }

    /// <summary>External ids are compared exactly, user names and addresses in any case (RFC 7643 section 8.7.1).</summary>
    private string Hash(string keyId, string source, string kind, string value) =>
        keys.Hash(keyId, source, kind, kind == ByExternalId ? value : value.ToLowerInvariant());

    private Entity ToEntity(string source, string id, ScimUser user)
    {
        var entity = new Entity(source, UserRow(id)) { Properties = { ["Schema"] = SchemaVersion, ["KeyId"] = keys.CurrentKeyId } };
        InboxPayload.AddChunks(
            entity.Properties, keys.Encrypt(JsonSerializer.SerializeToUtf8Bytes(user, ScimStateJson.Default.ScimUser), source, id));
        return entity;
    }

    private StoredScimUser Read(string source, Entity entity)
    {
        var id = entity.RowKey["u|".Length..];
        var keyId = entity.Properties.Require<string>("KeyId");
        try
        {
            var user = JsonSerializer.Deserialize(
                keys.Decrypt(keyId, InboxPayload.JoinChunks(entity.Properties), source, id), ScimStateJson.Default.ScimUser);
            return new StoredScimUser(id, user ?? throw new JsonException(), entity.ETag!, keyId);
        }
        catch (Exception exception) when (exception is CryptographicException or JsonException)
        {
            throw new EntityStoreException($"A provisioned user of {source} cannot be read; it was written under key {keyId}.", exception);
        }
    }

    private static string UserRow(string id) => $"u|{id}";

    private static bool IsNameRow(string row) => row.StartsWith($"{ByUserName}|", StringComparison.Ordinal);

    private static bool IsId(string id) => id.Length == IdLength && id.All(char.IsAsciiHexDigitLower);
}
