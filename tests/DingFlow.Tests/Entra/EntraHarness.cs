using Azure.Core;
using DingFlow.Entra;
using DingFlow.Tests.Remote;

namespace DingFlow.Tests.Entra;

/// <summary>A client of Graph, the stand-in that it speaks to, and a clock that stands still.</summary>
internal sealed class EntraHarness : IAsyncDisposable
{
    public const string ObjectId = "0a1b2c3d-0000-4000-8000-000000004711";
    public const string UsersRoute = "GET /v1.0/users";
    public const string UserRoute = "GET /v1.0/users/" + ObjectId;
    public const string PatchRoute = "PATCH /v1.0/users/" + ObjectId;
    public const string RevokeRoute = "POST /v1.0/users/" + ObjectId + "/revokeSignInSessions";
    public const string DeletedRoute = "GET /v1.0/directory/deletedItems/microsoft.graph.user";

    private EntraHarness(RemoteStandIn remote, EntraOptions options, TokenCredential credential)
    {
        Remote = remote;
        Directory = new(options, new Lazy<TokenCredential>(credential), Clock, Logs);
    }

    public RemoteStandIn Remote { get; }

    public EntraDirectory Directory { get; }

    public WatchedClock Clock { get; } = new();

    public LogRecorder<EntraDirectory> Logs { get; } = new();

    public static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public static Answer NoUsers { get; } = Answers.Json("""{"value":[]}""");

    public static async Task<EntraHarness> StartAsync(TokenCredential? credential = null)
    {
        var remote = await RemoteStandIn.StartAsync();
        var options = new EntraOptions
        {
            TenantId = "tenant-1", BaseUrl = new(remote.Address, "v1.0"),
            Credential = credential is null ? EntraCredential.None : EntraCredential.Default,
        };
        return new(remote, options, credential ?? new RefusingCredential(new InvalidOperationException("No token is needed here.")));
    }

    public static Answer Error(int status, string code, params (string Name, string Value)[] headers) => Answers.Json(
        $$$"""{"error":{"code":"{{{code}}}","message":"Resource 'x' …","innerError":{"date":"2026-11-22T01:00:00","request-id":"inner"} } }""",
        status, [("request-id", "REQ-1"), .. headers]);

    public static string User(string id = ObjectId, string more = "") =>
        $$"""{"id":"{{id}}","userPrincipalName":"e1001@x.example","mail":"m@x.example","employeeId":"E1001","accountEnabled":false{{more}}}""";

    /// <summary>Lets the waits between retries pass until the call has ended.</summary>
    public Task<T> EndAsync<T>(Task<T> call) => Clock.PassWaitsUntilAsync(call, TimeSpan.FromSeconds(6));

    public async ValueTask DisposeAsync()
    {
        Directory.Dispose();
        await Remote.DisposeAsync();
    }
}

/// <summary>Hands out one token and remembers what it was asked for.</summary>
internal sealed class FixedCredential(string token) : TokenCredential
{
    public List<string> Scopes { get; } = [];

    public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken)
    {
        Scopes.AddRange(requestContext.Scopes);
        return new(token, new DateTimeOffset(2099, 1, 1, 0, 0, 0, TimeSpan.Zero));
    }

    public override ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken) =>
        ValueTask.FromResult(GetToken(requestContext, cancellationToken));
}

/// <summary>Cannot sign in.</summary>
internal sealed class RefusingCredential(Exception exception) : TokenCredential
{
    public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken) => throw exception;

    public override ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken) => throw exception;
}
