using DingFlow.Storage;

namespace DingFlow.Tests.Storage;

/// <summary>
/// The store in memory, for tests that let thousands of cases run and do not test the store: it passes the contract that the real ones pass
/// (but for durability), and waits for no disk.
/// </summary>
internal class MemoryEntityStore : IEntityStore
{
    private readonly Lock _gate = new();
    private readonly Dictionary<(string Table, string Partition), SortedList<string, Entity>> _partitions = [];
    private long _version;

    /// <summary>Transactions that were committed.</summary>
    public int Transactions { get; private set; }

    /// <summary>Entities that these put in, replaced or both.</summary>
    public int EntitiesWritten { get; private set; }

    /// <summary>Some stored entity is like that.</summary>
    protected bool Any(Func<Entity, bool> isLike)
    {
        lock (_gate)
        {
            return _partitions.Values.SelectMany(static rows => rows.Values).Any(isLike);
        }
    }

    public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken)
    {
        EntityCheck.Table(table);
        EntityCheck.Keys(partitionKey, rowKey);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            return Task.FromResult(Rows(table, partitionKey).TryGetValue(rowKey, out var row) ? Copy(row) : null);
        }
    }

    public Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken)
    {
        range = EntityCheck.Query(table, partitionKey, range, pageSize);
        cancellationToken.ThrowIfCancellationRequested();
        if (continuation?.StartsWith("after:", StringComparison.Ordinal) == false)
        {
            throw new ArgumentException("That is no continuation of this store.", nameof(continuation));
        }

        lock (_gate)
        {
            var rows = Rows(table, partitionKey);
            var first = continuation is null ? IndexOf(rows.Keys, range.From ?? "", inclusive: true) : IndexOf(rows.Keys, continuation["after:".Length..], inclusive: false);
            var page = new List<Entity>();
            for (var i = first; i < rows.Count && page.Count <= pageSize && (range.Before is null || string.CompareOrdinal(rows.Keys[i], range.Before) < 0); i++)
            {
                page.Add(Copy(rows.Values[i]));
            }

            return Task.FromResult(page.Count > pageSize ? new EntityPage(page[..pageSize], "after:" + page[pageSize - 1].RowKey) : new EntityPage(page, null));
        }
    }

    public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
    {
        EntityCheck.Transaction(transaction);
        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            return Task.FromResult(Submit(transaction));
        }
    }

    public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(transactions);
        foreach (var transaction in transactions)
        {
            EntityCheck.Transaction(transaction);
        }

        cancellationToken.ThrowIfCancellationRequested();
        lock (_gate)
        {
            return Task.FromResult<IReadOnlyList<TransactionResult>>([.. transactions.Select(Submit)]);
        }
    }

    private TransactionResult Submit(EntityTransaction transaction)
    {
        var rows = Rows(transaction.Table, transaction.Operations[0].Entity.PartitionKey);
        for (var i = 0; i < transaction.Operations.Count; i++)
        {
            var operation = transaction.Operations[i];
            var known = rows.GetValueOrDefault(operation.Entity.RowKey);
            var refusal = operation.Kind switch
            {
                EntityOperationKind.Insert when known is not null => TransactionOutcome.AlreadyExists,
                EntityOperationKind.Replace or EntityOperationKind.Delete when known is null => TransactionOutcome.NotFound,
                EntityOperationKind.Replace or EntityOperationKind.Delete when operation.IfMatch is { } etag && etag != known!.ETag => TransactionOutcome.ETagMismatch,
                _ => TransactionOutcome.Committed,
            };
            if (refusal != TransactionOutcome.Committed)
            {
                return new(refusal, i, []);
            }
        }

        Transactions++;
        EntitiesWritten += transaction.Operations.Count(static operation => operation.Kind != EntityOperationKind.Delete);
        var etags = new List<string?>();
        foreach (var operation in transaction.Operations)
        {
            if (operation.Kind == EntityOperationKind.Delete)
            {
                rows.Remove(operation.Entity.RowKey);
                etags.Add(null);
                continue;
            }

            var stored = Copy(operation.Entity) with { ETag = $"m{++_version:x}" };
            rows[operation.Entity.RowKey] = stored;
            etags.Add(stored.ETag);
        }

        return new(TransactionOutcome.Committed, -1, etags);
    }

    private SortedList<string, Entity> Rows(string table, string partition)
    {
        var key = (table.ToUpperInvariant(), partition);
        return _partitions.TryGetValue(key, out var rows) ? rows : _partitions[key] = new(StringComparer.Ordinal);
    }

    private static int IndexOf(IList<string> keys, string key, bool inclusive)
    {
        var (low, high) = (0, keys.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            var order = string.CompareOrdinal(keys[middle], key);
            (low, high) = order < 0 || (order == 0 && !inclusive) ? (middle + 1, high) : (low, middle);
        }

        return low;
    }

    private static Entity Copy(Entity entity)
    {
        var properties = new EntityProperties();
        foreach (var (name, value) in entity.Properties)
        {
            if (value is not null)
            {
                properties[name] = value switch { byte[] bytes => bytes.ToArray(), DateTimeOffset time => time.ToUniversalTime(), _ => value };
            }
        }

        return entity with { Properties = properties };
    }
}

/// <summary>The store in memory keeps the contract of the real ones.</summary>
public sealed class MemoryEntityStoreTests : EntityStoreContract
{
    protected override Task<IEntityStore> CreateStoreAsync() => Task.FromResult<IEntityStore>(new MemoryEntityStore());
}
