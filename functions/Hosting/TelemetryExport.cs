using System.Runtime.CompilerServices;
using Azure.Core;
using Azure.Monitor.OpenTelemetry.Exporter;
using DingFlow.Remote;
using DingFlow.Settings;
using DingFlow.Telemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace DingFlow.Hosting;

/// <summary>
/// Sends traces and metrics to an OTLP collector (<c>OTEL_EXPORTER_OTLP_ENDPOINT</c>) or to Azure Monitor
/// (<c>APPLICATIONINSIGHTS_CONNECTION_STRING</c>, by identity with <c>APPLICATIONINSIGHTS_AUTHENTICATION_STRING</c>). With neither,
/// nothing of it is loaded.
/// </summary>
internal static class TelemetryExport
{
    private const string Otlp = "OTEL_EXPORTER_OTLP_ENDPOINT";
    private const string AzureMonitor = "APPLICATIONINSIGHTS_CONNECTION_STRING";
    private const string AzureMonitorIdentity = "APPLICATIONINSIGHTS_AUTHENTICATION_STRING";

    /// <summary>Sources of ours: the program itself and its calls to other systems.</summary>
    private const string Sources = DingFlowTelemetry.Name + "*";

    public static void Add(IServiceCollection services, IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "", faults);
        var toCollector = reader.Address(Otlp) is not null;
        var connection = reader.Text(AzureMonitor);
        if (toCollector || connection is not null)
        {
            var byIdentity = reader.Text(AzureMonitorIdentity)?.Contains("Authorization=AAD", StringComparison.OrdinalIgnoreCase) == true;
            AddExporters(services, configuration, toCollector, connection, byIdentity);
        }
    }

    // Not inlined, so that the libraries are loaded only where they are used.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void AddExporters(IServiceCollection services, IConfiguration configuration, bool toCollector, string? connection, bool byIdentity)
    {
        services.AddAzureCredentials(configuration);
        services.AddOpenTelemetry()
            .ConfigureResource(resource => resource.AddService(
                DingFlowTelemetry.Name, serviceVersion: typeof(TelemetryExport).Assembly.GetName().Version?.ToString(3)))
            .WithTracing(tracing =>
            {
                tracing.AddSource(Sources);
                tracing.AddAspNetCoreInstrumentation(options =>
                {
                    options.Filter = IsHttpFunction;
                    options.RecordException = false;
                    // Queries of ours carry nothing worth keeping; those of callers may carry anything.
                    options.EnrichWithHttpRequest = static (activity, _) => activity.SetTag("url.query", null);
                });
                tracing.AddHttpClientInstrumentation(options =>
                {
                    HttpTelemetry.Redact(options);
                    options.FilterHttpRequestMessage = static request => request.RequestUri?.Host != InvocationClient.HostName;
                });
                if (toCollector)
                {
                    tracing.AddOtlpExporter();
                }

                if (connection is not null)
                {
                    tracing.AddAzureMonitorTraceExporter();
                }
            })
            .WithMetrics(metrics =>
            {
                metrics.AddMeter(Sources);
                metrics.AddAspNetCoreInstrumentation();
                metrics.AddRuntimeInstrumentation();
                if (toCollector)
                {
                    metrics.AddOtlpExporter();
                }

                if (connection is not null)
                {
                    metrics.AddAzureMonitorMetricExporter();
                }
            });
        services.AddOptions<AzureMonitorExporterOptions>().Configure<IServiceProvider>((options, provider) =>
        {
            options.ConnectionString = connection;
            options.Credential = byIdentity ? provider.GetRequiredService<Lazy<TokenCredential>>().Value : null;
        });
    }

    /// <summary>
    /// Probes of the host and invocations stay out: the work behind an invocation belongs to the trace of its message.
    /// </summary>
    private static bool IsHttpFunction(HttpContext context) =>
        context.Listener() == ListenerKind.Public
        || (context.Listener() == ListenerKind.FunctionsHost
            && context.Request.Path.StartsWithSegments($"/{context.RequestServices.GetRequiredService<FunctionCatalog>().Host.RoutePrefix}"));
}
