using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>Every 30 seconds: moves events into the trail that a process left behind beside the state they describe.</summary>
public sealed class SweepAudit(AuditTrail trail) : ITimerFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => trail.SweepAsync(cancellationToken);
}

/// <summary>The same at the start: what the process before left behind is in the trail before people look.</summary>
internal sealed partial class SweepAuditAtStart(AuditTrail trail, IHostApplicationLifetime lifetime, TimeProvider time, ILogger<SweepAuditAtStart> logger) : BackgroundService
{
    /// <summary>The webhooks that a start was made for go first.</summary>
    private static readonly TimeSpan AfterStart = TimeSpan.FromSeconds(1);

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var registration = lifetime.ApplicationStarted.Register(started.SetResult);
        try
        {
            await started.Task.WaitAsync(stoppingToken);
            await Task.Delay(AfterStart, time, stoppingToken);
            await trail.SweepAsync(stoppingToken);
        }
        catch (EntityStoreException exception)
        {
            Log.Failed(logger, exception);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The sweep of the audit trail at the start failed; the timer makes up for it")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
