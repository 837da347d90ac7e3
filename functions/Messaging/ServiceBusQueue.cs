using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Azure.Core;
using Azure.Identity;
using DingFlow.Remote;
using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace DingFlow.Messaging;

/// <summary>Sends messages to Azure Service Bus by its REST API, with a token of the Azure identity.</summary>
/// <remarks>
/// A message whose answer was lost is sent again under the same <c>MessageId</c>; the queue's duplicate detection drops the second.
/// <see cref="RemoteHttp"/> adds no trace header, which matters here: Service Bus takes an unknown header for a property of the message
/// and refuses the request unless it holds JSON.
/// </remarks>
public sealed partial class ServiceBusQueue : IMessageQueue, IDisposable
{
    private const int Parallelism = 8;
    private const int AnswerBytes = 64 * 1024;

    private readonly ServiceBusOptions _options;
    private readonly TimeProvider _timeProvider;
    private readonly ILogger<ServiceBusQueue> _logger;
    private readonly ServiceBusTokens _tokens;
    private readonly Lazy<HttpClient> _client;
    private readonly Lazy<ResiliencePipeline<Attempt>> _pipeline;

    /// <summary>Creates the sender; it connects on first use.</summary>
    public ServiceBusQueue(
        ServiceBusOptions options, Lazy<TokenCredential> credential, TimeProvider timeProvider, ILogger<ServiceBusQueue> logger)
    {
        _options = options;
        _timeProvider = timeProvider;
        _logger = logger;
        _tokens = new(credential, options.Scope, timeProvider);
        _client = new(() => RemoteHttp.CreateClient());
        _pipeline = new(CreatePipeline);
    }

    /// <inheritdoc/>
    public async Task SendAsync(QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var sessions = ServiceBusWire.Arrange(queue, messages, _options.MaxMessageBytes);
        if (sessions is [[var only]])
        {
            await SendAsync(queue, only, cancellationToken);
            return;
        }

        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(sessions, parallel, async (requests, _) =>
        {
            foreach (var request in requests)
            {
                // The caller's token, not the loop's: trouble with one session must not cut off the others.
                await SendAsync(queue, request, cancellationToken);
            }
        });
    }

    /// <summary>Closes the connections.</summary>
    public void Dispose()
    {
        if (_client.IsValueCreated)
        {
            _client.Value.Dispose();
        }
    }

    private async Task SendAsync(QueueDefinition queue, ServiceBusRequest request, CancellationToken cancellationToken)
    {
        using var activity = HttpTelemetry.Source.StartActivity($"send {queue.Name}", ActivityKind.Producer);
        activity?.SetTag("messaging.system", "servicebus").SetTag("messaging.operation.type", "send")
            .SetTag("messaging.destination.name", queue.Name).SetTag("messaging.batch.message_count", request.Count)
            .SetTag("server.address", _options.Endpoint.Host);
        var sending = new Sending(queue, request, _timeProvider.GetUtcNow() + _options.RetryFor);
        Attempt attempt;
        try
        {
            attempt = await ExecuteAsync(sending, cancellationToken);
        }
        catch (Exception fault) when (!cancellationToken.IsCancellationRequested && ServiceBusFault.IsTrouble(fault))
        {
            activity?.SetStatus(ActivityStatusCode.Error).SetTag("error.type", fault.GetType().Name);
            throw new MessageQueueException(ServiceBusFault.Explain(queue.Name, fault, sending.Last), fault);
        }

        if (!attempt.IsSuccess)
        {
            activity?.SetStatus(ActivityStatusCode.Error).SetTag("error.type", attempt.Status.ToString(CultureInfo.InvariantCulture));
            throw new MessageQueueException(ServiceBusFault.Explain(queue.Name, attempt));
        }
    }

    // Not inlined, so that a program that never sends does not load Polly.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private ValueTask<Attempt> ExecuteAsync(Sending sending, CancellationToken cancellationToken) => _pipeline.Value.ExecuteAsync(
        static (state, token) => state.Self.AttemptAsync(state.sending, token), (Self: this, sending), cancellationToken);

    private async ValueTask<Attempt> AttemptAsync(Sending sending, CancellationToken cancellationToken)
    {
        var token = await _tokens.GetAsync(cancellationToken);
        var attempt = await PostAsync(sending, token, cancellationToken);
        if (attempt.Status == (int)HttpStatusCode.Unauthorized)
        {
            _tokens.Drop(token);
            attempt = await PostAsync(sending, await _tokens.GetAsync(cancellationToken), cancellationToken);
        }

        return sending.Last = attempt;
    }

    private async Task<Attempt> PostAsync(Sending sending, string token, CancellationToken cancellationToken)
    {
        // The service gives up before we do, so that its answer is heard.
        var seconds = Math.Max(1, (int)(_options.AttemptTimeout.TotalSeconds * 2 / 3));
        var path = string.Create(
            CultureInfo.InvariantCulture, $"{Uri.EscapeDataString(sending.Queue.Name)}/messages?timeout={seconds}&api-version=2013-10");
        using var http = new HttpRequestMessage(HttpMethod.Post, new Uri(_options.Endpoint, path));
        http.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        http.Options.Set(RemoteHttp.AnswerBytes, AnswerBytes);
        ServiceBusWire.Write(sending.Request, http);
        using var answer = await _client.Value.SendAsync(http, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (answer.IsSuccessStatusCode)
        {
            return new((int)answer.StatusCode, "", "", null, false);
        }

        var retryAfter = answer.Headers.RetryAfter is { } header ? header.Delta ?? (header.Date - _timeProvider.GetUtcNow()) : null;
        var (subCode, trackingId) = ServiceBusFault.Codes(await answer.Content.ReadAsStringAsync(cancellationToken));
        var worthWaiting = retryAfter is null || _timeProvider.GetUtcNow() + retryAfter < sending.Deadline;
        return new(
            (int)answer.StatusCode, subCode, trackingId, retryAfter,
            worthWaiting && answer.StatusCode is HttpStatusCode.RequestTimeout or HttpStatusCode.TooManyRequests or >= HttpStatusCode.InternalServerError);
    }

    private ResiliencePipeline<Attempt> CreatePipeline()
    {
        var lost = new PredicateBuilder<Attempt>().Handle<HttpRequestException>().Handle<IOException>().Handle<TimeoutRejectedException>();
        return new ResiliencePipelineBuilder<Attempt> { TimeProvider = _timeProvider }
            .AddTimeout(_options.RetryFor)
            .AddRetry(new RetryStrategyOptions<Attempt>
            {
                ShouldHandle = lost.HandleResult(static attempt => attempt.IsTransient),
                // The time above ends it.
                MaxRetryAttempts = int.MaxValue,
                BackoffType = DelayBackoffType.Exponential,
                UseJitter = true,
                Delay = TimeSpan.FromMilliseconds(200),
                MaxDelay = TimeSpan.FromSeconds(5),
                DelayGenerator = static args => new(args.Outcome.Result?.RetryAfter),
                OnRetry = args =>
                {
                    Log.Retrying(_logger, args.AttemptNumber + 1, args.Outcome.Result?.Status ?? 0, args.Outcome.Result?.SubCode, args.RetryDelay);
                    return default;
                },
            })
            .AddCircuitBreaker(new CircuitBreakerStrategyOptions<Attempt>
            {
                ShouldHandle = new PredicateBuilder<Attempt>().Handle<HttpRequestException>().Handle<IOException>()
                    .Handle<TimeoutRejectedException>().HandleResult(static attempt => attempt.Status >= 500),
                FailureRatio = 0.9,
                MinimumThroughput = 20,
                SamplingDuration = TimeSpan.FromSeconds(30),
                BreakDuration = TimeSpan.FromSeconds(15),
            })
            .AddTimeout(_options.AttemptTimeout)
            .Build();
    }

    private sealed record Sending(QueueDefinition Queue, ServiceBusRequest Request, DateTimeOffset Deadline)
    {
        public Attempt? Last { get; set; }
    }

    /// <summary>How one attempt was answered.</summary>
    internal sealed record Attempt(int Status, string SubCode, string TrackingId, TimeSpan? RetryAfter, bool IsTransient)
    {
        public bool IsSuccess => Status is >= 200 and < 300;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Sending to Service Bus failed (attempt {Attempt}, status {Status}, sub-code {SubCode}); trying again in {Delay}")]
        public static partial void Retrying(ILogger logger, int attempt, int status, string? subCode, TimeSpan delay);
    }
}

/// <summary>Says what went wrong, in words that an operator can act on, without repeating what the service wrote.</summary>
internal static partial class ServiceBusFault
{
    private const string Role = "the role Azure Service Bus Data Sender";

    /// <summary>The sub-code and the tracking id of an error body, for Azure's support.</summary>
    public static (string SubCode, string TrackingId) Codes(string body) =>
        (SubCodePattern().Match(body).Groups[1].Value, TrackingPattern().Match(body).Groups[1].Value);

    /// <summary>Trouble of the service, the network or the sign-in, rather than a fault of this program.</summary>
    public static bool IsTrouble(Exception fault) =>
        fault is HttpRequestException or IOException or OperationCanceledException or ExecutionRejectedException or AuthenticationFailedException;

    public static string Explain(string queue, ServiceBusQueue.Attempt attempt)
    {
        var what = attempt.Status switch
        {
            400 => "says that the request is malformed",
            401 => $"refused the token twice; the identity may lack {Role}, or ServiceBus:Audience is wrong for this cloud",
            403 => $"refused: the identity lacks {Role}, or the queue is full",
            404 or 410 => "has no such queue",
            413 => "says that the message is too large; see ServiceBus:MaxMessageBytes and the tier of the namespace",
            429 => "is throttling for longer than a send may take",
            >= 300 and < 400 => "answered with a redirect, which is not followed",
            _ => "failed",
        };
        return string.Create(CultureInfo.InvariantCulture, $"Service Bus, queue {queue}: it {what} (status {attempt.Status}{Details(attempt)}).");
    }

    public static string Explain(string queue, Exception fault, ServiceBusQueue.Attempt? last)
    {
        var what = fault switch
        {
            AuthenticationFailedException => "no token could be had for the Azure identity",
            BrokenCircuitException => "it has been failing; not tried again for a few seconds",
            TimeoutRejectedException => "it did not take the message in time",
            OperationCanceledException => "the identity gave no token in time",
            _ => "it could not be reached",
        };
        var before = last is null ? "" : string.Create(CultureInfo.InvariantCulture, $" (last status {last.Status}{Details(last)})");
        return $"Service Bus, queue {queue}: {what}{before}.";
    }

    private static string Details(ServiceBusQueue.Attempt attempt) =>
        (attempt.SubCode.Length > 0 ? $", sub-code {attempt.SubCode}" : "")
        + (attempt.TrackingId.Length > 0 ? $", tracking id {attempt.TrackingId}" : "");

    [GeneratedRegex(@"SubCode=(\d{1,6})", RegexOptions.CultureInvariant)]
    private static partial Regex SubCodePattern();

    [GeneratedRegex(@"TrackingId:([0-9A-Za-z_-]{1,80})", RegexOptions.CultureInvariant)]
    private static partial Regex TrackingPattern();
}
