using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;
using DingFlow.Alerts;
using DingFlow.Rules;
using DingFlow.Settings;

namespace DingFlow.Reports;

/// <summary>The report as one page of HTML that prints well: no scripts, nothing from elsewhere.</summary>
internal static class ReportPage
{
    private const string Style = """
        :root{--ink:#1c2430;--soft:#5b6675;--line:#d8dee6;--accent:#1f5fbf;--limit:#b3261e}
        *{box-sizing:border-box}
        body{font:14px/1.5 system-ui,"Noto Sans","Noto Sans CJK SC","Noto Sans CJK TC","PingFang SC","Microsoft YaHei",sans-serif;color:var(--ink);max-width:960px;margin:0 auto;padding:32px 24px;background:#fff}
        h1{font-size:24px;line-height:1.25;margin:0 0 4px}h2{font-size:17px;margin:32px 0 8px;border-bottom:2px solid var(--ink);padding-bottom:4px}
        h3{font-size:14px;margin:16px 0 4px}p{margin:4px 0}.soft{color:var(--soft)}
        .tier{display:inline-block;margin:12px 0;padding:6px 14px;border:2px solid var(--ink);border-radius:6px;font-weight:600}
        .tier.SA{border-color:var(--limit);color:var(--limit)}.tier.SC_OR_CERT{border-color:#a15c00;color:#a15c00}.tier.EXEMPT,.tier.NONE{border-color:#2e7d32;color:#2e7d32}
        table{border-collapse:collapse;width:100%;font-size:12.5px;margin:6px 0 0}th,td{border-bottom:1px solid var(--line);padding:4px 8px 4px 0;text-align:left;vertical-align:top;overflow-wrap:break-word}
        th{color:var(--soft);font-weight:600}td.n,th.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}tr.reached td{font-weight:600}
        td.k,th.k{white-space:nowrap}dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 16px;margin:8px 0}dt{color:var(--soft)}dd{margin:0}
        svg{width:100%;height:auto;display:block}.grid{stroke:#e6eaf0}.tick{stroke:var(--soft)}.axis{font-size:11px;fill:var(--soft)}
        .limit{stroke:var(--limit);stroke-dasharray:6 4}.limit-label{font-size:11px;fill:var(--limit)}
        .year{fill:none;stroke:var(--accent);stroke-width:2}.now{fill:var(--accent)}.now-label{font-size:12px;font-weight:600;fill:var(--accent)}
        .expected{stroke:var(--accent);stroke-dasharray:3 4}.expected-label{font-size:11px;fill:var(--accent)}
        figure{margin:8px 0 16px;break-inside:avoid}figcaption{font-weight:600;margin-bottom:4px}
        footer{margin-top:32px;border-top:1px solid var(--line);padding-top:8px;font-size:12px;color:var(--soft)}
        @page{size:A4;margin:16mm 14mm}@media print{body{padding:0;max-width:none;font-size:11.5px}h2{break-after:avoid}tr{break-inside:avoid}table{font-size:10.5px}}
        """;

    /// <summary>Chinese and Portuguese stay as they are; what HTML means something by is escaped.</summary>
    private static readonly HtmlEncoder Encoder = HtmlEncoder.Create(UnicodeRanges.All);

    public static byte[] Write(ExporterReport report, AlertLanguage language) => Encoding.UTF8.GetBytes(new Page(report, language).Write());

    private sealed class Page(ExporterReport report, AlertLanguage language)
    {
        private readonly StringBuilder _html = new();

        public string Write()
        {
            var name = report.Exporter.Name ?? report.Exporter.Id;
            _html.Append("<!doctype html><html lang=\"").Append(language.Tag()).Append("\"><head><meta charset=\"utf-8\">")
                .Append("<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>")
                .Append(E($"{name} {N(report.Year, group: false)} – {T("title")}")).Append("</title><style>").Append(Style).Append("</style></head><body>");
            Head(name);
            Charts();
            Limits();
            Counts("persons", report.Persons, "counter.");
            Counts("classes", report.Classes, "class.");
            Counts("exemptions", report.Exemptions, "exemption.");
            Counts("destinations", report.Destinations, "country.");
            Recipients();
            Scenarios();
            Register();
            Consent();
            Missing();
            Fields();
            Notices();
            OpeningBalances();
            Instance();
            Incidents();
            Filings();
            Foot();
            return _html.Append("</body></html>").ToString();
        }

        private void Head(string name)
        {
            var (exporter, tier) = (report.Exporter, ReportCsv.TierName(report));
            _html.Append("<header><p class=\"soft\">").Append(E(T("title"))).Append("</p><h1>").Append(E($"{name}, {N(report.Year, group: false)}")).Append("</h1><p class=\"soft\">")
                .Append(E($"{T("window")}: {D(report.Window.From)} {T("window.to")} {D(report.Window.To)} (UTC+8) · {T("generated")}: {report.GeneratedAt.ToString("yyyy-MM-dd HH:mm 'UTC+8'", CultureInfo.InvariantCulture)}"))
                .Append("</p><p class=\"tier ").Append(tier).Append("\">").Append(E($"{T("tier")}: {T("tier." + tier)}")).Append("</p>");
            foreach (var latched in report.Standing.Latched ?? [])
            {
                _html.Append("<p>").Append(E($"{T("latched")}: {T("tier." + (latched.Tier == Tier.Sa ? "SA" : "SC_OR_CERT"))} ({latched.RuleSet}, {Moment(latched.ReachedAt)}) – "))
                    .Append(E(latched.Review is { } review ? $"{T("latched.reviewed")} {review.By}, {Moment(review.At)}: {review.Reason}" : T("latched.open"))).Append("</p>");
            }

            _html.Append("<dl>");
            Fact("exporter", exporter.Id);
            Fact("creditCode", exporter.CreditCode ?? T("unknown"));
            Fact("ciio", YesNo(exporter.Ciio));
            Fact("freeTradeZone", YesNo(exporter.FreeTradeZone));
            Fact("importantData", YesNo(exporter.ImportantData));
            Fact("processedPersons", exporter.ProcessedPersons is { } persons ? N(persons) : T("unknown"));
            Fact("storedFaces", exporter.StoredFaces is { } faces ? N(faces) : T("unknown"));
            _html.Append("</dl></header>");
        }

        private void Charts()
        {
            if (report.Days.Count == 0)
            {
                _html.Append("<p class=\"soft\">").Append(E(T("chart.none"))).Append("</p>");
            }

            Chart("chart.general", report.Basis.GeneralCounter, static day => day.General, "general");
            Chart("chart.sensitive", report.Basis.SensitiveCounter, static day => day.Sensitive, "sensitive");
        }

        private void Chart(string title, string counter, Func<ReportDay, long> value, string category)
        {
            var count = report.Persons.First(persons => persons.Name == counter);
            var limits = RuleCatalogue.Default.RuleSets.SelectMany(static set => set.Rules)
                .Where(rule => rule.Category == category && rule.HasAlertLevels && rule.Tier > Tier.Exempt
                    && report.Standing.Rules.Any(standing => standing.Rule == rule.Id && standing.Status == RuleStatus.InForce))
                .Select(static rule => (rule.Id, rule.When.Bounds.Lower)).ToList();
            _html.Append("<figure><figcaption>").Append(E(T(title))).Append("</figcaption>")
                .Append(ReportChart.Draw(report, T(title), value, count.Persons, count.ExpectedYear, limits, language)).Append("</figure>");
        }

        private void Limits()
        {
            Heading("rules");
            Table(["rule:k", "basis", "status:k", "count:n", "withExempt:n", "limits:n", "forecast:k", "consequence"], report.Standing.Rules.Select(rule => (
                rule.Reached && rule.Consequence is not "EXEMPT",
                (IReadOnlyList<string>)
                [
                    rule.Rule, rule.Basis, T("status." + Words.Of(rule.Status)), N(rule.Count),
                    rule.Totals is { } totals ? N(totals.WithExempt) : "–", rule.Lower > 0 ? $"≥ {N(rule.Lower)}" : $"< {N(rule.Upper ?? 0)}",
                    !rule.Applicable ? T("notApplicable") : rule.Reached ? T("reached") : D(rule.Forecast.Date), T("consequence." + rule.Consequence),
                ])));
        }

        private void Counts(string title, IReadOnlyList<ReportCount> counts, string family)
        {
            if (counts.Count == 0)
            {
                return;
            }

            Heading(title);
            Table(["kind", "year:n", "previousYearToDate:n", "previousYear:n", "expectedYear:n"], counts.Select(count => (false, (IReadOnlyList<string>)
                [ReportTexts.Default.Find(family + count.Name, language) ?? count.Name, N(count.Persons), N(count.PreviousYearToDate), N(count.PreviousYear), N(count.ExpectedYear)])));
        }

        private void Recipients()
        {
            if (report.Recipients.Count == 0)
            {
                return;
            }

            Heading("recipients");
            Table(["recipient", "country", "onward", "count:n", "withExempt:n", "previousYearToDate:n", "previousYear:n", "expectedYear:n"], report.Recipients.Select(recipient => (false, (IReadOnlyList<string>)
            [
                recipient.Known ? $"{recipient.Name ?? recipient.Id} ({recipient.Id})" : $"{recipient.Id} ({T("recipient.unknown")})",
                string.Join(", ", new[] { recipient.Country, recipient.City }.OfType<string>()), string.Join(", ", recipient.Onward),
                N(recipient.Counted), N(recipient.WithExempt), N(recipient.PreviousYearToDate), N(recipient.PreviousYear), N(recipient.ExpectedYear),
            ])));
        }

        private void Scenarios()
        {
            if (report.Scenarios.Count == 0)
            {
                return;
            }

            Heading("scenarios");
            Table(["purpose", "recipient", "lane", "persons:n", "previousYearToDate:n", "previousYear:n", "expectedYear:n", "records:n", "legalBases", "mechanisms", "methods", "period"], report.Scenarios.Select(scenario => (false, (IReadOnlyList<string>)
            [
                scenario.Purpose, scenario.Recipient, scenario.Lane, scenario.Persons is { } persons ? N(persons) : T("tooMany"),
                N(scenario.PreviousYearToDate), N(scenario.PreviousYear), N(scenario.ExpectedYear), N(scenario.Records),
                string.Join(", ", scenario.LegalBases), string.Join(", ", scenario.Mechanisms.Concat(scenario.Exemptions.Select(exemption => T("exemption." + exemption)))),
                string.Join(", ", scenario.Methods.Concat(scenario.Systems)),
                $"{D(DateOnly.FromDateTime(scenario.First.DateTime))} – {D(DateOnly.FromDateTime(scenario.Last.DateTime))}",
            ])));
        }

        private void Register()
        {
            if (report.Register.Count == 0 && report.UnknownScenarios.Count == 0)
            {
                return;
            }

            Heading("register");
            foreach (var scenario in report.Register)
            {
                _html.Append("<h3>").Append(E(scenario.Scenario)).Append("</h3><dl>");
                foreach (var (label, value) in RegisteredFacts.Of(scenario, language))
                {
                    Fact(label, Said(label, value));
                }

                _html.Append("</dl>");
                if (scenario.Scope is { } scope)
                {
                    Table(["window:k", "gap.approvedPersons:n", "scope.persons:n", "scope.exceeded"], [(scope.Exceeded == true, (IReadOnlyList<string>)
                    [
                        $"{D(scope.From)} – {D(scope.To)}", N(scope.ApprovedPersons),
                        scope.Persons is null ? T("tooMany") : scope.Complete ? N(scope.Persons) : $"≥ {N(scope.Persons)}",
                        scope.Exceeded is { } exceeded ? YesNo(exceeded) : T("unknown"),
                    ])]);
                }

                if (scenario.Persons is null)
                {
                    _html.Append("<p>").Append(E($"{T("persons")}: {T("tooMany")}")).Append("</p>");
                }
                else if (scenario.Persons.Count > 0)
                {
                    Table(["kind", "year:n", "previousYearToDate:n", "previousYear:n"], scenario.Persons.Select(count => (false, (IReadOnlyList<string>)
                        [RegisteredFacts.LabelOf(count.Name, language), N(count.Persons), N(count.PreviousYearToDate), N(count.PreviousYear)])));
                }

                Table(["revision:n", "window:k", "withdrawn"], scenario.Periods.Select(period => (false, (IReadOnlyList<string>)
                    [N(period.Revision, group: false), $"{D(period.From)} – {D(period.To)}", YesNo(period.Withdrawn)])));
            }

            if (report.UnknownScenarios.Count > 0)
            {
                Table(["scenario.unknown", "records:n"], report.UnknownScenarios.Select(static scenario => (false, (IReadOnlyList<string>)[scenario.Key, N(scenario.Value)])));
            }
        }

        /// <summary>A recorded value as people read it; that it is not recorded where it is not.</summary>
        private string Said(string label, object? value) => value switch
        {
            null => T("notRecorded"),
            "0" when label == "gap.onwardRecipients" => T("onward.nobody"),
            bool flag => YesNo(flag),
            DateOnly day => D(day),
            long number => N(number),
            int number => N(number, group: false),
            Enum word => T($"word.{System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(word.ToString())}"),
            _ => value.ToString() ?? "",
        };

        private void Consent()
        {
            var consent = report.Consent;
            var rows = RegisteredFacts.Of(consent).Where(static row => row.Tally.Records > 0).ToList();
            if (rows.Count == 0 && consent.Notices.Count == 0)
            {
                return;
            }

            Heading("consent");
            Table(["kind", "records:n", "persons:n"],
            [
                .. rows.Select(row => (false, (IReadOnlyList<string>)[T(row.Label), N(row.Tally.Records), Counted(row.Tally.Persons)])),
                (consent.PersonsWithoutAny is not 0, [T("consent.withoutAny"), "–", Counted(consent.PersonsWithoutAny)]),
                .. consent.Notices.Select(notice => (false, (IReadOnlyList<string>)[$"{T("gap.noticeVersion")}: {notice.Version}", N(notice.Records), Counted(notice.Persons)])),
            ]);
        }

        private void Missing()
        {
            if (report.Missing.Count > 0)
            {
                Heading("missing");
                Table(["gap.on", "gap.lacks"], report.Missing.Select(gap => (false, (IReadOnlyList<string>)
                    [$"{T("gap.on." + gap.On)}: {gap.Name}", string.Join(", ", gap.Lacks.Select(lacks => T("gap." + lacks)))])));
            }
        }

        private string Counted(long? persons) => persons is null ? T("tooMany") : N(persons);

        private void Fields()
        {
            if (report.Fields.Count == 0)
            {
                return;
            }

            Heading("fields");
            Table(["field", "class", "sensitive", "records:n"], report.Fields.Select(field => (false, (IReadOnlyList<string>)
                [field.Name, field.Class is { } held ? T("class." + held) : "–", field.Class is null ? "–" : YesNo(field.Sensitive), N(field.Records)])));
        }

        private void Notices()
        {
            if (report.Notices.Count > 0)
            {
                Heading("notices");
                Table(["kind", "records:n"], report.Notices.Select(notice => (false, (IReadOnlyList<string>)[T("notice." + notice.Key), N(notice.Value)])));
            }
        }

        private void OpeningBalances()
        {
            if (report.OpeningBalances.Count > 0)
            {
                Heading("openingBalances");
                Table(["kind", "persons:n", "source"], report.OpeningBalances.Select(balance => (false, (IReadOnlyList<string>)
                    [ReportTexts.Default.Find("counter." + balance.Counter, language) ?? balance.Counter, N(balance.Count), balance.Source])));
            }
        }

        private void Instance()
        {
            if (report.Instance is { Received.Count: > 0 } instance)
            {
                Heading("instance");
                _html.Append("<p>").Append(E($"{T("instance.about")}: {instance.Region}")).Append("</p>");
                Table(["source:k", "lane:k", "recipient", "purpose", "fields"], instance.Received.Select(received => (false, (IReadOnlyList<string>)
                    [received.Source, received.Lane, received.Recipient, received.Purpose, string.Join(", ", received.Fields)])));
            }
        }

        private void Incidents()
        {
            if (report.Incidents.Count > 0)
            {
                Heading("incidents");
                Table(["incident:k", "discovered:k", "persons:n", "sensitive:n", "incident.about", "incident.end"], report.Incidents.Select(incident => (false, (IReadOnlyList<string>)
                [
                    incident.Reference, Moment(incident.DiscoveredAt), N(incident.Persons), N(incident.SensitivePersons),
                    string.Join(" – ", new[] { incident.Description, string.Join(", ", incident.Categories.Select(category => T("class." + category))) }.Where(static text => text.Length > 0)),
                    incident.Closed is { } closed ? $"{Moment(closed.At)} {closed.Reason}" : T("incident.open"),
                ])));
            }
        }

        private void Filings()
        {
            Heading("filings");
            foreach (var filing in report.Filings)
            {
                _html.Append("<h3>").Append(E(T("filing." + filing.Filing))).Append("</h3>");
                Table(["item", "source", "answer"], filing.Items.Select(item => (false, (IReadOnlyList<string>)
                [
                    item.Item, item.Source,
                    item.Answer is null ? T("filing.byHand") : string.Join(", ", item.Answer.Split(", ").Select(part => T(part == "standing" ? "rules" : part))),
                ])));
            }
        }

        private void Foot()
        {
            var basis = report.Basis;
            _html.Append("<footer><p>").Append(E(
                $"{T("versions")}: {T("rules")} {basis.Rules} · {T("profile")} {basis.Profile.ToString().ToLowerInvariant()} ({basis.Classification}) · {basis.Predicates} · "
                + $"{T("overlap")} {T("overlap." + basis.Overlap.ToString().ToLowerInvariant())}")).Append("</p><p>").Append(E(T("settled"))).Append("</p></footer>");
        }

        private void Fact(string label, string value) =>
            _html.Append("<dt>").Append(E(T(label))).Append("</dt><dd>").Append(E(value)).Append("</dd>");

        private void Heading(string label) => _html.Append("<h2>").Append(E(T(label))).Append("</h2>");

        private void Table(IReadOnlyList<string> columns, IEnumerable<(bool Strong, IReadOnlyList<string> Cells)> rows)
        {
            // n: numbers, to the right; k: short words that are not broken.
            var kinds = columns.Select(static column => column.Split(':') is [_, var kind] ? $" class=\"{kind}\"" : "").ToList();
            _html.Append("<table><thead><tr>");
            for (var i = 0; i < columns.Count; i++)
            {
                _html.Append("<th").Append(kinds[i]).Append('>').Append(E(T(columns[i].Split(':')[0]))).Append("</th>");
            }

            _html.Append("</tr></thead><tbody>");
            foreach (var (strong, cells) in rows)
            {
                _html.Append(strong ? "<tr class=\"reached\">" : "<tr>");
                for (var i = 0; i < cells.Count; i++)
                {
                    _html.Append("<td").Append(kinds[i]).Append('>').Append(E(cells[i])).Append("</td>");
                }

                _html.Append("</tr>");
            }

            _html.Append("</tbody></table>");
        }

        private string T(string label) => ReportTexts.Default.Label(label, language);

        private string YesNo(bool value) => T(value ? "yes" : "no");

        private static string E(string text) => Encoder.Encode(text);

        private static string N(long? number, bool group = true) => number is { } value ? value.ToString(group ? "N0" : "D", CultureInfo.InvariantCulture) : "–";

        private static string D(DateOnly? day) => day?.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture) ?? "–";

        private static string Moment(DateTimeOffset moment) => DingFlow.Transfers.LegalTime.Of(moment).ToString("yyyy-MM-dd HH:mm", CultureInfo.InvariantCulture);
    }
}
