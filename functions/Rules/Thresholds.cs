using System.Text.Json.Serialization;

namespace DingFlow.Rules;

/// <summary>How an exporter stands against the rules; the JSON of <c>GET /api/thresholds</c>.</summary>
/// <param name="Exporter">The exporter's id.</param>
/// <param name="AsOf">At which moment.</param>
/// <param name="Tier">
/// The heaviest consequence reached under rules in force; when no chosen set is in force at that moment, the heaviest reached at all.
/// </param>
/// <param name="Tiers">The same for each rule set by itself: sets are never mixed in one number.</param>
/// <param name="Rules">Every rule of the chosen sets, and of the other sets those that are touched.</param>
public sealed record Thresholds(
    string Exporter, DateTimeOffset AsOf, Tier Tier, IReadOnlyDictionary<string, Tier> Tiers, IReadOnlyList<ThresholdRule> Rules)
{
    /// <summary>
    /// Tiers that were ever reached, until a person has reviewed them and after; <see langword="null"/> where they were not looked up.
    /// </summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<LatchedTier>? Latched { get; init; }
}

/// <summary>How an exporter stands against one rule.</summary>
public sealed record ThresholdRule
{
    /// <summary>The rule's id.</summary>
    public required string Rule { get; init; }

    /// <summary>Its set.</summary>
    public required string RuleSet { get; init; }

    /// <summary>Whether it is law at the moment.</summary>
    public required RuleStatus Status { get; init; }

    /// <summary>Law and article.</summary>
    public required string Basis { get; init; }

    /// <summary>What is counted: from its first day to the present.</summary>
    public required ThresholdWindow Window { get; init; }

    /// <summary>The count that decides.</summary>
    public required long Count { get; init; }

    /// <summary>Reached from here.</summary>
    public required long Lower { get; init; }

    /// <summary>No longer reached from here.</summary>
    public required long? Upper { get; init; }

    /// <summary>Count by lower bound; for a rule with an upper bound only (exemption by volume), count by upper bound.</summary>
    public required double Share { get; init; }

    /// <summary>The count lies within the bounds, the rule applies to the exporter, and what it asks besides holds.</summary>
    public required bool Reached { get; init; }

    /// <summary>When the lower bound will be reached.</summary>
    public required ThresholdForecast Forecast { get; init; }

    /// <summary>The duty.</summary>
    public required string Consequence { get; init; }

    /// <summary>The tier that the duty stands for.</summary>
    [JsonIgnore]
    public Tier Tier => Tiers.Of(Consequence);

    /// <summary>Working days within which to act; <see langword="null"/> when the rule names none.</summary>
    [JsonIgnore]
    public int? WorkingDays { get; init; }

    /// <summary>From when <see cref="WorkingDays"/> run.</summary>
    [JsonIgnore]
    public PeriodStart? WorkingDaysFrom { get; init; }

    /// <summary>The rule is meant for this kind of exporter.</summary>
    public required bool Applicable { get; init; }

    /// <summary>What the rule asks besides holds: an alert on the count alone means something.</summary>
    [JsonIgnore]
    public bool ConditionsHold { get; init; } = true;

    /// <summary>Both totals, whichever of them decides; <see langword="null"/> where nothing is accumulated.</summary>
    public ThresholdTotals? Totals { get; init; }

    /// <summary>The ledger's counter that decides; <see langword="null"/> where the exporter reports the number.</summary>
    public string? Predicate { get; init; }

    /// <summary>How well founded the rule is.</summary>
    public required string Mark { get; init; }

    /// <summary>Keys of sources.</summary>
    public required IReadOnlyList<string> Sources { get; init; }
}

/// <summary>Days of Asia/Shanghai, inclusive.</summary>
/// <param name="From">The first day; <see langword="null"/> where nothing is accumulated.</param>
/// <param name="To">The last day: today.</param>
public sealed record ThresholdWindow(DateOnly? From, DateOnly To);

/// <summary>How a forecast was found.</summary>
public enum ForecastBasis
{
    /// <summary>There is no forecast.</summary>
    None,

    /// <summary>As a straight line.</summary>
    StraightLine,

    /// <summary>Each weekday as it has been.</summary>
    ByWeekday,
}

/// <summary>When a limit will be reached.</summary>
/// <param name="Date">The day in Asia/Shanghai; <see langword="null"/> when it is not to be expected within the window, or cannot be said.</param>
/// <param name="Method">How it was found, or why there is none.</param>
public sealed record ThresholdForecast(DateOnly? Date, string Method)
{
    /// <summary>How it was found, for those who put it in words of their own.</summary>
    [JsonIgnore]
    public ForecastBasis Basis { get; init; }

    /// <summary>Nobody asked for one.</summary>
    public static ThresholdForecast None { get; } = new(null, "none");
}

/// <summary>A count without and with exempt transfers.</summary>
/// <param name="Counted">Without.</param>
/// <param name="WithExempt">With.</param>
public sealed record ThresholdTotals(long Counted, long WithExempt);

/// <summary>JSON of the rules' answers.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(Thresholds))]
[JsonSerializable(typeof(LatchedTierList))]
[JsonSerializable(typeof(TierReviewRequest))]
internal sealed partial class RulesJson : JsonSerializerContext;
