using DingFlow.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using static DingFlow.Tests.Transfers.LedgerScenario;

namespace DingFlow.Tests.Transfers;

/// <summary>What a sender may make the ledger remember has an end: distinct facts are refused beyond it, states are forgotten.</summary>
public sealed class LedgerFactTests : IAsyncDisposable
{
    private readonly LedgerMemoryStore _store = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Fact]
    public async Task Facts_beyond_the_limit_are_refused_and_the_others_count()
    {
        await using var ledger = Ledger(_store, SmallOptions with { FactLimit = 2 });

        var result = await ledger.AppendAsync(
            Batch(
                "b", Record(1), Record(2, facts: Fact(dataClass: DataClass.Finance)), Record(3, facts: Fact(dataClass: DataClass.MedicalHealth)),
                Record(4, facts: [Fact(), Fact(minor: true)]), Record(5)),
            Token);
        var again = await ledger.AppendAsync(Batch("c", Record(3, facts: Fact(exemption: ExemptionKind.Contract)), Record(6, facts: Fact(dataClass: DataClass.Finance))), Token);

        Assert.Equal([new(2, LedgerRefusal.TooManyFacts), new(3, LedgerRefusal.TooManyFacts)], result.Refused);
        Assert.Equal([new(0, LedgerRefusal.TooManyFacts)], again.Refused);
        Assert.Equal(1, again.Accepted);
        var counters = await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token);
        Assert.Equal((4L, 2L, 2L), (counters.Subjects, counters.Counters["pi.general"], counters.Counters["pi.sensitive"]));
        Assert.True((await ledger.RecountAsync(LedgerScenario.Exporter, Token)).Agrees);
    }

    [Fact]
    public async Task A_restart_and_another_process_know_the_same_facts()
    {
        var options = SmallOptions with { FactLimit = 3 };
        await using (var first = Ledger(_store, options))
        {
            // More entries than a checkpoint waits for, so that some are known from it and some from the log behind it.
            for (var i = 0; i < 8; i++)
            {
                await first.AppendAsync(Batch($"b-{i}", Record(i, facts: i < 4 ? Fact() : i < 7 ? Fact(dataClass: DataClass.Finance) : Fact(lane: "CN-HK"))), Token);
                await first.MergeAsync(LedgerScenario.Exporter, Token);
            }
        }

        await using var second = Ledger(_store, options);
        await using var third = Ledger(_store, options);
        SubjectTransfer[] records = [Record(20, facts: Fact(lane: "CN-MO")), Record(21, facts: Fact(lane: "CN-HK")), Record(22), Record(23, facts: Fact(dataClass: DataClass.Finance))];

        Assert.Equal([new(0, LedgerRefusal.TooManyFacts)], (await second.AppendAsync(Batch("x", records), Token)).Refused);
        Assert.Equal([new(0, LedgerRefusal.TooManyFacts)], (await third.AppendAsync(Batch("y", records), Token)).Refused);
        Assert.Equal([new(0, LedgerRefusal.TooManyFacts)], (await third.BeginTrialAsync(LedgerScenario.Exporter, Token)).Append(records).Refused);
        Assert.Equal(11, (await second.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task Two_writers_at_once_keep_to_one_limit()
    {
        var options = SmallOptions with { FactLimit = 4 };
        await using var one = Ledger(_store, options);
        await using var other = Ledger(_store, options);
        var lanes = Enumerable.Range(0, 12).Select(static i => Fact(lane: "CN-" + "HK MO SG US GB FR DE JP KR TH VN MY".Split(' ')[i])).ToList();

        var results = await Task.WhenAll(lanes.Select((fact, i) => (i % 2 == 0 ? one : other).AppendAsync(Batch($"b-{i}", Record(i, facts: fact)), Token)));

        Assert.Equal((4, 8), (results.Sum(static result => result.Accepted), results.Sum(static result => result.Refused.Count)));
        Assert.Equal(4, (await other.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task A_ledger_without_the_list_goes_on_and_begins_one()
    {
        await using (var earlier = Ledger(_store, SmallOptions with { FactLimit = 2 }))
        {
            await earlier.AppendAsync(Batch("b", Record(1), Record(2, facts: Fact(lane: "CN-HK"))), Token);
            await earlier.MergeAsync(LedgerScenario.Exporter, Token);
            await earlier.PruneAsync(LedgerScenario.Exporter, Token);
        }

        // As an earlier version leaves it: a checkpoint that knows names and no facts.
        var row = await _store.GetAsync(LedgerRows.LogTable, LedgerScenario.Exporter, LedgerRows.Facts, Token);
        Assert.NotNull(row);
        await _store.SubmitAsync(EntityTransaction.Of(LedgerRows.LogTable, EntityOperation.Delete(LedgerScenario.Exporter, LedgerRows.Facts)), Token);

        await using var ledger = Ledger(_store, SmallOptions with { FactLimit = 2 });
        var result = await ledger.AppendAsync(Batch("c", Record(3), Record(4, facts: Fact(lane: "CN-MO")), Record(5, facts: Fact(lane: "CN-HK"))), Token);

        Assert.Equal([new(2, LedgerRefusal.TooManyFacts)], result.Refused);
        Assert.Equal(4, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2026, Token)).Subjects);
    }

    [Fact]
    public async Task States_in_which_nobody_is_any_more_are_forgotten_and_nothing_is_counted_otherwise()
    {
        var model = new LedgerModel(Predicates);
        await using var ledger = Ledger(_store, SmallOptions with { Shards = 1, States = 4 });
        var classes = Enum.GetValues<DataClass>();
        for (var i = 0; i < 120; i++)
        {
            // Three persons pass through ever more states.
            var record = Record(i % 3, facts: Fact(dataClass: classes[i % classes.Length], recipient: $"r-{i % 7}")) with { RecordId = $"t-{i}" };
            await ledger.AppendAsync(Batch($"b-{i}", record), Token);
            model.Append($"b-{i}", [record]);
            await ledger.MergeAsync(LedgerScenario.Exporter, Token);
        }

        await model.AssertAgreesAsync(ledger, LedgerScenario.Exporter, Token);
    }

    [Fact]
    public void A_space_of_states_that_were_only_passed_through_is_replaced()
    {
        var options = SmallOptions with { States = 4 };
        var header = new LedgerHeader(options);
        var predicates = new CompiledPredicates(Predicates);
        header.Dictionary.Add(Fact());
        var log = new ExporterLog(_store, LedgerScenario.Exporter, options, Clock());
        var shards = new ShardSet(new(_store, LedgerScenario.Exporter, options, predicates, log), header);
        for (var year = 2000; year < 2010; year++)
        {
            header.Dictionary.Add(Fact());
            shards.Space.Intern([new(year, [header.Dictionary.Pack(Fact())])]);
        }

        Assert.Equal(11, shards.Space.Count);
        shards.Trim(1_000);
        Assert.Equal(1, shards.Space.Count);
    }
}
