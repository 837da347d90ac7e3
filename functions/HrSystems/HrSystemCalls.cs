using System.Globalization;
using System.Net;
using DingFlow.Remote;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.HrSystems;

/// <summary>
/// Calls to one HR system: paced, with the resilience of all remotes, and answers read tolerantly. A call that is throttled closes the
/// window for as long as the HR system says, for all who would call.
/// </summary>
internal sealed class HrSystemCalls(HrSystem system, TimeProvider time, ILogger logger) : IDisposable
{
    private static readonly TimeSpan UsualPause = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1);

    private readonly Lazy<HttpClient> _http = new(static () => RemoteHttp.CreateClient());
    private readonly RemotePipeline _pipeline = new(system.Kind.ToString().ToLowerInvariant(), time, logger);
    private readonly CallWindow _window = new(system.CallsPerMinute, time);

    /// <summary>Makes a call that may be repeated.</summary>
    /// <param name="operation">What is called, without personal data.</param>
    /// <param name="request">Makes the request for one attempt.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task<RemoteResult<JToken>> SendAsync(string operation, Func<HttpRequestMessage> request, CancellationToken cancellationToken)
    {
        if (_window.Take() is { } wait)
        {
            return new(RemoteStatus.Throttled, null) { Code = "own-pace", RetryAfter = wait };
        }

        JToken? answer = null;
        var result = await _pipeline.ExecuteAsync(
            operation, CallKind.Repeatable, async token =>
            {
                using var message = request();
                using var response = await _http.Value.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, token);
                var text = await response.Content.ReadAsStringAsync(token);
                var status = StatusOf(response);
                answer = status == RemoteStatus.Ok ? Parse(text) : null;
                if (status == RemoteStatus.Ok && answer is null)
                {
                    status = RemoteStatus.Unexpected;
                }

                return new Attempt(
                    new(status)
                    {
                        Code = status == RemoteStatus.Ok ? null : ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture),
                        RetryAfter = status is RemoteStatus.Throttled or RemoteStatus.Unavailable ? PauseOf(response) : null,
                    }, MayHaveActed: false);
            },
            cancellationToken);
        if (result.Status == RemoteStatus.Throttled)
        {
            _window.Close(result.RetryAfter ?? UsualPause);
        }

        return result.IsOk ? new(RemoteStatus.Ok, answer) : RemoteResult<JToken>.From(result);
    }

    public void Dispose()
    {
        if (_http.IsValueCreated)
        {
            _http.Value.Dispose();
        }
    }

    /// <summary>The address of a path of the system; parts that come from outside must be escaped.</summary>
    public Uri Address(string pathAndQuery) => new($"{system.BaseUrl.AbsoluteUri.TrimEnd('/')}{pathAndQuery}");

    private static RemoteStatus StatusOf(HttpResponseMessage response) => response.StatusCode switch
    {
        HttpStatusCode.OK => RemoteStatus.Ok,
        HttpStatusCode.NotFound or HttpStatusCode.Gone => RemoteStatus.NotFound,
        HttpStatusCode.Unauthorized => RemoteStatus.Unauthenticated,
        HttpStatusCode.Forbidden => RemoteStatus.Denied,
        HttpStatusCode.TooManyRequests => RemoteStatus.Throttled,
        // Until September 2026 BambooHR throttled with 503 and Retry-After.
        HttpStatusCode.ServiceUnavailable when response.Headers.RetryAfter is not null => RemoteStatus.Throttled,
        HttpStatusCode.RequestTimeout or >= HttpStatusCode.InternalServerError => RemoteStatus.Unavailable,
        HttpStatusCode.BadRequest or HttpStatusCode.UnprocessableEntity => RemoteStatus.Rejected,
        _ => RemoteStatus.Unexpected,
    };

    /// <summary><c>Retry-After</c>, or the end of the window as HiBob (seconds since 1970) names it in <c>X-RateLimit-Reset</c>.</summary>
    private TimeSpan? PauseOf(HttpResponseMessage response)
    {
        var now = time.GetUtcNow();
        var pause = response.Headers.RetryAfter switch
        {
            { Delta: { } delta } => delta,
            { Date: { } date } => date - now,
            _ => response.Headers.TryGetValues("X-RateLimit-Reset", out var values)
                && long.TryParse(values.First(), NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
                && seconds is > 0 and < 253_402_300_800
                ? DateTimeOffset.FromUnixTimeSeconds(seconds) - now
                : (TimeSpan?)null,
        };
        return pause is { } known ? TimeSpan.FromTicks(Math.Clamp(known.Ticks, TimeSpan.TicksPerSecond, LongestPause.Ticks)) : null;
    }

    private static JToken? Parse(string text)
    {
        try
        {
            using var reader = new JsonTextReader(new StringReader(text)) { MaxDepth = 32, DateParseHandling = DateParseHandling.None };
            return JToken.ReadFrom(reader);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
