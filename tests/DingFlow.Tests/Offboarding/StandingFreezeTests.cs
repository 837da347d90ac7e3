using DingFlow.Messaging;
using DingFlow.Offboarding;

namespace DingFlow.Tests.Offboarding;

/// <summary>Somebody was frozen long ago, and a further leave, which is a case of its own, is called off: the old freeze is then to be undone, too.</summary>
public sealed class StandingFreezeTests
{
    [Fact]
    public async Task A_return_calls_off_the_old_freeze_also_when_a_younger_case_had_changed_nothing_yet()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var old = await FrozenLongAgoAsync(driver);
        await driver.HearAsync(Leaver.Terminated("E1001") with { OccurredAt = driver.Time.GetUtcNow() });
        var younger = Assert.Single(await driver.CasesAsync("E1001"), c => c.CaseId != old);
        Assert.Equal((CaseState.Running, old), (younger.State, Assert.Single(younger.StandingCases)));

        await ReturnAsync(driver, "E1001");

        Assert.Equal(CaseState.Cancelled, (await driver.GetAsync(younger.CaseId)).State);
        await AsksForTheAccountsAsync(driver, old);
    }

    [Fact]
    public async Task The_old_freeze_is_found_when_only_the_accounts_tell_that_it_is_the_same_person()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001") with { Email = null, DingTalkUserId = null });
        await driver.SettleAsync();
        var old = (await driver.OnlyCaseAsync("E1001")).CaseId;
        driver.Time.Advance(TimeSpan.FromDays(3));
        var byAddress = Leaver.Terminated("E1001") with { EmployeeId = null, DingTalkUserId = null, OccurredAt = driver.Time.GetUtcNow() };
        await driver.HearAsync(byAddress);
        await driver.SettleAsync();
        var younger = Assert.Single(await driver.AllCasesAsync(), c => c.CaseId != old);
        Assert.Equal(old, Assert.Single(younger.StandingCases));

        driver.Time.Advance(TimeSpan.FromHours(1));
        await driver.HearAsync(byAddress with { Kind = PersonEventKind.Rehired, OccurredAt = driver.Time.GetUtcNow() });
        await driver.SettleAsync();

        await AsksForTheAccountsAsync(driver, old);
    }

    [Fact]
    public async Task A_return_that_is_older_than_the_last_leave_calls_off_neither()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var old = await FrozenLongAgoAsync(driver);
        await driver.HearAsync(Leaver.Terminated("E1001") with { OccurredAt = driver.Time.GetUtcNow() });
        await driver.SettleAsync();
        var younger = (await driver.CasesAsync("E1001"))[0].CaseId;

        await driver.HearAsync(Leaver.Of(PersonEventKind.Rehired, "E1001", driver.Time.GetUtcNow().AddHours(-2)));
        await driver.SettleAsync();

        Assert.All([await driver.GetAsync(old), await driver.GetAsync(younger)], c => Assert.Equal((CaseState.Verified, false), (c.State, c.Superseded)));
    }

    [Fact]
    public async Task Wherever_the_process_dies_the_old_freeze_is_called_off()
    {
        for (var operations = 1; operations <= 16; operations++)
        {
            await using var driver = await OffboardingDriver.StartAsync();
            var old = await FrozenLongAgoAsync(driver);
            await driver.HearAsync(Leaver.Terminated("E1001") with { OccurredAt = driver.Time.GetUtcNow() });
            driver.Time.Advance(TimeSpan.FromHours(1));
            var rehired = Leaver.Of(PersonEventKind.Rehired, "E1001", driver.Time.GetUtcNow());

            driver.Store.DieAfter(operations, operations % 2 == 0);
            try
            {
                await driver.HandleAsync(rehired, "return", driver.Time.GetUtcNow());
            }
            catch (DingFlow.Storage.EntityStoreException)
            {
                // It died, so the delivery comes again.
            }

            driver.CrashAndRestart();
            await driver.HandleAsync(rehired, "return", driver.Time.GetUtcNow());
            await driver.SettleAsync();

            await AsksForTheAccountsAsync(driver, old);
            Assert.All(await driver.CasesAsync("E1001"), c => Assert.True(c.Superseded));
        }
    }

    private static async Task<string> FrozenLongAgoAsync(OffboardingDriver driver)
    {
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        driver.Time.Advance(TimeSpan.FromDays(3));
        return (await driver.OnlyCaseAsync("E1001")).CaseId;
    }

    private static async Task ReturnAsync(OffboardingDriver driver, string employeeId)
    {
        driver.Time.Advance(TimeSpan.FromHours(1));
        await driver.HearAsync(Leaver.Of(PersonEventKind.Rehired, employeeId, driver.Time.GetUtcNow()));
        await driver.SettleAsync();
    }

    private static async Task AsksForTheAccountsAsync(OffboardingDriver driver, string caseId)
    {
        var c = await driver.GetAsync(caseId);
        Assert.Equal((CaseState.NeedsHuman, true), (c.State, c.Superseded));
        Assert.Equal(["The person was rehired after accounts had been changed: give the accounts back."], c.Notes);
        Assert.Contains(driver.Alerts, alert => alert.About == caseId);
    }
}
