using DingFlow.Messaging;
using DingFlow.Tests.Infrastructure;
using DingFlow.Transfers;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>What the entries of a batch cost the main store: a few rows for a batch of any size.</summary>
public sealed class BatchCostTests(ITestOutputHelper output)
{
    [Fact]
    public async Task A_batch_costs_the_main_store_the_same_few_rows_whatever_its_size()
    {
        List<(int Transactions, int Entities)> costs = [];
        foreach (var records in (int[])[1, 1, 25_000])
        {
            await using var world = await CrashWorld.StartAsync(new Dictionary<string, string?> { ["Transfers:Shards"] = "16" });

            // Once a day a process enters the place where its events wait, and once ever its chain: not a cost of a batch.
            await SendAsync(world, "before", 1);
            var before = (world.Store.MainTransactions, world.Store.MainEntities);
            await SendAsync(world, "batch", records);
            costs.Add((world.Store.MainTransactions - before.MainTransactions, world.Store.MainEntities - before.MainEntities));
        }

        output.WriteLine(string.Join("; ", costs.Select(static cost => $"{cost.Transactions} transactions, {cost.Entities} entities written")));
        Assert.All(costs, static cost =>
        {
            // Begun: the journal's row and the event that waits; ended: the event that waits. Each event then a row and the head of its chain, and is taken away where it waited.
            Assert.InRange(cost.Transactions, 4, 6);
            Assert.InRange(cost.Entities, 5, 7);
        });
    }

    private static async Task SendAsync(CrashWorld world, string key, int records)
    {
        var body = string.Concat(Enumerable.Range(1, records).Select(i => TransferSender.Record($"{key}-{i}", $"E{i}", CrashWorld.Exporter).ToString(Newtonsoft.Json.Formatting.None) + "\n"));
        var (status, text) = await world.CallAsync<RecordTransfers>(body, prepare: request =>
        {
            request.ContentType = TransferSender.NdJson;
            request.Headers["Idempotency-Key"] = key;
        });
        Assert.True(status == 202, text);
        Assert.Equal(records, (int)JObject.Parse(text)["accepted"]!);
        await world.Get<AuditTrail>().DrainAsync(TestContext.Current.CancellationToken);
    }
}
