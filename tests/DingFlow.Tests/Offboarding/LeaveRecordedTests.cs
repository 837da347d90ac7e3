using DingFlow.DingTalk;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Sandbox;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Tests.Offboarding;

/// <summary>A leave that DingTalk's HR recorded begins on the last working day, if DingTalk's HR tells it.</summary>
public sealed class LeaveRecordedTests
{
    private static readonly DateTimeOffset Now = OffboardingDriver.Start;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_last_working_day_that_lies_ahead_is_waited_for()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        LastDay(driver, Now.AddDays(20));

        var (dated, wait) = await DateAsync(driver, Now);

        // The last day is the 13th in Shanghai; it ends with the day.
        Assert.Equal((null, false, new DateTimeOffset(2026, 12, 14, 0, 0, 0, TimeSpan.FromHours(8))), (wait, dated.Immediate, dated.EffectiveAt!.Value));
        await driver.HearAsync(dated);
        await driver.SettleAsync();
        Assert.Equal((CaseState.Scheduled, dated.EffectiveAt), (Assert.Single(await driver.AllCasesAsync()).State, Assert.Single(await driver.AllCasesAsync()).ScheduledFor));
    }

    [Theory]
    [InlineData(LeaveWithoutDay.Freeze, CaseState.Verified)]
    [InlineData(LeaveWithoutDay.NeedsHuman, CaseState.NeedsHuman)]
    public async Task Without_a_day_the_setting_decides(LeaveWithoutDay setting, CaseState state)
    {
        await using var driver = await OffboardingDriver.StartAsync();

        var (dated, wait) = await DateAsync(driver, Now, setting);
        await driver.HearAsync(dated);
        await driver.SettleAsync();

        Assert.Null(wait);
        Assert.Equal(state, Assert.Single(await driver.AllCasesAsync()).State);
        Assert.Equal(state == CaseState.Verified, driver.Sandbox.Directory["E1003"].DingTalk!.Disabled);
    }

    [Fact]
    public async Task A_DingTalk_that_does_not_answer_is_asked_again_for_five_minutes_only()
    {
        await using var driver = await OffboardingDriver.StartAsync(remoteTime: new HurriedTime(100));
        LastDay(driver, Now.AddDays(20));
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.ServerError, System = SandboxSystem.DingTalk }]);

        Assert.Equal(TimeSpan.FromMinutes(1), (await DateAsync(driver, Now)).Wait);
        driver.Time.Advance(TimeSpan.FromMinutes(5));
        var (dated, wait) = await DateAsync(driver, Now);
        Assert.Equal((null, true), (wait, dated.Immediate));
    }

    private static void LastDay(OffboardingDriver driver, DateTimeOffset day) =>
        driver.Sandbox.Directory.Change("E1003", p => p with { DingTalk = p.DingTalk! with { LastWorkDay = day } });

    private static Task<(PersonEvent Event, TimeSpan? Wait)> DateAsync(OffboardingDriver driver, DateTimeOffset receivedAt, LeaveWithoutDay setting = default)
    {
        var tenant = new DingTalkTenant
        {
            Name = "sandbox", CorpId = "c", AppKey = "k", AppSecret = "s", LeaveWithoutDay = setting, TimeZone = TimeZoneInfo.FindSystemTimeZoneById("Asia/Shanghai"),
        };
        return new ResignationDates(
            driver.Get<DingTalkClients>(), new DingTalkOptions(new Dictionary<string, DingTalkTenant> { ["sandbox"] = tenant }), driver.Time, NullLogger<ResignationDates>.Instance)
            .DateAsync(Leaver.LeftDingTalk("sb-1003") with { Kind = PersonEventKind.LeaveRecorded }, receivedAt, Cancellation);
    }
}
