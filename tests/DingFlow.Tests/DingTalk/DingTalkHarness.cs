using DingFlow.DingTalk;
using DingFlow.Tests.Remote;

namespace DingFlow.Tests.DingTalk;

/// <summary>A client of one tenant, the stand-in that it speaks to, and a clock that stands still.</summary>
internal sealed class DingTalkHarness : IAsyncDisposable
{
    public const string TokenRoute = "POST /v1.0/oauth2/accessToken";
    public const string UserRoute = "POST /topapi/v2/user/get";
    public const string DisableRoute = "POST /v1.0/contact/orgAccounts/disable";
    public const string StatusRoute = "GET /v1.0/contact/orgAccounts/status";
    public const string DeleteRoute = "POST /topapi/v2/user/delete";
    public const string UserId = "person-4711";
    public const string Token = "token-one-31337";

    private DingTalkHarness(RemoteStandIn remote, RemoteStandIn legacy, DingTalkTenant tenant)
    {
        Remote = remote;
        Legacy = legacy;
        Tenant = tenant;
        Options = new(new Dictionary<string, DingTalkTenant>(StringComparer.OrdinalIgnoreCase) { [tenant.Name] = tenant });
        Clients = new(Options, Clock, Logs);
    }

    public RemoteStandIn Remote { get; }

    public RemoteStandIn Legacy { get; }

    public DingTalkTenant Tenant { get; }

    public DingTalkOptions Options { get; }

    public DingTalkClients Clients { get; }

    public DingTalkClient Client => Clients[Tenant.Name];

    public WatchedClock Clock { get; } = new();

    public LogRecorder<DingTalkClient> Logs { get; } = new();

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static async Task<DingTalkHarness> StartAsync(int callsPerSecond = 20, bool withToken = true)
    {
        var (remote, legacy) = (await RemoteStandIn.StartAsync(), await RemoteStandIn.StartAsync());
        var harness = new DingTalkHarness(remote, legacy, new()
        {
            Name = "acme", CorpId = "dingcorp1", AppKey = "app-key-1", AppSecret = "app-secret-1",
            BaseUrl = remote.Address, LegacyBaseUrl = legacy.Address, MaxCallsPerSecond = callsPerSecond,
        });
        if (withToken)
        {
            remote.On(TokenRoute, TokenAnswer(Token));
        }

        return harness;
    }

    public static Answer TokenAnswer(string token, int seconds = 7200) =>
        Answers.Json($$"""{"accessToken":"{{token}}","expireIn":{{seconds}}}""");

    /// <summary>Lets the waits between retries pass until the call has ended.</summary>
    public Task<T> EndAsync<T>(Task<T> call) => Clock.PassWaitsUntilAsync(call, TimeSpan.FromSeconds(6));

    public async ValueTask DisposeAsync()
    {
        await Remote.DisposeAsync();
        await Legacy.DisposeAsync();
    }
}
