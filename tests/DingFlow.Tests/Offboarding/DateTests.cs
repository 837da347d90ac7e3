using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>When a case starts, whoever says what in whatever order; paused sources; main administrators; the clock.</summary>
public sealed class DateTests
{
    private static readonly DateTimeOffset Date = OffboardingDriver.Start.AddDays(10);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task The_sender_that_set_the_date_may_move_it_after_another_spoke()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Dated("E1001", Date, 0));
        await driver.HearAsync(Dated("E1001", Date.AddDays(20), 1) with { Source = "hr/other" });
        await driver.HearAsync(Dated("E1001", Date.AddDays(2), 2));

        Assert.Equal(Date.AddDays(2), (await driver.OnlyCaseAsync("E1001")).ScheduledFor);
    }

    [Fact]
    public async Task An_older_word_that_arrives_late_does_not_move_the_date_back()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Dated("E1001", Date.AddDays(5), 2));
        await driver.HearAsync(Dated("E1001", Date, 1));

        Assert.Equal(Date.AddDays(5), (await driver.OnlyCaseAsync("E1001")).ScheduledFor);
    }

    [Fact]
    public async Task A_case_that_waits_for_people_goes_back_to_waiting_for_its_new_date()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E7777") with { Email = "typo@sandbox.example", DingTalkUserId = null });
        await driver.SettleAsync();
        Assert.Equal(CaseState.NeedsHuman, (await driver.OnlyCaseAsync("E7777")).State);

        await driver.HearAsync(Dated("E7777", Date, 1) with { Email = Leaver.EmailOf("E1001"), DingTalkUserId = null });
        await driver.SettleAsync();

        Assert.Equal((CaseState.Scheduled, Date), ((await driver.OnlyCaseAsync("E7777")).State, (await driver.OnlyCaseAsync("E7777")).ScheduledFor));
        Assert.Empty(driver.Sandbox.Directory["E1001"].Mutations);
    }

    [Fact]
    public async Task Whom_a_leave_ahead_concerns_is_known_at_once_and_looked_up_anew_at_its_date()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Directory.Change("E1002", p => p with { DingTalk = p.DingTalk! with { JobNumber = null }, Entra = p.Entra! with { EmployeeId = null } });
        await driver.HearAsync(Dated("E1002", Date, 0) with { DingTalkUserId = null });
        await driver.HearAsync(Dated("X1", Date.AddDays(-1), 0) with { Source = "hr/other", Email = null, DingTalkUserId = "sb-1002" });
        await driver.SettleAsync();

        // Two sources under different identifiers are one case before its date, with the earlier date.
        var c = await driver.OnlyCaseAsync("E1002");
        Assert.Equal((CaseState.Scheduled, Date.AddDays(-1), 2), (c.State, c.ScheduledFor, c.Signals.Count));
        Assert.Equal(2, c.Accounts.Count(a => a.Status == AccountStatus.Found));
        Assert.Equal(c.CaseId, (await driver.OnlyCaseAsync("X1")).CaseId);

        // One of them calls it off: nobody is frozen at either date.
        await driver.HearAsync(Leaver.Of(PersonEventKind.TerminationCancelled, "E1002"));
        driver.Time.Advance(TimeSpan.FromDays(12));
        await driver.SweepAsync();
        await driver.SettleAsync();
        Assert.Empty(driver.Sandbox.Directory["E1002"].Mutations);
    }

    [Fact]
    public async Task A_leave_that_DingTalk_announced_is_called_off_by_HR_which_never_named_it()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.LeftDingTalk("sb-1003") with { Kind = PersonEventKind.ResignationAgreed, EffectiveAt = Date });
        await driver.SettleAsync();
        Assert.Equal(CaseState.Scheduled, Assert.Single(await driver.AllCasesAsync()).State);

        await driver.HearAsync(Leaver.Of(PersonEventKind.TerminationCancelled, "E1003"));

        Assert.Equal(CaseState.Cancelled, Assert.Single(await driver.AllCasesAsync()).State);
    }

    [Fact]
    public async Task A_return_whose_person_cannot_be_told_waits_for_the_systems()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Unavailable }]);

        Assert.NotNull(await driver.Get<CaseEvents>().HandleAsync(
            Leaver.Of(PersonEventKind.Rehired, "E1003"),
            new() { DeliveryId = "d", Source = "hr/acme", Kind = PersonEventKind.Rehired, ReceivedAt = driver.Time.GetUtcNow() }, Cancellation));
    }

    [Fact]
    public async Task An_agreed_resignation_freezes_on_its_last_day_and_the_earliest_signal_wins()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.LeftDingTalk("sb-1003") with { Kind = PersonEventKind.ResignationAgreed, EffectiveAt = Date });
        await driver.SettleAsync();
        await driver.HearAsync(Dated("E1003", Date.AddDays(-2), 1));
        await driver.SettleAsync();
        var waiting = (await driver.AllCasesAsync()).Single(c => c.MergedInto is null);
        Assert.Equal((CaseState.Scheduled, Date.AddDays(-2)), (waiting.State, waiting.ScheduledFor));

        driver.Time.Advance(TimeSpan.FromDays(8));
        await driver.SweepAsync();
        await driver.SettleAsync();
        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1003")).State);
    }

    [Fact]
    public async Task Nobody_is_frozen_on_an_assumed_date_alone()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.LeftDingTalk("sb-1003") with { Kind = PersonEventKind.ResignationAgreed, EffectiveAt = Date, DateAssumed = true });
        await driver.SettleAsync();
        driver.Time.Advance(TimeSpan.FromDays(11));
        await driver.SweepAsync();
        await driver.SettleAsync();

        var c = Assert.Single(await driver.AllCasesAsync());
        Assert.Equal(CaseState.NeedsHuman, c.State);
        Assert.Equal("offboarding.needs_human", Assert.Single(driver.Alerts).Type);
        Assert.Empty(driver.Sandbox.Directory["E1003"].Mutations);

        // HR's later word, even with a later date, is a real one.
        await driver.HearAsync(Dated("E1003", OffboardingDriver.Start.AddDays(13), 60 * 24 * 11));
        await driver.PassAsync(TimeSpan.Zero);
        driver.Time.Advance(TimeSpan.FromDays(3));
        await driver.SweepAsync();
        await driver.SettleAsync();
        Assert.True(driver.Sandbox.Directory["E1003"].DingTalk!.Disabled);
    }

    [Fact]
    public async Task A_cancellation_by_address_that_overtakes_its_termination_wins()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Of(PersonEventKind.TerminationCancelled, "E1001") with { EmployeeId = null });
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        Assert.Equal(CaseState.Cancelled, (await driver.OnlyCaseAsync("E1001")).State);
    }

    [Fact]
    public async Task A_case_of_a_paused_source_waits_and_goes_on_with_the_source()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        driver.Paused.Add("hr/acme");
        await driver.SettleAsync();
        await driver.PassAsync(TimeSpan.FromMinutes(5));
        Assert.Equal(CaseState.Running, (await driver.OnlyCaseAsync("E1001")).State);
        Assert.Empty(driver.Sandbox.Directory["E1001"].Mutations);

        driver.Paused.Clear();
        var c = await driver.PassUntilAsync("E1001", CaseState.Verified);
        Assert.DoesNotContain(c.Notes, n => n.Contains("paused", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_word_of_a_source_that_is_not_paused_suffices()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Paused.Add("hr/acme");
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.HearAsync(Leaver.Terminated("E1001", "hr/other"));
        await driver.SettleAsync();

        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1001")).State);
    }

    [Fact]
    public async Task A_later_word_about_somebody_whom_an_earlier_case_removed_is_proved_by_what_that_case_knew()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:OrdinaryAccounts"] = "remove" });
        await driver.HearAsync(Leaver.Terminated("E1022"));
        await driver.SettleAsync();
        Assert.False(driver.Sandbox.Directory["E1022"].DingTalk!.Member);

        // Days later the map of who is who has never seen the person, and the event does not name the account.
        driver.Time.Advance(TimeSpan.FromDays(3));
        await driver.SweepAsync();
        await driver.SettleAsync();
        await driver.HearAsync(Leaver.Terminated("E1022") with { DingTalkUserId = null, OccurredAt = OffboardingDriver.Start.AddDays(3) });
        await driver.SettleAsync();

        var cases = await driver.CasesAsync("E1022");
        Assert.Equal(2, cases.Count);
        Assert.All(cases, c => Assert.Equal(CaseState.Verified, c.State));
        Assert.Contains(cases[0].Accounts, a => a is { Target: FreezeTarget.DingTalk, Status: AccountStatus.Gone });
        Assert.Equal(1, driver.Sandbox.Directory["E1022"].Mutations[SandboxOperations.UserDelete]);
    }

    [Fact]
    public async Task A_main_administrator_must_be_un_admined_by_a_person_and_a_sub_administrator_not()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1018"));
        await driver.HearAsync(Leaver.Terminated("E1017"));
        await driver.SettleAsync();

        var main = await driver.OnlyCaseAsync("E1018");
        Assert.Equal(CaseState.NeedsHuman, main.State);
        Assert.Contains(main.Accounts, a => a is { Target: FreezeTarget.DingTalk, Status: AccountStatus.Protected });
        Assert.False(driver.Sandbox.Directory["E1018"].DingTalk!.Disabled);
        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1017")).State);

        driver.Sandbox.Directory.Change("E1018", p => p with { DingTalk = p.DingTalk! with { Administrator = SandboxAdministrator.None } });
        await driver.HearAsync(Leaver.Terminated("E1018", "hr/other"));
        await driver.SettleAsync();
        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1018")).State);
    }

    [Fact]
    public async Task An_administrator_whose_rank_cannot_be_read_is_not_touched()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Unavailable, Operation = SandboxOperations.ListAdministrators }]);
        await driver.HearAsync(Leaver.Terminated("E1018"));
        await driver.SettleAsync();

        Assert.Equal(CaseState.Running, (await driver.OnlyCaseAsync("E1018")).State);
        Assert.False(driver.Sandbox.Directory["E1018"].DingTalk!.Disabled);
    }

    [Fact]
    public async Task A_case_verified_too_late_between_two_sweeps_is_a_breach_told_once()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        driver.Time.Advance(TimeSpan.FromMinutes(15) + TimeSpan.FromSeconds(20));
        await driver.SettleAsync();
        await driver.SweepAsync();
        await driver.SweepAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.NotNull(c.OverdueAt);
        Assert.Single(driver.Alerts, a => a.Type == "offboarding.overdue");
    }

    private static PersonEvent Dated(string employeeId, DateTimeOffset date, int minute) => Leaver.Terminated(employeeId) with
    {
        Immediate = false, EffectiveAt = date, OccurredAt = OffboardingDriver.Start.AddMinutes(minute),
    };
}
