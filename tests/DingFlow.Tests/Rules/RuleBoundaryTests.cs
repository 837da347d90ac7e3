using System.Globalization;
using DingFlow.Rules;
using DingFlow.Settings;
using DingFlow.Tests.Audit;
using DingFlow.Tests.Transfers;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Rules;

/// <summary>The cases at which the law's comparisons turn, first on bare numbers, then from records through the ledger.</summary>
public sealed class RuleBoundaryTests
{
    private static readonly DateTimeOffset Today = At("2026-11-22");
    private static readonly Exporter Acme = new() { Id = LedgerScenario.Exporter };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(0, 0, Tier.Exempt)]
    [InlineData(99_999, 0, Tier.Exempt)]
    [InlineData(100_000, 0, Tier.ScOrCert)]
    [InlineData(999_999, 0, Tier.ScOrCert)]
    [InlineData(1_000_000, 0, Tier.Sa)]
    [InlineData(0, 1, Tier.ScOrCert)]
    [InlineData(0, 9_999, Tier.ScOrCert)]
    [InlineData(0, 10_000, Tier.Sa)]
    [InlineData(50_000, 20, Tier.ScOrCert)]
    public void Tiers_of_Order_16(long general, long sensitive, Tier expected)
    {
        var thresholds = Engine().Evaluate(Acme, Counters(("cn.counted.general", general), ("cn.counted.sensitive", sensitive)), Today);

        Assert.Equal(expected, thresholds.Tier);
        Assert.Equal(expected, thresholds.Tiers["cn-2024"]);
    }

    [Fact]
    public void Fifty_thousand_and_twenty_sensitive_need_a_contract_because_of_the_twenty()
    {
        var thresholds = Engine().Evaluate(Acme, Counters(("cn.counted.general", 50_000), ("cn.counted.sensitive", 20)), Today);

        Assert.True(Rule(thresholds, "CN24-SC-SPI").Reached);
        Assert.False(Rule(thresholds, "CN24-SC-PI").Reached);
        Assert.True(Rule(thresholds, "CN24-EX-VOL").Reached);
    }

    [Theory]
    [InlineData("CN24-SC-PI", 99_999, false)]
    [InlineData("CN24-SC-PI", 100_000, true)]
    [InlineData("CN24-SC-PI", 999_999, true)]
    [InlineData("CN24-SC-PI", 1_000_000, false)]
    [InlineData("CN24-SA-PI", 999_999, false)]
    [InlineData("CN24-SA-PI", 1_000_000, true)]
    [InlineData("CN24-EX-VOL", 99_999, true)]
    [InlineData("CN24-EX-VOL", 100_000, false)]
    public void A_rule_on_persons_turns_at_its_number(string rule, long general, bool reached) =>
        Assert.Equal(reached, Rule(Engine().Evaluate(Acme, Counters(("cn.counted.general", general)), Today), rule).Reached);

    [Fact]
    public void Share_is_count_by_lower_bound_and_by_upper_bound_where_there_is_no_lower()
    {
        var thresholds = Engine().Evaluate(Acme, Counters(("cn.counted.general", 50_000), ("cn.counted.sensitive", 3)), Today);

        Assert.Equal(0.5, Rule(thresholds, "CN24-SC-PI").Share);
        Assert.Equal(3.0, Rule(thresholds, "CN24-SC-SPI").Share);
        Assert.Equal(0.5, Rule(thresholds, "CN24-EX-VOL").Share);
    }

    [Fact]
    public void One_person_is_enough_for_an_operator_of_critical_infrastructure()
    {
        var counters = Counters(("cn.counted.any", 1), ("cn.counted.general", 1), ("cn.all.any", 1));

        var thresholds = Engine().Evaluate(Acme with { Ciio = true }, counters, Today);

        Assert.Equal(Tier.Sa, thresholds.Tier);
        Assert.True(Rule(thresholds, "CN24-SA-CIIO").Reached);
        Assert.All(["CN24-SC-PI", "CN24-EX-VOL", "CN24-SA-PI"], id => Assert.False(Rule(thresholds, id).Applicable));
        Assert.Equal(Tier.None, Engine().Evaluate(Acme with { Ciio = true }, Counters(), Today).Tier);
        Assert.Equal(Tier.Exempt, Engine().Evaluate(Acme, counters, Today).Tier);
    }

    [Fact]
    public void Important_data_ask_for_an_assessment_whoever_exports_them() =>
        Assert.Equal(Tier.Sa, Engine().Evaluate(Acme with { ImportantData = true }, Counters(), Today).Tier);

    [Theory]
    [InlineData(999_999L, null, "")]
    [InlineData(1_000_000L, null, "CN25-DPO")]
    [InlineData(9_999_999L, null, "CN25-DPO")]
    [InlineData(10_000_000L, null, "CN25-10M,CN25-DPO")]
    [InlineData(10_000_001L, null, "CN25-10M,CN25-AUDIT,CN25-DPO")]
    [InlineData(null, 99_999L, "")]
    [InlineData(null, 100_000L, "CN25-FACE")]
    public void Rules_on_what_is_held_turn_at_the_reported_number(long? processed, long? faces, string reached)
    {
        var thresholds = Engine().Evaluate(Acme with { ProcessedPersons = processed, StoredFaces = faces }, Counters(), Today);

        Assert.Equal(reached, string.Join(',', thresholds.Rules.Where(static rule => rule is { Reached: true, RuleSet: "cn-2025" }).Select(static rule => rule.Rule).Order()));
        Assert.All(thresholds.Rules.Where(static rule => rule.RuleSet == "cn-2025"), static rule => Assert.Null(rule.Window.From));
    }

    [Theory]
    [InlineData(999_999, 0, 0, "")]
    [InlineData(1_000_000, 0, 0, "CN25-INC-PI")]
    [InlineData(1_000_000, 0, 1, "CN25-INC-PI,EU-33")]
    [InlineData(99_999, 99_999, 0, "")]
    [InlineData(100_000, 100_000, 0, "CN25-INC-SPI")]
    [InlineData(1, 0, 1, "EU-33")]
    public void Rules_on_an_incident_turn_at_its_size(long persons, long sensitive, long eea, string reached)
    {
        var thresholds = Engine().Evaluate(Acme, Counters(), Today, null, new(persons, sensitive, eea));

        Assert.Equal(reached, string.Join(',', thresholds.Rules.Where(static rule => rule.Reached && rule.RuleSet is not "cn-2024").Select(static rule => rule.Rule).Order()));
    }

    [Theory]
    [InlineData("gba.macau.any", "GBA-MO-24")]
    [InlineData("gba.hongKong.any", "GBA-HK-23")]
    [InlineData("mo.all.any", "MO-05-T")]
    [InlineData("hk.all.any", "HK-33")]
    [InlineData("eea.all.any", "EU-44")]
    [InlineData("cn.all.exempt.statutory", "CN25-EX-LEGAL")]
    public void A_rule_of_another_lane_is_listed_once_it_is_touched(string counter, string rule)
    {
        var thresholds = Engine().Evaluate(Acme, Counters((counter, 1)), Today);

        Assert.True(Rule(thresholds, rule).Reached);
        Assert.DoesNotContain(Engine().Evaluate(Acme, Counters(), Today).Rules, other => other.Rule == rule);
        Assert.Equal(Tier.Exempt, thresholds.Tier);
    }

    [Theory]
    [InlineData("cn.all.exempt.trade", "CN24-EX-TRADE")]
    [InlineData("cn.all.exempt.transit", "CN24-EX-TRANSIT")]
    [InlineData("cn.all.exempt.contract", "CN24-EX-CONTRACT")]
    [InlineData("cn.all.exempt.hr", "CN24-EX-HR")]
    [InlineData("cn.all.exempt.emergency", "CN24-EX-EMERG")]
    [InlineData("cn.all.exempt.ftz", "CN24-EX-FTZ")]
    public void An_exemption_is_reached_by_its_first_person(string counter, string rule)
    {
        Assert.False(Rule(Engine().Evaluate(Acme, Counters(), Today), rule).Reached);
        Assert.True(Rule(Engine().Evaluate(Acme, Counters((counter, 1)), Today), rule).Reached);
    }

    [Theory]
    [InlineData("2026-06-01", true)]
    [InlineData("2025-12-31", false)]
    public void Certification_is_available_from_2026(string day, bool inForce)
    {
        var rule = Rule(Engine().Evaluate(Acme, Counters(("cn.counted.general", 100_000), ("cn.counted.sensitive", 1)), At(day)), "CN26-CERT-PI");

        Assert.True(rule.Reached);
        Assert.Equal(inForce ? RuleStatus.InForce : RuleStatus.NotYetInForce, rule.Status);
    }

    [Theory]
    [InlineData(99_999, 0, 0, "CN22-SC", Tier.ScOrCert)]
    [InlineData(100_000, 0, 0, "CN22-SA-PI", Tier.Sa)]
    [InlineData(9_999, 9_999, 0, "CN22-SC", Tier.ScOrCert)]
    [InlineData(10_000, 10_000, 0, "CN22-SA-SPI", Tier.Sa)]
    [InlineData(1, 0, 999_999, "CN22-SC", Tier.ScOrCert)]
    [InlineData(1, 0, 1_000_000, "CN22-SA-PROC", Tier.Sa)]
    [InlineData(0, 0, 1_000_000, null, Tier.None)]
    public void Tiers_of_Orders_11_and_13(long any, long sensitive, long processed, string? decides, Tier expected)
    {
        var counters = Counters(("cn.all.any.twoYears", any), ("cn.all.sensitive.twoYears", sensitive));

        var thresholds = Engine("cn-2022").Evaluate(Acme with { ProcessedPersons = processed }, counters, At("2023-12-31"));

        Assert.Equal(expected, thresholds.Tier);
        Assert.True(decides is null || Rule(thresholds, decides).Reached);
    }

    [Fact]
    public void The_superseded_set_informs_and_the_one_in_force_decides()
    {
        var counters = Counters(("cn.counted.general", 99_999), ("cn.all.any.twoYears", 100_000));

        var thresholds = Engine("cn-2024", "cn-2022").Evaluate(Acme, counters, Today);

        Assert.Equal(Tier.Exempt, thresholds.Tier);
        Assert.Equal((Tier.Exempt, Tier.Sa), (thresholds.Tiers["cn-2024"], thresholds.Tiers["cn-2022"]));
        Assert.Equal(RuleStatus.Superseded, Rule(thresholds, "CN22-SA-PI").Status);
        Assert.DoesNotContain(Engine().Evaluate(Acme, counters, Today).Rules, static rule => rule.RuleSet == "cn-2022");
    }

    [Fact]
    public void Whether_exempt_persons_count_is_a_setting_of_all_rules_or_of_one_and_both_totals_are_told()
    {
        var counters = Counters(("cn.counted.general", 40_000), ("cn.all.general", 120_000));

        var not = Rule(Engine().Evaluate(Acme, counters, Today), "CN24-SC-PI");
        var all = Rule(Engine(new TransfersOptions { CountExempt = true }).Evaluate(Acme, counters, Today), "CN24-SC-PI");
        var one = Engine(new TransfersOptions { CountExemptByRule = new Dictionary<string, bool> { ["CN24-SC-PI"] = true } }).Evaluate(Acme, counters, Today);

        Assert.Equal((40_000, false), (not.Count, not.Reached));
        Assert.Equal((120_000, true), (all.Count, all.Reached));
        Assert.Equal((120_000, true), (Rule(one, "CN24-SC-PI").Count, Rule(one, "CN24-SC-PI").Reached));
        Assert.Equal(40_000, Rule(one, "CN24-SA-PI").Count);
        Assert.All([not, all, Rule(one, "CN24-SC-PI")], static rule => Assert.Equal(new ThresholdTotals(40_000, 120_000), rule.Totals));
    }

    [Fact]
    public void A_rule_set_or_rule_that_does_not_exist_is_a_fault()
    {
        var faults = new SettingsFaults();

        RuleEngine.Create(
            new TransfersOptions { RuleSets = ["cn-1999"], CountExemptByRule = new Dictionary<string, bool> { ["CN99-X"] = true } }, faults);

        Assert.Equal(2, faults.All.Count);
        Assert.Contains(faults.All, static fault => fault.StartsWith("Transfers:RuleSets: cn-1999", StringComparison.Ordinal));
        Assert.Contains(faults.All, static fault => fault.StartsWith("Transfers:Rules:CN99-X:CountExempt", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_person_with_both_kinds_of_data_counts_in_both_populations_or_in_one()
    {
        var counters = await CountAsync(2026,
            LedgerScenario.Record(1, "2026-05-01T12:00:00+08:00", LedgerScenario.Fact(), LedgerScenario.Fact(dataClass: DataClass.Finance)),
            LedgerScenario.Record(2));

        var inclusive = Engine().Evaluate(Acme, counters, Today);
        var exclusive = Engine(new TransfersOptions { Overlap = CountingOverlap.Exclusive }).Evaluate(Acme, counters, Today);

        Assert.Equal((2, 1), (Rule(inclusive, "CN24-SC-PI").Count, Rule(inclusive, "CN24-SC-SPI").Count));
        Assert.Equal((1, 1), (Rule(exclusive, "CN24-SC-PI").Count, Rule(exclusive, "CN24-SC-SPI").Count));
        Assert.Equal("cn.counted.generalOnly", Rule(exclusive, "CN24-SC-PI").Predicate);
    }

    [Fact]
    public async Task Staff_under_the_exemption_are_reported_and_not_counted()
    {
        var counters = await CountAsync(2026, [.. Enumerable.Range(1, 5_000).Select(static number => LedgerScenario.Record(
            number, "2026-05-01T12:00:00+08:00",
            LedgerScenario.Fact(exemption: ExemptionKind.HumanResources), LedgerScenario.Fact(dataClass: DataClass.Finance, exemption: ExemptionKind.HumanResources)))]);

        var thresholds = Engine().Evaluate(Acme, counters, Today);

        Assert.Equal(Tier.Exempt, thresholds.Tier);
        Assert.Equal(new ThresholdTotals(0, 5_000), Rule(thresholds, "CN24-SC-SPI").Totals);
        Assert.Equal((0, false), (Rule(thresholds, "CN24-SC-SPI").Count, Rule(thresholds, "CN24-SC-SPI").Reached));
        Assert.Equal((5_000, true), (Rule(thresholds, "CN24-EX-HR").Count, Rule(thresholds, "CN24-EX-HR").Reached));
    }

    [Fact]
    public async Task A_person_exported_once_under_an_exemption_and_once_without_counts()
    {
        var counters = await CountAsync(2026,
            LedgerScenario.Record(1, "2026-05-01T12:00:00+08:00", LedgerScenario.Fact(exemption: ExemptionKind.Contract)),
            LedgerScenario.Record(1, "2026-06-01T12:00:00+08:00", LedgerScenario.Fact()));

        Assert.Equal(new ThresholdTotals(1, 1), Rule(Engine().Evaluate(Acme, counters, Today), "CN24-SC-PI").Totals);
    }

    [Fact]
    public async Task Last_years_push_restarts_at_zero_and_its_duty_stays_latched_while_open_access_counts_anew()
    {
        const int Customers = 120_000;
        var store = new LedgerMemoryStore();
        var clock = LedgerScenario.Clock();
        await using var ledger = LedgerScenario.Ledger(store, LedgerScenario.SmallOptions with { ChunkRecords = 20_000, MergeRecords = 64 * 1024 }, time: clock);
        var latch = new TierLatch(store, new TestTrail(store), clock);
        await AppendAsync(ledger, "push", Enumerable.Range(1, Customers).Select(static n => LedgerScenario.Record(n, "2025-12-10T12:00:00+08:00")));
        await latch.ObserveAsync(await EvaluateAsync(ledger, "2025-12-31T23:59:59+08:00"), told: true, Token);
        await AppendAsync(ledger, "january", Enumerable.Range(1, 10).Select(static n => LedgerScenario.Record(n, "2026-01-05T12:00:00+08:00")));

        var january = await EvaluateAsync(ledger, "2026-01-06T09:00:00+08:00");
        await latch.ObserveAsync(january, told: true, Token);

        Assert.Equal((10, Tier.Exempt), (Rule(january, "CN24-EX-VOL").Count, january.Tier));
        var latched = Assert.Single(await latch.ListAsync(LedgerScenario.Exporter, Token));
        Assert.Equal(("2025-cn-2024-SC_OR_CERT", 2025, Tier.ScOrCert), (latched.Key, latched.Year, latched.Tier));
        Assert.Equal(["CN24-SC-PI"], latched.Rules);
        Assert.Null(latched.Review);

        // The recipient can still query the same persons: they are exported anew.
        await AppendAsync(ledger, "open access", Enumerable.Range(1, Customers).Select(static n => LedgerScenario.Record(n, "2026-01-01T00:00:00+08:00")));
        var open = await EvaluateAsync(ledger, "2026-01-06T10:00:00+08:00");
        Assert.Equal((Customers, Tier.ScOrCert), (Rule(open, "CN24-SC-PI").Count, open.Tier));
    }

    [Theory]
    [InlineData(60_001, 110_000, Tier.Sa)]
    [InlineData(1, 60_000, Tier.ScOrCert)]
    public async Task The_window_of_Order_11_counts_a_person_of_two_years_once(int firstOf2023, long expected, Tier tier)
    {
        await using var ledger = LedgerScenario.Ledger(
            new LedgerMemoryStore(), LedgerScenario.SmallOptions with { ChunkRecords = 20_000, MergeRecords = 64 * 1024 }, time: LedgerScenario.Clock());
        await AppendAsync(ledger, "2022", Enumerable.Range(1, 60_000).Select(static n => LedgerScenario.Record(n, "2022-10-01T12:00:00+08:00")));
        await AppendAsync(
            ledger, "2023", Enumerable.Range(firstOf2023, firstOf2023 == 1 ? 60_000 : 50_000).Select(static n => LedgerScenario.Record(n, "2023-07-01T12:00:00+08:00")));

        var thresholds = Engine("cn-2022").Evaluate(
            Acme, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, 2023, Token)).Counters, At("2023-12-31"));

        Assert.Equal((expected, tier), (Rule(thresholds, "CN22-SA-PI").Count, thresholds.Tier));
        Assert.Equal(tier == Tier.ScOrCert, Rule(thresholds, "CN22-SC").Reached);
    }

    private static async Task<Thresholds> EvaluateAsync(SubjectLedger ledger, string at)
    {
        var moment = DateTimeOffset.Parse(at, CultureInfo.InvariantCulture);
        return Engine().Evaluate(Acme, (await ledger.ReadCountersAsync(LedgerScenario.Exporter, LegalTime.YearOf(moment), Token)).Counters, moment);
    }

    private static async Task AppendAsync(SubjectLedger ledger, string batch, IEnumerable<SubjectTransfer> records)
    {
        foreach (var (part, chunk) in records.Chunk(10_000).Index())
        {
            await ledger.AppendAsync(new(batch, part, chunk), Token);
        }
    }

    private static async Task<IReadOnlyDictionary<string, long>> CountAsync(int year, params IReadOnlyList<SubjectTransfer> records)
    {
        await using var ledger = LedgerScenario.Ledger(new LedgerMemoryStore());
        await AppendAsync(ledger, "b", records);
        return (await ledger.ReadCountersAsync(LedgerScenario.Exporter, year, Token)).Counters;
    }

    private static RuleEngine Engine(params string[] sets) => Engine(sets.Length == 0 ? new TransfersOptions() : new TransfersOptions { RuleSets = sets });

    private static RuleEngine Engine(TransfersOptions options)
    {
        var faults = new SettingsFaults();
        var engine = RuleEngine.Create(options, faults);
        Assert.Empty(faults.All);
        return engine;
    }

    private static Dictionary<string, long> Counters(params (string Name, long Count)[] counters) =>
        counters.ToDictionary(static counter => counter.Name, static counter => counter.Count);

    private static ThresholdRule Rule(Thresholds thresholds, string id) => thresholds.Rules.Single(rule => rule.Rule == id);

    private static DateTimeOffset At(string day) => LegalTime.StartOf(DateOnly.ParseExact(day, "yyyy-MM-dd", CultureInfo.InvariantCulture)).AddHours(12);
}
