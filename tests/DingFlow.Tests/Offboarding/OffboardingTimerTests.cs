using System.Text.Json;
using System.Threading.Channels;
using DingFlow.Offboarding;
using DingFlow.Offboarding.Reconciliation;
using DingFlow.Tests.Hosting;
using DingFlow.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;

namespace DingFlow.Tests.Offboarding;

/// <summary>What is left to timers happens by the clock: the program's own driver fires them on the schedules that are deployed.</summary>
public sealed class OffboardingTimerTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_leave_ahead_is_released_on_its_date_and_a_verified_case_is_read_again_after_45_minutes()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001") with { Immediate = false, EffectiveAt = OffboardingDriver.Start.AddHours(2) });
        await driver.SettleAsync();
        var (time, fired) = (new ObservedTime(OffboardingDriver.Start), Channel.CreateUnbounded<DateTimeOffset>());
        await using var program = await ProgramAsync("SweepOffboarding", time, async now =>
        {
            driver.Time.SetUtcNow(now);
            await driver.SweepAsync();
            await driver.SettleAsync();
            await fired.Writer.WriteAsync(now, Cancellation);
        });

        // Fifteen seconds past each minute.
        await time.WaitedForAsync(TimeSpan.FromSeconds(15), Cancellation);
        Assert.Equal(CaseState.Scheduled, (await AtAsync("01:59:15")).State);
        await time.WaitedForAsync(TimeSpan.FromMinutes(1), Cancellation);
        Assert.Equal(CaseState.Scheduled, (await AtAsync("02:59:15")).State);
        await time.WaitedForAsync(TimeSpan.FromMinutes(1), Cancellation);
        var verified = await AtAsync("03:00:15");
        Assert.Equal((CaseState.Verified, null), (verified.State, verified.RecheckedAt));

        // What was sent for later is lost: the timer alone sees to it.
        driver.Queue.LoseAll();
        await time.WaitedForAsync(TimeSpan.FromMinutes(1), Cancellation);
        Assert.Null((await AtAsync("03:44:15")).RecheckedAt);
        await time.WaitedForAsync(TimeSpan.FromMinutes(1), Cancellation);
        Assert.NotNull((await AtAsync("03:48:15")).RecheckedAt);

        async Task<OffboardingCase> AtAsync(string clock)
        {
            time.SetUtcNow(new DateTimeOffset(2026, 11, 23, 0, 0, 0, TimeSpan.Zero) + TimeSpan.Parse(clock, System.Globalization.CultureInfo.InvariantCulture));
            Assert.Equal(time.GetUtcNow(), await fired.Reader.ReadAsync(Cancellation).AsTask().WaitAsync(DingFlowProcess.Patience, Cancellation));
            return await driver.OnlyCaseAsync("E1001");
        }
    }

    [Fact]
    public async Task Everything_is_compared_every_hour()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1001"));
        await driver.SettleAsync();
        var (time, open) = (new ObservedTime(OffboardingDriver.Start), Channel.CreateUnbounded<int>());
        await using var program = await ProgramAsync("ReconcileAccounts", time, async now =>
        {
            driver.Time.SetUtcNow(now);
            driver.Queue.LoseAll();
            await new ReconcileAccounts(driver.Get<ReconciliationRequests>()).InvokeAsync(new(false), Cancellation);
            Assert.Equal("reconcile", driver.Queue.TakeDue()!.Subject);
            await open.Writer.WriteAsync((await driver.Get<Reconciler>().RunAsync(Cancellation)).Open.GetValueOrDefault("leaverAlive"), Cancellation);
        });

        await time.WaitedForAsync(TimeSpan.FromMinutes(10), Cancellation);
        time.SetUtcNow(OffboardingDriver.Start.AddMinutes(25));
        Assert.Equal(0, await open.Reader.ReadAsync(Cancellation).AsTask().WaitAsync(DingFlowProcess.Patience, Cancellation));

        driver.Sandbox.Directory.Change("E1001", p => p with { Entra = p.Entra! with { AccountEnabled = true } });
        await time.WaitedForAsync(TimeSpan.FromMinutes(10), Cancellation);
        time.SetUtcNow(OffboardingDriver.Start.AddMinutes(85));
        Assert.Equal(1, await open.Reader.ReadAsync(Cancellation).AsTask().WaitAsync(DingFlowProcess.Patience, Cancellation));
    }

    /// <summary>A program whose one timer has the schedule of a deployed function.</summary>
    private static Task<TestProgram> ProgramAsync(string function, ObservedTime time, Func<DateTimeOffset, Task> run)
    {
        using var declared = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Root, "functions", "Triggers", function, "function.json")));
        var schedule = declared.RootElement.GetProperty("bindings")[0].GetProperty("schedule").GetString()!;
        return new TestProgram().Function(TestProgram.TimerJson(schedule), new TimerProbe((_, _) => run(time.GetUtcNow())))
            .Services(services => services.AddSingleton<TimeProvider>(time)).StartAsync();
    }
}
