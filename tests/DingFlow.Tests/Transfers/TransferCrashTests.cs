using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.Logging.Abstractions;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>Wherever the process dies, what the ledger holds is what the trail tells: batches from every door, and every correction.</summary>
public sealed class TransferCrashTests
{
    private const string Exporter = CrashWorld.Exporter;
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public Task A_batch_by_HTTP_is_told_with_as_many_records_as_there_are() => CrashPoints.EveryAsync(new()
    {
        Act = world => SendAsync(world, "batch-1", 3),
        State = RecordsAsync,
        Told = Recorded,
        Final = async world => Assert.Equal((3, 3L), (await CountAsync(world), (await world.Get<SubjectLedger>().ReadCountersAsync(Exporter, 2026, Cancellation)).Subjects)),
    });

    [Fact]
    public Task A_batch_of_two_exporters_is_told_of_both() => CrashPoints.EveryAsync(new()
    {
        Act = world => SendAsync(world, "batch-1", 3, "acme-sg"),
        State = RecordsAsync,
        Told = Recorded,
        Final = async world => Assert.Equal(6, await CountAsync(world)),
    });

    [Fact]
    public Task A_batch_of_cloud_events_is_told() => CrashPoints.EveryAsync(new()
    {
        Act = world => world.CallAsync<RecordTransfers>(
            new JArray(Enumerable.Range(1, 2).Select(static i => new JObject
            {
                ["specversion"] = "1.0", ["id"] = $"e-{i}", ["source"] = "/hr", ["type"] = "com.example.transfer", ["data"] = TransferSender.Record($"t-{i}", $"E{i}"),
            })).ToString(),
            prepare: static request => request.ContentType = TransferSender.CloudEvents),
        State = RecordsAsync,
        Told = Recorded,
        Final = async world => Assert.Equal(2, await CountAsync(world)),
    });

    [Fact]
    public Task People_of_a_feed_are_told_as_recorded_and_as_united() => CrashPoints.EveryAsync(new()
    {
        Act = async world =>
        {
            var feed = world.Get<PeopleFeedOptions>().HrSources["acme"];
            await world.Get<PeopleCounting>().CountAllAsync(
                feed,
                [.. Enumerable.Range(1, 3).Select(static i => new FeedPerson([(SubjectType.EmployeeId, $"E{i}", Exporter), (SubjectType.Email, $"e{i}@acme.example", "")]))], [],
                Cancellation);
        },
        State = async world => (await RecordsAsync(world)).Concat(
            (await world.RowsAsync("Identities", "map", "log|")).Count > 0 ? ["linked"] : []),
        Told = static entries => Recorded(entries).Concat(Once(TransferAudit.SubjectsUnited, "linked")(entries)),
        Final = async world =>
        {
            Assert.Equal(3, await CountAsync(world));
            Assert.Equal(3, (await world.Get<SubjectLedger>().ReadCountersAsync(Exporter, 2026, Cancellation)).Subjects);
        },
        Settings = new Dictionary<string, string?>
        {
            ["DingFlow:Region"] = "SG", ["HrSources:acme:Exporter"] = Exporter, ["DingTalk:Tenants:sandbox:Exporter"] = Exporter,
        },
    });

    [Fact]
    public Task Taking_a_batch_back_is_told_exactly_when_it_is_taken_back() => CrashPoints.EveryAsync(new()
    {
        Arrange = world => SendAsync(world, "batch-1", 2),
        Act = async world => await world.CallAsync<VoidTransferBatch>("""{"reason":"sent twice"}""", new Dictionary<string, string> { ["id"] = await BatchIdAsync(world) }),
        State = async world => await InfoAsync(world) is { State: BatchState.Voided } ? ["voided"] : [],
        Told = Once(TransferAudit.BatchVoided, "voided"),
        Final = async world => Assert.Equal(0, (await world.Get<SubjectLedger>().ReadCountersAsync(Exporter, 2026, Cancellation)).Subjects),
    });

    [Fact]
    public Task An_opening_balance_is_told_exactly_when_it_is_there() => CrashPoints.EveryAsync(new()
    {
        Act = static world => world.CallAsync<SetOpeningBalance>(
            $$"""{"exporter":"{{Exporter}}","year":2026,"counter":"cn.counted.sensitive","count":12,"source":"filing of 2025"}"""),
        State = async world => (await world.Get<SubjectLedger>().ReadOpeningBalancesAsync(Exporter, Cancellation)).Select(static balance => $"set {balance.Count}"),
        Told = Once(TransferAudit.OpeningBalanceSet, "set 12"),
        Final = async world => Assert.Single(await world.Get<SubjectLedger>().ReadOpeningBalancesAsync(Exporter, Cancellation)),
    });

    [Fact]
    public Task An_opening_balance_that_is_taken_back_is_told_exactly_when_it_is_gone() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => world.Get<SubjectLedger>().SetOpeningBalanceAsync(Exporter, 2026, "cn.counted.sensitive", 12, "filing of 2025", Cancellation),
        Act = static world => world.CallAsync<RemoveOpeningBalance>(query: $"?exporter={Exporter}&year=2026&counter=cn.counted.sensitive"),
        State = async world => (await world.Get<SubjectLedger>().ReadOpeningBalancesAsync(Exporter, Cancellation)).Count == 0 ? ["gone"] : [],
        Told = Once(TransferAudit.OpeningBalanceRemoved, "gone"),
        Final = async world => Assert.Empty(await world.Get<SubjectLedger>().ReadOpeningBalancesAsync(Exporter, Cancellation)),
    });

    [Fact]
    public Task Uniting_identifiers_is_told_exactly_when_they_are_united() => CrashPoints.EveryAsync(new()
    {
        Arrange = world => SendAsync(world, "batch-1", 2),
        Act = static world => world.CallAsync<UniteSubjects>(
            $$$"""{"exporter":"{{{Exporter}}}","reason":"one person","subjects":[{"type":"employeeId","id":"E1"},{"type":"employeeId","id":"E2"}]}"""),
        State = async world => (await world.RowsAsync("Identities", "map", "log|")).Count > 0 ? ["united"] : [],
        Told = Once(TransferAudit.SubjectsUnited, "united"),
        Final = async world => Assert.Equal(1, (await world.Get<SubjectLedger>().ReadCountersAsync(Exporter, 2026, Cancellation)).Subjects),
    });

    [Fact]
    public Task Erasing_a_person_is_told_exactly_when_nothing_is_held() => CrashPoints.EveryAsync(new()
    {
        Arrange = async world =>
        {
            await SendAsync(world, "batch-1", 1);
            world.Time.Advance(TimeSpan.FromDays(4 * 366));
        },
        Act = static world => world.CallAsync<EraseSubject>("""{"subject":{"type":"employeeId","id":"E1"},"reason":"article 47"}"""),
        State = async world => (await world.Get<SubjectLedger>().ReadCountersAsync(Exporter, 2026, Cancellation)).Subjects == 0 ? ["erased"] : [],
        Told = Once(TransferAudit.SubjectErased, "erased"),
        Final = async world => Assert.Equal(0, (await world.Get<SubjectLedger>().ReadCountersAsync(Exporter, 2026, Cancellation)).Subjects),
    });

    [Fact]
    public Task Records_past_their_retention_are_told_exactly_when_they_are_gone() => CrashPoints.EveryAsync(new()
    {
        Arrange = async world =>
        {
            await SendAsync(world, "batch-1", 2);
            await SendAsync(world, "batch-2", 2);
            world.Time.Advance(TimeSpan.FromDays(4 * 366));
        },
        Act = static world => world.TickAsync<PruneTransfers>(),
        State = async world => (await world.RowsAsync("LedgerLog", Exporter, "L")).Count == 0 ? ["expired"] : [],
        Told = Once(TransferAudit.RecordsExpired, "expired"),
        Final = async world => Assert.Empty(await world.RowsAsync("LedgerLog", Exporter, "L")),
    });

    [Fact]
    public async Task A_start_settles_what_the_process_before_left_unfinished()
    {
        using var data = new DataDirectory();
        using (var database = new SqliteDatabase(data.Path))
        {
            var store = new SqliteEntityStore(database, TimeProvider.System);
            await using var trail = new AuditTrail(store, new(), TimeProvider.System, NullLogger<AuditTrail>.Instance);
            await using var left = await TestJournal.Over(store, trail, TimeProvider.System).BeginAsync(
                new()
                {
                    Begun = TransferAudit.ChangeBegun, Question = LedgerQuestion.BatchName, Arguments = ["0123456789abcdef0123456789abcdef", Exporter],
                    Events = [TrailDriver.Event("left", TransferAudit.BatchRecorded) with { Exporter = Exporter }],
                },
                Cancellation);
            await trail.DrainAsync(Cancellation);
        }

        await using var program = await ClockedProgram.StartAsync(data.Path, TimeProvider.System.GetUtcNow().ToString("O", CultureInfo.InvariantCulture));
        JToken? told = null;
        await Eventually.IsTrueAsync(
            async () => (told = (await program.Operator.AskAsync(HttpMethod.Get, "/api/audit?kind=transfers.batch_recorded")).Json["items"]!.FirstOrDefault()) is not null,
            static () => "the outcome of the batch", Cancellation);

        Assert.Equal(
            ("failed", "interrupted", "0", "key:ops", Exporter),
            ((string?)told!["outcome"], (string?)told["details"]!["settled"], (string?)told["details"]!["records"], (string?)told["actor"]!["id"], (string?)told["exporter"]));
        Assert.Equal(
            (string?)told["details"]!["change"],
            (string?)Assert.Single((await program.Operator.AskAsync(HttpMethod.Get, "/api/audit?kind=transfers.change_begun")).Json["items"]!)["details"]!["change"]);
    }

    /// <summary>What a request says was done may have been done by the one before, which nobody answered: the state shows it once.</summary>
    private static Func<IReadOnlyList<ToldEntry>, IEnumerable<string>> Once(AuditKind kind, string change) =>
        entries => entries.Where(entry => entry.Kind == kind.Name && entry.Said.Outcome == AuditOutcome.Succeeded).Select(_ => change).Distinct();

    private static Task<(int Status, string Body)> SendAsync(CrashWorld world, string key, int records, params string[] also) => world.CallAsync<RecordTransfers>(
        new JArray(((string[])[Exporter, .. also]).SelectMany(exporter => Enumerable.Range(1, records).Select(i => TransferSender.Record($"t-{i}", $"E{i}", exporter)))).ToString(),
        prepare: request => request.Headers["Idempotency-Key"] = key);

    private static async Task<string> BatchIdAsync(CrashWorld world) =>
        (await world.RowsAsync("LedgerLog", Exporter, "B"))[0].Properties.Require<string>("Id");

    private static async Task<BatchInfo?> InfoAsync(CrashWorld world) =>
        await world.Get<SubjectLedger>().FindBatchAsync(Exporter, await BatchIdAsync(world), Cancellation);

    private static async Task<int> CountAsync(CrashWorld world)
    {
        var count = 0;
        foreach (var exporter in (string[])[Exporter, "acme-sg"])
        {
            count += (await world.RowsAsync("LedgerLog", exporter, "B")).Sum(static row => row.Properties.Require<int>("Records"));
        }

        return count;
    }

    private static async Task<IEnumerable<string>> RecordsAsync(CrashWorld world) => [(await CountAsync(world)).ToString(CultureInfo.InvariantCulture)];

    /// <summary>A request says how many records it added; one that was interrupted, how many there were of the batch in all.</summary>
    private static IEnumerable<string> Recorded(IReadOnlyList<ToldEntry> entries)
    {
        var records = 0;
        foreach (var entry in entries.Where(static entry => entry.Kind == TransferAudit.BatchRecorded.Name))
        {
            records = entry.Detail("settled").Length > 0
                ? int.Parse(entry.Detail("records"), CultureInfo.InvariantCulture)
                : records + int.Parse(entry.Detail("accepted"), CultureInfo.InvariantCulture);
        }

        return [records.ToString(CultureInfo.InvariantCulture)];
    }
}
