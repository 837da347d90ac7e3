using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using DingFlow.Alerts;

namespace DingFlow.Reports;

/// <summary>A line of the year against its limits, as SVG without scripts, styles from outside or fonts of its own.</summary>
internal static class ReportChart
{
    private const double Width = 760;
    private const double Height = 260;
    private const double Left = 72;
    private const double Right = 16;
    private const double Top = 18;
    private const double Bottom = 30;

    /// <summary>Draws a counter.</summary>
    /// <param name="report">The year.</param>
    /// <param name="title">What is counted.</param>
    /// <param name="value">The counter of a day.</param>
    /// <param name="present">Where it stands at the end of the window.</param>
    /// <param name="expected">Where it will stand at the end of the year.</param>
    /// <param name="limits">The limits, by the rule that has them.</param>
    /// <param name="language">Of the words in it.</param>
    public static string Draw(
        ExporterReport report, string title, Func<ReportDay, long> value, long present, long? expected, IReadOnlyList<(string Rule, long Limit)> limits,
        AlertLanguage language)
    {
        var points = report.Days.Where(day => day.Day < report.Window.To).Select(day => (day.Day, Count: value(day)))
            .Append((Day: report.Window.To, Count: present)).ToList();
        var tallest = Math.Max(present, Math.Max(expected ?? 0, points.Max(static point => point.Count)));
        // The next limit above is always in sight; further ones only when the year comes near them.
        var next = limits.Where(limit => limit.Limit > tallest).Select(static limit => limit.Limit).DefaultIfEmpty(0).Min();
        var top = Math.Max(Math.Max(tallest, next), 1) * 1.12;
        var (from, year) = (new DateOnly(report.Year, 1, 1), DateTime.IsLeapYear(report.Year) ? 366 : 365);
        var svg = new StringBuilder();
        svg.Append(Invariant($"<svg viewBox=\"0 0 {Width} {Height}\" role=\"img\" aria-label=\"{Encode(title)}\" xmlns=\"http://www.w3.org/2000/svg\">"));
        Grid(svg, top, from, year);
        foreach (var (rule, limit) in limits.Where(limit => limit.Limit <= top))
        {
            var y = Y(limit);
            svg.Append(Invariant($"<line class=\"limit\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y:0.0}\" y2=\"{y:0.0}\"/>"))
                .Append(Invariant($"<text class=\"limit-label\" x=\"{Left + 6}\" y=\"{y - 5:0.0}\">{Encode(rule)}: {limit:N0}</text>"));
        }

        var line = string.Join(' ', points.Select(point => Invariant($"{X(point.Day):0.0},{Y(point.Count):0.0}")));
        svg.Append(Invariant($"<polyline class=\"year\" points=\"{line}\"/>"));
        var (endX, endY) = (X(report.Window.To), Y(present));
        svg.Append(Invariant($"<circle class=\"now\" cx=\"{endX:0.0}\" cy=\"{endY:0.0}\" r=\"3.5\"/>"));
        // To the left, where the line lies below it; at the very left there is no room.
        var labelLeft = endX > Left + 90;
        // Below, where a limit's line would strike it through.
        var above = Math.Max(endY - 8, 12);
        var struck = limits.Any(limit => limit.Limit <= top && Y(limit.Limit) > above - 13 && Y(limit.Limit) < above + 4);
        var labelY = struck ? endY + 17 : above;
        svg.Append(Invariant(
            $"<text class=\"now-label\" x=\"{(labelLeft ? endX - 6 : endX + 8):0.0}\" y=\"{labelY:0.0}\" text-anchor=\"{(labelLeft ? "end" : "start")}\">{present:N0}</text>"));
        if (expected is { } end && report.Window.To < new DateOnly(report.Year, 12, 31))
        {
            var (x, y) = (X(new DateOnly(report.Year, 12, 31)), Y(end));
            svg.Append(Invariant($"<line class=\"expected\" x1=\"{endX:0.0}\" y1=\"{endY:0.0}\" x2=\"{x:0.0}\" y2=\"{y:0.0}\"/>"));
            if (end > present)
            {
                svg.Append(Invariant(
                    $"<text class=\"expected-label\" x=\"{x:0.0}\" y=\"{Math.Max(y - 8, 12):0.0}\" text-anchor=\"end\">{Encode(ReportTexts.Default.Label("chart.expected", language))} {end:N0}</text>"));
            }
        }

        return svg.Append("</svg>").ToString();

        double X(DateOnly day) => Left + ((Width - Left - Right) * (day.DayNumber - from.DayNumber) / (year - 1));

        double Y(double count) => Height - Bottom - ((Height - Top - Bottom) * count / top);
    }

    private static void Grid(StringBuilder svg, double top, DateOnly from, int year)
    {
        var step = Step(top);
        for (double count = 0; count <= top; count += step)
        {
            var y = Height - Bottom - ((Height - Top - Bottom) * count / top);
            svg.Append(Invariant($"<line class=\"grid\" x1=\"{Left}\" x2=\"{Width - Right}\" y1=\"{y:0.0}\" y2=\"{y:0.0}\"/>"))
                .Append(Invariant($"<text class=\"axis\" x=\"{Left - 8}\" y=\"{y + 4:0.0}\" text-anchor=\"end\">{count:N0}</text>"));
        }

        for (var month = 1; month <= 12; month++)
        {
            var first = new DateOnly(from.Year, month, 1);
            var x = Left + ((Width - Left - Right) * (first.DayNumber - from.DayNumber) / (year - 1));
            svg.Append(Invariant($"<line class=\"tick\" x1=\"{x:0.0}\" x2=\"{x:0.0}\" y1=\"{Height - Bottom}\" y2=\"{Height - Bottom + 4}\"/>"))
                .Append(Invariant($"<text class=\"axis\" x=\"{x + 2:0.0}\" y=\"{Height - Bottom + 18}\">{month}</text>"));
        }
    }

    /// <summary>A step of 1, 2 or 5 times a power of ten that makes some five lines.</summary>
    private static double Step(double top)
    {
        var rough = Math.Max(top / 5, 1);
        var power = Math.Pow(10, Math.Floor(Math.Log10(rough)));
        return power * ((rough / power) switch { <= 1 => 1, <= 2 => 2, <= 5 => 5, _ => 10 });
    }

    private static string Encode(string text) => HtmlEncoder.Default.Encode(text);

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
