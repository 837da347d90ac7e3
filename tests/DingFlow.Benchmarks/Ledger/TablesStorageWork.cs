using System.Globalization;
using DingFlow.Storage;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Benchmarks.Ledger;

/// <summary>
/// What the ledger asks of Table Storage: entities written per new subject, transactions per record. Against Azurite when
/// <c>DINGFLOW_AZURITE</c> holds its connection string.
/// </summary>
internal static class TablesStorageWork
{
    public static async Task RunAsync()
    {
        if (Environment.GetEnvironmentVariable("DINGFLOW_AZURITE") is not { Length: > 0 } connectionString)
        {
            Console.WriteLine("tables: skipped, DINGFLOW_AZURITE holds no connection string (npx azurite-table --inMemoryPersistence)");
            return;
        }

        using var tables = new TablesEntityStore(
            new() { ConnectionString = connectionString }, new(() => throw new InvalidOperationException("No token is needed.")), TimeProvider.System);
        var store = new CountingStore(tables);
        await using var ledger = new SubjectLedger(
            store, new("benchmark"), LedgerBenchmark.Predicates, TimeProvider.System, NullLogger<SubjectLedger>.Instance);
        var exporter = $"e{Guid.NewGuid():N}";
        var batches = new LedgerWorkload(50_000).Batches().Select(batch => batch.ConvertAll(record => record with { Exporter = exporter })).ToList();

        await ledger.AppendAsync(new("single", 0, [batches[0][0]]), default);
        await ledger.ReadCountersAsync(exporter, LedgerWorkload.Year, default);
        Console.WriteLine($"tables: a single record writes {store.Entities} entities in {store.Transactions} transactions");
        var (entities, transactions) = (store.Entities, store.Transactions);
        for (var part = 0; part < batches.Count; part++)
        {
            await ledger.AppendAsync(new("bulk", part, batches[part]), default);
            await ledger.MergeAsync(exporter, default);
        }

        var counters = await ledger.ReadCountersAsync(exporter, LedgerWorkload.Year, default);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"tables: batches of 10 000: {(store.Entities - entities) / (double)counters.Subjects:F4} entities per new subject, {(store.Transactions - transactions) / (double)batches.Sum(b => b.Count):F4} transactions per record"));
    }

    private sealed class CountingStore(IEntityStore inner) : IEntityStore
    {
        private int _entities;
        private int _transactions;

        public int Entities => _entities;

        public int Transactions => _transactions;

        public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
            inner.GetAsync(table, partitionKey, rowKey, cancellationToken);

        public Task<EntityPage> QueryAsync(
            string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
            inner.QueryAsync(table, partitionKey, range, pageSize, continuation, cancellationToken);

        public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
        {
            Count(transaction);
            return inner.SubmitAsync(transaction, cancellationToken);
        }

        public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
            IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken)
        {
            foreach (var transaction in transactions)
            {
                Count(transaction);
            }

            return inner.SubmitManyAsync(transactions, cancellationToken);
        }

        private void Count(EntityTransaction transaction)
        {
            Interlocked.Increment(ref _transactions);
            Interlocked.Add(ref _entities, transaction.Operations.Count);
        }
    }
}
