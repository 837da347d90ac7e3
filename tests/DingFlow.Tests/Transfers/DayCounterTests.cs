using CsCheck;
using DingFlow.Rules;
using DingFlow.Settings;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Tests.Transfers;

/// <summary>Days counted from the records: the ledger's own counters as they would have been at the end of each day.</summary>
public sealed class DayCounterTests
{
    private const string Exporter = LedgerScenario.Exporter;

    private static readonly TransferFact[][] FactSets =
    [
        [LedgerScenario.Fact()], [LedgerScenario.Fact(dataClass: DataClass.Finance)], [LedgerScenario.Fact(), LedgerScenario.Fact(dataClass: DataClass.Finance)],
        [LedgerScenario.Fact(exemption: ExemptionKind.HumanResources)], [LedgerScenario.Fact(lane: "CN-HK", recipient: "acme-hk", minor: true, dataClass: DataClass.Minor)],
    ];

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private static Gen<SubjectTransfer> Records { get; } =
        from subject in Gen.Int[0, 8]
        from day in Gen.Int[-40, 60]
        from facts in Gen.Int[0, FactSets.Length - 1]
        select LedgerScenario.Record(subject) with { Facts = FactSets[facts], OccurredAt = LegalTime.StartOf(new DateOnly(2026, 1, 1).AddDays(day)).AddHours(7) };

    [Fact]
    public Task Each_day_is_what_a_ledger_would_have_counted_by_then() => Gen.Select(Records.List[1, 40], Gen.Int[0, 60]).SampleAsync(
        async (records, day) =>
        {
            var through = new DateOnly(2026, 1, 1).AddDays(day);
            await using var all = LedgerScenario.Ledger(new LedgerMemoryStore());
            await all.AppendAsync(new("all", 0, records), Token);
            await using var until = LedgerScenario.Ledger(new LedgerMemoryStore());
            await until.AppendAsync(new("until", 0, [.. records.Where(record => LegalTime.DayOf(record.OccurredAt) <= through)]), Token);
            var counter = new DayCounter(LedgerScenario.Predicates, 2026);
            await foreach (var record in all.ReadRecordsAsync(Exporter, null, Token))
            {
                counter.Add(record);
            }

            var counted = counter.ToDays(through)[^1];

            var expected = (await until.ReadCountersAsync(Exporter, 2026, Token)).Counters.Where(static count => count.Value != 0).ToDictionary();
            Assert.Equal(through, counted.Day);
            Assert.Equal(new SortedDictionary<string, long>(expected), new SortedDictionary<string, long>(counted.Counters.Where(static count => count.Value != 0).ToDictionary()));
        },
        iter: 200);

    [Fact]
    public async Task United_persons_and_voided_batches_are_counted_as_the_ledger_counts_them()
    {
        await using var ledger = LedgerScenario.Ledger(new LedgerMemoryStore());
        await ledger.AppendAsync(LedgerScenario.Batch("a", LedgerScenario.Record(1, "2026-02-01T12:00:00+08:00"), LedgerScenario.Record(2, "2026-02-02T12:00:00+08:00")), Token);
        await ledger.AppendAsync(LedgerScenario.Batch("b", LedgerScenario.Record(3, "2026-02-03T12:00:00+08:00")), Token);
        await ledger.UnionAsync(Exporter, LedgerScenario.Subject(1), LedgerScenario.Subject(2), Token);
        await ledger.VoidBatchAsync(Exporter, "b", Token);
        var counter = new DayCounter(LedgerScenario.Predicates, 2026);
        await foreach (var record in ledger.ReadRecordsAsync(Exporter, null, Token))
        {
            counter.Add(record);
        }

        Assert.Equal([1L, 1, 1], counter.ToDays(new(2026, 2, 3)).TakeLast(3).Select(static day => day.Counters["subjects"]));
        Assert.NotNull(counter.ToCompleteDays(1));
        Assert.Null(counter.ToCompleteDays(2));
    }

    [Fact]
    public void More_persons_than_can_be_told_apart_give_no_answer()
    {
        var counter = new DayCounter(LedgerScenario.Predicates, 2026, mostPersons: 2);
        for (var person = 0; person < 3; person++)
        {
            counter.Add(new($"t-{person}", SubjectKey.Of(LedgerScenario.Subject(person)), LegalTime.StartOf(2026).AddDays(3), FactSets[0], TransferCircumstances.Unknown, "b"));
        }

        Assert.True(counter.Overflowed);
        Assert.Null(counter.ToCompleteDays(0));
    }

    /// <summary>A company that begins in autumn sends the year's records at once: the forecast knows its weeks all the same.</summary>
    [Fact]
    public async Task A_backfill_gives_the_forecast_its_past_and_its_weekly_rhythm()
    {
        var (store, time) = (new LedgerMemoryStore(), LedgerScenario.Clock());
        await using var ledger = LedgerScenario.Ledger(store, LedgerScenario.SmallOptions with { ChunkRecords = 20_000, MergeRecords = 64 * 1024 }, time: time);
        var history = new CounterHistory(store, time);
        var (transfers, person) = (new TransfersOptions { Exporters = new Dictionary<string, Exporter> { [Exporter] = new() { Id = Exporter } } }, 0);
        List<SubjectTransfer> records = [];
        for (var day = new DateOnly(2026, 9, 7); day < new DateOnly(2026, 11, 22); day = day.AddDays(1))
        {
            for (var n = 0; n < (day.DayOfWeek is DayOfWeek.Saturday or DayOfWeek.Sunday ? 0 : 100); n++)
            {
                records.Add(LedgerScenario.Record(person++, facts: LedgerScenario.Fact(dataClass: DataClass.Finance)) with { OccurredAt = LegalTime.StartOf(day).AddHours(9) });
            }
        }

        await ledger.AppendAsync(new("backfill", 0, records), Token);
        var reader = new ThresholdReader(
            RuleEngine.Create(transfers, new SettingsFaults()), ledger, history, new IncidentStore(store, new Audit.TestTrail(store)), time);
        async Task<ThresholdForecast> ForecastAsync() =>
            (await reader.ReadAndRecordAsync(transfers.Exporters[Exporter], Token)).Rules.Single(static rule => rule.Rule == "CN24-SA-SPI").Forecast;
        Assert.Null((await ForecastAsync()).Date);

        await new RebuildCounterDays(transfers, ledger, LedgerScenario.Predicates, history, time, NullLogger<RebuildCounterDays>.Instance).InvokeAsync(new(false), Token);

        // 5 500 by 20 November (a Friday), 500 a week: the 45th working day from Monday the 23rd is 22 January, beyond the year.
        var beyond = await ForecastAsync();
        Assert.StartsWith("by weekday over 8 weeks", beyond.Method, StringComparison.Ordinal);
        Assert.Equal(5_500, (await history.ReadAsync(Exporter, 2026, Token)).Single(static day => day.Day == new DateOnly(2026, 11, 20)).Counters["cn.counted.sensitive"]);

        // With 8 000 the 20th working day from the 23rd is Friday 18 December; a straight line over calendar days would say otherwise.
        await ledger.AppendAsync(new("more", 0, [.. Enumerable.Range(person, 2_500).Select(n => LedgerScenario.Record(n, "2026-09-07T09:00:00+08:00", LedgerScenario.Fact(dataClass: DataClass.Finance)))]), Token);
        await new RebuildCounterDays(transfers, ledger, LedgerScenario.Predicates, history, time, NullLogger<RebuildCounterDays>.Instance).InvokeAsync(new(false), Token);
        Assert.Equal(new DateOnly(2026, 12, 18), (await ForecastAsync()).Date);
    }
}
