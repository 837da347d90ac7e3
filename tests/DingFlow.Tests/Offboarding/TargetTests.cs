using DingFlow.Offboarding;
using DingFlow.Offboarding.Evidence;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>How long a leaver may wait for the proof: by the plan of the person, told once when it passes, and kept on the case.</summary>
public sealed class TargetTests
{
    private const string Policy = """
        {"policy":"targets","plans":[
          {"name":"admins","when":{"kinds":["admin"]},"target":"00:05:00","steps":[]},
          {"name":"ordinary","when":{"kinds":["ordinary"]},"target":"02:00:00","steps":[]},
          {"name":"vendors","when":{"sources":["hr/vendors"]},"target":"01:00:00","steps":[]},
          {"name":"everybody","steps":[]}]}
        """;

    [Fact]
    public async Task Each_plan_has_its_own_target_and_the_usual_one_where_it_names_none()
    {
        await using var driver = await StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1017"));
        await driver.HearAsync(Leaver.Terminated("E1002", "hr/vendors"));
        await driver.HearAsync(Leaver.Terminated("E1003"));
        Assert.All(await driver.AllCasesAsync(), c => Assert.Equal(OffboardingDriver.Start.AddMinutes(15), c.DueAt));
        await driver.SettleAsync();

        Assert.Equal(("admins", TimeSpan.FromMinutes(5), 5), await DueAsync("E1017"));
        Assert.Equal(("vendors", TimeSpan.FromHours(1), 60), await DueAsync("E1002"));
        Assert.Equal(("everybody", null, 15), await DueAsync("E1003"));
        var pack = EvidencePack.Of(await driver.OnlyCaseAsync("E1002"), TimeSpan.FromHours(1), driver.Time.GetUtcNow());
        Assert.Equal((3_600_000, true), (pack.Evidence.Clock.TargetMilliseconds, pack.Evidence.Clock.WithinTarget));

        async Task<(string, TimeSpan?, double)> DueAsync(string employeeId)
        {
            var c = await driver.OnlyCaseAsync(employeeId);
            return (c.Plan!.Name, c.Plan.Target, (c.DueAt - OffboardingDriver.Start).TotalMinutes);
        }
    }

    [Fact]
    public async Task A_leave_ahead_and_a_date_that_moves_keep_the_plans_target()
    {
        await using var driver = await StartAsync();
        var date = OffboardingDriver.Start.AddDays(10);
        await driver.HearAsync(Leaver.Terminated("E1002", "hr/vendors") with { Immediate = false, EffectiveAt = date });
        await driver.SettleAsync();
        Assert.Equal(date.AddHours(1), (await driver.OnlyCaseAsync("E1002")).DueAt);

        await driver.HearAsync(Leaver.Terminated("E1002", "hr/vendors") with { Immediate = false, EffectiveAt = date.AddDays(3), OccurredAt = OffboardingDriver.Start.AddMinutes(1) });
        Assert.Equal(date.AddDays(3).AddHours(1), (await driver.OnlyCaseAsync("E1002")).DueAt);

        // At once after all: the clock begins now, and the wait that people read of is not the days since HR first spoke.
        driver.Time.Advance(TimeSpan.FromDays(2));
        await driver.HearAsync(Leaver.Terminated("E1002", "hr/vendors") with { OccurredAt = OffboardingDriver.Start.AddDays(2) });
        await driver.SettleAsync();
        var c = await driver.OnlyCaseAsync("E1002");
        Assert.Equal((CaseState.Verified, OffboardingDriver.Start.AddDays(2).AddHours(1), 0d), (c.State, c.DueAt, c.SecondsToVerified));
    }

    [Fact]
    public async Task A_breach_by_the_plans_target_is_told_once_and_stays_on_the_case_when_it_is_opened_again()
    {
        await using var driver = await StartAsync();
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Unavailable, Operation = SandboxOperations.Disable }]);
        await driver.HearAsync(Leaver.Terminated("E1017"));
        await driver.SettleAsync();
        driver.Time.Advance(TimeSpan.FromMinutes(5) - TimeSpan.FromSeconds(1));
        await driver.SweepAsync();
        Assert.Empty(driver.Alerts);

        driver.Time.Advance(TimeSpan.FromSeconds(1));
        await driver.SweepAsync();
        driver.Time.Advance(TimeSpan.FromMinutes(1));
        await driver.SweepAsync();
        driver.Sandbox.Faults.Clear();
        var verified = await driver.PassUntilAsync("E1017", CaseState.Verified);
        await driver.SweepAsync();
        Assert.Equal(OffboardingDriver.Start.AddMinutes(5), verified.OverdueAt);
        Assert.Single(driver.Alerts, a => a.Type == "offboarding.overdue");

        // Frozen again within the target, and still not a case that was always in time.
        driver.Sandbox.Directory.Change("E1017", p => p with { Entra = p.Entra! with { AccountEnabled = true } });
        await driver.PassAsync(TimeSpan.FromMinutes(46));
        var c = await driver.OnlyCaseAsync("E1017");
        Assert.Equal((CaseState.Verified, null, OffboardingDriver.Start.AddMinutes(5), true), (c.State, c.OverdueAt, c.EarlierBreachAt, c.IsBreached));
        Assert.Equal(driver.Time.GetUtcNow().AddMinutes(5), c.DueAt);
        Assert.False(EvidencePack.Of(c, TimeSpan.FromMinutes(5), driver.Time.GetUtcNow()).Evidence.Clock.WithinTarget);
        Assert.Single(driver.Alerts, a => a.Type == "offboarding.overdue");
    }

    [Fact]
    public async Task Whoever_is_looked_up_late_is_in_time_by_the_longer_target_of_the_plan()
    {
        await using var driver = await StartAsync();
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.ServerError, Operation = SandboxOperations.UserGet, Count = 4 }]);
        await driver.HearAsync(Leaver.Terminated("E1021"));
        await driver.SettleAsync();
        driver.Time.Advance(TimeSpan.FromMinutes(16));
        await driver.SweepAsync();
        Assert.NotNull((await driver.OnlyCaseAsync("E1021")).OverdueAt);

        driver.Sandbox.Faults.Clear();
        var c = await driver.PassUntilAsync("E1021", CaseState.Verified);
        Assert.Equal(("ordinary", null, false), (c.Plan!.Name, c.OverdueAt, c.IsBreached));
    }

    [Fact]
    public async Task A_case_that_takes_another_over_keeps_its_own_target_and_the_earlier_beginning()
    {
        await using var driver = await StartAsync();
        driver.Sandbox.Directory.Change("E1002", p => p with { DingTalk = p.DingTalk! with { JobNumber = null }, Entra = p.Entra! with { EmployeeId = null } });
        await driver.HearAsync(Leaver.Terminated("E1002", "hr/vendors") with { DingTalkUserId = null });
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Unavailable, Operation = SandboxOperations.Disable, Count = 4 }]);
        await driver.SettleAsync();
        driver.Time.Advance(TimeSpan.FromSeconds(2));
        await driver.HearAsync(Leaver.Terminated("X1", "hr/other") with { Email = null, DingTalkUserId = "sb-1002" });
        var c = await driver.PassUntilAsync("E1002", CaseState.Verified);
        Assert.Equal((CaseState.Verified, "vendors", 2), (c.State, c.Plan!.Name, c.Signals.Count));
        Assert.Equal(OffboardingDriver.Start.AddHours(1), c.DueAt);
    }

    private static Task<OffboardingDriver> StartAsync() => OffboardingDriver.StartAsync(
        new() { ["Offboarding:Plan"] = Policy, ["Offboarding:OrdinaryAccounts"] = "remove" }, remoteTime: new HurriedTime(25));
}
