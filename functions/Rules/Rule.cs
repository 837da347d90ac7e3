using System.Text.Json.Serialization;

namespace DingFlow.Rules;

/// <summary>What a rule counts.</summary>
public enum RuleMeasure
{
    /// <summary>Data subjects for whom a predicate holds, from the ledger.</summary>
    DistinctSubjects,

    /// <summary>Persons whose information the exporter processes in all, as it reports them.</summary>
    ProcessedPersons,

    /// <summary>Persons whose face data the exporter stores, as it reports them.</summary>
    StoredFaces,

    /// <summary>1 when the exporter exports data that an authority has called important, as it reports.</summary>
    ImportantData,

    /// <summary>Persons hit by one incident.</summary>
    IncidentPersons,

    /// <summary>Persons whose sensitive information one incident hit.</summary>
    IncidentSensitivePersons,

    /// <summary>Persons hit by one incident to whom the GDPR applies.</summary>
    IncidentEeaPersons,
}

/// <summary>Whether a rule is law on a given day.</summary>
public enum RuleStatus
{
    /// <summary>Law.</summary>
    [JsonStringEnumMemberName("inForce")]
    InForce,

    /// <summary>No longer; evaluated only as a company's own policy.</summary>
    [JsonStringEnumMemberName("superseded")]
    Superseded,

    /// <summary>Enacted with a later date.</summary>
    [JsonStringEnumMemberName("notYetInForce")]
    NotYetInForce,

    /// <summary>Enacted without a date.</summary>
    [JsonStringEnumMemberName("notInForce")]
    NotInForce,
}

/// <summary>
/// Which duty a transfer out of the mainland is under, from light to heavy. When several rules are reached, the heaviest wins.
/// </summary>
public enum Tier
{
    /// <summary>Nothing was transferred, or no rule applies.</summary>
    [JsonStringEnumMemberName("NONE")]
    None,

    /// <summary>Exempt from the three mechanisms; notice, consent and impact assessment remain.</summary>
    [JsonStringEnumMemberName("EXEMPT")]
    Exempt,

    /// <summary>Standard contract or certification.</summary>
    [JsonStringEnumMemberName("SC_OR_CERT")]
    ScOrCert,

    /// <summary>Security assessment.</summary>
    [JsonStringEnumMemberName("SA")]
    Sa,
}

/// <summary>From when the working days run within which a rule wants something done.</summary>
public enum PeriodStart
{
    /// <summary>From the day on which the rule is reached.</summary>
    Reached,

    /// <summary>From the day on which the contract with the recipient takes effect, which only its parties know.</summary>
    Contract,
}

/// <summary>Which tier a consequence stands for.</summary>
public static class Tiers
{
    /// <summary>The tier; <see cref="Tier.None"/> for duties beside the tiers.</summary>
    public static Tier Of(string consequence) => consequence switch
    {
        "SA" => Tier.Sa,
        "SC_OR_CERT" => Tier.ScOrCert,
        "EXEMPT" => Tier.Exempt,
        _ => Tier.None,
    };
}

/// <summary>
/// The names of the ledger's counters that a rule looks at, by the two questions that law leaves open: do exempt transfers count, and
/// does a person with sensitive information exported count among the others as well.
/// </summary>
/// <param name="Counted">Without exempt transfers.</param>
/// <param name="WithExempt">With them.</param>
/// <param name="CountedExclusive">As <paramref name="Counted"/>, only persons with nothing sensitive.</param>
/// <param name="WithExemptExclusive">As <paramref name="WithExempt"/>, only persons with nothing sensitive.</param>
public sealed record RulePopulation(string Counted, string WithExempt, string CountedExclusive, string WithExemptExclusive);

/// <summary>The bounds of a count, both as whole persons: strict comparisons are brought into this form.</summary>
/// <param name="Lower">Reached from here; 0 when there is no lower bound.</param>
/// <param name="Upper">No longer reached from here; <see langword="null"/> when there is no upper bound.</param>
public sealed record RuleBounds(long Lower, long? Upper)
{
    /// <summary>The count lies within.</summary>
    public bool Hold(long count) => count >= Lower && (Upper is null || count < Upper);
}

/// <summary>A further condition of a rule.</summary>
/// <param name="Measure">What is counted.</param>
/// <param name="Population">Of whom, for distinct subjects.</param>
/// <param name="Bounds">Within which bounds.</param>
public sealed record RuleCondition(RuleMeasure Measure, RulePopulation? Population, RuleBounds Bounds);

/// <summary>
/// One rule of law, as data (<c>Rules/*.json</c>). Days are calendar days of Asia/Shanghai, inclusive.
/// </summary>
public sealed record Rule
{
    /// <summary>Its id, such as <c>CN24-SA-SPI</c>.</summary>
    public required string Id { get; init; }

    /// <summary>The set it belongs to.</summary>
    public required string RuleSet { get; init; }

    /// <summary>Law and article.</summary>
    public required string Basis { get; init; }

    /// <summary>First day in force; <see langword="null"/> when none is set.</summary>
    public DateOnly? From { get; init; }

    /// <summary>Last day in force; <see langword="null"/> while it is.</summary>
    public DateOnly? To { get; init; }

    /// <summary>Only for operators of critical infrastructure (<see langword="true"/>), only for others, or for all.</summary>
    public bool? Ciio { get; init; }

    /// <summary>Whose law, and which flow: <c>CN-export</c>, <c>MO-export</c> …</summary>
    public required string Jurisdiction { get; init; }

    /// <summary><c>any</c>, <c>general</c>, <c>sensitive</c>, <c>important</c>, <c>biometric</c>.</summary>
    public required string Category { get; init; }

    /// <summary>What it counts, of whom, and within which bounds.</summary>
    public required RuleCondition When { get; init; }

    /// <summary>What must hold besides.</summary>
    public IReadOnlyList<RuleCondition> Also { get; init; } = [];

    /// <summary>How many calendar years the window begins before the present one; <see langword="null"/> where nothing is accumulated.</summary>
    public int? YearsBack { get; init; }

    /// <summary>Exempt transfers count, unless the settings say otherwise.</summary>
    public bool CountExempt { get; init; }

    /// <summary>The duty, such as <c>SA</c> or <c>OFFICER_REPORT</c>.</summary>
    public required string Consequence { get; init; }

    /// <summary>The tier that the consequence stands for; <see cref="Tier.None"/> for duties beside the tiers.</summary>
    public Tier Tier => Tiers.Of(Consequence);

    /// <summary>Working days within which to act once reached; <see langword="null"/> when the rule names none.</summary>
    public int? WorkingDays { get; init; }

    /// <summary>From when <see cref="WorkingDays"/> run; <see langword="null"/> when the rule names none.</summary>
    public PeriodStart? WorkingDaysFrom { get; init; }

    /// <summary>Keys of sources.</summary>
    public IReadOnlyList<string> Sources { get; init; } = [];

    /// <summary>How well founded it is: C confirmed, P partly, M from memory, I inference.</summary>
    public required string Mark { get; init; }

    /// <summary>What else to know.</summary>
    public string? Note { get; init; }

    /// <summary>Alerts at percentages of the lower bound make sense; otherwise only the transition does.</summary>
    public bool HasAlertLevels => When.Bounds.Lower > 1;

    /// <summary>Whether it is law on a day.</summary>
    public RuleStatus StatusOn(DateOnly day) =>
        From is null ? RuleStatus.NotInForce
        : day < From ? RuleStatus.NotYetInForce
        : To is { } last && day > last ? RuleStatus.Superseded
        : RuleStatus.InForce;

    /// <summary>The first day of the window on a day; <see langword="null"/> where nothing is accumulated.</summary>
    public DateOnly? WindowStart(DateOnly day) => YearsBack is { } years ? new(day.Year - years, 1, 1) : null;
}

/// <summary>Rules that belong together.</summary>
/// <param name="Id">Its id, as <c>Transfers:RuleSets</c> names it.</param>
/// <param name="Name">For people.</param>
/// <param name="ListedWhenTouched">Evaluated without being asked for, and listed when one of its rules is touched; otherwise only when chosen.</param>
/// <param name="Rules">The rules.</param>
public sealed record RuleSet(string Id, string Name, bool ListedWhenTouched, IReadOnlyList<Rule> Rules);
