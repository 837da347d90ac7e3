using System.Reflection;
using DingFlow.Messaging;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Audit;

/// <summary>The documentation lists every kind of entry there is, with what it says and how long it is kept.</summary>
public sealed class AuditDocumentationTests
{
    [Fact]
    public async Task Every_kind_is_documented_and_every_documented_kind_exists()
    {
        var declared = typeof(AuditKind).Assembly.GetTypes()
            .SelectMany(static type => type.GetProperties(BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic))
            .Where(static property => property.PropertyType == typeof(AuditKind))
            .Select(static property => (AuditKind)property.GetValue(null)!)
            .Select(static kind => $"| `{kind.Name}` | {(kind.Retention == AuditRetention.Legal ? "legal" : "operational")} | {kind.Meaning} |")
            .Order(StringComparer.Ordinal).ToList();
        var lines = await File.ReadAllLinesAsync(Path.Combine(Repository.Root, "functions", "docs", "audit.md"), TestContext.Current.CancellationToken);
        var documented = lines.SkipWhile(static line => line != "## Kinds").Where(static line => line.StartsWith("| `", StringComparison.Ordinal)).ToList();

        Assert.Equal(declared.Distinct(), documented.Order(StringComparer.Ordinal));
        Assert.Equal(declared.Count, declared.Distinct().Count());
    }
}
