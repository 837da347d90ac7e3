using System.Collections.Concurrent;
using System.Text;
using DingFlow.Remote;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>One call of DingTalk.</summary>
/// <param name="Path">The path, from the root of its host; the same for every person unless <see cref="Route"/> says otherwise.</param>
/// <param name="Body">The body of a POST; <see langword="null"/> makes it a GET.</param>
internal sealed record DingTalkCall(string Path, JObject? Body)
{
    /// <summary>Another method than POST for a call with a body.</summary>
    public HttpMethod? Method { get; init; }

    /// <summary>The path without what differs from person to person or thing to thing, for logs and metrics; <see cref="Path"/> when there is nothing of the kind.</summary>
    public string? Route { get; init; }

    /// <summary>To the host of the legacy API, which takes the token in the query.</summary>
    public bool Legacy { get; init; }

    /// <summary>The query, unescaped.</summary>
    public IReadOnlyList<(string Name, string Value)> Query { get; init; } = [];

    /// <summary>Whether it may be repeated.</summary>
    public CallKind Kind { get; init; } = CallKind.Repeatable;

    /// <summary>The longest answer that is read.</summary>
    public int AnswerBytes { get; init; } = RemoteHttp.DefaultAnswerBytes;
}

/// <summary>The hosts that refuse our address for a while; shared by all tenants, because they share the address.</summary>
internal sealed class DingTalkBans(TimeProvider time)
{
    private readonly ConcurrentDictionary<string, DateTimeOffset> _until = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>How much longer the host refuses us; <see langword="null"/> when it does not.</summary>
    public TimeSpan? Remaining(string host)
    {
        var remaining = _until.GetValueOrDefault(host) - time.GetUtcNow();
        return remaining > TimeSpan.Zero ? remaining : null;
    }

    /// <summary>Leaves the host alone when this answer says that it refuses us: calls made during a ban would prolong it.</summary>
    public void Learn(string host, DingTalkAnswer answer)
    {
        if (answer.Banned)
        {
            _until[host] = time.GetUtcNow() + answer.Result.RetryAfter!.Value;
        }
    }
}

/// <summary>Carries the calls of one tenant: pace, token, limits, retries, and the reading of errors.</summary>
internal sealed class DingTalkTransport
{
    private const string TokenHeader = "x-acs-dingtalk-access-token";

    private readonly DingTalkTenant _tenant;
    private readonly Lazy<HttpClient> _http;
    private readonly DingTalkTokens _tokens;
    private readonly CallPacer _pacer;
    private readonly DingTalkBans _bans;
    private readonly RemotePipeline _pipeline;

    public DingTalkTransport(DingTalkTenant tenant, DingTalkBans bans, TimeProvider time, ILogger logger)
    {
        _tenant = tenant;
        _bans = bans;
        _http = new(static () => RemoteHttp.CreateClient());
        _tokens = new(tenant, _http, bans, time);
        _pacer = new(tenant.MaxCallsPerSecond, time);
        _pipeline = new($"dingtalk/{tenant.Name}", time, logger);
    }

    /// <summary>The address of a path below a configured base.</summary>
    public static Uri Address(Uri baseUrl, string pathAndQuery) => new(baseUrl.AbsoluteUri.TrimEnd('/') + pathAndQuery);

    /// <summary>Makes a call and reads the value that its answer must carry.</summary>
    /// <param name="call">The call.</param>
    /// <param name="read">The value in the body of a success; <see langword="null"/> when it is not there, which is no success then.</param>
    /// <param name="cancellationToken">The caller gives up.</param>
    public async Task<RemoteResult<T>> SendAsync<T>(DingTalkCall call, Func<JObject, Holder<T>?> read, CancellationToken cancellationToken)
    {
        var result = await _pipeline.ExecuteAsync(call.Route ?? call.Path, call.Kind, token => AttemptAsync(call, token), cancellationToken);
        if (result is not RemoteResult<JObject> { IsOk: true, Value: { } body })
        {
            return RemoteResult<T>.From(result);
        }

        return read(body) is { } value
            ? new(RemoteStatus.Ok, value.Value) { RequestId = result.RequestId }
            : new(RemoteStatus.Unexpected, default) { Code = "no-result", RequestId = result.RequestId };
    }

    private async Task<Attempt> AttemptAsync(DingTalkCall call, CancellationToken cancellationToken)
    {
        var baseUrl = call.Legacy ? _tenant.LegacyBaseUrl : _tenant.BaseUrl;
        if (_bans.Remaining(baseUrl.Host) is { } banned)
        {
            return NotSent("address-banned", banned);
        }

        if (await _pacer.WaitAsync(call.Route ?? call.Path, RemotePipeline.LongestWait, cancellationToken) is { } wait)
        {
            return NotSent("own-rate-limit", wait);
        }

        // A refused token is replaced once; a second refusal is an answer.
        for (var mayReplaceToken = true; ; mayReplaceToken = false)
        {
            var token = await _tokens.GetAsync(cancellationToken);
            if (!token.IsOk)
            {
                return new(token, false);
            }

            var answer = await ExchangeAsync(call, baseUrl, token.Value!, cancellationToken);
            if (answer.TokenRefused)
            {
                _tokens.Drop(token.Value!);
                if (mayReplaceToken)
                {
                    continue;
                }
            }

            _bans.Learn(baseUrl.Host, answer);
            return new(
                answer.Result.IsOk ? new RemoteResult<JObject>(RemoteStatus.Ok, answer.Body) { RequestId = answer.Result.RequestId } : answer.Result,
                answer.Result.Status is not (RemoteStatus.Throttled or RemoteStatus.Unauthenticated));
        }
    }

    private async Task<DingTalkAnswer> ExchangeAsync(DingTalkCall call, Uri baseUrl, string token, CancellationToken cancellationToken)
    {
        var query = call.Legacy ? [.. call.Query, ("access_token", token)] : call.Query;
        var text = string.Join('&', query.Select(static pair => $"{pair.Name}={Uri.EscapeDataString(pair.Value)}"));
        using var request = new HttpRequestMessage(
            call.Method ?? (call.Body is null ? HttpMethod.Get : HttpMethod.Post), Address(baseUrl, text.Length == 0 ? call.Path : $"{call.Path}?{text}"));
        request.Options.Set(RemoteHttp.AnswerBytes, call.AnswerBytes);
        if (!call.Legacy)
        {
            request.Headers.Add(TokenHeader, token);
        }

        if (call.Body is { } body)
        {
            request.Content = new StringContent(body.ToString(Formatting.None), Encoding.UTF8, "application/json");
        }

        using var response = await _http.Value.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        return DingTalkErrors.Read(response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken));
    }

    private static Attempt NotSent(string code, TimeSpan wait) =>
        new(new(RemoteStatus.Throttled) { Code = code, RetryAfter = wait }, false);
}

/// <summary>A value that was there, even when it is <see langword="null"/> or a default.</summary>
internal readonly record struct Holder<T>(T Value);
