using System.Text.RegularExpressions;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Documentation;

/// <summary>Arrows point down: a folder of <c>functions/</c> knows those before it in the list and no other, so there are no import circles.</summary>
public sealed partial class LayerTests
{
    private static readonly string[] s_layers =
    [
        // What knows nothing of the product, and the ports with their adapters: no adapter knows a domain.
        "Remote", "Settings", "Telemetry", "Storage", "Messaging",
        // Who drives functions, and what only serves drills and operators.
        "Hosting", "Sandbox", "Parking",
        // Clients of other systems.
        "DingTalk", "Entra",
        // Domains. The intake knows no handler: it only enqueues.
        "Intake", "HrSystems", "Scim", "Audit", "Transfers", "Rules", "Alerts", "Reports", "Offboarding", "Signals",
        // The command line.
        "Commands",
    ];

    [Fact]
    public void Each_folder_of_code_has_a_place() => Assert.Equal(s_layers.Order(), Sources().Keys.Order());

    [Fact]
    public void A_folder_knows_only_those_below_it()
    {
        var upward = from folder in Sources()
                     from file in folder.Value
                     from used in Used(File.ReadAllText(file))
                     where used != folder.Key && Array.IndexOf(s_layers, used) > Array.IndexOf(s_layers, folder.Key)
                     select $"{Path.GetRelativePath(Repository.Root, file)} uses {used}";
        Assert.Empty(upward);
    }

    [Theory]
    [InlineData("Intake", "Offboarding")]
    [InlineData("Intake", "Transfers")]
    [InlineData("Transfers", "Offboarding")]
    [InlineData("Offboarding", "Transfers")]
    [InlineData("Offboarding", "Alerts")]
    [InlineData("Transfers", "Alerts")]
    [InlineData("Transfers", "Audit")]
    [InlineData("Offboarding", "Audit")]
    public void Domains_meet_in_messages_only(string folder, string other) =>
        Assert.DoesNotContain(other, Sources()[folder].SelectMany(static file => Used(File.ReadAllText(file))));

    private static Dictionary<string, string[]> Sources() => Directory.GetDirectories(Path.Combine(Repository.Root, "functions"))
        .Where(static folder => Path.GetFileName(folder) is not ("bin" or "obj"))
        .Select(static folder => (Name: Path.GetFileName(folder), Files: Directory.GetFiles(folder, "*.cs", SearchOption.AllDirectories)))
        .Where(static folder => folder.Files.Length > 0)
        .ToDictionary(static folder => folder.Name, static folder => folder.Files);

    private static IEnumerable<string> Used(string source) => Namespace().Matches(source).Select(static match => match.Groups["folder"].Value).Where(s_layers.Contains);

    [GeneratedRegex(@"(?:^using (?:static )?|[\s(<])DingFlow\.(?<folder>[A-Z]\w+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();
}
