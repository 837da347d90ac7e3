using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>What was taken is given back, read back, and what cannot be is listed.</summary>
public sealed class ReactivateTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Everything_that_can_be_given_back_is_and_the_rest_is_listed()
    {
        await using var driver = await RichLeaver.StartAsync();
        var before = driver.Sandbox.Directory[RichLeaver.Id];
        await FreezeAsync(driver);

        await BeginAsync(driver);
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);

        AssertGivenBack(before, driver.Sandbox.Directory[RichLeaver.Id]);
        Assert.NotNull(c.Undo!.CompletedAt);
        Assert.Equal(
            ["dingtalk.approvals (sandbox): Approvals that were handed over stay with the person who has them now.", "dingtalk.trustedDevices (sandbox): The person registers the devices anew."],
            c.Undo.NotRestored.Order());
        Assert.Equal(c.Undo.NotRestored, c.Notes);
        Assert.All(
            c.Undo.Steps.Where(s => s.Outcome is StepOutcome.Done or StepOutcome.AlreadyDone), s => Assert.Equal((s.Id, ReadBack.Confirmed), (s.Id, s.ReadBack)));
        Assert.True(c.Superseded);
        await driver.PassAsync(TimeSpan.FromHours(2));
        Assert.Equal(CaseState.Reactivated, (await driver.OnlyCaseAsync(RichLeaver.Id)).State);
        Assert.True(driver.Sandbox.Directory[RichLeaver.Id].Entra!.AccountEnabled);
    }

    [Fact]
    public async Task Each_attempt_to_give_something_back_is_in_the_audit_trail_and_so_is_what_came_of_it()
    {
        await using var driver = await RichLeaver.StartAsync();
        await FreezeAsync(driver);
        Assert.DoesNotContain(driver.Trail.Events, static one => one.Details.GetValueOrDefault("step")?.StartsWith("undo.", StringComparison.Ordinal) == true);

        await BeginAsync(driver);
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);

        var told = driver.Trail.Events.Where(static one => one.Details.GetValueOrDefault("step")?.StartsWith("undo.", StringComparison.Ordinal) == true).ToList();
        foreach (var step in c.Undo!.Steps)
        {
            var ofStep = told.Where(one => one.Details["step"] == "undo." + step.Id && one.Details.GetValueOrDefault("tenant") == step.Tenant).ToList();
            Assert.Equal(step.Attempts, ofStep.Count(static one => one.Kind.Name == "offboarding.step_tried"));
            var ended = ofStep.Last(static one => one.Kind.Name == "offboarding.step_ended");
            Assert.Equal(step.Outcome.ToString(), ended.Details["outcome"], ignoreCase: true);
            Assert.True(ended.Details.ContainsKey("account"));
            Assert.Equal(c.CaseId, ended.CaseId);
        }
    }

    [Fact]
    public async Task Rights_come_back_before_the_sign_in()
    {
        await using var driver = await RichLeaver.StartAsync();
        await FreezeAsync(driver);
        var seen = driver.Sandbox.Journal.Entries.Length;

        await BeginAsync(driver);
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);

        var changes = driver.Sandbox.Journal.Entries.Skip(seen).Where(e => e.Changed).ToList();
        Assert.Equal(SandboxOperations.Enable, changes.Last(e => e.System == SandboxSystem.DingTalk).Operation);
        Assert.Equal(SandboxOperations.GraphUpdate, changes.Last(e => e.System == SandboxSystem.Graph).Operation);
    }

    [Fact]
    public async Task An_account_that_was_disabled_before_the_case_stays_disabled()
    {
        await using var driver = await RichLeaver.StartAsync();
        driver.Sandbox.Directory.Change(RichLeaver.Id, p => p with { Entra = p.Entra! with { AccountEnabled = false } });
        await FreezeAsync(driver);

        await BeginAsync(driver);
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);

        Assert.False(driver.Sandbox.Directory[RichLeaver.Id].Entra!.AccountEnabled);
        Assert.False(driver.Sandbox.Directory[RichLeaver.Id].DingTalk!.Disabled);
        Assert.Equal(StepOutcome.Skipped, c.Undo!.Steps.Single(s => s.Id == "entra.disable").Outcome);
    }

    [Fact]
    public async Task Somebody_who_was_removed_must_be_invited_by_a_person()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:OrdinaryAccounts"] = "remove" });
        await driver.HearAsync(Leaver.Terminated("E1022"));
        await driver.PassUntilAsync("E1022", CaseState.Verified);

        await BeginAsync(driver, "E1022");
        var c = await driver.PassUntilAsync("E1022", CaseState.NeedsHuman);

        Assert.True(driver.Sandbox.Directory["E1022"].Entra!.AccountEnabled);
        Assert.Equal(["dingtalk.remove (sandbox): The person must be invited to the organisation anew; DingTalk does not restore members."], c.Undo!.NotRestored);
        Assert.Contains(driver.Alerts, a => a.Type == "offboarding.needs_human");
    }

    [Theory]
    [InlineData(SandboxFaultKind.ServerError)]
    [InlineData(SandboxFaultKind.Throttled)]
    [InlineData(SandboxFaultKind.LostBefore)]
    [InlineData(SandboxFaultKind.LostAfter)]
    [InlineData(SandboxFaultKind.MalformedJson)]
    [InlineData(SandboxFaultKind.DoNothing)]
    [InlineData(SandboxFaultKind.Unavailable)]
    public async Task A_passing_fault_of_any_call_delays_and_loses_nothing(SandboxFaultKind kind)
    {
        await using var driver = await RichLeaver.StartAsync();
        var before = driver.Sandbox.Directory[RichLeaver.Id];
        await FreezeAsync(driver);
        foreach (var operation in (string[])
            [
                SandboxOperations.Enable, SandboxOperations.GraphUpdate, "role.addrolesforemps", "sceneGroup.member.add", "hrm.pendingDismission.revoke",
                "managementGroups.update", SandboxOperations.GraphAddMember, "roleAssignments.create", "appRoleAssignments.create", SandboxOperations.GraphAssignLicense,
                "devices.update", "owners.add",
            ])
        {
            driver.Sandbox.Faults.Add(new() { Kind = kind, Operation = operation, Count = 1 });
        }

        await BeginAsync(driver);
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);

        AssertGivenBack(before, driver.Sandbox.Directory[RichLeaver.Id]);
    }

    [Fact]
    public async Task What_stays_refused_is_listed_and_does_not_keep_the_person_out()
    {
        await using var driver = await RichLeaver.StartAsync();
        await FreezeAsync(driver);
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.GraphAssignLicense });
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.ServerError, Operation = SandboxOperations.GraphAddMember });

        await BeginAsync(driver);
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);

        Assert.True(driver.Sandbox.Directory[RichLeaver.Id].Entra!.AccountEnabled);
        Assert.Contains(c.Undo!.NotRestored, n => n.StartsWith("entra.licenses", StringComparison.Ordinal) && n.Contains("LicenseAssignment.ReadWrite.All", StringComparison.Ordinal));
        Assert.Contains(c.Undo.NotRestored, n => n.StartsWith("entra.groups", StringComparison.Ordinal));
        Assert.All(c.Undo.Steps.Single(s => s.Id == "entra.groups").Changes!, g => Assert.Equal(ChangeState.NotGivenBack, g.State));
    }

    [Fact]
    public async Task Where_the_sign_in_cannot_be_given_back_a_person_is_asked_and_a_retry_goes_on_giving_back()
    {
        await using var driver = await RichLeaver.StartAsync();
        await FreezeAsync(driver);
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.Enable });

        await BeginAsync(driver);
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.NeedsHuman);
        Assert.Contains(c.Notes, n => n.Contains("Contact.OrgAccountSecurity.ReadWrite", StringComparison.Ordinal));

        driver.Sandbox.Faults.Clear();
        var stored = (await driver.Get<CaseStore>().FindAsync(c.CaseId, Cancellation))!;
        await driver.Get<CaseRuns>().ScheduleAsync(stored, driver.Time.GetUtcNow(), "retry", CaseConclusion.TakenUp, Cancellation);
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);
        Assert.False(driver.Sandbox.Directory[RichLeaver.Id].DingTalk!.Disabled);
    }

    [Fact]
    public async Task A_new_termination_while_giving_back_opens_a_new_case_that_has_the_last_word()
    {
        await using var driver = await RichLeaver.StartAsync();
        await FreezeAsync(driver);
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.ServerError, Operation = SandboxOperations.Enable, Count = 4 });
        var first = await BeginAsync(driver);
        await driver.HandleNextAsync();
        driver.Time.Advance(TimeSpan.FromSeconds(1));

        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id) with { OccurredAt = driver.Time.GetUtcNow() });
        for (var i = 0; i < 12; i++)
        {
            await driver.SettleAsync();
            driver.Time.Advance(TimeSpan.FromMinutes(10));
        }

        var cases = await driver.CasesAsync(RichLeaver.Id);
        Assert.Equal(2, cases.Count);
        Assert.Equal(CaseState.Cancelled, cases.Single(c => c.CaseId == first).State);
        Assert.Equal(CaseState.Verified, cases.Single(c => c.CaseId != first).State);
        var person = driver.Sandbox.Directory[RichLeaver.Id];
        Assert.True(person.DingTalk!.Disabled);
        Assert.False(person.Entra!.AccountEnabled);
    }

    [Fact]
    public async Task Only_a_case_that_changed_something_gives_back_and_only_once()
    {
        await using var driver = await RichLeaver.StartAsync();
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        Assert.Null(CaseRestorer.Begin(await driver.OnlyCaseAsync(RichLeaver.Id), "ops", "mistake", driver.Time.GetUtcNow()));
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);

        await BeginAsync(driver);
        Assert.Null(CaseRestorer.Begin(await driver.OnlyCaseAsync(RichLeaver.Id), "ops", "again", driver.Time.GetUtcNow()));
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);
        Assert.Null(CaseRestorer.Begin(c, "ops", "again", driver.Time.GetUtcNow()));
    }

    [Fact]
    public async Task Giving_back_that_an_operator_ended_may_begin_anew()
    {
        await using var driver = await RichLeaver.StartAsync();
        var before = driver.Sandbox.Directory[RichLeaver.Id];
        await FreezeAsync(driver);
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Unavailable, Operation = SandboxOperations.Enable });
        await BeginAsync(driver);
        await driver.HandleNextAsync();
        var cases = driver.Get<CaseStore>();
        var stored = (await cases.FindAsync((await driver.OnlyCaseAsync(RichLeaver.Id)).CaseId, Cancellation))!;
        await cases.UpdateAsync(stored, c => c with { State = CaseState.Cancelled, NextAttemptAt = null }, Cancellation);
        await driver.PassAsync(TimeSpan.FromHours(1));
        Assert.True(driver.Sandbox.Directory[RichLeaver.Id].DingTalk!.Disabled);

        driver.Sandbox.Faults.Clear();
        await BeginAsync(driver);
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);

        AssertGivenBack(before, driver.Sandbox.Directory[RichLeaver.Id]);
    }

    [Fact]
    public async Task After_a_rehire_the_case_that_waits_for_people_gives_back()
    {
        await using var driver = await RichLeaver.StartAsync();
        await FreezeAsync(driver);
        await driver.HearAsync(Leaver.Of(PersonEventKind.Rehired, RichLeaver.Id));
        Assert.Equal(CaseState.NeedsHuman, (await driver.OnlyCaseAsync(RichLeaver.Id)).State);

        await BeginAsync(driver);
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Wherever_the_process_dies_everything_is_given_back_once(bool loseAnswer)
    {
        var died = 0;
        for (var operations = 1; ; operations++)
        {
            await using var driver = await RichLeaver.StartAsync(
                """{"policy":"p","plans":[{"name":"a","steps":[{"step":"dingtalk.roles"},{"step":"entra.groups"},{"step":"entra.licenses"}]}]}""");
            var before = driver.Sandbox.Directory[RichLeaver.Id];
            await FreezeAsync(driver);
            driver.Store.DieAfter(operations, loseAnswer);
            var survived = await TryAsync(driver);
            driver.Store.Heal();
            if (!survived)
            {
                died++;
                driver.CrashAndRestart();

                // The operator, who got no answer, asks again; what was stored already refuses that, which is as good.
                await BeginAsync(driver);
            }

            driver.Time.Advance(TimeSpan.FromMinutes(3));
            await driver.SweepAsync();
            var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Reactivated);

            Assert.Equal((operations, 0), (operations, c.Undo!.NotRestored.Count));
            AssertGivenBack(before, driver.Sandbox.Directory[RichLeaver.Id], taken: false);
            var mutations = driver.Sandbox.Directory[RichLeaver.Id].Mutations;
            Assert.Equal((1, 2, 3), (mutations[SandboxOperations.Enable], mutations[SandboxOperations.GraphUpdate], mutations[SandboxOperations.GraphAddMember]));
            if (survived)
            {
                break;
            }
        }

        Assert.True(died > 12, $"only {died} points of death");

        static async Task<bool> TryAsync(OffboardingDriver driver)
        {
            try
            {
                await BeginAsync(driver);
                await driver.SettleAsync();
                return true;
            }
            catch (DingFlow.Storage.EntityStoreException)
            {
                return false;
            }
        }
    }

    private static async Task FreezeAsync(OffboardingDriver driver)
    {
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));
        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);
    }

    /// <summary>As the route does it.</summary>
    private static async Task<string> BeginAsync(OffboardingDriver driver, string employeeId = RichLeaver.Id)
    {
        var caseId = (await driver.OnlyCaseAsync(employeeId)).CaseId;
        var cases = driver.Get<CaseStore>();
        var now = driver.Time.GetUtcNow();
        var stored = await cases.UpdateAsync((await cases.FindAsync(caseId, Cancellation))!, c => CaseRestorer.Begin(c, "ops", "a mistake", now) ?? c, Cancellation);
        await driver.Get<CaseRuns>().ScheduleAsync(stored, now, "reactivation", c => c, Cancellation);
        return caseId;
    }

    private static void AssertGivenBack(SandboxPerson before, SandboxPerson after, bool taken = true)
    {
        Assert.Equal((false, true), (after.DingTalk!.Disabled, after.Entra!.AccountEnabled));
        Assert.Equal(before.DingTalk!.RoleIds.Order(), after.DingTalk.RoleIds.Order());
        Assert.Equal(before.DingTalk.SceneGroups, after.DingTalk.SceneGroups);
        Assert.Equal((before.DingTalk.Administrator, before.DingTalk.PendingLeave), (after.DingTalk.Administrator, after.DingTalk.PendingLeave));
        Assert.Equal(taken ? 0 : 2, after.DingTalk.TrustedDevices.Length);
        Assert.Equal(before.Entra!.Groups.Order(), after.Entra.Groups.Order());
        Assert.Equal(before.Entra.DirectoryRoles, after.Entra.DirectoryRoles);
        Assert.Equal(before.Entra.AppRoles.OrderBy(r => r.Application), after.Entra.AppRoles.OrderBy(r => r.Application));
        Assert.Equal(
            before.Entra.Licenses.OrderBy(l => l.Sku).Select(l => $"{l.Sku} {l.Group} {string.Join(',', l.DisabledPlans)}"),
            after.Entra.Licenses.OrderBy(l => l.Sku).Select(l => $"{l.Sku} {l.Group} {string.Join(',', l.DisabledPlans)}"));
        Assert.Equal(before.Entra.Devices, after.Entra.Devices);
        Assert.Equal(before.Entra.Owns.Order(), after.Entra.Owns.Order());
    }
}
