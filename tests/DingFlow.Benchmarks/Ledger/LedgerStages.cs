using System.Diagnostics;
using DingFlow.Storage;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Benchmarks.Ledger;

/// <summary>Where the ledger's time goes: each stage by itself, on one thread.</summary>
internal static class LedgerStages
{
    public static async Task RunAsync(LedgerWorkload workload)
    {
        Stage("records made", () =>
        {
            foreach (var _ in workload.Batches())
            {
            }
        });
        Stage("records packed", () =>
        {
            foreach (var batch in workload.Batches())
            {
                ChunkCodec.Encode(batch);
            }
        });
        var clock = Stopwatch.StartNew();
        var processor = Environment.CpuUsage.TotalTime;
        await using (var ledger = new SubjectLedger(
            new NullStore(), new("stages"), LedgerBenchmark.Predicates, TimeProvider.System, NullLogger<SubjectLedger>.Instance))
        {
            var part = 0;
            foreach (var batch in workload.Batches())
            {
                await ledger.AppendAsync(new("stages", part++, batch), default);
            }

            await ledger.MergeAsync(LedgerWorkload.Exporter, default);
        }

        Say("all but the store", processor, clock);

        void Stage(string name, Action action)
        {
            var before = Environment.CpuUsage.TotalTime;
            var watch = Stopwatch.StartNew();
            action();
            Say(name, before, watch);
        }

        void Say(string name, TimeSpan before, Stopwatch watch)
        {
            var used = Environment.CpuUsage.TotalTime - before;
            Console.WriteLine($"{name,-20} {used.TotalMicroseconds / workload.Records:F2} µs of processor per record, {watch.Elapsed.TotalSeconds:F2} s; "
                + $"gen0/1/2 {GC.CollectionCount(0)}/{GC.CollectionCount(1)}/{GC.CollectionCount(2)}, allocated {GC.GetTotalAllocatedBytes() / workload.Records} bytes per record so far");
        }
    }

    /// <summary>Takes everything and keeps nothing.</summary>
    private sealed class NullStore : IEntityStore
    {
        private long _etag;

        public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
            Task.FromResult<Entity?>(null);

        public Task<EntityPage> QueryAsync(
            string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
            Task.FromResult(new EntityPage([], null));

        public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken) =>
            Task.FromResult(new TransactionResult(
                TransactionOutcome.Committed, -1, [.. transaction.Operations.Select(_ => (string?)Interlocked.Increment(ref _etag).ToString("x", System.Globalization.CultureInfo.InvariantCulture))]));

        public async Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
            IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken) =>
            await Task.WhenAll(transactions.Select(transaction => SubmitAsync(transaction, cancellationToken)));
    }
}
