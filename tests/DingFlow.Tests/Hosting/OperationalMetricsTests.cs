using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Net;
using System.Text;
using DingFlow.Alerts;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Telemetry;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Hosting;

/// <summary>The signals that Azure's alerts are made of: heartbeat, waiting, parking, alerts.</summary>
public sealed class OperationalMetricsTests : IDisposable
{
    private readonly MeterListener _listener = new();
    private readonly ConcurrentBag<(string Metric, double Value, string Tags)> _seen = [];

    public OperationalMetricsTests()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name == DingFlowTelemetry.Name)
            {
                listener.EnableMeasurementEvents(instrument);
            }
        };
        _listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => _seen.Add((instrument.Name, value, Text(tags))));
        _listener.SetMeasurementEventCallback<double>((instrument, value, tags, _) => _seen.Add((instrument.Name, value, Text(tags))));
        _listener.Start();
    }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public void Dispose() => _listener.Dispose();

    [Fact]
    public async Task A_timer_that_ran_is_a_heartbeat_and_one_that_failed_is_none()
    {
        var fails = false;
        await using var program = await new TestProgram()
            .Function(TestProgram.TimerJson("0 0 0 1 1 *"), new TimerProbe((_, _) => fails ? throw new InvalidOperationException("broken") : Task.CompletedTask))
            .StartAsync();

        Assert.Equal(HttpStatusCode.OK, await InvokeAsync(program, "TimerProbe", """{"Data":{"timer":{"IsPastDue":false}},"Metadata":{}}"""));
        fails = true;
        Assert.Equal(HttpStatusCode.InternalServerError, await InvokeAsync(program, "TimerProbe", """{"Data":{"timer":{"IsPastDue":false}},"Metadata":{}}"""));

        Assert.Contains(("dingflow.timer.runs", 1, "function=TimerProbe,outcome=succeeded"), _seen);
        Assert.Contains(("dingflow.timer.runs", 1, "function=TimerProbe,outcome=failed"), _seen);
    }

    [Fact]
    public async Task A_message_tells_how_long_it_waited_and_that_it_was_set_aside()
    {
        var configuration = new ConfigurationBuilder().Build();
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.Zero));
        await using var program = await new TestProgram()
            .Function(TestProgram.QueueJson(Queues.Alerts), new QueueProbe((_, _) => throw new UnusableMessageException("no")))
            .Services(services =>
            {
                services.AddMessaging(configuration, new SettingsFaults());
                services.AddSingleton<IAlertSender>(new AlertSender(new NoQueue()));
                services.AddSingleton<TimeProvider>(time);
            })
            .StartAsync();

        var invocation = """{"Data":{"msg":"{}"},"Metadata":{"MessageId":"\"m-1\"","DeliveryCount":"1","EnqueuedTimeUtc":"\"2026-11-22T08:58:30Z\""}}""";
        Assert.Equal(HttpStatusCode.OK, await InvokeAsync(program, "QueueProbe", invocation));

        Assert.Contains(_seen, m => m.Metric == "dingflow.queue.age" && m.Tags == "queue=alerts" && m.Value == 90);
        Assert.Contains(("dingflow.messages.parked", 1, "queue=alerts"), _seen);
    }

    [Fact]
    public async Task An_alert_is_counted_even_when_the_queue_does_not_take_it()
    {
        var alert = new AlertMessage
        {
            AlertId = "x", Type = "offboarding.overdue", Severity = AlertSeverity.Critical, OccurredAt = DateTimeOffset.UnixEpoch, Summary = "x",
        };

        await Assert.ThrowsAsync<MessageQueueException>(() => new AlertSender(new NoQueue()).SendAsync(alert, Cancellation));

        Assert.Contains(("dingflow.alerts.raised", 1, "type=offboarding.overdue,severity=critical"), _seen);
    }

    private static async Task<HttpStatusCode> InvokeAsync(TestProgram program, string function, string invocation)
    {
        using var client = program.CreateSocketClient();
        using var answer = await client.PostAsync("/" + function, new StringContent(invocation, Encoding.UTF8, "application/json"), Cancellation);
        return answer.StatusCode;
    }

    private static string Text(ReadOnlySpan<KeyValuePair<string, object?>> tags) => string.Join(',', tags.ToArray().Select(t => $"{t.Key}={t.Value}"));

    private sealed class NoQueue : IMessageQueue
    {
        public Task SendAsync(QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, CancellationToken cancellationToken) =>
            throw new MessageQueueException("The queue is down.");
    }
}
