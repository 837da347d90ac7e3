using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;

namespace DingFlow.Tests.EndToEnd;

/// <summary>What an outside tester checks, who has nothing but the documentation and environment variables.</summary>
public sealed class WebhookContractTests(ConfiguredProgram configured)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Both_secrets_of_a_source_are_valid_and_many_signatures_may_stand_in_the_header()
    {
        using var walk = await configured.WalkAsync();
        var client = walk.Program.Client;
        var strange = HrSender.NewSecret();

        foreach (var secrets in (string[][])[[configured.NewSecret], [configured.OldSecret], [strange, configured.OldSecret], [configured.NewSecret, strange]])
        {
            var answer = await new HrSender(client, "acme", secrets).SendAsync(HrSender.Leaver("E1001"));

            Assert.Equal(202, answer.Status);
        }

        var mixed = await walk.Hr.SendAsync(HrSender.Leaver("E1001"), change: request =>
        {
            var signature = request.Headers.GetValues("webhook-signature").Single();
            request.Headers.Remove("webhook-signature");
            request.Headers.Add("webhook-signature", $"v1a,bm90IG91cnM= {signature} v2,whatever");
        });
        Assert.Equal(202, mixed.Status);
        await walk.Operations.VerifiedAsync("E1001");
    }

    [Fact]
    public async Task A_signature_that_is_wrong_missing_or_for_another_request_is_refused()
    {
        using var walk = await configured.WalkAsync();
        var body = HrSender.Leaver("E1099");
        Action<HttpRequestMessage>[] spoilers =
        [
            request => Replace(request, "webhook-signature", HrSender.Sign(HrSender.NewSecret(), "x", "1", "{}"u8)),
            request => Replace(request, "webhook-signature", "v1,"),
            request => Replace(request, "webhook-signature", "v1,%%%%"),
            request => Replace(request, "webhook-signature", request.Headers.GetValues("webhook-signature").Single()["v1,".Length..]),
            request => Replace(request, "webhook-signature", request.Headers.GetValues("webhook-signature").Single().Replace("v1,", "v2,", StringComparison.Ordinal)),
            request => Replace(request, "webhook-id", HrSender.NewId()),
            request => Replace(request, "webhook-timestamp", HrSender.Timestamp(TimeSpan.FromSeconds(-1))),
            request => request.Headers.Remove("webhook-signature"),
            request => request.Headers.Remove("webhook-id"),
            request => request.Headers.Remove("webhook-timestamp"),
            request => request.Headers.Add("webhook-signature", "v1,AAAA"),
            request => request.Content = Json(HrSender.Leaver("E1098")),
        ];

        foreach (var spoil in spoilers)
        {
            (await walk.Hr.SendAsync(body, change: spoil)).IsProblem(401, "invalid-signature");
        }

        (await new HrSender(walk.Program.Client, "acme", HrSender.NewSecret()).SendAsync(body)).IsProblem(401, "invalid-signature");
        Assert.Empty(await walk.Operations.CasesOfAsync("E1099"));
    }

    [Theory]
    [InlineData(-301 - 60)]
    [InlineData(301 + 60)]
    [InlineData(-1_000_000)]
    public async Task A_signature_of_another_time_is_refused(int seconds)
    {
        using var walk = await configured.WalkAsync();

        var answer = await walk.Hr.SendAsync(HrSender.Leaver("E1099"), timestamp: HrSender.Timestamp(TimeSpan.FromSeconds(seconds)));

        answer.IsProblem(401, "stale-timestamp");
    }

    [Theory]
    [InlineData("not-a-number")]
    [InlineData("-1")]
    [InlineData("1e9")]
    [InlineData("99999999999999999999")]
    public async Task A_time_stamp_that_is_none_is_refused(string timestamp)
    {
        using var walk = await configured.WalkAsync();

        var answer = await walk.Hr.SendAsync(HrSender.Leaver("E1099"), timestamp: timestamp);

        Assert.Equal(401, answer.Status);
    }

    [Fact]
    public async Task A_source_that_is_not_configured_is_not_found()
    {
        using var walk = await configured.WalkAsync();
        var sender = new HrSender(walk.Program.Client, "globex", configured.NewSecret);

        (await sender.SendAsync(HrSender.Leaver("E1099"))).IsProblem(404, "unknown-source");
        (await walk.Program.Client.AskAsync(HttpMethod.Post, "/api/dingtalk/globex/events", "{}")).IsProblem(404, "unknown-tenant");
    }

    [Theory]
    [InlineData("text/plain")]
    [InlineData("application/xml")]
    [InlineData("application/x-www-form-urlencoded")]
    [InlineData(null)]
    public async Task Another_content_type_is_refused(string? mediaType)
    {
        using var walk = await configured.WalkAsync();

        var answer = await walk.Hr.SendAsync(
            HrSender.Leaver("E1099"), change: request => request.Content!.Headers.ContentType = mediaType is null ? null : new MediaTypeHeaderValue(mediaType));

        answer.IsProblem(415, "unsupported-media-type");
    }

    [Theory]
    [InlineData("application/json; charset=utf-8")]
    [InlineData("Application/JSON")]
    [InlineData("application/cloudevents+json")]
    public async Task Every_spelling_of_JSON_is_taken(string mediaType)
    {
        using var walk = await configured.WalkAsync();

        var answer = await walk.Hr.SendAsync(
            """{"type":"employee.birthday"}""", change: request => request.Content!.Headers.ContentType = MediaTypeHeaderValue.Parse(mediaType));

        Assert.Equal(202, answer.Status);
    }

    public static TheoryData<string> MalformedBodies => new(
        "", " ", "{", "null", "[]", "\"text\"", "{\"type\":\"employee.terminated\"", """{"type":"employee.terminated"} trailing""",
        """{"type":"employee.terminated"}""", """{"type":5,"data":{}}""", """{"type":"employee.terminated","data":[]}""",
        """{"type":"employee.terminated","data":{}}""", """{"type":"employee.terminated","data":{"employeeId":""}}""",
        """{"type":"employee.terminated","data":{"employeeId":5}}""", """{"type":"employee.terminated","data":{"email":"nobody"}}""",
        """{"type":"employee.terminated","data":{"employeeId":"E1099","effectiveAt":"tomorrow"}}""",
        """{"type":"employee.terminated","data":{"employeeId":"E1099","immediate":"yes"}}""",
        """{"type":"employee.terminated","data":{"employeeId":"E1099","employeeId":"E1098"}}""",
        """{"type":"employee.terminated","data":{"employeeId":"\ud800"}}""",
        string.Concat(Enumerable.Repeat("[", 100_000)),
        $$"""{"type":"employee.terminated","data":{{string.Concat(Enumerable.Repeat("{\"a\":", 1000))}}1{{new string('}', 1000)}}}""");

    [Theory]
    [MemberData(nameof(MalformedBodies))]
    public async Task A_malformed_or_deep_body_is_refused_without_quoting_it(string body)
    {
        using var walk = await configured.WalkAsync();

        var answer = await walk.Hr.SendAsync(body);

        answer.IsProblem(400, "malformed");
        Assert.DoesNotContain("nobody", answer.Text, StringComparison.Ordinal);
        Assert.DoesNotContain("E1099", answer.Text, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/api/hr/acme", false)]
    [InlineData("/api/hr/acme", true)]
    [InlineData("/api/dingtalk/sandbox/events", false)]
    [InlineData("/api/dingtalk/sandbox/events", true)]
    public async Task A_huge_body_is_refused_whether_its_length_is_told_or_not(string path, bool chunked)
    {
        using var walk = await configured.WalkAsync();

        // Sent by hand: the program may answer and hang up before everything is sent, which HTTP clients take for trouble.
        var answer = await SendHugeAsync(walk.Program.Client.BaseAddress!, path, chunked);

        Assert.StartsWith("HTTP/1.1 413 ", answer, StringComparison.Ordinal);
        Assert.Contains("urn:dingflow:problem:too-large", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_source_that_sends_too_much_is_told_when_to_come_again_and_forgeries_do_not_count()
    {
        using var walk = await configured.WalkAsync();
        var sender = new HrSender(walk.Program.Client, "slow", configured.NewSecret);
        var forger = new HrSender(walk.Program.Client, "slow", HrSender.NewSecret());
        const string Body = """{"type":"employee.birthday"}""";
        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(401, (await forger.SendAsync(Body)).Status);
        }

        Assert.Equal(202, (await sender.SendAsync(Body)).Status);
        var tooMany = await Eventually.GetAsync(
            async () => await sender.SendAsync(Body) is { Status: 429 } refused ? refused : null, () => "429", Cancellation);

        tooMany.IsProblem(429, "too-many-requests");
        Assert.InRange(int.Parse(tooMany.Headers["Retry-After"], System.Globalization.CultureInfo.InvariantCulture), 1, 60);
    }

    [Theory]
    [InlineData("GET", "/api/hr/acme", "POST")]
    [InlineData("PUT", "/api/hr/acme", "POST")]
    [InlineData("DELETE", "/api/dingtalk/sandbox/events", "POST")]
    [InlineData("POST", "/api/offboarding", "GET")]
    [InlineData("PATCH", "/api/offboarding/search", "POST")]
    [InlineData("POST", "/api/health", "GET")]
    public async Task Another_method_is_refused_and_the_right_one_named(string method, string path, string allowed)
    {
        using var walk = await configured.WalkAsync();

        var answer = await walk.Program.Client.AskAsync(new HttpMethod(method), path, method is "POST" or "PUT" or "PATCH" ? "{}" : null);

        answer.IsProblem(405, "method-not-allowed");
        Assert.Contains(allowed, answer.Headers["Allow"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("HEAD")]
    [InlineData("OPTIONS")]
    [InlineData("TRACE")]
    public async Task Unusual_methods_do_no_harm(string method)
    {
        using var walk = await configured.WalkAsync();

        foreach (var path in (string[])["/api/hr/acme", "/api/dingtalk/sandbox/events", "/api/offboarding", "/api/health", "/", "/nowhere"])
        {
            var answer = await walk.Program.Client.AskAsync(new HttpMethod(method), path);

            Assert.InRange(answer.Status, 200, 499);
            Assert.True(answer.Headers.ContainsKey("x-request-id"));
        }
    }

    [Theory]
    [InlineData("GET", "/api/offboarding")]
    [InlineData("GET", "/api/offboarding/00000000000000000000000000000000")]
    [InlineData("POST", "/api/offboarding/search")]
    [InlineData("POST", "/api/offboarding/00000000000000000000000000000000/cancel")]
    [InlineData("POST", "/api/offboarding/00000000000000000000000000000000/retry")]
    public async Task Management_routes_need_a_key_with_the_role(string method, string path)
    {
        using var walk = await configured.WalkAsync();
        using var stranger = walk.Program.CreateOperator(ConfiguredProgram.StrangerKey);
        using var nobody = walk.Program.CreateOperator("no-such-key");
        var body = method == "POST" ? """{"reason":"a test","employeeId":"E1099"}""" : null;

        var missing = await walk.Program.Client.AskAsync(new HttpMethod(method), path, body);
        var wrong = await nobody.AskAsync(new HttpMethod(method), path, body);
        var forbidden = await stranger.AskAsync(new HttpMethod(method), path, body);

        missing.IsProblem(401, "unauthorized");
        Assert.StartsWith("Bearer", missing.Headers["WWW-Authenticate"], StringComparison.Ordinal);
        wrong.IsProblem(401, "unauthorized");
        forbidden.IsProblem(403, "forbidden");
    }

    [Fact]
    public async Task A_reader_may_not_act_and_an_action_needs_a_reason()
    {
        using var walk = await configured.WalkAsync();
        using var reader = walk.Program.CreateOperator(ConfiguredProgram.ReaderKey);
        await walk.Hr.AcceptedAsync(HrSender.Leaver("E8001"));
        var caseId = (string?)(await walk.Operations.ConcludedAsync("E8001"))["caseId"];

        (await reader.AskAsync(HttpMethod.Post, $"/api/offboarding/{caseId}/retry", """{"reason":"found the typing error"}""")).IsProblem(403, "forbidden");
        Assert.InRange((await walk.Operator.AskAsync(HttpMethod.Post, $"/api/offboarding/{caseId}/retry", "{}")).Status, 400, 422);
        await walk.Sandbox.PutPersonAsync("E8001", """{"name":"New Person"}""");
        var accepted = await walk.Operator.AskAsync(HttpMethod.Post, $"/api/offboarding/{caseId}/retry", """{"reason":"found the typing error"}""");

        Assert.Equal(202, accepted.Status);
        await Eventually.IsTrueAsync(
            async () => await walk.Operations.CasesOfAsync("E8001") is [var only] && Operations.StateOf(only) == "verified",
            () => "the case of E8001 verified after the retry", Cancellation);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/api")]
    [InlineData("/api/hr")]
    [InlineData("/api/hr/acme/more")]
    [InlineData("/api/nowhere")]
    [InlineData("/.env")]
    [InlineData("/api/..%2f..%2fetc/passwd")]
    public async Task Nothing_is_found_elsewhere(string path)
    {
        using var walk = await configured.WalkAsync();

        (await walk.Program.Client.AskAsync(HttpMethod.Get, path)).IsProblem(404, "not-found");
    }

    [Fact]
    public async Task An_answer_carries_the_callers_trace()
    {
        using var walk = await configured.WalkAsync();
        const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";

        var traced = await walk.Hr.SendAsync(
            """{"type":"employee.birthday"}""", change: request => request.Headers.Add("traceparent", $"00-{Trace}-00f067aa0ba902b7-01"));
        var own = await walk.Hr.SendAsync("""{"type":"employee.birthday"}""");
        var refused = await walk.Program.Client.AskAsync(HttpMethod.Get, "/api/offboarding");

        Assert.Equal(Trace, traced.Headers["x-request-id"]);
        Assert.StartsWith($"00-{Trace}-", traced.Headers["traceparent"], StringComparison.Ordinal);
        Assert.Matches("^[0-9a-f]{32}$", own.Headers["x-request-id"]);
        Assert.Contains(own.Headers["x-request-id"], own.Headers["traceparent"], StringComparison.Ordinal);
        Assert.Contains((string)refused.Json["requestId"]!, refused.Headers["traceparent"], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_leavers_under_one_delivery_id_are_both_frozen_and_people_are_told()
    {
        using var walk = await configured.WalkAsync();
        var id = HrSender.NewId();

        var first = await walk.Hr.SendAsync(HrSender.Leaver("E1010"), id);
        var second = await walk.Hr.SendAsync(HrSender.Leaver("E1011"), id);
        var repeated = await walk.Hr.SendAsync(HrSender.Leaver("E1011"), id);

        Assert.Equal((202, false), (first.Status, (bool)first.Json["duplicate"]!));
        Assert.Equal((202, false), (second.Status, (bool)second.Json["duplicate"]!));
        Assert.Equal((202, true), (repeated.Status, (bool)repeated.Json["duplicate"]!));
        Assert.NotEqual((string?)first.Json["deliveryId"], (string?)second.Json["deliveryId"]);
        Assert.Equal((string?)second.Json["deliveryId"], (string?)repeated.Json["deliveryId"]);
        await walk.Operations.VerifiedAsync("E1010");
        await walk.Operations.VerifiedAsync("E1011");
        var alert = $"intake.delivery_id_reused:{(string?)second.Json["deliveryId"]}";
        await Eventually.IsTrueAsync(
            () => Task.FromResult(walk.Program.Output.Contains(alert, StringComparison.Ordinal)), () => $"the alert {alert} in the log", Cancellation);
    }

    [Fact]
    public async Task A_replayed_request_changes_nothing()
    {
        using var walk = await configured.WalkAsync();
        var (body, id, timestamp) = (HrSender.Leaver("E1012"), HrSender.NewId(), HrSender.Timestamp());
        await walk.Hr.SendAsync(body, id, timestamp);
        await walk.Operations.VerifiedAsync("E1012");
        var calls = (await walk.Sandbox.JournalAsync("E1012")).Count;

        for (var i = 0; i < 3; i++)
        {
            Assert.True((bool)(await walk.Hr.SendAsync(body, id, timestamp)).Json["duplicate"]!);
        }

        // What comes after the replays overtakes nothing: once it is done, they would have been, too.
        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1013"));
        await walk.Operations.VerifiedAsync("E1013");
        Assert.Equal(calls, (await walk.Sandbox.JournalAsync("E1012")).Count);
        Assert.Single((await walk.Operations.CasesOfAsync("E1012"))[0]["signals"]!);
    }

    [Fact]
    public async Task An_event_of_another_type_is_accepted_and_opens_no_case()
    {
        using var walk = await configured.WalkAsync();

        var answer = await walk.Hr.SendAsync(HrSender.Leaver("E1097", "employee.promoted"));
        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1014"));
        await walk.Operations.VerifiedAsync("E1014");

        Assert.Equal(202, answer.Status);
        Assert.Empty(await walk.Operations.CasesOfAsync("E1097"));
    }

    private static void Replace(HttpRequestMessage request, string header, string value)
    {
        request.Headers.Remove(header);
        Assert.True(request.Headers.TryAddWithoutValidation(header, value));
    }

    private static StringContent Json(string body) => new(body, Encoding.UTF8, "application/json");

    /// <summary>Sends 10 MB as fast as they are taken, and reads the answer whenever it comes.</summary>
    private static async Task<string> SendHugeAsync(Uri address, string path, bool chunked)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, address.Port, Cancellation);
        await using var stream = client.GetStream();
        var head = $"POST {path} HTTP/1.1\r\nHost: {address.Authority}\r\nContent-Type: application/json\r\nwebhook-id: m\r\nwebhook-timestamp: 1\r\nwebhook-signature: v1,x\r\n"
            + (chunked ? "Transfer-Encoding: chunked\r\n\r\n" : $"Content-Length: {10 * 1024 * 1024}\r\n\r\n");
        await stream.WriteAsync(Encoding.ASCII.GetBytes(head), Cancellation);
        var sending = Task.Run(
            async () =>
            {
                var part = Encoding.ASCII.GetBytes(new string(' ', 64 * 1024));
                var chunk = chunked ? [.. "10000\r\n"u8, .. part, .. "\r\n"u8] : part;
                try
                {
                    for (var i = 0; i < 160; i++)
                    {
                        await stream.WriteAsync(chunk, Cancellation);
                    }
                }
                catch (Exception exception) when (exception is IOException or ObjectDisposedException)
                {
                    // The program has answered and hung up, as it may.
                }
            },
            Cancellation);
        var answer = new StringBuilder();
        var buffer = new byte[4096];
        while (!answer.ToString().Contains("requestId", StringComparison.Ordinal))
        {
            var read = await stream.ReadAsync(buffer, Cancellation);
            if (read == 0)
            {
                break;
            }

            answer.Append(Encoding.UTF8.GetString(buffer, 0, read));
        }

        client.Close();
        await sending;
        return answer.ToString();
    }
}
