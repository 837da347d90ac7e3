using System.Text;
using System.Text.Json.Nodes;
using DingFlow.Intake;

namespace DingFlow.Tests.Intake;

public sealed class HrSourceRoutesTests
{
    private const string Key = "bamboo-private-key-0001";
    private const string Stamp = "1795309200";
    private static readonly byte[] Body = Fixtures.Read("bamboohr", "updated.json");
    private static readonly (string, string?)[] Settings =
        [("HrSources:bamboo:Dialect", "bamboohr"), ("HrSources:bamboo:Secrets:0", "another-private-key"), ("HrSources:bamboo:Secrets:1", Key)];

    [Fact]
    public async Task A_good_capture_names_the_secret_and_keeps_nothing()
    {
        await using var scenario = new IntakeScenario(Settings);

        var answer = await TestAsync(scenario, Capture(Sign(Key, $"{Encoding.UTF8.GetString(Body)}{Stamp}")));

        Assert.Equal((200, true, "valid", 1), (answer.Status, answer.Json.GetProperty("accepted").GetBoolean(), answer.Json.GetProperty("verdict").GetString(), answer.Json.GetProperty("secretIndex").GetInt32()));
        Assert.Equal(["secret-fits"], Codes(answer));
        Assert.Equal("unresolved", answer.Json.GetProperty("body").GetProperty("events")[0].GetString());
        Assert.Equal((0, 0), (scenario.Store.Transactions, scenario.Queue.Calls));
        Assert.DoesNotContain("67890", Encoding.UTF8.GetString(answer.Body), StringComparison.Ordinal);
    }

    /// <summary>As a webhook it would be answered 415: the test must not call it accepted.</summary>
    [Theory]
    [InlineData("bamboo", "Content-Encoding", "gzip")]
    [InlineData("sf", "Content-Encoding", "gzip")]
    [InlineData("bamboo", "Content-Type", "application/json; charset=gbk")]
    public async Task A_body_that_comes_in_another_coding_than_it_was_signed_in_is_not_accepted(string source, string header, string value)
    {
        await using var scenario = new IntakeScenario([.. Settings, ("HrSources:sf:Dialect", "successfactors"), ("HrSources:sf:Secrets:0", "user:correct horse battery")]);
        var xml = Encoding.UTF8.GetString(Fixtures.Read("successfactors", "termination.xml"));
        var headers = new JsonObject
        {
            ["Content-Type"] = source == "sf" ? "text/xml" : "application/json",
            ["Authorization"] = $"Basic {Convert.ToBase64String("user:correct horse battery"u8)}",
            ["X-BambooHR-Timestamp"] = Stamp,
            ["X-BambooHR-Signature"] = Sign(Key, $"{Encoding.UTF8.GetString(Body)}{Stamp}"),
        };
        headers[header] = value;
        var capture = new JsonObject { ["headers"] = headers, ["body"] = source == "sf" ? xml : Encoding.UTF8.GetString(Body), ["receivedAt"] = "2026-11-22T01:00:00Z" };

        var answer = await scenario.CallAsync<TestHrSource>("source", source, Encoding.UTF8.GetBytes(capture.ToJsonString()));

        Assert.Equal(("valid", false), (answer.Json.GetProperty("verdict").GetString(), answer.Json.GetProperty("accepted").GetBoolean()));
        Assert.Single(Codes(answer), static code => code == "content-coding");
    }

    [Fact]
    public async Task The_guides_that_sign_the_time_first_are_recognised()
    {
        await using var scenario = new IntakeScenario(Settings);

        var answer = await TestAsync(scenario, Capture(Sign(Key, $"{Stamp}.{Encoding.UTF8.GetString(Body)}")));

        Assert.Equal(["signed-content"], Codes(answer));
        Assert.Contains("Secrets:1 if time, dot and body is signed", Detail(answer), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_body_that_was_written_anew_is_recognised()
    {
        await using var scenario = new IntakeScenario(Settings);
        var sent = Encoding.UTF8.GetString(Body).Replace("\":", "\": ", StringComparison.Ordinal).Replace(",\"", ", \"", StringComparison.Ordinal);

        var answer = await TestAsync(scenario, Capture(Sign(Key, sent + Stamp)));

        Assert.Equal(["body-changed"], Codes(answer));
        Assert.Contains("something between the sender and here parsed it", Detail(answer), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_old_time_stamp_is_told_with_its_age_and_the_capture_may_be_old()
    {
        await using var scenario = new IntakeScenario(Settings);
        scenario.Time.Advance(TimeSpan.FromMinutes(30));
        var signature = Sign(Key, $"{Encoding.UTF8.GetString(Body)}{Stamp}");

        var late = await TestAsync(scenario, Capture(signature));
        var captured = await TestAsync(scenario, Capture(signature, receivedAt: "2026-11-22T01:00:10Z"));

        Assert.Equal(["stale-timestamp", "secret-fits"], Codes(late));
        Assert.Contains("1800 s old; 300 s are allowed", Detail(late), StringComparison.Ordinal);
        Assert.True(captured.Json.GetProperty("accepted").GetBoolean());
    }

    [Theory]
    [InlineData("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret-encoding")]
    [InlineData("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret-encoding")]
    [InlineData("something else entirely", "no-secret-fits")]
    public void A_secret_that_was_not_decoded_is_recognised(string keyText, string code)
    {
        var source = Fixtures.Source("standard", ("Secrets:0", IntakeScenario.Secret));
        var mac = Convert.ToBase64String(System.Security.Cryptography.HMACSHA256.HashData(Encoding.UTF8.GetBytes(keyText), (byte[])[.. "m1.1795309200."u8, .. Body]));

        Assert.Equal([code], source.Diagnose(Body, ("webhook-id", "m1"), ("webhook-timestamp", Stamp), ("webhook-signature", $"v1,{mac}")));
    }

    [Fact]
    public void What_is_wrong_with_the_headers_is_named()
    {
        var source = Fixtures.Source("hibob", ("Secrets:0", "bob-webhook-secret-0001"));
        var sha512 = System.Security.Cryptography.HMACSHA512.HashData("bob-webhook-secret-0001"u8, Body);
        var sha256 = System.Security.Cryptography.HMACSHA256.HashData("bob-webhook-secret-0001"u8, Body);

        Assert.Equal(["missing-header"], source.Diagnose(Body));
        Assert.Contains(source.Dialect.Diagnose(Fixtures.Headers(("X-Hub-Signature-256", "x")), Body, source.Secrets, Fixtures.Now), static f => f.Detail.Contains("right dialect", StringComparison.Ordinal));
        Assert.Equal(["repeated-header"], source.Diagnose(Body, ("Bob-Signature", "a"), ("Bob-Signature", "b")));
        Assert.Equal(["malformed-header"], source.Diagnose(Body, ("Bob-Signature", "???")));
        Assert.Equal(["wrong-encoding", "secret-fits"], source.Diagnose(Body, ("Bob-Signature", Convert.ToHexString(sha512))));
        Assert.Equal(["wrong-algorithm", "secret-fits"], source.Diagnose(Body, ("Bob-Signature", Convert.ToBase64String(sha256))));
        Assert.Equal(["wrong-prefix", "secret-fits"], Fixtures.Source("github", ("Secrets:0", "bob-webhook-secret-0001")).Diagnose(Body, ("X-Hub-Signature-256", Convert.ToHexString(sha256))));
    }

    [Fact]
    public async Task The_senders_own_test_can_be_pointed_at_it()
    {
        await using var scenario = new IntakeScenario(Settings);

        var answer = await scenario.CallAsync<TestHrSource>(
            "source", "bamboo", Body, "application/json", ("X-BambooHR-Signature", Sign(Key, $"{Encoding.UTF8.GetString(Body)}{Stamp}")), ("X-BambooHR-Timestamp", Stamp));

        Assert.True(answer.Json.GetProperty("accepted").GetBoolean());
    }

    [Fact]
    public async Task What_else_would_be_refused_is_told_too()
    {
        await using var scenario = new IntakeScenario([.. Settings, ("HrSources:bamboo:MaxBodyBytes", "256")]);
        var capture = new JsonObject { ["headers"] = new JsonObject { ["content-type"] = "text/csv" }, ["body"] = new string('x', 300) };

        var answer = await TestAsync(scenario, capture);

        Assert.Equal(["content-type", "too-large", "missing-header", "missing-header"], Codes(answer));
        Assert.False(string.IsNullOrEmpty(answer.Json.GetProperty("body").GetProperty("fault").GetString()));
    }

    [Theory]
    [InlineData("""{"headers":{},"bodyBase64":"???"}""")]
    [InlineData("""{"headers":{},"body":"x","receivedAt":"yesterday"}""")]
    public async Task A_capture_that_is_none_is_400(string capture)
    {
        await using var scenario = new IntakeScenario(Settings);

        (await scenario.CallAsync<TestHrSource>("source", "bamboo", Encoding.UTF8.GetBytes(capture))).IsProblem(400, "malformed");
    }

    [Fact]
    public async Task An_unknown_source_is_404()
    {
        await using var scenario = new IntakeScenario();

        (await scenario.CallAsync<TestHrSource>("source", "nobody", [])).IsProblem(404, "unknown-source");
        (await scenario.CallAsync<GetHrHandshake>("source", "nobody", [])).IsProblem(404, "unknown-source");
    }

    private static Task<Answer> TestAsync(IntakeScenario scenario, JsonObject capture) =>
        scenario.CallAsync<TestHrSource>("source", "bamboo", Encoding.UTF8.GetBytes(capture.ToJsonString()));

    private static JsonObject Capture(string signature, string? receivedAt = null) => new()
    {
        ["headers"] = new JsonObject { ["Content-Type"] = "application/json", ["X-BambooHR-Signature"] = new JsonArray(signature), ["X-BambooHR-Timestamp"] = Stamp },
        ["body"] = Encoding.UTF8.GetString(Body),
        ["receivedAt"] = receivedAt,
    };

    private static string Sign(string key, string content) =>
        Convert.ToHexStringLower(System.Security.Cryptography.HMACSHA256.HashData(Encoding.UTF8.GetBytes(key), Encoding.UTF8.GetBytes(content)));

    private static string[] Codes(Answer answer) => [.. answer.Json.GetProperty("findings").EnumerateArray().Select(static f => f.GetProperty("code").GetString()!)];

    private static string Detail(Answer answer) => string.Join('\n', answer.Json.GetProperty("findings").EnumerateArray().Select(static f => f.GetProperty("detail").GetString()));
}
