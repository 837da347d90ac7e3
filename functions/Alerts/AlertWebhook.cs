using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Alerts;

/// <summary>Delivers alerts as Standard Webhooks 1.0.0: signed, under the alert's own id, so that a receiver recognises a repetition.</summary>
/// <remarks>Redirects are not followed and answers not read: a receiver can neither send us elsewhere nor make us hold much.</remarks>
public sealed class AlertWebhook : IAlertChannelSender, IDisposable
{
    private const int MaxHeaderKilobytes = 32;

    private readonly IAlertDocuments _documents;
    private readonly TimeProvider _timeProvider;
    private readonly Lazy<HttpClient> _client;

    /// <summary>Creates the sender; it opens no connection before the first alert.</summary>
    public AlertWebhook(IAlertDocuments documents, TimeProvider timeProvider)
    {
        _documents = documents;
        _timeProvider = timeProvider;
        _client = new Lazy<HttpClient>(CreateClient);
    }

    /// <inheritdoc/>
    public AlertChannelType Type => AlertChannelType.Webhook;

    /// <inheritdoc/>
    public bool Serves(AlertChannel channel) => channel is WebhookChannel;

    /// <inheritdoc/>
    public async Task<AlertAttempt> SendAsync(AlertChannel channel, AlertNotice notice, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(notice);
        var receiver = (WebhookChannel)channel;
        var enclosures = await AlertEnclosures.ReadAsync(_documents, notice, receiver.DocumentBytes, cancellationToken);
        return await AlertHttp.AttemptAsync(
            _client.Value, () => CreateRequest(receiver, notice, enclosures), JudgeAsync, HttpCompletionOption.ResponseHeadersRead, _timeProvider,
            cancellationToken);
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
        Timeout = Timeout.InfiniteTimeSpan,
    };

    private HttpRequestMessage CreateRequest(WebhookChannel channel, AlertNotice notice, IReadOnlyList<AlertEnclosure> enclosures)
    {
        var first = notice.Alerts[0];
        var (body, id) = notice.Alerts.Count == 1
            ? (AlertEnvelope.Of(first, enclosures), IdOf(first))
            : (AlertEnvelope.Of(notice.Alerts, enclosures), $"alerts_{notice.Id}");
        var timestamp = _timeProvider.GetUtcNow().ToUnixTimeSeconds();
        var request = new HttpRequestMessage(HttpMethod.Post, channel.Url) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.UserAgent.ParseAdd("DingFlow");
        request.Headers.Add(StandardWebhooks.IdHeader, id);
        request.Headers.Add(StandardWebhooks.TimestampHeader, timestamp.ToString(CultureInfo.InvariantCulture));
        request.Headers.Add(StandardWebhooks.SignatureHeader, StandardWebhooks.Sign(channel.Secret.Span, id, timestamp, body));
        return request;
    }

    /// <summary>The alert's own id, so that a receiver recognises a repetition; what is told again is another message.</summary>
    private static string IdOf(TellingOfAlert telling)
    {
        var id = StandardWebhooks.IsId(telling.Alert.AlertId) ? telling.Alert.AlertId : $"alert_{telling.Key}";
        return telling.Occurrence == 1 ? id : string.Create(CultureInfo.InvariantCulture, $"alert_{telling.Key}_{telling.Occurrence}");
    }

    private ValueTask<AlertAttempt> JudgeAsync(HttpResponseMessage response)
    {
        var outcome = response.StatusCode switch
        {
            >= HttpStatusCode.OK and < HttpStatusCode.MultipleChoices => AlertAttemptOutcome.Delivered,
            HttpStatusCode.Gone => AlertAttemptOutcome.Gone,
            _ => AlertAttemptOutcome.Failed,
        };
        var retryAfter = response.Headers.RetryAfter is { } header ? header.Delta ?? header.Date - _timeProvider.GetUtcNow() : null;
        return new(new AlertAttempt(outcome, ((int)response.StatusCode).ToString(CultureInfo.InvariantCulture), retryAfter));
    }
}

/// <summary>One attempt over HTTP.</summary>
internal static class AlertHttp
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(15);

    /// <summary>Sends and judges; whatever the receiver or the way to it does is an attempt that failed.</summary>
    public static async Task<AlertAttempt> AttemptAsync(
        HttpClient client, Func<HttpRequestMessage> create, Func<HttpResponseMessage, ValueTask<AlertAttempt>> judge, HttpCompletionOption completion,
        TimeProvider timeProvider, CancellationToken cancellationToken)
    {
        using var request = create();
        using var limit = new CancellationTokenSource(Limit, timeProvider);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, cancellationToken);
        try
        {
            using var response = await client.SendAsync(request, completion, either.Token);
            return await judge(response);
        }
        catch (HttpRequestException exception)
        {
            return new AlertAttempt(AlertAttemptOutcome.Failed, exception.HttpRequestError.ToString());
        }
        catch (IOException)
        {
            return new AlertAttempt(AlertAttemptOutcome.Failed, "ConnectionLost");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new AlertAttempt(AlertAttemptOutcome.Failed, "TimedOut");
        }
    }
}
