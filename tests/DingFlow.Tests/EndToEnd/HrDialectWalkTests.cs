using System.Globalization;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Remote;

namespace DingFlow.Tests.EndToEnd;

/// <summary>Leavers of HR systems with dialects of their own, from the webhook to the verified case, with the real program.</summary>
public sealed class HrDialectWalkTests
{
    private const string BambooKey = "bamboo-private-key-0001";
    private const string Credentials = "dingflow:correct horse battery";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_thin_webhook_of_bamboohr_freezes_the_person_whom_its_api_names()
    {
        await using var bamboo = await RemoteStandIn.StartAsync();
        bamboo.On(
            "GET /api/v1/employees/67890/", Remote.Answers.Status(429, ("Retry-After", "1")),
            Remote.Answers.Json("""{"id":"67890","employeeNumber":"E1003","workEmail":"e1003@sandbox.example","status":"Inactive","terminationDate":"2026-11-20"}"""));
        await using var program = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["HrSources:bamboo:Dialect"] = "bamboohr",
            ["HrSources:bamboo:Secrets:0"] = BambooKey,
            ["HrSources:bamboo:Api:BaseUrl"] = bamboo.Address.ToString(),
            ["HrSources:bamboo:Api:Key"] = "bamboo-api-key",
        });
        using var operators = program.CreateOperator();
        var body = Fixtures.Read("bamboohr", "updated.json");
        var stamp = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/hr/bamboo") { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.Add("X-BambooHR-Timestamp", stamp);
        request.Headers.Add("X-BambooHR-Signature", Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(BambooKey), (byte[])[.. body, .. Encoding.UTF8.GetBytes(stamp)])));

        var answer = await program.Client.AskAsync(request);
        var verified = await new Operations(operators).VerifiedAsync("E1003");

        Assert.Equal(202, answer.Status);
        Assert.Equal("done", (string?)Operations.Step(verified, "dingtalk.disable")["outcome"]);
        Assert.Equal(2, bamboo.Received.Count);
        Assert.DoesNotContain("e1003@", program.Output + program.Errors, StringComparison.OrdinalIgnoreCase);
        Assert.DoesNotContain("bamboo-api-key", program.Output + program.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_external_event_of_successfactors_is_acknowledged_in_soap_and_freezes_the_leaver()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["HrSources:sf:Dialect"] = "successfactors",
            ["HrSources:sf:Secrets:0"] = Credentials,
            ["HrSources:sf:TimeZone"] = "Asia/Shanghai",
        });
        using var operators = program.CreateOperator();
        var body = Encoding.UTF8.GetString(Fixtures.Read("successfactors", "termination.xml"))
            .Replace("future", "current", StringComparison.Ordinal).Replace("1001", "1004", StringComparison.Ordinal);

        var stranger = await SendAsync(program, body, "dingflow:wrong horse battery");
        var answer = await SendAsync(program, body, Credentials);
        await new Operations(operators).VerifiedAsync("E1004");

        stranger.IsProblem(401, "invalid-signature");
        Assert.Equal((200, "text/xml"), (answer.Status, answer.MediaType));
        Assert.Contains("ExternalEventResponse", answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Only_those_with_the_role_may_test_and_replay()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync();
        using var operators = program.CreateOperator();
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        var id = await hr.AcceptedAsync(HrSender.Leaver("E1005"));
        await new Operations(operators).VerifiedAsync("E1005");

        using var anonymousTest = new HttpRequestMessage(HttpMethod.Post, "/api/hr/sandbox/test") { Content = Json("""{"headers":{},"body":"{}"}""") };
        (await program.Client.AskAsync(anonymousTest)).IsProblem(401, "unauthorized");
        using var anonymousReplay = new HttpRequestMessage(HttpMethod.Post, $"/api/deliveries/{id}/replay") { Content = Json("""{"reason":"because"}""") };
        (await program.Client.AskAsync(anonymousReplay)).IsProblem(401, "unauthorized");
        using var test = new HttpRequestMessage(HttpMethod.Post, "/api/hr/sandbox/test") { Content = Json("""{"headers":{"content-type":"application/json"},"body":"{}"}""") };
        var tested = await operators.AskAsync(test);
        using var replay = new HttpRequestMessage(HttpMethod.Post, $"/api/deliveries/{id}/replay") { Content = Json("""{"reason":"to see that nothing happens"}""") };
        var replayed = await operators.AskAsync(replay);

        Assert.Equal((200, "missingHeader"), (tested.Status, (string?)tested.Json["verdict"]));
        Assert.Equal((202, 1), (replayed.Status, (int)replayed.Json["workItems"]!));
        // The case has heard it: a replay changes nothing.
        Assert.Equal("verified", Operations.StateOf(Assert.Single(await new Operations(operators).CasesOfAsync("E1005"))));
    }

    private static async Task<Answer> SendAsync(DingFlowProcess program, string body, string credentials)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/api/hr/sf") { Content = new StringContent(body, Encoding.UTF8, "text/xml") };
        request.Headers.Authorization = new AuthenticationHeaderValue("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes(credentials)));
        return await program.Client.AskAsync(request);
    }

    private static StringContent Json(string json) => new(json, Encoding.UTF8, "application/json");
}
