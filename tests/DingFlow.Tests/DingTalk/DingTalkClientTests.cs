using DingFlow.DingTalk;
using DingFlow.Remote;
using DingFlow.Tests.Remote;
using Newtonsoft.Json.Linq;
using static DingFlow.Tests.DingTalk.DingTalkHarness;

namespace DingFlow.Tests.DingTalk;

public sealed class DingTalkClientTests
{
    private const string LeaveRoute = "GET /v1.0/contact/empLeaveRecords";

    [Fact]
    public async Task Token_Is_Asked_For_With_Key_And_Secret_And_Sent_In_The_Header()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, Answers.Json("""{"result":true}"""));

        var result = await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);

        Assert.Equal(RemoteStatus.Ok, result.Status);
        var token = harness.Remote.ReceivedAt(TokenRoute).Single();
        Assert.Equal("""{"appKey":"app-key-1","appSecret":"app-secret-1"}""", token.Body);
        Assert.False(token.Headers.ContainsKey("x-acs-dingtalk-access-token"));
        var disable = harness.Remote.ReceivedAt(DisableRoute).Single();
        Assert.Equal(Token, disable.Headers["x-acs-dingtalk-access-token"]);
        Assert.Equal("", disable.Query);
        Assert.StartsWith("application/json", disable.Headers.ContentType.ToString(), StringComparison.Ordinal);
        Assert.True(JToken.DeepEquals(JObject.Parse($$"""{"userId":"{{UserId}}","reason":"case 1"}"""), JObject.Parse(disable.Body)));
    }

    [Fact]
    public async Task Legacy_Calls_Go_To_The_Legacy_Host_With_The_Token_In_The_Query()
    {
        await using var harness = await StartAsync();
        harness.Legacy.On(DeleteRoute, Answers.Json("""{"errcode":0,"errmsg":"ok","request_id":"req-1"}"""));

        var result = await harness.Client.RemoveUserAsync(UserId, Cancel);

        Assert.Equal(RemoteStatus.Ok, result.Status);
        Assert.Equal("req-1", result.RequestId);
        var delete = harness.Legacy.Received.Single();
        Assert.Equal($"?access_token={Token}", delete.Query);
        Assert.Equal($$"""{"userid":"{{UserId}}"}""", delete.Body);
        Assert.False(delete.Headers.ContainsKey("x-acs-dingtalk-access-token"));
    }

    [Fact]
    public async Task User_Is_Read_With_All_That_The_Freeze_Needs()
    {
        await using var harness = await StartAsync();
        harness.Legacy.On(UserRoute, Answers.Json("""
            {"errcode":"0","errmsg":"ok","result":{"userid":"person-4711","unionid":"union-1","name":"N","job_number":"E1001","email":"a@x.example",
             "org_email":"b@x.example","active":true,"admin":true,"boss":false,"dept_id_list":[1,"77"],"exclusive_account":true,
             "exclusive_account_corp_id":"dingcorp1","extension":"{}"},"request_id":"req-2"}
            """));

        var user = await harness.Client.GetUserAsync(UserId, Cancel);

        Assert.Equal(RemoteStatus.Ok, user.Status);
        Assert.Equal("req-2", user.RequestId);
        var value = user.Value!;
        Assert.Equal((UserId, "union-1", "E1001", "a@x.example", "b@x.example"), (value.UserId, value.UnionId, value.JobNumber, value.Email, value.OrgEmail));
        Assert.Equal((true, true, false, true), (value.IsActive, value.IsAdmin, value.IsBoss, value.IsEnterpriseAccount));
        Assert.Equal([1, 77], value.DepartmentIds);
        Assert.DoesNotContain("a@x.example", $"{value}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"exclusive_account":true}""", true)]
    [InlineData("""{"exclusive_account":"true","exclusive_account_corp_id":"dingcorp1"}""", true)]
    [InlineData("""{"exclusive_account":true,"exclusive_account_corp_id":"dingother"}""", false)]
    [InlineData("""{"exclusive_account":false,"exclusive_account_corp_id":"dingcorp1"}""", false)]
    [InlineData("""{}""", false)]
    public async Task Enterprise_Account_Is_One_That_This_Organisation_Owns(string fields, bool expected)
    {
        await using var harness = await StartAsync();
        var result = JObject.Parse(fields);
        result["userid"] = UserId;
        harness.Legacy.On(UserRoute, Answers.Json(new JObject { ["errcode"] = 0, ["result"] = result }.ToString()));

        var user = await harness.Client.GetUserAsync(UserId, Cancel);

        Assert.Equal(expected, user.Value!.IsEnterpriseAccount);
    }

    [Theory]
    [InlineData("""{"disable":true}""", RemoteStatus.Ok, true)]
    [InlineData("""{"Disable":false}""", RemoteStatus.Ok, false)]
    [InlineData("""{"result":true}""", RemoteStatus.Unexpected, false)]
    [InlineData("""{"disable":"perhaps"}""", RemoteStatus.Unexpected, false)]
    public async Task Status_Is_Only_What_The_Answer_Really_Says(string body, RemoteStatus status, bool disabled)
    {
        await using var harness = await StartAsync();
        harness.Remote.On(StatusRoute, Answers.Json(body));

        var result = await harness.Client.IsAccountDisabledAsync("a b&c", Cancel);

        Assert.Equal((status, disabled), (result.Status, result.Value));
        Assert.Equal("?userId=a%20b%26c", harness.Remote.ReceivedAt(StatusRoute).Single().Query);
    }

    [Fact]
    public async Task Success_That_Says_False_Is_Not_Success()
    {
        await using var harness = await StartAsync();
        harness.Remote.On("POST /v1.0/contact/orgAccounts/signOut", Answers.Json("""{"result":false,"requestid":"req-3"}"""));

        var result = await harness.Client.SignOutAsync(UserId, "case 1", Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "result-false", "req-3"), (result.Status, result.Code, result.RequestId));
    }

    [Fact]
    public async Task Success_That_Says_Nothing_Is_Not_Success()
    {
        await using var harness = await StartAsync();
        harness.Remote.On("POST /v1.0/contact/orgAccounts/enable", Answers.Json("{}"));
        harness.Legacy.On(DeleteRoute, Answers.Json("{}"));

        Assert.Equal((RemoteStatus.Unexpected, "no-result"), StatusAndCode(await harness.Client.EnableAccountAsync(UserId, Cancel)));
        Assert.Equal((RemoteStatus.Unexpected, "no-result"), StatusAndCode(await harness.Client.RemoveUserAsync(UserId, Cancel)));
    }

    [Fact]
    public async Task Leave_Record_Is_The_Latest_Over_All_Pages()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(
            LeaveRoute,
            Answers.Json("""{"nextToken":"50","records":[{"userId":"person-4711","leaveTime":"2026-03-01T00:00:00Z","leaveReason":"leave"},{"userId":"other"}]}"""),
            Answers.Json("""{"records":[{"userId":"person-4711","leaveTime":1782864000000,"leaveReason":"oapi","name":"N","mobile":"1"}]}"""));
        var from = new DateTimeOffset(2026, 1, 1, 8, 0, 0, TimeSpan.FromHours(8));

        var record = await harness.Client.FindLeaveRecordAsync(UserId, from, from.AddDays(365), Cancel);

        Assert.Equal(RemoteStatus.Ok, record.Status);
        Assert.Equal(new DateTimeOffset(2026, 7, 1, 0, 0, 0, TimeSpan.Zero), record.Value!.LeftAt);
        Assert.Equal("oapi", record.Value.Reason);
        var queries = harness.Remote.ReceivedAt(LeaveRoute).Select(r => r.Query).ToList();
        Assert.Equal("?startTime=2026-01-01T00%3A00%3A00Z&endTime=2027-01-01T00%3A00%3A00Z&nextToken=0&maxResults=50", queries[0]);
        Assert.Contains("nextToken=50", queries[1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_Leave_Record_Is_An_Answer()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(LeaveRoute, Answers.Json("""{"records":[]}"""));

        var record = await harness.Client.FindLeaveRecordAsync(UserId, harness.Clock.GetUtcNow().AddDays(-365), harness.Clock.GetUtcNow(), Cancel);

        Assert.True(record.IsOk);
        Assert.Null(record.Value);
    }

    [Fact]
    public async Task Leave_Records_That_Go_In_Circles_End()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(LeaveRoute, Answers.Json("""{"nextToken":"50","records":[]}"""));

        var record = await harness.Client.FindLeaveRecordAsync(UserId, harness.Clock.GetUtcNow().AddDays(-1), harness.Clock.GetUtcNow(), Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "endless-pages"), StatusAndCode(record));
        Assert.Equal(2, harness.Remote.ReceivedAt(LeaveRoute).Count);
    }

    [Fact]
    public async Task Leave_Window_Longer_Than_DingTalk_Allows_Is_Refused()
    {
        await using var harness = await StartAsync(withToken: false);
        var now = harness.Clock.GetUtcNow();

        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => harness.Client.FindLeaveRecordAsync(UserId, now.AddDays(-366), now, Cancel));
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => harness.Client.FindLeaveRecordAsync(UserId, now, now.AddDays(-1), Cancel));
        await Assert.ThrowsAsync<ArgumentException>(() => harness.Client.GetUserAsync(" ", Cancel));
    }

    [Fact]
    public async Task Paths_Of_The_Base_Addresses_Are_Kept()
    {
        await using var standIn = await RemoteStandIn.StartAsync();
        standIn.On("POST /api/v1.0/oauth2/accessToken", TokenAnswer(Token)).On("GET /api/v1.0/contact/orgAccounts/status", Answers.Json("""{"disable":true}"""));
        var tenant = new DingTalkTenant
        {
            Name = "acme", CorpId = "c", AppKey = "k", AppSecret = "s",
            BaseUrl = new(standIn.Address, "api/"), LegacyBaseUrl = new(standIn.Address, "oapi"),
        };
        var clients = new DingTalkClients(
            new(new Dictionary<string, DingTalkTenant> { ["acme"] = tenant }), new WatchedClock(), new LogRecorder<DingTalkClient>());

        Assert.True((await clients["ACME"].IsAccountDisabledAsync(UserId, Cancel)).Value);
    }

    private static (RemoteStatus Status, string? Code) StatusAndCode(RemoteResult result) => (result.Status, result.Code);
}
