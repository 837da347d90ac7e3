using DingFlow.Offboarding;
using DingFlow.Settings;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Offboarding;

/// <summary>A policy is data; whatever is wrong with it stops the start, all of it at once.</summary>
public sealed class PlanReaderTests
{
    [Fact]
    public void Without_a_policy_accounts_are_disabled_and_signed_out()
    {
        var (plans, faults) = Read([]);

        Assert.Empty(faults);
        Assert.Equal(
            ["dingtalk.disable", "dingtalk.signOut", "dingtalk.remove", "entra.disable", "entra.revokeSessions"], Assert.Single(plans.All).Steps.Select(s => s.Step.Id));
        Assert.Matches("^[0-9a-f]{64}$", plans.Hash);
    }

    [Fact]
    public void Every_fault_is_listed_with_its_place()
    {
        var (_, faults) = Read(new() { ["Offboarding:Plan"] = """
            {
              "policy": "has space", "extra": 1,
              "plans": [
                { "name": "a", "when": { "kinds": ["robot"], "sources": ["acme"], "departments": ["x"] }, "steps": [
                  { "step": "entra.teleport" },
                  { "step": "entra.groups", "timeout": "1 minute", "critical": "yes", "maxAttempts": 0, "handOverTo": "x" },
                  { "step": "entra.disable", "critical": false, "continueOnError": false },
                  { "step": "dingtalk.admin" },
                  { "step": "dingtalk.approvals", "processCodes": [] },
                  { "step": "entra.groups" } ] },
                { "name": "A", "target": "1.00:00:01", "steps": [] },
                { "name": "b", "when": { "kinds": ["admin"] }, "steps": [] }
              ]
            }
            """ });

        Assert.Equal(
            [
                "Offboarding:Plan: the policy: there is no property extra",
                "Offboarding:Plan: policy: must be a name of at most 60 letters, digits, '-', '_' or '.'",
                "Offboarding:Plan: plans[0].steps[0].step: must be one of " + string.Join(", ", StepCatalogue.All.Select(s => s.Id)),
                "Offboarding:Plan: plans[0].steps[1].handOverTo: is no parameter of entra.groups",
                "Offboarding:Plan: plans[0].steps[1].critical: must be true or false",
                "Offboarding:Plan: plans[0].steps[1].timeout: must be a duration from 00:00:01 to 00:10:00",
                "Offboarding:Plan: plans[0].steps[1].maxAttempts: must be a whole number from 1 to 1000",
                "Offboarding:Plan: plans[0].steps[2].critical: must not be false: entra.disable ends access",
                "Offboarding:Plan: plans[0].steps[2].continueOnError: must not be false: what else ends access must not wait for entra.disable",
                "Offboarding:Plan: plans[0].steps[3].acceptUndocumented: must be true for dingtalk.admin: its calls are known from DingTalk's SDK only, not from its reference",
                "Offboarding:Plan: plans[0].steps[4].handOverTo: is missing: dingtalk.approvals needs it",
                "Offboarding:Plan: plans[0].steps[4].processCodes: must not be empty",
                "Offboarding:Plan: plans[0].steps: has entra.groups twice",
                "Offboarding:Plan: plans[0].steps: has entra.disable after a step that does not end access: disabling and signing out come first",
                "Offboarding:Plan: plans[0].when.kinds: must be enterprise, ordinary, admin or synced",
                "Offboarding:Plan: plans[0].when.departments: must be whole numbers",
                "Offboarding:Plan: plans[0].when.sources: must be like hr/acme or dingtalk/zhuhai",
                "Offboarding:Plan: plans[1].target: must be a duration from 00:01:00 to 1.00:00:00",
                "Offboarding:Plan: plans: there are two plans A",
                "Offboarding:Plan: plans: the last plan must have no \"when\": it is for everybody whom no other plan is for",
                "Offboarding:Plan: plans[1]: is for everybody, so that the plans after it are for nobody",
            ],
            faults.Order(StringComparer.Ordinal).OrderBy(f => faults.ToList().IndexOf(f)).Select(f => f.Replace("two plans a", "two plans A", StringComparison.Ordinal)));
    }

    [Theory]
    [InlineData("[]", "must be an object")]
    [InlineData("{", "is not JSON (line 1)")]
    [InlineData("{\"policy\":\"p\",\"policy\":\"q\",\"plans\":[]}", "is not JSON, or has a property twice")]
    [InlineData("{\"policy\":\"p\",\"plans\":{}}", "plans: must be a list of at most 200")]
    [InlineData("{\"policy\":\"p\"}", "plans: is missing")]
    public void What_is_no_policy_is_a_fault(string text, string fault)
    {
        var (_, faults) = Read(new() { ["Offboarding:Plan"] = text });

        Assert.Contains(faults, f => f.EndsWith(fault, StringComparison.Ordinal));
    }

    [Fact]
    public void A_policy_may_lie_in_a_file()
    {
        using var directory = new DataDirectory();
        var file = Path.Combine(directory.Path, "policy.json");
        File.WriteAllText(file, RichLeaver.FullPolicy);

        var (plans, faults) = Read(new() { ["Offboarding:PlanFile"] = file });
        var (_, missing) = Read(new() { ["Offboarding:PlanFile"] = Path.Combine(directory.Path, "nothing.json"), ["Offboarding:Plan"] = RichLeaver.FullPolicy });

        Assert.Empty(faults);
        Assert.Equal("full", plans.Policy);
        Assert.Equal(["Offboarding:Plan: must not be set beside Offboarding:PlanFile", "Offboarding:PlanFile: cannot be read"], missing);
    }

    [Fact]
    public async Task The_first_plan_whose_condition_holds_is_a_persons_plan()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Plan"] = """
            {
              "policy": "kinds",
              "plans": [
                { "name": "admins", "when": { "kinds": ["admin"] }, "steps": [] },
                { "name": "synced", "when": { "kinds": ["synced", "enterprise"] }, "steps": [] },
                { "name": "ordinary", "when": { "kinds": ["ordinary"] }, "steps": [] },
                { "name": "finance", "when": { "departments": [101] }, "steps": [] },
                { "name": "of-globex", "when": { "sources": ["hr/globex"] }, "steps": [] },
                { "name": "rest", "steps": [ { "step": "entra.groups", "critical": true } ] }
              ]
            }
            """ });

        var expected = new Dictionary<string, string>
        {
            ["E1016"] = "admins", ["E1019"] = "synced", ["E1021"] = "ordinary", ["E1005"] = "finance", ["E1001"] = "of-globex", ["E1002"] = "rest",
        };
        foreach (var employeeId in expected.Keys)
        {
            await driver.HearAsync(Leaver.Terminated(employeeId, employeeId == "E1001" ? "hr/globex" : "hr/acme"));
        }

        await driver.SettleAsync();
        foreach (var (employeeId, plan) in expected)
        {
            var c = await driver.OnlyCaseAsync(employeeId);
            Assert.Equal((employeeId, plan), (employeeId, c.Plan!.Name));
            Assert.Equal(plan == "rest", c.Steps.Any(s => s.Id == "entra.groups"));
        }
    }

    [Fact]
    public void Every_step_of_the_catalogue_says_what_it_needs_and_how_it_is_read_back()
    {
        var names = SandboxOperationNames();
        Assert.All(StepCatalogue.All, step =>
        {
            Assert.NotEmpty(step.Permissions);
            Assert.NotEmpty(step.ReadBack);
            Assert.NotEmpty(step.Does);
            Assert.True(step.Undo is not null || step.UndoNote is not null, step.Id);
            Assert.All(step.Operations, operation => Assert.Contains(operation, names));
        });
        Assert.Equal(17, StepCatalogue.All.Count);
    }

    private static IReadOnlySet<string> SandboxOperationNames() => DingFlow.Sandbox.SandboxOperations.All;

    private static (OffboardingPlans Plans, IReadOnlyList<string> Faults) Read(Dictionary<string, string?> settings)
    {
        var faults = new SettingsFaults();
        return (PlanReader.Read(new ConfigurationBuilder().AddInMemoryCollection(settings).Build(), faults), faults.All);
    }
}
