using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using DingFlow.Telemetry;
using DingFlow.Tests.Infrastructure;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;

namespace DingFlow.Tests.Hosting;

public sealed class TelemetryTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task With_a_collector_configured_traces_and_metrics_go_there_without_queries()
    {
        var received = new ConcurrentDictionary<string, string>();
        var builder = WebApplication.CreateSlimBuilder();
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        await using var collector = builder.Build();
        collector.Run(async context =>
        {
            using var body = new MemoryStream();
            await context.Request.Body.CopyToAsync(body, context.RequestAborted);
            received.AddOrUpdate(context.Request.Path, _ => Text(body), (_, before) => before + Text(body));
            context.Response.ContentType = "application/x-protobuf";
        });
        await collector.StartAsync(Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Urls.First(),
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
        });

        using var answer = await program.Client.GetAsync("/api/health/ready?token=top-secret", Cancellation);
        var traceId = answer.Headers.GetValues("x-request-id").Single();
        // A graceful stop sends what has not been sent yet.
        Assert.Equal(0, await program.TerminateAsync());

        Assert.Contains("/api/health/ready", received["/v1/traces"], StringComparison.Ordinal);
        Assert.Contains(Encoding.Latin1.GetString(Convert.FromHexString(traceId)), received["/v1/traces"], StringComparison.Ordinal);
        Assert.Contains("http.server.request.duration", received["/v1/metrics"], StringComparison.Ordinal);
        Assert.DoesNotContain("top-secret", string.Concat(received.Values), StringComparison.Ordinal);

        static string Text(MemoryStream body) => Encoding.Latin1.GetString(body.ToArray());
    }

    [Fact]
    public async Task An_address_of_the_collector_that_is_none_is_a_fault()
    {
        await using var program = DingFlowProcess.Standalone(new Dictionary<string, string> { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = "collector" });

        Assert.Equal(78, await program.RunToEndAsync());

        Assert.Contains("OTEL_EXPORTER_OTLP_ENDPOINT: ", program.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_trace_goes_on_though_nobody_records_it()
    {
        const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";

        // In a method of its own, as its callers are: what is current around them does not change.
        async Task<(string, string?)> Inside()
        {
            await Task.Yield();
            using var activity = DingFlowTelemetry.Start("work", ActivityKind.Consumer, $"00-{Trace}-00f067aa0ba902b7-01");
            return (activity.TraceId.ToHexString(), activity.ParentSpanId.ToHexString());
        }

        Assert.Equal((Trace, "00f067aa0ba902b7"), await Inside());
    }

    [Theory]
    [InlineData(null)]
    [InlineData("not a trace")]
    public void Without_a_trace_to_go_on_with_a_new_one_begins(string? traceParent)
    {
        using var activity = DingFlowTelemetry.Start("work", ActivityKind.Internal, traceParent);

        Assert.NotEqual(default, activity.TraceId);
        Assert.Equal(default, activity.ParentSpanId);
    }
}
