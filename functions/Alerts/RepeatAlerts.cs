using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Alerts;

/// <summary>
/// Every five minutes: tells alerts again that nobody acknowledged within <see cref="AlertOptions.Repeat"/>, and forgets those whose
/// retention is over.
/// </summary>
public sealed partial class RepeatAlerts(AlertOptions options, AlertStore alerts, IMessageQueue queue, TimeProvider timeProvider, ILogger<RepeatAlerts> logger)
    : ITimerFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken)
    {
        var now = timeProvider.GetUtcNow();
        foreach (var stored in await alerts.RepeatingAsync(cancellationToken))
        {
            if (stored.IsQuiet(now) || now - stored.ToldAt < options.Repeat)
            {
                continue;
            }

            // Sent before it is noted: a crash between the two sends the same message again, and what it names is told once.
            var next = stored.Occurrence + 1;
            await queue.SendAsync(Queues.Alerts, [new AlertWork { Key = stored.Key, Occurrence = next }.ToMessage()], cancellationToken);
            await alerts.UpdateAsync(
                stored.Key, alert => alert.Occurrence == stored.Occurrence ? alert with { Occurrence = next, ToldAt = now } : null, cancellationToken);
            Log.Again(logger, stored.Alert.AlertId, next);
        }

        await alerts.PruneAsync(now.AddDays(-options.RetentionDays), cancellationToken);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Nobody has acknowledged alert {AlertId}; it is told for time {Occurrence}")]
        public static partial void Again(ILogger logger, string alertId, int occurrence);
    }
}
