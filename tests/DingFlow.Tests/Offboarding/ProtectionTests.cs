using DingFlow.Offboarding;

namespace DingFlow.Tests.Offboarding;

/// <summary>Whoever is on the list of protected people is frozen nowhere, by whatever identifier the list or the event names the person.</summary>
public sealed class ProtectionTests
{
    [Theory]
    [InlineData("e1005@sandbox.example", "employeeId")]
    [InlineData("E1005@Sandbox.Example", "dingTalkUserId")]
    [InlineData("E1005", "email")]
    [InlineData("sb-1005", "employeeId")]
    [InlineData("sb-1005", "email")]
    [InlineData("5a4d0000-0000-4000-8000-000000001005", "dingTalkUserId")]
    [InlineData("alias.1005@sandbox.example", "employeeId")]
    public async Task A_protected_person_is_frozen_in_no_system(string listed, string namedBy)
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Protected:0"] = listed });
        driver.Sandbox.Directory.Change("E1005", p => p with { Entra = p.Entra! with { UserPrincipalName = listed.StartsWith("alias", StringComparison.Ordinal) ? listed : p.Entra!.UserPrincipalName } });
        var everything = Leaver.Terminated("E1005");
        await driver.HearAsync(everything with
        {
            EmployeeId = namedBy == "employeeId" ? everything.EmployeeId : null,
            Email = namedBy == "email" ? everything.Email : null,
            DingTalkUserId = namedBy == "dingTalkUserId" ? everything.DingTalkUserId : null,
        });
        await driver.SettleAsync();

        var c = Assert.Single(await driver.AllCasesAsync());
        Assert.Equal(CaseState.NeedsHuman, c.State);
        Assert.All(c.Accounts, a => Assert.Equal((a.Target, AccountStatus.Protected), (a.Target, a.Status)));
        Assert.Empty(driver.Sandbox.Directory["E1005"].Mutations);
        Assert.Single(driver.Alerts, a => a.Type == "offboarding.needs_human");

        // A dry run says the same.
        var view = await driver.Get<DryRun>().OfAsync(c with { CaseId = "dry-run" }, TestContext.Current.CancellationToken);
        Assert.All(view.Steps, s => Assert.Equal(StepOutcome.NeedsHuman, s.Outcome));
    }

    [Fact]
    public async Task Somebody_else_is_frozen_as_ever()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Protected:0"] = "E1005", ["Offboarding:Protected:1"] = "sb-1006" });
        await driver.HearAsync(Leaver.Terminated("E1007"));
        await driver.SettleAsync();

        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1007")).State);
    }
}
