using System.Diagnostics;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Sandbox;
using DingFlow.Storage;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Audit;

/// <summary>The trail through the real program.</summary>
public sealed class AuditWalkTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_leaver_leaves_a_whole_story_that_names_nobody()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();
        using var client = program.CreateOperator();
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        var delivery = await hr.AcceptedAsync(HrSender.Leaver("E1004"), "msg_walk");
        var concluded = await new Operations(client).VerifiedAsync("E1004");
        await hr.AcceptedAsync(HrSender.Leaver("E1004"), "msg_walk");
        Assert.Equal(401, (await new HrSender(program.Client, "sandbox", HrSender.NewSecret()).SendAsync(HrSender.Leaver("E1005"))).Status);
        Assert.Equal(401, (await program.Client.AskAsync(HttpMethod.Get, "/api/offboarding")).Status);
        var caseId = (string)concluded["caseId"]!;

        var story = await EntriesAsync(client, $"caseId={caseId}&kind=offboarding.*&limit=1000", entries => entries.Any(entry => entry["details"]?["to"]?.ToString() == "verified"));
        Assert.Equal("offboarding.case_opened", (string?)story[0]["kind"]);
        Assert.Equal("hr/sandbox", (string?)story[0]["actor"]!["id"]);
        Assert.All(story, entry => Assert.Equal(story[0]["subject"]!.ToString(), entry["subject"]!.ToString()));
        foreach (var step in concluded["steps"]!)
        {
            var ofStep = story.Where(entry => (string?)entry["details"]?["step"] == (string?)step["id"]).Select(entry => (string?)entry["kind"]).ToList();
            Assert.Contains("offboarding.step_ended", ofStep);
        }

        var all = await EntriesAsync(client, "limit=1000", entries => entries.Count(entry => entry["outcome"]?.ToString() == "refused") >= 2);
        Assert.Equal(
            ["authentication.refused", "intake.delivery_refused"],
            all.Where(entry => entry["outcome"]?.ToString() == "refused").Select(entry => (string?)entry["kind"]).Order(StringComparer.Ordinal));
        Assert.Contains(all, entry => (string?)entry["kind"] == "intake.delivery_accepted" && (string?)entry["on"]!["id"] == delivery);
        Assert.Contains(all, entry => (string?)entry["kind"] == "intake.delivery_repeated" && (string?)entry["on"]!["id"] == delivery);
        Assert.Contains(all, entry => (string?)entry["kind"] == "authentication.accepted" && (string?)entry["actor"]!["id"] == "key:local");
        Assert.All(all, entry => Assert.NotNull(entry["requestId"] ?? entry["details"]));
        var text = new JArray(all).ToString();
        foreach (var personal in (string[])["e1004@", "sb-1004", "E1004"])
        {
            Assert.DoesNotContain(personal, text, StringComparison.OrdinalIgnoreCase);
        }

        // By the identifier, which stays in the body.
        Assert.Equal(400, (await client.AskAsync(HttpMethod.Post, "/api/audit/search", """{"type":"employeeId","identifier":"E1004"}""")).Status);
        var found = await client.AskAsync(HttpMethod.Post, "/api/audit/search", """{"type":"employeeId","identifier":"e1004","reason":"access request"}""");
        Assert.True(((JArray)found.Json["items"]!).Count > story.Count);

        var verified = (await client.AskAsync(HttpMethod.Get, "/api/audit/verify")).Json;
        Assert.True((bool)verified["ok"]!, verified.ToString());
        Assert.True((long)verified["openEntries"]! >= all.Count);
        foreach (var (format, media) in new[] { ("jsonl", "application/jsonl"), ("csv", "text/csv"), ("ocsf", "application/jsonl") })
        {
            var export = await client.AskAsync(HttpMethod.Get, $"/api/audit/export?format={format}");
            Assert.Equal((200, media), (export.Status, export.MediaType));
            Assert.True(export.Text.Split('\n').Length > all.Count);
        }
    }

    [Fact]
    public async Task Ranges_and_places_that_are_none_are_refused()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();
        using var client = program.CreateOperator();
        foreach (var query in (string[])
            [
                "audit?from=yesterday", "audit?from=2026-11-25&to=2026-11-24", "audit?limit=0", "audit?limit=1001", "audit?next=xyz", "audit?kind=Nothing!",
                "audit?subject=E1001", "audit?principal=alice.wong@acme.example", "audit?principal=alice wong", "audit?from=10:00", "audit?from=05/06/2026",
                "audit?from=0001-01-01", "audit?kind=*", "audit?kind=offboarding.case_opened**", "audit?kind=x", "audit?next=OTk5OS0xMi0zMQ",
                "audit/verify?from=2900-01-01", "audit/verify?from=9999-12-31", "audit/export?format=xml", "audit/verify?from=2026-13-01", "audit/verify?from=2026-11-25&to=2026-11-24",
            ])
        {
            (await client.AskAsync(HttpMethod.Get, $"/api/{query}")).IsProblem(400, "malformed");
        }

        // A place in one search is none in another, and one that nobody gave out is none: whoever looks leaves an entry.
        var firstPage = await client.AskAsync(HttpMethod.Get, "/api/audit?limit=1");
        var next = (string)firstPage.Json["next"]!;
        Assert.Equal(200, (await client.AskAsync(HttpMethod.Get, $"/api/audit?limit=3&next={next}")).Status);
        var (made, changed) = ("O21haW49Mw", next[..^1] + (next[^1] == '0' ? '1' : '0'));
        foreach (var query in (string[])[$"limit=1&kind=audit.*&next={next}", $"next={made}", $"next={made}.{next.Split('.')[1]}", $"next={changed}", $"next={next.Split('.')[0]}"])
        {
            (await client.AskAsync(HttpMethod.Get, $"/api/audit?{query}")).IsProblem(400, "malformed");
        }

        (await client.AskAsync(HttpMethod.Post, "/api/audit/search", $$"""{"type":"employeeId","identifier":"E1001","reason":"access","next":"{{next}}"}""")).IsProblem(400, "malformed");
        (await client.AskAsync(HttpMethod.Get, "/api/audit/nobody/1/proof")).IsProblem(404, "not-found");
        (await client.AskAsync(HttpMethod.Get, "/api/audit/main/999999/proof")).IsProblem(404, "not-found");
        (await client.AskAsync(HttpMethod.Get, "/api/audit/main/1/proof")).IsProblem(409, "conflict");
        (await client.AskAsync(HttpMethod.Post, "/api/audit/holds", """{"caseId":"a/b","reason":"litigation"}""")).IsProblem(400, "malformed");
        (await client.AskAsync(HttpMethod.Post, "/api/audit/holds/none/release", """{"reason":"settled"}""")).IsProblem(404, "not-found");
        (await client.AskAsync(HttpMethod.Post, "/api/audit/search", """{"type":"employeeId","identifier":"E1","reason":"access","from":"2026-11-25T00:00:00Z","to":"2026-11-24T00:00:00Z"}"""))
            .IsProblem(400, "malformed");
        foreach (var query in (string[])["audit?from=2026-11-25", "audit?from=2026-11-25T10:00:00Z&to=2026-11-25T19:00:00.5%2B08:00", "audit?principal=key:local", "audit?kind=audit.*"])
        {
            Assert.Equal(200, (await client.AskAsync(HttpMethod.Get, $"/api/{query}")).Status);
        }

        // A case that no entry knows is a typing error: its hold would hold nothing.
        (await client.AskAsync(HttpMethod.Post, "/api/audit/holds", """{"caseId":"c-1","reason":"litigation"}""")).IsProblem(404, "not-found");
        await new HrSender(program.Client, "sandbox", program.HrSecret).AcceptedAsync(HrSender.Leaver("E1004"), "msg_hold");
        var caseId = (string)(await new Operations(client).VerifiedAsync("E1004"))["caseId"]!;
        await EntriesAsync(client, $"caseId={caseId}", static entries => entries.Count > 0);
        Assert.Equal(201, (await client.AskAsync(HttpMethod.Post, "/api/audit/holds", $$"""{"caseId":"{{caseId}}","reason":"litigation"}""")).Status);
        Assert.Equal(caseId, (string?)(await client.AskAsync(HttpMethod.Get, "/api/audit/holds")).Json["items"]![0]!["caseId"]);
        Assert.Equal(204, (await client.AskAsync(HttpMethod.Post, $"/api/audit/holds/{caseId}/release", """{"reason":"settled"}""")).Status);
        using var stranger = program.CreateOperator("not-a-key");
        Assert.Equal(401, (await stranger.AskAsync(HttpMethod.Get, "/api/audit")).Status);
    }

    [Fact]
    public async Task A_day_is_sealed_archived_and_proved_offline_and_meddling_is_found()
    {
        await using var program = DingFlowProcess.Standalone();
        await WriteOldEntriesAsync(program.DataDirectory);
        await program.StartAsync();
        using var client = program.CreateOperator();
        using var host = program.CreateSocketClient();
        var tick = await host.AskAsync(HttpMethod.Post, "/SealAudit", """{"Data":{"timer":{"IsPastDue":false}},"Metadata":{"sys":{"MethodName":"SealAudit"}}}""");
        Assert.Equal(200, tick.Status);

        var verified = (await client.AskAsync(HttpMethod.Get, "/api/audit/verify")).Json;
        Assert.True((bool)verified["ok"]!, verified.ToString());
        Assert.Equal(3, (long)verified["entries"]!);
        var proof = await client.AskAsync(HttpMethod.Get, "/api/audit/main/2/proof");
        Assert.Equal(200, proof.Status);
        var file = Path.Combine(program.DataDirectory, "proof.json");
        await File.WriteAllTextAsync(file, proof.Text, Cancellation);
        var (code, output) = await RunAsync("audit", "check", file);
        Assert.Equal(0, code);
        Assert.Contains((string)verified["root"]!, await RunOutputAsync("audit", "verify-archive", Path.Combine(program.DataDirectory, "audit")), StringComparison.Ordinal);
        Assert.Contains("Entry main/2", output, StringComparison.Ordinal);
        Assert.Contains("Entry main/2 holds", await NodeAsync(file), StringComparison.Ordinal);
        await File.WriteAllTextAsync(file, proof.Text.Replace("old 2", "old 9", StringComparison.Ordinal), Cancellation);
        Assert.Equal(1, (await RunAsync("audit", "check", file)).Code);
        Assert.Contains("does not hold", await NodeAsync(file), StringComparison.Ordinal);
        Assert.Equal(64, (await RunAsync("audit", "nonsense")).Code);

        // Somebody changes a row of the database while the program is stopped.
        await program.TerminateAsync();
        await MeddleAsync(program.DataDirectory);
        await program.StartAsync();
        using var again = program.CreateOperator();
        verified = (await again.AskAsync(HttpMethod.Get, "/api/audit/verify")).Json;
        Assert.False((bool)verified["ok"]!);
        Assert.DoesNotContain("damaged", (await again.AskAsync(HttpMethod.Get, "/api/audit?from=2000-01-01")).Text, StringComparison.Ordinal);
        Assert.Equal(("changed", "main", 2L), ((string?)verified["firstFault"]!["kind"], (string?)verified["firstFault"]!["chain"], (long)verified["firstFault"]!["sequence"]!));
    }

    [Fact]
    public async Task A_kill_at_any_moment_leaves_no_state_without_its_entry_and_no_entry_without_its_state()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));
        for (var kill = 0; kill < 4; kill++)
        {
            var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
            await Task.WhenAll(Enumerable.Range(0, 3).Select(i => hr.SendAsync(HrSender.Leaver($"E{1001 + (kill * 3) + i}"))));
            await program.KillAsync();
            await program.StartAsync();
        }

        using var client = program.CreateOperator();
        for (var i = 0; i < 12; i++)
        {
            await new Operations(client).VerifiedAsync($"E{1001 + i}");
        }

        foreach (var @case in await new Operations(client).AllCasesAsync())
        {
            var caseId = (string)@case["caseId"]!;
            var story = await EntriesAsync(
                client, $"caseId={caseId}&kind=offboarding.*&limit=1000",
                entries => entries.Any(entry => entry["details"]?["to"]?.ToString() == "verified") && entries.Any(entry => (string?)entry["kind"] == "offboarding.case_opened"));
            Assert.Single(story, entry => (string?)entry["kind"] == "offboarding.case_opened");
            Assert.Single(story, entry => (string?)entry["details"]?["to"] == "verified");
            foreach (var step in @case["steps"]!)
            {
                Assert.Equal(
                    (int)step["attempts"]!,
                    story.Count(entry => (string?)entry["kind"] == "offboarding.step_tried" && (string?)entry["details"]!["step"] == (string?)step["id"]));
            }
        }

        var verified = (await client.AskAsync(HttpMethod.Get, "/api/audit/verify")).Json;
        Assert.True((bool)verified["ok"]!, verified.ToString());
    }

    [Fact]
    public async Task Settings_that_change_between_two_starts_and_refusals_before_a_kill_are_told_exactly()
    {
        using var directory = new DataDirectory();
        await using var program = await DingFlowProcess.StartStandaloneAsync(dataDirectory: directory.Path);
        using (var first = program.CreateOperator())
        {
            var stated = await EntriesAsync(first, "kind=policy.stated&limit=1000", static entries => entries.Any(static entry => (string?)entry["on"]!["id"] == "transfers.counting"));
            foreach (var name in (string[])["rules", "transfers.counting", "offboarding.plan", "offboarding.brake", "offboarding.protected", "alerts", "audit", "hrSource/sandbox", "apiKey/local", "exporter/acme-zhuhai"])
            {
                Assert.Single(stated, entry => (string?)entry["on"]!["id"] == name);
            }
        }

        // One after another over one connection: whoever is answered the second time has been counted the first time.
        for (var knock = 0; knock < 76; knock++)
        {
            Assert.Equal(401, (await program.Client.AskAsync(HttpMethod.Get, "/api/offboarding")).Status);
        }

        await program.KillAsync();
        await using var changedProgram = await DingFlowProcess.StartStandaloneAsync(
            new Dictionary<string, string> { ["Offboarding:Brake:Count"] = "7", ["Alerts:Levels"] = "40,80" }, directory.Path);
        using var client = changedProgram.CreateOperator();
        var changed = await EntriesAsync(client, "kind=policy.changed&limit=1000", static entries => entries.Count >= 2);
        Assert.Equal(["alerts", "offboarding.brake"], changed.Select(static entry => (string?)entry["on"]!["id"]).Order(StringComparer.Ordinal));
        Assert.Equal("20 -> 7", (string?)changed.Single(static entry => (string?)entry["on"]!["id"] == "offboarding.brake")["details"]!["value.count"]);

        var refused = await EntriesAsync(client, "kind=authentication.refused&limit=1000", static entries => entries.Any(static entry => entry["details"]!["repeated"] is not null));
        var sum = refused.Sum(static entry => (int?)entry["details"]!["repeated"] ?? 1);
        Assert.Equal(20, refused.Count(static entry => entry["details"]!["repeated"] is null));
        Assert.InRange(sum, 75, 76);
    }

    private static async Task<IReadOnlyList<JToken>> EntriesAsync(HttpClient client, string query, Func<IReadOnlyList<JToken>, bool> until) =>
        await Eventually.GetAsync<IReadOnlyList<JToken>>(
            async () =>
            {
                var answer = await client.AskAsync(HttpMethod.Get, $"/api/audit?{query}");
                Assert.Equal(200, answer.Status);
                var entries = answer.Json["items"]!.ToList();
                return until(entries) ? entries : null;
            },
            () => $"the entries of {query}", Cancellation);

    private static async Task WriteOldEntriesAsync(string directory)
    {
        using var database = new SqliteDatabase(directory);
        var time = new FakeTimeProvider(TimeProvider.System.GetUtcNow().AddDays(-1));
        await using var trail = new AuditTrail(new SqliteEntityStore(database, time), new(), time, NullLogger<AuditTrail>.Instance);
        for (var i = 1; i <= 3; i++)
        {
            await trail.AppendAsync(TrailDriver.Event($"old {i}"), Cancellation);
        }
    }

    private static async Task MeddleAsync(string directory)
    {
        using var database = new SqliteDatabase(directory);
        var store = new SqliteEntityStore(database, TimeProvider.System);
        var row = (await store.GetAsync(AuditRows.EntriesTable, "main", AuditRows.EntryRow(2), Cancellation))!;
        var lines = Encoding.UTF8.GetString(row.Properties.Require<byte[]>("C0")).Replace("old 2", "new 2", StringComparison.Ordinal);
        row.Properties["C0"] = Encoding.UTF8.GetBytes(lines);
        Assert.True((await store.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Replace(row)), Cancellation)).Committed);
    }

    private static async Task<string> RunOutputAsync(params string[] args) => (await RunAsync(args)).Output;

    private static Task<(int Code, string Output)> RunAsync(params string[] args) => RunProgramAsync(Path.Combine(AppContext.BaseDirectory, "DingFlow"), args);

    /// <summary>The check that <c>docs/audit.md</c> prints, which shares no code with the product.</summary>
    private static async Task<string> NodeAsync(string file)
    {
        var document = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "functions", "docs", "audit.md"), Cancellation);
        var script = document.Split("```js\n")[1].Split("```")[0];
        return (await RunProgramAsync("node", ["-e", script, "--", file])).Output;
    }

    private static async Task<(int Code, string Output)> RunProgramAsync(string program, string[] args)
    {
        using var process = Process.Start(new ProcessStartInfo(program, args) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var (output, error) = (process.StandardOutput.ReadToEndAsync(Cancellation), process.StandardError.ReadToEndAsync(Cancellation));
        await process.WaitForExitAsync(Cancellation);
        return (process.ExitCode, await output + await error);
    }
}
