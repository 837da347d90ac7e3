using DingFlow.Offboarding;
using DingFlow.Tests.Infrastructure;
using Microsoft.Extensions.Configuration;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Documentation;

/// <summary>What is written about the steps is what the catalogue says.</summary>
public sealed class PlanDocumentationTests
{
    [Fact]
    public void Every_step_stands_in_the_document_with_its_permissions()
    {
        var document = File.ReadAllLines(Path.Combine(Repository.Root, "functions", "docs", "plans.md"));
        Assert.All(StepCatalogue.All, step =>
        {
            var row = Assert.Single(document, line => line.StartsWith($"| `{step.Id}` |", StringComparison.Ordinal));
            Assert.All(step.Permissions, permission => Assert.Contains($"`{permission}`", row, StringComparison.Ordinal));
            Assert.Contains(step.ReadBack, row, StringComparison.Ordinal);
            Assert.Contains(step.Undo ?? step.UndoNote!, row, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void What_is_not_proved_is_said()
    {
        var document = File.ReadAllText(Path.Combine(Repository.Root, "functions", "docs", "plans.md"));
        var catalogue = JObject.Parse(File.ReadAllText(Path.Combine(Repository.Root, "functions", "Offboarding", "Plans", "steps.json")));
        var unproved = catalogue["steps"]!.SelectMany(step => step["unproved"]?.Values<string>() ?? []).Concat(catalogue["inferredPermissions"]!.Values<string>()).ToList();

        Assert.Equal(20, unproved.Count);
        Assert.All(unproved, name => Assert.Contains($"`{name}`", document, StringComparison.Ordinal));
    }

    [Fact]
    public void The_example_of_the_document_is_a_policy()
    {
        var text = File.ReadAllText(Path.Combine(Repository.Root, "functions", "docs", "plans.md"));
        var example = text.Split("```json")[1].Split("```")[0];
        var faults = new DingFlow.Settings.SettingsFaults();
        var plans = PlanReader.Read(
            new ConfigurationBuilder().AddInMemoryCollection([new("Offboarding:Plan", example)]).Build(), faults);

        Assert.Empty(faults.All);
        Assert.Equal(["administrators", "contractors", "everybody"], plans.All.Select(plan => plan.Name));
    }
}
