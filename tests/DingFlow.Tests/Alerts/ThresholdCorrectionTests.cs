using DingFlow.Alerts;
using DingFlow.Rules;
using DingFlow.Tests.Transfers;
using DingFlow.Transfers;

namespace DingFlow.Tests.Alerts;

/// <summary>What the timer does about what it told once that is no longer so: counts that fall, rules that nothing touches any more, forecasts that came true.</summary>
public sealed class ThresholdCorrectionTests : IAsyncDisposable
{
    private readonly ThresholdDriver _acme = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _acme.DisposeAsync();

    [Fact]
    public async Task A_second_incident_is_told_after_the_first_was_closed_and_the_first_is_not_repeated()
    {
        await ReportAsync("inc-1", 1_000_000, closed: false);
        await _acme.LookAsync();
        Assert.Equal(["CN25-INC-PI:100"], _acme.Told);

        await ReportAsync("inc-1", 1_000_000, closed: true);
        await _acme.LookAsync();
        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("CN25-INC-PI:100")).State);
        _acme.Time.Advance(TimeSpan.FromHours(25));
        await _acme.RepeatAsync();
        Assert.Equal(["CN25-INC-PI:100"], _acme.Told);

        await ReportAsync("inc-2", 2_000_000, closed: false);
        await _acme.LookAsync();
        await _acme.LookAsync();
        Assert.Equal(["CN25-INC-PI:100", "CN25-INC-PI:100"], _acme.Told);
    }

    [Fact]
    public async Task What_a_batch_that_was_taken_back_had_touched_is_over_and_told_again_when_it_comes_again()
    {
        await _acme.AppendAsync("wrong", LedgerScenario.Record(1, "2026-03-02T09:00:00+08:00", LedgerScenario.Fact(lane: "MO-SG")));
        await _acme.LookAsync();
        Assert.Equal(["MO-05-T:100"], _acme.Told);

        await _acme.VoidAsync("wrong");
        await _acme.LookAsync();
        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("MO-05-T:100")).State);

        await _acme.AppendAsync("right", LedgerScenario.Record(2, "2026-03-02T09:30:00+08:00", LedgerScenario.Fact(lane: "MO-SG")));
        await _acme.LookAsync();
        await _acme.LookAsync();
        Assert.Equal(["MO-05-T:100", "MO-05-T:100"], _acme.Told);
    }

    [Fact]
    public async Task A_set_that_the_settings_no_longer_choose_says_nothing_more()
    {
        _acme.Transfers = new TransfersOptions { RuleSets = ["cn-2024", "cn-2022"] };
        await _acme.SensitiveAsync("b", 1, 10_000);
        await _acme.LookAsync();
        Assert.Equal(AlertState.Open, (await _acme.StoredAsync("CN22-SA-SPI:100")).State);

        _acme.Transfers = new TransfersOptions();
        await _acme.LookAsync();

        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("CN22-SA-SPI:100")).State);
        Assert.Equal(AlertState.Open, (await _acme.StoredAsync("CN24-SA-SPI:100")).State);
    }

    [Fact]
    public async Task What_last_year_reached_stands_in_the_new_year_though_nothing_touches_the_rule_yet()
    {
        _acme.Time.SetUtcNow(new(2026, 12, 31, 15, 50, 0, TimeSpan.Zero));
        await _acme.AppendAsync("b", LedgerScenario.Record(1, "2026-12-31T23:00:00+08:00", LedgerScenario.Fact(lane: "MO-SG")));
        await _acme.LookAsync();
        _acme.Time.SetUtcNow(new(2026, 12, 31, 16, 0, 0, TimeSpan.Zero));

        await _acme.LookAsync();
        await _acme.LookAsync();

        Assert.Equal(AlertState.Open, (await _acme.StoredAsync("MO-05-T:100")).State);
        await _acme.AppendAsync("c", LedgerScenario.Record(1, "2027-01-01T00:00:00+08:00", LedgerScenario.Fact(lane: "MO-SG")));
        await _acme.LookAsync();
        Assert.Equal(["MO-05-T:100", "MO-05-T:100"], _acme.Told);
    }

    [Fact]
    public async Task A_forecast_that_came_true_is_a_forecast_again_after_a_correction_below_the_limit()
    {
        await PaceAsync();
        Assert.Single(_acme.Told, "CN24-SA-SPI:forecast");
        await _acme.SensitiveAsync("wrong", 5_000, 9_900);
        await _acme.LookAsync();
        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("CN24-SA-SPI:forecast")).State);
        Assert.Equal(AlertState.Open, (await _acme.StoredAsync("CN24-SA-SPI:100")).State);

        await _acme.VoidAsync("wrong");
        await _acme.LookAsync();
        await _acme.LookAsync();

        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("CN24-SA-SPI:100")).State);
        Assert.Equal(2, _acme.Told.Count(static told => told == "CN24-SA-SPI:forecast"));
        Assert.Contains((await _acme.Alerts.ListAsync(static alert => alert.Alert.Type == ThresholdAlerts.Forecast, 10, null, Token)).Alerts, static alert => alert.State == AlertState.Open);
    }

    [Fact]
    public async Task While_a_limit_stands_as_reached_within_the_hysteresis_its_forecast_is_no_news()
    {
        await PaceAsync();
        await _acme.SensitiveAsync("most", 5_000, 9_300);
        await _acme.SensitiveAsync("few", 20_000, 400);
        await _acme.LookAsync();
        Assert.Contains("CN24-SA-SPI:100", _acme.Told);

        await _acme.VoidAsync("few");
        await _acme.LookAsync();

        Assert.Equal(AlertState.Open, (await _acme.StoredAsync("CN24-SA-SPI:100")).State);
        Assert.Single(_acme.Told, "CN24-SA-SPI:forecast");
    }

    [Fact]
    public async Task A_forecast_of_a_range_ends_when_the_count_jumps_over_the_range()
    {
        for (var day = 0; day < 5; day++)
        {
            await _acme.ExportAsync($"d{day}", (day * 2_000) + 1, 2_000, DataClass.General);
            await _acme.LookAsync();
            _acme.Time.Advance(TimeSpan.FromDays(1));
        }

        await _acme.LookAsync();
        Assert.Equal(AlertState.Open, (await _acme.StoredAsync("CN24-SC-PI:forecast")).State);
        await _acme.ExportAsync("jump", 100_001, 1_000_000, DataClass.General);
        await _acme.LookAsync();

        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("CN24-SC-PI:forecast")).State);
        Assert.Contains("CN24-SA-PI:100", _acme.Told);
    }

    [Fact]
    public async Task Whoever_asks_in_the_last_minutes_of_the_year_takes_no_alert_away()
    {
        _acme.Time.SetUtcNow(new(2026, 12, 31, 15, 56, 0, TimeSpan.Zero));
        await _acme.SensitiveAsync("before", 1, 9_999);
        await _acme.LookAsync();
        await _acme.SensitiveAsync("after", 10_000, 1);
        // GET /api/thresholds does this: whoever asks is not told less than the timer will latch.
        Assert.Equal(["2026-cn-2024-SA"], (await _acme.Latch.ObserveAsync(await _acme.StandingAsync(), told: false, Token)).Select(static tier => tier.Key));
        _acme.Time.Advance(TimeSpan.FromMinutes(5));

        await _acme.LookAsync();
        await _acme.LookAsync();

        Assert.Single(_acme.Told, "CN24-SA-SPI:100");
    }

    [Fact]
    public async Task A_contact_list_that_counts_anew_on_1_January_is_no_pace()
    {
        _acme.Time.SetUtcNow(new(2026, 12, 31, 16, 20, 0, TimeSpan.Zero));
        for (var day = 0; day < 20; day++)
        {
            await _acme.ExportAsync($"d{day}", day == 0 ? 1 : 6_000 + (day * 2), day == 0 ? 5_000 : 2, DataClass.General);
            await _acme.LookAsync();
            _acme.Time.Advance(TimeSpan.FromDays(1));
        }

        Assert.DoesNotContain(_acme.Told, static told => told.EndsWith("forecast", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_level_names_the_day_on_which_its_limit_will_be_reached_and_the_share_that_is_counted()
    {
        for (var day = 0; day < 4; day++)
        {
            await _acme.SensitiveAsync($"d{day}", (day * 1_340) + 1, 1_340);
            await _acme.LookAsync();
            _acme.Time.Advance(TimeSpan.FromDays(1));
        }

        await _acme.SensitiveAsync("last", 6_000, 100);
        await _acme.LookAsync();

        var alert = (await _acme.StoredAsync("CN24-SA-SPI:50")).Alert;
        Assert.Equal(("5360", "53", "2026-03-09", "straightLine"), (alert.Details["count"], alert.Details["share"], alert.Details["forecast"], alert.Details["method"]));
        Assert.Contains("Counted: 5360 of 10000 (53 %)", AlertTexts.Default.Render(alert, AlertLanguage.English).Lines);
        Assert.Contains("Expected to be reached: 2026-03-09 (straight line)", AlertTexts.Default.Render(alert, AlertLanguage.English).Lines);
        Assert.Contains(AlertTexts.Default.Render(alert, AlertLanguage.Portuguese).Lines, static line => line.StartsWith("Previsto para: 2026-03-09", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_duty_that_runs_from_its_being_reached_names_its_last_day_and_one_that_runs_from_a_contract_its_working_days()
    {
        _acme.Exporter = _acme.Exporter with { ProcessedPersons = 1_000_000 };
        await _acme.AppendAsync("gba", LedgerScenario.Record(1, "2026-03-02T09:00:00+08:00", LedgerScenario.Fact(lane: "CN-MO", exemption: ExemptionKind.GreaterBayContract)));
        await _acme.LookAsync();

        // Thirty working days after Monday 2 March 2026, with Qingming (Monday 6 April) between: Tuesday 14 April.
        var officer = (await _acme.StoredAsync("CN25-DPO:100")).Alert;
        Assert.Equal(("2026-04-14", "30", "Published"), (officer.Details["actBy"], officer.Details["actDays"], officer.Details["certainty"]));
        Assert.Contains("To be done by 2026-04-14, 30 working days after it was reached (published working days)", AlertTexts.Default.Render(officer, AlertLanguage.English).Lines);
        var contract = (await _acme.StoredAsync("GBA-MO-24:100")).Alert;
        Assert.False(contract.Details.ContainsKey("actBy"));
        Assert.Contains("To be done within 10 working days from the day on which the contract takes effect", AlertTexts.Default.Render(contract, AlertLanguage.English).Lines);
    }

    /// <summary>100 sensitive persons a day for four days: 10 000 lie within the filing lead time.</summary>
    private async Task PaceAsync()
    {
        for (var day = 0; day < 4; day++)
        {
            await _acme.SensitiveAsync($"d{day}", (day * 100) + 1, 100);
            await _acme.LookAsync();
            _acme.Time.Advance(TimeSpan.FromDays(1));
        }

        await _acme.LookAsync();
    }

    private async Task ReportAsync(string reference, long persons, bool closed)
    {
        var known = await _acme.Incidents.FindAsync(LedgerScenario.Exporter, reference, Token);
        var now = _acme.Time.GetUtcNow();
        var incident = new Incident
        {
            Exporter = LedgerScenario.Exporter, Reference = reference, DiscoveredAt = now, Persons = persons, Description = "A disk was lost.", ReportedAt = now,
            ReportedBy = "key:legal", Revision = 1, UpdatedAt = now, Closed = closed ? new(now, "key:legal", "Notified.") : null,
        };
        Assert.True(await _acme.Incidents.SaveAsync(incident, known?.ETag, closed ? IncidentAudit.Closed : IncidentAudit.Reported, "key:legal", null, Token));
    }
}
