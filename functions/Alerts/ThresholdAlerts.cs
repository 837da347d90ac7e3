using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Rules;
using DingFlow.Settings;
using DingFlow.Transfers;

namespace DingFlow.Alerts;

/// <summary>The alerts on counters that approach or reach the limits of a rule. Each has an id of its own within a window.</summary>
internal static class ThresholdAlerts
{
    /// <summary>A share of the lower bound is reached, below all of it.</summary>
    public const string Level = "thresholds.level";

    /// <summary>The rule is reached.</summary>
    public const string Reached = "thresholds.reached";

    /// <summary>The rule will be reached before a filing could be finished.</summary>
    public const string Forecast = "thresholds.forecast";

    /// <summary>The counters cannot be read.</summary>
    public const string Unreadable = "thresholds.not_evaluated";

    /// <summary>The share from which an alert is critical below the limit.</summary>
    private const int CriticalPercent = 90;

    /// <summary>The counters of an exporter cannot be read: nothing warns of its limits.</summary>
    public static AlertMessage NotEvaluated(string exporter, string setting, DateTimeOffset now) => new()
    {
        AlertId = string.Create(CultureInfo.InvariantCulture, $"{Unreadable}:{exporter}:{now:yyyyMMdd}"),
        Type = Unreadable,
        Severity = AlertSeverity.Critical,
        OccurredAt = now,
        Summary = $"The counters of {exporter} cannot be read: {setting} does not fit the stored ledger. Nothing warns of its limits until it is put back.",
        About = exporter,
        Details = new Dictionary<string, string> { ["exporter"] = exporter, ["setting"] = setting },
    };

    /// <summary>A level of a rule with levels, or the transition of one without.</summary>
    /// <param name="exporter">Whose counter.</param>
    /// <param name="standing">How it stands.</param>
    /// <param name="percent">The level; 100 when the rule is reached.</param>
    /// <param name="round">How often the level was armed within the window: a correction may arm it again.</param>
    /// <param name="beginBy">The last day on which a filing could begin, where there is a forecast; it may have passed.</param>
    /// <param name="now">The moment.</param>
    public static AlertMessage AtLevel(string exporter, ThresholdRule standing, int percent, int round, WorkingDay? beginBy, DateTimeOffset now)
    {
        var reached = percent >= 100;
        var what = reached ? "has reached" : $"is at {Number(percent)} % of";
        var details = DetailsOf(exporter, standing, percent, beginBy);
        if (reached)
        {
            AddPeriod(details, standing, now);
        }

        return new()
        {
            AlertId = Id(reached ? Reached : Level, exporter, standing, $"{Number(percent)}:{Number(round)}"),
            Type = reached ? Reached : Level,
            Severity = SeverityOf(standing, percent),
            OccurredAt = now,
            Summary = standing.Lower > 1
                ? $"{exporter} {what} the limit of {standing.Rule} ({standing.Basis}): {Number(standing.Count)} of {Number(standing.Lower)}."
                : $"{exporter} {what} {standing.Rule} ({standing.Basis}): {Number(standing.Count)}.",
            About = exporter,
            Details = details,
            Series = LevelSeries(exporter, standing.Rule, WindowOf(standing)),
            Rank = percent,
        };
    }

    /// <summary>The limit will be reached within the filing lead time.</summary>
    /// <param name="exporter">Whose counter.</param>
    /// <param name="standing">How it stands, with a forecast that names a day.</param>
    /// <param name="beginBy">The last day on which a filing could begin; it may have passed.</param>
    /// <param name="round">How often the alert was armed within the window.</param>
    /// <param name="now">The moment.</param>
    public static AlertMessage AtForecast(string exporter, ThresholdRule standing, WorkingDay beginBy, int round, DateTimeOffset now)
    {
        var details = DetailsOf(exporter, standing, ShareOf(standing), beginBy);
        return new()
        {
            AlertId = Id(Forecast, exporter, standing, Number(round)),
            Type = Forecast,
            Severity = standing.Status == RuleStatus.InForce ? AlertSeverity.Critical : AlertSeverity.Warning,
            OccurredAt = now,
            Summary = $"{exporter} is expected to reach the limit of {standing.Rule} ({standing.Basis}) on {details["forecast"]} "
                + $"({standing.Forecast.Method}); a filing should have begun by {details["beginBy"]}.",
            About = exporter,
            Details = details,
            Series = ForecastSeries(exporter, standing.Rule, WindowOf(standing)),
        };
    }

    /// <summary>Names the alerts on a rule's levels within a window.</summary>
    public static string LevelSeries(string exporter, string rule, string window) => $"thresholds:{exporter}:{rule}:{window}";

    /// <summary>Names the forecasts for a rule within a window.</summary>
    public static string ForecastSeries(string exporter, string rule, string window) => $"{LevelSeries(exporter, rule, window)}:forecast";

    /// <summary>The window that a standing belongs to: the calendar year, or <c>stock</c> for what never restarts.</summary>
    public static string WindowOf(ThresholdRule standing) => standing.Window.From is null ? StockWindow : Number(standing.Window.To.Year);

    /// <summary>The window of what is accumulated at a moment: the calendar year.</summary>
    public static string WindowOf(DateTimeOffset moment) => Number(LegalTime.YearOf(moment));

    /// <summary>The window of numbers that are held and not accumulated.</summary>
    public const string StockWindow = "stock";

    /// <summary>What a rule that is not law any more says is the company's own policy: never critical.</summary>
    private static AlertSeverity SeverityOf(ThresholdRule standing, int percent) =>
        standing.Consequence is "EXEMPT" or "LAWFUL_CONDITION" or "CERT_AVAILABLE" || standing.Status is RuleStatus.NotInForce or RuleStatus.NotYetInForce
            ? AlertSeverity.Information
        : standing.Status == RuleStatus.InForce && percent >= CriticalPercent ? AlertSeverity.Critical
        : AlertSeverity.Warning;

    /// <summary>Until when the duty is to be fulfilled, where the rule says so.</summary>
    private static void AddPeriod(Dictionary<string, string> details, ThresholdRule standing, DateTimeOffset now)
    {
        switch ((standing.WorkingDays, standing.WorkingDaysFrom))
        {
            case ({ } days, PeriodStart.Reached):
                var last = WorkingCalendar.Default.After(LegalTime.DayOf(now), days);
                (details["actBy"], details["actDays"], details["certainty"]) = (Day(last.Day), Number(days), last.Certainty.ToString());
                break;
            case ({ } days, PeriodStart.Contract):
                details["contractDays"] = Number(days);
                break;
        }
    }

    /// <summary>Whole percentages of the limit that are counted, in whole numbers as the levels are.</summary>
    private static int ShareOf(ThresholdRule standing) => (int)Int128.Min((Int128)standing.Count * 100 / standing.Lower, int.MaxValue);

    private static Dictionary<string, string> DetailsOf(string exporter, ThresholdRule standing, int percent, WorkingDay? beginBy)
    {
        var details = new Dictionary<string, string>
        {
            ["exporter"] = exporter,
            ["rule"] = standing.Rule,
            ["ruleSet"] = standing.RuleSet,
            ["status"] = Words.Of(standing.Status),
            ["basis"] = standing.Basis,
            ["consequence"] = standing.Consequence,
            ["percent"] = Number(percent),
            ["to"] = Day(standing.Window.To),
        };
        if (standing.Lower > 1)
        {
            details["count"] = Number(standing.Count);
            details["limit"] = Number(standing.Lower);
            details["share"] = Number(ShareOf(standing));
        }
        else
        {
            // The first person is the limit: only how many there are says something.
            details["persons"] = Number(standing.Count);
        }

        if (standing.Window.From is { } from)
        {
            details["from"] = Day(from);
        }

        if (standing.Totals is { } totals)
        {
            details["withExempt"] = Number(totals.WithExempt);
        }

        if (beginBy is { } begin && standing is { Tier: >= Tier.ScOrCert, Forecast.Date: { } day })
        {
            details["forecast"] = Day(day);
            details["method"] = Words.Of(standing.Forecast.Basis);
            details["beginBy"] = Day(begin.Day);
            details["certainty"] = begin.Certainty.ToString();
        }

        return details;
    }

    /// <summary>Once in a window and round.</summary>
    private static string Id(string type, string exporter, ThresholdRule standing, string rest) =>
        $"{type}:{exporter}:{standing.Rule}:{WindowOf(standing)}:{rest}";

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);
}
