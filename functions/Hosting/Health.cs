using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Hosting;

/// <summary>How a readiness check ended.</summary>
/// <param name="IsReady">The dependency works.</param>
/// <param name="Detail">One sentence for operators, without personal data, secrets or exception texts.</param>
public sealed record ReadinessResult(bool IsReady, string? Detail = null);

/// <summary>
/// Says whether a dependency works. Every registered check takes part in <c>/api/health/ready</c>; it has a few seconds, and its result
/// is kept for a while, so it may make a call.
/// </summary>
public interface IReadinessCheck
{
    /// <summary>The dependency's name, such as <c>dingtalk</c>.</summary>
    string Name { get; }

    /// <summary>Checks. An exception means not ready.</summary>
    Task<ReadinessResult> CheckAsync(CancellationToken cancellationToken);
}

/// <summary>One dependency's state in the answer.</summary>
internal sealed record DependencyHealth(string Name, bool Ready, string? Detail);

/// <summary>Checks dependencies, at most once in a while however often it is asked.</summary>
internal sealed partial class HealthState(IServiceProvider services, TimeProvider time, ILogger<HealthState> logger)
{
    public static readonly TimeSpan LiveFor = TimeSpan.FromSeconds(3);
    public static readonly TimeSpan ReadyFor = TimeSpan.FromSeconds(10);
    public static readonly TimeSpan CheckTime = TimeSpan.FromSeconds(5);

    private readonly Cached<DependencyHealth> _live = new(time, LiveFor);
    private readonly Cached<IReadOnlyList<DependencyHealth>> _ready = new(time, ReadyFor);

    /// <summary>
    /// A webhook could be accepted durably now: a row can be written. The queue does not matter here, because an accepted delivery that
    /// could not be enqueued is enqueued by the sweeper.
    /// </summary>
    public Task<DependencyHealth> LiveAsync() => _live.GetAsync(() => CheckAsync(new StoreCheck(services, time)));

    /// <summary>The state of every dependency.</summary>
    public Task<IReadOnlyList<DependencyHealth>> ReadyAsync() => _ready.GetAsync(async () =>
    {
        List<IReadinessCheck> checks = [new StoreCheck(services, time), .. services.GetServices<IReadinessCheck>()];
        if (services.GetService<IEmbeddedQueue>() is { } queue)
        {
            checks.Add(new QueueCheck(queue));
        }

        return await Task.WhenAll(checks.Select(CheckAsync));
    });

    private async Task<DependencyHealth> CheckAsync(IReadinessCheck check)
    {
        using var limit = new CancellationTokenSource(CheckTime, time);
        try
        {
            var result = await check.CheckAsync(limit.Token).WaitAsync(limit.Token);
            return new DependencyHealth(check.Name, result.IsReady, result.Detail);
        }
        catch (Exception exception)
        {
            Log.NotReady(logger, check.Name, SafeText.Of(exception));
            return new DependencyHealth(check.Name, false, limit.IsCancellationRequested ? "did not answer in time" : "failed; see the log");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The dependency {Name} is not ready: {Fault}")]
        public static partial void NotReady(ILogger logger, string name, string fault);
    }

    /// <summary>Writes a row, as accepting a webhook does.</summary>
    private sealed class StoreCheck(IServiceProvider services, TimeProvider time) : IReadinessCheck
    {
        public string Name => "store";

        public async Task<ReadinessResult> CheckAsync(CancellationToken cancellationToken)
        {
            var row = new Entity("health", "probe") { Properties = new EntityProperties { ["At"] = time.GetUtcNow() } };
            var result = await services.GetRequiredService<IEntityStore>()
                .SubmitAsync(EntityTransaction.Of("Health", EntityOperation.Upsert(row)), cancellationToken);
            return new ReadinessResult(result.Committed);
        }
    }

    /// <summary>
    /// The embedded queue can be read. What lies in its dead letters is told, but does not make the program unready:
    /// it serves.
    /// </summary>
    private sealed class QueueCheck(IEmbeddedQueue queue) : IReadinessCheck
    {
        private const int Shown = 100;

        public string Name => "queue";

        public async Task<ReadinessResult> CheckAsync(CancellationToken cancellationToken)
        {
            var dead = new List<string>();
            foreach (var definition in Queues.All)
            {
                if ((await queue.ReadDeadLettersAsync(definition, Shown, cancellationToken)).Count is var count and > 0)
                {
                    dead.Add($"{definition.Name} has {count}{(count == Shown ? " or more" : "")} dead letters");
                }
            }

            return new ReadinessResult(true, dead.Count == 0 ? null : string.Join(", ", dead));
        }
    }

    /// <summary>A value that is computed by the first who asks and shared by all for a while.</summary>
    private sealed class Cached<T>(TimeProvider time, TimeSpan lifetime)
    {
        private readonly Lock _lock = new();
        private Task<T>? _value;
        private long _since;

        public Task<T> GetAsync(Func<Task<T>> compute)
        {
            lock (_lock)
            {
                if (_value is null || (_value.IsCompleted && time.GetElapsedTime(_since) >= lifetime))
                {
                    _since = time.GetTimestamp();
                    _value = compute();
                }

                return _value;
            }
        }
    }
}
