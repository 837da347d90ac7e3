using Azure.Identity;
using DingFlow.Remote;
using DingFlow.Tests.Remote;
using static DingFlow.Tests.Entra.EntraHarness;

namespace DingFlow.Tests.Entra;

public sealed class EntraErrorTests
{
    [Theory]
    [InlineData(404, "Request_ResourceNotFound", RemoteStatus.NotFound)]
    [InlineData(404, "ResourceNotFound", RemoteStatus.Unexpected)]
    [InlineData(403, "Authorization_RequestDenied", RemoteStatus.Denied)]
    [InlineData(401, "InvalidAuthenticationToken", RemoteStatus.Unauthenticated)]
    [InlineData(400, "Request_BadRequest", RemoteStatus.Rejected)]
    [InlineData(409, "Request_MultipleObjectsWithSameKeyValue", RemoteStatus.Rejected)]
    [InlineData(418, "Teapot", RemoteStatus.Unexpected)]
    public async Task Refusal_Is_Read_By_Status_And_Code(int status, string code, RemoteStatus expected)
    {
        await using var harness = await StartAsync();
        harness.Remote.On(PatchRoute, Error(status, code));

        var result = await harness.Directory.DisableAsync(ObjectId, Cancel);

        Assert.Equal((expected, code, "REQ-1"), (result.Status, result.Code, result.RequestId));
        Assert.Equal(expected == RemoteStatus.Denied ? ["User.Read.All", "User.EnableDisableAccount.All"] : [], result.MissingScopes);
    }

    [Fact]
    public async Task Missing_Page_Is_Not_A_Missing_User()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(UserRoute, Answers.Text("text/html", "<html>not here</html>", 404));

        var result = await harness.Directory.GetUserAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "http-404"), (result.Status, result.Code));
    }

    [Fact]
    public async Task Short_Retry_After_Is_Waited_For_By_Us_Alone()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(PatchRoute, Error(429, "TooManyRequests", ("Retry-After", "3")), Answers.Status(204));

        var call = harness.Directory.DisableAsync(ObjectId, Cancel);
        var wait = await harness.Clock.PassWaitAsync(TimeSpan.FromSeconds(6));

        Assert.True((await call).IsOk);
        Assert.InRange(wait, TimeSpan.FromSeconds(3), TimeSpan.FromSeconds(3.25));
        Assert.Equal(2, harness.Remote.Received.Count);
    }

    [Fact]
    public async Task Long_Retry_After_Is_Left_To_The_Caller()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(PatchRoute, Error(429, "TooManyRequests", ("Retry-After", "120")));

        var result = await harness.Directory.DisableAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Throttled, TimeSpan.FromMinutes(2)), (result.Status, result.RetryAfter));
        Assert.Single(harness.Remote.Received);
    }

    [Fact]
    public async Task Retry_After_May_Be_A_Date()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(PatchRoute, Error(503, "ServiceNotAvailable", ("Retry-After", "Sun, 22 Nov 2026 01:05:00 GMT")));

        var result = await harness.Directory.DisableAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Unavailable, TimeSpan.FromMinutes(5)), (result.Status, result.RetryAfter));
    }

    [Fact]
    public async Task Trouble_At_Graph_Is_Tried_Again()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(
            PatchRoute, Error(500, "InternalServerError"), Answers.Text("text/html", "<html>bad gateway</html>", 502), Answers.Lost, Answers.Status(204));

        var result = await harness.EndAsync(harness.Directory.DisableAsync(ObjectId, Cancel));

        Assert.True(result.IsOk);
        Assert.Equal(4, harness.Remote.Received.Count);
    }

    [Fact]
    public async Task Trouble_That_Does_Not_End_Is_Unavailable()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(PatchRoute, Error(503, "ServiceNotAvailable"));

        var result = await harness.EndAsync(harness.Directory.DisableAsync(ObjectId, Cancel));

        Assert.Equal((RemoteStatus.Unavailable, "ServiceNotAvailable"), (result.Status, result.Code));
        Assert.Equal(4, harness.Remote.Received.Count);
    }

    [Fact]
    public async Task Slow_Answer_Is_Given_Up_And_Asked_For_Again()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(RevokeRoute, Answers.Hang, Answers.Json("""{"value":true}"""));

        var call = harness.Directory.RevokeSessionsAsync(ObjectId, Cancel);
        await harness.Remote.NextAsync(RevokeRoute);
        harness.Clock.Advance(RemotePipeline.AttemptLimit);

        Assert.True((await harness.EndAsync(call)).IsOk);
    }

    [Fact]
    public async Task Callers_Own_Cancellation_Is_Thrown()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(UserRoute, Answers.Hang);
        using var cancellation = new CancellationTokenSource();

        var call = harness.Directory.GetUserAsync(ObjectId, cancellation.Token);
        await harness.Remote.NextAsync(UserRoute);
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Theory]
    [InlineData("""{"id":"x","accountEn""", "application/json", "unreadable-answer")]
    [InlineData("<html>hello</html>", "text/html", "unreadable-answer")]
    [InlineData("", "application/json", "no-result")]
    public async Task Answer_That_Cannot_Be_Read_Is_Unexpected(string body, string contentType, string code)
    {
        await using var harness = await StartAsync();
        harness.Remote.On(UserRoute, Answers.Text(contentType, body));

        var result = await harness.Directory.GetUserAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Unexpected, code), (result.Status, result.Code));
    }

    [Fact]
    public async Task Endless_Answer_Is_Not_Read_To_Its_End()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(UserRoute, Answers.Json(User(more: $$""","x":"{{new string('x', RemoteHttp.DefaultAnswerBytes)}}" """)));

        var result = await harness.Directory.GetUserAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "answer-too-large"), (result.Status, result.Code));
    }

    [Fact]
    public async Task Circuit_Opens_And_Answers_At_Once()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(PatchRoute, Error(500, "InternalServerError"));
        for (var i = 0; i < 2; i++)
        {
            await harness.EndAsync(harness.Directory.DisableAsync(ObjectId, Cancel));
        }

        var result = await harness.Directory.DisableAsync(ObjectId, Cancel);

        Assert.Equal((RemoteStatus.Unavailable, "circuit-open"), (result.Status, result.Code));
        Assert.NotNull(result.RetryAfter);
        Assert.Equal(RemotePipeline.BreakThroughput, harness.Remote.Received.Count);
    }

    [Theory]
    [InlineData(false, RemoteStatus.Unauthenticated, "sign-in-refused", 1)]
    [InlineData(true, RemoteStatus.Unavailable, "sign-in-unavailable", 4)]
    public async Task Sign_In_That_Fails_Is_Told_From_One_That_Is_Down(bool down, RemoteStatus expected, string code, int logged)
    {
        var cause = down ? new HttpRequestException("no route") : null;
        await using var harness = await StartAsync(new RefusingCredential(new AuthenticationFailedException("AADSTS7000215 secret of app x", cause)));

        var result = await harness.EndAsync(harness.Directory.DisableAsync(ObjectId, Cancel));

        Assert.Equal((expected, code), (result.Status, result.Code));
        Assert.Empty(harness.Remote.Received);
        Assert.Contains($"after {logged} attempt", harness.Logs.Lines.Single().Text, StringComparison.Ordinal);
    }
}
