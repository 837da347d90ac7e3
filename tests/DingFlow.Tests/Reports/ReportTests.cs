using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using DingFlow.Alerts;
using DingFlow.Reports;
using DingFlow.Rules;
using DingFlow.Tests.Alerts;
using DingFlow.Tests.Transfers;
using DingFlow.Transfers;

namespace DingFlow.Tests.Reports;

/// <summary>The numbers of a year as filings ask for them, and the three forms in which they are given.</summary>
public sealed partial class ReportTests : IAsyncDisposable
{
    private readonly ThresholdDriver _acme = new();

    public ValueTask DisposeAsync() => _acme.DisposeAsync();

    [Fact]
    public async Task Persons_are_split_as_the_filings_ask()
    {
        _acme.Transfers = new TransfersOptions
        {
            Recipients = new Dictionary<string, Recipient> { ["acme-sg"] = new() { Id = "acme-sg", Name = "Acme (Singapore)", Country = Country.Parse("SG"), Onward = ["us"] } },
        };
        _acme.Exporter = _acme.Exporter with { Name = "Acme (Zhuhai)", CreditCode = "91440400MA00000000", ProcessedPersons = 5_000 };
        await _acme.AppendAsync("y25", Record(1, "2025-06-01T12:00:00+08:00"), Record(2, "2025-06-01T12:00:00+08:00"));
        await _acme.AppendAsync("y26",
            Record(1, "2026-02-01T12:00:00+08:00", fields: ["name", "bankCardNumber"], facts: [LedgerScenario.Fact(), LedgerScenario.Fact(dataClass: DataClass.Finance)]),
            Record(2, "2026-02-02T12:00:00+08:00"), Record(3, "2026-02-03T12:00:00+08:00", facts: [LedgerScenario.Fact(minor: true, dataClass: DataClass.Minor)]),
            Record(4, "2026-02-03T12:00:00+08:00", purpose: "travel", facts: [LedgerScenario.Fact(lane: "CN-HK", recipient: "stranger", exemption: ExemptionKind.Contract)]));
        await _acme.OpenAsync(2026, "cn.counted.any", 700);
        await _acme.LookAsync();

        var report = await _acme.ReportAsync(2026);

        Assert.Equal(
            [("cn.counted.any", 3L, 2L), ("cn.counted.general", 2, 2), ("cn.counted.generalOnly", 1, 2), ("cn.counted.sensitive", 2, 0), ("cn.all.any", 4, 2), ("cn.all.general", 3, 2), ("cn.all.generalOnly", 2, 2), ("cn.all.sensitive", 2, 0), ("cn.all.minor", 1, 0)],
            report.Persons.Select(static count => (count.Name, count.Persons, count.PreviousYear)));
        Assert.Contains(report.Classes, static count => count is { Name: "finance", Persons: 1 });
        Assert.Contains(report.Classes, static count => count is { Name: "sensitive.finance", Persons: 1 });
        Assert.Equal([("contract", 1L)], report.Exemptions.Select(static count => (count.Name, count.Persons)));
        Assert.Equal([("SG", 3L)], report.Destinations.Select(static count => (count.Name, count.Persons)));
        Assert.Equal(
            [("acme-sg", "Acme (Singapore)", true, 3L, 3L, 0L, 2L), ("stranger", null, false, 0, 1, 0, 0)],
            report.Recipients.Select(static r => (r.Id, r.Name, r.Known, r.Counted, r.WithExempt, r.PreviousYearToDate!.Value, r.PreviousYear)));
        Assert.Equal(["us"], report.Recipients[0].Onward);
        Assert.Equal(
            [("payroll", "acme-sg", "CN-SG", 3L, 0L, 2L, 3L), ("travel", "stranger", "CN-HK", 1, 0, 0, 1)],
            report.Scenarios.Select(static s => (s.Purpose, s.Recipient, s.Lane, s.Persons!.Value, s.PreviousYearToDate!.Value, s.PreviousYear!.Value, s.Records)));
        Assert.Equal(["contract"], report.Scenarios[1].Exemptions);
        Assert.Equal([("name", "general", false, 4L), ("bankCardNumber", "finance", true, 1)], report.Fields.Select(static f => (f.Name, f.Class!, f.Sensitive, f.Records)));
        Assert.Equal((4, 700), (report.Records, Assert.Single(report.OpeningBalances).Count));
        Assert.Equal(["2026-cn-2024-SC_OR_CERT"], report.Standing.Latched!.Select(static tier => tier.Key));
        Assert.Equal(Tier.ScOrCert, report.Standing.Tier);
        Assert.Equal(("91440400MA00000000", 5_000L), (report.Exporter.CreditCode, report.Exporter.ProcessedPersons));
        Assert.Equal(["securityAssessment", "standardContract", "impactAssessment"], report.Filings.Select(static filing => filing.Filing));
        Assert.Equal(RuleCatalogue.Default.Fingerprint, report.Basis.Rules);
    }

    [Fact]
    public async Task Days_expected_persons_and_the_same_day_of_the_year_before_come_from_the_records()
    {
        _acme.Time.SetUtcNow(At("2026-03-02"));
        for (var day = 0; day < 5; day++)
        {
            await _acme.SensitiveAsync($"a{day}", (day * 10) + 1, 10);
            await _acme.LookAsync();
            _acme.Time.Advance(TimeSpan.FromDays(1));
        }

        _acme.Time.SetUtcNow(At("2027-03-05"));
        await _acme.SensitiveAsync("b", 1, 7);
        await _acme.LookAsync();

        var now = await _acme.ReportAsync(2027);
        Assert.Equal((7L, 40L, 50L, default(long?)), Sensitive(now));
        Assert.Equal([new ReportDay(new(2027, 3, 5), 0, 7)], now.Days);

        var then = await _acme.ReportAsync(2026);
        Assert.Equal((50L, 0L, 0L, 50L), Sensitive(then));
        Assert.Equal(new(new(2026, 1, 1), new(2026, 12, 31)), then.Window);
        Assert.Equal([10L, 20, 30, 40, 50, 50], then.Days.Take(6).Select(static day => day.Sensitive));
        Assert.Equal((new DateOnly(2026, 3, 2), new DateOnly(2026, 12, 31)), (then.Days[0].Day, then.Days[^1].Day));

        _acme.Time.AdjustTime(At("2026-03-07"));
        var within = await _acme.ReportAsync(2026);
        Assert.Equal(50 + (10 * (new DateOnly(2026, 12, 31).DayNumber - new DateOnly(2026, 3, 6).DayNumber)), Sensitive(within).Expected);
    }

    [Fact]
    public async Task A_filing_on_last_year_shows_what_held_then_beside_the_persons_of_then()
    {
        var terms = new ScenarioTerms { Recipient = "acme-sg", Purpose = "payroll", DataCentre = "Singapore", Mechanism = new() { Kind = MechanismKind.SecurityAssessment, Number = "SA-1", ValidFrom = new(2025, 1, 1), ApprovedPersons = 3, ScopeWindow = ScopeWindow.Term } };
        await _acme.RecordScenarioAsync("payroll", "2025-03-01", terms);
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", terms with { DataCentre = "Tokyo", Expected = new(2026, 9) });
        await _acme.RecordScenarioAsync("payroll", "2025-06-01", terms with { DataCentre = "Singapore 2" });
        await _acme.RecordScenarioAsync("planned", "2026-02-01", terms with { Purpose = "training", Mechanism = null });
        await _acme.RecordScenarioAsync("ended", "2025-01-01", terms with { Purpose = "audit" });
        await _acme.RecordScenarioAsync("ended", "2025-12-01", terms with { Purpose = "audit" }, withdrawn: true);
        await _acme.AppendAsync("y25", Record(1, "2025-02-01T12:00:00+08:00"), Record(1, "2025-06-01T12:00:00+08:00"), Record(2, "2025-08-01T12:00:00+08:00"));
        await _acme.AppendAsync("y26",
            Record(1, "2026-02-01T12:00:00+08:00", facts: [LedgerScenario.Fact(dataClass: DataClass.Finance)]), Record(3, "2026-02-02T12:00:00+08:00", facts: [LedgerScenario.Fact(minor: true, dataClass: DataClass.Minor)]),
            Record(4, "2026-02-02T12:00:00+08:00", facts: [LedgerScenario.Fact(exemption: ExemptionKind.HumanResources)]), Record(5, "2026-02-02T12:00:00+08:00"));

        var then = await _acme.ReportAsync(2025);
        Assert.Equal(["ended", "payroll"], then.Register.Select(static scenario => scenario.Scenario));
        var payroll = then.Register[1];
        Assert.Equal(("Singapore 2", 3, 2L, 0L), (payroll.Terms.DataCentre, payroll.Revision, payroll.Records, payroll.RecordsOutsideForce));
        Assert.Equal([new ReportPeriod(1, new(2025, 3, 1), new(2025, 5, 31), false), new ReportPeriod(3, new(2025, 6, 1), new(2025, 12, 31), false)], payroll.Periods);
        Assert.Equal((2L, false), (payroll.Scope!.Persons!.Value, payroll.Scope.Exceeded!.Value));
        Assert.Equal(new DateOnly(2025, 12, 1), then.Register[0].WithdrawnFrom);
        Assert.Contains(ScenarioGap.ExpectedPersons, payroll.Missing);
        Assert.Equal(["payroll"], Assert.Single(then.Scenarios).RegisteredAs);

        var now = await _acme.ReportAsync(2026);
        Assert.Equal(["payroll", "planned"], now.Register.Select(static scenario => scenario.Scenario));
        payroll = now.Register[0];
        Assert.Equal(("Tokyo", 2, 4L), (payroll.Terms.DataCentre, payroll.Revision, payroll.Records));
        Assert.Equal(
            [("subjects", 4L, 0L, 2L), ("pi.general", 2, 0, 2), ("pi.sensitive", 2, 0, 0), ("sensitive.finance", 1, 0, 0), ("sensitive.minor", 1, 0, 0), ("exempt.hr", 1, 0, 0), ("recipient.acme-sg", 4, 0, 2), ("country.SG", 4, 0, 2), ("cn.counted.any", 3, 0, 2)],
            ((string[])["subjects", "pi.general", "pi.sensitive", "sensitive.finance", "sensitive.minor", "exempt.hr", "recipient.acme-sg", "country.SG", "cn.counted.any"])
                .Select(name => payroll.Persons!.Single(count => count.Name == name)).Select(static count => (count.Name, count.Persons, count.PreviousYearToDate!.Value, count.PreviousYear)));

        // Over its term persons 1, 2, 3 and 5 are under the assessment; 4 is under an exemption.
        Assert.Equal(new ReportScope(3, ScopeWindow.Term, new(2025, 1, 1), new(2026, 3, 2), 4, true, true), payroll.Scope);
        Assert.DoesNotContain(ScenarioGap.ExpectedPersons, payroll.Missing);
        Assert.Contains(now.Missing, static gap => gap is { On: "scenario", Name: "planned" } && gap.Lacks.Contains("mechanism"));
        Assert.Empty(now.Register[1].Persons!);
        Assert.Null(now.Register[1].Scope);
    }

    [Fact]
    public async Task Consent_is_summed_by_records_and_distinct_persons()
    {
        await _acme.AppendAsync("b",
            Consented(1, "consent", "c-1", separate: true), Consented(1, "Consent:marketing", null), Consented(2, "separateConsent", null, separate: false), Consented(3, "contract", "c-3", notice: "n2"),
            Consented(4, "contract", null) with { OccurredAt = At("2025-05-01") }, Consented(5, "consented", null), Consented(6, "consent", "c-6", late: true));

        var consent = (await _acme.ReportAsync(2026)).Consent;

        Assert.Equal((new(4, 3), new(3, 3), new(1, 1), new(2, 2)), (consent.OnConsent, consent.WithEvidence, consent.Separate, consent.WithoutEvidence));
        Assert.Equal((1L, new(3, 3), new(1, 1)), (consent.PersonsWithoutAny, consent.NotSeparate, consent.AfterTransfer));
        Assert.Equal([new ReportNotice("n1", 5, 4), new ReportNotice("n2", 1, 1)], consent.Notices);

        static SubjectTransfer Consented(int subject, string basis, string? evidence, bool? separate = null, string notice = "n1", bool late = false) => Record(subject, "2026-02-01T12:00:00+08:00") with
        {
            Circumstances = new(["name"], "marketing", basis, null, "api", "crm", null, TransferNotices.None) { Paperwork = new(null, notice, null, separate) },
            Consent = evidence is null ? null : new(evidence, At(late ? "2026-02-02" : "2026-01-01")),
        };
    }

    [Fact]
    public async Task More_persons_than_can_be_told_apart_are_no_number()
    {
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", new() { Recipient = "acme-sg", Purpose = "" });
        var register = await _acme.Scenarios.ReadAsync(_acme.Exporter.Id, TestContext.Current.CancellationToken);
        var scope = new ScenarioScope("payroll", new() { ApprovedPersons = 3 }, new(2026, 1, 1), new(2026, 12, 31));
        var sums = new PaperworkSums(new(register), [scope], 2026, new(2026, 12, 31), mostPersons: 4);
        for (var i = 0; i < 10; i++)
        {
            sums.Add(new("r", DingFlow.Transfers.Ledger.SubjectKey.Of(LedgerScenario.Subject(i)), At("2026-05-01"), [LedgerScenario.Fact()], TransferCircumstances.Unknown with { Paperwork = new(null, "n1", null, null) }, "b"));
        }

        Assert.Equal(10, sums.Find("payroll")!.Records);
        Assert.Null(sums.Find("payroll")!.Counts(LedgerScenario.Predicates, true));
        Assert.Null(sums.PersonsWithin(scope));
        Assert.Equal((10L, null), (sums.ToConsent().Notices[0].Records, sums.ToConsent().Notices[0].Persons));
    }

    [Fact]
    public async Task The_register_is_on_the_page_and_in_the_csv_in_every_language()
    {
        var full = new ScenarioTerms
        {
            Recipient = "acme-sg", Purpose = "payroll", RecipientContact = "<privacy@acme.example>", RecipientRole = RecipientRole.Processor, OnwardRecipients = [new("Acme Macau", "MO"), new("Acme Foshan", "foshan")],
            Mechanism = new() { Kind = MechanismKind.GbaContract, ApprovedPersons = 1 }, Assessment = new() { Conclusion = "=1+1" },
        };
        await _acme.RecordScenarioAsync("payroll", "2026-01-01", full);
        await _acme.RecordScenarioAsync("payroll", "2026-02-01", full with { DataCentre = "Macau" });
        await _acme.RecordScenarioAsync("other", "2026-01-01", full with { Purpose = "audit", OnwardRecipients = [] });
        await _acme.AppendAsync("b", Record(1, "2026-02-01T12:00:00+08:00") with { Circumstances = new(["name"], "payroll", "consent", null, "api", "hr", null, TransferNotices.None) { Paperwork = new("nowhere", "n1", null, null) } },
            Record(2, "2026-02-01T12:00:00+08:00"));
        foreach (var language in AlertLanguages.All)
        {
            var report = await _acme.ReportAsync(2026, language);
            Assert.True(report.Register[1].OnwardInsideGreaterBay);
            var html = Encoding.UTF8.GetString(ReportPage.Write(report, language));
            var body = XElement.Parse(html[html.IndexOf("<body>", StringComparison.Ordinal)..html.IndexOf("</html>", StringComparison.Ordinal)]);
            Assert.All(body.Descendants("table"), static table => Assert.Single(table.Descendants("tr").Select(static row => row.Elements().Count()).Distinct()));
            Assert.DoesNotMatch(MissingLabel(), html);
            Assert.DoesNotContain("gap.", html, StringComparison.Ordinal);
            Assert.DoesNotContain("word.", html, StringComparison.Ordinal);
            Assert.Contains(ReportTexts.Default.Label("notRecorded", language), html, StringComparison.Ordinal);
            var rows = Parse(Encoding.UTF8.GetString(ReportCsv.Write(report, language)));
            Assert.All(rows, static row => Assert.Equal(5, row.Count));
            Assert.Contains(rows, static row => row is ["register", "payroll", _, "gap.mechanism", "gbaContract"]);
            Assert.Contains(rows, static row => row is ["register", "payroll", _, "gap.assessmentConclusion", "'=1+1"]);
            Assert.Contains(rows, static row => row is ["register", "payroll", _, "gap.startDate", ""]);
            Assert.Contains(rows, static row => row is ["unknownScenarios", "nowhere", _, "records", "1"]);
            Assert.Contains(rows, static row => row is ["missing", "payroll", _, "scenario", "startDate"]);
            Assert.Contains(rows, row => row is ["register", "payroll", _, "changedSinceFiling", var changed] && changed == ReportTexts.Default.Label("gap.dataCentre", language));
        }
    }

    [Fact]
    public async Task A_year_without_anything_is_zeros_in_every_form()
    {
        var report = await _acme.ReportAsync(2024);

        Assert.All(report.Persons, static count => Assert.Equal(0, count.Persons));
        Assert.Contains("No day of this year was observed.", Encoding.UTF8.GetString(ReportPage.Write(report, AlertLanguage.English)), StringComparison.Ordinal);
        Assert.NotEmpty(ReportCsv.Write(report, AlertLanguage.English));
    }

    [Theory]
    [InlineData("=1+1")]
    [InlineData("+cmd|' /C calc'!A0")]
    [InlineData("-2+3")]
    [InlineData("@SUM(A1)")]
    [InlineData("\tx")]
    [InlineData("\r=1")]
    [InlineData("＝1+1")]
    public void No_cell_is_a_formula(string cell)
    {
        var quoted = ReportCsv.Quote(cell);

        Assert.StartsWith("\"'", quoted, StringComparison.Ordinal);
        Assert.Equal(cell, Parse(quoted + "\r\n").Single().Single()[1..]);
    }

    [Theory]
    [InlineData("-5", "-5")]
    [InlineData("plain", "plain")]
    [InlineData("a,b", "\"a,b\"")]
    [InlineData("a\"b", "\"a\"\"b\"")]
    [InlineData("", "")]
    public void Other_cells_stay_as_they_are(string cell, string expected) => Assert.Equal(expected, ReportCsv.Quote(cell));

    [Fact]
    public async Task The_csv_has_five_cells_in_every_row_whatever_is_in_them()
    {
        await _acme.AppendAsync("b", Record(1, "2026-02-01T12:00:00+08:00", purpose: "=HYPERLINK(\"https://evil.example\")\r\nx,y", fields: ["+name"]));

        var rows = Parse(Encoding.UTF8.GetString(ReportCsv.Write(await _acme.ReportAsync(2026), AlertLanguage.Portuguese)));

        Assert.All(rows, static row => Assert.Equal(5, row.Count));
        Assert.Equal("\uFEFFsection", rows[0][0]);
        Assert.Contains(rows, static row => row is ["persons", "cn.counted.any", "contados, qualquer informação", "persons", "1"]);
        Assert.Contains(rows, static row => row[1].StartsWith("'=HYPERLINK", StringComparison.Ordinal));
        Assert.All(rows.SelectMany(static row => row), static cell => Assert.False(cell.Length > 0 && "=+@".Contains(cell[0], StringComparison.Ordinal), cell));
    }

    [Theory]
    [InlineData(AlertLanguage.English, "en", "Distinct persons")]
    [InlineData(AlertLanguage.TraditionalChinese, "zh-Hant", "不重複人數")]
    [InlineData(AlertLanguage.SimplifiedChinese, "zh-Hans", "去重人数")]
    [InlineData(AlertLanguage.Portuguese, "pt", "Pessoas distintas")]
    public async Task The_page_is_well_formed_in_every_language_and_lets_nothing_in(AlertLanguage language, string tag, string heading)
    {
        _acme.Exporter = _acme.Exporter with { Name = "Acme <script>alert(1)</script> 珠海" };
        await FillAsync();

        var html = Encoding.UTF8.GetString(ReportPage.Write(await _acme.ReportAsync(2026, language), language));

        Assert.StartsWith($"<!doctype html><html lang=\"{tag}\">", html, StringComparison.Ordinal);
        Assert.Contains(heading, html, StringComparison.Ordinal);
        Assert.Contains("珠海", html, StringComparison.Ordinal);
        Assert.DoesNotContain("<script", html, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("http:", html.Replace("http://www.w3.org/2000/svg", "", StringComparison.Ordinal), StringComparison.Ordinal);
        // Everything after the head is XML too; a table with a missing cell or a stray tag would show here.
        var body = XElement.Parse(html[html.IndexOf("<body>", StringComparison.Ordinal)..html.IndexOf("</html>", StringComparison.Ordinal)]);
        Assert.All(body.Descendants("table"), static table =>
            Assert.Single(table.Descendants("tr").Select(static row => row.Elements().Count()).Distinct()));
        Assert.DoesNotMatch(MissingLabel(), html);
    }

    [Fact]
    public async Task The_chart_draws_the_year_against_its_limits()
    {
        await FillAsync();

        var html = Encoding.UTF8.GetString(ReportPage.Write(await _acme.ReportAsync(2026), AlertLanguage.English));

        XNamespace svg = "http://www.w3.org/2000/svg";
        var charts = XElement.Parse(html[html.IndexOf("<body>", StringComparison.Ordinal)..html.IndexOf("</html>", StringComparison.Ordinal)]).Descendants(svg + "svg").ToList();
        Assert.Equal(2, charts.Count);
        var sensitive = charts[1];
        Assert.Equal("CN24-SA-SPI: 10,000", sensitive.Elements(svg + "text").Single(static text => (string?)text.Attribute("class") == "limit-label").Value);
        var points = sensitive.Element(svg + "polyline")!.Attribute("points")!.Value.Split(' ')
            .Select(static point => point.Split(',').Select(static number => double.Parse(number, CultureInfo.InvariantCulture)).ToArray()).ToList();
        Assert.Equal(60, points.Count);
        // Time runs to the right, counts upwards, and nothing leaves the picture.
        Assert.All(points.Zip(points.Skip(1)), static pair => Assert.True(pair.First[0] < pair.Second[0] && pair.First[1] >= pair.Second[1]));
        Assert.All(points, static point => Assert.True(point[0] is >= 72 and <= 744 && point[1] is >= 18 and <= 230));
        Assert.NotNull(sensitive.Elements(svg + "line").Single(static line => (string?)line.Attribute("class") == "expected"));
    }

    [Fact]
    public void Every_label_is_in_every_language() => Assert.All(ReportTexts.Default.Labels, static label => Assert.All(
        AlertLanguages.All, language => Assert.False(string.IsNullOrWhiteSpace(ReportTexts.Default.Find(label, language)), $"{label} {language.Tag()}")));

    [Fact]
    public void Every_class_exemption_notice_counter_and_consequence_has_a_label()
    {
        IEnumerable<string> names =
        [
            .. Enum.GetValues<DataClass>().Select(static value => "class." + Vocabulary.Of(value)),
            .. Enum.GetValues<ExemptionKind>().Where(static value => value != ExemptionKind.None).Select(static value => "exemption." + Vocabulary.Of(value)),
            .. Enum.GetNames<TransferNotices>().Where(static name => name != "None").Select(static name => "notice." + System.Text.Json.JsonNamingPolicy.CamelCase.ConvertName(name)),
            .. RuleCatalogue.Default.RuleSets.SelectMany(static set => set.Rules).Select(static rule => "consequence." + rule.Consequence),
        ];

        Assert.All(names, static name => Assert.NotNull(ReportTexts.Default.Find(name, AlertLanguage.Portuguese)));
    }

    [Fact]
    public void Memory_is_bounded_by_persons_scenarios_and_fields()
    {
        var sums = new RecordSums(mostPersons: 10, mostScenarios: 3);
        for (var i = 0; i < 50; i++)
        {
            sums.Add(new("r", DingFlow.Transfers.Ledger.SubjectKey.Of(LedgerScenario.Subject(i)), DateTimeOffset.UnixEpoch, [LedgerScenario.Fact(recipient: $"r{i % 5}")], TransferCircumstances.Unknown, "b"));
        }

        Assert.Equal(50, sums.Count);
        Assert.Equal(4, sums.Scenarios.Count);
        Assert.Equal(50, sums.Scenarios.Values.Sum(static scenario => scenario.ToScenario(default).Records));
        Assert.Contains(sums.Scenarios.Values, static scenario => scenario.ToScenario(default).Persons is null);
    }

    private static SubjectTransfer Record(
        int subject, string at, string purpose = "payroll", IReadOnlyList<string>? fields = null, IReadOnlyList<TransferFact>? facts = null) =>
        LedgerScenario.Record(subject, at, facts ?? [LedgerScenario.Fact()]) with
        {
            Circumstances = new(fields ?? ["name"], purpose, "contract", null, "api", "dingtalk", null, TransferNotices.None),
        };

    private async Task FillAsync()
    {
        for (var day = 0; day < 60; day++)
        {
            await _acme.SensitiveAsync($"s{day}", (day * 60) + 1, day % 7 < 5 ? 60 : 1);
            await _acme.CheckAsync(_acme.Store);
            if (day < 59)
            {
                _acme.Time.Advance(TimeSpan.FromDays(1));
            }
        }
    }

    private static (long Persons, long? SameDay, long Previous, long? Expected) Sensitive(ExporterReport report) =>
        report.Persons.Where(static count => count.Name == "cn.counted.sensitive").Select(static c => (c.Persons, c.PreviousYearToDate, c.PreviousYear, c.ExpectedYear)).Single();

    private static DateTimeOffset At(string day) => LegalTime.StartOf(DateOnly.ParseExact(day, "yyyy-MM-dd", CultureInfo.InvariantCulture)).AddHours(9);

    /// <summary>RFC 4180.</summary>
    private static List<List<string>> Parse(string csv)
    {
        var (rows, row, cell, quoted) = (new List<List<string>>(), new List<string>(), new StringBuilder(), false);
        for (var i = 0; i < csv.Length; i++)
        {
            switch (csv[i])
            {
                case '"' when quoted && i + 1 < csv.Length && csv[i + 1] == '"':
                    cell.Append('"');
                    i++;
                    break;
                case '"':
                    quoted = !quoted;
                    break;
                case ',' when !quoted:
                    row.Add(cell.ToString());
                    cell.Clear();
                    break;
                case '\r' when !quoted && csv[i + 1] == '\n':
                    row.Add(cell.ToString());
                    cell.Clear();
                    rows.Add(row);
                    row = [];
                    i++;
                    break;
                case var other:
                    cell.Append(other);
                    break;
            }
        }

        return rows;
    }

    /// <summary>A label that no language has would stand on the page by its name.</summary>
    [GeneratedRegex(@">(?:status|tier|consequence|class|exemption|notice|filing|counter)\.[A-Za-z_.]+<")]
    private static partial Regex MissingLabel();
}
