using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>The process dies at every single store operation of a case, with and without the last write done, and starts again.</summary>
public sealed class CrashTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Wherever_the_process_dies_the_case_completes_once(bool loseAnswer)
    {
        var died = 0;
        for (var operations = 1; ; operations++)
        {
            await using var driver = await OffboardingDriver.StartAsync();
            driver.Store.DieAfter(operations, loseAnswer);
            var survived = await LeaveAsync(driver, "delivery");
            driver.Store.Heal();
            if (!survived)
            {
                died++;
                driver.CrashAndRestart();
                Assert.True(await LeaveAsync(driver, "delivery"));
            }

            // What had not been sent when the process died is the sweeper's.
            driver.Time.Advance(TimeSpan.FromMinutes(3));
            await driver.SweepAsync();
            await driver.SettleAsync();

            var c = await driver.OnlyCaseAsync("E1001");
            Assert.Equal((CaseState.Verified, operations), (c.State, operations));
            Assert.All(c.Steps, s => Assert.True(s.IsProved));
            Assert.Single(c.Signals);
            Assert.Single(await driver.AllCasesAsync());
            Assert.Equal(1, driver.Sandbox.Directory["E1001"].Mutations[SandboxOperations.Disable]);
            Assert.Equal(1, driver.Sandbox.Directory["E1001"].Mutations[SandboxOperations.GraphUpdate]);
            Assert.Equal(StepOutcome.Done, c.Steps.Single(s => s.Id == "dingtalk.disable").Outcome);
            Assert.Equal(StepOutcome.Done, c.Steps.Single(s => s.Id == "entra.disable").Outcome);
            if (survived)
            {
                break;
            }
        }

        Assert.True(died > 15, $"only {died} points of death");
    }

    [Fact]
    public async Task A_case_whose_message_was_lost_is_taken_up_by_the_sweeper()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        driver.Queue.LoseAll();

        driver.Time.Advance(TimeSpan.FromMinutes(3));
        await driver.SweepAsync();
        await driver.SettleAsync();

        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1001")).State);
    }

    [Fact]
    public async Task A_lost_reading_after_45_minutes_is_made_up_for()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        driver.Queue.LoseAll();

        driver.Time.Advance(TimeSpan.FromMinutes(50));
        await driver.SweepAsync();
        await driver.SettleAsync();

        Assert.NotNull((await driver.OnlyCaseAsync("E1001")).RecheckedAt);
    }

    /// <summary>The delivery is handled and then every message; <see langword="false"/>: the process died.</summary>
    private static async Task<bool> LeaveAsync(OffboardingDriver driver, string delivery)
    {
        try
        {
            await driver.HearAsync(Leaver.Terminated("E1001"), delivery);
            await driver.SettleAsync();
            return true;
        }
        catch (DingFlow.Storage.EntityStoreException)
        {
            return false;
        }
    }
}
