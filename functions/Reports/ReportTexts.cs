using System.Collections.Frozen;
using System.Text.Json;
using DingFlow.Alerts;
using DingFlow.Transfers;

namespace DingFlow.Reports;

/// <summary>The words of the reports in four languages, as data: <c>Reports/labels.json</c> and <c>Reports/filings.json</c>.</summary>
internal sealed class ReportTexts
{
    private static readonly Lazy<ReportTexts> Loaded = new(Load);

    private readonly FrozenDictionary<(string Label, AlertLanguage Language), string> _labels;
    private readonly IReadOnlyList<(string Filing, IReadOnlyList<Item> Items)> _filings;

    private ReportTexts(Dictionary<(string, AlertLanguage), string> labels, IReadOnlyList<(string, IReadOnlyList<Item>)> filings) =>
        (_labels, _filings) = (labels.ToFrozenDictionary(), filings);

    public static ReportTexts Default => Loaded.Value;

    /// <summary>The labels that there are.</summary>
    public IReadOnlySet<string> Labels => _labels.Keys.Select(static key => key.Label).ToFrozenSet(StringComparer.Ordinal);

    /// <summary>A label; the words of alerts (<c>tier.SA</c>, <c>consequence.SA</c> …) are labels too.</summary>
    public string Label(string name, AlertLanguage language) => Find(name, language) ?? name;

    /// <summary>A label that may be missing.</summary>
    public string? Find(string name, AlertLanguage language) =>
        _labels.GetValueOrDefault((name, language)) ?? AlertTexts.Default.Word(name, language);

    /// <summary>What each filing asks for.</summary>
    public IReadOnlyList<ReportFiling> Filings(AlertLanguage language) =>
        [.. _filings.Select(filing => new ReportFiling(filing.Filing, [.. filing.Items.Select(item => new ReportFilingItem(item.Texts[language], item.Source, item.Answer))]))];

    private static ReportTexts Load()
    {
        var labels = new Dictionary<(string, AlertLanguage), string>();
        using var labelsDocument = DataFile.Open("Reports/labels.json");
        foreach (var label in labelsDocument.RootElement.EnumerateObject())
        {
            foreach (var (language, text) in ByLanguage(label.Value))
            {
                labels.Add((label.Name, language), text);
            }
        }

        using var filings = DataFile.Open("Reports/filings.json");
        return new(labels, [.. filings.RootElement.EnumerateObject().Select(static filing => (filing.Name, (IReadOnlyList<Item>)
            [.. filing.Value.EnumerateArray().Select(static item => new Item(
                ByLanguage(item.GetProperty("item")).ToDictionary(), item.Text("source"), item.OptionalText("answer")))]))]);
    }

    private static IEnumerable<(AlertLanguage Language, string Text)> ByLanguage(JsonElement element) =>
        element.EnumerateObject().Select(static text => AlertLanguages.TryParse(text.Name, out var language)
            ? (language, text.Value.GetString() ?? "")
            : throw new InvalidDataException($"{text.Name} is none of the languages."));

    private sealed record Item(IReadOnlyDictionary<AlertLanguage, string> Texts, string Source, string? Answer);
}
