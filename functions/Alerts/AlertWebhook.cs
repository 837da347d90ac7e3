using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Alerts;

/// <summary>How an attempt to deliver an alert ended.</summary>
public enum AlertAttemptOutcome
{
    /// <summary>The receiver took it.</summary>
    Delivered,

    /// <summary>Another attempt may succeed.</summary>
    Failed,

    /// <summary>The receiver wants nothing from us any more (410).</summary>
    Gone,
}

/// <summary>How an attempt to deliver an alert ended.</summary>
/// <param name="Outcome">How it ended.</param>
/// <param name="Detail">The status, or what kind of trouble; safe to log.</param>
/// <param name="RetryAfter">How long the receiver asks us to wait.</param>
public sealed record AlertAttempt(AlertAttemptOutcome Outcome, string Detail, TimeSpan? RetryAfter = null);

/// <summary>Delivers alerts as Standard Webhooks 1.0.0: signed, under the alert's own id, so that a receiver recognises a repetition.</summary>
/// <remarks>Redirects are not followed and answers not read: a receiver can neither send us elsewhere nor make us hold much.</remarks>
public sealed class AlertWebhook : IDisposable
{
    private const int MaxHeaderKilobytes = 32;
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(15);

    private readonly TimeProvider _timeProvider;
    private readonly Lazy<HttpClient> _client;

    /// <summary>Creates the sender; it opens no connection before the first alert.</summary>
    public AlertWebhook(TimeProvider timeProvider)
    {
        _timeProvider = timeProvider;
        _client = new Lazy<HttpClient>(CreateClient);
    }

    /// <summary>Makes one attempt. It never throws for what the receiver or the way to it did.</summary>
    public async Task<AlertAttempt> SendAsync(AlertChannel channel, AlertMessage alert, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(channel);
        ArgumentNullException.ThrowIfNull(alert);
        using var request = CreateRequest(channel, alert);
        using var limit = new CancellationTokenSource(Timeout, _timeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var response = await _client.Value.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            return Judge(response);
        }
        catch (HttpRequestException exception)
        {
            return new AlertAttempt(AlertAttemptOutcome.Failed, exception.HttpRequestError.ToString());
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new AlertAttempt(AlertAttemptOutcome.Failed, "TimedOut");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_client.IsValueCreated)
        {
            _client.Value.Dispose();
        }
    }

    private static HttpClient CreateClient() => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        MaxResponseHeadersLength = MaxHeaderKilobytes,
        MaxResponseDrainSize = 0,
        PooledConnectionLifetime = TimeSpan.FromMinutes(5),
    })
    {
        Timeout = System.Threading.Timeout.InfiniteTimeSpan,
    };

    private HttpRequestMessage CreateRequest(AlertChannel channel, AlertMessage alert)
    {
        var body = AlertEnvelope.Of(alert);
        var id = StandardWebhooks.IsId(alert.AlertId) ? alert.AlertId : $"alert_{AlertWork.KeyOf(alert.AlertId)}";
        var timestamp = _timeProvider.GetUtcNow().ToUnixTimeSeconds();
        var request = new HttpRequestMessage(HttpMethod.Post, channel.Url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.UserAgent.ParseAdd("DingFlow");
        request.Headers.Add(StandardWebhooks.IdHeader, id);
        request.Headers.Add(StandardWebhooks.TimestampHeader, timestamp.ToString(CultureInfo.InvariantCulture));
        request.Headers.Add(StandardWebhooks.SignatureHeader, StandardWebhooks.Sign(channel.Secret.Span, id, timestamp, body));
        return request;
    }

    private AlertAttempt Judge(HttpResponseMessage response)
    {
        var detail = ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture);
        var outcome = response.StatusCode switch
        {
            >= HttpStatusCode.OK and < HttpStatusCode.MultipleChoices => AlertAttemptOutcome.Delivered,
            HttpStatusCode.Gone => AlertAttemptOutcome.Gone,
            _ => AlertAttemptOutcome.Failed,
        };
        var retryAfter = response.Headers.RetryAfter is { } header ? header.Delta ?? header.Date - _timeProvider.GetUtcNow() : null;
        return new AlertAttempt(outcome, detail, retryAfter);
    }
}
