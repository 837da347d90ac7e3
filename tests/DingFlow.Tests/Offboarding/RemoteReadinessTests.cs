using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>Readiness of the remotes that offboarding needs.</summary>
public sealed class RemoteReadinessTests
{
    [Fact]
    public async Task Both_remotes_are_ready_when_they_answer()
    {
        await using var driver = await OffboardingDriver.StartAsync();

        Assert.True((await new DingTalkReadiness(driver.Get<DingTalkClients>(), driver.Time).CheckAsync(TestContext.Current.CancellationToken)).IsReady);
        Assert.True((await new EntraReadiness(driver.Get<EntraDirectory>(), driver.Time).CheckAsync(TestContext.Current.CancellationToken)).IsReady);
    }

    [Fact]
    public async Task A_remote_that_refuses_us_is_not_ready_and_a_success_is_remembered_for_minutes()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        var check = new EntraReadiness(driver.Get<EntraDirectory>(), driver.Time);
        Assert.True((await check.CheckAsync(TestContext.Current.CancellationToken)).IsReady);
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, System = SandboxSystem.Graph });

        Assert.True((await check.CheckAsync(TestContext.Current.CancellationToken)).IsReady);
        driver.Time.Advance(TimeSpan.FromMinutes(6));
        var refused = await check.CheckAsync(TestContext.Current.CancellationToken);

        Assert.False(refused.IsReady);
        Assert.Contains("Denied", refused.Detail, StringComparison.Ordinal);
    }
}
