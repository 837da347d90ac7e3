using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>What a plan takes away beyond the sign-in, what it leaves, and what the case says of it.</summary>
public sealed class AccessStepTests
{
    [Fact]
    public async Task Everything_that_a_person_holds_is_taken_away_written_down_and_read_back()
    {
        await using var driver = await RichLeaver.StartAsync();
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);

        Assert.Equal(("full", "everything"), (c.Plan!.Policy, c.Plan.Name));
        Assert.All(c.Steps, s => Assert.True(s.IsProved, $"{s.Id} {s.Outcome} {s.ReadBack} {s.Detail}"));
        Assert.All(c.Steps, s => Assert.Equal(StepOutcome.Done, s.Outcome));
        Assert.All(c.Steps.Where(s => s.Target == FreezeTarget.Entra), s => Assert.NotNull(s.RequestId));

        var person = driver.Sandbox.Directory[RichLeaver.Id];
        var (dingTalk, entra) = (person.DingTalk!, person.Entra!);
        Assert.Equal((SandboxAdministrator.None, 0, 0, 0, 0, true, true), (
            dingTalk.Administrator, dingTalk.RoleIds.Length, dingTalk.TrustedDevices.Length, dingTalk.SceneGroups.Length, dingTalk.Approvals.Length,
            dingTalk.PendingLeave, dingTalk.Disabled));
        Assert.Equal(["All staff", "Branch file share", "Newsletter", "Alumni"], entra.Groups);
        Assert.Equal((0, 0), (entra.DirectoryRoles.Length, entra.Owns.Length));
        Assert.Equal(["Intranet"], entra.AppRoles.Select(r => r.Application));
        Assert.Equal(["FLOW_FREE"], entra.Licenses.Select(l => l.Sku));
        Assert.Equal([false, false, true], entra.Devices.Select(d => d.Enabled));

        var manager = driver.Sandbox.Directory[RichLeaver.Manager];
        Assert.Equal(["inst-1", "inst-2"], manager.DingTalk!.Approvals.Select(a => a.InstanceId).Order());
        Assert.Equal(["group/Project X", "application/Expenses"], manager.Entra!.Owns);
    }

    [Fact]
    public async Task What_is_not_ours_is_listed_with_its_reason()
    {
        await using var driver = await RichLeaver.StartAsync();
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);

        var groups = RichLeaver.Step(c, "entra.groups").Changes!;
        Assert.Equal(
            [
                "All staff: the members follow a rule of the directory", "Alumni: the plan keeps it", "Branch file share: the group is mastered on-premises",
                "Newsletter: the list is managed in Exchange",
            ],
            groups.Where(g => g.State == ChangeState.Kept).Select(g => $"{g.Name}: {g.Note}").Order(StringComparer.Ordinal));
        Assert.Equal(["Helpdesk administrators", "VPN"], groups.Where(g => g.State == ChangeState.Taken).Select(g => g.Name).Order(StringComparer.Ordinal));
        Assert.Equal("it comes through a group", Assert.Single(RichLeaver.Step(c, "entra.licenses").Changes!, l => l.State == ChangeState.Kept).Note);
        Assert.Equal("it comes through a group", Assert.Single(RichLeaver.Step(c, "entra.appRoles").Changes!, l => l.State == ChangeState.Kept).Note);
        Assert.Equal("the device is mastered on-premises", Assert.Single(RichLeaver.Step(c, "entra.devices").Changes!, l => l.State == ChangeState.Kept).Note);
        Assert.Contains(c.Notes, n => n == "entra.groups: 1 left as they are, because the group is mastered on-premises.");
        Assert.All(RichLeaver.Step(c, "entra.devices").Changes!, d => Assert.Null(d.Name));
    }

    [Fact]
    public async Task Whatever_the_plan_says_disabling_and_signing_out_come_first()
    {
        await using var driver = await RichLeaver.StartAsync();
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);

        foreach (var (system, first) in ((SandboxSystem, string[])[])
            [(SandboxSystem.DingTalk, [SandboxOperations.Disable, SandboxOperations.SignOut]), (SandboxSystem.Graph, [SandboxOperations.GraphUpdate, SandboxOperations.GraphRevoke])])
        {
            var changed = driver.Sandbox.Journal.Entries.Where(e => e.Changed && e.System == system).Select(e => e.Operation).ToList();
            Assert.Equal(first, changed.Take(2));
            Assert.True(changed.Count > 6);
        }
    }

    [Theory]
    [InlineData(SandboxOperations.RemoveRoles, "dingtalk.roles")]
    [InlineData("trustedDevices.remove", "dingtalk.trustedDevices")]
    [InlineData("sceneGroup.member.delete", "dingtalk.groups")]
    [InlineData("workflow.redirect", "dingtalk.approvals")]
    [InlineData("hrm.pendingDismission.start", "dingtalk.hrPendingLeave")]
    [InlineData("managementGroups.update", "dingtalk.admin")]
    [InlineData(SandboxOperations.GraphRemoveMember, "entra.groups")]
    [InlineData("roleAssignments.delete", "entra.directoryRoles")]
    [InlineData("appRoleAssignments.delete", "entra.appRoles")]
    [InlineData(SandboxOperations.GraphAssignLicense, "entra.licenses")]
    [InlineData("devices.update", "entra.devices")]
    [InlineData("owners.remove", "entra.ownedObjects")]
    public async Task A_step_that_is_accepted_without_effect_is_not_believed_and_a_lost_answer_is_settled_by_reading(string operation, string step)
    {
        await using (var driver = await RichLeaver.StartAsync())
        {
            driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.DoNothing, Operation = operation });
            await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
            await driver.SettleAsync();

            var c = await driver.OnlyCaseAsync(RichLeaver.Id);
            Assert.Equal((CaseState.Running, ReadBack.Contradicted), (c.State, RichLeaver.Step(c, step).ReadBack));
            driver.Sandbox.Faults.Clear();
            await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);
        }

        await using (var driver = await RichLeaver.StartAsync())
        {
            driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.LostAfter, Operation = operation, Count = 1 });
            await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));

            var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);
            Assert.Equal(StepOutcome.Done, RichLeaver.Step(c, step).Outcome);
            Assert.DoesNotContain(RichLeaver.Step(c, step).Changes!, change => change.State == ChangeState.Planned);
        }
    }

    [Fact]
    public async Task A_step_that_is_not_critical_is_noted_and_delays_nothing()
    {
        await using var driver = await RichLeaver.StartAsync(
            """{"policy":"p","plans":[{"name":"a","steps":[{"step":"entra.groups","maxAttempts":2},{"step":"entra.devices","critical":true}]}]}""");
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.GraphRemoveMember });

        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);

        Assert.Equal(StepOutcome.Failed, RichLeaver.Step(c, "entra.groups").Outcome);
        Assert.True(RichLeaver.Step(c, "entra.devices").IsProved);
        Assert.Contains(c.Notes, n => n.Contains("GroupMember.ReadWrite.All", StringComparison.Ordinal) && n.StartsWith("Not done, and not critical by the plan: entra.groups", StringComparison.Ordinal));
    }

    [Fact]
    public async Task After_a_step_without_continueOnError_nothing_goes_on_and_a_critical_one_that_was_blocked_fails_the_case()
    {
        await using var driver = await RichLeaver.StartAsync(
            """{"policy":"p","plans":[{"name":"a","steps":[{"step":"entra.groups","continueOnError":false},{"step":"entra.devices","critical":true}]}]}""");
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.GraphRemoveMember });

        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Failed);

        Assert.Equal(("entra.groups", StepOutcome.Skipped), (RichLeaver.Step(c, "entra.devices").BlockedBy, RichLeaver.Step(c, "entra.devices").Outcome));
        Assert.All(c.Steps.Where(s => StepCatalogue.Freezes(s.Id)), s => Assert.True(s.IsProved));
        Assert.Equal([true, false, true], driver.Sandbox.Directory[RichLeaver.Id].Entra!.Devices.Select(d => d.Enabled));

        driver.Sandbox.Faults.Clear();
        var stored = (await driver.Get<CaseStore>().FindAsync(c.CaseId, TestContext.Current.CancellationToken))!;
        await driver.Get<CaseRuns>().ScheduleAsync(stored, driver.Time.GetUtcNow(), "test", CaseConclusion.TakenUp, TestContext.Current.CancellationToken);
        c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);
        Assert.Null(RichLeaver.Step(c, "entra.devices").BlockedBy);
    }

    [Fact]
    public async Task A_remote_that_takes_longer_than_the_plan_gives_it_is_asked_again()
    {
        await using var driver = await RichLeaver.StartAsync(
            """{"policy":"p","plans":[{"name":"a","steps":[{"step":"entra.devices","timeout":"00:00:05","critical":true}]}]}""");
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Hang, Operation = "devices.update", Count = 1 });

        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        var settling = driver.SettleAsync();
        while (!driver.Sandbox.Journal.Entries.Any(e => e.Operation == "devices.update"))
        {
            await Task.Yield();
        }

        driver.Time.Advance(TimeSpan.FromSeconds(6));
        await settling;

        var c = await driver.OnlyCaseAsync(RichLeaver.Id);
        Assert.Equal((StepOutcome.RetryLater, "It took longer than the 00:00:05 that the plan gives it."), (RichLeaver.Step(c, "entra.devices").Outcome, RichLeaver.Step(c, "entra.devices").Detail));
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);
    }

    [Fact]
    public async Task An_administrator_by_no_known_group_and_work_without_an_heir_need_a_person()
    {
        await using var driver = await RichLeaver.StartAsync();
        driver.Sandbox.Directory.Change(RichLeaver.Id, p => p with
        {
            DingTalk = p.DingTalk! with { ManagementGroups = [], ManagerUserId = null },
            Entra = p.Entra! with { ManagerId = null },
        });

        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.NeedsHuman);

        Assert.Equal(
            ["dingtalk.admin", "dingtalk.approvals", "entra.ownedObjects"], c.Steps.Where(s => s.Outcome == StepOutcome.NeedsHuman).Select(s => s.Id).Order());
        Assert.All(c.Steps.Where(s => StepCatalogue.Freezes(s.Id)), s => Assert.True(s.IsProved));
        Assert.Equal(2, driver.Sandbox.Directory[RichLeaver.Id].Entra!.Owns.Length);
        Assert.Equal(
            "it follows from being an administrator or a head of department",
            Assert.Single(RichLeaver.Step(c, "dingtalk.roles").Changes!, l => l.State == ChangeState.Kept).Note);
    }

    [Fact]
    public async Task An_ordinary_account_that_is_removed_takes_its_rights_with_it()
    {
        await using var driver = await OffboardingDriver.StartAsync(new()
        {
            ["Offboarding:OrdinaryAccounts"] = "remove",
            ["Offboarding:Plan"] = """{"policy":"p","plans":[{"name":"a","steps":[{"step":"dingtalk.roles","critical":true}]}]}""",
        });

        await driver.HearAsync(Leaver.Terminated("E1022"));
        var c = await driver.PassUntilAsync("E1022", CaseState.Verified);

        Assert.Equal((StepOutcome.AlreadyDone, ReadBack.Confirmed), (RichLeaver.Step(c, "dingtalk.roles").Outcome, RichLeaver.Step(c, "dingtalk.roles").ReadBack));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Wherever_the_process_dies_everything_is_taken_once_and_written_down(bool loseAnswer)
    {
        for (var operations = 1; ; operations++)
        {
            await using var driver = await RichLeaver.StartAsync(inMemory: true);
            driver.Store.DieAfter(operations, loseAnswer);
            var survived = await TryAsync(driver);
            if (!survived)
            {
                driver.CrashAndRestart();
                await driver.HearAsync(Leaver.Terminated(RichLeaver.Id), "delivery");
                driver.Time.Advance(TimeSpan.FromMinutes(3));
                await driver.SweepAsync();
            }

            driver.Store.Heal();
            var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);
            Assert.All(c.Steps, s => Assert.Equal((s.Id, StepOutcome.Done), (s.Id, s.Outcome)));
            Assert.Equal(2, RichLeaver.Step(c, "entra.groups").Changes!.Count(g => g.State == ChangeState.Taken));
            Assert.Equal(2, RichLeaver.Step(c, "dingtalk.approvals").Changes!.Count(g => g.State == ChangeState.Taken));
            var mutations = driver.Sandbox.Directory[RichLeaver.Id].Mutations;
            Assert.Equal((2, 1, 2), (mutations[SandboxOperations.GraphRemoveMember], mutations["roleAssignments.delete"], mutations["workflow.redirect"]));
            if (survived)
            {
                Assert.True(operations > 100, $"only {operations} points of death");
                return;
            }
        }

        static async Task<bool> TryAsync(OffboardingDriver driver)
        {
            try
            {
                await driver.HearAsync(Leaver.Terminated(RichLeaver.Id), "delivery");
                await driver.SettleAsync();
                return true;
            }
            catch (DingFlow.Storage.EntityStoreException)
            {
                return false;
            }
        }
    }
}
