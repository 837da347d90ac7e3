using System.Text.Json;
using System.Text.RegularExpressions;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Documentation;

/// <summary>What is written about the settings is true of the program.</summary>
public sealed partial class SettingsDocumentationTests
{
    private static string Settings => Document("settings.md") + Document("hr-systems.md");

    private static string Document(string name) => File.ReadAllText(Path.Combine(Repository.Root, "functions", "docs", name));

    [Fact]
    public void Every_setting_that_the_program_reads_is_documented()
    {
        var sources = Directory.EnumerateFiles(Path.Combine(Repository.Root, "functions"), "*.cs", SearchOption.AllDirectories)
            .Where(f => !f.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal));
        var read = sources.Select(File.ReadAllText).Where(s => s.Contains("SettingsReader", StringComparison.Ordinal)).SelectMany(s => ReadCall().Matches(s).Select(m => m.Groups[1].Value)).ToHashSet(StringComparer.Ordinal);

        Assert.True(read.Count > 40, $"only {read.Count} settings found: has the way of reading changed?");
        var documented = Settings;
        Assert.All(read, name => Assert.Matches($@"[:`]{Regex.Escape(name)}[`:]", documented));
    }

    [Fact]
    public void Every_setting_of_the_sample_is_documented()
    {
        using var sample = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Root, "local.settings.sample.json")));
        string[] ofTheHost = ["FUNCTIONS_WORKER_RUNTIME", "AzureWebJobsStorage"];
        var names = sample.RootElement.GetProperty("Values").EnumerateObject().Select(v => v.Name).Except(ofTheHost, StringComparer.Ordinal);

        Assert.All(names, name => Assert.Matches($@"[:`]{Regex.Escape(name.Split(':').Last(part => !part.All(char.IsAsciiDigit)))}[`:]", Settings));
    }

    [GeneratedRegex(@"\.(?:Text|Required|Boolean|Number|Duration|Choice|Address|Key|List|Children)\(\s*""([A-Z][A-Za-z:]*)""")]
    private static partial Regex ReadCall();
}
