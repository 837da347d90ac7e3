using System.Globalization;
using DingFlow.Rules;

namespace DingFlow.Tests.Rules;

/// <summary>
/// The rules that the program carries, against a table of the law that was transcribed by hand from its sources: row by row, nothing
/// missing and nothing more. Dates are inclusive; a strict comparison is a bound one higher.
/// </summary>
public sealed class RuleTableTests
{
    private const string Stock = "stock";
    private const string Year = "year";
    private const string TwoYears = "two years";

    // id, basis, from, to, ciio, measure, category, window, lower, upper, consequence, working days
    public static TheoryData<string, string, string?, string?, bool?, RuleMeasure, string, string, long, long?, string, int?> Rows() => new()
    {
        { "CN22-SA-ID", "Order 11 art. 4(1)", "2022-09-01", "2024-03-21", null, RuleMeasure.ImportantData, "important", Stock, 1, null, "SA", null },
        { "CN22-SA-CIIO", "Order 11 art. 4(2)", "2022-09-01", "2024-03-21", true, RuleMeasure.DistinctSubjects, "any", TwoYears, 1, null, "SA", null },
        { "CN22-SA-PROC", "Order 11 art. 4(2)", "2022-09-01", "2024-03-21", null, RuleMeasure.ProcessedPersons, "any", Stock, 1_000_000, null, "SA", null },
        { "CN22-SA-PI", "Order 11 art. 4(3)", "2022-09-01", "2024-03-21", null, RuleMeasure.DistinctSubjects, "any", TwoYears, 100_000, null, "SA", null },
        { "CN22-SA-SPI", "Order 11 art. 4(3)", "2022-09-01", "2024-03-21", null, RuleMeasure.DistinctSubjects, "sensitive", TwoYears, 10_000, null, "SA", null },
        { "CN22-SC", "Order 13 art. 4", "2023-06-01", "2024-03-21", false, RuleMeasure.DistinctSubjects, "any", TwoYears, 1, 100_000, "SC_OR_CERT", 10 },
        { "CN24-SA-CIIO", "Order 16 art. 7(1)(1)", "2024-03-22", null, true, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "SA", null },
        { "CN24-SA-ID", "Order 16 art. 7(1)", "2024-03-22", null, null, RuleMeasure.ImportantData, "important", Stock, 1, null, "SA", null },
        { "CN24-SA-PI", "Order 16 art. 7(1)(2)", "2024-03-22", null, false, RuleMeasure.DistinctSubjects, "general", Year, 1_000_000, null, "SA", null },
        { "CN24-SA-SPI", "Order 16 art. 7(1)(2)", "2024-03-22", null, false, RuleMeasure.DistinctSubjects, "sensitive", Year, 10_000, null, "SA", null },
        { "CN24-SC-PI", "Order 16 art. 8", "2024-03-22", null, false, RuleMeasure.DistinctSubjects, "general", Year, 100_000, 1_000_000, "SC_OR_CERT", null },
        { "CN24-SC-SPI", "Order 16 art. 8", "2024-03-22", null, false, RuleMeasure.DistinctSubjects, "sensitive", Year, 1, 10_000, "SC_OR_CERT", null },
        { "CN24-EX-VOL", "Order 16 art. 5(1)(4)", "2024-03-22", null, false, RuleMeasure.DistinctSubjects, "general", Year, 0, 100_000, "EXEMPT", null },
        { "CN24-EX-TRADE", "Order 16 art. 3", "2024-03-22", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "EXEMPT", null },
        { "CN24-EX-TRANSIT", "Order 16 art. 4", "2024-03-22", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "EXEMPT", null },
        { "CN24-EX-CONTRACT", "Order 16 art. 5(1)(1)", "2024-03-22", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "EXEMPT", null },
        { "CN24-EX-HR", "Order 16 art. 5(1)(2)", "2024-03-22", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "EXEMPT", null },
        { "CN24-EX-EMERG", "Order 16 art. 5(1)(3)", "2024-03-22", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "EXEMPT", null },
        { "CN24-EX-FTZ", "Order 16 art. 6", "2024-03-22", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "EXEMPT", null },
        { "CN25-EX-LEGAL", "art. 35(6)", "2025-01-01", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "LAWFUL_CONDITION", null },
        { "CN26-CERT-PI", "Certification", "2026-01-01", null, false, RuleMeasure.DistinctSubjects, "general", Year, 100_000, 1_000_000, "CERT_AVAILABLE", null },
        { "CN26-CERT-SPI", "Certification", "2026-01-01", null, false, RuleMeasure.DistinctSubjects, "sensitive", Year, 1, 10_000, "CERT_AVAILABLE", null },
        { "CN25-DPO", "Audit Measures art. 12", "2025-07-18", null, null, RuleMeasure.ProcessedPersons, "any", Stock, 1_000_000, null, "OFFICER_REPORT", 30 },
        { "CN25-10M", "Regulations art. 28", "2025-01-01", null, null, RuleMeasure.ProcessedPersons, "any", Stock, 10_000_000, null, "IMPORTANT_DATA_PROCESSOR_DUTIES", null },
        { "CN25-AUDIT", "Audit Measures art. 4", "2025-05-01", null, null, RuleMeasure.ProcessedPersons, "any", Stock, 10_000_001, null, "AUDIT_EVERY_TWO_YEARS", null },
        { "CN25-INC-PI", "Audit Measures art. 5", "2025-05-01", null, null, RuleMeasure.IncidentPersons, "any", Stock, 1_000_000, null, "AUDIT_MAY_BE_ORDERED", null },
        { "CN25-INC-SPI", "Audit Measures art. 5", "2025-05-01", null, null, RuleMeasure.IncidentSensitivePersons, "sensitive", Stock, 100_000, null, "AUDIT_MAY_BE_ORDERED", null },
        { "CN25-FACE", "art. 15", "2025-06-01", null, null, RuleMeasure.StoredFaces, "biometric", Stock, 100_000, null, "FACE_FILING", 30 },
        { "GBA-MO-24", "arts. 2, 4, 7", "2024-09-10", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "GBA_FILING", 10 },
        { "GBA-HK-23", "Hong Kong", "2023-12-13", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "GBA_FILING", 10 },
        { "MO-05-T", "Law 8/2005 arts. 19-20", "2006-02-18", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "MO_TRANSFER_CONDITION", null },
        { "HK-33", "PDPO s. 33", null, null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "HK_ADVISORY", null },
        { "EU-44", "GDPR arts. 44-49", "2018-05-25", null, null, RuleMeasure.DistinctSubjects, "any", Year, 1, null, "EU_MECHANISM", null },
        { "EU-33", "GDPR art. 33", "2018-05-25", null, null, RuleMeasure.IncidentEeaPersons, "any", Stock, 1, null, "EU_BREACH_NOTICE", null },
    };

    [Theory]
    [MemberData(nameof(Rows))]
    public void A_rule_says_what_the_law_says(
        string id, string basis, string? from, string? to, bool? ciio, RuleMeasure measure, string category, string window, long lower, long? upper,
        string consequence, int? workingDays)
    {
        var rule = Rule(id);

        Assert.Contains(basis, rule.Basis, StringComparison.Ordinal);
        Assert.Equal((Day(from), Day(to)), (rule.From, rule.To));
        Assert.Equal((ciio, measure, category), (rule.Ciio, rule.When.Measure, rule.Category));
        Assert.Equal(window, rule.YearsBack switch { null => Stock, 0 => Year, 1 => TwoYears, _ => "?" });
        Assert.Equal((lower, upper), (rule.When.Bounds.Lower, rule.When.Bounds.Upper));
        Assert.Equal((consequence, workingDays), (rule.Consequence, rule.WorkingDays));
        Assert.NotEmpty(rule.Sources);
        Assert.NotEmpty(rule.Mark);
        Assert.Equal(rule.RuleSet == "cn-2022", rule.CountExempt);
    }

    private const string Any = "cn.counted.any|cn.all.any";
    private const string General = "cn.counted.general|cn.all.general|cn.counted.generalOnly|cn.all.generalOnly";
    private const string Sensitive = "cn.counted.sensitive|cn.all.sensitive";
    private const string AnyOfTwoYears = "cn.counted.any.twoYears|cn.all.any.twoYears";
    private const string SensitiveOfTwoYears = "cn.counted.sensitive.twoYears|cn.all.sensitive.twoYears";

    // id, set, whose law and which flow, sources, counters: without exempt transfers | with them | the same for persons with nothing sensitive
    public static TheoryData<string, string, string, string, string?> Populations() => new()
    {
        { "CN22-SA-ID", "cn-2022", "CN-export", "S1", null },
        { "CN22-SA-CIIO", "cn-2022", "CN-export", "S1", AnyOfTwoYears },
        { "CN22-SA-PROC", "cn-2022", "CN-export", "S1", null },
        { "CN22-SA-PI", "cn-2022", "CN-export", "S1 S2", AnyOfTwoYears },
        { "CN22-SA-SPI", "cn-2022", "CN-export", "S1 S2", SensitiveOfTwoYears },
        { "CN22-SC", "cn-2022", "CN-export", "S2", AnyOfTwoYears },
        { "CN24-SA-CIIO", "cn-2024", "CN-export", "S3", Any },
        { "CN24-SA-ID", "cn-2024", "CN-export", "S3", null },
        { "CN24-SA-PI", "cn-2024", "CN-export", "S3", General },
        { "CN24-SA-SPI", "cn-2024", "CN-export", "S3", Sensitive },
        { "CN24-SC-PI", "cn-2024", "CN-export", "S3", General },
        { "CN24-SC-SPI", "cn-2024", "CN-export", "S3 S26", Sensitive },
        { "CN24-EX-VOL", "cn-2024", "CN-export", "S3", General },
        { "CN24-EX-TRADE", "cn-2024", "CN-export", "S3", "cn.all.exempt.trade" },
        { "CN24-EX-TRANSIT", "cn-2024", "CN-export", "S3", "cn.all.exempt.transit" },
        { "CN24-EX-CONTRACT", "cn-2024", "CN-export", "S3", "cn.all.exempt.contract" },
        { "CN24-EX-HR", "cn-2024", "CN-export", "S3 S32", "cn.all.exempt.hr" },
        { "CN24-EX-EMERG", "cn-2024", "CN-export", "S3", "cn.all.exempt.emergency" },
        { "CN24-EX-FTZ", "cn-2024", "CN-export", "S3", "cn.all.exempt.ftz" },
        { "CN25-EX-LEGAL", "cn-2025", "CN-export", "S6", "cn.all.exempt.statutory" },
        { "CN26-CERT-PI", "cn-2025", "CN-export", "S4", General },
        { "CN26-CERT-SPI", "cn-2025", "CN-export", "S4", Sensitive },
        { "CN25-DPO", "cn-2025", "CN", "S7 S8", null },
        { "CN25-10M", "cn-2025", "CN", "S6", null },
        { "CN25-AUDIT", "cn-2025", "CN", "S7", null },
        { "CN25-INC-PI", "cn-2025", "CN", "S7", null },
        { "CN25-INC-SPI", "cn-2025", "CN", "S7", null },
        { "CN25-FACE", "cn-2025", "CN", "S31", null },
        { "GBA-MO-24", "gba", "GBA", "S9", "gba.macau.any" },
        { "GBA-HK-23", "gba", "GBA", "S10", "gba.hongKong.any" },
        { "MO-05-T", "macau", "MO-export", "S19", "mo.all.any" },
        { "HK-33", "hong-kong", "HK-export", "S20", "hk.all.any" },
        { "EU-44", "eu", "EEA-export", "S21", "eea.all.any" },
        { "EU-33", "eu", "EEA", "S21", null },
    };

    [Theory]
    [MemberData(nameof(Populations))]
    public void A_rule_counts_whom_the_law_means_and_names_where_that_is_written(string id, string ruleSet, string jurisdiction, string sources, string? counters)
    {
        var rule = Rule(id);

        Assert.Equal((ruleSet, jurisdiction, sources), (rule.RuleSet, rule.Jurisdiction, string.Join(' ', rule.Sources)));
        if (counters is null)
        {
            Assert.Null(rule.When.Population);
            return;
        }

        var names = counters.Split('|');
        var counted = names[0];
        var withExempt = names.ElementAtOrDefault(1) ?? counted;
        Assert.Equal(new RulePopulation(counted, withExempt, names.ElementAtOrDefault(2) ?? counted, names.ElementAtOrDefault(3) ?? withExempt), rule.When.Population);
    }

    [Fact]
    public void Every_rule_has_a_population() => Assert.Equal(
        Rows().Select(static row => row.Data.Item1).Order(StringComparer.Ordinal), Populations().Select(static row => row.Data.Item1).Order(StringComparer.Ordinal));

    [Theory]
    [InlineData("CN25-DPO", PeriodStart.Reached)]
    [InlineData("CN25-FACE", PeriodStart.Reached)]
    [InlineData("GBA-MO-24", PeriodStart.Contract)]
    [InlineData("GBA-HK-23", PeriodStart.Contract)]
    [InlineData("CN22-SC", PeriodStart.Contract)]
    [InlineData("CN24-SC-PI", null)]
    public void Working_days_run_from_what_was_reached_or_from_the_contract(string id, PeriodStart? from) =>
        Assert.Equal((from, from is null), (Rule(id).WorkingDaysFrom, Rule(id).WorkingDays is null));

    [Fact]
    public void There_is_no_rule_besides() => Assert.Equal(
        Rows().Select(static row => row.Data.Item1).Order(StringComparer.Ordinal),
        RuleCatalogue.Default.RuleSets.SelectMany(static set => set.Rules).Select(static rule => rule.Id).Order(StringComparer.Ordinal));

    [Fact]
    public void The_standard_contract_of_2023_asks_all_four_questions()
    {
        var rule = Rule("CN22-SC");

        Assert.Equal(
            [(RuleMeasure.DistinctSubjects, 10_000L), (RuleMeasure.ProcessedPersons, 1_000_000L)],
            rule.Also.Select(static condition => (condition.Measure, condition.Bounds.Upper!.Value)));
        Assert.False(rule.Ciio);
        Assert.Equal(100_000, rule.When.Bounds.Upper);
    }

    [Fact]
    public void A_million_processed_counts_under_Order_11_once_somebody_is_exported() =>
        Assert.Equal((RuleMeasure.DistinctSubjects, 1L), Rule("CN22-SA-PROC").Also.Select(static c => (c.Measure, c.Bounds.Lower)).Single());

    [Theory]
    [InlineData("CN22-SA-PI", "2022-08-31", RuleStatus.NotYetInForce)]
    [InlineData("CN22-SA-PI", "2022-09-01", RuleStatus.InForce)]
    [InlineData("CN22-SA-PI", "2024-03-21", RuleStatus.InForce)]
    [InlineData("CN22-SA-PI", "2024-03-22", RuleStatus.Superseded)]
    [InlineData("CN24-SA-PI", "2024-03-21", RuleStatus.NotYetInForce)]
    [InlineData("CN24-SA-PI", "2024-03-22", RuleStatus.InForce)]
    [InlineData("HK-33", "2026-11-22", RuleStatus.NotInForce)]
    public void A_rule_is_law_from_its_first_to_its_last_day(string id, string day, RuleStatus expected) =>
        Assert.Equal(expected, Rule(id).StatusOn(Day(day)!.Value));

    [Theory]
    [InlineData("CN24-SA-PI", "2026-11-22", "2026-01-01")]
    [InlineData("CN22-SA-PI", "2026-11-22", "2025-01-01")]
    [InlineData("CN24-SA-PI", "2027-01-01", "2027-01-01")]
    [InlineData("CN25-DPO", "2026-11-22", null)]
    public void A_window_begins_on_1_January(string id, string day, string? expected) =>
        Assert.Equal(Day(expected), Rule(id).WindowStart(Day(day)!.Value));

    [Fact]
    public void Every_counter_that_a_rule_looks_at_exists()
    {
        var known = Transfers.LedgerScenario.Predicates;
        var names = known.Predicates.Select(static predicate => predicate.Name).ToHashSet(StringComparer.Ordinal);
        var prefixes = known.Templates.Select(static template => template.Prefix).ToList();

        var asked = RuleCatalogue.Default.RuleSets.SelectMany(static set => set.Rules).SelectMany(static rule => rule.Also.Prepend(rule.When))
            .Select(static condition => condition.Population).OfType<RulePopulation>()
            .SelectMany(static p => (string[])[p.Counted, p.WithExempt, p.CountedExclusive, p.WithExemptExclusive]);

        Assert.All(asked, name => Assert.True(names.Contains(name) || prefixes.Exists(prefix => name.StartsWith(prefix, StringComparison.Ordinal)), name));
    }

    private static Rule Rule(string id) => RuleCatalogue.Default.RuleSets.SelectMany(static set => set.Rules).Single(rule => rule.Id == id);

    private static DateOnly? Day(string? text) => text is null ? null : DateOnly.ParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture);
}
