using System.Diagnostics.Metrics;
using DingFlow.Alerts;
using DingFlow.Rules;
using DingFlow.Storage;
using DingFlow.Tests.Transfers;
using DingFlow.Transfers;

namespace DingFlow.Tests.Alerts;

/// <summary>The timer that watches the limits.</summary>
public sealed class CheckThresholdsTests : IAsyncDisposable
{
    private readonly ThresholdDriver _acme = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _acme.DisposeAsync();

    [Fact]
    public async Task Nothing_is_told_while_nothing_is_transferred()
    {
        await _acme.LookAsync();
        Assert.Empty(_acme.Told);
    }

    [Fact]
    public async Task The_first_sensitive_person_is_a_transition_and_told_once()
    {
        await _acme.SensitiveAsync("b", 1, 1);
        await _acme.LookAsync();
        await _acme.SensitiveAsync("c", 2, 5);
        await _acme.LookAsync();

        Assert.Equal(["CN24-SC-SPI:100", "CN26-CERT-SPI:100"], _acme.Told);
    }

    [Theory]
    [InlineData(4_999, "")]
    [InlineData(5_000, "50")]
    [InlineData(7_999, "50")]
    [InlineData(8_000, "80")]
    [InlineData(9_000, "90")]
    [InlineData(9_500, "95")]
    [InlineData(9_999, "95")]
    [InlineData(10_000, "100")]
    public async Task A_level_is_told_at_its_number_and_no_lower_one_with_it(int persons, string level)
    {
        await _acme.SensitiveAsync("b", 1, persons);
        await _acme.LookAsync();
        await _acme.LookAsync();

        Assert.Equal(level.Length == 0 ? [] : [$"CN24-SA-SPI:{level}"], _acme.Told.Where(static told => told.StartsWith("CN24-SA-SPI", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Each_level_is_told_once_on_the_way_and_the_higher_ends_the_lower()
    {
        foreach (var (step, upTo) in ((int, int)[])[(1, 5_000), (2, 8_000), (3, 9_000), (4, 9_500), (5, 10_000)])
        {
            var from = step == 1 ? 0 : new[] { 0, 5_000, 8_000, 9_000, 9_500 }[step - 1];
            await _acme.SensitiveAsync($"b{step}", from + 1, upTo - from);
            await _acme.LookAsync();
            await _acme.LookAsync();
        }

        Assert.Equal(["50", "80", "90", "95", "100"], Levels("CN24-SA-SPI"));
        Assert.Equal(
            [AlertState.Resolved, AlertState.Resolved, AlertState.Resolved, AlertState.Resolved, AlertState.Open],
            await Task.WhenAll(((string[])["50", "80", "90", "95", "100"]).Select(async level => (await _acme.StoredAsync($"CN24-SA-SPI:{level}")).State)));
        Assert.Equal(DingFlow.Messaging.AlertSeverity.Critical, (await _acme.StoredAsync("CN24-SA-SPI:90")).Alert.Severity);
        Assert.Equal(DingFlow.Messaging.AlertSeverity.Warning, (await _acme.StoredAsync("CN24-SA-SPI:80")).Alert.Severity);
    }

    [Fact]
    public async Task A_lower_alert_that_is_still_on_its_way_is_overtaken()
    {
        _acme.Channel.Answer = static () => new(AlertAttemptOutcome.Failed, "503");
        await _acme.SensitiveAsync("b", 1, 5_000);
        await _acme.LookAsync();
        await _acme.SensitiveAsync("c", 5_001, 3_000);
        await _acme.CheckAsync(_acme.Store);
        _acme.Channel.Answer = static () => new(AlertAttemptOutcome.Delivered, "200");
        _acme.Time.Advance(TimeSpan.FromSeconds(5));
        // The message of 80 % is taken up first, the second attempt of 50 % after it.
        await _acme.HandleAsync(_acme.Queue.Alerts[^1], _acme.Store);
        await _acme.PumpAsync();

        Assert.Equal(["80"], Levels("CN24-SA-SPI"));
    }

    [Fact]
    public async Task A_corrected_count_arms_a_level_again_only_below_the_hysteresis()
    {
        await _acme.SensitiveAsync("base", 1, 7_600);
        await _acme.SensitiveAsync("wrong", 7_601, 400);
        await _acme.LookAsync();
        await _acme.VoidAsync("wrong");
        await _acme.LookAsync();
        await _acme.SensitiveAsync("again", 9_001, 400);
        await _acme.LookAsync();
        // 76 % is less than 80 and not below 75: no news.
        Assert.Equal(["80"], Levels("CN24-SA-SPI"));

        await _acme.VoidAsync("again");
        await _acme.VoidAsync("base");
        await _acme.LookAsync();
        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("CN24-SA-SPI:80")).State);

        await _acme.SensitiveAsync("truth", 20_001, 8_000);
        await _acme.LookAsync();
        Assert.Equal(["80", "80"], Levels("CN24-SA-SPI"));
    }

    [Fact]
    public async Task Levels_are_armed_again_at_the_first_moment_of_the_year_in_Shanghai()
    {
        _acme.Time.SetUtcNow(DateTimeOffset.Parse("2026-12-31T15:59:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await _acme.SensitiveAsync("2026", 1, 5_000);
        await _acme.LookAsync();
        _acme.Time.SetUtcNow(DateTimeOffset.Parse("2026-12-31T16:00:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await _acme.LookAsync();
        Assert.Equal(["50"], Levels("CN24-SA-SPI"));
        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("CN24-SA-SPI:50")).State);
        Assert.Equal(AlertState.Open, (await _acme.StoredAsync("CN24-SC-SPI:100")).State);

        await _acme.SensitiveAsync("2027", 1, 5_000);
        await _acme.LookAsync();

        Assert.Equal(["50", "50"], Levels("CN24-SA-SPI"));
        Assert.Equal(["2026-cn-2024-SC_OR_CERT", "2027-cn-2024-SC_OR_CERT"], (await _acme.Latch.ListAsync(LedgerScenario.Exporter, Token)).Select(static tier => tier.Key));
    }

    [Fact]
    public async Task A_clock_that_is_set_back_over_the_new_year_tells_nothing_again()
    {
        _acme.Time.SetUtcNow(DateTimeOffset.Parse("2026-12-31T15:50:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await _acme.SensitiveAsync("2026", 1, 5_000);
        await _acme.LookAsync();
        _acme.Time.SetUtcNow(DateTimeOffset.Parse("2026-12-31T16:05:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await _acme.SensitiveAsync("2027", 1, 5_000);
        await _acme.LookAsync();
        var told = _acme.Told.Count;

        _acme.Time.AdjustTime(DateTimeOffset.Parse("2026-12-31T15:55:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await _acme.LookAsync();
        _acme.Time.SetUtcNow(DateTimeOffset.Parse("2026-12-31T16:10:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await _acme.LookAsync();

        Assert.Equal(told, _acme.Told.Count);
    }

    [Fact]
    public async Task A_clock_that_is_set_back_within_the_year_tells_nothing_again()
    {
        await _acme.SensitiveAsync("b", 1, 8_000);
        await _acme.LookAsync();
        _acme.Time.AdjustTime(_acme.Time.GetUtcNow().AddDays(-3));
        await _acme.LookAsync();

        Assert.Equal(["80"], Levels("CN24-SA-SPI"));
    }

    [Fact]
    public async Task What_is_held_never_restarts()
    {
        _acme.Exporter = _acme.Exporter with { ProcessedPersons = 950_000 };
        await _acme.LookAsync();
        _acme.Time.SetUtcNow(DateTimeOffset.Parse("2027-01-02T00:00:00Z", System.Globalization.CultureInfo.InvariantCulture));
        await _acme.LookAsync();
        Assert.Equal(["95"], Levels("CN25-DPO"));

        _acme.Exporter = _acme.Exporter with { ProcessedPersons = 1_000_000 };
        await _acme.LookAsync();
        Assert.Equal(["95", "100"], Levels("CN25-DPO"));
    }

    [Fact]
    public async Task A_rule_that_is_not_for_this_exporter_is_not_told()
    {
        _acme.Exporter = _acme.Exporter with { Ciio = true };
        await _acme.SensitiveAsync("b", 1, 1);
        await _acme.LookAsync();

        Assert.Equal(["CN24-SA-CIIO:100"], _acme.Told);
    }

    [Fact]
    public async Task The_superseded_set_warns_as_policy_and_never_critically()
    {
        _acme.Transfers = new TransfersOptions { RuleSets = ["cn-2024", "cn-2022"] };
        await _acme.SensitiveAsync("b", 1, 10_000);
        await _acme.LookAsync();

        var alert = (await _acme.StoredAsync("CN22-SA-SPI:100")).Alert;
        Assert.Equal((DingFlow.Messaging.AlertSeverity.Warning, "superseded"), (alert.Severity, alert.Details["status"]));
        Assert.Equal(DingFlow.Messaging.AlertSeverity.Critical, (await _acme.StoredAsync("CN24-SA-SPI:100")).Alert.Severity);
    }

    [Fact]
    public async Task What_last_year_reaches_by_records_that_come_late_is_told_once_and_latched_for_that_year()
    {
        await _acme.AppendAsync("late", [.. Enumerable.Range(1, 10_000).Select(n => LedgerScenario.Record(n, "2025-06-01T12:00:00+08:00", LedgerScenario.Fact(dataClass: DataClass.Finance)))]);

        await _acme.LookAsync();
        await _acme.LookAsync();

        Assert.Equal(["CN24-SA-SPI:100"], _acme.Told);
        var alert = Assert.Single(Assert.Single(_acme.Channel.Received).Alerts).Alert;
        Assert.Equal(("2025-01-01", "2025-12-31", "10000"), (alert.Details["from"], alert.Details["to"], alert.Details["count"]));
        var latched = Assert.Single(await _acme.Latch.ListAsync(LedgerScenario.Exporter, TestContext.Current.CancellationToken));
        Assert.Equal(("2025-cn-2024-SA", 2025), (latched.Key, latched.Year));
    }

    [Fact]
    public async Task What_was_reached_after_the_last_look_of_the_year_is_told_in_the_new_one()
    {
        _acme.Time.SetUtcNow(new(2026, 12, 31, 15, 56, 0, TimeSpan.Zero));
        await _acme.SensitiveAsync("before", 1, 9_999);
        await _acme.LookAsync();
        await _acme.SensitiveAsync("after", 10_000, 1);
        _acme.Time.Advance(TimeSpan.FromMinutes(5));

        await _acme.LookAsync();

        Assert.Equal("CN24-SA-SPI:100", _acme.Told[^1]);
        Assert.Equal(
            ["2026-cn-2024-SA", "2026-cn-2024-SC_OR_CERT"],
            (await _acme.Latch.ListAsync(LedgerScenario.Exporter, TestContext.Current.CancellationToken)).Select(static tier => tier.Key));
    }

    [Fact]
    public async Task A_rule_whose_further_conditions_cease_to_hold_says_nothing_more()
    {
        _acme.Transfers = new TransfersOptions { RuleSets = ["cn-2022"] };
        await _acme.SensitiveAsync("one", 1, 1);
        await _acme.LookAsync();
        Assert.Equal(AlertState.Open, (await _acme.StoredAsync("CN22-SC:100")).State);

        // Ten thousand sensitive: the standard contract is no way any more, and nobody is reminded of it.
        await _acme.SensitiveAsync("many", 2, 9_999);
        await _acme.LookAsync();

        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("CN22-SC:100")).State);
        var told = _acme.Told.Count;
        _acme.Time.Advance(TimeSpan.FromHours(25));
        await _acme.RepeatAsync();
        Assert.DoesNotContain("CN22-SC:100", _acme.Told.Skip(told));
    }

    [Fact]
    public async Task Levels_of_the_settings_are_used()
    {
        _acme.Options = _acme.Options with { Levels = [25, 100] };
        await _acme.SensitiveAsync("b", 1, 5_000);
        await _acme.LookAsync();

        Assert.Equal(["25"], Levels("CN24-SA-SPI"));
    }

    [Fact]
    public async Task A_limit_that_will_be_reached_before_a_filing_could_be_done_is_told_once_and_again_only_when_the_pace_fell_between()
    {
        // 100 a day from Monday 2 March: 10 000 on 9 June, which lies within 80 working days.
        for (var day = 0; day < 4; day++)
        {
            await _acme.SensitiveAsync($"d{day}", (day * 100) + 1, 100);
            await _acme.LookAsync();
            Assert.DoesNotContain("CN24-SA-SPI:forecast", _acme.Told.Take(day < 3 ? int.MaxValue : 0));
            _acme.Time.Advance(TimeSpan.FromDays(1));
        }

        await _acme.LookAsync();
        await _acme.LookAsync();

        Assert.Single(_acme.Told, "CN24-SA-SPI:forecast");
        var alert = (await _acme.StoredAsync("CN24-SA-SPI:forecast")).Alert;
        Assert.Equal(("straightLine", "Published", "2026-06-09"), (alert.Details["method"], alert.Details["certainty"], alert.Details["forecast"]));
        Assert.Equal(80, Enumerable.Range(Day(alert.Details["beginBy"]).DayNumber, Day(alert.Details["forecast"]).DayNumber - Day(alert.Details["beginBy"]).DayNumber)
            .Count(number => WorkingCalendar.Default.IsWorkingDay(DateOnly.FromDayNumber(number))));

        // Three silent weeks: the forecast falls away. Then the pace returns.
        for (var day = 0; day < 60; day++)
        {
            await _acme.LookAsync();
            _acme.Time.Advance(TimeSpan.FromDays(1));
        }

        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("CN24-SA-SPI:forecast")).State);
        for (var day = 0; day < 20; day++)
        {
            await _acme.SensitiveAsync($"e{day}", 1_000 + (day * 200), 200);
            await _acme.LookAsync();
            _acme.Time.Advance(TimeSpan.FromDays(1));
        }

        Assert.Equal(2, _acme.Told.Count(static told => told == "CN24-SA-SPI:forecast"));
    }

    [Fact]
    public async Task A_distant_limit_is_no_alert_and_a_shorter_lead_time_makes_less_of_them()
    {
        _acme.Options = _acme.Options with { FilingLeadDays = 20 };
        for (var day = 0; day < 5; day++)
        {
            await _acme.SensitiveAsync($"d{day}", (day * 100) + 1, 100);
            await _acme.LookAsync();
            _acme.Time.Advance(TimeSpan.FromDays(1));
        }

        Assert.DoesNotContain("CN24-SA-SPI:forecast", _acme.Told);
        Assert.NotNull((await _acme.StandingAsync()).Rules.Single(static rule => rule.Rule == "CN24-SA-SPI").Forecast.Date);
    }

    [Fact]
    public async Task The_share_of_every_limit_is_a_metric()
    {
        var shares = new Dictionary<string, double>();
        using var listener = new MeterListener
        {
            InstrumentPublished = (instrument, self) =>
            {
                if (instrument.Name == "dingflow.thresholds.share" && instrument.Meter.Scope == _acme.Meters)
                {
                    self.EnableMeasurementEvents(instrument);
                }
            },
        };
        listener.SetMeasurementEventCallback<double>((_, share, tags, _) =>
        {
            Assert.Equal(LedgerScenario.Exporter, tags[0].Value);
            shares[(string)tags[1].Value!] = share;
        });
        listener.Start();
        await _acme.SensitiveAsync("b", 1, 2_500);
        await _acme.LookAsync();

        Assert.Equal(0.25, shares["CN24-SA-SPI"]);
        Assert.Equal(0, shares["CN24-SA-PI"]);
        Assert.DoesNotContain("CN24-SC-SPI", shares.Keys);
    }

    [Fact]
    public async Task Two_timers_at_once_tell_once()
    {
        await _acme.SensitiveAsync("b", 1, 8_000);

        await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(() => _acme.CheckAsync(_acme.Store), Token)));
        await _acme.PumpAsync();

        Assert.Equal(["80"], Levels("CN24-SA-SPI"));
        Assert.Equal(1, (await _acme.StoredAsync("CN24-SA-SPI:80")).Occurrence);
    }

    [Fact]
    public async Task While_the_store_is_down_the_timer_fails_and_the_next_makes_up_for_it()
    {
        await _acme.SensitiveAsync("b", 1, 8_000);
        await Assert.ThrowsAsync<EntityStoreException>(() => _acme.CheckAsync(new LedgerFaultyStore(_acme.Store, static _ => StoreFault.Unavailable)));

        await _acme.LookAsync();

        Assert.Equal(["80"], Levels("CN24-SA-SPI"));
    }

    [Fact]
    public async Task While_the_queue_is_down_nothing_is_noted_as_told()
    {
        await _acme.SensitiveAsync("b", 1, 8_000);
        _acme.Queue.IsDown = true;
        await Assert.ThrowsAsync<DingFlow.Messaging.MessageQueueException>(() => _acme.CheckAsync(_acme.Store));
        _acme.Queue.IsDown = false;

        await _acme.LookAsync();

        Assert.Equal(["80"], Levels("CN24-SA-SPI"));
    }

    [Theory]
    [InlineData(nameof(StoreFault.DieBefore))]
    [InlineData(nameof(StoreFault.DieAfter))]
    [InlineData(nameof(StoreFault.LoseAnswer))]
    [InlineData(nameof(StoreFault.FalseRefusal))]
    public async Task A_crash_between_any_two_operations_of_the_timer_loses_and_doubles_nothing(string kind)
    {
        var fault = Enum.Parse<StoreFault>(kind);
        for (var at = 1; ; at++)
        {
            await using var acme = new ThresholdDriver();
            await acme.SensitiveAsync("a", 1, 5_000);
            await acme.LookAsync();
            await acme.SensitiveAsync("b", 5_001, 3_000);
            var store = new LedgerFaultyStore(acme.Store, call => call == at ? fault : StoreFault.None);
            try
            {
                await acme.CheckAsync(store);
            }
            catch (Exception exception) when (exception is ProcessDiedException or EntityStoreException)
            {
                // As it was meant to be.
            }

            await acme.LookAsync();
            await acme.LookAsync();

            Assert.Equal(["CN24-SA-SPI:50", "CN24-SC-SPI:100", "CN26-CERT-SPI:100", "CN24-SA-SPI:80"], acme.Told);
            if (store.Calls < at)
            {
                Assert.True(at > 10, "The timer asked the store too seldom for this test to mean anything.");
                return;
            }
        }
    }

    private static DateOnly Day(string text) => DateOnly.ParseExact(text, "yyyy-MM-dd", System.Globalization.CultureInfo.InvariantCulture);

    private IEnumerable<string> Levels(string rule) =>
        _acme.Told.Where(told => told.StartsWith(rule + ":", StringComparison.Ordinal)).Select(static told => told.Split(':')[1]);
}
