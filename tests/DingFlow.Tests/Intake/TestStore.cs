using DingFlow.Storage;
using DingFlow.Tests.Storage;

namespace DingFlow.Tests.Intake;

/// <summary>A real store in a directory of its own that can be down and counts its transactions.</summary>
internal sealed class TestStore : IEntityStore, IDisposable
{
    private readonly DataDirectory _directory = new();
    private readonly SqliteDatabase _database;
    private readonly SqliteEntityStore _store;

    public TestStore(TimeProvider timeProvider)
    {
        _database = new SqliteDatabase(_directory.Path);
        _store = new SqliteEntityStore(_database, timeProvider);
    }

    public bool IsDown { get; set; }

    /// <summary>Happens once, just before the next group of transactions.</summary>
    public Func<Task>? BeforeNextMany { get; set; }

    public int Transactions { get; private set; }

    public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
        Up().GetAsync(table, partitionKey, rowKey, cancellationToken);

    public Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
        Up().QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken);

    public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
    {
        Transactions++;
        return Up().SubmitAsync(transaction, cancellationToken);
    }

    public async Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken)
    {
        if (BeforeNextMany is { } happens)
        {
            BeforeNextMany = null;
            await happens();
        }

        return await Up().SubmitManyAsync(transactions, cancellationToken);
    }

    /// <summary>Every row of a table's partitions, as text where it is text: to look for what must not be there.</summary>
    public async Task<IReadOnlyList<Entity>> AllAsync(string table, CancellationToken cancellationToken)
    {
        var all = new List<Entity>();
        foreach (var partition in "0123456789abcdef")
        {
            all.AddRange((await _store.QueryAsync(table, partition.ToString(), RowKeyRange.All, 1000, null, cancellationToken)).Entities);
        }

        return all;
    }

    public void Dispose()
    {
        _database.Dispose();
        _directory.Dispose();
    }

    private SqliteEntityStore Up() => IsDown ? throw new EntityStoreException("The store is down.") : _store;
}
