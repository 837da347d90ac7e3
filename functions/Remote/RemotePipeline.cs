using Polly;
using Polly.CircuitBreaker;
using Polly.Retry;
using Polly.Timeout;

namespace DingFlow.Remote;

/// <summary>Whether a call may be made again when it is not known whether the one before was carried out.</summary>
internal enum CallKind
{
    /// <summary>A reading, or a change that comes to the same however often it is made.</summary>
    Repeatable,

    /// <summary>A change whose repetition could be misread; repeated only when it surely was not carried out.</summary>
    Once,
}

/// <summary>How one attempt of a call ended.</summary>
/// <param name="Result">What came of it.</param>
/// <param name="MayHaveActed">The remote may have carried it out, whatever it answered.</param>
internal readonly record struct Attempt(RemoteResult Result, bool MayHaveActed);

/// <summary>
/// The resilience beneath the calls to one remote: per attempt and in total a time limit, jittered retries where repeating is safe, and
/// a circuit breaker. Remote trouble comes out as a result; only the caller's own cancellation is thrown.
/// </summary>
internal sealed partial class RemotePipeline
{
    /// <summary>The longest wait that a remote may ask for and still be waited for here; a longer one is the caller's.</summary>
    public static TimeSpan LongestWait { get; } = TimeSpan.FromSeconds(5);

    /// <summary>The longest that one attempt may take.</summary>
    public static TimeSpan AttemptLimit { get; } = TimeSpan.FromSeconds(10);

    /// <summary>The longest that a call may take with all its retries.</summary>
    public static TimeSpan TotalLimit { get; } = TimeSpan.FromSeconds(30);

    /// <summary>How long the circuit stays open.</summary>
    public static TimeSpan BreakDuration { get; } = TimeSpan.FromSeconds(30);

    /// <summary>Calls within <see cref="BreakDuration"/> before the circuit can open, when at least half of them failed.</summary>
    public const int BreakThroughput = 8;

    private const int Retries = 3;

    private static readonly ResiliencePropertyKey<CallKind> Kind = new("kind");

    private readonly string _remote;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lazy<ResiliencePipeline<Attempt>> _pipeline;

    /// <param name="remote">The remote's name in logs and metrics.</param>
    /// <param name="time">The clock of every limit and wait.</param>
    /// <param name="logger">Where failed calls are logged.</param>
    public RemotePipeline(string remote, TimeProvider time, ILogger logger)
    {
        _remote = remote;
        _time = time;
        _logger = logger;
        _pipeline = new(Build);
    }

    /// <summary>Makes a call.</summary>
    /// <param name="operation">What is called, for logs and metrics; without personal data.</param>
    /// <param name="kind">Whether it may be repeated.</param>
    /// <param name="attempt">Makes one attempt. It may throw what <see cref="HttpClient"/> throws.</param>
    /// <param name="cancellationToken">The caller gives up.</param>
    /// <exception cref="OperationCanceledException">The caller gave up.</exception>
    public async Task<RemoteResult> ExecuteAsync(
        string operation, CallKind kind, Func<CancellationToken, Task<Attempt>> attempt, CancellationToken cancellationToken)
    {
        var started = _time.GetTimestamp();
        var attempts = 0;
        var context = ResilienceContextPool.Shared.Get(operation, cancellationToken);
        context.Properties.Set(Kind, kind);
        RemoteResult result;
        try
        {
            var outcome = await _pipeline.Value.ExecuteAsync(
                async context =>
                {
                    attempts++;
                    return await AttemptAsync(attempt, context.CancellationToken, cancellationToken);
                },
                context);
            result = outcome.Result;
        }
        catch (BrokenCircuitException exception)
        {
            result = new(RemoteStatus.Unavailable) { Code = "circuit-open", RetryAfter = exception.RetryAfter ?? BreakDuration };
        }
        catch (TimeoutRejectedException)
        {
            result = RemoteFailure.Timeout;
        }
        finally
        {
            ResilienceContextPool.Shared.Return(context);
        }

        cancellationToken.ThrowIfCancellationRequested();
        HttpTelemetry.Record(_remote, operation, result.Status, _time.GetElapsedTime(started));
        if (!result.IsOk)
        {
            Log.Failed(_logger, _remote, operation, result.Status, result.Code, result.RequestId, attempts);
        }

        return result;
    }

    private static async ValueTask<Attempt> AttemptAsync(
        Func<CancellationToken, Task<Attempt>> attempt, CancellationToken attemptToken, CancellationToken callerToken)
    {
        try
        {
            return await attempt(attemptToken);
        }
        catch (Exception exception) when (RemoteFailure.TryDescribe(exception, out var failed))
        {
            callerToken.ThrowIfCancellationRequested();
            return failed;
        }
    }

    private ResiliencePipeline<Attempt> Build() => new ResiliencePipelineBuilder<Attempt> { TimeProvider = _time }
        .AddTimeout(TotalLimit)
        .AddRetry(new RetryStrategyOptions<Attempt>
        {
            MaxRetryAttempts = Retries,
            BackoffType = DelayBackoffType.Exponential,
            UseJitter = true,
            Delay = TimeSpan.FromMilliseconds(300),
            MaxDelay = LongestWait,
            ShouldHandle = static arguments => ValueTask.FromResult(
                arguments.Outcome.Exception is null && ShouldRetry(arguments.Outcome.Result, arguments.Context)),
            DelayGenerator = static arguments => ValueTask.FromResult(
                arguments.Outcome.Result.Result.RetryAfter is { } asked ? asked + Spread() : (TimeSpan?)null),
        })
        .AddCircuitBreaker(new CircuitBreakerStrategyOptions<Attempt>
        {
            FailureRatio = 0.5,
            MinimumThroughput = BreakThroughput,
            SamplingDuration = BreakDuration,
            BreakDuration = BreakDuration,
            ShouldHandle = static arguments => ValueTask.FromResult(
                arguments.Outcome.Exception is null && arguments.Outcome.Result.Result.Status == RemoteStatus.Unavailable),
            OnOpened = arguments =>
            {
                Log.Opened(_logger, _remote, arguments.BreakDuration);
                return default;
            },
        })
        .AddTimeout(AttemptLimit)
        .Build();

    /// <summary>Keeps callers that were told the same wait from coming back in one moment.</summary>
    private static TimeSpan Spread() => TimeSpan.FromMilliseconds(Random.Shared.Next(250));

    private static bool ShouldRetry(Attempt attempt, ResilienceContext context) =>
        attempt.Result.IsTransient
        && attempt.Result.RetryAfter.GetValueOrDefault() <= LongestWait
        && (!attempt.MayHaveActed || context.Properties.GetValue(Kind, CallKind.Once) == CallKind.Repeatable);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "{Remote} answered {Operation} with {Status}, code {Code}, request {RequestId}, after {Attempts} attempt(s).")]
        public static partial void Failed(
            ILogger logger, string remote, string operation, RemoteStatus status, string? code, string? requestId, int attempts);

        [LoggerMessage(2, LogLevel.Error, "{Remote} fails too often; it is left alone for {Duration}.")]
        public static partial void Opened(ILogger logger, string remote, TimeSpan duration);
    }
}
