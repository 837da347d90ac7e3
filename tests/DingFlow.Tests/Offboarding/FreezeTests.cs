using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>What happens to the accounts of one leaver.</summary>
public sealed class FreezeTests
{
    [Fact]
    public async Task An_enterprise_account_is_disabled_signed_out_and_read_back_in_both_systems()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1001");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Equal(["dingtalk.disable", "dingtalk.signOut", "entra.disable", "entra.revokeSessions"], c.Steps.Select(s => s.Id));
        Assert.All(c.Steps, s =>
        {
            Assert.Equal(StepOutcome.Done, s.Outcome);
            Assert.Equal(ReadBack.Confirmed, s.ReadBack);
            Assert.Equal(1, s.Attempts);
        });
        Assert.All(c.Steps.Where(s => s.Target == FreezeTarget.Entra), s => Assert.NotNull(s.RequestId));
        Assert.Equal(OffboardingDriver.Start, c.ReceivedAt);
        Assert.Equal(OffboardingDriver.Start.AddMinutes(15), c.DueAt);
        Assert.NotNull(c.VerifiedAt);
        Assert.All(c.Accounts, a => Assert.True(a.WasEnabled));
        AssertFrozen(driver, "E1001");
        Assert.Empty(driver.Alerts);
    }

    [Fact]
    public async Task People_nobody_spoke_of_are_left_alone()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();

        Assert.All(driver.Sandbox.Directory.People.Where(p => p.EmployeeId != "E1001"), p => Assert.Empty(p.Mutations));
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    public async Task A_leaver_is_found_by_employee_number_or_by_email_alone(bool byNumber, bool byEmail)
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Leaver.Terminated("E1002") with
        {
            EmployeeId = byNumber ? "E1002" : null, Email = byEmail ? Leaver.EmailOf("E1002") : null, DingTalkUserId = null,
        });
        await driver.SettleAsync();

        Assert.Equal(CaseState.Verified, Assert.Single(await driver.AllCasesAsync()).State);
        AssertFrozen(driver, "E1002");
    }

    [Fact]
    public async Task An_account_that_was_frozen_before_is_already_done_and_not_touched_again()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Directory.Change("E1003", p => p with
        {
            DingTalk = p.DingTalk! with { Disabled = true }, Entra = p.Entra! with { AccountEnabled = false },
        });

        await driver.HearAsync(Leaver.Terminated("E1003"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1003");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Equal(StepOutcome.AlreadyDone, c.Steps.Single(s => s.Id == "dingtalk.disable").Outcome);
        Assert.Equal(StepOutcome.AlreadyDone, c.Steps.Single(s => s.Id == "entra.disable").Outcome);
        Assert.All(c.Accounts, a => Assert.False(a.WasEnabled));
        Assert.DoesNotContain(driver.Sandbox.Directory["E1003"].Mutations, m => m.Key.Contains("disable", StringComparison.OrdinalIgnoreCase));
    }

    [Fact]
    public async Task An_ordinary_DingTalk_account_needs_a_person_and_Entra_is_frozen_all_the_same()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Leaver.Terminated("E1021"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1021");
        Assert.Equal(CaseState.NeedsHuman, c.State);
        Assert.Equal(StepOutcome.NeedsHuman, c.Steps.Single(s => s.Id == "dingtalk.remove").Outcome);
        Assert.All(c.Steps.Where(s => s.Target == FreezeTarget.Entra), s => Assert.True(s.IsProved));
        Assert.True(driver.Sandbox.Directory["E1021"].DingTalk!.Member);
        Assert.Equal("offboarding.needs_human", Assert.Single(driver.Alerts).Type);
    }

    [Fact]
    public async Task An_ordinary_DingTalk_account_is_removed_where_the_policy_says_so()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:OrdinaryAccounts"] = "remove" });

        await driver.HearAsync(Leaver.Terminated("E1021"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1021");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.True(c.Steps.Single(s => s.Id == "dingtalk.remove").IsProved);
        Assert.False(driver.Sandbox.Directory["E1021"].DingTalk!.Member);
    }

    [Fact]
    public async Task The_echo_of_our_own_removal_joins_the_case()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:OrdinaryAccounts"] = "remove" });
        await driver.HearAsync(Leaver.Terminated("E1021"));
        await driver.SettleAsync();

        await driver.HearAsync(Leaver.LeftDingTalk("sb-1021"));
        await driver.SettleAsync();

        var c = Assert.Single(await driver.AllCasesAsync());
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Equal(2, c.Signals.Count);
        Assert.Equal(StepOutcome.Done, c.Steps.Single(s => s.Id == "dingtalk.remove").Outcome);
        Assert.Equal(1, driver.Sandbox.Directory["E1021"].Mutations[SandboxOperations.UserDelete]);
    }

    [Fact]
    public async Task Who_left_DingTalk_by_its_own_word_counts_as_done_there_and_is_frozen_in_Entra()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.Get<DingFlow.DingTalk.DingTalkDirectory>().RefreshAsync("sandbox", TestContext.Current.CancellationToken);
        driver.Sandbox.Directory.Change("E1004", p => p with { DingTalk = p.DingTalk! with { Member = false } });

        await driver.HearAsync(Leaver.LeftDingTalk("sb-1004"));
        await driver.SettleAsync();

        var c = Assert.Single(await driver.AllCasesAsync());
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Equal(StepOutcome.AlreadyDone, c.Steps.Single(s => s.Target == FreezeTarget.DingTalk).Outcome);
        Assert.False(driver.Sandbox.Directory["E1004"].Entra!.AccountEnabled);
    }

    [Fact]
    public async Task A_deleted_Entra_user_counts_as_done()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Directory.Change("E1005", p => p with { Entra = p.Entra! with { DeletedAt = OffboardingDriver.Start.AddDays(-1) } });

        await driver.HearAsync(Leaver.Terminated("E1005"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1005");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Equal(StepOutcome.AlreadyDone, c.Steps.Single(s => s.Target == FreezeTarget.Entra).Outcome);
    }

    [Fact]
    public async Task A_person_nobody_knows_needs_a_person_and_is_never_verified()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Leaver.Terminated("E9999"));
        await driver.SettleAsync();

        var c = await driver.PassUntilAsync("E9999", CaseState.NeedsHuman, messages: 1);
        Assert.All(c.Accounts, a => Assert.Equal(AccountStatus.NotFound, a.Status));
        Assert.Single(driver.Alerts);
        Assert.All(driver.Sandbox.Directory.People, p => Assert.Empty(p.Mutations));
    }

    [Theory]
    [InlineData("E1006", "e1007@sandbox.example", null)]
    [InlineData("E1006", "e1006@sandbox.example", "sb-1007")]
    [InlineData("E1006", "e1007@sandbox.example", "sb-1006")]
    [InlineData("E8888", "e1006@sandbox.example", null)]
    [InlineData(null, "nobody@sandbox.example", "sb-1006")]
    public async Task Identifiers_that_lead_to_different_people_freeze_nobody(string? employeeId, string email, string? userId)
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Leaver.Terminated("E1006") with { EmployeeId = employeeId, Email = email, DingTalkUserId = userId });
        await driver.SettleAsync();

        var c = Assert.Single(await driver.AllCasesAsync());
        Assert.Equal(CaseState.NeedsHuman, c.State);
        Assert.Contains(c.Accounts, a => a.Status == AccountStatus.Ambiguous);
        Assert.Empty(driver.Sandbox.Directory["E1007"].Mutations);
        Assert.False(driver.Sandbox.Directory["E1006"].DingTalk!.Disabled);
    }

    [Fact]
    public async Task A_source_confined_to_mail_domains_reaches_nobody_elsewhere_by_other_identifiers()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Leaver.Terminated("E1006") with { Email = "e1006@other.example", EmailDomains = ["other.example"] });
        await driver.HearAsync(Leaver.Terminated("E1007") with { EmailDomains = ["Sandbox.Example"] });
        await driver.SettleAsync();

        Assert.Equal(CaseState.NeedsHuman, (await driver.OnlyCaseAsync("E1006")).State);
        Assert.Empty(driver.Sandbox.Directory["E1006"].Mutations);
        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1007")).State);
    }

    [Fact]
    public async Task A_protected_account_is_left_to_people()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Protected:0"] = "E1008@sandbox.example" });

        await driver.HearAsync(Leaver.Terminated("E1008"));
        await driver.SettleAsync();

        Assert.Equal(CaseState.NeedsHuman, (await driver.OnlyCaseAsync("E1008")).State);
        Assert.Empty(driver.Sandbox.Directory["E1008"].Mutations);
    }

    [Fact]
    public async Task A_dry_run_looks_up_and_plans_and_changes_nothing()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Leaver.Terminated("E1009") with { DryRun = true });
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1009");
        Assert.Equal((CaseState.Cancelled, CaseMode.DryRun), (c.State, c.Mode));
        Assert.Equal(4, c.Steps.Count(s => s.Outcome == StepOutcome.Skipped));
        Assert.Empty(driver.Sandbox.Directory["E1009"].Mutations);
    }

    [Fact]
    public async Task A_synchronised_user_is_verified_with_a_warning()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        await driver.HearAsync(Leaver.Terminated("E1019"));
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1019");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Contains(c.Notes, n => n.Contains("on-premises", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_verified_case_is_read_once_more_after_45_minutes()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1010"));
        await driver.SettleAsync();

        await driver.PassAsync(TimeSpan.FromMinutes(45));

        var c = await driver.OnlyCaseAsync("E1010");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.Equal(driver.Time.GetUtcNow(), c.RecheckedAt);
    }

    [Fact]
    public async Task An_account_found_alive_again_is_frozen_again_and_people_are_told()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1010"));
        await driver.SettleAsync();
        driver.Sandbox.Directory.Change("E1010", p => p with { Entra = p.Entra! with { AccountEnabled = true } });

        await driver.PassAsync(TimeSpan.FromMinutes(45));

        var c = await driver.OnlyCaseAsync("E1010");
        Assert.Equal(CaseState.Verified, c.State);
        Assert.False(driver.Sandbox.Directory["E1010"].Entra!.AccountEnabled);
        Assert.Equal("offboarding.alive_again", Assert.Single(driver.Alerts).Type);
        Assert.Equal(driver.Time.GetUtcNow(), c.VerifiedAt);
    }

    [Fact]
    public async Task In_several_tenants_the_person_is_frozen_where_the_person_is()
    {
        await using var driver = await OffboardingDriver.StartAsync(tenants: 2);
        driver.Sandboxes[1].Directory.Change("E1011", p => p with { DingTalk = null });

        await driver.HearAsync(Leaver.Terminated("E1011") with { DingTalkUserId = null });
        await driver.HearAsync(Leaver.Terminated("E1012") with { DingTalkUserId = null });
        await driver.SettleAsync();

        var one = await driver.OnlyCaseAsync("E1011");
        Assert.Equal(CaseState.Verified, one.State);
        Assert.Equal(["sandbox"], one.Accounts.Where(a => a.Target == FreezeTarget.DingTalk).Select(a => a.Tenant));
        Assert.True(driver.Sandboxes[0].Directory["E1011"].DingTalk!.Disabled);
        var both = await driver.OnlyCaseAsync("E1012");
        Assert.Equal(CaseState.Verified, both.State);
        Assert.True(driver.Sandboxes[0].Directory["E1012"].DingTalk!.Disabled);
        Assert.True(driver.Sandboxes[1].Directory["E1012"].DingTalk!.Disabled);
    }

    [Fact]
    public async Task A_source_confined_to_one_tenant_touches_no_other()
    {
        await using var driver = await OffboardingDriver.StartAsync(tenants: 2);

        await driver.HearAsync(Leaver.Terminated("E1012") with { DingTalkUserId = null, Tenants = ["tenant1"] });
        await driver.SettleAsync();

        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1012")).State);
        Assert.False(driver.Sandboxes[0].Directory["E1012"].DingTalk!.Disabled);
        Assert.True(driver.Sandboxes[1].Directory["E1012"].DingTalk!.Disabled);
    }

    [Fact]
    public async Task No_name_address_or_user_id_reaches_the_log()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.ServerError, Count = 3 });

        await driver.HearAsync(Leaver.Terminated("E1013"));
        await driver.PassUntilAsync("E1013", CaseState.Verified);

        var person = driver.Sandbox.Directory["E1013"];
        string[] personal = [person.Name, Leaver.EmailOf("E1013"), "sb-1013", person.DingTalk!.UnionId, person.Entra!.ObjectId, SandboxOptions.AppSecret];
        Assert.All(driver.Logs.Lines, line => Assert.DoesNotContain(personal, p => line.Contains(p, StringComparison.OrdinalIgnoreCase)));
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
