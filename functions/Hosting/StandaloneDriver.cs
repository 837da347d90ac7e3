using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Hosting;

/// <summary>
/// Does on one machine what the Functions host does in Azure: feeds queue functions and fires timers, through the same endpoints with the
/// same JSON. It starts after the listeners and stops before them: no more is received, what is in flight finishes.
/// </summary>
internal sealed partial class StandaloneDriver(
    IServiceProvider services, FunctionCatalog catalog, PrivateSocket socket, HostingOptions options, IHostApplicationLifetime application,
    TimeProvider time, ILogger<StandaloneDriver> logger) : IHostedLifecycleService, IDisposable
{
    /// <summary>How long a stop waits for what is in flight; the rest is delivered again.</summary>
    public static readonly TimeSpan StopTime = TimeSpan.FromSeconds(25);

    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _giveUp = new();
    private readonly InvocationClient _invocations = new(socket, catalog.Host.FunctionTimeout);
    private Task _loops = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (catalog.Of<FunctionTrigger.Queue>().Any() && services.GetService<IEmbeddedQueue>() is null)
        {
            throw new SettingsException(["DingFlow:Queue: nothing but the Functions host can receive from this queue; use sqlite standalone"]);
        }

        return Task.CompletedTask;
    }

    public Task StartedAsync(CancellationToken cancellationToken)
    {
        List<Func<Task>> loops = [.. Loops()];
        _loops = Task.Run(() => BeginAsync(loops), CancellationToken.None);
        return Task.CompletedTask;
    }

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        await _stopping.CancelAsync();
        using var bound = new CancellationTokenSource(StopTime, time);
        using var late = bound.Token.Register(_giveUp.Cancel);
        using var urgent = cancellationToken.Register(_giveUp.Cancel);
        await _loops;
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken)
    {
        socket.Remove(options.DataDirectory);
        return Task.CompletedTask;
    }

    public void Dispose()
    {
        _invocations.Dispose();
        _stopping.Dispose();
        _giveUp.Dispose();
    }

    private IEnumerable<Func<Task>> Loops()
    {
        foreach (var (function, trigger) in catalog.Of<FunctionTrigger.Queue>())
        {
            var definition = Queues.All.First(queue => queue.Name == trigger.QueueName);
            if (trigger.IsDeadLetters)
            {
                var letters = new DeadLetterPump(function, trigger, definition, services.GetRequiredService<IEmbeddedQueue>(), _invocations, time, logger);
                yield return () => letters.RunAsync(_stopping.Token, _giveUp.Token);
                continue;
            }

            var concurrency = definition.RequiresSession ? catalog.Host.MaxConcurrentSessions : catalog.Host.MaxConcurrentCalls;
            var pump = new QueuePump(
                function, trigger, definition, concurrency, services.GetRequiredService<IEmbeddedQueue>(), _invocations, time, logger);
            yield return () => pump.RunAsync(_stopping.Token, _giveUp.Token);
        }

        foreach (var (function, trigger) in catalog.Of<FunctionTrigger.Timer>())
        {
            var timer = new TimerLoop(function, trigger, services.GetRequiredService<IEntityStore>(), _invocations, time, logger);
            yield return () => timer.RunAsync(_stopping.Token, _giveUp.Token);
        }
    }

    /// <summary>Begins the loops one after the other: all at once they would hold every thread while the first request waits.</summary>
    private async Task BeginAsync(List<Func<Task>> loops)
    {
        var running = new List<Task>();
        foreach (var loop in loops)
        {
            running.Add(WatchAsync(loop));
            await Task.Yield();
        }

        await Task.WhenAll(running);
    }

    /// <summary>A loop that ends of itself leaves work undone for ever: better that the process ends and is started again.</summary>
    private async Task WatchAsync(Func<Task> loop)
    {
        try
        {
            await loop();
        }
        catch (Exception exception)
        {
            Log.Broken(logger, SafeText.Of(exception));
            application.StopApplication();
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Critical, "The standalone host is broken and ends: {Fault}")]
        public static partial void Broken(ILogger logger, string fault);
    }
}
