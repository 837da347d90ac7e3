using CsCheck;
using DingFlow.Remote;

namespace DingFlow.Tests.Remote;

public sealed class UrlRedactionTests
{
    [Theory]
    [InlineData("https://api.dingtalk.com/v1.0/contact/orgAccounts/status?userId=u-1", "/v1.0/contact/orgAccounts/status")]
    [InlineData("https://oapi.dingtalk.com/topapi/v2/user/get?access_token=t", "/topapi/v2/user/get")]
    [InlineData("https://api.dingtalk.com/v1.0/oauth2/accessToken", "/v1.0/oauth2/accessToken")]
    [InlineData("https://graph.microsoft.com/v1.0/users/0a1b/revokeSignInSessions", "/v1.0/users/{id}/revokeSignInSessions")]
    [InlineData("https://graph.microsoft.com/v1.0/users('a@x.example')", "/v1.0/{id}")]
    [InlineData("https://graph.microsoft.com/v1.0/directory/deletedItems/microsoft.graph.user?$filter=mail eq 'a@x.example'", "/v1.0/directory/deletedItems/microsoft.graph.user")]
    [InlineData("https://x.table.core.windows.net/DingTalkDirectory(PartitionKey='a',RowKey='b')", "/{id}")]
    [InlineData("https://x.example", "/")]
    public void Route_Keeps_Known_Words_Only(string address, string route) => Assert.Equal(route, UrlRedaction.Route(new(address)));

    [Fact]
    public void Redacted_Address_Has_Neither_Path_Nor_Query_Nor_User_Info() => Assert.Equal(
        "https://graph.microsoft.com/v1.0/users/{id}",
        UrlRedaction.Redact(new("https://joe:pw@graph.microsoft.com/v1.0/users/joe@x.example?$select=id#joe")));

    [Fact]
    public void Whatever_Is_No_Known_Word_Is_Gone() => Gen.String[Gen.Char.AlphaNumeric, 12, 30].Array[1, 5].Sample(segments =>
    {
        var redacted = UrlRedaction.Redact(new($"https://h.example/v1.0/{string.Join('/', segments)}?{segments[0]}"));
        Assert.Equal($"https://h.example/v1.0/{string.Join('/', segments.Select(_ => "{id}"))}", redacted);
    }, iter: 200);
}
