using System.Globalization;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using DingFlow.Transfers;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>The register of scenarios over HTTP against the real program: recorded, corrected, withdrawn, audited, refused, kept over a restart, in the report.</summary>
public sealed class ScenarioRouteTests(TransfersProgram program) : IClassFixture<TransfersProgram>
{
    private static DateOnly Today => LegalTime.DayOf(TimeProvider.System.GetUtcNow());

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static JObject Full() => new()
    {
        ["inForceFrom"] = Day(new(Today.Year, 1, 1)), ["reason"] = "Filing of January",
        ["terms"] = new JObject
        {
            ["recipient"] = "Acme-SG", ["purpose"] = "payroll", ["recipientContact"] = "privacy@acme-sg.example", ["recipientRole"] = "entrusted",
            ["recipientSystem"] = "erp", ["dataCentre"] = "Singapore", ["onwardRecipients"] = new JArray(new JObject { ["name"] = "Acme UK", ["place"] = "GB" }),
            ["startDate"] = "2025-06-01", ["frequency"] = "monthly", ["retentionAbroad"] = "two years", ["noticeVersion"] = "n1",
            ["mechanism"] = new JObject { ["kind"] = "standardContract", ["number"] = "2026-0012", ["validFrom"] = "2026-01-01", ["validTo"] = "2098-12-31", ["approvedPersons"] = 2 },
            ["assessment"] = new JObject { ["id"] = "PIA-7", ["date"] = "2025-12-01", ["conclusion"] = "low risk", ["nextReview"] = "2099-12-01", ["keepUntil"] = "2029-01-01" },
            ["expected"] = new JObject { ["year"] = Today.Year, ["persons"] = 2 },
        },
    };

    [Fact]
    public async Task A_scenario_is_recorded_corrected_withdrawn_and_audited_and_everything_stays()
    {
        var exporter = program.NewExporter();
        var path = $"/api/transfers/scenarios/{exporter}/Payroll-SG";

        var first = await AskAsync(HttpMethod.Put, path, Full());
        var again = await AskAsync(HttpMethod.Put, path, Full());
        Assert.Equal((201, 200), (first.Status, again.Status));
        Assert.Equal(("payroll-sg", "inForce", 1), ((string?)first.Json["scenario"], (string?)first.Json["state"], again.Json["versions"]!.Count()));
        Assert.Equal(("acme-sg", "key:compliance"), ((string?)first.Json["current"]!["terms"]!["recipient"], (string?)first.Json["current"]!["recordedBy"]));
        Assert.Empty(first.Json["missing"]!);

        var corrected = Full();
        (corrected["inForceFrom"], corrected["reason"]) = (Day(Today), "The data centre moved");
        corrected["terms"]!["dataCentre"] = "Tokyo";
        ((JObject)corrected["terms"]!).Remove("frequency");
        var second = await AskAsync(HttpMethod.Put, path, corrected);
        Assert.Equal((200, "Tokyo", 2), (second.Status, (string?)second.Json["current"]!["terms"]!["dataCentre"], (int)second.Json["current"]!["revision"]!));
        Assert.Equal(["dataCentre"], second.Json["changedSinceFiling"]!.Select(change => (string?)change));
        Assert.Equal(["frequency"], second.Json["missing"]!.Select(gap => (string?)gap));
        Assert.Equal(["Singapore", "Tokyo"], second.Json["versions"]!.Select(version => (string?)version["terms"]!["dataCentre"]));

        var withdrawn = await AskAsync(HttpMethod.Post, path + "/withdraw", new() { ["reason"] = "Payroll moved home" });
        Assert.Equal((200, "withdrawn", Day(Today)), (withdrawn.Status, (string?)withdrawn.Json["state"], (string?)withdrawn.Json["current"]!["inForceFrom"]));
        Assert.Equal(["frequency", "deletionProof"], withdrawn.Json["missing"]!.Select(gap => (string?)gap));
        Assert.Equal(3, (await AskAsync(HttpMethod.Post, path + "/withdraw", new() { ["reason"] = "Payroll moved home" })).Json["versions"]!.Count());
        var proved = await AskAsync(HttpMethod.Post, path + "/withdraw", new() { ["reason"] = "Certificate came", ["deletionProof"] = "cert-88" });
        Assert.Equal((4, "cert-88"), (proved.Json["versions"]!.Count(), (string?)proved.Json["current"]!["terms"]!["deletionProof"]));

        var one = await AskAsync(HttpMethod.Get, path.ToLowerInvariant(), null);
        var listed = Assert.Single((await AskAsync(HttpMethod.Get, $"/api/transfers/scenarios?exporter={exporter}", null)).Json["items"]!);
        Assert.Equal(one.Json["current"]!.ToString(), listed["current"]!.ToString());
        Assert.Null(listed["versions"]);

        var entries = await program.AuditAsync("transfers.", $"{exporter}/payroll-sg");
        Assert.Equal(
            ["transfers.scenario_recorded", "transfers.scenario_recorded", "transfers.scenario_withdrawn", "transfers.scenario_withdrawn"],
            entries.Select(entry => (string?)entry["kind"]));
        Assert.Equal(("Singapore → Tokyo", "monthly → –"), ((string?)entries[1]["details"]!["dataCentre"], (string?)entries[1]["details"]!["frequency"]));
        Assert.DoesNotContain("privacy@", string.Concat(entries), StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_report_shows_the_register_beside_the_persons_in_every_form()
    {
        var exporter = program.NewExporter();
        await AskAsync(HttpMethod.Put, $"/api/transfers/scenarios/{exporter}/payroll-sg", Full());
        var at = TimeProvider.System.GetUtcNow().AddHours(-1).ToString("O", CultureInfo.InvariantCulture);
        var recorded = await program.Sender.PostAsync(Enumerable.Range(1, 5).Select(i => TransferSender.Record($"t-{i}", $"E{i % 3}", exporter, record =>
        {
            record["occurredAt"] = at;
            (record["legalBasis"], record["noticeVersion"], record["scenario"]) = ("consent", "n1", i == 5 ? "nowhere" : null);
            record["consent"] = i == 1 ? new JObject { ["id"] = "c-1", ["at"] = at, ["version"] = "v1", ["separate"] = true } : null;
        })));
        Assert.Equal(5, (int)recorded.Json["accepted"]!);

        var report = (await AskAsync(HttpMethod.Get, $"/api/reports/{exporter}/{Today.Year}", null)).Json;
        var scenario = Assert.Single(report["register"]!);
        Assert.Equal(("payroll-sg", 4, false), ((string?)scenario["scenario"], (int)scenario["records"]!, (bool)scenario["onwardInsideGreaterBay"]!));
        Assert.Equal((2, 3, true), ((int)scenario["scope"]!["approvedPersons"]!, (int)scenario["scope"]!["persons"]!, (bool)scenario["scope"]!["exceeded"]!));
        Assert.Equal(3, (int)scenario["persons"]!.Single(count => (string?)count["name"] == "sensitive.finance")["persons"]!);
        Assert.Equal("n1", (string?)scenario["terms"]!["noticeVersion"]);
        Assert.Equal(1, (int)report["unknownScenarios"]!["nowhere"]!);
        var consent = report["consent"]!;
        Assert.Equal((5, 3, 1, 4, 3, 2), (
            (int)consent["onConsent"]!["records"]!, (int)consent["onConsent"]!["persons"]!, (int)consent["withEvidence"]!["persons"]!,
            (int)consent["withoutEvidence"]!["records"]!, (int)consent["withoutEvidence"]!["persons"]!, (int)consent["personsWithoutAny"]!));
        Assert.Equal(("n1", 5), ((string?)Assert.Single(consent["notices"]!)["version"], (int)consent["notices"]![0]!["records"]!));
        Assert.Contains(report["missing"]!, gap => (string?)gap["on"] == "exporter" && gap["lacks"]!.Any(lacks => (string?)lacks == "creditCode"));

        Assert.Contains("register,payroll-sg,data centre,gap.dataCentre,Singapore\r\n", await TextAsync(exporter, "csv", "en"), StringComparison.Ordinal);
        Assert.Contains("数据中心", await TextAsync(exporter, "html", "zh-Hans"), StringComparison.Ordinal);
        Assert.DoesNotContain("c-1", report.ToString(), StringComparison.Ordinal);

        // Whoever may look the person up sees where consent is kept.
        var held = await program.Compliance.Client.AskAsync(HttpMethod.Post, "/api/subjects/lookup", new JObject
        {
            ["subject"] = new JObject { ["type"] = "employeeId", ["id"] = "E1" }, ["exporter"] = exporter, ["reason"] = "Access request",
        }.ToString());
        Assert.Contains(held.Json["exporters"]![0]!["records"]!, record => (string?)record["consent"]?.SelectToken("id") == "c-1" && (string?)record["noticeVersion"] == "n1");
    }

    [Fact]
    public async Task What_cannot_be_is_refused_and_nobody_records_without_the_role_or_for_another_exporter()
    {
        var exporter = program.NewExporter();
        var path = $"/api/transfers/scenarios/{exporter}/payroll";
        foreach (var (place, value) in ((string, JToken?)[])
        [
            ("reason", null), ("reason", "x"), ("terms", null), ("inForceFrom", "1999-01-01"), ("inForceFrom", Day(Today.AddYears(2))), ("terms.recipient", "a b"), ("terms.recipient", ""), ("terms.recipient", null),
            ("terms.purpose", ""), ("terms.purpose", null), ("terms.purpose", new string('x', 201)), ("terms.dataCentre", new string('x', 301)), ("terms.frequency", "a\u0007b"), ("terms.startDate", "1899-01-01"),
            ("terms.onwardRecipients", new JArray(new JObject { ["name"] = "x", ["place"] = "Atlantis" })), ("terms.onwardRecipients", new JArray(new JObject { ["name"] = "" })),
            ("terms.onwardRecipients", new JArray(Enumerable.Range(0, 51).Select(i => new JObject { ["name"] = $"n{i}" }))), ("terms.onwardRecipients", new JArray(JValue.CreateNull())),
            ("terms.mechanism.kind", null), ("terms.mechanism.approvedPersons", 0), ("terms.mechanism.validTo", "2025-12-31"),
            ("terms.assessment.date", Day(Today.AddDays(1))), ("terms.assessment.nextReview", "2025-11-30"), ("terms.assessment.keepUntil", "2028-11-30"),
            ("terms.expected.year", 26), ("terms.expected.persons", -1),
        ])
        {
            var bad = Full();
            Set(bad, place, value);
            var answer = await AskAsync(HttpMethod.Put, path, bad);
            Assert.True(answer.Status == 422, $"{place} {value}: {answer.Status} {answer.Text}");
        }

        foreach (var (place, value) in ((string, JToken?)[])
        [
            ("terms.mechanism.kind", "luck"), ("terms.mechanisms", "x"), ("terms.startDate", "yesterday"), ("terms.mechanism.approvedPersons", "many"), ("inForceFrom", "2026-13-01"), ("terms", "all"),
        ])
        {
            var bad = Full();
            Set(bad, place, value);
            (await AskAsync(HttpMethod.Put, path, bad)).IsProblem(400, "malformed");
        }

        var large = Full();
        large["terms"]!["description"] = new string('x', 20_000);
        Assert.Equal(413, (await AskAsync(HttpMethod.Put, path, large)).Status);
        (await AskAsync(HttpMethod.Put, $"/api/transfers/scenarios/{exporter}/pay%20roll", Full())).IsProblem(400, "malformed");
        (await AskAsync(HttpMethod.Put, "/api/transfers/scenarios/nobody/payroll", Full())).IsProblem(404, "unknown-exporter");
        (await AskAsync(HttpMethod.Get, path, null)).IsProblem(404, "not-found");
        (await AskAsync(HttpMethod.Post, path + "/withdraw", new() { ["reason"] = "None there." })).IsProblem(404, "not-found");
        (await AskAsync(HttpMethod.Post, path + "/withdraw", new() { ["reason"] = " " })).IsProblem(422, "invalid");

        using var confined = program.Program.CreateOperator(TransfersProgram.ConfinedKey);
        (await confined.AskAsync(HttpMethod.Put, path, Full().ToString())).IsProblem(403, "forbidden");
        (await confined.AskAsync(HttpMethod.Get, path)).IsProblem(403, "forbidden");
        (await confined.AskAsync(HttpMethod.Post, path + "/withdraw", "{\"reason\":\"Not mine\"}")).IsProblem(403, "forbidden");
        (await confined.AskAsync(HttpMethod.Get, $"/api/transfers/scenarios?exporter={exporter}")).IsProblem(403, "forbidden");
        using var operations = program.Program.CreateOperator(TransfersProgram.OperationsKey);
        (await operations.AskAsync(HttpMethod.Put, path, Full().ToString())).IsProblem(403, "forbidden");
        (await operations.AskAsync(HttpMethod.Get, $"/api/transfers/scenarios?exporter={exporter}")).IsProblem(403, "forbidden");
        Assert.Empty((await AskAsync(HttpMethod.Get, $"/api/transfers/scenarios?exporter={exporter}", null)).Json["items"]!);

        // The same recipient and purpose twice: nobody could say to which a record belongs.
        Assert.Equal(201, (await AskAsync(HttpMethod.Put, path, Full())).Status);
        (await AskAsync(HttpMethod.Put, path + "-2", Full())).IsProblem(409, "conflict");
    }

    [Fact]
    public async Task A_restart_keeps_the_register_and_what_records_say()
    {
        using var directory = new DataDirectory();
        string before;
        await using (var first = await DingFlowProcess.StartStandaloneAsync(dataDirectory: directory.Path))
        {
            using var sender = new TransferSender(first.CreateOperator());
            Assert.Equal(201, (await sender.Client.AskAsync(HttpMethod.Put, "/api/transfers/scenarios/acme-zhuhai/payroll", Full().ToString())).Status);
            await sender.PostAsync(TransferSender.Record("t-1", "E1", change: record => (record["noticeVersion"], record["consent"]) = ("n1", new JObject { ["id"] = "c-1" })));
            before = await ShownAsync(sender);
            await first.TerminateAsync();
        }

        await using var second = await DingFlowProcess.StartStandaloneAsync(dataDirectory: directory.Path);
        using var again = new TransferSender(second.CreateOperator());
        Assert.Equal(before, await ShownAsync(again));
        Assert.Contains("\"n1\"", before, StringComparison.Ordinal);

        async Task<string> ShownAsync(TransferSender sender)
        {
            var scenario = await sender.Client.AskAsync(HttpMethod.Get, "/api/transfers/scenarios/acme-zhuhai/payroll");
            var report = await sender.Client.AskAsync(HttpMethod.Get, $"/api/reports/acme-zhuhai/{Today.Year}");
            return $"{scenario.Json} {report.Json["register"]} {report.Json["consent"]}";
        }
    }

    private static void Set(JObject target, string place, JToken? value)
    {
        var names = place.Split('.');
        JToken at = target;
        foreach (var name in names[..^1])
        {
            at = at[name]!;
        }

        at[names[^1]] = value;
    }

    private static string Day(DateOnly day) => day.ToString("yyyy-MM-dd", CultureInfo.InvariantCulture);

    private async Task<string> TextAsync(string exporter, string format, string language)
    {
        using var answer = await program.Compliance.Client.GetAsync(new Uri($"/api/reports/{exporter}/{Today.Year}?format={format}&language={language}", UriKind.Relative), Cancellation);
        return await answer.Content.ReadAsStringAsync(Cancellation);
    }

    private Task<Answer> AskAsync(HttpMethod method, string path, JObject? body) => program.Compliance.Client.AskAsync(method, path, body?.ToString());
}
