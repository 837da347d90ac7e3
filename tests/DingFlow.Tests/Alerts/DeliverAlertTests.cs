using System.Text;
using DingFlow.Alerts;
using DingFlow.Hosting;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Tests.Audit;
using DingFlow.Tests.Intake;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Alerts;

public sealed class DeliverAlertTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 22, 1, 0, 0, TimeSpan.Zero));
    private readonly TestQueue _queue = new();
    private readonly TestStore _store;
    private readonly LogLines _log = new();
    private readonly AlertWebhook _webhook;
    private readonly List<AlertReceiver> _receivers = [];
    private readonly List<AlertChannel> _channels = [];
    private int _handled;

    public DeliverAlertTests()
    {
        _store = new TestStore(_time);
        _webhook = new AlertWebhook(new AlertDocuments(_store, NullLogger<AlertDocuments>.Instance), _time);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        _webhook.Dispose();
        foreach (var receiver in _receivers)
        {
            await receiver.DisposeAsync();
        }

        _store.Dispose();
    }

    [Fact]
    public async Task An_alert_is_a_log_line_and_a_signed_webhook()
    {
        var receiver = await AddChannelAsync("ops");

        await SendAsync(Alert("a-1"));

        var (_, id, verdict, body) = Assert.Single(receiver.Received);
        Assert.Equal(("a-1", SignatureVerdict.Valid), (id, verdict));
        Assert.Equal(
            """{"type":"offboarding.needs_human","timestamp":"2026-11-22T09:00:00+08:00","data":{"alertId":"a-1","severity":"critical","summary":"Somebody must look.","about":"case-1","details":{"step":"entra.disable"}}}""",
            Encoding.UTF8.GetString(body).Replace("\\u002B", "+", StringComparison.Ordinal));
        Assert.Contains((LogLevel.Critical, "Alert offboarding.needs_human (a-1): Somebody must look."), _log.Lines);
    }

    [Fact]
    public async Task Without_channels_there_is_the_log_line()
    {
        await SendAsync(Alert("a-1") with { Severity = AlertSeverity.Warning });

        Assert.Equal([(LogLevel.Warning, "Alert offboarding.needs_human (a-1): Somebody must look.")], _log.Lines);
    }

    [Fact]
    public async Task The_same_alert_is_told_once()
    {
        var receiver = await AddChannelAsync("ops");
        await SendAsync(Alert("a-1"));

        // As if the duplicate detection had forgotten the message.
        await HandleAsync(new AlertWork { Alert = Alert("a-1") }.ToMessage());
        await PumpAsync();

        Assert.Single(receiver.Received);
        Assert.Single(_log.Lines, static line => line.Level == LogLevel.Critical);
    }

    [Fact]
    public async Task A_dead_channel_is_tried_with_growing_delays_and_the_other_is_not_repeated()
    {
        var (dead, alive) = (await AddChannelAsync("dead"), await AddChannelAsync("alive"));
        dead.Answer = Status(500);
        await SendAsync(Alert("a-1"));
        var start = _time.GetUtcNow();
        var attempts = new List<TimeSpan>();

        while (Next() is { } next)
        {
            _time.SetUtcNow(next);
            attempts.Add(next - start);
            await PumpAsync();
        }

        // Nine waits, so ten attempts; then the others are told, and the dead one is not.
        TimeSpan[] waits = [.. attempts.Zip(attempts.Prepend(TimeSpan.Zero), static (at, before) => at - before)];
        Assert.Equal(
            [
                TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(30), TimeSpan.FromHours(2), TimeSpan.FromHours(5),
                TimeSpan.FromHours(10), TimeSpan.FromHours(14), TimeSpan.FromHours(20), TimeSpan.FromHours(24),
            ],
            waits);
        Assert.Equal(10, dead.Received.Count);
        Assert.All(dead.Received, static received => Assert.Equal(("a-1", SignatureVerdict.Valid), (received.Id, received.Verdict)));
        Assert.Equal(["a-1", "alerts.channel_failed:dead:20261125"], alive.Received.Select(static received => received.Id));
    }

    [Fact]
    public async Task A_channel_that_recovers_gets_the_alert_and_the_attempts_end()
    {
        var receiver = await AddChannelAsync("ops");
        receiver.Answer = Status(503);
        await SendAsync(Alert("a-1"));
        Assert.False((await ReadinessAsync()).IsReady);
        receiver.Answer = Status(200);

        _time.SetUtcNow(Next()!.Value);
        await PumpAsync();

        Assert.Equal(2, receiver.Received.Count);
        Assert.Null(Next());
        Assert.True((await ReadinessAsync()).IsReady);
    }

    [Fact]
    public async Task A_longer_wait_that_the_receiver_asks_for_is_kept()
    {
        var receiver = await AddChannelAsync("ops");
        receiver.Answer = static context =>
        {
            context.Response.Headers.RetryAfter = "120";
            return Status(429)(context);
        };

        await SendAsync(Alert("a-1"));

        Assert.Equal(_time.GetUtcNow().AddMinutes(2), Next());
    }

    [Fact]
    public async Task A_receiver_that_is_gone_ends_its_channel_until_it_is_configured_anew()
    {
        var (gone, alive) = (await AddChannelAsync("gone"), await AddChannelAsync("alive"));
        gone.Answer = Status(410);
        await SendAsync(Alert("a-1"));
        await SendAsync(Alert("a-2"));
        Assert.Single(gone.Received);
        Assert.Equal(["a-1", "alerts.channel_failed:gone:20261122", "a-2"], alive.Received.Select(static received => received.Id));
        Assert.Contains((LogLevel.Error, "The receiver of the alert channel gone has ended it"), _log.Lines);
        Assert.Contains("gone", (await ReadinessAsync()).Detail, StringComparison.Ordinal);

        gone.Answer = Status(200);
        _channels[0] = ((WebhookChannel)_channels[0]) with { Url = new Uri(gone.Url + "/new") };
        await SendAsync(Alert("a-3"));

        Assert.Equal(["/alerts", "/alerts/new"], gone.Received.Select(static received => received.Path));
    }

    [Fact]
    public async Task A_redirect_is_not_followed()
    {
        var (elsewhere, receiver) = (await AddChannelAsync("elsewhere"), await AddChannelAsync("ops"));
        _channels.RemoveAt(0);
        receiver.Answer = context =>
        {
            context.Response.Headers.Location = elsewhere.Url.AbsoluteUri;
            return Status(307)(context);
        };

        await SendAsync(Alert("a-1"));

        Assert.Empty(elsewhere.Received);
        Assert.NotNull(Next());
    }

    [Fact]
    public async Task An_endless_answer_is_not_read()
    {
        var receiver = await AddChannelAsync("ops");
        receiver.Answer = static async context =>
        {
            var block = new byte[64 * 1024];
            while (!context.RequestAborted.IsCancellationRequested)
            {
                await context.Response.Body.WriteAsync(block, context.RequestAborted);
            }
        };

        await SendAsync(Alert("a-1"));

        Assert.Null(Next());
    }

    [Fact]
    public async Task A_receiver_that_does_not_answer_in_time_is_tried_again()
    {
        var receiver = await AddChannelAsync("ops");
        var arrived = new TaskCompletionSource();
        receiver.Answer = context =>
        {
            arrived.SetResult();
            return Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, context.RequestAborted);
        };

        var sending = SendAsync(Alert("a-1"));
        await arrived.Task.WaitAsync(TimeSpan.FromSeconds(30), Token);
        _time.Advance(TimeSpan.FromSeconds(15));
        await sending.WaitAsync(TimeSpan.FromSeconds(30), Token);

        Assert.NotNull(Next());
        Assert.Contains((LogLevel.Warning, $"Alert message {NoticeOf("a-1")} did not reach ops with attempt 1: TimedOut"), _log.Lines);
    }

    [Fact]
    public async Task A_receiver_that_cannot_be_reached_is_tried_again_and_its_address_is_not_logged()
    {
        var receiver = await AddChannelAsync("ops");
        await receiver.DisposeAsync();

        await SendAsync(Alert("a-1"));

        Assert.NotNull(Next());
        Assert.DoesNotContain(_log.Lines, line => line.Text.Contains(receiver.Url.Authority, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_successor_lost_in_a_crash_is_sent_when_its_attempt_is_delivered_again()
    {
        var receiver = await AddChannelAsync("ops");
        receiver.Answer = context =>
        {
            _queue.IsDown = true;
            return Status(500)(context);
        };
        await _queue.SendAsync(Queues.Alerts, [new AlertWork { Alert = Alert("a-1") }.ToMessage()], Token);
        await HandleAsync(_queue.Alerts[0]);
        var attempt = _queue.Alerts[1];
        await Assert.ThrowsAsync<MessageQueueException>(() => HandleAsync(attempt));
        _queue.IsDown = false;

        await HandleAsync(attempt);

        Assert.Single(receiver.Received);
        Assert.Equal(_time.GetUtcNow().AddSeconds(5), _queue.Alerts[2].EnqueueAt);
    }

    [Fact]
    public async Task While_the_store_is_down_the_alert_is_in_the_log_and_comes_later()
    {
        var receiver = await AddChannelAsync("ops");
        _store.IsDown = true;
        await SendAsync(Alert("a-1"));
        Assert.Contains((LogLevel.Critical, "Alert offboarding.needs_human (a-1): Somebody must look."), _log.Lines);
        Assert.Empty(receiver.Received);
        _time.SetUtcNow(Next()!.Value);
        await PumpAsync();
        _store.IsDown = false;

        _time.SetUtcNow(Next()!.Value);
        await PumpAsync();

        Assert.Single(receiver.Received);
    }

    [Fact]
    public async Task An_alert_id_that_no_header_takes_goes_under_its_hash()
    {
        var receiver = await AddChannelAsync("ops");

        await SendAsync(Alert("with spaces\nand lines"));

        var (_, id, verdict, _) = Assert.Single(receiver.Received);
        Assert.Equal(($"alert_{AlertWork.KeyOf("with spaces\nand lines")}", SignatureVerdict.Valid), (id, verdict));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{"key":"k","occurrence":1}""")]
    [InlineData("""{"notice":"n","channel":"c"}""")]
    public async Task A_message_that_is_none_is_refused(string body) => await Assert.ThrowsAsync<FormatException>(
        () => HandleAsync(new OutgoingMessage { MessageId = "m", Body = Encoding.UTF8.GetBytes(body) }));

    private static AlertMessage Alert(string id) => new()
    {
        AlertId = id,
        Type = "offboarding.needs_human",
        Severity = AlertSeverity.Critical,
        OccurredAt = new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.FromHours(8)),
        Summary = "Somebody must look.",
        About = "case-1",
        Details = new Dictionary<string, string> { ["step"] = "entra.disable" },
    };

    private static string NoticeOf(string alertId) => $"{AlertWork.KeyOf(alertId)}-1";

    private static Func<HttpContext, Task> Status(int status) => context =>
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    };

    private async Task<AlertReceiver> AddChannelAsync(string name)
    {
        var receiver = await AlertReceiver.StartAsync(_time.GetUtcNow, Token);
        _receivers.Add(receiver);
        _channels.Add(new WebhookChannel
        {
            Name = name, Url = receiver.Url, Secret = StandardWebhooks.DecodeSecret(receiver.Secret)!,
        });
        return receiver;
    }

    private Task<ReadinessResult> ReadinessAsync() => new AlertReadiness(new AlertOptions { Channels = [.. _channels] }, _store).CheckAsync(Token);

    private async Task SendAsync(AlertMessage alert)
    {
        await new AlertSender(_queue).SendAsync(alert, Token);
        await PumpAsync();
    }

    /// <summary>Delivers the messages that are due, in order, until none is.</summary>
    private async Task PumpAsync()
    {
        while (_handled < _queue.Alerts.Count && (_queue.Alerts[_handled].EnqueueAt ?? default) <= _time.GetUtcNow())
        {
            await HandleAsync(_queue.Alerts[_handled++]);
        }
    }

    /// <summary>When the next message is due; <see langword="null"/> when all were delivered.</summary>
    private DateTimeOffset? Next() => _handled < _queue.Alerts.Count ? _queue.Alerts[_handled].EnqueueAt : null;

    private Task HandleAsync(OutgoingMessage message) =>
        new DeliverAlert(new AlertOptions { Channels = [.. _channels] }, [_webhook], new AlertStore(_store, new TestTrail(_store)), _store, _queue, _time, _log).InvokeAsync(
            new ReceivedMessage { Queue = "alerts", MessageId = message.MessageId, DeliveryCount = 1, Body = message.Body }, Token);

    private sealed class LogLines : ILogger<DeliverAlert>
    {
        public List<(LogLevel Level, string Text)> Lines { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Add((logLevel, formatter(state, exception)));
    }
}
