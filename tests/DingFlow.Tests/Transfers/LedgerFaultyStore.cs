using DingFlow.Storage;

namespace DingFlow.Tests.Transfers;

/// <summary>What goes wrong with one call.</summary>
internal enum StoreFault
{
    None,

    /// <summary>The process ends before the call.</summary>
    DieBefore,

    /// <summary>The process ends after the call was applied.</summary>
    DieAfter,

    /// <summary>The call is applied and its answer lost.</summary>
    LoseAnswer,

    /// <summary>503: nothing is applied.</summary>
    Unavailable,

    /// <summary>The call is applied, and a repetition below us answers 409 or 412.</summary>
    FalseRefusal,
}

/// <summary>The process has ended: nothing it still does reaches the store.</summary>
internal sealed class ProcessDiedException() : Exception("The process died here.");

/// <summary>A store with faults at the calls that a test chooses. After a death every call fails.</summary>
internal sealed class LedgerFaultyStore(IEntityStore inner, Func<int, StoreFault> faultOf) : IEntityStore
{
    private int _calls;
    private bool _dead;

    public int Calls => _calls;

    public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
        Read(() => inner.GetAsync(table, partitionKey, rowKey, cancellationToken));

    public Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
        Read(() => inner.QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken));

    public async Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
    {
        var fault = Next();
        if (fault is StoreFault.DieBefore)
        {
            Die();
        }

        if (fault is StoreFault.Unavailable)
        {
            throw new EntityStoreException("503");
        }

        var result = await inner.SubmitAsync(transaction, cancellationToken);
        switch (fault)
        {
            case StoreFault.DieAfter:
                Die();
                return result;
            case StoreFault.LoseAnswer:
                throw new EntityStoreException("The answer was lost.");
            case StoreFault.FalseRefusal when result.Committed:
                var kind = transaction.Operations[0].Kind;
                return new(kind == EntityOperationKind.Insert ? TransactionOutcome.AlreadyExists
                    : kind == EntityOperationKind.Delete ? TransactionOutcome.NotFound : TransactionOutcome.ETagMismatch, 0, []);
            default:
                return result;
        }
    }

    public async Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
        IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken)
    {
        List<TransactionResult> results = [];
        EntityStoreException? lost = null;
        foreach (var transaction in transactions)
        {
            try
            {
                results.Add(await SubmitAsync(transaction, cancellationToken));
            }
            catch (EntityStoreException exception)
            {
                // The others go on, as they do side by side.
                lost = exception;
            }
        }

        return lost is null ? results : throw lost;
    }

    private async Task<T> Read<T>(Func<Task<T>> call)
    {
        var fault = Next();
        if (fault is StoreFault.DieBefore or StoreFault.DieAfter)
        {
            Die();
        }

        return fault is StoreFault.None ? await call() : throw new EntityStoreException("503");
    }

    private StoreFault Next()
    {
        if (_dead)
        {
            throw new ProcessDiedException();
        }

        return faultOf(Interlocked.Increment(ref _calls));
    }

    private void Die()
    {
        _dead = true;
        throw new ProcessDiedException();
    }
}
