using System.Globalization;
using DingFlow.Storage;
using DingFlow.Tests.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>A store in memory, for tests that need thousands of them. It passes the contract of the real ones.</summary>
internal sealed class LedgerMemoryStore : IEntityStore
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string, string), SortedDictionary<string, Entity>> _partitions = [];
    private long _etag;

    public int Transactions { get; private set; }

    public int EntitiesWritten { get; private set; }

    /// <summary>Some stored byte sequence names the subject.</summary>
    public bool Holds(SubjectPseudonym subject)
    {
        var writer = new PackedWriter();
        writer.Key(SubjectKey.Of(subject));
        lock (_gate)
        {
            return _partitions.Values.SelectMany(partition => partition.Values).SelectMany(row => row.Properties.Values).OfType<byte[]>()
                .Any(bytes => bytes.AsSpan().IndexOf(writer.Written) >= 0);
        }
    }

    public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken)
    {
        EntityCheck.Table(table);
        EntityCheck.Keys(partitionKey, rowKey);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            return Task.FromResult(Partition(table, partitionKey).TryGetValue(rowKey, out var row) ? Copy(row) : null);
        }
    }

    public Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken)
    {
        range = EntityCheck.Query(table, partitionKey, range, pageSize);
        if (continuation?.StartsWith("after ", StringComparison.Ordinal) == false)
        {
            throw new ArgumentException("The continuation is none that a page returned.", nameof(continuation));
        }

        continuation = continuation?[6..];
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            var rows = Partition(table, partitionKey).Values
                .Where(row => range.From is null || string.CompareOrdinal(row.RowKey, range.From) >= 0)
                .Where(row => range.Before is null || string.CompareOrdinal(row.RowKey, range.Before) < 0)
                .Where(row => continuation is null || string.CompareOrdinal(row.RowKey, continuation) > 0)
                .Take(pageSize + 1).Select(Copy).ToList();
            var more = rows.Count > pageSize;
            rows = more ? rows[..pageSize] : rows;
            return Task.FromResult(new EntityPage(rows!, more ? "after " + rows[^1]!.RowKey : null));
        }
    }

    public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
    {
        EntityCheck.Transaction(transaction);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            return Task.FromResult(Apply(transaction));
        }
    }

    public async Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
        IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        foreach (var transaction in transactions)
        {
            EntityCheck.Transaction(transaction);
        }

        var results = new TransactionResult[transactions.Count];
        for (var i = 0; i < results.Length; i++)
        {
            results[i] = await SubmitAsync(transactions[i], cancellationToken);
        }

        return results;
    }

    private static Entity? Copy(Entity? row)
    {
        if (row is null)
        {
            return null;
        }

        var copy = row with { Properties = [] };
        foreach (var (name, value) in row.Properties.Where(property => property.Value is not null))
        {
            copy.Properties[name] = value is DateTimeOffset time ? time.ToUniversalTime() : value;
        }

        return copy;
    }

    private TransactionResult Apply(EntityTransaction transaction)
    {
        var partition = Partition(transaction.Table, transaction.Operations[0].Entity.PartitionKey);
        for (var i = 0; i < transaction.Operations.Count; i++)
        {
            var operation = transaction.Operations[i];
            var row = partition.GetValueOrDefault(operation.Entity.RowKey);
            TransactionOutcome? refusal = operation.Kind switch
            {
                EntityOperationKind.Insert => row is null ? null : TransactionOutcome.AlreadyExists,
                EntityOperationKind.Upsert => null,
                _ when row is null => TransactionOutcome.NotFound,
                _ => operation.IfMatch is null || operation.IfMatch == row.ETag ? null : TransactionOutcome.ETagMismatch,
            };
            if (refusal is { } outcome)
            {
                return new(outcome, i, []);
            }
        }

        Transactions++;
        EntitiesWritten += transaction.Operations.Count(operation => operation.Kind != EntityOperationKind.Delete);
        return new(TransactionOutcome.Committed, -1, [.. transaction.Operations.Select(operation =>
        {
            if (operation.Kind == EntityOperationKind.Delete)
            {
                partition.Remove(operation.Entity.RowKey);
                return null;
            }

            var etag = (++_etag).ToString(CultureInfo.InvariantCulture);
            partition[operation.Entity.RowKey] = Copy(operation.Entity)! with { ETag = etag };
            return etag;
        })]);
    }

    private SortedDictionary<string, Entity> Partition(string table, string partitionKey)
    {
        var key = (table.ToLowerInvariant(), partitionKey);
        if (!_partitions.TryGetValue(key, out var partition))
        {
            _partitions.Add(key, partition = new(StringComparer.Ordinal));
        }

        return partition;
    }
}

public sealed class LedgerMemoryStoreTests : EntityStoreContract
{
    protected override Task<IEntityStore> CreateStoreAsync() => Task.FromResult<IEntityStore>(new LedgerMemoryStore());
}
