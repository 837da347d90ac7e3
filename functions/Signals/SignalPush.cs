using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using DingFlow.Intake.Dialects;
using DingFlow.Remote;

namespace DingFlow.Signals;

/// <summary>How an attempt to push a token ended.</summary>
/// <param name="IsDelivered">The subscriber took it.</param>
/// <param name="Detail">The status and the subscriber's error code, or what kind of trouble; safe to log.</param>
/// <param name="IsRefused">The subscriber answered that something is wrong with the token, which settings may have to mend.</param>
/// <param name="RetryAfter">How long the subscriber asks us to wait.</param>
internal sealed record SignalAttempt(bool IsDelivered, string Detail, bool IsRefused = false, TimeSpan? RetryAfter = null);

/// <summary>Pushes tokens to subscribers (RFC 8935). Redirects are not followed; of an answer only a known error code is read.</summary>
internal sealed class SignalPush(TimeProvider time) : IDisposable
{
    private const int MaxAnswerBytes = 8 * 1024;
    private const int LongestCode = 64;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);

    private readonly Lazy<HttpClient> _client = new(static () => RemoteHttp.CreateClient());

    /// <summary>Makes one attempt. It never throws for what the subscriber or the way to it did.</summary>
    public async Task<SignalAttempt> SendAsync(SignalSubscriber subscriber, string token, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, subscriber.Url) { Content = new ByteArrayContent(Encoding.ASCII.GetBytes(token)) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue(SsfDialect.MediaType);
        request.Headers.Accept.ParseAdd("application/json");
        request.Options.Set(RemoteHttp.AnswerBytes, MaxAnswerBytes);
        if (subscriber.Token is { } bearer)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
        }

        using var limit = new CancellationTokenSource(Timeout, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var response = await _client.Value.SendAsync(request, HttpCompletionOption.ResponseContentRead, either.Token);
            return Judge(response, await response.Content.ReadAsByteArrayAsync(either.Token));
        }
        catch (HttpRequestException exception)
        {
            return new(false, exception.HttpRequestError.ToString());
        }
        catch (IOException)
        {
            return new(false, "ConnectionLost");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new(false, "TimedOut");
        }
    }

    public void Dispose()
    {
        if (_client.IsValueCreated)
        {
            _client.Value.Dispose();
        }
    }

    private SignalAttempt Judge(HttpResponseMessage response, byte[] body)
    {
        var status = ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture);
        if (response.IsSuccessStatusCode)
        {
            return new(true, status);
        }

        var wait = response.Headers.RetryAfter is { } header ? header.Delta ?? header.Date - time.GetUtcNow() : null;
        var isRefused = response.StatusCode is HttpStatusCode.BadRequest or HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden or HttpStatusCode.NotFound;
        return new(false, ErrorOf(body) is { } code ? $"{status} {code}" : status, isRefused, wait);
    }

    /// <summary>The error code of RFC 8935, as far as it looks like one.</summary>
    private static string? ErrorOf(byte[] body)
    {
        try
        {
            using var document = JsonDocument.Parse(body);
            return document.RootElement.Text("err") is { Length: > 0 and <= LongestCode } code && code.All(static c => char.IsAsciiLetterLower(c) || c == '_') ? code : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
