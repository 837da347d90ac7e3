using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Transfers;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Rules;

/// <summary>Incidents over HTTP: reported, corrected, told, audited, in thresholds and reports, closed.</summary>
public sealed class IncidentTests(TransfersProgram program) : IClassFixture<TransfersProgram>
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static JObject Report(long persons, long sensitive, long eea = 0, string description = "A laptop was stolen.") => new()
    {
        ["discoveredAt"] = TimeProvider.System.GetUtcNow().AddHours(-1).ToString("O", System.Globalization.CultureInfo.InvariantCulture)[..13] + ":00:00Z",
        ["persons"] = persons, ["sensitivePersons"] = sensitive, ["eeaPersons"] = eea, ["categories"] = new JArray("finance"), ["description"] = description,
    };

    [Fact]
    public async Task An_incident_is_reported_corrected_told_audited_and_closed()
    {
        var exporter = program.NewExporter();
        var path = $"/api/incidents/{exporter}/INC-7";
        var report = Report(99_999, 99_999);

        var first = await AskAsync(HttpMethod.Put, path, report);
        var again = await AskAsync(HttpMethod.Put, path, report);
        Assert.Equal((201, 200, 1), (first.Status, again.Status, (int)again.Json["incident"]!["revision"]!));
        Assert.Equal("inc-7", (string?)first.Json["incident"]!["reference"]);
        Assert.Equal("key:compliance", (string?)first.Json["incident"]!["reportedBy"]);
        Assert.All(first.Json["rules"]!, rule => Assert.False((bool)rule["reached"]!));
        Assert.Equal(["CN25-INC-PI", "CN25-INC-SPI", "EU-33"], first.Json["rules"]!.Select(rule => (string?)rule["rule"]).Order());
        await Eventually.IsTrueAsync(async () => (await AlertsAsync(exporter)).Count == 1, () => "one alert", Cancellation);

        var corrected = await AskAsync(HttpMethod.Put, path, Report(1_000_000, 100_000, 1, "More were on it."));
        Assert.Equal((200, 2), (corrected.Status, (int)corrected.Json["incident"]!["revision"]!));
        Assert.All(corrected.Json["rules"]!, rule => Assert.True((bool)rule["reached"]!));
        Assert.Equal(
            Moment(corrected.Json["incident"]!["discoveredAt"]).AddHours(72), Moment(corrected.Json["incident"]!["euNotifyBy"]));
        await Eventually.IsTrueAsync(
            async () => (await AlertsAsync(exporter)) is [var told] && ((string?)told["details"]!["rules"] ?? "").Split(", ").Order().SequenceEqual(["CN25-INC-PI", "CN25-INC-SPI", "EU-33"]),
            () => "the correction takes the place of the report", Cancellation);

        // The thresholds know it, each rule by the largest open incident, and so does the year's report in every form.
        await AskAsync(HttpMethod.Put, $"/api/incidents/{exporter}/inc-8", Report(5, 0));
        Assert.Equal(["CN25-INC-PI", "CN25-INC-SPI", "EU-33"], await ReachedAsync(exporter));
        var year = DingFlow.Transfers.LegalTime.YearOf(TimeProvider.System.GetUtcNow());
        var yearly = await program.Compliance.Client.AskAsync(HttpMethod.Get, $"/api/reports/{exporter}/{year}");
        Assert.Equal(["inc-7", "inc-8"], yearly.Json["incidents"]!.Select(incident => (string?)incident["reference"]).Order());
        Assert.Contains("incidents,inc-7,,persons,1000000\r\n", (await TextAsync(exporter, year, "csv")).Replace("More were on it.", "", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains("1,000,000", await TextAsync(exporter, year, "html"), StringComparison.Ordinal);

        (await AskAsync(HttpMethod.Post, path + "/close", new() { ["reason"] = " " })).IsProblem(400, "malformed");
        var closed = await AskAsync(HttpMethod.Post, path + "/close", new() { ["reason"] = "Notified under number 7." });
        Assert.Equal((200, "Notified under number 7."), (closed.Status, (string?)closed.Json["incident"]!["closed"]!["reason"]));
        (await AskAsync(HttpMethod.Post, path + "/close", new() { ["reason"] = "Again." })).IsProblem(409, "conflict");
        Assert.Empty(await ReachedAsync(exporter));

        // More came to light: it is open again.
        var reopened = await AskAsync(HttpMethod.Put, path, Report(1_000_000, 0));
        Assert.Equal(JTokenType.Null, reopened.Json["incident"]!["closed"]!.Type);
        Assert.Equal(["CN25-INC-PI"], await ReachedAsync(exporter));

        var kinds = (await program.AuditAsync("incidents.", $"{exporter}/inc-7")).Select(entry => (string?)entry["kind"]);
        Assert.Equal(["incidents.reported", "incidents.corrected", "incidents.closed", "incidents.corrected"], kinds);
        Assert.DoesNotContain("laptop", string.Concat(await program.AuditAsync("incidents.")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_is_refused_and_nobody_reports_without_the_role()
    {
        var exporter = program.NewExporter();
        var path = $"/api/incidents/{exporter}/inc-1";
        foreach (var (property, value) in ((string, JToken?)[])
        [
            ("discoveredAt", null), ("discoveredAt", "2099-01-01T00:00:00Z"), ("persons", null), ("persons", -1), ("sensitivePersons", 11), ("eeaPersons", 11), ("records", -1),
            ("categories", new JArray("gossip")), ("description", null), ("description", "x"), ("occurredAt", "2098-01-01T00:00:00Z"),
        ])
        {
            var bad = Report(10, 0);
            bad[property] = value;
            (await AskAsync(HttpMethod.Put, path, bad)).IsProblem(422, "invalid");
        }

        (await AskAsync(HttpMethod.Put, $"/api/incidents/{exporter}/in%20c", Report(1, 0))).IsProblem(400, "malformed");
        (await AskAsync(HttpMethod.Put, "/api/incidents/nobody/inc-1", Report(1, 0))).IsProblem(404, "unknown-exporter");
        (await AskAsync(HttpMethod.Get, path, null)).IsProblem(404, "not-found");
        (await AskAsync(HttpMethod.Post, path + "/close", new() { ["reason"] = "None there." })).IsProblem(404, "not-found");
        using var confined = program.Program.CreateOperator(TransfersProgram.ConfinedKey);
        (await confined.AskAsync(HttpMethod.Put, path, Report(1, 0).ToString())).IsProblem(403, "forbidden");
        (await confined.AskAsync(HttpMethod.Get, $"/api/incidents?exporter={exporter}")).IsProblem(403, "forbidden");
        Assert.Empty((await AskAsync(HttpMethod.Get, $"/api/incidents?exporter={exporter}", null)).Json["items"]!);
    }

    private static DateTimeOffset Moment(JToken? text) => DateTimeOffset.Parse((string)text!, System.Globalization.CultureInfo.InvariantCulture);

    private async Task<List<string?>> ReachedAsync(string exporter) =>
        [.. (await AskAsync(HttpMethod.Get, $"/api/thresholds?exporter={exporter}", null)).Json["rules"]!
            .Where(rule => (bool)rule["reached"]! && ((string)rule["consequence"]!) is "AUDIT_MAY_BE_ORDERED" or "EU_BREACH_NOTICE").Select(rule => (string?)rule["rule"]).Order()];

    private async Task<List<JToken>> AlertsAsync(string exporter) =>
        [.. (await AskAsync(HttpMethod.Get, $"/api/alerts?type=incidents&exporter={exporter}&state=open", null)).Json["items"]!
            .Where(alert => (string?)alert["details"]!["reference"] == "inc-7")];

    private async Task<string> TextAsync(string exporter, int year, string format)
    {
        using var answer = await program.Compliance.Client.GetAsync(new Uri($"/api/reports/{exporter}/{year}?format={format}", UriKind.Relative), Cancellation);
        return await answer.Content.ReadAsStringAsync(Cancellation);
    }

    private Task<Answer> AskAsync(HttpMethod method, string path, JObject? body) => program.Compliance.Client.AskAsync(method, path, body?.ToString());
}
