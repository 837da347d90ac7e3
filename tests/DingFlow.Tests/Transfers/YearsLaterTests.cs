using DingFlow.Sandbox;
using DingFlow.Storage;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.DependencyInjection;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>The whole product over the turn of the year and over the years of retention, on a clock that the test sets.</summary>
public sealed class YearsLaterTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task People_reachable_from_abroad_count_anew_in_the_new_year_by_the_timers_own_schedule()
    {
        using var data = new DataDirectory();
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        var settings = OutsideSandbox.Settings(
            sandbox, ("DingTalk:Tenants:sandbox:DataRegion", "SG"), ("DingTalk:Tenants:sandbox:Exporter", "acme-zhuhai"), ("Exporters:acme-zhuhai:Name", "Acme (Zhuhai)"));

        // The last minutes of the year in Shanghai: whatever is counted belongs to it.
        await using (var program = await ClockedProgram.StartAsync(data.Path, "2026-12-31T15:50:00Z", settings))
        {
            await program.TickAsync("CountDingTalkContacts");
            await program.TickAsync("CountDingTalkContacts");
            Assert.Equal((25, 0), await YearsAsync(program));
        }

        // The new year has begun, and nobody calls the timer: its own time, 00:20 in Shanghai, comes in a few seconds.
        await using (var program = await ClockedProgram.StartAsync(data.Path, "2026-12-31T16:19:57Z", settings))
        {
            Assert.Equal((25, 0), await YearsAsync(program));
            await Eventually.IsTrueAsync(async () => await YearsAsync(program) is (25, 25), () => "everybody counted anew", Cancellation);
            using var sender = new TransferSender(program.CreateOperator());
            var next = await sender.CountersAsync("acme-zhuhai", 2027);
            Assert.Equal((25, 25), ((int)next["counters"]!["cn.counted.general"]!, (int)next["counters"]!["cn.counted.any.twoYears"]!));
        }

        // An outage over the timer's time is made up for, and a day later everybody is known.
        await using (var program = await ClockedProgram.StartAsync(data.Path, "2027-01-02T02:00:00Z", settings))
        {
            await program.TickAsync("CountDingTalkContacts");
            Assert.Equal((25, 25), await YearsAsync(program));
            var kept = 0;
            await foreach (var _ in program.Services.GetRequiredService<SubjectLedger>().ReadRecordsAsync("acme-zhuhai", null, Cancellation))
            {
                kept++;
            }

            Assert.Equal(50, kept);
        }

        static async Task<(int, int)> YearsAsync(ClockedProgram program)
        {
            using var sender = new TransferSender(program.CreateOperator());
            return ((int)(await sender.CountersAsync("acme-zhuhai"))["subjects"]!, (int)(await sender.CountersAsync("acme-zhuhai", 2027))["subjects"]!);
        }
    }

    [Fact]
    public async Task A_person_is_forgotten_once_every_record_is_past_its_retention_and_the_trail_says_who_asked()
    {
        using var data = new DataDirectory();
        var request = new JObject { ["subject"] = new JObject { ["type"] = "employeeId", ["id"] = "E4711" }, ["exporter"] = "acme-zhuhai", ["reason"] = "The person asked for it." };
        await using (var program = await ClockedProgram.StartAsync(data.Path, "2026-11-22T02:00:00Z"))
        {
            using var sender = new TransferSender(program.CreateOperator());
            await sender.PostAsync(TransferSender.Record("t-1", "E4711"), TransferSender.Record("t-2", "E4712"));
            (await program.Operator.AskAsync(HttpMethod.Post, "/api/subjects/erase", request.ToString())).IsProblem(409, "conflict");
        }

        // Three years later the nightly run has not come yet.
        await using (var program = await ClockedProgram.StartAsync(data.Path, "2029-11-23T02:00:00Z", new Dictionary<string, string> { ["Transfers:RetentionYears"] = "3" }))
        {
            var erased = await program.Operator.AskAsync(HttpMethod.Post, "/api/subjects/erase", request.ToString());

            Assert.True(erased.Status == 200, erased.Text);
            var lookup = await program.Operator.AskAsync(HttpMethod.Post, "/api/subjects/lookup", request.ToString());
            Assert.Empty(lookup.Json["exporters"]!);
            var entry = Assert.Single((await program.Operator.AskAsync(HttpMethod.Get, "/api/audit?kind=transfers.subject_erased")).Json["items"]!, static entry => (string?)entry["outcome"] != "refused");
            Assert.Equal(("key:all", "The person asked for it."), ((string?)entry["actor"]!["id"], (string?)entry["reason"]));
            Assert.DoesNotContain("4711", entry.ToString(), StringComparison.Ordinal);
            var recount = await program.Operator.AskAsync(HttpMethod.Post, "/api/transfers/recount?exporter=acme-zhuhai");
            Assert.True((bool)recount.Json["agrees"]!, recount.Text);
        }
    }

    [Fact]
    public async Task A_counter_that_is_not_what_its_rows_say_is_told_by_the_weekly_proof()
    {
        using var data = new DataDirectory();
        await using var program = await ClockedProgram.StartAsync(data.Path, "2026-11-22T02:00:00Z");
        using var sender = new TransferSender(program.CreateOperator());
        await sender.PostAsync(TransferSender.Lines(Enumerable.Range(0, 50), "acme-zhuhai"), TransferSender.NdJson);
        Assert.Equal(50, (int)(await sender.CountersAsync("acme-zhuhai"))["subjects"]!);
        await program.TickAsync("ProveTransferCounters");
        Assert.Empty(await AlertsAsync());

        // A hand in the store: one shard forgets what it counted.
        var store = program.Services.GetRequiredService<IEntityStore>();
        var partition = LedgerRows.ShardPartition("acme-zhuhai", await FirstShardAsync(store));
        var row = (await store.GetAsync(LedgerRows.ShardTable, partition, LedgerRows.CounterRow, Cancellation))!;
        var options = program.Services.GetRequiredService<LedgerOptions>();
        var shard = ShardRow.FromRow(row, options);
        shard.Counters.Add(shard.Counters.Counts.Keys.First(), 7);
        Assert.True((await store.SubmitAsync(
            EntityTransaction.Of(LedgerRows.ShardTable, EntityOperation.Replace(shard.ToRow(partition, options, shard.Counters))), Cancellation)).Committed);

        await program.TickAsync("ProveTransferCounters");

        await Eventually.IsTrueAsync(async () => (await AlertsAsync()).Count == 1, () => "people are told", Cancellation);
        var alert = Assert.Single(await AlertsAsync());
        Assert.Equal(("transfers.recount_differs", "critical", "acme-zhuhai", "1"), ((string?)alert["type"], (string?)alert["severity"], (string?)alert["details"]!["exporter"], (string?)alert["details"]!["differences"]));
        var recount = await program.Operator.AskAsync(HttpMethod.Post, "/api/transfers/recount?exporter=acme-zhuhai");
        Assert.False((bool)recount.Json["agrees"]!);
        var difference = Assert.Single(recount.Json["differences"]!);
        Assert.Equal(7, (long)difference["stored"]! - (long)difference["counted"]!);
        var outcomes = (await program.Operator.AskAsync(HttpMethod.Get, "/api/audit?kind=transfers.recounted")).Json["items"]!
            .Where(static entry => (string?)entry["exporter"] == "acme-zhuhai").Select(static entry => ((string?)entry["actor"]!["id"], (string?)entry["outcome"]));
        Assert.Equal([("ProveTransferCounters", "succeeded"), ("ProveTransferCounters", "failed"), ("key:all", "failed")], outcomes);

        async Task<List<JToken>> AlertsAsync() => [.. (await program.Operator.AskAsync(HttpMethod.Get, "/api/alerts?type=transfers")).Json["items"]!];
    }

    private static async Task<int> FirstShardAsync(IEntityStore store)
    {
        for (var shard = 0; ; shard++)
        {
            if (await store.GetAsync(LedgerRows.ShardTable, LedgerRows.ShardPartition("acme-zhuhai", shard), LedgerRows.CounterRow, Cancellation) is not null)
            {
                return shard;
            }
        }
    }
}
