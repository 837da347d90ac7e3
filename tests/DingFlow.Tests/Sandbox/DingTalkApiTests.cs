using System.Globalization;
using System.Net.Http.Headers;
using DingFlow.Sandbox;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Sandbox;

public sealed class DingTalkApiTests : IAsyncLifetime
{
    private const string Accounts = "v1.0/contact/orgAccounts";
    private SandboxCaller _caller = null!;

    public async ValueTask InitializeAsync() => _caller = await SandboxCaller.CreateAsync();

    public ValueTask DisposeAsync() => _caller.DisposeAsync();

    [Fact]
    public async Task A_token_is_the_same_within_its_time_and_another_after()
    {
        var credentials = $$"""{"appKey":"{{SandboxOptions.AppKey}}","appSecret":"{{SandboxOptions.AppSecret}}"}""";
        var first = _caller.Token;
        _caller.Clock.Advance(TimeSpan.FromSeconds(7000));
        var again = await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/oauth2/accessToken", credentials);
        // Extended by the second call: valid beyond the first one's time.
        _caller.Clock.Advance(TimeSpan.FromSeconds(7000));
        var used = await _caller.DingTalkAsync(HttpMethod.Get, $"{Accounts}/status?userId=sb-1001");
        _caller.Clock.Advance(TimeSpan.FromSeconds(200));
        var expired = await _caller.DingTalkAsync(HttpMethod.Get, $"{Accounts}/status?userId=sb-1001");
        var other = await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/oauth2/accessToken", credentials);

        Assert.Equal("accessToken,expireIn", again.Keys);
        Assert.Equal(7200, (int?)again.Body!["expireIn"]);
        Assert.Equal(first, again["accessToken"]);
        Assert.Equal(200, used.Status);
        Assert.Equal((400, "InvalidAuthentication"), (expired.Status, expired["code"]));
        Assert.NotEqual(first, other["accessToken"]);
    }

    [Fact]
    public async Task Wrong_credentials_are_refused_by_every_token_call()
    {
        var newer = await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/oauth2/accessToken", """{"appKey":"test","appSecret":"test"}""");
        var legacy = await _caller.GetAsync($"{_caller.Server.DingTalkLegacy}/gettoken?appkey=test&appsecret=test");
        var nothing = await _caller.GetAsync($"{_caller.Server.DingTalkLegacy}/gettoken");
        var corp = await CorpTokenAsync(SandboxOptions.CorpId, "test", "client_credentials");
        var unknownCorp = await CorpTokenAsync("dingtest", SandboxOptions.AppKey, "client_credentials");
        var grant = await CorpTokenAsync(SandboxOptions.CorpId, SandboxOptions.AppKey, "password");

        Assert.Equal((400, "invalidClientIdOrSecret"), (newer.Status, newer["code"]));
        Assert.Equal((200, "40096"), (legacy.Status, legacy["errcode"]));
        Assert.Equal("40035", nothing["errcode"]);
        Assert.Equal((400, "invalid.client"), (corp.Status, corp["code"]));
        Assert.Equal((500, "unknownError"), (unknownCorp.Status, unknownCorp["code"]));
        Assert.Equal((400, "unsupported.grant.type"), (grant.Status, grant["code"]));
    }

    [Fact]
    public async Task All_three_token_calls_give_one_token_good_for_both_generations()
    {
        var corp = await CorpTokenAsync(SandboxOptions.CorpId, SandboxOptions.AppKey, "client_credentials");
        var legacy = await _caller.GetAsync(
            $"{_caller.Server.DingTalkLegacy}/gettoken?appkey={SandboxOptions.AppKey}&appsecret={SandboxOptions.AppSecret}");

        Assert.Equal("access_token,expires_in", corp.Keys);
        Assert.Equal("errcode,access_token,errmsg,expires_in", legacy.Keys);
        Assert.Equal(_caller.Token, corp["access_token"]);
        Assert.Equal(_caller.Token, legacy["access_token"]);
        Assert.Equal("0", (await _caller.LegacyAsync("topapi/user/count"))["errcode"]);
    }

    [Fact]
    public async Task Disabling_ends_no_session_and_signing_out_does()
    {
        var disabled = await PostAsync("disable", """{"userId":"sb-1001","reason":"left"}""");
        var afterDisable = _caller.Server.Directory["E1001"].DingTalk!;
        var signedOut = await PostAsync("signOut", """{"userId":"sb-1001","reason":"left"}""");
        var status = await _caller.DingTalkAsync(HttpMethod.Get, $"{Accounts}/status?userId=sb-1001");
        var afterSignOut = _caller.Server.Directory["E1001"];

        Assert.Equal((200, """{"result":true}"""), (disabled.Status, disabled.Text));
        Assert.Equal((true, 2), (afterDisable.Disabled, afterDisable.Sessions));
        Assert.Equal((200, """{"result":true}"""), (signedOut.Status, signedOut.Text));
        Assert.Equal("""{"disable":true}""", status.Text);
        Assert.Equal((true, 0), (afterSignOut.DingTalk!.Disabled, afterSignOut.DingTalk.Sessions));
        Assert.Equal(1, afterSignOut.Mutations[SandboxOperations.Disable]);
        Assert.Equal(1, afterSignOut.Mutations[SandboxOperations.SignOut]);

        Assert.Equal("""{"result":true}""", (await PostAsync("enable", """{"userId":"sb-1001"}""")).Text);
        Assert.Equal("""{"disable":false}""", (await _caller.DingTalkAsync(HttpMethod.Get, $"{Accounts}/status?userId=sb-1001")).Text);
    }

    [Theory]
    [InlineData("disable")]
    [InlineData("enable")]
    [InlineData("signOut")]
    public async Task Account_calls_refuse_what_they_cannot_do(string verb)
    {
        var ordinary = await PostAsync(verb, """{"userId":"sb-1021"}""");
        var unknown = await PostAsync(verb, """{"userId":"sb-9999"}""");
        var missing = await PostAsync(verb, """{"reason":"left"}""");
        var number = await PostAsync(verb, """{"userId":1001}""");
        var malformed = await PostAsync(verb, """{"userId":""");
        var nothing = await PostAsync(verb, null);

        Assert.Equal((400, "exclusive.account.only"), (ordinary.Status, ordinary["code"]));
        Assert.Equal((400, "user.not.exist"), (unknown.Status, unknown["code"]));
        Assert.All([missing, number, malformed, nothing], answer => Assert.Equal((400, "invalid.param"), (answer.Status, answer["code"])));
        Assert.Equal("code,requestid,message", ordinary.Keys);
        Assert.All(_caller.Server.Directory.People, person => Assert.Empty(person.Mutations));
    }

    [Fact]
    public async Task Status_refuses_what_it_cannot_tell()
    {
        Assert.Equal("exclusive.account.only", (await _caller.DingTalkAsync(HttpMethod.Get, $"{Accounts}/status?userId=sb-1025"))["code"]);
        Assert.Equal("user.not.exist", (await _caller.DingTalkAsync(HttpMethod.Get, $"{Accounts}/status?userId=sb-0901"))["code"]);
        Assert.Equal("invalid.param", (await _caller.DingTalkAsync(HttpMethod.Get, $"{Accounts}/status"))["code"]);
    }

    [Fact]
    public async Task Another_content_type_is_refused()
    {
        var answer = await _caller.SendAsync(HttpMethod.Post, $"{_caller.Server.DingTalk}/{Accounts}/disable", """{"userId":"sb-1001"}""", request =>
        {
            request.Headers.Add("x-acs-dingtalk-access-token", _caller.Token);
            request.Content!.Headers.ContentType = new MediaTypeHeaderValue("text/plain");
        });

        Assert.Equal((400, "invalid.param"), (answer.Status, answer["code"]));
    }

    [Fact]
    public async Task A_missing_and_a_wrong_token_are_told_apart()
    {
        _caller.Token = null;
        var missing = await PostAsync("disable", """{"userId":"sb-1001"}""");
        _caller.Token = "test";
        var wrong = await PostAsync("disable", """{"userId":"sb-1001"}""");

        Assert.Equal((400, "AuthenticationFailed.MissingParameter"), (missing.Status, missing["code"]));
        Assert.Equal((400, "InvalidAuthentication", "不合法的access_token"), (wrong.Status, wrong["code"], wrong["message"]));
        Assert.False(_caller.Server.Directory["E1001"].DingTalk!.Disabled);
    }

    [Fact]
    public async Task Unknown_paths_and_methods_are_not_found()
    {
        var path = await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/contact/orgAccounts/freeze", "{}");
        var method = await _caller.DingTalkAsync(HttpMethod.Get, $"{Accounts}/disable?userId=sb-1001");
        var noVersion = await _caller.DingTalkAsync(HttpMethod.Post, "oauth2/accessToken", "{}");

        Assert.Equal((404, "InvalidAction.NotFound"), (path.Status, path["code"]));
        Assert.Equal((404, "InvalidAction.NotFound"), (method.Status, method["code"]));
        Assert.Equal((200, "404"), (noVersion.Status, noVersion["errcode"]));
    }

    [Fact]
    public async Task Leave_records_come_by_time_and_in_pages()
    {
        await _caller.LegacyAsync("topapi/v2/user/delete", """{"userid":"sb-1021"}""");
        await _caller.LegacyAsync("topapi/v2/user/delete", """{"userid":"sb-1022"}""");

        var first = await LeaveAsync("startTime=2026-11-01T00:00:00Z&maxResults=1&nextToken=0");
        var second = await LeaveAsync($"startTime=2026-11-01T00:00:00Z&maxResults=1&nextToken={first["nextToken"]}");
        var earlier = await LeaveAsync("startTime=2024-12-01T00:00:00Z&endTime=2025-02-01T00:00:00Z");

        Assert.Equal("sb-1021", first["records[0].userId"]);
        Assert.Equal("userId,name,stateCode,mobile,leaveTime,leaveReason",
            string.Join(',', ((JObject)first.Body!["records"]![0]!).Properties().Select(property => property.Name)));
        Assert.Equal("oapi", first["records[0].leaveReason"]);
        Assert.Contains("\"leaveTime\":\"2026-11-22T01:00:00Z\"", first.Text, StringComparison.Ordinal);
        Assert.Equal("sb-1022", second["records[0].userId"]);
        Assert.Null(second["nextToken"]);
        Assert.Equal(("sb-0901", "delete"), (earlier["records[0].userId"], earlier["records[0].leaveReason"]));
    }

    [Theory]
    [InlineData("")]
    [InlineData("startTime=yesterday")]
    [InlineData("startTime=2026-11-01T00:00:00Z&maxResults=51")]
    [InlineData("startTime=2025-01-01T00:00:00Z&endTime=2026-11-01T00:00:00Z")]
    public async Task Leave_records_refuse_wrong_parameters(string query) =>
        Assert.Equal("invalid.param", (await LeaveAsync(query))["code"]);

    [Fact]
    public async Task Failed_pushes_are_listed_by_time_and_stay()
    {
        var at = SandboxCaller.Start.ToUnixTimeMilliseconds();
        _caller.Server.Directory.AddFailedPush(new("user_leave_org", SandboxCaller.Start, """{"userid":["sb-1001"]}"""));
        var query = string.Create(CultureInfo.InvariantCulture, $"v1.0/event/callbacks/failedResults?beginTime={at - 1}&endTime={at + 1}");
        var outside = string.Create(CultureInfo.InvariantCulture, $"v1.0/event/callbacks/failedResults?beginTime={at + 1}&endTime={at + 2}");

        var listed = await _caller.DingTalkAsync(HttpMethod.Get, query);
        var again = await _caller.DingTalkAsync(HttpMethod.Get, query);

        Assert.Equal("user_leave_org", listed["failedList[0].callBackTag"]);
        Assert.Equal("""{"userid":["sb-1001"]}""", listed["failedList[0].callBackData"]);
        Assert.Equal(at, (long?)listed.Body!.SelectToken("failedList[0].eventTime"));
        Assert.Equal(listed.Text, again.Text);
        Assert.Equal("""{"failedList":[],"hasMore":false}""", (await _caller.DingTalkAsync(HttpMethod.Get, outside)).Text);
        Assert.Equal("invalid.param", (await _caller.DingTalkAsync(HttpMethod.Get, "v1.0/event/callbacks/failedResults"))["code"]);
    }

    private Task<Answer> PostAsync(string verb, string? body) => _caller.DingTalkAsync(HttpMethod.Post, $"{Accounts}/{verb}", body);

    private Task<Answer> LeaveAsync(string query) => _caller.DingTalkAsync(HttpMethod.Get, $"v1.0/contact/empLeaveRecords?{query}");

    private Task<Answer> CorpTokenAsync(string corpId, string clientId, string grant) => _caller.DingTalkAsync(
        HttpMethod.Post,
        $"v1.0/oauth2/{corpId}/token",
        $$"""{"client_id":"{{clientId}}","client_secret":"{{SandboxOptions.AppSecret}}","grant_type":"{{grant}}"}""");
}
