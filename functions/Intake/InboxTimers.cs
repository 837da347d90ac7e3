using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Intake;

/// <summary>Every 30 seconds: enqueues what was accepted but not enqueued, or enqueued but never completed.</summary>
public sealed class SweepInbox(IInbox inbox) : ITimerFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => inbox.SweepAsync(cancellationToken);
}

/// <summary>Every day: removes completed deliveries whose retention has passed.</summary>
public sealed partial class PruneInbox(Inbox inbox, ILogger<PruneInbox> logger) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) =>
        Log.Pruned(logger, await inbox.PruneAsync(cancellationToken));

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Removed {Count} deliveries whose retention has passed")]
        public static partial void Pruned(ILogger logger, int count);
    }
}
