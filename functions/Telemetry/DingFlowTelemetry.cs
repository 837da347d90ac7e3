using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace DingFlow.Telemetry;

/// <summary>Where traces and metrics of ours come from.</summary>
public static class DingFlowTelemetry
{
    /// <summary>Name of the activity source and of the meter.</summary>
    public const string Name = "DingFlow";

    /// <summary>Traces.</summary>
    public static ActivitySource Activities { get; } = new(Name);

    /// <summary>Metrics.</summary>
    public static Meter Meter { get; } = new(Name);

    /// <summary>
    /// Starts an activity that goes on with the trace of whoever caused it. The trace goes on, too, when nobody records it, so that
    /// request ids in logs and cases stay the same from webhook to read-back.
    /// </summary>
    /// <param name="name">Name of the operation.</param>
    /// <param name="kind">Its kind.</param>
    /// <param name="traceParent">W3C trace context; <see langword="null"/> or malformed starts a new trace.</param>
    public static Activity Start(string name, ActivityKind kind, string? traceParent)
    {
        var continues = ActivityContext.TryParse(traceParent, null, isRemote: true, out var parent);
        // The request that carries an invocation belongs to the host's trace, not to the message's. Callers are async methods, so
        // what is current around them stays as it was.
        Activity.Current = null;
        if (Activities.StartActivity(name, kind, parent) is { } recorded)
        {
            return recorded;
        }

        var activity = new Activity(name);
        activity.SetIdFormat(ActivityIdFormat.W3C);
        if (continues)
        {
            activity.SetParentId(parent.TraceId, parent.SpanId, parent.TraceFlags);
        }

        return activity.Start();
    }
}
