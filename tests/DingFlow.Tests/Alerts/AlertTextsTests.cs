using System.Text.RegularExpressions;
using DingFlow.Alerts;
using DingFlow.Messaging;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Alerts;

/// <summary>Whatever the program tells people, it can tell in four languages.</summary>
public sealed partial class AlertTextsTests
{
    private static readonly string[] Fields = ["about", "summary", "severity", "occurredAt"];

    public static TheoryData<string> Types() => [.. TypesInTheCode().Order(StringComparer.Ordinal)];

    [Theory]
    [MemberData(nameof(Types))]
    public void Every_alert_type_of_the_code_has_a_text_in_every_language(string type)
    {
        var languages = AlertLanguages.All.Where(language => AlertTexts.Default.Find(type, language) is { Title.Length: > 0, Lines.Count: > 0 });

        Assert.Equal(AlertLanguages.All, languages);
    }

    [Fact]
    public void Every_text_belongs_to_a_type_of_the_code() =>
        Assert.Empty(AlertTexts.Default.Types.Except(TypesInTheCode(), StringComparer.Ordinal));

    /// <summary>Composed types would hide from the test above.</summary>
    [Fact]
    public void Alert_types_stand_in_the_code_as_they_are() =>
        Assert.Empty(Sources().SelectMany(static source => ComposedType().Matches(source).Select(static match => match.Value)));

    [Theory]
    [MemberData(nameof(Types))]
    public void The_languages_of_a_text_have_the_same_placeholders_and_no_line_is_empty(string type)
    {
        var texts = AlertLanguages.All.Select(language => AlertTexts.Default.Find(type, language)!).ToList();

        Assert.All(texts.SelectMany(static text => text.Lines.Append(text.Title)), line =>
        {
            Assert.False(string.IsNullOrWhiteSpace(line));
            Assert.All(PlaceholdersOf(line), name => Assert.True(Fields.Contains(name) || name.StartsWith("details.", StringComparison.Ordinal), name));
        });
        var expected = PlaceholdersOf(texts[0]);
        Assert.All(texts, text => Assert.Equal(expected, PlaceholdersOf(text)));
    }

    [Fact]
    public void Placeholders_are_filled_and_lines_without_their_value_are_left_out()
    {
        var alert = new AlertMessage
        {
            AlertId = "a", Type = "messaging.parked", Severity = AlertSeverity.Critical, OccurredAt = DateTimeOffset.UnixEpoch,
            Summary = "A message could not be handled and was set aside.", About = "offboarding",
            Details = new Dictionary<string, string> { ["parkedId"] = "p-1" },
        };

        var text = AlertTexts.Default.Render(alert, AlertLanguage.Portuguese);

        Assert.Equal("Uma mensagem não pôde ser tratada e foi posta de lado", text.Title);
        Assert.Equal(["Corrija a causa e repita a mensagem.", "Fila: offboarding", "Mensagem: p-1"], text.Lines);
    }

    [Fact]
    public void A_value_of_a_family_is_put_in_words_and_an_unknown_one_stays()
    {
        AlertMessage Alert(string status) => new()
        {
            AlertId = "a", Type = "thresholds.level", Severity = AlertSeverity.Warning, OccurredAt = DateTimeOffset.UnixEpoch, Summary = "s",
            Details = new Dictionary<string, string> { ["rule"] = "CN24-SA-SPI", ["ruleSet"] = "cn-2024", ["status"] = status },
        };

        Assert.Contains("規則：CN24-SA-SPI（cn-2024，現行有效）", AlertTexts.Default.Render(Alert("inForce"), AlertLanguage.TraditionalChinese).Lines);
        Assert.Contains("規則：CN24-SA-SPI（cn-2024，odd）", AlertTexts.Default.Render(Alert("odd"), AlertLanguage.TraditionalChinese).Lines);
    }

    /// <summary>During a rolling upgrade an older instance may meet an alert of a newer one.</summary>
    [Fact]
    public void A_type_without_texts_is_told_by_its_summary()
    {
        var alert = new AlertMessage
        {
            AlertId = "a", Type = "later.version", Severity = AlertSeverity.Warning, OccurredAt = DateTimeOffset.UnixEpoch, Summary = "Something new.",
            Details = new Dictionary<string, string> { ["what"] = "it" },
        };

        var text = AlertTexts.Default.Render(alert, AlertLanguage.SimplifiedChinese);

        Assert.Equal(("Something new.", "what: it"), (text.Title, Assert.Single(text.Lines)));
    }

    [Fact]
    public void Every_word_is_in_every_language() => Assert.All(AlertTexts.Default.WordNames, static word =>
        Assert.All(AlertLanguages.All, language => Assert.False(string.IsNullOrWhiteSpace(AlertTexts.Default.Word(word, language)))));

    [Theory]
    [InlineData("en", AlertLanguage.English)]
    [InlineData("zh-hant", AlertLanguage.TraditionalChinese)]
    [InlineData("ZH-HANS", AlertLanguage.SimplifiedChinese)]
    [InlineData("pt", AlertLanguage.Portuguese)]
    public void A_language_is_known_by_its_tag(string tag, AlertLanguage expected)
    {
        Assert.True(AlertLanguages.TryParse(tag, out var language));
        Assert.Equal(expected, language);
        Assert.Equal(tag, language.Tag(), ignoreCase: true);
        Assert.False(AlertLanguages.TryParse("fr", out _));
    }

    private static HashSet<string> TypesInTheCode() => Sources()
        .SelectMany(static source => TypeLiteral().Matches(source).Select(static match => match.Groups[1].Value))
        .ToHashSet(StringComparer.Ordinal);

    /// <summary>Files that make alerts.</summary>
    private static IEnumerable<string> Sources() => Directory
        .EnumerateFiles(Path.Combine(Repository.Root, "functions"), "*.cs", SearchOption.AllDirectories)
        .Where(static path => !path.Contains($"{Path.DirectorySeparatorChar}obj{Path.DirectorySeparatorChar}", StringComparison.Ordinal))
        .Select(File.ReadAllText)
        .Where(static source => source.Contains("AlertSeverity.", StringComparison.Ordinal));

    private static SortedSet<string> PlaceholdersOf(AlertText text) => [.. text.Lines.Append(text.Title).SelectMany(PlaceholdersOf)];

    private static IEnumerable<string> PlaceholdersOf(string line) => Placeholder().Matches(line).Select(static match => match.Groups[1].Value);

    [GeneratedRegex("""
        "((?:offboarding|intake|hr|messaging|alerts|thresholds|transfers|approvals|moderation|posture|audit|signals|console|incidents)\.[a-z][a-z_]*)"
        """)]
    private static partial Regex TypeLiteral();

    [GeneratedRegex("""\bType = (?:\$"|"[^"]*" \+)[^,]*""")]
    private static partial Regex ComposedType();

    [GeneratedRegex(@"\{([A-Za-z.0-9]+)(?::[a-z]+)?\}")]
    private static partial Regex Placeholder();
}
