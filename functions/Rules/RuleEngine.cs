using DingFlow.Settings;
using DingFlow.Transfers;

namespace DingFlow.Rules;

/// <summary>Says when a counter will reach a number, from what the ledger knows of its days.</summary>
/// <param name="predicate">The ledger's counter.</param>
/// <param name="count">Where it stands.</param>
/// <param name="lower">The number.</param>
public delegate ThresholdForecast ForecastCrossing(string predicate, long count, long lower);

/// <summary>How many persons one incident hit. Rules on incidents look at one by itself.</summary>
/// <param name="Persons">Persons hit.</param>
/// <param name="SensitivePersons">Those whose sensitive information it hit.</param>
/// <param name="EeaPersons">Those to whom the GDPR applies.</param>
public sealed record IncidentSize(long Persons = 0, long SensitivePersons = 0, long EeaPersons = 0)
{
    /// <summary>There is no incident.</summary>
    public static IncidentSize None { get; } = new();

    /// <summary>The largest of each number: each rule then stands as it does for the incident that matters to it most.</summary>
    public static IncidentSize Largest(IEnumerable<Incident> incidents) => incidents.Aggregate(
        None, static (size, incident) => new(
            Math.Max(size.Persons, incident.Persons), Math.Max(size.SensitivePersons, incident.SensitivePersons), Math.Max(size.EeaPersons, incident.EeaPersons)));
}

/// <summary>Compares counters with the rules. Pure: the same numbers give the same answer.</summary>
public sealed class RuleEngine
{
    private readonly TransfersOptions _options;
    private readonly IReadOnlyList<(RuleSet Set, bool Chosen)> _ruleSets;

    private RuleEngine(TransfersOptions options, IReadOnlyList<(RuleSet Set, bool Chosen)> ruleSets) =>
        (_options, _ruleSets) = (options, ruleSets);

    /// <summary>An engine for the rule sets that the settings choose. A set or rule that does not exist is added to the faults.</summary>
    public static RuleEngine Create(TransfersOptions options, SettingsFaults faults)
    {
        var catalogue = RuleCatalogue.Default;
        foreach (var unknown in options.RuleSets.Where(id => !catalogue.RuleSets.Any(set => Same(set.Id, id))))
        {
            faults.Add("Transfers:RuleSets", $"{unknown} is none of {string.Join(", ", catalogue.RuleSets.Select(set => set.Id))}");
        }

        foreach (var unknown in options.CountExemptByRule.Keys.Where(id => !catalogue.RuleSets.SelectMany(set => set.Rules).Any(rule => Same(rule.Id, id))))
        {
            faults.Add($"Transfers:Rules:{unknown}:CountExempt", "there is no such rule");
        }

        return new(options, [.. catalogue.RuleSets
            .Select(set => (Set: set, Chosen: options.RuleSets.Any(id => Same(set.Id, id))))
            .Where(entry => entry.Chosen || entry.Set.ListedWhenTouched)]);
    }

    /// <summary>The counters of the ledger that an evaluation looks at.</summary>
    public IReadOnlySet<string> Predicates => _ruleSets
        .SelectMany(entry => entry.Set.Rules)
        .SelectMany(rule => rule.Also.Prepend(rule.When))
        .Select(condition => condition.Population)
        .OfType<RulePopulation>()
        .SelectMany(population => (IEnumerable<string>)[population.Counted, population.WithExempt, population.CountedExclusive, population.WithExemptExclusive])
        .ToHashSet(StringComparer.Ordinal);

    /// <summary>Compares an exporter's counters with the rules.</summary>
    /// <param name="exporter">Whose, with the numbers that it reports itself.</param>
    /// <param name="counters">The ledger's counters of the calendar year of <paramref name="asOf"/> in Asia/Shanghai, by predicate; absent is 0.</param>
    /// <param name="asOf">The moment.</param>
    /// <param name="forecast">Says when a bound will be reached; without it no forecast is made.</param>
    /// <param name="incident">The incident at hand; of several, the largest (<see cref="IncidentSize.Largest"/>).</param>
    public Thresholds Evaluate(
        Exporter exporter, IReadOnlyDictionary<string, long> counters, DateTimeOffset asOf, ForecastCrossing? forecast = null,
        IncidentSize? incident = null)
    {
        ArgumentNullException.ThrowIfNull(exporter);
        var numbers = new Numbers(exporter, counters, incident ?? IncidentSize.None);
        var day = LegalTime.DayOf(asOf);
        var rules = new List<ThresholdRule>();
        var tiers = new SortedDictionary<string, Tier>(StringComparer.Ordinal);
        var (inForce, any, someInForce) = (Tier.None, Tier.None, false);
        foreach (var (set, chosen) in _ruleSets)
        {
            foreach (var rule in set.Rules)
            {
                var standing = Evaluate(rule, numbers, day, forecast);
                if (!chosen && standing.Count == 0 && standing.Totals is not { WithExempt: > 0 })
                {
                    continue;
                }

                rules.Add(standing);
                if (rule.Tier == Tier.None)
                {
                    continue;
                }

                var tier = standing.Reached ? rule.Tier : Tier.None;
                tiers[set.Id] = Heavier(tiers.GetValueOrDefault(set.Id), tier);
                any = Heavier(any, tier);
                if (standing.Status == RuleStatus.InForce)
                {
                    someInForce = true;
                    inForce = Heavier(inForce, tier);
                }
            }
        }

        return new(exporter.Id, LegalTime.Of(asOf), someInForce ? inForce : any, tiers, rules);
    }

    /// <summary>How one incident stands against every rule on incidents, those of all sets.</summary>
    public IReadOnlyList<ThresholdRule> EvaluateIncident(Exporter exporter, IncidentSize incident, DateTimeOffset asOf)
    {
        ArgumentNullException.ThrowIfNull(exporter);
        var numbers = new Numbers(exporter, new Dictionary<string, long>(), incident);
        var day = LegalTime.DayOf(asOf);
        return [.. _ruleSets.SelectMany(static entry => entry.Set.Rules)
            .Where(static rule => rule.When.Measure is RuleMeasure.IncidentPersons or RuleMeasure.IncidentSensitivePersons or RuleMeasure.IncidentEeaPersons)
            .Select(rule => Evaluate(rule, numbers, day, null))];
    }

    private ThresholdRule Evaluate(Rule rule, Numbers numbers, DateOnly day, ForecastCrossing? forecast)
    {
        var (bounds, population) = (rule.When.Bounds, rule.When.Population);
        var predicate = PredicateOf(rule, population);
        var count = numbers.Of(rule.When.Measure, predicate);
        var applicable = rule.Ciio is null || rule.Ciio == numbers.Exporter.Ciio;
        var conditionsHold = rule.Also.All(
            condition => condition.Bounds.Hold(numbers.Of(condition.Measure, PredicateOf(rule, condition.Population))));
        var reached = applicable && bounds.Hold(count) && conditionsHold;
        return new()
        {
            Rule = rule.Id,
            RuleSet = rule.RuleSet,
            Status = rule.StatusOn(day),
            Basis = rule.Basis,
            Window = new(rule.WindowStart(day), day),
            Count = count,
            Lower = bounds.Lower,
            Upper = bounds.Upper,
            Share = (double)count / (bounds.Lower > 0 ? bounds.Lower : bounds.Upper ?? 1),
            Reached = reached,
            Forecast = predicate is null || forecast is null || !applicable ? ThresholdForecast.None
                : count >= bounds.Lower ? new(null, bounds.Lower > 0 ? "reached" : "no lower bound")
                : forecast(predicate, count, bounds.Lower),
            Consequence = rule.Consequence,
            WorkingDays = rule.WorkingDays,
            WorkingDaysFrom = rule.WorkingDaysFrom,
            Applicable = applicable,
            ConditionsHold = conditionsHold,
            Totals = population is null ? null : new(
                numbers.Of(RuleMeasure.DistinctSubjects, Exclusive ? population.CountedExclusive : population.Counted),
                numbers.Of(RuleMeasure.DistinctSubjects, Exclusive ? population.WithExemptExclusive : population.WithExempt)),
            Predicate = predicate,
            Mark = rule.Mark,
            Sources = rule.Sources,
        };
    }

    private bool Exclusive => _options.Overlap == CountingOverlap.Exclusive;

    private string? PredicateOf(Rule rule, RulePopulation? population) => (population, CountsExempt(rule), Exclusive) switch
    {
        (null, _, _) => null,
        ({ } names, false, false) => names.Counted,
        ({ } names, true, false) => names.WithExempt,
        ({ } names, false, true) => names.CountedExclusive,
        ({ } names, true, true) => names.WithExemptExclusive,
    };

    private bool CountsExempt(Rule rule) =>
        _options.CountExemptByRule.TryGetValue(rule.Id, out var byRule) ? byRule : _options.CountExempt ?? rule.CountExempt;

    private static Tier Heavier(Tier one, Tier other) => one > other ? one : other;

    private static bool Same(string one, string other) => one.Equals(other, StringComparison.OrdinalIgnoreCase);

    private sealed record Numbers(Exporter Exporter, IReadOnlyDictionary<string, long> Counters, IncidentSize Incident)
    {
        public long Of(RuleMeasure measure, string? predicate) => measure switch
        {
            RuleMeasure.DistinctSubjects => Counters.GetValueOrDefault(predicate!),
            RuleMeasure.ProcessedPersons => Exporter.ProcessedPersons ?? 0,
            RuleMeasure.StoredFaces => Exporter.StoredFaces ?? 0,
            RuleMeasure.ImportantData => Exporter.ImportantData ? 1 : 0,
            RuleMeasure.IncidentPersons => Incident.Persons,
            RuleMeasure.IncidentEeaPersons => Incident.EeaPersons,
            _ => Incident.SensitivePersons,
        };
    }
}
