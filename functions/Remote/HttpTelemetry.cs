using System.Diagnostics;
using System.Diagnostics.Metrics;
using OpenTelemetry.Instrumentation.Http;

namespace DingFlow.Remote;

/// <summary>What the calls to other systems show of themselves: routes, never addresses.</summary>
public static class HttpTelemetry
{
    /// <summary>The name of the source of traces and of the meter.</summary>
    public const string SourceName = "DingFlow.Remote";

    internal static ActivitySource Source { get; } = new(SourceName);

    private static Meter Meter { get; } = new(SourceName);

    private static Histogram<double> CallDuration { get; } = Meter.CreateHistogram<double>(
        "dingflow.remote.call.duration", "s", "Time of a call to another system with all its retries.");

    /// <summary>
    /// For <c>AddHttpClientInstrumentation</c>: shows of every other outgoing request (those of the Azure libraries) its route only. The
    /// clients of this folder need no such instrumentation; they trace themselves under <see cref="SourceName"/>.
    /// </summary>
    public static void Redact(HttpClientTraceInstrumentationOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.RecordException = false;
        options.EnrichWithHttpRequestMessage = static (activity, request) =>
        {
            if (request.RequestUri is { } address)
            {
                Redact(activity, address);
            }
        };
    }

    internal static void Redact(Activity activity, Uri address)
    {
        var route = UrlRedaction.Route(address);
        activity.DisplayName = $"{activity.GetTagItem("http.request.method") ?? "HTTP"} {route}";
        activity.SetTag("url.full", UrlRedaction.Redact(address));
        activity.SetTag("url.template", route);
        activity.SetTag("url.path", null);
        activity.SetTag("url.query", null);
    }

    internal static void Record(string remote, string operation, RemoteStatus status, TimeSpan duration)
    {
        if (CallDuration.Enabled)
        {
            CallDuration.Record(
                duration.TotalSeconds, new("remote", remote), new("operation", operation), new("status", status.ToString()));
        }
    }
}
