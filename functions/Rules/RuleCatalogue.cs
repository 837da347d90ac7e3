using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DingFlow.Transfers;

namespace DingFlow.Rules;

/// <summary>Every rule that the program carries, read on first use.</summary>
public sealed class RuleCatalogue
{
    private static readonly Lazy<RuleCatalogue> Loaded = new(Load);

    private RuleCatalogue(IReadOnlyList<RuleSet> ruleSets, string fingerprint) => (RuleSets, Fingerprint) = (ruleSets, fingerprint);

    /// <summary>The rules.</summary>
    public static RuleCatalogue Default => Loaded.Value;

    /// <summary>The rule sets, by id.</summary>
    public IReadOnlyList<RuleSet> RuleSets { get; }

    /// <summary>A digest of all rules, for filings: 16 hexadecimal digits.</summary>
    public string Fingerprint { get; }

    private static RuleCatalogue Load()
    {
        var ruleSets = new List<RuleSet>();
        using var digest = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var path in DataFile.In("Rules/").Where(path => !path.StartsWith("Rules/Calendar/", StringComparison.Ordinal)))
        {
            using var document = DataFile.Open(path);
            var root = document.RootElement;
            digest.AppendData(Encoding.UTF8.GetBytes(root.GetRawText()));
            ruleSets.Add(new(
                root.Text("ruleSet"), root.Text("name"), root.Text("listed") == "whenTouched",
                [.. root.Items("rules").Select(RuleOf)]));
        }

        if (ruleSets.SelectMany(set => set.Rules).GroupBy(rule => rule.Id).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            throw new InvalidDataException($"There are two rules {twice.Key}.");
        }

        return new(ruleSets, Convert.ToHexStringLower(digest.GetHashAndReset().AsSpan(0, 8)));
    }

    private static Rule RuleOf(JsonElement element)
    {
        var (effective, scope, window) = (element.GetProperty("effective"), element.GetProperty("scope"), element.GetProperty("window"));
        return new()
        {
            Id = element.Text("id"),
            RuleSet = element.Text("ruleSet"),
            Basis = element.Text("basis"),
            From = Day(effective.OptionalText("from")),
            To = Day(effective.OptionalText("to")),
            Ciio = scope.OptionalBoolean("ciio"),
            Jurisdiction = scope.Text("jurisdiction"),
            Category = element.Text("category"),
            When = ConditionOf(element),
            Also = [.. element.Items("also").Select(ConditionOf)],
            YearsBack = window.Text("kind") == "calendarYearToDate" ? (int?)window.OptionalNumber("yearsBack") ?? 0 : null,
            CountExempt = element.OptionalBoolean("countExempt") == true,
            Consequence = element.Text("consequence"),
            WorkingDays = (int?)element.OptionalNumber("workingDays"),
            WorkingDaysFrom = PeriodStartOf(element),
            Sources = element.Texts("sources"),
            Mark = element.Text("mark"),
            Note = element.OptionalText("note"),
        };
    }

    private static PeriodStart? PeriodStartOf(JsonElement element) =>
        (element.OptionalNumber("workingDays"), element.OptionalText("workingDaysFrom")) switch
        {
            (null, null) => null,
            (not null, "reached") => PeriodStart.Reached,
            (not null, "contract") => PeriodStart.Contract,
            _ => throw new InvalidDataException("Working days run from what was reached or from a contract."),
        };

    private static RuleCondition ConditionOf(JsonElement element)
    {
        var word = element.Text("measure");
        if (!Enum.TryParse<RuleMeasure>(word, ignoreCase: true, out var measure))
        {
            throw new InvalidDataException($"There is no measure {word}.");
        }

        RulePopulation? population = null;
        if (element.TryGetProperty("population", out var names))
        {
            var (counted, withExempt) = (names.Text("counted"), names.Text("withExempt"));
            population = new(
                counted, withExempt, names.OptionalText("countedExclusive") ?? counted, names.OptionalText("withExemptExclusive") ?? withExempt);
        }

        return population is null == (measure == RuleMeasure.DistinctSubjects)
            ? throw new InvalidDataException("A population belongs to distinct subjects, and to nothing else.")
            : new(measure, population, BoundsOf(element.GetProperty("when")));
    }

    private static RuleBounds BoundsOf(JsonElement when)
    {
        var limit = when.OptionalNumber("limit") ?? throw new InvalidDataException("A rule has no limit.");
        return when.Text("op") switch
        {
            "any" or "gte" => new(limit, null),
            "gt" => new(limit + 1, null),
            "lt" => new(0, limit),
            "range" => new(limit, when.OptionalNumber("below") ?? throw new InvalidDataException("A range has two limits.")),
            var op => throw new InvalidDataException($"There is no comparison {op}."),
        };
    }

    private static DateOnly? Day(string? text) =>
        text is null ? null : DateOnly.ParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture);
}
