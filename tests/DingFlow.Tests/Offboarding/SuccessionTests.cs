using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Sandbox;
using DingFlow.Storage;
using Microsoft.AspNetCore.Http;

namespace DingFlow.Tests.Offboarding;

/// <summary>A person who returned, whose accounts nobody gave back, and who left again: which case asks people for what.</summary>
public sealed class SuccessionTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_case_that_was_called_off_asks_nobody_once_the_person_has_left_again()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var earlier = await ReturnedAsync(driver);

        var younger = await LeaveAgainAsync(driver);
        await driver.SweepAsync();

        await AsksNobodyAsync(driver, earlier, younger);
        Assert.Equal(CaseState.Verified, (await driver.GetAsync(younger)).State);
        Assert.Single(driver.Alerts, a => a.About == earlier);

        // Looking again changes nothing.
        var settled = await StoredAsync(driver, earlier);
        await driver.SweepAsync();
        await driver.SettleAsync();
        Assert.Equal(settled.ETag, (await StoredAsync(driver, earlier)).ETag);
        Assert.Single(driver.Alerts, a => a.About == earlier);
    }

    [Fact]
    public async Task A_later_leave_that_waits_for_its_date_does_not_keep_the_accounts()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var earlier = await ReturnedAsync(driver);
        driver.Time.Advance(TimeSpan.FromHours(1));
        await driver.HearAsync(Leaver.Terminated("E1001") with { OccurredAt = driver.Time.GetUtcNow(), Immediate = false, EffectiveAt = driver.Time.GetUtcNow().AddDays(14) });
        await driver.SettleAsync();
        await driver.SweepAsync();

        var c = await driver.GetAsync(earlier);
        Assert.Equal((CaseState.NeedsHuman, true), (c.State, c.Notes[0].Contains("give the accounts back", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task A_later_leave_that_is_called_off_before_it_changed_anything_leaves_the_earlier_case_asking()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var earlier = await ReturnedAsync(driver);
        driver.Time.Advance(TimeSpan.FromHours(1));
        await driver.HearAsync(Leaver.Terminated("E1001") with { OccurredAt = driver.Time.GetUtcNow() });
        await driver.SweepAsync();
        await ReturnAsync(driver);
        await driver.SweepAsync();

        Assert.Equal(CaseState.Cancelled, (await driver.CasesAsync("E1001"))[0].State);
        Assert.Equal(CaseState.NeedsHuman, (await driver.GetAsync(earlier)).State);
    }

    [Fact]
    public async Task When_the_younger_case_is_called_off_too_both_ask_and_the_person_gets_everything_back()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var earlier = await ReturnedAsync(driver);
        var younger = await LeaveAgainAsync(driver);
        await driver.SweepAsync();
        await AsksNobodyAsync(driver, earlier, younger);

        await ReturnAsync(driver);
        await driver.SweepAsync();
        await driver.SweepAsync();

        Assert.All([await driver.GetAsync(earlier), await driver.GetAsync(younger)], c => Assert.Equal(CaseState.NeedsHuman, c.State));
        Assert.Contains(younger, (await driver.GetAsync(earlier)).Notes[0], StringComparison.Ordinal);
        Assert.Equal(2, driver.Alerts.Where(a => a.About == earlier).DistinctBy(a => a.AlertId).Count());

        foreach (var caseId in (string[])[younger, earlier])
        {
            await driver.Get<CaseRuns>().ScheduleAsync(
                await StoredAsync(driver, caseId), driver.Time.GetUtcNow(), "reactivation",
                c => CaseRestorer.Begin(c, "key:ops", "they stay", driver.Time.GetUtcNow()) ?? c, Cancellation);
            await driver.SettleAsync();
        }

        Assert.All(await driver.CasesAsync("E1001"), c => Assert.Equal(CaseState.Reactivated, c.State));
        Assert.True(driver.Sandbox.Directory["E1001"] is { DingTalk.Disabled: false, Entra.AccountEnabled: true });
    }

    [Fact]
    public async Task An_operator_who_gives_the_younger_case_back_is_asked_for_the_earlier_one_as_well()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var earlier = await ReturnedAsync(driver);
        var younger = await LeaveAgainAsync(driver);
        await driver.SweepAsync();

        await driver.Get<CaseRuns>().ScheduleAsync(
            await StoredAsync(driver, younger), driver.Time.GetUtcNow(), "reactivation",
            c => CaseRestorer.Begin(c, "key:ops", "they stay", driver.Time.GetUtcNow()) ?? c, Cancellation);
        await driver.SettleAsync();

        Assert.Equal((CaseState.Reactivated, CaseState.NeedsHuman), ((await driver.GetAsync(younger)).State, (await driver.GetAsync(earlier)).State));
    }

    [Fact]
    public async Task Wherever_the_process_dies_the_cases_come_to_say_the_truth_and_nobody_is_told_twice()
    {
        for (var operations = 1; operations <= 24; operations++)
        {
            await using var driver = await OffboardingDriver.StartAsync();
            var earlier = await ReturnedAsync(driver);
            var younger = await LeaveAgainAsync(driver);

            await DyingAsync(driver, operations, driver.SweepAsync);
            await driver.SweepAsync();
            await AsksNobodyAsync(driver, earlier, younger);

            await ReturnAsync(driver);
            await DyingAsync(driver, operations, driver.SweepAsync);
            await driver.SweepAsync();
            Assert.Equal(CaseState.NeedsHuman, (await driver.GetAsync(earlier)).State);
            Assert.Equal(2, driver.Alerts.Where(a => a.About == earlier).DistinctBy(a => a.AlertId).Count());
        }
    }

    [Fact]
    public async Task A_younger_case_that_an_operator_cancels_has_the_earlier_one_ask_again_which_may_then_be_reactivated()
    {
        await using var driver = await OffboardingDriver.StartAsync(remoteTime: new HurriedTime(100));
        var earlier = await ReturnedAsync(driver);
        driver.Sandbox.Directory.Change("E1001", p => p with { Entra = p.Entra! with { AccountEnabled = true } });
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.DoNothing, Operation = SandboxOperations.GraphUpdate }]);
        var younger = await LeaveAgainAsync(driver);
        await driver.SweepAsync();
        await AsksNobodyAsync(driver, earlier, younger);
        Assert.Equal(CaseState.Running, (await driver.GetAsync(younger)).State);

        Assert.Equal(StatusCodes.Status202Accepted, await CancelAsync(driver, younger));

        driver.Sandbox.Faults.Clear();
        var asking = await driver.GetAsync(earlier);
        Assert.Equal((CaseState.Cancelled, CaseState.NeedsHuman, true), ((await driver.GetAsync(younger)).State, asking.State, asking.Superseded));
        Assert.Contains(younger, Assert.Single(asking.Notes), StringComparison.Ordinal);
        Assert.Equal(2, driver.Alerts.Where(a => a.About == earlier).DistinctBy(a => a.AlertId).Count());
        driver.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(StatusCodes.Status409Conflict, await CancelAsync(driver, younger));

        await driver.Get<CaseRuns>().ScheduleAsync(
            await StoredAsync(driver, earlier), driver.Time.GetUtcNow(), "reactivation", c => CaseRestorer.Begin(c, "key:one", "they stay", driver.Time.GetUtcNow())!, Cancellation);
        await driver.SettleAsync();
        Assert.Equal(CaseState.Reactivated, (await driver.GetAsync(earlier)).State);
        Assert.True(driver.Sandbox.Directory["E1001"] is { DingTalk.Disabled: false, Entra.AccountEnabled: true });
    }

    private static async Task<int> CancelAsync(OffboardingDriver driver, string caseId)
    {
        var context = new DefaultHttpContext
        {
            User = new System.Security.Claims.ClaimsPrincipal(new System.Security.Claims.ClaimsIdentity([new(DingFlow.Hosting.BearerAuthentication.PrincipalClaim, "key:one")])),
        };
        context.Request.RouteValues["caseId"] = caseId;
        context.Request.ContentType = "application/json";
        context.Request.Body = new MemoryStream("""{"reason":"HR named the wrong person"}"""u8.ToArray());
        context.Response.Body = new MemoryStream();
        await new CancelOffboardingCase(driver.Get<CaseStore>(), driver.Get<CaseSuccession>(), driver.Time).InvokeAsync(context);
        return context.Response.StatusCode;
    }

    /// <summary>E1001 left, was frozen, and was rehired; nobody has given the accounts back yet.</summary>
    private static async Task<string> ReturnedAsync(OffboardingDriver driver)
    {
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        await ReturnAsync(driver);
        return (await driver.OnlyCaseAsync("E1001")).CaseId;
    }

    private static async Task ReturnAsync(OffboardingDriver driver)
    {
        driver.Time.Advance(TimeSpan.FromHours(1));
        await driver.HearAsync(Leaver.Of(PersonEventKind.Rehired, "E1001", driver.Time.GetUtcNow()));
        await driver.SettleAsync();
    }

    private static async Task<string> LeaveAgainAsync(OffboardingDriver driver)
    {
        driver.Time.Advance(TimeSpan.FromHours(1));
        await driver.HearAsync(Leaver.Terminated("E1001") with { OccurredAt = driver.Time.GetUtcNow() });
        await driver.SettleAsync();
        return (await driver.CasesAsync("E1001"))[0].CaseId;
    }

    private static async Task DyingAsync(OffboardingDriver driver, int operations, Func<Task> work)
    {
        driver.Store.DieAfter(operations, operations % 2 == 0);
        try
        {
            await work();
        }
        catch (EntityStoreException)
        {
            // It died.
        }

        driver.CrashAndRestart();
    }

    private static async Task AsksNobodyAsync(OffboardingDriver driver, string earlier, string younger)
    {
        var c = await driver.GetAsync(earlier);
        Assert.Equal((CaseState.Cancelled, younger), (c.State, c.LeavesAgainBy));
        Assert.Equal([$"The person has left again, by the case {younger}: nothing of what this case took is to be given back."], c.Notes);
    }

    private static async Task<StoredCase> StoredAsync(OffboardingDriver driver, string caseId) =>
        (await driver.Get<CaseStore>().FindAsync(caseId, Cancellation))!;
}
