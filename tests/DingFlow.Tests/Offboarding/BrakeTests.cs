using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Offboarding.Guards;
using DingFlow.Offboarding.Reconciliation;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>The mass-leaver brake: whom it lets pass, whom it holds, and how two people release them.</summary>
public sealed class BrakeTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task As_many_as_the_count_are_frozen_and_the_rest_is_held_untouched_and_told_once()
    {
        await using var driver = await WithAsync(count: 3);
        await LeaveAsync(driver, 5);

        Assert.Equal(
            [CaseState.Verified, CaseState.Verified, CaseState.Verified, CaseState.Quarantined, CaseState.Quarantined], await StatesAsync(driver, 5));
        foreach (var held in (string[])["E1004", "E1005"])
        {
            Assert.Empty(driver.Sandbox.Directory[held].Mutations);
            var c = await driver.OnlyCaseAsync(held);
            Assert.Equal((QuarantineReason.Count, 3), (c.Quarantine!.Reason, c.Quarantine.Limit));
        }

        Assert.Equal("offboarding.brake_pulled", Assert.Single(driver.Alerts).Type);

        // Whatever takes a held case up again changes nothing.
        await driver.HearAsync(Leaver.Terminated("E1004", "hr/other"));
        driver.Time.Advance(TimeSpan.FromHours(5));
        await driver.SweepAsync();
        await driver.SettleAsync();
        Assert.Equal(CaseState.Quarantined, (await driver.OnlyCaseAsync("E1004")).State);
        Assert.Empty(driver.Sandbox.Directory["E1004"].Mutations);
    }

    [Fact]
    public async Task Leavers_that_come_at_the_usual_pace_never_meet_it()
    {
        await using var driver = await WithAsync(count: 2);
        for (var i = 1; i <= 6; i++)
        {
            await driver.HearAsync(Leaver.Terminated($"E10{i:00}"));
            await driver.PassAsync(TimeSpan.FromMinutes(6));
        }

        Assert.All(await StatesAsync(driver, 6), s => Assert.Equal(CaseState.Verified, s));
    }

    [Fact]
    public async Task Several_words_about_one_person_and_dry_runs_count_once_or_not_at_all()
    {
        await using var driver = await WithAsync(count: 2);
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.HearAsync(Leaver.Terminated("E1001", "hr/other"));
        await driver.HearAsync(Leaver.LeftDingTalk("sb-1001"));
        await driver.HearAsync(Leaver.Terminated("E1005") with { DryRun = true });
        await driver.SettleAsync();
        await driver.HearAsync(Leaver.Terminated("E1002"));
        await driver.SettleAsync();

        Assert.Equal([CaseState.Verified, CaseState.Verified], await StatesAsync(driver, 2));
    }

    [Fact]
    public async Task A_share_of_the_roster_brakes_once_there_is_a_roster_and_not_before()
    {
        await using var driver = await WithAsync(count: 0, percent: 50);
        await LeaveAsync(driver, 4);
        Assert.All(await StatesAsync(driver, 4), s => Assert.Equal(CaseState.Verified, s));

        await using var other = await WithAsync(count: 0, percent: 50);
        var rosters = other.Get<RosterStore>();
        var draft = await rosters.BeginAsync("hr/acme", "key:hr", Cancellation);
        for (var i = 0; i < 5; i++)
        {
            await rosters.AddAsync(draft, new($"E100{i}", null, null, null), Cancellation);
        }

        Assert.Equal(RosterOutcome.InForce, await rosters.CommitAsync(draft, 10, RosterTests.Put, Cancellation));
        await LeaveAsync(other, 4);
        Assert.Equal([CaseState.Verified, CaseState.Verified, CaseState.Quarantined, CaseState.Quarantined], await StatesAsync(other, 4));
        Assert.Equal(QuarantineReason.Percent, (await other.OnlyCaseAsync("E1003")).Quarantine!.Reason);

        // Another source's leavers are no part of that roster.
        await other.HearAsync(Leaver.Terminated("E1009", "hr/other"));
        await other.SettleAsync();
        Assert.Equal(CaseState.Verified, (await other.OnlyCaseAsync("E1009")).State);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Wherever_the_process_dies_exactly_the_count_is_frozen_and_nobody_is_lost(bool loseAnswer)
    {
        for (var operations = 1; operations <= 60; operations++)
        {
            await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Brake:Count"] = "1" }, inMemory: true);
            await driver.HearAsync(Leaver.Terminated("E1001"));
            await driver.HearAsync(Leaver.Terminated("E1002"));
            driver.Store.DieAfter(operations, loseAnswer);
            try
            {
                await driver.SettleAsync();
            }
            catch (DingFlow.Storage.EntityStoreException)
            {
                driver.CrashAndRestart();
            }

            driver.Store.Heal();
            driver.Time.Advance(TimeSpan.FromMinutes(3));
            await driver.SweepAsync();
            await driver.SettleAsync();

            var states = await StatesAsync(driver, 2);
            Assert.True(states is [CaseState.Verified, CaseState.Quarantined], $"{operations}: {string.Join(", ", states)}");
            Assert.Empty(driver.Sandbox.Directory["E1002"].Mutations);
            Assert.Single(driver.Alerts, a => a.Type == "offboarding.brake_pulled");
        }
    }

    [Fact]
    public async Task Two_instances_that_count_at_once_let_no_more_pass_than_one()
    {
        await using var driver = await WithAsync(count: 7);
        var cases = Enumerable.Range(0, 40).Select(i => Case(driver)).ToList();
        var brakes = Enumerable.Range(0, 4).Select(_ => new MassLeaverBrake(
            driver.Store, new() { Count = 7 }, driver.Get<RosterStore>(), driver.Get<IAlertSender>(), driver.Time,
            Microsoft.Extensions.Logging.Abstractions.NullLogger<MassLeaverBrake>.Instance)).ToList();

        var verdicts = await Task.WhenAll(cases.SelectMany((c, i) => brakes.Select(async b => (i, (await b.JudgeAsync(c, Cancellation)).Admitted))).Select(t => Task.Run(() => t)));

        // Each case was judged by all four, which agree as long as it is in the window.
        Assert.Equal(7, verdicts.Where(v => v.Admitted).Select(v => v.i).Distinct().Count());
        brakes.ForEach(b => b.Dispose());
    }

    [Fact]
    public async Task A_release_takes_two_different_people_of_whom_one_may_approve()
    {
        await using var driver = await WithAsync(count: 1);
        await LeaveAsync(driver, 2);
        var caseId = (await driver.OnlyCaseAsync("E1002")).CaseId;

        Assert.Equal(ReleaseOutcome.AwaitsSecond, await ConsentAsync(driver, caseId, "key:ops", mayApprove: true));
        Assert.Equal(ReleaseOutcome.SamePrincipal, await ConsentAsync(driver, caseId, "key:ops", mayApprove: true));
        await driver.SettleAsync();
        Assert.Equal(CaseState.Quarantined, (await driver.GetAsync(caseId)).State);
        Assert.Empty(driver.Sandbox.Directory["E1002"].Mutations);

        Assert.Equal(ReleaseOutcome.Released, await ConsentAsync(driver, caseId, "key:boss", mayApprove: true));
        await driver.SettleAsync();
        var c = await driver.GetAsync(caseId);
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Equal(["key:ops", "key:boss"], c.Consents.Select(k => k.By));
        Assert.NotNull(c.Quarantine!.ReleasedAt);
        Assert.Equal(ReleaseOutcome.NotHeld, await ConsentAsync(driver, caseId, "key:third", mayApprove: true));
    }

    [Fact]
    public async Task Two_people_without_the_right_to_approve_release_nothing()
    {
        await using var driver = await WithAsync(count: 1);
        await LeaveAsync(driver, 2);
        var caseId = (await driver.OnlyCaseAsync("E1002")).CaseId;

        Assert.Equal(ReleaseOutcome.AwaitsSecond, await ConsentAsync(driver, caseId, "key:one", mayApprove: false));
        Assert.Equal(ReleaseOutcome.AwaitsSecond, await ConsentAsync(driver, caseId, "key:two", mayApprove: false));
        Assert.Equal(ReleaseOutcome.Released, await ConsentAsync(driver, caseId, "key:three", mayApprove: true));
    }

    [Fact]
    public async Task Two_people_at_the_same_moment_release_once()
    {
        await using var driver = await WithAsync(count: 1);
        await LeaveAsync(driver, 2);
        var caseId = (await driver.OnlyCaseAsync("E1002")).CaseId;

        var outcomes = await Task.WhenAll(
            Task.Run(() => ConsentAsync(driver, caseId, "key:one", true), Cancellation), Task.Run(() => ConsentAsync(driver, caseId, "key:two", true), Cancellation));

        Assert.Equal([ReleaseOutcome.Released, ReleaseOutcome.AwaitsSecond], outcomes.Order());
        await driver.SettleAsync();
        Assert.Equal(CaseState.Verified, (await driver.GetAsync(caseId)).State);
        Assert.Equal(1, driver.Sandbox.Directory["E1002"].Mutations[SandboxOperations.Disable]);
    }

    [Fact]
    public async Task One_person_twice_at_the_same_moment_is_one_person()
    {
        await using var driver = await WithAsync(count: 1);
        await LeaveAsync(driver, 2);
        var caseId = (await driver.OnlyCaseAsync("E1002")).CaseId;

        var outcomes = await Task.WhenAll(
            Task.Run(() => ConsentAsync(driver, caseId, "key:one", true), Cancellation), Task.Run(() => ConsentAsync(driver, caseId, "key:one", true), Cancellation));

        Assert.Equal(new[] { ReleaseOutcome.AwaitsSecond, ReleaseOutcome.SamePrincipal }.Order(), outcomes.Order());
        Assert.Single((await driver.GetAsync(caseId)).Consents);
        Assert.Empty(driver.Sandbox.Directory["E1002"].Mutations);
    }

    [Fact]
    public async Task A_held_leaver_who_stays_after_all_is_cancelled_and_one_whose_date_moves_waits_for_it()
    {
        await using var driver = await WithAsync(count: 1);
        await LeaveAsync(driver, 3);

        await driver.HearAsync(Leaver.Of(PersonEventKind.TerminationCancelled, "E1002"));
        var date = OffboardingDriver.Start.AddDays(3);
        await driver.HearAsync(Leaver.Terminated("E1003") with { Immediate = false, EffectiveAt = date, OccurredAt = OffboardingDriver.Start.AddMinutes(1) });
        await driver.SettleAsync();

        Assert.Equal(CaseState.Cancelled, (await driver.OnlyCaseAsync("E1002")).State);
        var moved = await driver.OnlyCaseAsync("E1003");
        Assert.Equal((CaseState.Scheduled, date), (moved.State, moved.ScheduledFor));
        driver.Time.Advance(TimeSpan.FromDays(3));
        await driver.SweepAsync();
        await driver.SettleAsync();
        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1003")).State);
    }

    [Fact]
    public async Task A_leave_of_many_that_is_known_beforehand_can_be_released_beforehand()
    {
        await using var driver = await WithAsync(count: 1);
        var date = OffboardingDriver.Start.AddDays(3);
        foreach (var who in (string[])["E1001", "E1002", "E1003"])
        {
            await driver.HearAsync(Leaver.Terminated(who) with { Immediate = false, EffectiveAt = date });
            var caseId = (await driver.OnlyCaseAsync(who)).CaseId;
            await ConsentAsync(driver, caseId, "key:one", false);
            Assert.Equal(ReleaseOutcome.Released, await ConsentAsync(driver, caseId, "key:two", true));
        }

        await driver.SettleAsync();
        Assert.Empty(driver.Sandbox.Directory["E1001"].Mutations);
        driver.Time.Advance(TimeSpan.FromDays(3));
        await driver.SweepAsync();
        await driver.SettleAsync();
        Assert.All(await StatesAsync(driver, 3), s => Assert.Equal(CaseState.Verified, s));
    }

    [Fact]
    public async Task A_clock_that_is_set_back_does_not_keep_the_brake_on()
    {
        await using var driver = await WithAsync(count: 1);
        driver.Time.Advance(TimeSpan.FromDays(1));
        Assert.True((await driver.Get<MassLeaverBrake>().JudgeAsync(Case(driver), Cancellation)).Admitted);
        var brake = new MassLeaverBrake(
            driver.Store, new() { Count = 1 }, driver.Get<RosterStore>(), driver.Get<IAlertSender>(), new Microsoft.Extensions.Time.Testing.FakeTimeProvider(OffboardingDriver.Start),
            Microsoft.Extensions.Logging.Abstractions.NullLogger<MassLeaverBrake>.Instance);

        Assert.False((await brake.JudgeAsync(Case(driver), Cancellation)).Admitted);
        brake.Dispose();
    }

    [Fact]
    public async Task Held_leavers_whose_clock_runs_out_are_told_together_and_each_case_says_so()
    {
        await using var driver = await WithAsync(count: 1);
        await LeaveAsync(driver, 4);
        driver.Time.Advance(TimeSpan.FromMinutes(16));
        await driver.SweepAsync();
        await driver.SweepAsync();

        Assert.Single(driver.Alerts, a => a.Type == "offboarding.held_overdue");
        Assert.DoesNotContain(driver.Alerts, a => a.Type == "offboarding.overdue");
        Assert.NotNull((await driver.OnlyCaseAsync("E1003")).OverdueAt);
    }

    private static OffboardingCase Case(OffboardingDriver driver) => new()
    {
        CaseId = CaseId.New(driver.Time.GetUtcNow()),
        State = CaseState.Running,
        ReceivedAt = driver.Time.GetUtcNow(),
        DueAt = driver.Time.GetUtcNow(),
        Signals = [new() { DeliveryId = "d", Source = "hr/acme", Kind = PersonEventKind.Terminated, ReceivedAt = driver.Time.GetUtcNow() }],
    };

    private static Task<OffboardingDriver> WithAsync(int count, int percent = 0) => OffboardingDriver.StartAsync(new()
    {
        ["Offboarding:Brake:Count"] = count.ToString(System.Globalization.CultureInfo.InvariantCulture),
        ["Offboarding:Brake:Percent"] = percent.ToString(System.Globalization.CultureInfo.InvariantCulture),
    });

    private static async Task LeaveAsync(OffboardingDriver driver, int people)
    {
        for (var i = 1; i <= people; i++)
        {
            await driver.HearAsync(Leaver.Terminated($"E10{i:00}"));
        }

        await driver.SettleAsync();
    }

    private static async Task<List<CaseState>> StatesAsync(OffboardingDriver driver, int people)
    {
        var states = new List<CaseState>();
        for (var i = 1; i <= people; i++)
        {
            states.Add((await driver.OnlyCaseAsync($"E10{i:00}")).State);
        }

        return states;
    }

    private static async Task<ReleaseOutcome> ConsentAsync(OffboardingDriver driver, string caseId, string by, bool mayApprove)
    {
        var found = await driver.Get<CaseStore>().FindAsync(caseId, Cancellation);
        return (await driver.Get<QuarantineRelease>().ConsentAsync(found!, new(driver.Time.GetUtcNow(), by, mayApprove, "looked at them"), Cancellation)).Outcome;
    }
}
