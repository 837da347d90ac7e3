using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>Whoever is on the list of protected accounts by any identifier is frozen nowhere.</summary>
public sealed class ProtectedTests
{
    private const string Alias = "the.boss@sandbox.example";

    /// <summary>Everything that is known of E1005: by the number in HR, by the address, by each system's own id, by an alias that only Entra knows.</summary>
    public static TheoryData<string, string> ListedAndNamed()
    {
        var data = new TheoryData<string, string>();
        foreach (var listed in (string[])["E1005", "e1005", "E1005@sandbox.example", "sb-1005", "object id", Alias])
        {
            foreach (var named in (string[])["employee id", "address", "user id", "alias"])
            {
                data.Add(listed, named);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(ListedAndNamed))]
    public async Task Whatever_identifier_is_listed_and_whatever_HR_names_nothing_is_changed_in_any_system(string listed, string named)
    {
        string objectId;
        await using (var probe = await OffboardingDriver.StartAsync())
        {
            objectId = probe.Sandbox.Directory["E1005"].Entra!.ObjectId;
        }

        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Protected:0"] = listed == "object id" ? objectId : listed, ["Offboarding:MissingAccounts"] = "accept" });
        driver.Sandbox.Directory.Change("E1005", p => p with { Entra = p.Entra! with { Aliases = [Alias] } });
        var leaves = Leaver.Terminated("E1005") with { EmployeeId = null, Email = null, DingTalkUserId = null };
        leaves = named switch
        {
            "employee id" => leaves with { EmployeeId = "E1005" },
            "address" => leaves with { Email = Leaver.EmailOf("E1005") },
            "user id" => leaves with { DingTalkUserId = Leaver.UserIdOf("E1005") },
            _ => leaves with { Email = Alias },
        };
        await driver.HearAsync(leaves);
        await driver.SettleAsync();

        var c = Assert.Single(await driver.AllCasesAsync());
        Assert.Equal(CaseState.NeedsHuman, c.State);
        Assert.Contains(c.Accounts, a => a.Status == AccountStatus.Protected);
        Assert.DoesNotContain(c.Accounts, a => a.Status == AccountStatus.Found);
        Assert.Empty(driver.Sandbox.Directory["E1005"].Mutations);

        var dry = await driver.Get<DryRun>().OfAsync(c with { Accounts = [], Steps = [] }, TestContext.Current.CancellationToken);
        Assert.DoesNotContain(dry.Accounts, a => a.Status == AccountStatus.Found);
    }

    [Fact]
    public async Task While_a_system_cannot_be_read_that_may_know_the_person_by_a_listed_identifier_the_others_wait()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Protected:0"] = Alias, ["Offboarding:ProtectedUnread"] = "wait" });
        driver.Sandbox.Directory.Change("E1005", p => p with { Entra = p.Entra! with { Aliases = [Alias] } });
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Unavailable, System = SandboxSystem.Graph });
        await driver.HearAsync(Leaver.Terminated("E1005"));
        await driver.HearAsync(Leaver.Terminated("E1006"));
        await driver.SettleAsync();

        Assert.Equal(CaseState.Running, (await driver.OnlyCaseAsync("E1005")).State);
        Assert.Empty(driver.Sandbox.Directory["E1005"].Mutations);
        Assert.Empty(driver.Sandbox.Directory["E1006"].Mutations);

        driver.Sandbox.Faults.Clear();
        driver.CrashAndRestart(); // The client's circuit is closed again at once.
        await driver.PassUntilAsync("E1006", CaseState.Verified);
        await driver.PassUntilAsync("E1005", CaseState.NeedsHuman);
        Assert.Empty(driver.Sandbox.Directory["E1005"].Mutations);
    }

    [Fact]
    public async Task Nobody_waits_for_a_system_that_cannot_be_read_where_the_settings_do_not_say_so()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Protected:0"] = Alias });
        driver.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Unavailable, System = SandboxSystem.Graph });
        await driver.HearAsync(Leaver.Terminated("E1006"));
        await driver.SettleAsync();

        Assert.True(driver.Sandbox.Directory["E1006"].DingTalk!.Disabled);
    }

    [Fact]
    public async Task What_a_later_look_up_learns_protects_from_then_on_and_what_was_taken_before_is_still_given_back()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Protected:0"] = Alias });
        await driver.HearAsync(Leaver.Terminated("E1005"));
        await driver.SettleAsync();
        Assert.Equal(CaseState.Verified, (await driver.OnlyCaseAsync("E1005")).State);

        // Somebody lets the person in again under the protected alias; another source names the person once more.
        driver.Sandbox.Directory.Change("E1005", p => p with { Entra = p.Entra! with { Aliases = [Alias], AccountEnabled = true } });
        var before = driver.Sandbox.Directory["E1005"].Mutations.Values.Sum();
        await driver.HearAsync(Leaver.Terminated("E1005", "hr/other") with { EmployeeId = null, DingTalkUserId = null, Email = Leaver.EmailOf("E1005") });
        await driver.SettleAsync();

        var c = await driver.OnlyCaseAsync("E1005");
        Assert.Equal(CaseState.NeedsHuman, c.State);
        Assert.All(c.Accounts, a => Assert.Equal(AccountStatus.Protected, a.Status));
        Assert.Equal(before, driver.Sandbox.Directory["E1005"].Mutations.Values.Sum());
        Assert.Equal(4, CaseRestorer.Begin(c, "key:one", "they stay", driver.Time.GetUtcNow())!.Undo!.Steps.Count);
    }
}
