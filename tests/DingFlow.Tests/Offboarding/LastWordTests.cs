using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>The last word counts, also when it comes after the freeze, while people are looked up, or from a clock that is wrong.</summary>
public sealed class LastWordTests
{
    private static readonly DateTimeOffset Later = OffboardingDriver.Start.AddDays(20);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_live_leave_that_is_set_aside_is_told()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Of(PersonEventKind.Rehired, "E1001", OffboardingDriver.Start));
        await driver.HearAsync(Leaver.Terminated("E1001") with { OccurredAt = OffboardingDriver.Start.AddMinutes(-5) });

        Assert.Equal(CaseState.Cancelled, (await driver.OnlyCaseAsync("E1001")).State);
        Assert.Single(driver.Alerts, a => a.Type == "offboarding.set_aside");
    }

    [Fact]
    public async Task A_termination_that_is_dated_ahead_can_be_called_off_today()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1019") with { OccurredAt = Later, Immediate = false, EffectiveAt = Later });
        driver.Time.Advance(TimeSpan.FromMinutes(30));
        await driver.HearAsync(Leaver.Of(PersonEventKind.TerminationCancelled, "E1019", driver.Time.GetUtcNow()));

        Assert.Equal(CaseState.Cancelled, (await driver.OnlyCaseAsync("E1019")).State);
    }

    [Fact]
    public async Task A_return_that_is_dated_ahead_does_not_void_every_leave_until_then()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Of(PersonEventKind.Rehired, "E1016", OffboardingDriver.Start.AddYears(1)));
        driver.Time.Advance(TimeSpan.FromHours(1));
        await driver.HearAsync(Leaver.Terminated("E1016") with { OccurredAt = driver.Time.GetUtcNow() });
        await driver.SettleAsync();

        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1016")).State);
    }

    [Fact]
    public async Task A_call_off_that_is_older_than_the_termination_is_set_aside_and_on_the_case()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1016"));
        await driver.HearAsync(Leaver.Of(PersonEventKind.TerminationCancelled, "E1016", OffboardingDriver.Start.AddHours(-1)), "old");
        await driver.HearAsync(Leaver.Of(PersonEventKind.TerminationCancelled, "E1016", OffboardingDriver.Start.AddHours(-1)), "old");
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1016");
        Assert.Equal((CaseState.Verified, 2), (c.State, c.Signals.Count));
    }

    [Fact]
    public async Task A_date_that_moves_ahead_after_the_freeze_asks_for_the_accounts_back_and_waits_in_a_case_of_its_own()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1016"));
        await driver.SettleAsync();
        driver.Time.Advance(TimeSpan.FromDays(2)); // Past the time within which words join the case.
        var correction = Leaver.Terminated("E1016") with { OccurredAt = driver.Time.GetUtcNow(), Immediate = false, EffectiveAt = Later };
        await driver.HearAsync(correction, "correction");
        await driver.HearAsync(correction, "correction");
        await driver.SettleAsync();

        var cases = await driver.CasesAsync("E1016");
        Assert.Equal(2, cases.Count);
        var (waiting, frozen) = (cases[0], cases[1]);
        Assert.Equal((CaseState.Scheduled, Later), (waiting.State, waiting.ScheduledFor));
        Assert.Equal((CaseState.NeedsHuman, true), (frozen.State, frozen.Superseded));
        Assert.Contains("moved the leave to 2026-12-13", Assert.Single(frozen.Notes), StringComparison.Ordinal);
        Assert.Single(driver.Alerts, a => a.Type == "offboarding.needs_human" && a.About == frozen.CaseId);

        // The accounts come back, and go for good on the new date.
        var stored = (await driver.Get<CaseStore>().FindAsync(frozen.CaseId, Cancellation))!;
        await driver.Get<CaseRuns>().ScheduleAsync(stored, driver.Time.GetUtcNow(), "reactivation", c => CaseRestorer.Begin(c, "key:one", "HR moved the date", driver.Time.GetUtcNow())!, Cancellation);
        await driver.SettleAsync();
        Assert.Equal(CaseState.Reactivated, (await driver.GetAsync(frozen.CaseId)).State);
        Assert.True(driver.Sandbox.Directory["E1016"] is { DingTalk.Disabled: false, Entra.AccountEnabled: true });

        driver.Time.Advance(Later - driver.Time.GetUtcNow());
        await driver.SweepAsync();
        await driver.SettleAsync();
        Assert.Equal(CaseState.Verified, (await driver.GetAsync(waiting.CaseId)).State);
        Assert.True(driver.Sandbox.Directory["E1016"] is { DingTalk.Disabled: true, Entra.AccountEnabled: false });
    }

    [Fact]
    public async Task Another_sources_later_date_gives_nothing_back()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1016"));
        await driver.SettleAsync();
        await driver.HearAsync(Leaver.Terminated("E1016", "hr/other") with { Immediate = false, EffectiveAt = Later });
        await driver.SettleAsync();

        Assert.Equal((CaseState.Verified, 2), ((await driver.OnlyCaseAsync("E1016")).State, (await driver.OnlyCaseAsync("E1016")).Signals.Count));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_word_that_comes_while_the_person_is_looked_up_counts(bool calledOff)
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1016"));
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Latency, Operation = SandboxOperations.UserGet, Delay = TimeSpan.FromSeconds(1), Count = 1 }]);
        var run = driver.SettleAsync();
        while (!driver.Sandbox.Journal.Entries.Any(e => e.Operation == SandboxOperations.UserGet))
        {
            await Task.Yield();
        }

        var word = driver.Time.GetUtcNow().AddSeconds(30);
        await driver.HearAsync(calledOff
            ? Leaver.Of(PersonEventKind.Rehired, "E1016", word)
            : Leaver.Terminated("E1016") with { OccurredAt = word, Immediate = false, EffectiveAt = Later });
        driver.Time.Advance(TimeSpan.FromSeconds(1));
        await run;
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1016");
        Assert.Equal((calledOff ? CaseState.Cancelled : CaseState.Scheduled, null), (c.State, c.AdmittedAt));
        Assert.Equal(calledOff ? ["The person was rehired before anything was changed."] : [], c.Notes);
        Assert.Empty(driver.Sandbox.Directory["E1016"].Mutations);
    }

    [Fact]
    public async Task A_return_between_the_reopening_of_a_case_and_its_first_step_asks_for_the_accounts_back()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1016"));
        await driver.SettleAsync();
        var stored = (await driver.Get<CaseStore>().FindAsync((await driver.OnlyCaseAsync("E1016")).CaseId, Cancellation))!;
        await driver.Get<CaseStore>().UpdateAsync(
            stored, c => CaseConclusion.Reopen(c, [.. c.Accounts], driver.Time.GetUtcNow(), driver.Get<OffboardingOptions>()), Cancellation);

        await driver.HearAsync(Leaver.Of(PersonEventKind.Rehired, "E1016"));

        var c = await driver.OnlyCaseAsync("E1016");
        Assert.Equal((CaseState.NeedsHuman, true), (c.State, c.Superseded));
        Assert.NotNull(CaseRestorer.Begin(c, "key:one", "they stay", driver.Time.GetUtcNow()));
    }
}
