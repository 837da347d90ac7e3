using System.Globalization;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// Seals in the store. Table <c>AuditTrail</c>: <c>seals</c> a row for each day; <c>chains</c> how far each chain is sealed;
/// <c>leaves|{day}</c> the hashes of the day's entries, which stay when their content goes; <c>index|{bucket}</c> in which days a case, a
/// subject, a principal or a kind occurs.
/// </summary>
public sealed class AuditSeals(IEntityStore store)
{
    private const string SealsPartition = "seals";
    private const int SchemaVersion = 1;
    private const int HashSize = 32;
    private const int LeavesPerRow = 8 * 1024;

    /// <summary>The seals from a day to another, both included, the earliest first.</summary>
    /// <exception cref="InvalidDataException">One is damaged.</exception>
    public async IAsyncEnumerable<AuditSeal> ReadAsync(
        string? from, string? to, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var range = new RowKeyRange(from, to is null ? null : to + "~");
        await foreach (var row in RowsAsync(SealsPartition, range, cancellationToken))
        {
            yield return Read(row);
        }
    }

    /// <summary>All days that have a seal, the earliest first; without the seal where it is damaged.</summary>
    internal async IAsyncEnumerable<(string Day, AuditSeal? Seal)> ReadAllAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var row in RowsAsync(SealsPartition, RowKeyRange.All, cancellationToken))
        {
            yield return (row.RowKey, TryRead(row));
        }
    }

    /// <summary>The sealed days from one on, the earliest first; a seal that is damaged has its day all the same.</summary>
    internal async IAsyncEnumerable<string> DaysAsync(
        string? from, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var row in RowsAsync(SealsPartition, new RowKeyRange(from, null), cancellationToken))
        {
            yield return row.RowKey;
        }
    }

    /// <summary>The seal of a day, or <see langword="null"/>.</summary>
    public async Task<AuditSeal?> FindAsync(string day, CancellationToken cancellationToken) =>
        await store.GetAsync(AuditRows.TrailTable, SealsPartition, day, cancellationToken) is { } row ? Read(row) : null;

    /// <summary>The last seal, or <see langword="null"/>.</summary>
    public async Task<AuditSeal?> LastAsync(CancellationToken cancellationToken)
    {
        AuditSeal? last = null;
        await foreach (var seal in ReadAsync(null, null, cancellationToken))
        {
            last = seal;
        }

        return last;
    }

    /// <summary>Stores a seal. <see langword="false"/>: the day has one.</summary>
    internal async Task<bool> AddAsync(AuditSeal seal, CancellationToken cancellationToken)
    {
        var row = new Entity(SealsPartition, seal.Day) { Properties = { ["Schema"] = SchemaVersion } };
        InboxPayload.AddChunks(row.Properties, JsonSerializer.SerializeToUtf8Bytes(seal, AuditSealJson.Default.AuditSeal));
        return (await store.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(row)), cancellationToken)).Committed;
    }

    /// <summary>All chains and how far each is sealed.</summary>
    internal async Task<IReadOnlyList<ChainState>> ChainsAsync(CancellationToken cancellationToken)
    {
        List<ChainState> chains = [];
        await foreach (var row in RowsAsync(AuditRows.ChainsPartition, RowKeyRange.All, cancellationToken))
        {
            chains.Add(ReadChain(row));
        }

        return chains;
    }

    /// <summary>The end of each chain that has an entry, in ordinal order.</summary>
    internal async Task<IReadOnlyList<AuditHeadNote>> HeadsAsync(CancellationToken cancellationToken)
    {
        List<AuditHeadNote> heads = [];
        foreach (var chain in await ChainsAsync(cancellationToken))
        {
            if (await store.GetAsync(AuditRows.EntriesTable, chain.Chain, AuditRows.HeadRow, cancellationToken) is { } row)
            {
                var head = AuditRows.ReadHead(row);
                heads.Add(new(chain.Chain, head.Sequence, Convert.ToHexStringLower(head.Hash.Span)));
            }
        }

        return heads;
    }

    /// <summary>Notes how far the seal's chains are sealed. Doing it again changes nothing.</summary>
    internal Task AdvanceAsync(AuditSeal seal, IReadOnlyList<ChainState> chains, CancellationToken cancellationToken) => store.SubmitManyAsync(
        [
            .. seal.Chains.Select(chain => EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(new Entity(AuditRows.ChainsPartition, chain.Chain)
            {
                Properties =
                {
                    ["Schema"] = SchemaVersion,
                    ["Since"] = chains.FirstOrDefault(known => known.Chain == chain.Chain)?.Since ?? seal.SealedAt,
                    ["SealedThrough"] = chain.Last,
                    ["SealedHead"] = chain.Head,
                },
            }))),
        ],
        cancellationToken);

    /// <summary>The hashes of a day's entries, 32 bytes each, in the order of the Merkle tree; empty when they are not stored yet.</summary>
    internal async Task<byte[]> LeavesAsync(AuditSeal seal, CancellationToken cancellationToken)
    {
        var leaves = new byte[checked((int)(seal.Count * HashSize))];
        var at = 0;
        await foreach (var row in RowsAsync($"leaves|{seal.Day}", RowKeyRange.All, cancellationToken))
        {
            var part = InboxPayload.JoinChunks(row.Properties);
            if (at + part.Length > leaves.Length)
            {
                return [];
            }

            part.CopyTo(leaves, at);
            at += part.Length;
        }

        return at == leaves.Length ? leaves : [];
    }

    internal async Task PutLeavesAsync(string day, ReadOnlyMemory<byte> leaves, CancellationToken cancellationToken)
    {
        for (var (number, at) = (0, 0); at < leaves.Length; number++, at += LeavesPerRow * HashSize)
        {
            var row = new Entity($"leaves|{day}", number.ToString("D6", CultureInfo.InvariantCulture)) { Properties = { ["Schema"] = SchemaVersion } };
            InboxPayload.AddChunks(row.Properties, leaves.Slice(at, Math.Min(LeavesPerRow * HashSize, leaves.Length - at)).ToArray());
            await store.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(row)), cancellationToken);
        }
    }

    internal async IAsyncEnumerable<Entity> RowsAsync(
        string partition, RowKeyRange range, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(AuditRows.TrailTable, partition, range, 500, continuation, cancellationToken);
            foreach (var row in page.Entities)
            {
                yield return row;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    private static AuditSeal Read(Entity row) => TryRead(row) ?? throw new InvalidDataException($"The seal of {row.RowKey} is damaged.");

    private static AuditSeal? TryRead(Entity row)
    {
        try
        {
            return JsonSerializer.Deserialize(InboxPayload.JoinChunks(row.Properties), AuditSealJson.Default.AuditSeal) is { } seal && seal.IsWellFormed() ? seal : null;
        }
        catch (Exception exception) when (exception is JsonException or KeyNotFoundException or InvalidCastException)
        {
            return null;
        }
    }

    private static ChainState ReadChain(Entity row)
    {
        try
        {
            return new(
                row.RowKey, row.Properties.Get<long>("SealedThrough"), row.Properties.Get<string>("SealedHead") ?? AuditSeal.NoPrevious,
                row.Properties.Require<DateTimeOffset>("Since"));
        }
        catch (Exception exception) when (exception is KeyNotFoundException or InvalidCastException)
        {
            throw new InvalidDataException($"The row of the chain {row.RowKey} is damaged.", exception);
        }
    }
}

/// <summary>A chain and how far it is sealed.</summary>
internal sealed record ChainState(string Chain, long SealedThrough, string SealedHead, DateTimeOffset Since);
