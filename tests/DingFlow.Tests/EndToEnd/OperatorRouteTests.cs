using System.Text;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.EndToEnd;

/// <summary>What operators ask for in a way that cannot be meant is refused, and what they look for is found, over HTTP against the real program.</summary>
public sealed class OperatorRouteTests
{
    private const string Reason = "HR confirmed the list";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Searches_find_and_misspelt_requests_do_nothing()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string> { ["Offboarding__Brake__Count"] = "1", ["Offboarding__Brake__Window"] = "01:00:00" });
        using var client = program.CreateOperator();
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        var operations = new Operations(client);

        // HR names the person by number alone: the address and the user id lead to the case all the same.
        await hr.AcceptedAsync("""{"type":"employee.terminated","timestamp":"2026-11-22T09:00:00+08:00","data":{"employeeId":"E1001","immediate":true}}""");
        await operations.VerifiedAsync("E1001");
        foreach (var search in (string[])["""{"employeeId":"E1001"}""", """{"email":"E1001@sandbox.example"}""", """{"dingTalkUserId":"sb-1001"}"""])
        {
            var found = await client.AskAsync(HttpMethod.Post, "/api/offboarding/search", search);
            Assert.Equal((200, "E1001"), (found.Status, (string?)Assert.Single(found.Json["items"]!)["employeeId"]));
        }

        Assert.Empty((await client.AskAsync(HttpMethod.Post, "/api/offboarding/search", """{"email":"e1002@sandbox.example"}""")).Json["items"]!);
        await RefusedAsync(client, HttpMethod.Post, "/api/offboarding/search", """{"email":"e1001@sandbox.example","employeeId":"E1001"}""");
        await RefusedAsync(client, HttpMethod.Post, "/api/offboarding/search", """{"mail":"e1001@sandbox.example"}""");

        // A misspelt source must not release everybody.
        await hr.AcceptedAsync(HrSender.Leaver("E1002"));
        await Eventually.IsTrueAsync(
            async () => (await operations.CasesOfAsync("E1002")) is [var only] && Operations.StateOf(only) == "quarantined", () => "a held case", Cancellation);
        await RefusedAsync(client, HttpMethod.Post, "/api/offboarding/quarantine/release", $$"""{"all":true,"Sources":"hr/other","reason":"{{Reason}}"}""");
        var held = (await operations.CasesOfAsync("E1002"))[0];
        Assert.Equal(("quarantined", 0), (Operations.StateOf(held), held["consents"]!.Count()));
        await RefusedAsync(client, HttpMethod.Post, $"/api/offboarding/{held["caseId"]}/release", $$"""{"reason":"{{Reason}}","x":1}""");
        await RefusedAsync(client, HttpMethod.Post, $"/api/offboarding/{held["caseId"]}/release", """{"reason":"ab\u202ec\u0000def"}""");
        await RefusedAsync(client, HttpMethod.Post, "/api/offboarding/dry-run", """{"employeeID":"E1001"}""");
        await RefusedAsync(client, HttpMethod.Get, "/api/offboarding/statistics?to=0001-01-05", null);

        // A second word about somebody who is held does not say that the machine will go on.
        await hr.AcceptedAsync(HrSender.Leaver("E1002"));
        await Eventually.IsTrueAsync(async () => (await operations.CasesOfAsync("E1002"))[0]["signals"]!.Count() == 2, () => "a second signal", Cancellation);
        Assert.Equal(Newtonsoft.Json.Linq.JTokenType.Null, (await operations.CasesOfAsync("E1002"))[0]["nextAttemptAt"]!.Type);

        foreach (var roster in (string[])["employeeId\n=1+1\n", "employeeId\n<b>x\n", "employeeId,employeeId\nE1,E2\n", "employeeId,leavesAt,timeZone\nE1,2026-11-26T00:00:00,Asia/Macau\n"])
        {
            using var request = new HttpRequestMessage(HttpMethod.Put, "/api/hr/sandbox/roster") { Content = new StringContent(roster.Replace("\\n", "\n", StringComparison.Ordinal), Encoding.UTF8, "text/csv") };
            (await client.AskAsync(request)).IsProblem(422, "invalid");
        }

        // Who looked for whom, and which rosters were refused, is in the trail; nobody is named there.
        var searches = await client.AskAsync(HttpMethod.Get, "/api/audit?kind=offboarding.person_searched");
        Assert.Equal(4, searches.Json["items"]!.Count());
        Assert.All(searches.Json["items"]!, entry => Assert.Equal(64, ((string?)entry["subject"])?.Length));
        Assert.DoesNotContain("sandbox.example", searches.Text, StringComparison.OrdinalIgnoreCase);
        var rosters = await client.AskAsync(HttpMethod.Get, "/api/audit?kind=offboarding.roster_put");
        Assert.Equal(["refused", "refused", "refused", "refused"], rosters.Json["items"]!.Select(entry => (string?)entry["outcome"]));
    }

    [Fact]
    public async Task Two_names_for_one_key_stop_the_start()
    {
        var hash = ConfiguredProgram.HashOf("one-key-of-two-names-0123456789");
        var failure = await Assert.ThrowsAnyAsync<Exception>(() => DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["Auth__ApiKeys__first__Hash"] = hash, ["Auth__ApiKeys__first__Roles"] = "operations.write",
            ["Auth__ApiKeys__second__Hash"] = hash.ToUpperInvariant().Replace("SHA256:", "sha256:", StringComparison.Ordinal), ["Auth__ApiKeys__second__Roles"] = "operations.approve",
        }));

        Assert.Contains("is that of Auth:ApiKeys:first", failure.Message, StringComparison.Ordinal);
    }

    private static async Task RefusedAsync(HttpClient client, HttpMethod method, string path, string? body) => (await client.AskAsync(method, path, body)).IsProblem(400, "malformed");
}
