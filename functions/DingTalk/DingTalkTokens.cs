using System.Text;
using DingFlow.Remote;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>
/// The access token of one tenant's app. It lives 7200 s; a new one is fetched ten minutes before its end, by one call for all who wait,
/// and the old one serves on while that fails. Source: "Obtain the access token of an internal app" of the DingTalk Open Platform.
/// </summary>
internal sealed class DingTalkTokens(DingTalkTenant tenant, Lazy<HttpClient> http, DingTalkBans bans, TimeProvider time)
{
    private const string Path = "/v1.0/oauth2/accessToken";
    private static readonly TimeSpan RefreshAhead = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan RefreshPause = TimeSpan.FromSeconds(30);

    private readonly Lock _gate = new();
    private Token? _token;
    private DateTimeOffset _refreshNotBefore = DateTimeOffset.MinValue;
    private Task<RemoteResult<string>>? _fetching;

    private sealed record Token(string Value, DateTimeOffset RefreshAt, DateTimeOffset ExpiresAt);

    /// <summary>A token that is believed to be good.</summary>
    public ValueTask<RemoteResult<string>> GetAsync(CancellationToken cancellationToken)
    {
        Task<RemoteResult<string>> fetching;
        lock (_gate)
        {
            var now = time.GetUtcNow();
            if (_token is { } token && (now < token.RefreshAt || (now < token.ExpiresAt && now < _refreshNotBefore)))
            {
                return ValueTask.FromResult(new RemoteResult<string>(RemoteStatus.Ok, token.Value));
            }

            // On the pool, so that it neither runs under the lock nor ends with the caller that happened to be first.
            fetching = _fetching ??= Task.Run(RefreshAsync, CancellationToken.None);
        }

        return new(fetching.WaitAsync(cancellationToken));
    }

    /// <summary>Forgets a token that DingTalk refused, unless another has taken its place.</summary>
    public void Drop(string refused)
    {
        lock (_gate)
        {
            if (_token?.Value == refused)
            {
                _token = null;
            }
        }
    }

    private async Task<RemoteResult<string>> RefreshAsync()
    {
        RemoteResult<string>? result = null;
        try
        {
            result = await FetchAsync();
            return result.IsOk ? result : StillGood(result);
        }
        catch (Exception exception) when (RemoteFailure.TryDescribe(exception, out var failed))
        {
            result = RemoteResult<string>.From(failed.Result);
            return StillGood(result);
        }
        finally
        {
            lock (_gate)
            {
                _fetching = null;
                _refreshNotBefore = result is { IsOk: true } ? DateTimeOffset.MinValue : time.GetUtcNow() + RefreshPause;
            }
        }
    }

    private RemoteResult<string> StillGood(RemoteResult<string> failed)
    {
        lock (_gate)
        {
            return _token is { } token && time.GetUtcNow() < token.ExpiresAt ? new(RemoteStatus.Ok, token.Value) : failed;
        }
    }

    private async Task<RemoteResult<string>> FetchAsync()
    {
        using var limit = new CancellationTokenSource(RemotePipeline.AttemptLimit, time);
        var body = new JObject { ["appKey"] = tenant.AppKey, ["appSecret"] = tenant.AppSecret };
        using var request = new HttpRequestMessage(HttpMethod.Post, DingTalkTransport.Address(tenant.BaseUrl, Path))
        {
            Content = new StringContent(body.ToString(Formatting.None), Encoding.UTF8, "application/json"),
        };
        using var response = await http.Value.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token);
        var answer = DingTalkErrors.Read(response.StatusCode, await response.Content.ReadAsStringAsync(limit.Token));
        bans.Learn(tenant.BaseUrl.Host, answer);
        if (!answer.Result.IsOk)
        {
            return RemoteResult<string>.From(answer.Result);
        }

        var value = DingTalkErrors.Field(answer.Body, "accessToken")?.ToString();
        if (string.IsNullOrEmpty(value) || DingTalkErrors.Field(answer.Body, "expireIn") is not { } seconds
            || !int.TryParse(seconds.ToString(), out var lifetime) || lifetime <= 0)
        {
            return new(RemoteStatus.Unexpected, null) { Code = "no-token", RequestId = answer.Result.RequestId };
        }

        var whole = TimeSpan.FromSeconds(lifetime);
        var ahead = RefreshAhead < whole / 2 ? RefreshAhead : whole / 2;
        var now = time.GetUtcNow();
        lock (_gate)
        {
            _token = new(value, now + whole - ahead, now + whole);
        }

        return new(RemoteStatus.Ok, value);
    }
}
