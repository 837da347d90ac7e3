using DingFlow.DingTalk;
using DingFlow.Remote;
using DingFlow.Tests.Remote;
using Microsoft.Extensions.Logging;
using static DingFlow.Tests.DingTalk.DingTalkHarness;

namespace DingFlow.Tests.DingTalk;

public sealed class DingTalkResilienceTests
{
    private static readonly Answer Done = Answers.Json("""{"result":true}""");
    private static readonly Answer Busy = Answers.Json("""{"code":"system.busy","requestid":"R","message":"x"}""", 500);
    private static readonly Answer TooFast = Answers.Json(
        """{"code":"Forbidden.AccessDenied.QpsLimitForAppkeyAndApi","requestid":"R","message":"x"}""", 403);

    [Fact]
    public async Task Throttling_Behind_403_Is_Waited_For_And_Repeated()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, TooFast, Done);

        var call = harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);
        var wait = await harness.Clock.PassWaitAsync(TimeSpan.FromSeconds(6));

        Assert.True((await call).IsOk);
        Assert.InRange(wait, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(1.25));
    }

    [Fact]
    public async Task Throttling_Applies_To_A_Removal_Too_Because_Nothing_Was_Done()
    {
        await using var harness = await StartAsync();
        harness.Legacy.On(DeleteRoute, Answers.Json("""{"errcode":90018}"""), Answers.Json("""{"errcode":0}"""));

        var result = await harness.EndAsync(harness.Client.RemoveUserAsync(UserId, Cancel));

        Assert.True(result.IsOk);
    }

    [Fact]
    public async Task Long_Throttling_Is_Left_To_The_Caller()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, Answers.Json("""{"code":"Forbidden.AccessDenied.QpmLimitForAppkeyAndApi","message":"x"}""", 403));

        var result = await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);

        Assert.Equal((RemoteStatus.Throttled, TimeSpan.FromMinutes(1)), (result.Status, result.RetryAfter));
    }

    [Fact]
    public async Task Throttling_That_Does_Not_End_Is_Reported_After_Three_Repetitions()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(DisableRoute, TooFast);

        var result = await harness.EndAsync(harness.Client.DisableAccountAsync(UserId, "case 1", Cancel));

        Assert.Equal(RemoteStatus.Throttled, result.Status);
        Assert.Equal(4, harness.Remote.ReceivedAt(DisableRoute).Count);
    }

    [Fact]
    public async Task Busy_Remote_Is_Asked_Again()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, Busy, Busy, Done);

        Assert.True((await harness.EndAsync(harness.Client.DisableAccountAsync(UserId, "case 1", Cancel))).IsOk);
    }

    [Fact]
    public async Task Lost_Answer_Of_A_Repeatable_Change_Is_Repeated()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, Answers.Lost, Answers.CutShort("""{"result":tr"""), Done);

        var result = await harness.EndAsync(harness.Client.DisableAccountAsync(UserId, "case 1", Cancel));

        Assert.True(result.IsOk);
        Assert.Equal(3, harness.Remote.ReceivedAt(DisableRoute).Count);
    }

    [Theory]
    [InlineData("lost")]
    [InlineData("busy")]
    public async Task Removal_Whose_Outcome_Is_Unknown_Is_Not_Repeated(string trouble)
    {
        await using var harness = await StartAsync();
        harness.Legacy.On(DeleteRoute, trouble == "lost" ? Answers.Lost : Answers.Json("""{"errcode":-1,"errmsg":"系统繁忙"}"""));

        var result = await harness.Client.RemoveUserAsync(UserId, Cancel);

        Assert.Equal(RemoteStatus.Unavailable, result.Status);
        Assert.Single(harness.Legacy.Received);
    }

    [Fact]
    public async Task Slow_Answer_Is_Given_Up_And_Asked_For_Again()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, Answers.Hang, Done);

        var call = harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);
        await harness.Remote.NextAsync(DisableRoute);
        harness.Clock.Advance(RemotePipeline.AttemptLimit);

        Assert.True((await harness.EndAsync(call)).IsOk);
    }

    [Fact]
    public async Task Call_Ends_Within_Its_Total_Limit()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(DisableRoute, Answers.Hang);
        var started = harness.Clock.GetUtcNow();

        var call = harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);
        await harness.Remote.NextAsync(DisableRoute);
        harness.Clock.Advance(RemotePipeline.TotalLimit);
        var result = await call;

        Assert.Equal((RemoteStatus.Unavailable, "timeout"), (result.Status, result.Code));
        Assert.Equal(RemotePipeline.TotalLimit, harness.Clock.GetUtcNow() - started);
    }

    [Fact]
    public async Task Callers_Own_Cancellation_Is_Thrown()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, Answers.Hang);
        using var cancellation = new CancellationTokenSource();

        var call = harness.Client.DisableAccountAsync(UserId, "case 1", cancellation.Token);
        await harness.Remote.NextAsync(DisableRoute);
        await cancellation.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Fact]
    public async Task Remote_That_Is_Not_There_Is_Unavailable()
    {
        await using var harness = await StartAsync();
        var gone = harness.Tenant with { BaseUrl = new("http://127.0.0.1:1"), LegacyBaseUrl = new("http://127.0.0.1:1") };
        var clients = new DingTalkClients(
            new(new Dictionary<string, DingTalkTenant> { ["acme"] = gone }), harness.Clock, harness.Logs);

        var result = await harness.EndAsync(clients["acme"].DisableAccountAsync(UserId, "case 1", Cancel));

        Assert.Equal((RemoteStatus.Unavailable, "connection-refused"), (result.Status, result.Code));
    }

    [Fact]
    public async Task Circuit_Opens_Answers_At_Once_And_Closes_Again()
    {
        await using var harness = await StartAsync();
        harness.Remote.Always(DisableRoute, Busy);

        var results = new List<RemoteResult>();
        for (var i = 0; i < 3; i++)
        {
            results.Add(await harness.EndAsync(harness.Client.DisableAccountAsync(UserId, "case 1", Cancel)));
        }

        var sent = harness.Remote.ReceivedAt(DisableRoute).Count;
        Assert.Equal(RemotePipeline.BreakThroughput, sent);
        Assert.Equal((RemoteStatus.Unavailable, "circuit-open"), (results[^1].Status, results[^1].Code));
        Assert.InRange(results[^1].RetryAfter!.Value, TimeSpan.FromSeconds(1), RemotePipeline.BreakDuration);
        Assert.Contains(harness.Logs.Lines, line => line.Level == LogLevel.Error);

        harness.Clock.Advance(RemotePipeline.BreakDuration + TimeSpan.FromSeconds(1));
        harness.Remote.Always(DisableRoute, Done);
        Assert.True((await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel)).IsOk);
    }

    [Fact]
    public async Task Refusals_Do_Not_Open_The_Circuit()
    {
        await using var harness = await StartAsync(callsPerSecond: 100);
        harness.Remote.Always(DisableRoute, Answers.Json("""{"code":"user.not.exist","message":"x"}""", 400));

        for (var i = 0; i < 3 * RemotePipeline.BreakThroughput; i++)
        {
            Assert.Equal(RemoteStatus.NotFound, (await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel)).Status);
        }
    }

    [Fact]
    public async Task Ban_Of_Our_Address_Stops_All_Calls_To_The_Host_Until_It_Is_Over()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, Answers.Text("text/html", "<html>punish</html>"), Done);

        var banned = await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);
        Assert.Equal((RemoteStatus.Throttled, DingTalkErrors.BanDuration), (banned.Status, banned.RetryAfter));

        harness.Clock.Advance(TimeSpan.FromMinutes(4));
        var still = await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);
        Assert.Equal((RemoteStatus.Throttled, "address-banned", TimeSpan.FromMinutes(1)), (still.Status, still.Code, still.RetryAfter));
        Assert.Single(harness.Remote.ReceivedAt(DisableRoute));

        harness.Clock.Advance(TimeSpan.FromMinutes(1));
        Assert.True((await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel)).IsOk);
    }

    [Fact]
    public async Task Redirect_Is_Not_Followed_And_Takes_No_Token_With_It()
    {
        await using var harness = await StartAsync();
        await using var elsewhere = await RemoteStandIn.StartAsync();
        harness.Remote.On(StatusRoute, Answers.Status(302, ("Location", $"{elsewhere.Address}steal")));
        harness.Legacy.On(UserRoute, Answers.Status(307, ("Location", $"{elsewhere.Address}steal")));

        var result = await harness.Client.IsAccountDisabledAsync(UserId, Cancel);
        var legacy = await harness.Client.GetUserAsync(UserId, Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "redirect"), (result.Status, result.Code));
        Assert.Equal((RemoteStatus.Unexpected, "redirect"), (legacy.Status, legacy.Code));
        Assert.Empty(elsewhere.Received);
    }

    [Fact]
    public async Task Endless_Answer_Is_Not_Read_To_Its_End()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, Answers.Json($$"""{"result":true,"x":"{{new string('x', RemoteHttp.DefaultAnswerBytes)}}"}"""));

        var result = await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "answer-too-large"), (result.Status, result.Code));
    }

    [Fact]
    public async Task Compressed_Answer_Counts_By_Its_Real_Size()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, async context =>
        {
            context.Response.ContentType = "application/json";
            context.Response.Headers.ContentEncoding = "gzip";
            await using var gzip = new System.IO.Compression.GZipStream(context.Response.Body, System.IO.Compression.CompressionLevel.Optimal);
            await gzip.WriteAsync(new byte[8 * RemoteHttp.DefaultAnswerBytes], context.RequestAborted);
        });

        var result = await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "answer-too-large"), (result.Status, result.Code));
    }

    [Fact]
    public async Task Malformed_Answer_Is_Unexpected_And_Not_Repeated()
    {
        await using var harness = await StartAsync();
        harness.Remote.On(DisableRoute, Answers.Json("""{"result":tr"""));

        var result = await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "unreadable-answer"), (result.Status, result.Code));
    }

    [Fact]
    public async Task Calls_Of_One_Api_Keep_To_Their_Pace_And_Other_Apis_Have_Their_Own()
    {
        await using var harness = await StartAsync(callsPerSecond: 2);
        harness.Remote.Always(StatusRoute, Answers.Json("""{"disable":true}""")).Always(DisableRoute, Done);

        await harness.Client.IsAccountDisabledAsync(UserId, Cancel);
        await harness.Client.IsAccountDisabledAsync(UserId, Cancel);
        Assert.True((await harness.Client.DisableAccountAsync(UserId, "case 1", Cancel)).IsOk);
        var third = harness.Client.IsAccountDisabledAsync(UserId, Cancel);
        Assert.Equal(TimeSpan.FromSeconds(1), await harness.Clock.PassWaitAsync(TimeSpan.FromSeconds(6)));

        Assert.True((await third).IsOk);
        Assert.Equal(3, harness.Remote.ReceivedAt(StatusRoute).Count);
    }
}
