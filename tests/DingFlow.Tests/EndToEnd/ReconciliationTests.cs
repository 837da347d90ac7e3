using System.Text;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>Rosters, findings and what becomes of them, against the real program.</summary>
public sealed class ReconciliationTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Rosters_are_taken_whole_or_not_at_all_and_differences_become_findings_and_cases()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));
        using var client = program.CreateOperator();
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);

        // A verified leaver who is enabled by hand later; without a roster nobody is an orphan.
        await hr.AcceptedAsync(HrSender.Leaver("E1001"));
        await new Operations(client).VerifiedAsync("E1001");
        Assert.Empty((await ReconcileAsync(client, r => (int)r["new"]! == 0))["notRead"]!);

        // Refused, each for its reason, and nothing is in force.
        (await PutAsync(client, "employeeId,email\nE1001,not-an-address\n", "text/csv")).IsProblem(422, "invalid");
        (await PutAsync(client, "employeeId\nE1001\nE1001\n", "text/csv")).IsProblem(422, "invalid");
        (await PutAsync(client, "", "text/csv")).IsProblem(422, "invalid");
        (await PutAsync(client, "{}", "application/json")).IsProblem(415, "unsupported-media-type");
        (await PutAsync(client, "employeeId\nE1\n", "text/csv", "nobody")).IsProblem(404, "unknown-source");
        (await program.Client.AskAsync(HttpMethod.Put, "/api/hr/sandbox/roster", "{}")).IsProblem(401, "unauthorized");
        (await client.AskAsync(HttpMethod.Get, "/api/offboarding/findings?next=bGVmdEhyOzE7eA")).IsProblem(400, "malformed");

        // HR knows everybody but E1005; E1003 has left by its word, E1006 was removed from DingTalk by somebody, E1001 is a leaver of ours.
        sandbox.Directory.Change("E1001", p => p with { DingTalk = p.DingTalk! with { Disabled = false }, Entra = p.Entra! with { AccountEnabled = true } });
        sandbox.Directory.Change("E1006", p => p with { DingTalk = p.DingTalk! with { Member = false }, Entra = p.Entra! with { AccountEnabled = false } });
        sandbox.Directory.Change("E1007", p => p with { DingTalk = p.DingTalk! with { Disabled = true }, Entra = null });
        var people = Enumerable.Range(1001, 25).Where(n => n != 1005).Select(n => n == 1003
            ? $"E{n},e{n}@sandbox.example,,2026-01-01,Asia/Macau" : n == 1004 ? "X 4,E1004@Sandbox.Example,," : $"E{n},,sb-{n},,").ToList();
        var refused = await PutAsync(client, $"employeeId,email,dingTalkUserId,leavesAt,timeZone\n{string.Join('\n', people)}\n", "text/csv");
        refused.IsProblem(422, "invalid");
        people[3] = "\"X:4\",E1004@Sandbox.Example,,";
        var put = await PutAsync(client, $"employeeId,email,dingTalkUserId,leavesAt,timeZone\n{string.Join('\n', people)}\n", "text/csv");
        Assert.Equal((200, 24), (put.Status, (int)put.Json["people"]!));

        var report = await ReconcileAsync(client, r => (int)r["new"]! > 0);
        Assert.Equal(24, (int)report["rosters"]!["hr/sandbox"]!);
        Assert.Equal(["dingtalk/sandbox", "entra"], ((JObject)report["directories"]!).Properties().Select(p => p.Name).Order());
        var findings = await FindingsAsync(client);
        Assert.Equal(
            [
                ("disabledButInHr", "dingtalk", "E1007"), ("disabledButInHr", "entra", "E1006"), ("goneButInHr", "dingtalk", "E1006"), ("leaverAlive", "dingtalk", "E1001"), ("leaverAlive", "entra", "E1001"),
                ("leftHr", "dingtalk", "E1003"), ("leftHr", "entra", "E1003"), ("unknownToHr", "dingtalk", "E1005"), ("unknownToHr", "entra", "E1005"),
            ],
            findings.Select(f => ((string)f["kind"]!, (string)f["target"]!, (string)f["employeeId"]!)).Order());
        Assert.All(findings, f => Assert.True(((string)f["explanation"]!).Length > 40));

        // By policy the leaver who lives again is frozen again by the case that there is; the others wait for people.
        await Eventually.IsTrueAsync(
            async () => sandbox.Directory["E1001"] is { DingTalk.Disabled: true, Entra.AccountEnabled: false } && (await new Operations(client).CasesOfAsync("E1001")).Count == 1,
            () => "E1001 frozen again", Cancellation);
        Assert.Empty(sandbox.Directory["E1003"].Mutations);
        var leftHr = findings.First(f => (string?)f["kind"] == "leftHr" && (string?)f["target"] == "dingtalk");
        Assert.Equal(202, (await client.AskAsync(HttpMethod.Post, $"/api/offboarding/findings/{leftHr["findingId"]}/open", """{"reason":"HR confirmed"}""")).Status);
        await new Operations(client).VerifiedAsync("E1003");
        Assert.True(sandbox.Directory["E1003"] is { DingTalk.Disabled: true, Entra.AccountEnabled: false });

        // Dismissed ones are not reported again; what is over is resolved; a second look finds nothing new.
        foreach (var orphan in findings.Where(f => (string?)f["kind"] == "unknownToHr"))
        {
            Assert.Equal(202, (await client.AskAsync(HttpMethod.Post, $"/api/offboarding/findings/{orphan["findingId"]}/dismiss", """{"reason":"a shared tablet"}""")).Status);
        }

        await ReconcileAsync(client, r => (int)r["resolved"]! == 4 && (int)r["new"]! == 0);
        Assert.Equal(["disabledButInHr", "disabledButInHr", "goneButInHr"], (await FindingsAsync(client)).Select(f => (string)f["kind"]!).Order());

        // A roster that shrinks is refused, unless it is said to be right; who was dropped has left by HR's word.
        var few = $"{{\"employeeId\":\"E1002\"}}\n{string.Join('\n', Enumerable.Range(1008, 12).Select(n => $"{{\"employeeId\":\"E{n}\"}}"))}\n";
        (await PutAsync(client, few, "application/x-ndjson")).IsProblem(409, "conflict");
        Assert.Equal(200, (await PutAsync(client, few, "application/x-ndjson", query: "?allowShrink=true")).Status);
        await ReconcileAsync(client, r => (int)r["new"]! > 0);
        Assert.Contains(await FindingsAsync(client), f => (string?)f["kind"] == "leftHr" && (string?)f["employeeId"] == "E1020");

        // A directory that cannot be read resolves nothing and is named.
        sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Denied, System = SandboxSystem.Graph }]);
        var before = (await FindingsAsync(client)).Count(f => (string?)f["target"] == "entra");
        report = await ReconcileAsync(client, r => r["notRead"]!.HasValues);
        Assert.NotNull(report["notRead"]!["entra"]);
        Assert.Equal(before, (await FindingsAsync(client)).Count(f => (string?)f["target"] == "entra"));
    }

    private static async Task<Answer> PutAsync(HttpClient client, string body, string contentType, string source = "sandbox", string query = "")
    {
        using var request = new HttpRequestMessage(HttpMethod.Put, $"/api/hr/{source}/roster{query}") { Content = new StringContent(body, Encoding.UTF8, contentType) };
        return await client.AskAsync(request);
    }

    private static async Task<JObject> ReconcileAsync(HttpClient client, Func<JObject, bool> isRight)
    {
        var asked = await client.AskAsync(HttpMethod.Post, "/api/offboarding/reconciliations");
        Assert.Equal(202, asked.Status);
        Assert.NotEmpty((await client.AskAsync(HttpMethod.Get, "/api/audit?kind=offboarding.reconciliation_requested")).Json["items"]!);
        JObject? last = null;
        return await Eventually.GetAsync(
            async () => (last = (await client.AskAsync(HttpMethod.Get, "/api/offboarding/findings")).Json["lastReport"] as JObject) is { } report
                && DateTimeOffset.Parse((string)report["startedAt"]!, null) >= DateTimeOffset.Parse((string)asked.Json["requestedAt"]!, null) && isRight(report) ? report : null,
            () => $"the report of a reconciliation; the last is {last}", Cancellation);
    }

    /// <summary>All findings, two to a page, so that pages are followed wherever findings are read.</summary>
    private static async Task<IReadOnlyList<JObject>> FindingsAsync(HttpClient client)
    {
        List<JObject> found = [];
        for (var next = ""; ;)
        {
            var answer = await client.AskAsync(HttpMethod.Get, $"/api/offboarding/findings?limit=2{next}");
            Assert.Equal(200, answer.Status);
            found.AddRange(answer.Json["items"]!.Cast<JObject>());
            if ((string?)answer.Json["next"] is not { } cursor)
            {
                Assert.Equal((int)answer.Json["count"]!, found.Count);
                Assert.Equal(found.Count, found.DistinctBy(static f => (string)f["findingId"]!).Count());
                return found;
            }

            Assert.Equal(2, answer.Json["items"]!.Count());
            next = $"&next={cursor}";
        }
    }
}
