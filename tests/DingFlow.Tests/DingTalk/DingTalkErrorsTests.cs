using System.Net;
using System.Text;
using CsCheck;
using DingFlow.DingTalk;
using DingFlow.Remote;

namespace DingFlow.Tests.DingTalk;

public sealed class DingTalkErrorsTests
{
    [Theory]
    [InlineData("Forbidden.AccessDenied.AccessTokenPermissionDenied", 403, RemoteStatus.Denied, null)]
    [InlineData("Forbidden.AccessDenied.IpNotInWhiteList", 403, RemoteStatus.Denied, null)]
    [InlineData("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", 403, RemoteStatus.Throttled, 1)]
    [InlineData("Forbidden.AccessDenied.QpsLimitForApi", 403, RemoteStatus.Throttled, 2)]
    [InlineData("Forbidden.AccessDenied.QpmLimitForAppkeyAndApi", 403, RemoteStatus.Throttled, 60)]
    [InlineData("Forbidden.AccessDenied.ApiCountLimitForOrg", 403, RemoteStatus.QuotaExhausted, null)]
    [InlineData("user.not.exist", 400, RemoteStatus.NotFound, null)]
    [InlineData("employee.not.found", 400, RemoteStatus.NotFound, null)]
    [InlineData("staff.not.found", 400, RemoteStatus.NotFound, null)]
    [InlineData("empNotExists", 400, RemoteStatus.NotFound, null)]
    [InlineData("exclusive.account.only", 400, RemoteStatus.NotApplicable, null)]
    [InlineData("invalid.param", 400, RemoteStatus.Rejected, null)]
    [InlineData("invalidClientIdOrSecret", 400, RemoteStatus.Unauthenticated, null)]
    [InlineData("system.busy", 500, RemoteStatus.Unavailable, null)]
    [InlineData("service.error", 500, RemoteStatus.Unavailable, null)]
    [InlineData("something.new", 500, RemoteStatus.Unavailable, null)]
    [InlineData("something.new", 400, RemoteStatus.Unexpected, null)]
    [InlineData("something.new", 403, RemoteStatus.Unexpected, null)]
    [InlineData("something.new", 200, RemoteStatus.Unexpected, null)]
    [InlineData("something.new", 429, RemoteStatus.Throttled, 1)]
    public void New_Api_Is_Read_By_Its_Code(string code, int status, RemoteStatus expected, int? retryAfter)
    {
        var answer = DingTalkErrors.Read((HttpStatusCode)status, $$"""{"code":"{{code}}","requestid":"REQ-1","message":"…"}""");

        Assert.Equal((expected, code, "REQ-1"), (answer.Result.Status, answer.Result.Code, answer.Result.RequestId));
        Assert.Equal(retryAfter, answer.Result.RetryAfter?.TotalSeconds);
        Assert.False(answer.TokenRefused);
    }

    [Theory]
    [InlineData("33012", RemoteStatus.NotFound)]
    [InlineData("60121", RemoteStatus.NotFound)]
    [InlineData("\"60121\"", RemoteStatus.NotFound)]
    [InlineData("50002", RemoteStatus.Denied)]
    [InlineData("50004", RemoteStatus.Denied)]
    [InlineData("60020", RemoteStatus.Denied)]
    [InlineData("43007", RemoteStatus.Denied)]
    [InlineData("90018", RemoteStatus.Throttled)]
    [InlineData("90002", RemoteStatus.Throttled)]
    [InlineData("90006", RemoteStatus.Throttled)]
    [InlineData("90017", RemoteStatus.Throttled)]
    [InlineData("90020", RemoteStatus.QuotaExhausted)]
    [InlineData("-1", RemoteStatus.Unavailable)]
    [InlineData("400002", RemoteStatus.Rejected)]
    [InlineData("40035", RemoteStatus.Rejected)]
    [InlineData("60003", RemoteStatus.Rejected)]
    [InlineData("40096", RemoteStatus.Unauthenticated)]
    [InlineData("31337", RemoteStatus.Unexpected)]
    [InlineData("\"odd\"", RemoteStatus.Unexpected)]
    public void Legacy_Api_Is_Read_By_Its_Code_Though_The_Status_Is_200(string code, RemoteStatus expected)
    {
        var answer = DingTalkErrors.Read(HttpStatusCode.OK, $$"""{"errcode":{{code}},"errmsg":"…","request_id":"r1"}""");

        Assert.Equal((expected, code.Trim('"'), "r1"), (answer.Result.Status, answer.Result.Code, answer.Result.RequestId));
    }

    [Theory]
    [InlineData("""{"errcode":88,"sub_code":"60011","errmsg":"x"}""", RemoteStatus.Denied, "88/60011")]
    [InlineData("""{"errcode":"88","sub_code":60011,"errmsg":"x"}""", RemoteStatus.Denied, "88/60011")]
    [InlineData("""{"errcode":88,"errmsg":"ding talk error[subcode=90018,submsg=too fast]"}""", RemoteStatus.Throttled, "88/90018")]
    [InlineData("""{"ErrCode":88,"Sub_Code":"90020"}""", RemoteStatus.QuotaExhausted, "88/90020")]
    [InlineData("""{"errcode":88}""", RemoteStatus.Unexpected, "88/")]
    public void Gateway_Errors_Carry_The_Real_Code_Beneath(string body, RemoteStatus expected, string code)
    {
        var answer = DingTalkErrors.Read(HttpStatusCode.OK, body);

        Assert.Equal((expected, code), (answer.Result.Status, answer.Result.Code));
    }

    [Theory]
    [InlineData(400, """{"code":"InvalidAuthentication","message":"x"}""")]
    [InlineData(200, """{"errcode":40014}""")]
    [InlineData(200, """{"errcode":42001}""")]
    [InlineData(200, """{"errcode":40001}""")]
    [InlineData(200, """{"errcode":88,"sub_code":"40014"}""")]
    public void Refused_Token_Is_Recognised(int status, string body)
    {
        var answer = DingTalkErrors.Read((HttpStatusCode)status, body);

        Assert.True(answer.TokenRefused);
        Assert.Equal(RemoteStatus.Unauthenticated, answer.Result.Status);
    }

    [Theory]
    [InlineData("""{"code":"Forbidden.AccessDenied.AccessTokenPermissionDenied","accessdenieddetail":{"requiredScopes":["Contact.Org.Read","X.Y"]}}""")]
    [InlineData("""{"Code":"Forbidden.AccessDenied.AccessTokenPermissionDenied","AccessDeniedDetail":{"RequiredScopes":["Contact.Org.Read","X.Y"]}}""")]
    [InlineData("""{"errcode":88,"sub_code":"60011","sub_msg":"应用尚未开通所需的权限：[Contact.Org.Read, X.Y],点击链接申请"}""")]
    public void Missing_Scopes_Are_Named(string body) =>
        Assert.Equal(["Contact.Org.Read", "X.Y"], DingTalkErrors.Read(HttpStatusCode.Forbidden, body).Result.MissingScopes);

    [Theory]
    [InlineData(200, """{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"u"}""")]
    [InlineData(403, """{"status":"1111","wait":5}""")]
    [InlineData(200, "<!doctype html><html>punish</html>")]
    [InlineData(403, "  <html></html>")]
    public void Ban_Of_Our_Address_Is_Throttling_For_Five_Minutes(int status, string body)
    {
        var answer = DingTalkErrors.Read((HttpStatusCode)status, body);

        Assert.True(answer.Banned);
        Assert.Equal((RemoteStatus.Throttled, TimeSpan.FromMinutes(5)), (answer.Result.Status, answer.Result.RetryAfter));
    }

    [Theory]
    [InlineData(502, "<html>bad gateway</html>", RemoteStatus.Unavailable, "http-502")]
    [InlineData(503, "", RemoteStatus.Unavailable, "http-503")]
    [InlineData(404, "<html>not found</html>", RemoteStatus.Unexpected, "unreadable-answer")]
    [InlineData(302, "", RemoteStatus.Unexpected, "redirect")]
    [InlineData(200, "", RemoteStatus.Unexpected, "unreadable-answer")]
    [InlineData(200, """{"result":tr""", RemoteStatus.Unexpected, "unreadable-answer")]
    [InlineData(200, "[1,2]", RemoteStatus.Unexpected, "unreadable-answer")]
    [InlineData(400, "{}", RemoteStatus.Unexpected, "http-400")]
    public void What_Is_No_Error_Body_Is_Read_By_Its_Status(int status, string body, RemoteStatus expected, string code)
    {
        var answer = DingTalkErrors.Read((HttpStatusCode)status, body);

        Assert.Equal((expected, code, false), (answer.Result.Status, answer.Result.Code, answer.Banned));
    }

    [Fact]
    public void Codes_And_Request_Ids_That_Are_Not_Plain_Words_Are_Not_Repeated()
    {
        var answer = DingTalkErrors.Read(HttpStatusCode.BadRequest, """{"code":"user zhang@x.example is odd","requestid":"a b"}""");

        Assert.Equal(("unreadable", "unreadable"), (answer.Result.Code, answer.Result.RequestId));
    }

    [Fact]
    public void Deep_Nesting_Is_Not_Followed() => Assert.Equal(
        "unreadable-answer", DingTalkErrors.Read(HttpStatusCode.OK, $"{{\"result\":{new string('[', 100_000)}").Result.Code);

    [Fact]
    public void Any_Bytes_Get_An_Answer() => Gen.Select(
        Gen.OneOf(
            Gen.String,
            Gen.Byte.Array.Select(Encoding.UTF8.GetString),
            Gen.String.Select(s => $$"""{"errcode":{{s}}"""),
            Gen.String.Select(s => $$"""{"code":"{{s}}","accessdenieddetail":{{s}}}""")),
        Gen.Int[100, 599]).Sample((text, status) =>
        {
            var answer = DingTalkErrors.Read((HttpStatusCode)status, text);
            Assert.NotNull(answer.Result);
            Assert.True(!answer.Result.IsOk || status is >= 200 and < 300);
        }, iter: 2000);
}
