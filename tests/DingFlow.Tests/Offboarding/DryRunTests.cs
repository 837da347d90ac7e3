using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>A dry run says what would be done, and does nothing.</summary>
public sealed class DryRunTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_case_in_dry_run_says_what_each_step_would_take_and_changes_nothing()
    {
        await using var driver = await RichLeaver.StartAsync();
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id) with { DryRun = true });
        var c = await driver.PassUntilAsync(RichLeaver.Id, CaseState.Cancelled);

        Assert.Equal(["Dry run: everything was looked up, nothing was changed."], c.Notes);
        Assert.Equal("Dry run: 2 would be taken away.", RichLeaver.Step(c, "entra.groups").Detail);
        Assert.Equal(
            ["Helpdesk administrators", "VPN"],
            RichLeaver.Step(c, "entra.groups").Changes!.Where(change => change.State == ChangeState.Planned).Select(change => change.Name).Order());
        Assert.Equal("Dry run: would be done.", RichLeaver.Step(c, "entra.disable").Detail);
        Assert.All(c.Steps, s => Assert.Equal(0, s.Attempts));
        Assert.DoesNotContain(driver.Sandbox.Journal.Entries, e => e.Changed);
        Assert.Null(CaseRestorer.Begin(c, "ops", "nothing was taken", driver.Time.GetUtcNow()));
    }

    [Fact]
    public async Task Any_case_and_any_person_can_be_looked_at_beforehand_and_what_would_be_missing_is_named()
    {
        await using var driver = await RichLeaver.StartAsync();
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = "users.registeredDevices" });
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = "trustedDevices.query" });
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id) with { Immediate = false, EffectiveAt = OffboardingDriver.Start.AddDays(20) });
        var scheduled = await driver.OnlyCaseAsync(RichLeaver.Id);

        var view = await driver.Get<DryRun>().OfAsync(scheduled, Cancellation);

        Assert.Equal("everything", view.Plan.Name);
        Assert.Contains(view.Trouble, t => t.StartsWith("entra.devices", StringComparison.Ordinal) && t.Contains("Device.Read.All", StringComparison.Ordinal));
        Assert.Contains(view.Trouble, t => t.StartsWith("dingtalk.trustedDevices (sandbox)", StringComparison.Ordinal) && t.Contains("Custom.TrustedDevice.ReadWrite", StringComparison.Ordinal));
        Assert.Equal(2, view.Trouble.Count);
        Assert.Equal(CaseState.Scheduled, (await driver.OnlyCaseAsync(RichLeaver.Id)).State);
        Assert.DoesNotContain(driver.Sandbox.Journal.Entries, e => e.Changed);
    }

    [Fact]
    public async Task A_live_word_that_joins_a_dry_run_freezes()
    {
        await using var driver = await RichLeaver.StartAsync();
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id) with { DryRun = true });
        await driver.HearAsync(Leaver.Terminated(RichLeaver.Id));

        await driver.PassUntilAsync(RichLeaver.Id, CaseState.Verified);

        Assert.True(driver.Sandbox.Directory[RichLeaver.Id].DingTalk!.Disabled);
    }
}
