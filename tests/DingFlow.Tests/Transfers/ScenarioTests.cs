using System.Globalization;
using DingFlow.Tests.Audit;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Tests.Transfers;

/// <summary>The register of scenarios by itself: versions and days, to whom a record belongs, what two people at once may do.</summary>
public sealed class ScenarioTests
{
    private readonly LedgerMemoryStore _entities = new();
    private readonly TestTrail _trail;

    public ScenarioTests() => _trail = new(_entities);

    private ScenarioStore Store => new(_entities, _trail);

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    internal static ScenarioTerms Terms(string recipient = "acme-sg", string purpose = "payroll") => new() { Recipient = recipient, Purpose = purpose };

    [Fact]
    public void On_each_day_the_version_with_the_latest_first_day_holds_and_of_equals_the_last()
    {
        var scenario = new Scenario("acme", "payroll",
        [
            Version(1, "2026-01-01", Terms() with { DataCentre = "one" }), Version(2, "2026-06-01", Terms() with { DataCentre = "two" }),
            Version(3, "2026-03-01", Terms() with { DataCentre = "three" }), Version(4, "2026-06-01", Terms() with { DataCentre = "four" }),
            Version(5, "2026-09-01", Terms(), withdrawn: true),
        ]);

        Assert.Null(scenario.On(Day("2025-12-31")));
        Assert.Equal(
            ["one", "one", "three", "three", "four", "four"],
            ((string[])["2026-01-01", "2026-02-28", "2026-03-01", "2026-05-31", "2026-06-01", "2026-08-31"]).Select(day => scenario.On(Day(day))!.Terms.DataCentre));
        Assert.True(scenario.On(Day("2027-01-01"))!.Withdrawn);
        Assert.Equal(
            [(1, "2026-01-01", "2026-02-28"), (3, "2026-03-01", "2026-05-31"), (4, "2026-06-01", "2026-08-31"), (5, "2026-09-01", "2026-12-31")],
            scenario.Periods(Day("2026-01-01"), Day("2026-12-31")).Select(period => (period.Version.Revision, Text(period.From), Text(period.To))));
        Assert.Equal([(4, "2026-07-01", "2026-07-01")], scenario.Periods(Day("2026-07-01"), Day("2026-07-01")).Select(period => (period.Version.Revision, Text(period.From), Text(period.To))));
        Assert.Empty(scenario.Periods(Day("2025-01-01"), Day("2025-12-31")));
    }

    [Fact]
    public void A_withdrawal_also_ends_what_was_recorded_for_days_to_come()
    {
        var scenario = new Scenario("acme", "payroll",
        [
            Version(1, "2026-01-01", Terms()), Version(2, "2026-06-01", Terms()), Version(3, "2026-05-01", Terms(), withdrawn: true), Version(4, "2026-03-01", Terms()),
            Version(5, "2026-09-01", Terms()),
        ]);

        Assert.Equal(
            [(1, "2026-01-01", "2026-02-28"), (4, "2026-03-01", "2026-04-30"), (3, "2026-05-01", "2026-08-31"), (5, "2026-09-01", "2026-12-31")],
            scenario.Periods(Day("2026-01-01"), Day("2026-12-31")).Select(period => (period.Version.Revision, Text(period.From), Text(period.To))));
    }

    [Fact]
    public void What_is_otherwise_than_when_the_mechanism_was_first_in_force_is_named()
    {
        var filed = Terms() with { DataCentre = "Singapore", RetentionAbroad = "two years", Mechanism = new() { Kind = MechanismKind.StandardContract, Number = "7" } };
        var scenario = new Scenario("acme", "payroll",
        [
            Version(1, "2025-01-01", Terms() with { DataCentre = "Tokyo" }), Version(2, "2026-01-01", filed), Version(3, "2026-03-01", filed with { Frequency = "daily" }),
            Version(4, "2026-04-01", filed with { DataCentre = "Tokyo", OnwardRecipients = [new("Acme UK", "GB")], Mechanism = filed.Mechanism with { ValidTo = Day("2028-01-01") } }),
            Version(5, "2026-06-01", filed with { DataCentre = "Tokyo", RetentionAbroad = "three years", Mechanism = filed.Mechanism with { Number = "8" } }),
            Version(6, "2026-09-01", filed, withdrawn: true),
        ]);

        Assert.Equal(
            ["", "", "", "DataCentre, OnwardRecipients", "", ""],
            ((string[])["2025-06-01", "2026-01-01", "2026-03-01", "2026-05-31", "2026-06-01", "2026-10-01"]).Select(day => string.Join(", ", scenario.ChangedSinceFiling(Day(day)))));
    }

    [Fact]
    public void What_filings_ask_and_nobody_recorded_is_named_and_nothing_else()
    {
        var complete = Terms() with
        {
            RecipientContact = "privacy@acme.example", RecipientRole = RecipientRole.Entrusted, RecipientSystem = "erp", DataCentre = "Singapore", OnwardRecipients = [],
            StartDate = Day("2026-01-01"), Frequency = "daily", RetentionAbroad = "two years", NoticeVersion = "n1",
            Mechanism = new() { Kind = MechanismKind.StandardContract, Number = "7", ValidTo = Day("2028-01-01"), ApprovedPersons = 5 },
            Assessment = new() { Id = "PIA", Date = Day("2026-01-01"), Conclusion = "low", NextReview = Day("2027-01-01"), KeepUntil = Day("2029-01-01") },
            Expected = new(2026, 7),
        };

        Assert.Empty(ScenarioGaps.Of(Version(1, "2026-01-01", complete), 2026));
        Assert.Equal([ScenarioGap.ExpectedPersons], ScenarioGaps.Of(Version(1, "2026-01-01", complete), 2027));
        Assert.Equal([ScenarioGap.DeletionProof], ScenarioGaps.Of(Version(1, "2026-01-01", complete, withdrawn: true), 2026));
        Assert.Equal([ScenarioGap.OnwardPlace], ScenarioGaps.Of(Version(1, "2026-01-01", complete with { OnwardRecipients = [new("Acme UK", null)] }), 2026));
        Assert.Empty(ScenarioGaps.Of(Version(1, "2026-01-01", complete with { Mechanism = new() { Kind = MechanismKind.Exemption, Number = "EX-HR" } }), 2026));
        Assert.Equal(
            [ScenarioGap.MechanismNumber, ScenarioGap.MechanismValidFrom, ScenarioGap.MechanismValidTo, ScenarioGap.ApprovedPersons],
            ScenarioGaps.Of(Version(1, "2026-01-01", complete with { Mechanism = new() { Kind = MechanismKind.SecurityAssessment, ScopeWindow = ScopeWindow.Term } }), 2026));
        Assert.Equal(
            Enum.GetValues<ScenarioGap>().Except([ScenarioGap.OnwardPlace, ScenarioGap.DeletionProof, ScenarioGap.MechanismNumber, ScenarioGap.MechanismValidFrom, ScenarioGap.MechanismValidTo, ScenarioGap.ApprovedPersons]),
            ScenarioGaps.Of(Version(1, "2026-01-01", Terms()), 2026));
    }

    [Fact]
    public async Task A_record_belongs_to_the_scenario_that_it_names_or_else_to_that_of_its_recipient_purpose_and_day()
    {
        await RecordAsync("old", "2025-01-01", Terms());
        await RecordAsync("old", "2026-03-01", Terms(), withdrawn: true);
        await RecordAsync("new", "2026-03-01", Terms());
        await RecordAsync("other", "2026-01-01", Terms(purpose: "travel"));
        var book = new ScenarioBook(await Store.ReadAsync("acme", Token));

        Assert.Equal(("old", true, null), Find("2026-02-28T23:59:59+08:00"));
        Assert.Equal(("new", true, null), Find("2026-03-01T00:00:00+08:00"));
        Assert.Equal((null, false, null), Find("2024-12-31T00:00:00+08:00"));
        Assert.Equal((null, false, null), Find("2026-04-01T00:00:00+08:00", recipient: "stranger"));
        Assert.Equal((null, false, null), Find("2026-04-01T00:00:00+08:00", purpose: "Payroll"));
        Assert.Equal(("other", true, null), Find("2026-04-01T00:00:00+08:00", scenario: "other"));
        Assert.Equal(("old", false, null), Find("2026-04-01T00:00:00+08:00", scenario: "old"));
        Assert.Equal((null, false, "nowhere"), Find("2026-04-01T00:00:00+08:00", scenario: "nowhere"));

        (string?, bool, string?) Find(string at, string recipient = "acme-sg", string purpose = "payroll", string? scenario = null)
        {
            var found = book.Find(
                new("t", SubjectKey.Of(LedgerScenario.Subject(1)), DateTimeOffset.Parse(at, CultureInfo.InvariantCulture), [LedgerScenario.Fact()],
                    TransferCircumstances.Unknown with { Purpose = purpose, Paperwork = scenario is null ? null : new(scenario, null, null, null) }, "b"), recipient);
            return (found.Scenario?.Id, found.InForce, found.Unknown);
        }
    }

    [Fact]
    public async Task Two_scenarios_never_have_the_same_recipient_and_purpose_on_a_day()
    {
        await RecordAsync("one", "2026-01-01", Terms());
        await RecordAsync("two", "2026-01-01", Terms(purpose: "travel"));

        Assert.Equal(ScenarioOutcome.Taken, await TryRecordAsync("three", "2025-06-01", Terms()));
        Assert.Equal(ScenarioOutcome.Taken, await TryRecordAsync("two", "2026-05-01", Terms()));
        await RecordAsync("one", "2026-05-01", Terms(), withdrawn: true);
        Assert.Equal(ScenarioOutcome.Taken, await TryRecordAsync("three", "2026-04-30", Terms()));
        Assert.Equal(ScenarioOutcome.Recorded, await TryRecordAsync("three", "2026-05-01", Terms()));
        Assert.Equal(ScenarioOutcome.Taken, await TryRecordAsync("one", "2026-05-01", Terms()));
    }

    [Fact]
    public async Task Of_two_people_at_once_one_is_told_to_look_again()
    {
        var (before, alsoBefore) = (await Store.ReadAsync("acme", Token), await Store.ReadAsync("acme", Token));
        Assert.Equal(ScenarioOutcome.Recorded, await Store.RecordAsync(before, "one", Version(1, "2026-01-01", Terms()), Token));
        Assert.Equal(ScenarioOutcome.Overtaken, await Store.RecordAsync(alsoBefore, "two", Version(1, "2026-01-01", Terms()), Token));

        var (now, alsoNow) = (await Store.ReadAsync("acme", Token), await Store.ReadAsync("acme", Token));
        Assert.Equal(ScenarioOutcome.Recorded, await Store.RecordAsync(now, "two", Version(1, "2026-01-01", Terms(purpose: "travel")), Token));
        Assert.Equal(ScenarioOutcome.Overtaken, await Store.RecordAsync(alsoNow, "one", Version(2, "2026-02-01", Terms(purpose: "travel")), Token));
        Assert.Equal([("one", 1), ("two", 1)], (await Store.ReadAsync("acme", Token)).Scenarios.Select(scenario => (scenario.Id, scenario.Versions.Count)));
        Assert.Empty((await Store.ReadAsync("acme-macau", Token)).Scenarios);
    }

    [Fact]
    public async Task The_register_has_an_end()
    {
        for (var i = 0; i < ScenarioStore.MostScenarios; i++)
        {
            await RecordAsync($"s-{i}", "2026-01-01", Terms(purpose: $"p-{i}"));
        }

        Assert.Equal(ScenarioOutcome.Full, await TryRecordAsync("one-more", "2026-01-01", Terms()));
        Assert.Equal(ScenarioOutcome.Recorded, await TryRecordAsync("s-0", "2026-02-01", Terms(purpose: "p-0")));

        var register = await Store.ReadAsync("acme", Token);
        var full = register with { Scenarios = [.. register.Scenarios.Select(scenario => scenario with { Versions = [.. Enumerable.Range(0, 10).Select(i => scenario.Versions[0] with { Revision = i + 1 })] })] };
        Assert.Equal(ScenarioOutcome.Full, await Store.RecordAsync(full, "s-1", Version(11, "2026-02-01", Terms(purpose: "p-1")), Token));
    }

    [Fact]
    public async Task What_is_recorded_and_its_entry_are_written_together_or_not_at_all()
    {
        await RecordAsync("payroll", "2026-01-01", Terms() with { RecipientContact = "Ms Lee", DataCentre = "Singapore" });
        await RecordAsync("payroll", "2026-02-01", Terms() with { RecipientContact = "Mr Ho", DataCentre = "Tokyo" });
        await RecordAsync("payroll", "2026-03-01", Terms() with { RecipientContact = "Mr Ho", DataCentre = "Tokyo" }, withdrawn: true);

        var entries = _trail.Events;
        Assert.Equal(["transfers.scenario_recorded", "transfers.scenario_recorded", "transfers.scenario_withdrawn"], entries.Select(static entry => entry.Kind.Name));
        Assert.Equal(("– → Singapore", "Singapore → Tokyo", "changed"), (entries[0].Details["dataCentre"], entries[1].Details["dataCentre"], entries[1].Details["recipientContact"]));
        Assert.False(entries[2].Details.ContainsKey("dataCentre"));
        Assert.DoesNotContain(entries.SelectMany(static entry => entry.Details.Values), static value => value.Contains("Lee", StringComparison.Ordinal) || value.Contains("Ho", StringComparison.Ordinal));

    }

    [Theory]
    [InlineData(StoreFault.DieBefore, 1)]
    [InlineData(StoreFault.DieAfter, 2)]
    [InlineData(StoreFault.Unavailable, 1)]
    [InlineData(StoreFault.LoseAnswer, 2)]
    internal async Task A_process_that_ends_while_it_records_leaves_all_or_nothing_and_asking_again_is_safe(StoreFault fault, int kept)
    {
        await RecordAsync("payroll", "2026-01-01", Terms());
        var register = await Store.ReadAsync("acme", Token);
        var faulty = new LedgerFaultyStore(_entities, _ => fault);

        await Assert.ThrowsAnyAsync<Exception>(() => new ScenarioStore(faulty, new TestTrail(faulty)).RecordAsync(register, "payroll", Version(2, "2026-04-01", Terms()), Token));

        // Whoever asks again reads first, as the route does.
        var now = await Store.ReadAsync("acme", Token);
        Assert.Equal(kept, now.Find("payroll")!.Versions.Count);
        Assert.Equal(ScenarioOutcome.Recorded, await Store.RecordAsync(now, "payroll", Version(kept + 1, "2026-04-01", Terms()), Token));
        Assert.Equal(ScenarioOutcome.Overtaken, await Store.RecordAsync(register, "payroll", Version(2, "2026-04-01", Terms()), Token));
    }

    private async Task RecordAsync(string id, string from, ScenarioTerms terms, bool withdrawn = false) =>
        Assert.Equal(ScenarioOutcome.Recorded, await TryRecordAsync(id, from, terms, withdrawn));

    private async Task<ScenarioOutcome> TryRecordAsync(string id, string from, ScenarioTerms terms, bool withdrawn = false)
    {
        var register = await Store.ReadAsync("acme", Token);
        return await Store.RecordAsync(register, id, Version((register.Find(id)?.Latest.Revision ?? 0) + 1, from, terms, withdrawn), Token);
    }

    private static ScenarioVersion Version(int revision, string from, ScenarioTerms terms, bool withdrawn = false) =>
        new(revision, Day(from), withdrawn, terms, "As filed", new(2026, 11, 22, 9, 0, 0, TimeSpan.FromHours(8)), "key:compliance");

    private static DateOnly Day(string day) => DateOnly.Parse(day, CultureInfo.InvariantCulture);

    private static string Text(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
