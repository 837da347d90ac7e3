using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>What a case says and does when a remote misbehaves. No fault may end in a case that says more than is true.</summary>
public sealed class RemoteFaultTests
{
    [Theory]
    [InlineData(SandboxFaultKind.ServerError)]
    [InlineData(SandboxFaultKind.Unavailable)]
    [InlineData(SandboxFaultKind.Throttled)]
    [InlineData(SandboxFaultKind.LostBefore)]
    [InlineData(SandboxFaultKind.MalformedJson)]
    [InlineData(SandboxFaultKind.Unauthenticated)]
    public async Task A_passing_fault_of_any_call_delays_the_case_and_nothing_is_lost(SandboxFaultKind kind)
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = kind, EmployeeId = "E1001", Count = 1 });
        driver.Sandbox.Faults.Add(new() { Kind = kind, Operation = SandboxOperations.Disable, Count = 1 });
        driver.Sandbox.Faults.Add(new() { Kind = kind, Operation = SandboxOperations.GraphUpdate, Count = 1 });

        await driver.HearAsync(Leaver.Terminated("E1001"));
        var c = await driver.PassUntilAsync("E1001", CaseState.Verified);

        Assert.All(c.Steps, s => Assert.True(s.IsProved));
        AssertFrozen(driver, "E1001");
    }

    [Theory]
    [InlineData(SandboxOperations.Disable)]
    [InlineData(SandboxOperations.SignOut)]
    [InlineData(SandboxOperations.GraphUpdate)]
    [InlineData(SandboxOperations.GraphRevoke)]
    public async Task A_lost_answer_is_settled_by_reading_and_what_was_done_is_done_by_this_case(string operation)
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.LostAfter, Operation = operation, Count = 1 });

        await driver.HearAsync(Leaver.Terminated("E1001"));
        var c = await driver.PassUntilAsync("E1001", CaseState.Verified);

        Assert.All(c.Steps, s => Assert.Equal(StepOutcome.Done, s.Outcome));
        AssertFrozen(driver, "E1001");
    }

    [Theory]
    [InlineData(SandboxOperations.Disable, "dingtalk.disable")]
    [InlineData(SandboxOperations.GraphUpdate, "entra.disable")]
    [InlineData(SandboxOperations.GraphRevoke, "entra.revokeSessions")]
    public async Task A_remote_that_says_yes_and_does_nothing_is_not_believed(string operation, string step)
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.DoNothing, Operation = operation });

        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Running, c.State);
        Assert.Equal(ReadBack.Contradicted, c.Steps.Single(s => s.Id == step).ReadBack);

        c = await driver.PassUntilAsync("E1001", CaseState.Failed);
        Assert.Null(c.VerifiedAt);
        Assert.Equal(StepOutcome.Failed, c.Steps.Single(s => s.Id == step).Outcome);
        Assert.Contains(driver.Alerts, a => a.Type == "offboarding.failed");
    }

    [Fact]
    public async Task Trouble_with_one_system_does_not_delay_the_other()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Unavailable, System = SandboxSystem.DingTalk });

        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Running, c.State);
        Assert.All(c.Steps.Where(s => s.Target == FreezeTarget.Entra), s => Assert.True(s.IsProved));
        Assert.False(driver.Sandbox.Directory["E1001"].Entra!.AccountEnabled);

        driver.Sandbox.Faults.Clear();
        await driver.PassUntilAsync("E1001", CaseState.Verified);
    }

    [Fact]
    public async Task A_missing_permission_is_a_fault_of_ours_and_names_the_scope()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new()
        {
            Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.Disable, Scopes = ["Contact.OrgAccountSecurity.ReadWrite"],
        });

        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        var c = await driver.PassUntilAsync("E1001", CaseState.Failed, messages: 1);
        Assert.Contains(c.Notes, n => n.Contains("Contact.OrgAccountSecurity.ReadWrite", StringComparison.Ordinal));
        Assert.All(c.Steps.Where(s => s.Target == FreezeTarget.Entra), s => Assert.True(s.IsProved));
        Assert.Contains(driver.Alerts, a => a.Type == "offboarding.failed");
    }

    [Fact]
    public async Task A_person_outside_the_apps_scope_is_a_fault_of_ours_and_not_gone()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.OutOfScope, Operation = SandboxOperations.UserGet });

        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Failed, c.State);
        Assert.Equal(AccountStatus.Denied, c.Accounts.Single(a => a.Target == FreezeTarget.DingTalk).Status);
    }

    [Fact]
    public async Task After_the_cause_is_mended_an_operator_has_the_case_taken_up_again()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.Disable });
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        driver.Sandbox.Faults.Clear();
        var failed = await driver.OnlyCaseAsync("E1001");

        var stored = await driver.Get<CaseStore>().FindAsync(failed.CaseId, TestContext.Current.CancellationToken);
        await driver.Get<CaseRuns>().ScheduleAsync(
            stored!, driver.Time.GetUtcNow(), "retry", CaseConclusion.TakenUp, TestContext.Current.CancellationToken);
        await driver.SettleAsync();

        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1001")).State);
    }

    [Fact]
    public async Task A_remote_that_stays_down_fails_the_case_after_the_last_attempt_and_people_hear_of_it_in_time()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Unavailable, System = SandboxSystem.Graph });
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        driver.Time.Advance(TimeSpan.FromMinutes(15));
        await driver.SweepAsync();
        Assert.Equal("offboarding.overdue", Assert.Single(driver.Alerts).Type);
        await driver.SweepAsync();
        Assert.Single(driver.Alerts);

        driver.Time.Advance(TimeSpan.FromDays(1));
        await driver.SettleAsync();
        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Failed, c.State);
        Assert.NotNull(c.OverdueAt);
        Assert.Contains(driver.Alerts, a => a.Type == "offboarding.failed");
    }

    [Fact]
    public async Task A_wait_that_the_remote_asks_for_is_kept()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new()
        {
            Kind = SandboxFaultKind.Throttled, Operation = SandboxOperations.GraphUpdate, RetryAfter = TimeSpan.FromMinutes(2),
        });

        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.True(c.NextAttemptAt >= driver.Time.GetUtcNow() + TimeSpan.FromMinutes(2));
        driver.Sandbox.Faults.Clear();
        await driver.PassUntilAsync("E1001", CaseState.Verified);
    }

    [Fact]
    public async Task A_user_that_disappears_between_look_up_and_step_is_looked_up_again()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Unavailable, Operation = SandboxOperations.Disable });
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        driver.Sandbox.Faults.Clear();
        driver.Sandbox.Directory.Change("E1001", p => p with { DingTalk = p.DingTalk! with { Member = false } });

        var c = await driver.PassUntilAsync("E1001", CaseState.Verified);

        Assert.Equal(AccountStatus.Gone, c.Accounts.Single(a => a.Target == FreezeTarget.DingTalk).Status);
    }

    private static void AssertFrozen(OffboardingDriver driver, string employeeId)
    {
        var person = driver.Sandbox.Directory[employeeId];
        Assert.True(person.DingTalk!.Disabled);
        Assert.Equal(0, person.DingTalk.Sessions);
        Assert.False(person.Entra!.AccountEnabled);
        Assert.Equal(0, person.Entra.Sessions);
    }
}
