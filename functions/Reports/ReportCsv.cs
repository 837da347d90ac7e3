using System.Globalization;
using System.Text;
using DingFlow.Alerts;
using DingFlow.Hosting;

namespace DingFlow.Reports;

/// <summary>
/// The report as CSV (RFC 4180, UTF-8 with a byte order mark, which Excel needs for Chinese): one row per number, with the part of the
/// report, the name and what is measured. Cells that a spreadsheet would take for a formula begin with an apostrophe.
/// </summary>
internal static class ReportCsv
{
    public static byte[] Write(ExporterReport report, AlertLanguage language)
    {
        var csv = new StringBuilder("\uFEFF");
        Row("section", "name", "label", "measure", "value");
        WriteFacts();
        foreach (var rule in report.Standing.Rules)
        {
            var label = Text($"consequence.{rule.Consequence}");
            Row("rules", rule.Rule, label, "count", rule.Count);
            Row("rules", rule.Rule, label, "withExempt", rule.Totals?.WithExempt);
            Row("rules", rule.Rule, label, "lower", rule.Lower);
            Row("rules", rule.Rule, label, "upper", rule.Upper);
            Row("rules", rule.Rule, label, "reached", rule.Reached);
            Row("rules", rule.Rule, label, "status", rule.Status);
            Row("rules", rule.Rule, label, "basis", rule.Basis);
            Row("rules", rule.Rule, label, "forecast", rule.Forecast.Date);
        }

        Counts("persons", report.Persons, "counter.");
        Counts("classes", report.Classes, "class.");
        Counts("exemptions", report.Exemptions, "exemption.");
        Counts("destinations", report.Destinations, "country.");
        foreach (var recipient in report.Recipients)
        {
            Row("recipients", recipient.Id, recipient.Name, "counted", recipient.Counted);
            Row("recipients", recipient.Id, recipient.Name, "withExempt", recipient.WithExempt);
            Row("recipients", recipient.Id, recipient.Name, "previousYearToDate", recipient.PreviousYearToDate);
            Row("recipients", recipient.Id, recipient.Name, "previousYear", recipient.PreviousYear);
            Row("recipients", recipient.Id, recipient.Name, "expectedYear", recipient.ExpectedYear);
            Row("recipients", recipient.Id, recipient.Name, "country", recipient.Country);
            Row("recipients", recipient.Id, recipient.Name, "onward", string.Join(' ', recipient.Onward));
        }

        foreach (var scenario in report.Scenarios)
        {
            var name = $"{scenario.Purpose} / {scenario.Recipient} / {scenario.Lane}";
            Row("scenarios", name, null, "persons", scenario.Persons);
            Row("scenarios", name, null, "previousYearToDate", scenario.PreviousYearToDate);
            Row("scenarios", name, null, "previousYear", scenario.PreviousYear);
            Row("scenarios", name, null, "expectedYear", scenario.ExpectedYear);
            Row("scenarios", name, null, "records", scenario.Records);
            Row("scenarios", name, null, "legalBases", string.Join("; ", scenario.LegalBases));
            Row("scenarios", name, null, "mechanisms", string.Join("; ", scenario.Mechanisms));
            Row("scenarios", name, null, "exemptions", string.Join("; ", scenario.Exemptions));
            Row("scenarios", name, null, "methods", string.Join("; ", scenario.Methods));
            Row("scenarios", name, null, "systems", string.Join("; ", scenario.Systems));
            Row("scenarios", name, null, "registeredAs", string.Join("; ", scenario.RegisteredAs));
            Row("scenarios", name, null, "first", scenario.First.ToString("O", CultureInfo.InvariantCulture));
            Row("scenarios", name, null, "last", scenario.Last.ToString("O", CultureInfo.InvariantCulture));
        }

        foreach (var scenario in report.Register)
        {
            WriteRegistered(scenario);
        }

        foreach (var (scenario, records) in report.UnknownScenarios)
        {
            Row("unknownScenarios", scenario, null, "records", records);
        }

        WriteConsent(report.Consent);
        foreach (var gap in report.Missing)
        {
            foreach (var lacks in gap.Lacks)
            {
                Row("missing", gap.Name, Text($"gap.{lacks}"), gap.On, lacks);
            }
        }

        foreach (var field in report.Fields)
        {
            Row("fields", field.Name, field.Class is null ? null : Text($"class.{field.Class}"), field.Sensitive ? "sensitiveRecords" : "records", field.Records);
        }

        foreach (var (notice, records) in report.Notices)
        {
            Row("notices", notice, Text($"notice.{notice}"), "records", records);
        }

        foreach (var opening in report.OpeningBalances)
        {
            Row("openingBalances", opening.Counter, opening.Source, "persons", opening.Count);
        }

        foreach (var received in report.Instance?.Received ?? [])
        {
            Row("instance", received.Source, report.Instance!.Region, "lane", received.Lane);
            Row("instance", received.Source, report.Instance.Region, "recipient", received.Recipient);
            Row("instance", received.Source, report.Instance.Region, "fields", string.Join("; ", received.Fields));
        }

        foreach (var incident in report.Incidents)
        {
            Row("incidents", incident.Reference, incident.Description, "persons", incident.Persons);
            Row("incidents", incident.Reference, null, "sensitivePersons", incident.SensitivePersons);
            Row("incidents", incident.Reference, null, "eeaPersons", incident.EeaPersons);
            Row("incidents", incident.Reference, null, "records", incident.Records);
            Row("incidents", incident.Reference, null, "categories", string.Join("; ", incident.Categories));
            Row("incidents", incident.Reference, null, "discoveredAt", incident.DiscoveredAt.ToString("O", CultureInfo.InvariantCulture));
            Row("incidents", incident.Reference, incident.Closed?.Reason, "closedAt", incident.Closed?.At.ToString("O", CultureInfo.InvariantCulture));
        }

        foreach (var day in report.Days)
        {
            Row("days", Cell(day.Day), null, "general", day.General);
            Row("days", Cell(day.Day), null, "sensitive", day.Sensitive);
        }

        foreach (var filing in report.Filings)
        {
            foreach (var item in filing.Items)
            {
                Row("filings", filing.Filing, item.Item, item.Source, item.Answer ?? Text("filing.byHand"));
            }
        }

        return Encoding.UTF8.GetBytes(csv.ToString());

        void WriteFacts()
        {
            var exporter = report.Exporter;
            Row("report", "exporter", exporter.Name, "id", exporter.Id);
            Row("report", "exporter", exporter.Name, "creditCode", exporter.CreditCode);
            Row("report", "exporter", exporter.Name, "ciio", exporter.Ciio);
            Row("report", "exporter", exporter.Name, "freeTradeZone", exporter.FreeTradeZone);
            Row("report", "exporter", exporter.Name, "importantData", exporter.ImportantData);
            Row("report", "exporter", exporter.Name, "processedPersons", exporter.ProcessedPersons);
            Row("report", "exporter", exporter.Name, "storedFaces", exporter.StoredFaces);
            Row("report", "year", null, "year", report.Year);
            Row("report", "window", null, "from", report.Window.From);
            Row("report", "window", null, "to", report.Window.To);
            Row("report", "generatedAt", null, "time", report.GeneratedAt.ToString("O", CultureInfo.InvariantCulture));
            Row("report", "tier", Text($"tier.{TierName(report)}"), "tier", TierName(report));
            Row("report", "basis", null, "rules", report.Basis.Rules);
            Row("report", "basis", null, "classification", report.Basis.Classification);
            Row("report", "basis", null, "predicates", report.Basis.Predicates);
            Row("report", "basis", null, "profile", report.Basis.Profile);
            Row("report", "basis", null, "overlap", report.Basis.Overlap);
            Row("report", "records", null, "records", report.Records);
            Row("report", "instance", null, "region", report.Instance?.Region);
            foreach (var tier in report.Standing.Latched ?? [])
            {
                Row("latched", tier.Key, tier.Review?.Reason, "reachedAt", tier.ReachedAt.ToString("O", CultureInfo.InvariantCulture));
            }
        }

        void WriteRegistered(ReportRegistered scenario)
        {
            var name = scenario.Scenario;
            foreach (var (label, value) in RegisteredFacts.Of(scenario, language))
            {
                Row("register", name, Text(label), label, value);
            }

            foreach (var period in scenario.Periods)
            {
                Row("register", name, period.Withdrawn ? Text("withdrawn") : null, string.Create(CultureInfo.InvariantCulture, $"revision {period.Revision}"), $"{Cell(period.From)}/{Cell(period.To)}");
            }

            foreach (var count in scenario.Persons ?? [])
            {
                Row("register", name, RegisteredFacts.LabelOf(count.Name, language), count.Name, count.Persons);
                Row("register", name, RegisteredFacts.LabelOf(count.Name, language), $"{count.Name} previousYearToDate", count.PreviousYearToDate);
                Row("register", name, RegisteredFacts.LabelOf(count.Name, language), $"{count.Name} previousYear", count.PreviousYear);
            }

            if (scenario.Scope is { } scope)
            {
                Row("register", name, Text("scope.persons"), "scope.persons", scope.Persons);
                Row("register", name, Text("scope.exceeded"), "scope.exceeded", scope.Exceeded);
                Row("register", name, Text("scope.complete"), "scope.complete", scope.Complete);
                Row("register", name, Text("window"), "scope.from", scope.From);
                Row("register", name, Text("window"), "scope.to", scope.To);
            }
        }

        void WriteConsent(ReportConsent consent)
        {
            foreach (var (label, tally) in RegisteredFacts.Of(consent))
            {
                Row("consent", label, Text(label), "records", tally.Records);
                Row("consent", label, Text(label), "persons", tally.Persons);
            }

            Row("consent", "consent.withoutAny", Text("consent.withoutAny"), "persons", consent.PersonsWithoutAny);
            foreach (var notice in consent.Notices)
            {
                Row("notice", notice.Version, null, "records", notice.Records);
                Row("notice", notice.Version, null, "persons", notice.Persons);
            }
        }

        void Counts(string section, IReadOnlyList<ReportCount> counts, string family)
        {
            foreach (var count in counts)
            {
                var label = Text(family + count.Name);
                Row(section, count.Name, label, "persons", count.Persons);
                Row(section, count.Name, label, "previousYearToDate", count.PreviousYearToDate);
                Row(section, count.Name, label, "previousYear", count.PreviousYear);
                Row(section, count.Name, label, "expectedYear", count.ExpectedYear);
            }
        }

        string? Text(string name) => ReportTexts.Default.Find(name, language);

        void Row(params ReadOnlySpan<object?> cells)
        {
            for (var i = 0; i < cells.Length; i++)
            {
                csv.Append(i == 0 ? "" : ",").Append(Quote(Cell(cells[i])));
            }

            csv.Append("\r\n");
        }
    }

    /// <summary>The name of the tier as the API writes it.</summary>
    internal static string TierName(ExporterReport report) => report.Standing.Tier switch
    {
        Rules.Tier.Sa => "SA",
        Rules.Tier.ScOrCert => "SC_OR_CERT",
        Rules.Tier.Exempt => "EXEMPT",
        _ => "NONE",
    };

    /// <summary>A cell that no spreadsheet takes for a formula, in quotes where CSV needs them.</summary>
    internal static string Quote(string cell)
    {
        // A number below zero is no formula.
        if (cell is not ['-', ..] || !long.TryParse(cell, CultureInfo.InvariantCulture, out _))
        {
            cell = CsvText.WithoutFormula(cell);
        }

        return cell.AsSpan().IndexOfAny(",\"\r\n'") < 0 && cell.Trim() == cell ? cell : $"\"{cell.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }

    private static string Cell(object? value) => value switch
    {
        null => "",
        bool flag => flag ? "true" : "false",
        DateOnly day => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture),
        Enum name => System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(name.ToString()),
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => value.ToString() ?? "",
    };
}
