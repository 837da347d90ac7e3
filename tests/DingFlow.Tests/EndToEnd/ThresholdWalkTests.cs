using System.Globalization;
using System.Text;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Transfers;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>From a batch of transfers to the people who are told, and back: acknowledgement, silence, review, report; across kills.</summary>
public sealed class ThresholdWalkTests
{
    private const string SenderKey = "sender-key-of-the-threshold-walk-0123456789";
    private const string LegalKey = "legal-key-of-the-threshold-walk-0123456789";
    private const string ReaderKey = "reader-key-of-the-threshold-walk-0123456789";
    private const string OtherKey = "other-key-of-the-threshold-walk-0123456789";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_limit_that_comes_near_is_told_once_on_every_channel_also_across_kills()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(Settings(sandbox));
        await ExportAsync(program, 1, 9_200);

        await TickAsync(program, "CheckThresholds");
        await program.KillAsync();
        await program.StartAsync();
        await TickAsync(program, "CheckThresholds");
        var told = await ToldAsync(sandbox, "CN24-SA-SPI");
        await program.KillAsync();
        await program.StartAsync();
        await TickAsync(program, "CheckThresholds");
        await TickAsync(program, "RepeatAlerts");

        // One by robot, one by work notice and one by mail; the robot's in Traditional Chinese.
        Assert.Equal(["corpconversation.asyncsend_v2", "messages.send", "robot.send"], told.Select(static message => message.Operation).Order());
        Assert.Contains(told, static message => message.Text.Contains("已達 CN24-SA-SPI 上限的 90%", StringComparison.Ordinal));
        Assert.Contains(told, static message => message.Text.Contains("acme-zhuhai: 90 % of the limit of CN24-SA-SPI", StringComparison.Ordinal));
        using var legal = program.CreateOperator(LegalKey);
        var alerts = await AlertsAsync(legal, "?type=thresholds");
        Assert.Single(alerts, static alert => (string?)alert["details"]!["rule"] == "CN24-SA-SPI");
        await Eventually.IsTrueAsync(
            async () => (await legal.AskAsync(HttpMethod.Get, $"/api/alerts/{alerts[0]["id"]}")).Json["deliveries"]!.All(static delivery => (string?)delivery["state"] == "delivered"),
            () => "every channel has it, the work notice by proof", Cancellation);
        // Wherever the kills fell: the robot knows the message again, the mailbox is asked, and a person gets a notice once a day.
        Assert.Equal(3, sandbox.Outbox.Messages.Count(static message => message.Text.Contains("CN24-SA-SPI", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task People_see_acknowledge_silence_review_and_report_within_their_rights()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(Settings(sandbox));
        using var legal = program.CreateOperator(LegalKey);
        using var reader = program.CreateOperator(ReaderKey);
        using var other = program.CreateOperator(OtherKey);
        await ExportAsync(program, 1, 3);
        await TickAsync(program, "CheckThresholds");
        await Eventually.IsTrueAsync(async () => (await AlertsAsync(legal, "?type=thresholds")).Count == 2, () => "two transitions", Cancellation);

        await StandingAsync(reader);
        var answers = new[]
        {
            (await legal.AskAsync(HttpMethod.Get, "/api/thresholds?exporter=nobody"), 404), (await legal.AskAsync(HttpMethod.Get, "/api/thresholds"), 400),
            (await other.AskAsync(HttpMethod.Get, "/api/thresholds?exporter=acme-zhuhai"), 403), (await program.Client.AskAsync(HttpMethod.Get, "/api/thresholds?exporter=acme-zhuhai"), 401),
            (await reader.AskAsync(HttpMethod.Get, "/api/alerts"), 403), (await program.Client.AskAsync(HttpMethod.Get, "/api/alerts"), 401),
            (await legal.AskAsync(HttpMethod.Get, "/api/alerts?state=odd"), 400), (await legal.AskAsync(HttpMethod.Get, "/api/alerts?limit=0"), 400),
            (await legal.AskAsync(HttpMethod.Get, "/api/alerts?next=xyz"), 400), (await legal.AskAsync(HttpMethod.Get, "/api/alerts?language=fr"), 400),
            (await legal.AskAsync(HttpMethod.Get, $"/api/alerts/{new string('0', 32)}"), 404), (await legal.AskAsync(HttpMethod.Get, "/api/alerts/odd"), 404),
        };
        Assert.All(answers, static answer => Assert.Equal(answer.Item2, answer.Item1.Status));

        await LifeOfAnAlertAsync(legal, other);
        await ReviewAsync(legal, reader);
        await ReportsAsync(reader, other);
    }

    [Fact]
    public async Task A_dead_channel_makes_ready_red_and_never_live()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        sandbox.Faults.Set(
        [
            new SandboxFault { Kind = SandboxFaultKind.ServerError, Operation = SandboxOperations.RobotSend },
            new SandboxFault { Kind = SandboxFaultKind.ServerError, Operation = SandboxOperations.WorkNotice },
            new SandboxFault { Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.GraphSendMessage },
        ]);
        await using var program = await DingFlowProcess.StartStandaloneAsync(Settings(sandbox));
        await ExportAsync(program, 1, 1);
        await TickAsync(program, "CheckThresholds");

        await Eventually.IsTrueAsync(
            async () => (await program.Client.AskAsync(HttpMethod.Get, "/api/health/ready")).Status == 503, () => "ready is red", Cancellation);
        Assert.Equal(200, (await program.Client.AskAsync(HttpMethod.Get, "/api/health")).Status);
        Assert.Equal(200, (await program.Client.AskAsync(HttpMethod.Get, "/api/health/live")).Status);
        Assert.Empty(sandbox.Outbox.Messages);

        sandbox.Faults.Clear();
        await ExportAsync(program, 2, 5_000);
        await TickAsync(program, "CheckThresholds");
        await ToldAsync(sandbox, "CN24-SA-SPI");
        await Eventually.IsTrueAsync(
            async () => (await program.Client.AskAsync(HttpMethod.Get, "/api/health/ready")).Status == 200, () => "ready is green again", Cancellation);
    }

    [Fact]
    public async Task One_dead_channel_is_enough_for_red_and_only_operations_learn_which()
    {
        const string OperationsKey = "operations-key-of-the-threshold-walk-0123456789";
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        sandbox.Faults.Set([new SandboxFault { Kind = SandboxFaultKind.ServerError, Operation = SandboxOperations.RobotSend }]);
        var settings = Settings(sandbox);
        (settings["Auth:ApiKeys:ops:Hash"], settings["Auth:ApiKeys:ops:Roles"]) = (ConfiguredProgram.HashOf(OperationsKey), "operations.read");
        await using var program = await DingFlowProcess.StartStandaloneAsync(settings);
        using var operations = program.CreateOperator(OperationsKey);
        await ExportAsync(program, 1, 1);
        await TickAsync(program, "CheckThresholds");

        await Eventually.IsTrueAsync(
            async () => (await operations.AskAsync(HttpMethod.Get, "/api/health/ready")).Text.Contains("the channel group has failed since", StringComparison.Ordinal),
            () => "the dead channel named", Cancellation);
        var anybody = await program.Client.AskAsync(HttpMethod.Get, "/api/health/ready");
        Assert.Equal(503, anybody.Status);
        Assert.DoesNotContain("group", anybody.Text, StringComparison.Ordinal);
        Assert.Equal(200, (await program.Client.AskAsync(HttpMethod.Get, "/api/health/live")).Status);

        // The other channels have told people.
        await Eventually.IsTrueAsync(
            () => Task.FromResult(sandbox.Outbox.Messages.Select(static message => message.Operation).Distinct().Order().SequenceEqual(["corpconversation.asyncsend_v2", "messages.send"])),
            () => "mail and work notice", Cancellation);
    }

    [Fact]
    public async Task Settings_that_do_not_fit_stop_the_start_and_are_all_named()
    {
        await using var program = DingFlowProcess.Standalone(new Dictionary<string, string>
        {
            ["Alerts:Channels:a:Type"] = "robot", ["Alerts:Channels:b:Type"] = "workNotice", ["Alerts:Channels:b:Tenant"] = "nobody",
            ["Alerts:Interval"] = "often", ["Transfers:RuleSets"] = "cn-1999",
        });

        Assert.NotEqual(0, await program.RunToEndAsync());

        Assert.All(
            ["Alerts:Channels:a:AccessToken", "Alerts:Channels:a:Secret", "Alerts:Channels:b:Tenant", "Alerts:Channels:b:AgentId", "Transfers:RuleSets"],
            setting => Assert.Contains(setting, program.Errors, StringComparison.Ordinal));
        Assert.Contains("CheckThresholds", program.Errors, StringComparison.Ordinal);
    }

    private static async Task StandingAsync(HttpClient reader)
    {
        var standing = (await reader.AskAsync(HttpMethod.Get, "/api/thresholds?exporter=ACME-zhuhai")).Json;
        var rule = standing["rules"]!.Single(static r => (string?)r["rule"] == "CN24-SC-SPI");
        Assert.Equal(("acme-zhuhai", "SC_OR_CERT"), ((string?)standing["exporter"], (string?)standing["tier"]));
        Assert.EndsWith("+08:00", (string?)standing["asOf"], StringComparison.Ordinal);
        Assert.Equal(
            ("cn-2024", "inForce", "CAC Order 16 art. 8", 3, 1, 10_000, 3.0, true, "SC_OR_CERT"),
            ((string?)rule["ruleSet"], (string?)rule["status"], (string?)rule["basis"], (int)rule["count"]!, (int)rule["lower"]!, (int)rule["upper"]!, (double)rule["share"]!, (bool)rule["reached"]!, (string?)rule["consequence"]));
        Assert.Equal(JTokenType.Null, rule["forecast"]!["date"]!.Type);
        Assert.Equal("reached", (string?)rule["forecast"]!["method"]);
        Assert.EndsWith("-01-01", (string?)rule["window"]!["from"], StringComparison.Ordinal);
        Assert.Matches(@"^\d{4}-\d{2}-\d{2}$", (string?)rule["window"]!["to"]);
    }

    private static async Task LifeOfAnAlertAsync(HttpClient legal, HttpClient other)
    {
        var alerts = await AlertsAsync(legal, "?type=thresholds&exporter=acme-zhuhai&state=open&language=pt");
        var alert = alerts.Single(static a => (string?)a["details"]!["rule"] == "CN24-SC-SPI");
        var path = $"/api/alerts/{alert["id"]}";
        Assert.Equal("acme-zhuhai: CN24-SC-SPI foi atingida", (string?)alert["text"]!["title"]);
        Assert.Empty(await AlertsAsync(other, "?type=thresholds"));
        Assert.Equal(404, (await other.AskAsync(HttpMethod.Get, path)).Status);
        Assert.Equal(404, (await other.AskAsync(HttpMethod.Post, path + "/acknowledge", "{}")).Status);

        var page = (await legal.AskAsync(HttpMethod.Get, "/api/alerts?limit=1")).Json;
        Assert.Single(page["items"]!);
        Assert.Equal(200, (await legal.AskAsync(HttpMethod.Get, $"/api/alerts?limit=1&next={page["next"]}")).Status);

        var until = DateTimeOffset.UnixEpoch.AddYears(200).ToString("O", CultureInfo.InvariantCulture);
        Assert.Equal(400, (await legal.AskAsync(HttpMethod.Post, path + "/silence", $$"""{"until":"{{until}}","reason":"too long"}""")).Status);
        Assert.Equal(400, (await legal.AskAsync(HttpMethod.Post, path + "/silence", """{"until":"2020-01-01T00:00:00Z","reason":"too late"}""")).Status);
        var soon = TimeProvider.System.GetUtcNow().AddDays(1).ToString("O", CultureInfo.InvariantCulture);
        Assert.Equal(400, (await legal.AskAsync(HttpMethod.Post, path + "/silence", $$"""{"until":"{{soon}}"}""")).Status);
        var silenced = await legal.AskAsync(HttpMethod.Post, path + "/silence", $$"""{"until":"{{soon}}","reason":"counsel is away"}""");
        Assert.Equal((200, "key:legal"), (silenced.Status, (string?)silenced.Json["silenced"]!["by"]));

        var acknowledged = await legal.AskAsync(HttpMethod.Post, path + "/acknowledge", """{"reason":"We are filing."}""");
        Assert.Equal((200, "acknowledged", "We are filing."), (acknowledged.Status, (string?)acknowledged.Json["state"], (string?)acknowledged.Json["acknowledged"]!["reason"]));
        // Again, without a body: the first stands.
        var again = await legal.AskAsync(HttpMethod.Post, path + "/acknowledge");
        Assert.Equal((200, "We are filing."), (again.Status, (string?)again.Json["acknowledged"]!["reason"]));
        Assert.Equal(409, (await legal.AskAsync(HttpMethod.Post, path + "/silence", $$"""{"until":"{{soon}}","reason":"too late now"}""")).Status);
    }

    private static async Task ReviewAsync(HttpClient legal, HttpClient reader)
    {
        var tiers = (await reader.AskAsync(HttpMethod.Get, "/api/thresholds/acme-zhuhai/tiers")).Json["items"]!;
        var key = (string?)Assert.Single(tiers)["key"];
        var path = $"/api/thresholds/acme-zhuhai/tiers/{key}/review";
        Assert.Equal(403, (await reader.AskAsync(HttpMethod.Post, path, """{"reason":"Filed."}""")).Status);
        Assert.Equal(400, (await legal.AskAsync(HttpMethod.Post, path, """{"reason":" "}""")).Status);
        Assert.Equal(404, (await legal.AskAsync(HttpMethod.Post, "/api/thresholds/acme-zhuhai/tiers/1999-cn-2024-SA/review", """{"reason":"Filed."}""")).Status);
        var reviewed = await legal.AskAsync(HttpMethod.Post, path, """{"reason":"Filed as SC-2026-7."}""");
        Assert.Equal((200, "key:legal"), (reviewed.Status, (string?)reviewed.Json["items"]![0]!["review"]!["by"]));
        Assert.Equal(409, (await legal.AskAsync(HttpMethod.Post, path, """{"reason":"Filed again."}""")).Status);
        var latched = (await reader.AskAsync(HttpMethod.Get, "/api/thresholds?exporter=acme-zhuhai")).Json["latched"]!;
        Assert.Equal("Filed as SC-2026-7.", (string?)latched[0]!["review"]!["reason"]);
    }

    private static async Task ReportsAsync(HttpClient reader, HttpClient other)
    {
        var year = DingFlow.Transfers.LegalTime.YearOf(TimeProvider.System.GetUtcNow());
        var path = string.Create(CultureInfo.InvariantCulture, $"/api/reports/acme-zhuhai/{year}");
        var report = (await reader.AskAsync(HttpMethod.Get, path)).Json;
        Assert.Equal(3, (int)report["persons"]!.Single(static count => (string?)count["name"] == "cn.counted.sensitive")["persons"]!);
        Assert.Equal("SC_OR_CERT", (string?)report["standing"]!["tier"]);

        using var csv = await reader.GetAsync(path + "?format=csv&language=zh-Hant", Cancellation);
        Assert.Equal("text/csv", csv.Content.Headers.ContentType!.MediaType);
        Assert.Equal($"acme-zhuhai-{year}.csv", csv.Content.Headers.ContentDisposition!.FileName!.Trim('"'));
        Assert.Contains("persons,cn.counted.sensitive,已計：敏感,persons,3\r\n", await csv.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);

        using var page = await reader.GetAsync(path + "?format=html&language=zh-Hans", Cancellation);
        Assert.Equal("text/html", page.Content.Headers.ContentType!.MediaType);
        Assert.StartsWith("default-src 'none'", page.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
        Assert.Contains("<svg", await page.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);

        Assert.Equal(403, (await other.AskAsync(HttpMethod.Get, path)).Status);
        Assert.Equal(404, (await reader.AskAsync(HttpMethod.Get, $"/api/reports/nobody/{year}")).Status);
        Assert.All(
            await Task.WhenAll(((string[])[$"/api/reports/acme-zhuhai/{year + 1}", "/api/reports/acme-zhuhai/99999", "/api/reports/acme-zhuhai/x", path + "?format=pdf", path + "?language=fr"])
                .Select(address => reader.AskAsync(HttpMethod.Get, address))),
            static answer => Assert.Equal(400, answer.Status));
    }

    private static Dictionary<string, string> Settings(SandboxServer sandbox) => OutsideSandbox.Settings(
        sandbox,
        ("Auth:ApiKeys:sender:Hash", ConfiguredProgram.HashOf(SenderKey)), ("Auth:ApiKeys:sender:Roles", "transfers.write"),
        ("Auth:ApiKeys:legal:Hash", ConfiguredProgram.HashOf(LegalKey)), ("Auth:ApiKeys:legal:Roles", "compliance.read,compliance.write"),
        ("Auth:ApiKeys:reader:Hash", ConfiguredProgram.HashOf(ReaderKey)), ("Auth:ApiKeys:reader:Roles", "compliance.read"),
        ("Auth:ApiKeys:other:Hash", ConfiguredProgram.HashOf(OtherKey)), ("Auth:ApiKeys:other:Roles", "compliance.read,compliance.write"),
        ("Auth:ApiKeys:other:Exporters", "acme-sg"),
        // The timers are fired by the tests alone.
        ("Alerts:Interval", "0 0 0 1 1 *"),
        ("Alerts:Channels:group:Type", "robot"), ("Alerts:Channels:group:Url", new Uri(sandbox.DingTalkLegacy, "oapi/robot/send").ToString()),
        ("Alerts:Channels:group:AccessToken", SandboxOptions.RobotToken), ("Alerts:Channels:group:Secret", SandboxOptions.RobotSecret),
        ("Alerts:Channels:group:Language", "zh-Hant"), ("Alerts:Channels:group:GroupWait", "00:00:01"),
        ("Alerts:Channels:duty:Type", "workNotice"), ("Alerts:Channels:duty:Tenant", "sandbox"),
        ("Alerts:Channels:duty:AgentId", SandboxOptions.AgentId.ToString(CultureInfo.InvariantCulture)), ("Alerts:Channels:duty:UserIds", "sb-1002"),
        ("Alerts:Channels:duty:GroupWait", "00:00:01"),
        ("Alerts:Channels:legal:Type", "mail"), ("Alerts:Channels:legal:From", "e1003@sandbox.example"), ("Alerts:Channels:legal:To", "legal@acme.example"),
        ("Alerts:Channels:legal:GroupWait", "00:00:01"));

    private static async Task ExportAsync(DingFlowProcess program, int first, int count)
    {
        using var sender = program.CreateOperator(SenderKey);
        var now = TimeProvider.System.GetUtcNow().ToString("O", CultureInfo.InvariantCulture);
        var lines = string.Join('\n', Enumerable.Range(first, count).Select(number => string.Create(
            CultureInfo.InvariantCulture,
            $$"""{"id":"t-{{number}}","occurredAt":"{{now}}","exporter":"acme-zhuhai","subject":{"type":"employeeId","id":"E{{number}}"},"fields":["bankCardNumber"],"origin":"CN","destination":"SG","recipient":"acme-sg","purpose":"payroll","legalBasis":"contract","method":"api","system":"hr"}""")));
        using var content = new StringContent(lines, Encoding.UTF8, TransferSender.NdJson);
        using var answer = await sender.PostAsync("/api/transfers", content, Cancellation);
        var text = await answer.Content.ReadAsStringAsync(Cancellation);
        Assert.True(answer.IsSuccessStatusCode, text);
        Assert.Equal(count, (int)JObject.Parse(text)["accepted"]!);
    }

    private static async Task TickAsync(DingFlowProcess program, string timer)
    {
        using var socket = program.CreateSocketClient();
        using var content = new StringContent(FunctionsHostStandIn.Tick(timer));
        using var answer = await socket.PostAsync("/" + timer, content, Cancellation);
        Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync(Cancellation));
    }

    private static async Task<List<JObject>> AlertsAsync(HttpClient client, string query)
    {
        var answer = await client.AskAsync(HttpMethod.Get, "/api/alerts" + query);
        Assert.Equal(200, answer.Status);
        return [.. answer.Json["items"]!.Cast<JObject>()];
    }

    /// <summary>What every one of the three channels brought about a rule.</summary>
    private static Task<List<SandboxMessage>> ToldAsync(SandboxServer sandbox, string rule) => Eventually.GetAsync(
        () => Task.FromResult(sandbox.Outbox.Messages.Where(message => message.Text.Contains(rule, StringComparison.Ordinal)).ToList() is { } found
            && found.Select(static message => message.Operation).Distinct().Count() == 3 ? found : null),
        () => $"{rule} on three channels; there is {string.Join(", ", sandbox.Outbox.Messages.Select(static message => $"{message.Operation} {message.Title}"))}", Cancellation);
}
