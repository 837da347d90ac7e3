using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>What a case took is remembered whatever happens to it later; what others took is not called its doing.</summary>
public sealed class UndoMemoryTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_was_taken_before_a_case_was_opened_again_and_failed_is_given_back()
    {
        await using var driver = await RichLeaver.StartAsync(
            """{"policy":"p","plans":[{"name":"a","steps":[{"step":"dingtalk.roles","critical":true,"continueOnError":false},{"step":"dingtalk.groups","critical":true,"groups":["cid-project"]}]}]}""");
        var before = driver.Sandbox.Directory[RichLeaver.Id];
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);

        driver.Sandbox.Directory.Change(RichLeaver.Id, p => p with { DingTalk = p.DingTalk! with { Disabled = false } });
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.UserGet }]);
        driver.Time.Advance(TimeSpan.FromMinutes(46));
        var failed = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Failed);
        var groups = RichLeaver.Step(failed, "dingtalk.groups");
        Assert.Equal(("dingtalk.roles", 0, true), (groups.BlockedBy, groups.Attempts, groups.MayHaveChanged));

        driver.Sandbox.Faults.Clear();
        await GiveBackAsync(driver);
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);
        var now = driver.Sandbox.Directory[RichLeaver.Id];
        Assert.Equal(before.DingTalk!.RoleIds.Order(), now.DingTalk!.RoleIds.Order());
        Assert.Equal(before.DingTalk.SceneGroups, now.DingTalk.SceneGroups);
        Assert.All(["dingtalk.roles", "dingtalk.groups"], id => Assert.Contains(c.Undo!.Steps, s => s.Id == id && s.Outcome == StepOutcome.Done));
    }

    [Fact]
    public async Task What_somebody_else_took_meanwhile_is_not_given_back()
    {
        await using var driver = await RichLeaver.StartAsync(
            """{"policy":"p","plans":[{"name":"a","steps":[{"step":"dingtalk.roles","critical":true}]}]}""");
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.ServerError, Operation = SandboxOperations.RemoveRoles, Count = 4 }]);
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        await driver.SettleAsync();
        Assert.Equal([11, 12], driver.Sandbox.Directory[RichLeaver.Id].DingTalk!.RoleIds);
        driver.Sandbox.Faults.Clear();
        driver.Sandbox.Directory.Change(RichLeaver.Id, p => p with { DingTalk = p.DingTalk! with { RoleIds = [11] } }); // An administrator takes the second.
        await RetryAsync(driver);
        var verified = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);
        Assert.Equal(
            [("11", ChangeState.Taken), ("12", ChangeState.Kept)],
            RichLeaver.Step(verified, "dingtalk.roles").Changes!.Where(c => c.Id is "11" or "12").Select(c => (c.Id, c.State)).Order());

        await GiveBackAsync(driver);
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);
        Assert.Equal([11], driver.Sandbox.Directory[RichLeaver.Id].DingTalk!.RoleIds);
    }

    [Fact]
    public async Task What_the_case_itself_disabled_is_no_state_from_before_it_when_nobody_could_read_that()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.Status, Count = 2 }]);
        await driver.HearAsync(Leaver.Terminated("E1016"));
        await driver.SettleAsync();
        Assert.True(driver.Sandbox.Directory["E1016"].DingTalk!.Disabled);
        await RetryAsync(driver, "E1016");
        await driver.PassUntilAsync("E1016", CaseState.Verified);

        await GiveBackAsync(driver, "E1016");
        await driver.PassUntilAsync("E1016", CaseState.Reactivated);

        Assert.True(driver.Sandbox.Directory["E1016"] is { DingTalk.Disabled: false, Entra.AccountEnabled: true });
    }

    [Fact]
    public async Task An_account_that_was_disabled_only_when_the_leave_was_announced_is_enabled_again()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Directory.Change("E1016", p => p with { Entra = p.Entra! with { AccountEnabled = false }, DingTalk = p.DingTalk! with { Disabled = true } });
        await driver.HearAsync(Leaver.Terminated("E1016") with { Immediate = false, EffectiveAt = OffboardingDriver.Start.AddDays(10) });
        await driver.SettleAsync();
        driver.Sandbox.Directory.Change("E1016", p => p with { Entra = p.Entra! with { AccountEnabled = true }, DingTalk = p.DingTalk! with { Disabled = false } });
        driver.Time.Advance(TimeSpan.FromDays(10));
        await driver.SweepAsync();
        await driver.PassUntilAsync("E1016", CaseState.Verified);

        await GiveBackAsync(driver, "E1016");
        await driver.PassUntilAsync("E1016", CaseState.Reactivated);
        Assert.True(driver.Sandbox.Directory["E1016"] is { DingTalk.Disabled: false, Entra.AccountEnabled: true });
    }

    [Theory]
    [InlineData("dingtalk.roles", StepOutcome.AlreadyDone, ReadBack.Confirmed)]
    [InlineData("dingtalk.approvals", StepOutcome.NeedsHuman, null)]
    [InlineData("entra.groups", StepOutcome.AlreadyDone, ReadBack.Confirmed)]
    [InlineData("entra.devices", StepOutcome.NeedsHuman, null)]
    [InlineData("entra.ownedObjects", StepOutcome.NeedsHuman, null)]
    public void An_account_that_is_gone_settles_only_what_went_with_it(string step, StepOutcome outcome, ReadBack? readBack)
    {
        var target = StepCatalogue.Find(step)!.Target;
        var account = new CaseAccount { Target = target, Tenant = target == FreezeTarget.DingTalk ? "sandbox" : null, AccountId = "a", Status = AccountStatus.Found };
        var c = new OffboardingCase
        {
            CaseId = "c", State = CaseState.Running, ReceivedAt = OffboardingDriver.Start, DueAt = OffboardingDriver.Start, Accounts = [account],
            Steps = [new() { Id = step, Target = target, Tenant = account.Tenant }],
        };

        var settled = Assert.Single(CaseConclusion.Settled(c, account with { Status = AccountStatus.Gone, Detail = "Gone." }, new()));

        Assert.Equal((outcome, readBack), (settled.Outcome!.Value, settled.ReadBack));
    }

    private static async Task GiveBackAsync(OffboardingDriver driver, string employeeId = RichLeaver.Id)
    {
        var stored = (await driver.Get<CaseStore>().FindAsync((await driver.OnlyCaseAsync(employeeId)).CaseId, Cancellation))!;
        await driver.Get<CaseRuns>().ScheduleAsync(stored, driver.Time.GetUtcNow(), "reactivation", c => CaseRestorer.Begin(c, "key:one", "a mistake", driver.Time.GetUtcNow())!, Cancellation);
    }

    private static async Task RetryAsync(OffboardingDriver driver, string employeeId = RichLeaver.Id)
    {
        var stored = (await driver.Get<CaseStore>().FindAsync((await driver.OnlyCaseAsync(employeeId)).CaseId, Cancellation))!;
        if (stored.Case.NeedsAttention)
        {
            await driver.Get<CaseRuns>().ScheduleAsync(stored, driver.Time.GetUtcNow(), "retry", CaseConclusion.TakenUp, Cancellation);
        }
    }
}
