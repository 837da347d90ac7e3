using DingFlow.Remote;
using DingFlow.Tests.Remote;
using static DingFlow.Tests.DingTalk.DingTalkHarness;

namespace DingFlow.Tests.DingTalk;

public sealed class DingTalkTokenTests
{
    private static readonly Answer Disabled = Answers.Json("""{"disable":true}""");
    private static readonly Answer Refused = Answers.Json("""{"code":"InvalidAuthentication","message":"不合法的access_token"}""", 400);

    [Fact]
    public async Task Token_Is_Fetched_Once_For_All_Who_Wait()
    {
        await using var harness = await StartAsync(withToken: false);
        var release = new TaskCompletionSource();
        harness.Remote.On(TokenRoute, async context =>
        {
            await release.Task;
            await TokenAnswer(Token)(context);
        }).Always(StatusRoute, Disabled);

        var calls = Enumerable.Range(0, 10).Select(_ => harness.Client.IsAccountDisabledAsync(UserId, Cancel)).ToList();
        await harness.Remote.NextAsync(TokenRoute);
        release.SetResult();

        Assert.All(await Task.WhenAll(calls), result => Assert.True(result.IsOk));
        Assert.Single(harness.Remote.ReceivedAt(TokenRoute));
        Assert.Equal(10, harness.Remote.ReceivedAt(StatusRoute).Count);
    }

    [Fact]
    public async Task Caller_Who_Gives_Up_Does_Not_End_The_Fetch_For_Others()
    {
        await using var harness = await StartAsync(withToken: false);
        var release = new TaskCompletionSource();
        harness.Remote.On(TokenRoute, async context =>
        {
            await release.Task;
            await TokenAnswer(Token)(context);
        }).Always(StatusRoute, Disabled);
        using var impatient = new CancellationTokenSource();

        var first = harness.Client.IsAccountDisabledAsync(UserId, impatient.Token);
        await harness.Remote.NextAsync(TokenRoute);
        var second = harness.Client.IsAccountDisabledAsync(UserId, Cancel);
        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        release.SetResult();

        Assert.True((await second).IsOk);
        Assert.Single(harness.Remote.ReceivedAt(TokenRoute));
    }

    [Fact]
    public async Task Token_Is_Kept_Until_Ten_Minutes_Before_Its_End()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(StatusRoute, Disabled);
        await harness.Client.IsAccountDisabledAsync(UserId, Cancel);

        harness.Clock.Advance(TimeSpan.FromSeconds(7200 - 601));
        await harness.Client.IsAccountDisabledAsync(UserId, Cancel);
        Assert.Single(harness.Remote.ReceivedAt(TokenRoute));

        harness.Remote.On(TokenRoute, TokenAnswer("token-two"));
        harness.Clock.Advance(TimeSpan.FromSeconds(1));
        await harness.Client.IsAccountDisabledAsync(UserId, Cancel);

        Assert.Equal(
            [Token, Token, "token-two"],
            harness.Remote.ReceivedAt(StatusRoute).Select(r => r.Headers["x-acs-dingtalk-access-token"].ToString()));
    }

    [Fact]
    public async Task Old_Token_Serves_On_While_The_Refresh_Fails()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(StatusRoute, Disabled);
        await harness.Client.IsAccountDisabledAsync(UserId, Cancel);
        harness.Clock.Advance(TimeSpan.FromSeconds(7200 - 300));

        harness.Remote.On(TokenRoute, Answers.Status(503));
        Assert.True((await harness.Client.IsAccountDisabledAsync(UserId, Cancel)).IsOk);
        Assert.True((await harness.Client.IsAccountDisabledAsync(UserId, Cancel)).IsOk);
        Assert.Equal(2, harness.Remote.ReceivedAt(TokenRoute).Count);

        harness.Remote.On(TokenRoute, TokenAnswer("token-two"));
        harness.Clock.Advance(TimeSpan.FromSeconds(31));
        Assert.True((await harness.Client.IsAccountDisabledAsync(UserId, Cancel)).IsOk);
        Assert.Equal("token-two", harness.Remote.ReceivedAt(StatusRoute)[^1].Headers["x-acs-dingtalk-access-token"]);
    }

    [Fact]
    public async Task Refused_Token_Is_Replaced_Once()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(TokenRoute, TokenAnswer("token-two")).On(StatusRoute, Refused, Disabled);

        var result = await harness.Client.IsAccountDisabledAsync(UserId, Cancel);

        Assert.True(result.IsOk);
        Assert.Equal(2, harness.Remote.ReceivedAt(TokenRoute).Count);
        Assert.Equal("token-two", harness.Remote.ReceivedAt(StatusRoute)[1].Headers["x-acs-dingtalk-access-token"]);
    }

    [Fact]
    public async Task Token_Refused_Again_Is_An_Answer()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(TokenRoute, TokenAnswer("token-two")).On(StatusRoute, Refused, Refused);

        var result = await harness.Client.IsAccountDisabledAsync(UserId, Cancel);

        Assert.Equal((RemoteStatus.Unauthenticated, "InvalidAuthentication"), (result.Status, result.Code));
    }

    [Fact]
    public async Task Legacy_Token_Error_Beneath_88_Is_Replaced_Too()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(TokenRoute, TokenAnswer("token-two"));
        harness.Legacy.On(
            UserRoute,
            Answers.Json("""{"errcode":88,"sub_code":"40014","sub_msg":"不合法的access_token"}"""),
            Answers.Json($$$"""{"errcode":0,"result":{"userid":"{{{UserId}}}"}}"""));

        Assert.True((await harness.Client.GetUserAsync(UserId, Cancel)).IsOk);
        Assert.Equal("?access_token=token-two", harness.Legacy.Received[1].Query);
    }

    [Fact]
    public async Task Wrong_Credentials_Are_Reported_And_Nothing_Is_Called()
    {
        await using var harness = await StartAsync(withToken: false);
        harness.Remote.On(TokenRoute, Answers.Json("""{"code":"invalidClientIdOrSecret","requestid":"REQ-1","message":"x"}""", 400));

        var result = await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);

        Assert.Equal((RemoteStatus.Unauthenticated, "invalidClientIdOrSecret", "REQ-1"), (result.Status, result.Code, result.RequestId));
        Assert.Single(harness.Remote.Received);
    }

    [Theory]
    [InlineData("""{"accessToken":"","expireIn":7200}""")]
    [InlineData("""{"accessToken":"x"}""")]
    [InlineData("""{"accessToken":"x","expireIn":0}""")]
    public async Task Token_Answer_Without_A_Token_Is_Unexpected(string body)
    {
        await using var harness = await StartAsync(withToken: false);
        harness.Remote.On(TokenRoute, Answers.Json(body));

        var result = await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "no-token"), (result.Status, result.Code));
    }

    [Fact]
    public async Task Trouble_With_The_Token_Lets_Even_A_Removal_Be_Repeated()
    {
        await using var harness = await StartAsync(withToken: false);
        harness.Remote.On(TokenRoute, Answers.Status(503), TokenAnswer(Token));
        harness.Legacy.On(DeleteRoute, Answers.Json("""{"errcode":0}"""));

        var result = await harness.EndAsync(harness.Client.RemoveUserAsync(UserId, Cancel));

        Assert.True(result.IsOk);
        Assert.Single(harness.Legacy.Received);
    }
}
