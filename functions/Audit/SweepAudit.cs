using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// Every 30 seconds: moves events into the trail that a process left behind beside the state they describe, says what came of changes of
/// other stores within which a process ended, and records what could not be recorded at the start.
/// </summary>
public sealed class SweepAudit(AuditTrail trail, ChangeJournal changes, PolicyLog policies, RepetitionCounter refusals) : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        await trail.SweepAsync(cancellationToken);
        await changes.SettleAsync(cancellationToken);
        await policies.RecordOnceAsync(cancellationToken);
        await refusals.ConcludeAsync(all: false, cancellationToken);
    }
}

/// <summary>The same at the start: what the process before left behind, and what settings have changed, is in the trail before people look.</summary>
internal sealed partial class SweepAuditAtStart(
    AuditTrail trail, ChangeJournal changes, PolicyLog policies, RepetitionCounter refusals, IHostApplicationLifetime lifetime, TimeProvider time,
    ILogger<SweepAuditAtStart> logger) : BackgroundService
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
            await changes.SettleAsync(stoppingToken);
            await policies.RecordOnceAsync(stoppingToken);
            await refusals.ConcludeAsync(all: false, stoppingToken);
        }
        catch (EntityStoreException exception)
        {
            Log.Failed(logger, exception);
        }
    }

    /// <inheritdoc/>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        try
        {
            await refusals.ConcludeAsync(all: true, cancellationToken);
        }
        catch (EntityStoreException exception)
        {
            Log.Failed(logger, exception);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The sweep of the audit trail at the start or end failed; the timer or the next start makes up for it")]
        public static partial void Failed(ILogger logger, Exception exception);
    }
}
