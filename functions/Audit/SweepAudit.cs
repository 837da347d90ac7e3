using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>Every 30 seconds: moves events into the trail that a process left behind beside the state they describe.</summary>
public sealed class SweepAudit(AuditTrail trail) : ITimerFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken) => trail.SweepAsync(cancellationToken);
}
