using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Rules;
using DingFlow.Settings;
using DingFlow.Transfers;

namespace DingFlow.Alerts;

/// <summary>The alerts on what was recorded on scenarios: days that come near and numbers that are reached. Each has an id of its own within a window.</summary>
internal static class FilingAlerts
{
    /// <summary>A mechanism ends soon.</summary>
    public const string Expiring = "transfers.mechanism_expiring";

    /// <summary>A mechanism has ended.</summary>
    public const string Expired = "transfers.mechanism_expired";

    /// <summary>An impact assessment is to be looked at again soon.</summary>
    public const string ReviewDue = "transfers.assessment_due";

    /// <summary>An impact assessment should have been looked at again.</summary>
    public const string ReviewOverdue = "transfers.assessment_overdue";

    /// <summary>A share of the approved persons is reached.</summary>
    public const string ScopeLevel = "transfers.scope_level";

    /// <summary>There are more persons than approved.</summary>
    public const string ScopeExceeded = "transfers.scope_exceeded";

    /// <summary>The share from which an alert on approved persons is critical.</summary>
    private const int CriticalPercent = 90;

    /// <summary>The end of a mechanism.</summary>
    /// <param name="exporter">Whose.</param>
    /// <param name="scenario">Of which scenario.</param>
    /// <param name="mechanism">Which, with a last day.</param>
    /// <param name="begin">The first day on which people are told.</param>
    /// <param name="over">The last day is over.</param>
    /// <param name="round">How often it was armed within the window.</param>
    /// <param name="now">The moment.</param>
    public static AlertMessage Mechanism(
        string exporter, string scenario, ScenarioMechanism mechanism, WorkingDay begin, bool over, int round, DateTimeOffset now)
    {
        var end = Day(mechanism.ValidTo!.Value);
        var details = Details(exporter, scenario);
        details["kind"] = Words.Of(mechanism.Kind!.Value);
        details["validTo"] = end;
        details["begin"] = Day(begin.Day);
        details["certainty"] = begin.Certainty.ToString();
        if (mechanism.Number is { } number)
        {
            details["number"] = number;
        }

        return Of(
            over ? Expired : Expiring, exporter, scenario, FilingMatter.Mechanism, end, over ? FilingStanding.Over : FilingStanding.Near, round,
            over ? AlertSeverity.Critical : AlertSeverity.Warning, now, details,
            over ? $"The mechanism of scenario {scenario} of {exporter} ended on {end}." : $"The mechanism of scenario {scenario} of {exporter} ends on {end}.");
    }

    /// <summary>The next review of an impact assessment.</summary>
    public static AlertMessage Assessment(string exporter, string scenario, ScenarioAssessment assessment, bool over, int round, DateTimeOffset now)
    {
        var review = Day(assessment.NextReview!.Value);
        var details = Details(exporter, scenario);
        details["nextReview"] = review;
        if (assessment.Id is { } id)
        {
            details["assessment"] = id;
        }

        return Of(
            over ? ReviewOverdue : ReviewDue, exporter, scenario, FilingMatter.Assessment, review, over ? FilingStanding.Over : FilingStanding.Near, round,
            over ? AlertSeverity.Critical : AlertSeverity.Warning, now, details,
            over ? $"The impact assessment of scenario {scenario} of {exporter} was to be reviewed by {review}."
                : $"The impact assessment of scenario {scenario} of {exporter} is to be reviewed by {review}.");
    }

    /// <summary>Approved against counted persons.</summary>
    /// <param name="exporter">Whose.</param>
    /// <param name="scope">What is approved, and over which days.</param>
    /// <param name="persons">Distinct persons counted.</param>
    /// <param name="level">The percentage; 100 when there are more than approved.</param>
    /// <param name="round">How often it was armed within the window.</param>
    /// <param name="now">The moment.</param>
    public static AlertMessage Scope(string exporter, ScenarioScope scope, long persons, int level, int round, DateTimeOffset now)
    {
        var over = level >= FilingStanding.Over;
        var details = Details(exporter, scope.Scenario);
        details["persons"] = Number(persons);
        details["approved"] = Number(scope.ApprovedPersons);
        details["percent"] = Number(level);
        details["from"] = Day(scope.From);
        details["to"] = Day(scope.To);
        details["kind"] = Words.Of(scope.Mechanism.Kind!.Value);
        if (scope.Mechanism.Number is { } number)
        {
            details["number"] = number;
        }

        var window = scope.Mechanism.ScopeWindow == ScopeWindow.Term ? $"term-{Day(scope.From)}" : Number(scope.From.Year);
        return Of(
            over ? ScopeExceeded : ScopeLevel, exporter, scope.Scenario, FilingMatter.Scope, window, level, round,
            level >= CriticalPercent ? AlertSeverity.Critical : AlertSeverity.Warning, now, details,
            over ? $"Scenario {scope.Scenario} of {exporter} has {Number(persons)} persons; its mechanism approves {Number(scope.ApprovedPersons)}."
                : $"Scenario {scope.Scenario} of {exporter} is at {Number(level)} % of what its mechanism approves: {Number(persons)} of {Number(scope.ApprovedPersons)} persons.");
    }

    /// <summary>Names the alerts on one matter of a scenario within a window.</summary>
    public static string SeriesOf(string exporter, string scenario, FilingMatter matter, string window) => $"filings:{exporter}:{scenario}:{Words.Of(matter)}:{window}";

    private static AlertMessage Of(
        string type, string exporter, string scenario, FilingMatter matter, string window, int rank, int round, AlertSeverity severity, DateTimeOffset now,
        IReadOnlyDictionary<string, string> details, string summary) => new()
        {
            AlertId = $"{type}:{exporter}:{scenario}:{window}:{Number(rank)}:{Number(round)}",
            Type = type,
            Severity = severity,
            OccurredAt = now,
            Summary = summary,
            About = exporter,
            Details = details,
            Series = SeriesOf(exporter, scenario, matter, window),
            Rank = rank,
        };

    private static Dictionary<string, string> Details(string exporter, string scenario) => new(StringComparer.Ordinal) { ["exporter"] = exporter, ["scenario"] = scenario };

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
