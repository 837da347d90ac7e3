using DingFlow.Storage;

namespace DingFlow.Tests.Transfers;

/// <summary>A store before one call of which something else happens.</summary>
internal sealed class InterruptedStore(IEntityStore inner, int at, Func<Task> meanwhile) : IEntityStore
{
    private readonly Lock _gate = new();
    private Task _meanwhile = Task.CompletedTask;
    private int _calls;

    /// <summary>Waits for what happens meanwhile; from now on nothing does.</summary>
    public Task EndAsync()
    {
        lock (_gate)
        {
            _calls = at;
            return _meanwhile;
        }
    }

    public async Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken)
    {
        await StepAsync();
        return await inner.GetAsync(table, partitionKey, rowKey, cancellationToken);
    }

    public async Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken)
    {
        await StepAsync();
        return await inner.QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken);
    }

    public async Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
    {
        await StepAsync();
        return await inner.SubmitAsync(transaction, cancellationToken);
    }

    public async Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken)
    {
        await StepAsync();
        return await inner.SubmitManyAsync(transactions, cancellationToken);
    }

    private Task StepAsync()
    {
        lock (_gate)
        {
            return ++_calls == at ? _meanwhile = Task.Run(meanwhile) : Task.CompletedTask;
        }
    }
}

/// <summary>A store that lets a test say what must have happened before a row is read.</summary>
internal sealed class WatchedStore(IEntityStore inner, Func<string, Task> beforeReading, Action<string> afterReading) : IEntityStore
{
    public async Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken)
    {
        await beforeReading(partitionKey);
        var row = await inner.GetAsync(table, partitionKey, rowKey, cancellationToken);
        afterReading(partitionKey);
        return row;
    }

    public Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
        inner.QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken);

    public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken) => inner.SubmitAsync(transaction, cancellationToken);

    public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken) =>
        inner.SubmitManyAsync(transactions, cancellationToken);
}
