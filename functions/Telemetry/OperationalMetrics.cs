using System.Diagnostics.Metrics;

namespace DingFlow.Telemetry;

/// <summary>
/// Signals that the alerts and the workbook of <c>infra/</c> read: is the program alive, does work wait, is somebody to be told. Nothing in
/// their tags names a person.
/// </summary>
internal static class OperationalMetrics
{
    /// <summary>Runs of timers, by function and outcome (<c>succeeded</c>, <c>failed</c>): the heartbeat. Its absence raises an alert.</summary>
    private static readonly Counter<long> s_timerRuns = DingFlowTelemetry.Meter.CreateCounter<long>(
        "dingflow.timer.runs", "{run}", "Runs of timers, by function and outcome.");

    /// <summary>Seconds from when a message could be received to when its handling began, by queue.</summary>
    private static readonly Histogram<double> s_queueAge = DingFlowTelemetry.Meter.CreateHistogram<double>(
        "dingflow.queue.age", "s", "How long a message waited before it was taken up, by queue.");

    private static readonly Counter<long> s_parked = DingFlowTelemetry.Meter.CreateCounter<long>(
        "dingflow.messages.parked", "{message}", "Messages set aside because they cannot be handled, by queue.");

    /// <summary>Alerts on their way to people, by type and severity. Counted before they are queued, so that they are seen even when the queue is down.</summary>
    private static readonly Counter<long> s_alerts = DingFlowTelemetry.Meter.CreateCounter<long>(
        "dingflow.alerts.raised", "{alert}", "Alerts raised, by type and severity; one that is raised again counts again.");

    public static void TimerRan(string function, bool succeeded) =>
        s_timerRuns.Add(1, new("function", function), new("outcome", succeeded ? "succeeded" : "failed"));

    /// <summary>A clock that runs behind the queue's must not make waits negative.</summary>
    public static void MessageTakenUp(string queue, TimeSpan waited) =>
        s_queueAge.Record(Math.Max(0, waited.TotalSeconds), new KeyValuePair<string, object?>("queue", queue));

    public static void MessageParked(string queue) => s_parked.Add(1, new KeyValuePair<string, object?>("queue", queue));

    public static void AlertRaised(string type, string severity) => s_alerts.Add(1, new("type", type), new("severity", severity));
}
