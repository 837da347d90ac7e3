using DingFlow.Alerts;
using DingFlow.Messaging;
using DingFlow.Tests.Transfers;
using DingFlow.Transfers;

namespace DingFlow.Tests.Alerts;

/// <summary>What people are told of the register of scenarios: ends, reviews and approved persons, each once, by a clock that the test turns.</summary>
public sealed class CheckFilingsTests : IAsyncDisposable
{
    private static readonly ScenarioTerms Terms = new() { Recipient = "acme-sg", Purpose = "" };

    private readonly ThresholdDriver _acme = new();

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public ValueTask DisposeAsync() => _acme.DisposeAsync();

    [Fact]
    public async Task An_assessment_by_the_authority_is_told_sixty_working_days_before_its_end_and_when_it_has_ended()
    {
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", Terms with { Mechanism = new() { Kind = MechanismKind.SecurityAssessment, Number = "SA-1", ValidTo = new(2026, 7, 24) } });
        var begin = DingFlow.Rules.WorkingCalendar.Default.Before(new(2026, 7, 24), 60).Day;

        await LookOnAsync(begin.AddDays(-1));
        Assert.Empty(_acme.Told);
        await LookOnAsync(begin);
        await LookOnAsync(begin.AddDays(1));
        Assert.Equal(["transfers.mechanism_expiring"], _acme.Told);
        var told = await _acme.StoredAsync("transfers.mechanism_expiring");
        Assert.Equal((AlertSeverity.Warning, "SA-1", "2026-07-24"), (told.Alert.Severity, told.Alert.Details["number"], told.Alert.Details["validTo"]));

        await LookOnAsync(new(2026, 7, 24));
        Assert.Single(_acme.Told);
        await LookOnAsync(new(2026, 7, 25));
        Assert.Equal(["transfers.mechanism_expiring", "transfers.mechanism_expired"], _acme.Told);
        Assert.Equal((AlertState.Resolved, AlertState.Open), ((await _acme.StoredAsync("transfers.mechanism_expiring")).State, (await _acme.StoredAsync("transfers.mechanism_expired")).State));

        // Extended by three years: what was told is over, and the next end is told anew.
        await _acme.RecordScenarioAsync("payroll", "2026-07-25", Terms with { Mechanism = new() { Kind = MechanismKind.SecurityAssessment, Number = "SA-2", ValidTo = new(2026, 12, 1) } });
        await LookOnAsync(new(2026, 7, 26));
        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("transfers.mechanism_expired")).State);
        await LookOnAsync(new(2026, 11, 20));
        Assert.Equal(["transfers.mechanism_expiring", "transfers.mechanism_expired", "transfers.mechanism_expiring"], _acme.Told);
    }

    [Fact]
    public async Task The_look_at_the_limits_leaves_what_was_told_of_scenarios_alone()
    {
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", Terms with { Mechanism = new() { Kind = MechanismKind.StandardContract, ApprovedPersons = 2 } });
        await _acme.SensitiveAsync("b", 1, 3);
        foreach (var day in (DateOnly[])[new(2026, 3, 11), new(2026, 3, 12), new(2026, 3, 13)])
        {
            await LookOnAsync(day);
            await _acme.CheckAsync(_acme.Store);
        }

        await LookOnAsync(new(2026, 3, 14));
        Assert.Single(_acme.Told, "transfers.scope_exceeded");
        Assert.Equal(AlertState.Open, (await _acme.StoredAsync("transfers.scope_exceeded")).State);
    }

    [Fact]
    public async Task A_withdrawn_scenario_needs_nobody_any_more()
    {
        var terms = Terms with
        {
            Mechanism = new() { Kind = MechanismKind.StandardContract, ValidTo = new(2026, 3, 20), ApprovedPersons = 2 }, Assessment = new() { Id = "PIA-7", NextReview = new(2026, 3, 10) },
        };
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", terms);
        await _acme.SensitiveAsync("b", 1, 3);
        await LookOnAsync(new(2026, 3, 11));
        Assert.Equal(["transfers.assessment_overdue", "transfers.mechanism_expiring", "transfers.scope_exceeded"], _acme.Told.Order());
        Assert.Equal("PIA-7", (await _acme.StoredAsync("transfers.assessment_overdue")).Alert.Details["assessment"]);

        await _acme.RecordScenarioAsync("payroll", "2026-03-12", terms, withdrawn: true);
        await LookOnAsync(new(2026, 3, 12));
        await LookOnAsync(new(2026, 4, 1));
        Assert.Equal(3, _acme.Told.Count);
        foreach (var type in _acme.Told)
        {
            Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync(type)).State);
        }
    }

    [Fact]
    public async Task A_review_is_told_before_it_is_due_and_once_more_when_it_is_overdue()
    {
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", Terms with { Assessment = new() { NextReview = new(2026, 6, 30) } });
        var begin = DingFlow.Rules.WorkingCalendar.Default.Before(new(2026, 6, 30), 20).Day;
        await LookOnAsync(begin.AddDays(-1));
        Assert.Empty(_acme.Told);
        foreach (var day in (DateOnly[])[begin, new(2026, 6, 30), new(2026, 7, 1), new(2026, 7, 2)])
        {
            await LookOnAsync(day);
        }

        Assert.Equal(["transfers.assessment_due", "transfers.assessment_overdue"], _acme.Told);
    }

    [Fact]
    public async Task Approved_persons_are_told_by_levels_and_one_more_than_approved_exceeds_them()
    {
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", Terms with { Mechanism = new() { Kind = MechanismKind.StandardContract, ApprovedPersons = 10 } });
        foreach (var (batch, first, count, told) in ((string, int, int, string?)[])[("a", 1, 4, null), ("b", 5, 1, "50"), ("c", 5, 4, "80"), ("d", 9, 1, "90"), ("e", 10, 1, "95"), ("f", 11, 1, "100")])
        {
            await _acme.SensitiveAsync(batch, first, count);
            await LookOnAsync(LegalTime.DayOf(_acme.Time.GetUtcNow()).AddDays(1));
            Assert.Equal(told, _acme.Channel.Received.LastOrDefault()?.Alerts[^1].Alert.Details.GetValueOrDefault("percent"));
        }

        Assert.Equal(["transfers.scope_level", "transfers.scope_level", "transfers.scope_level", "transfers.scope_level", "transfers.scope_exceeded"], _acme.Told);
        var exceeded = await _acme.StoredAsync("transfers.scope_exceeded");
        Assert.Equal((AlertSeverity.Critical, "11", "10"), (exceeded.Alert.Severity, exceeded.Alert.Details["persons"], exceeded.Alert.Details["approved"]));

        // A wrong batch goes: it is not exceeded any more, and may be told again.
        await _acme.VoidAsync("f");
        await LookOnAsync(LegalTime.DayOf(_acme.Time.GetUtcNow()).AddDays(1));
        Assert.Equal(AlertState.Resolved, (await _acme.StoredAsync("transfers.scope_exceeded")).State);
        await _acme.SensitiveAsync("g", 12, 1);
        await LookOnAsync(LegalTime.DayOf(_acme.Time.GetUtcNow()).AddDays(1));
        Assert.Equal("transfers.scope_exceeded", _acme.Told[^1]);

        // Each calendar year by itself.
        await LookOnAsync(new(2027, 1, 1));
        Assert.Equal(6, _acme.Told.Count);
    }

    [Fact]
    public async Task Persons_under_an_exemption_are_not_under_the_mechanism()
    {
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", Terms with { Mechanism = new() { Kind = MechanismKind.StandardContract, ApprovedPersons = 1 } });
        await _acme.ExportAsync("b", 1, 5, DataClass.General, ExemptionKind.HumanResources);
        await LookOnAsync(new(2026, 3, 3));
        Assert.Empty(_acme.Told);
    }

    [Fact]
    public async Task The_persons_are_exact_however_many_parts_they_are_counted_in()
    {
        var register = new ScenarioRegister(_acme.Exporter.Id, [new(_acme.Exporter.Id, "payroll", [new(1, new(2026, 1, 1), false, Terms, "r", _acme.Time.GetUtcNow(), "k")])]);
        var scope = new ScenarioScope("payroll", new() { Kind = MechanismKind.StandardContract, ApprovedPersons = 1 }, new(2026, 1, 1), new(2026, 12, 31));
        await _acme.SensitiveAsync("a", 1, 300);
        await _acme.SensitiveAsync("b", 100, 300);
        foreach (var most in (int[])[1, 7, 100, 1_000])
        {
            Assert.Equal(399, (await ScopeCounts.ReadAsync(_acme.Ledger, register, [scope], Token, most))["payroll"]);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public async Task Wherever_the_process_ends_people_are_told_once(int call)
    {
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", Terms with { Assessment = new() { NextReview = new(2026, 3, 4) } });
        _acme.Time.SetUtcNow(LegalTime.StartOf(new DateOnly(2026, 3, 3)).AddHours(1));
        var dying = new LedgerFaultyStore(_acme.Store, number => number == call ? StoreFault.DieBefore : StoreFault.None);
        await Assert.ThrowsAsync<ProcessDiedException>(() => _acme.CheckFilingsAsync(dying));

        await _acme.LookAtFilingsAsync();
        await _acme.LookAtFilingsAsync();
        Assert.Equal(["transfers.assessment_due"], _acme.Told);
    }

    private async Task LookOnAsync(DateOnly day)
    {
        _acme.Time.SetUtcNow(LegalTime.StartOf(day).AddMinutes(50));
        await _acme.LookAtFilingsAsync();
    }
}
