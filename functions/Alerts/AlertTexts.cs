using System.Collections.Frozen;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Messaging;
using DingFlow.Transfers;

namespace DingFlow.Alerts;

/// <summary>A language in which people are told something.</summary>
public enum AlertLanguage
{
    /// <summary>English, <c>en</c>.</summary>
    [JsonStringEnumMemberName("en")]
    English,

    /// <summary>Chinese in traditional characters, <c>zh-Hant</c>.</summary>
    [JsonStringEnumMemberName("zh-Hant")]
    TraditionalChinese,

    /// <summary>Chinese in simplified characters, <c>zh-Hans</c>.</summary>
    [JsonStringEnumMemberName("zh-Hans")]
    SimplifiedChinese,

    /// <summary>Portuguese, <c>pt</c>.</summary>
    [JsonStringEnumMemberName("pt")]
    Portuguese,
}

/// <summary>The languages and their tags (BCP 47).</summary>
public static class AlertLanguages
{
    private static readonly FrozenDictionary<AlertLanguage, string> Tags = new Dictionary<AlertLanguage, string>
    {
        [AlertLanguage.English] = "en",
        [AlertLanguage.TraditionalChinese] = "zh-Hant",
        [AlertLanguage.SimplifiedChinese] = "zh-Hans",
        [AlertLanguage.Portuguese] = "pt",
    }.ToFrozenDictionary();

    /// <summary>Every language.</summary>
    public static IReadOnlyList<AlertLanguage> All { get; } = Enum.GetValues<AlertLanguage>();

    /// <summary>The tag, such as <c>zh-Hant</c>.</summary>
    public static string Tag(this AlertLanguage language) => Tags[language];

    /// <summary>The language of a tag, in any case; <see langword="false"/> when it is none of ours.</summary>
    public static bool TryParse(string? tag, out AlertLanguage language)
    {
        foreach (var (candidate, known) in Tags)
        {
            if (known.Equals(tag, StringComparison.OrdinalIgnoreCase))
            {
                language = candidate;
                return true;
            }
        }

        language = default;
        return false;
    }
}

/// <summary>An alert as people read it.</summary>
/// <param name="Title">One line.</param>
/// <param name="Lines">What follows it, a paragraph each.</param>
public sealed record AlertText(string Title, IReadOnlyList<string> Lines);

/// <summary>
/// What people are told, by alert type and language, as data: <c>Alerts/Texts/{area}.json</c>, and single words in
/// <c>Alerts/words.json</c>. A text has a title and lines. Placeholders are <c>{about}</c>, <c>{summary}</c>, <c>{severity}</c>,
/// <c>{occurredAt}</c> (Asia/Shanghai) and <c>{details.name}</c>; <c>{details.name:family}</c> puts the word that <c>words.json</c>
/// gives for the value in that family. A line whose placeholder has no value is left out.
/// </summary>
public sealed class AlertTexts
{
    private const string Folder = "Alerts/Texts/";
    private const string Words = "Alerts/words.json";
    private const string Nothing = "–";

    private static readonly Lazy<AlertTexts> Loaded = new(Load);

    private readonly FrozenDictionary<(string Type, AlertLanguage Language), AlertText> _texts;
    private readonly FrozenDictionary<(string Word, AlertLanguage Language), string> _words;

    private AlertTexts(Dictionary<(string, AlertLanguage), AlertText> texts, Dictionary<(string, AlertLanguage), string> words)
    {
        _texts = texts.ToFrozenDictionary();
        _words = words.ToFrozenDictionary();
        Types = _texts.Keys.Select(static key => key.Type).ToFrozenSet(StringComparer.Ordinal);
    }

    /// <summary>The texts that the program carries; read on first use.</summary>
    public static AlertTexts Default => Loaded.Value;

    /// <summary>The alert types that have texts.</summary>
    public IReadOnlySet<string> Types { get; }

    /// <summary>The areas that alerts belong to: the first part of their types.</summary>
    public static IReadOnlySet<string> Areas { get; } =
        DataFile.In(Folder).Select(static path => Path.GetFileNameWithoutExtension(path)).ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The words and phrases of <c>words.json</c>.</summary>
    internal IReadOnlySet<string> WordNames => _words.Keys.Select(static key => key.Word).ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The text as it is written, with its placeholders; <see langword="null"/> when there is none.</summary>
    public AlertText? Find(string type, AlertLanguage language) => _texts.GetValueOrDefault((type, language));

    /// <summary>A word or short phrase of <c>words.json</c>; <see langword="null"/> when there is none.</summary>
    public string? Word(string word, AlertLanguage language) => _words.GetValueOrDefault((word, language));

    /// <summary>The alert in a language. A type without texts, which only a newer sender can have, is told by its English summary.</summary>
    public AlertText Render(AlertMessage alert, AlertLanguage language)
    {
        ArgumentNullException.ThrowIfNull(alert);
        if (Find(alert.Type, language) is not { } text)
        {
            return new(alert.Summary, [.. alert.Details.Select(static detail => $"{detail.Key}: {detail.Value}")]);
        }

        var lines = text.Lines.Select(line => Fill(line, alert, language, out var complete) is var filled && complete ? filled : null).OfType<string>();
        return new(Fill(text.Title, alert, language, out _), [.. lines]);
    }

    private string Fill(string line, AlertMessage alert, AlertLanguage language, out bool complete)
    {
        complete = true;
        var filled = new StringBuilder(line.Length + 32);
        for (var at = 0; at < line.Length;)
        {
            var open = line.IndexOf('{', at);
            var close = open < 0 ? -1 : line.IndexOf('}', open);
            if (close < 0)
            {
                filled.Append(line, at, line.Length - at);
                break;
            }

            filled.Append(line, at, open - at);
            var value = Value(line[(open + 1)..close], alert, language);
            complete &= value is not null;
            filled.Append(value ?? Nothing);
            at = close + 1;
        }

        return filled.ToString();
    }

    private string? Value(string placeholder, AlertMessage alert, AlertLanguage language)
    {
        var (name, family) = placeholder.Split(':') is [var first, var second] ? (first, second) : (placeholder, null);
        var value = name switch
        {
            "about" => alert.About,
            "summary" => alert.Summary,
            "severity" => Word($"severity.{alert.Severity.ToString().ToLowerInvariant()}", language),
            "occurredAt" => LegalTime.Of(alert.OccurredAt).ToString("yyyy-MM-dd HH:mm 'UTC+8'", CultureInfo.InvariantCulture),
            _ when name.StartsWith("details.", StringComparison.Ordinal) => alert.Details.GetValueOrDefault(name["details.".Length..]),
            _ => throw new InvalidDataException($"An alert text has the placeholder {placeholder}, which does not exist."),
        };
        return value is { Length: > 0 } ? family is null ? value : Word($"{family}.{value}", language) ?? value : null;
    }

    private static AlertTexts Load()
    {
        var texts = new Dictionary<(string, AlertLanguage), AlertText>();
        foreach (var path in DataFile.In(Folder))
        {
            using var document = DataFile.Open(path);
            foreach (var type in document.RootElement.EnumerateObject())
            {
                foreach (var (language, text) in ByLanguage(type))
                {
                    texts.Add((type.Name, language), new(text.Text("title"), text.Texts("text")));
                }
            }
        }

        var words = new Dictionary<(string, AlertLanguage), string>();
        using var wordsDocument = DataFile.Open(Words);
        foreach (var word in wordsDocument.RootElement.EnumerateObject())
        {
            foreach (var (language, text) in ByLanguage(word))
            {
                words.Add((word.Name, language), text.GetString() ?? "");
            }
        }

        return new(texts, words);
    }

    private static IEnumerable<(AlertLanguage Language, JsonElement Text)> ByLanguage(JsonProperty entry) => entry.Value.EnumerateObject().Select(
        text => AlertLanguages.TryParse(text.Name, out var language)
            ? (language, text.Value)
            : throw new InvalidDataException($"{entry.Name} has a text in {text.Name}, which is none of the languages."));
}
