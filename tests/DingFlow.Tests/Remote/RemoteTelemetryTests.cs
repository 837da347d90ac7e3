using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using DingFlow.Remote;
using DingFlow.Tests.DingTalk;
using DingFlow.Tests.Entra;
using OpenTelemetry;
using OpenTelemetry.Trace;

namespace DingFlow.Tests.Remote;

/// <summary>Nothing that the program shows of its calls names a person or carries a token.</summary>
public sealed class RemoteTelemetryTests
{
    private const string GraphToken = "graph-token-4242";
    private static readonly string[] Personal =
    [
        DingTalkHarness.UserId, DingTalkHarness.Token, "app-secret-1", EntraHarness.ObjectId, GraphToken, "e1001@secret.example", "E-secret-1001",
    ];

    [Fact]
    public async Task Traces_Logs_And_Metrics_Show_Routes_And_Nobody()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = static _ => true,
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        var measured = new ConcurrentQueue<string>();
        using var meters = new MeterListener { InstrumentPublished = static (instrument, listener) => listener.EnableMeasurementEvents(instrument) };
        meters.SetMeasurementEventCallback<double>((instrument, _, tags, _) => measured.Enqueue($"{instrument.Name} {Describe(tags.ToArray())}"));
        meters.SetMeasurementEventCallback<long>((instrument, _, tags, _) => measured.Enqueue($"{instrument.Name} {Describe(tags.ToArray())}"));
        meters.Start();

        await using var dingTalk = await DingTalkHarness.StartAsync();
        await using var entra = await EntraHarness.StartAsync(new FixedCredential(GraphToken));
        using var root = new Activity("test").Start();
        await CallEverythingAsync(dingTalk, entra);
        root.Stop();

        var own = spans.Where(span => span.TraceId == root.TraceId && span.Source.Name == HttpTelemetry.SourceName).ToList();
        Assert.Equal(
            [
                "GET /v1.0/contact/orgAccounts/status", "GET /v1.0/users", "GET /v1.0/users/{id}", "POST /topapi/v2/user/delete", "POST /topapi/v2/user/get",
                "POST /v1.0/oauth2/accessToken",
            ],
            own.Select(span => span.DisplayName).Distinct().Order(StringComparer.Ordinal));
        Assert.All(own, span => Assert.Equal(ActivityKind.Client, span.Kind));
        Assert.Contains(own, span => span.GetTagItem("error.type") is not null);
        Assert.Contains(measured, line => line.StartsWith("dingflow.remote.call.duration remote=dingtalk/acme", StringComparison.Ordinal));
        Assert.NotEmpty(dingTalk.Logs.Lines);
        Assert.NotEmpty(entra.Logs.Lines);

        // The stand-ins are another party's servers: what they note of a request is theirs.
        var shown = spans.Where(span => span.TraceId == root.TraceId && !span.Source.Name.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal)).Select(Describe)
            .Concat(measured)
            .Concat(dingTalk.Logs.Lines.Concat(entra.Logs.Lines).Select(line => line.Text)).ToList();
        Assert.All(Personal, secret => Assert.DoesNotContain(shown, text => text.Contains(secret, StringComparison.OrdinalIgnoreCase)));
    }

    [Fact]
    public async Task Traces_Of_Other_Clients_Are_Redacted_For_Open_Telemetry()
    {
        await using var remote = await RemoteStandIn.StartAsync();
        remote.Always("GET /v1.0/users/secret-person", Answers.Json("{}"));
        var spans = new ConcurrentQueue<Activity>();
        using var provider = Sdk.CreateTracerProviderBuilder()
            .AddHttpClientInstrumentation(HttpTelemetry.Redact)
            .AddProcessor(new SimpleActivityExportProcessor(new QueueExporter(spans)))
            .Build();
        using var http = new HttpClient();

        using var root = new Activity("test").SetParentId(ActivityTraceId.CreateRandom(), ActivitySpanId.CreateRandom(), ActivityTraceFlags.Recorded).Start();
        await http.GetAsync(new Uri(remote.Address, "/v1.0/users/secret-person?access_token=secret-token"), TestContext.Current.CancellationToken);
        root.Stop();

        var span = Assert.Single(spans, span => span.TraceId == root.TraceId && span.Source.Name == "System.Net.Http");
        Assert.Equal("GET /v1.0/users/{id}", span.DisplayName);
        Assert.Equal($"{remote.Address}v1.0/users/{{id}}", span.GetTagItem("url.full"));
        Assert.DoesNotContain("secret", Describe(span), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Outsiders_Get_No_Trace_Header()
    {
        await using var harness = await DingTalkHarness.StartAsync();
        harness.Remote.On(DingTalkHarness.StatusRoute, Answers.Json("""{"disable":true}"""));
        using var root = new Activity("test").Start();

        await harness.Client.IsAccountDisabledAsync(DingTalkHarness.UserId, DingTalkHarness.Cancel);

        Assert.All(harness.Remote.Received, request => Assert.DoesNotContain("traceparent", request.Headers.Keys));
    }

    private static async Task CallEverythingAsync(DingTalkHarness dingTalk, EntraHarness entra)
    {
        var cancel = DingTalkHarness.Cancel;
        dingTalk.Remote.On(DingTalkHarness.StatusRoute, Answers.Json("""{"disable":true}"""), Answers.Json(
            $$"""{"code":"user {{DingTalkHarness.UserId}} is odd","message":"{{DingTalkHarness.UserId}}","requestid":"{{DingTalkHarness.UserId}} x"}""", 400));
        dingTalk.Legacy.On(DingTalkHarness.UserRoute, Answers.Json("""{"errcode":33012,"errmsg":"person-4711"}""")).On(DingTalkHarness.DeleteRoute, Answers.Lost);
        entra.Remote.On(EntraHarness.UserRoute, Answers.Json(EntraHarness.User()), EntraHarness.Error(404, "Request_ResourceNotFound"))
            .Always(EntraHarness.UsersRoute, EntraHarness.NoUsers);

        Assert.True((await dingTalk.Client.IsAccountDisabledAsync(DingTalkHarness.UserId, cancel)).IsOk);
        Assert.False((await dingTalk.Client.IsAccountDisabledAsync(DingTalkHarness.UserId, cancel)).IsOk);
        Assert.False((await dingTalk.Client.GetUserAsync(DingTalkHarness.UserId, cancel)).IsOk);
        Assert.False((await dingTalk.Client.RemoveUserAsync(DingTalkHarness.UserId, cancel)).IsOk);
        Assert.True((await entra.Directory.GetUserAsync(EntraHarness.ObjectId, cancel)).IsOk);
        Assert.False((await entra.Directory.GetUserAsync(EntraHarness.ObjectId, cancel)).IsOk);
        Assert.True((await entra.Directory.FindAsync("E-secret-1001", "e1001@secret.example", cancel)).IsOk);
    }

    private static string Describe(Activity span) => string.Join(
        '\n', [span.DisplayName, span.OperationName, span.StatusDescription, Describe(span.TagObjects), .. span.Events.Select(e => $"{e.Name} {Describe(e.Tags)}"),
            .. span.Baggage.Select(b => $"{b.Key}={b.Value}")]);

    private static string Describe(IEnumerable<KeyValuePair<string, object?>> tags) => string.Join(' ', tags.Select(tag => $"{tag.Key}={tag.Value}"));

    private sealed class QueueExporter(ConcurrentQueue<Activity> spans) : BaseExporter<Activity>
    {
        public override ExportResult Export(in Batch<Activity> batch)
        {
            foreach (var span in batch)
            {
                spans.Enqueue(span);
            }

            return ExportResult.Success;
        }
    }
}
