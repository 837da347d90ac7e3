using System.Diagnostics;
using System.Net;
using System.Threading.Channels;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Tests.Infrastructure;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Hosting;

public sealed class StandaloneDriverTests
{
    private static readonly DateTimeOffset Start = new(2026, 11, 22, 9, 0, 30, TimeSpan.Zero);

    /// <summary>A timer looks at the clock again after this time at the latest.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(10);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_message_reaches_its_function_unchanged_and_is_completed()
    {
        var queue = new ScriptedQueue();
        var received = new TaskCompletionSource<(ReceivedMessage Message, string? TraceId)>();
        await using var program = await WithQueue(queue, (message, _) =>
        {
            received.SetResult((message, Activity.Current?.TraceId.ToHexString()));
            return Task.CompletedTask;
        }).StartAsync();

        const string Body = """{"employeeId":"E1001","note":"\"quoted\" \\ 部门 \u0001 😀","MessageId":"not-mine","deliveryCount":99,"count":12}""";
        const string TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        queue.Offer(Queues.Offboarding, "m-1", Body, session: "person-1", traceParent: TraceParent);

        var (message, traceId) = await received.Task.WaitAsync(DingFlowProcess.Patience, Cancellation);
        Assert.Equal(Body, System.Text.Encoding.UTF8.GetString(message.Body.Span));
        Assert.Equal("person-1", message.SessionId);
        Assert.Equal("test", message.Subject);
        Assert.Equal(DateTimeOffset.UnixEpoch, message.EnqueuedAt);
        Assert.Equal(TraceParent, message.TraceParent);
        Assert.Equal("4bf92f3577b34da6a3ce929d0e0e4736", traceId);
        Assert.Equal("completed m-1", await queue.NextSettledAsync(Cancellation));
    }

    [Fact]
    public async Task A_function_that_throws_gives_its_message_back_without_the_text_of_the_exception()
    {
        var queue = new ScriptedQueue();
        await using var program = await WithQueue(queue, (_, _) => throw new InvalidOperationException("e1001@sandbox.example")).StartAsync();

        queue.Offer(Queues.Offboarding, "m-1", "{}");

        Assert.Equal("abandoned m-1: QueueProbe answered 500", await queue.NextSettledAsync(Cancellation));
    }

    [Fact]
    public async Task A_queue_that_fails_is_asked_again()
    {
        var queue = new ScriptedQueue();
        var time = new FakeTimeProvider(Start);
        queue.Fail(new MessageQueueException("down"));
        await using var program = await WithQueue(queue, (_, _) => Task.CompletedTask)
            .Services(services => services.AddSingleton<TimeProvider>(time)).StartAsync();

        queue.Offer(Queues.Offboarding, "m-1", "{}");
        var settled = queue.NextSettledAsync(Cancellation);
        while (!settled.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        Assert.Equal("completed m-1", await settled);
    }

    [Fact]
    public async Task The_lock_is_renewed_while_the_function_runs()
    {
        var queue = new ScriptedQueue();
        var time = new FakeTimeProvider(Start);
        var release = new TaskCompletionSource();
        await using var program = await WithQueue(queue, (_, _) => release.Task)
            .Services(services => services.AddSingleton<TimeProvider>(time)).StartAsync();

        queue.Offer(Queues.Offboarding, "m-1", "{}");
        for (var renewal = 0; renewal < 3; renewal++)
        {
            var next = queue.Renewals.Reader.WaitToReadAsync(Cancellation).AsTask();
            while (!next.IsCompleted)
            {
                time.Advance(Queues.Offboarding.LockDuration / 10);
                await Task.Yield();
            }

            Assert.True(queue.Renewals.Reader.TryRead(out _));
        }

        release.SetResult();
        Assert.Equal("completed m-1", await queue.NextSettledAsync(Cancellation));
    }

    [Fact]
    public async Task No_more_messages_run_at_once_than_the_host_json_says()
    {
        var queue = new ScriptedQueue();
        var gate = new TaskCompletionSource();
        var running = 0;
        var entered = Channel.CreateUnbounded<int>();
        await using var program = await WithQueue(queue, async (_, token) =>
        {
            await entered.Writer.WriteAsync(Interlocked.Increment(ref running), token);
            await gate.Task;
            Interlocked.Decrement(ref running);
        }).StartAsync();
        var limit = program.App.Services.GetRequiredService<FunctionCatalog>().Host.MaxConcurrentSessions;

        for (var message = 0; message < limit + 5; message++)
        {
            queue.Offer(Queues.Offboarding, $"m-{message}", "{}", session: $"s-{message}");
        }

        for (var message = 0; message < limit; message++)
        {
            await entered.Reader.ReadAsync(Cancellation).AsTask().WaitAsync(DingFlowProcess.Patience, Cancellation);
        }

        Assert.Equal(5, queue.Waiting);
        gate.SetResult();
        for (var message = 0; message < limit + 5; message++)
        {
            Assert.StartsWith("completed", await queue.NextSettledAsync(Cancellation), StringComparison.Ordinal);
        }

        Assert.All(await ReadAll(entered), count => Assert.InRange(count, 1, limit));
    }

    [Fact]
    public async Task A_stop_lets_the_message_in_flight_finish_and_receives_no_other()
    {
        var queue = new ScriptedQueue();
        var entered = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        await using var program = await WithQueue(queue, async (_, _) =>
        {
            entered.TrySetResult();
            await release.Task;
        }).StartAsync();
        queue.Offer(Queues.Offboarding, "m-1", "{}");
        await entered.Task.WaitAsync(DingFlowProcess.Patience, Cancellation);

        var stop = program.StopAsync();
        await queue.Stopped;
        Assert.False(stop.IsCompleted);
        queue.Offer(Queues.Offboarding, "m-2", "{}");
        release.SetResult();
        await stop.WaitAsync(DingFlowProcess.Patience, Cancellation);

        Assert.Equal("completed m-1", await queue.NextSettledAsync(Cancellation));
        Assert.Equal(1, queue.Waiting);
    }

    [Fact]
    public async Task A_message_that_does_not_finish_in_time_is_left_for_the_next_start()
    {
        var queue = new ScriptedQueue();
        var time = new FakeTimeProvider(Start);
        var entered = new TaskCompletionSource();
        var cancelled = new TaskCompletionSource();
        await using var program = await WithQueue(queue, async (_, token) =>
        {
            entered.TrySetResult();
            await Task.Delay(Timeout.InfiniteTimeSpan, time, token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancelled.SetResult();
        }).Services(services => services.AddSingleton<TimeProvider>(time)).StartAsync();
        queue.Offer(Queues.Offboarding, "m-1", "{}");
        await entered.Task.WaitAsync(DingFlowProcess.Patience, Cancellation);

        var stop = program.StopAsync();
        while (!stop.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        await stop;
        await cancelled.Task.WaitAsync(DingFlowProcess.Patience, Cancellation);
        Assert.Equal(0, queue.Waiting);
    }

    [Fact]
    public async Task Invocation_endpoints_are_on_the_private_socket_only_and_http_functions_on_the_public_listener_only()
    {
        var queue = new ScriptedQueue();
        await using var program = await WithQueue(queue, (_, _) => Task.CompletedTask).StartAsync();
        using var socket = program.CreateSocketClient();

        const string Invocation = """{"Data":{"msg":"\"{}\""},"Metadata":{}}""";
        foreach (var method in (HttpMethod[])[HttpMethod.Post, HttpMethod.Get, HttpMethod.Put])
        {
            using var request = new HttpRequestMessage(method, "/QueueProbe") { Content = new StringContent(Invocation) };
            using var refused = await program.Client.SendAsync(request, Cancellation);
            Assert.Equal(HttpStatusCode.NotFound, refused.StatusCode);
        }

        using var accepted = await socket.PostAsync("/QueueProbe", new StringContent(Invocation), Cancellation);
        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
        Assert.Equal("application/json", accepted.Content.Headers.ContentType?.MediaType);
        Assert.Equal("{}", await accepted.Content.ReadAsStringAsync(Cancellation));
        using var notHere = await socket.GetAsync("/api/health", Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, notHere.StatusCode);
        using var root = await program.Client.GetAsync("/", Cancellation);
        Assert.Equal(HttpStatusCode.NotFound, root.StatusCode);
    }

    [Fact]
    public async Task A_timer_fires_at_its_times_in_utc()
    {
        var time = new ObservedTime(Start);
        var fired = Channel.CreateUnbounded<Firing>();
        await using var program = await WithTimer("0 5 * * * *", time, fired).StartAsync();

        await time.WaitedForAsync(At(9, 5) - Start, Cancellation);
        time.SetUtcNow(At(9, 4).AddSeconds(59));
        time.SetUtcNow(At(9, 5));
        var first = await NextAsync(fired);
        await time.WaitedForAsync(LongestWait, Cancellation);
        time.SetUtcNow(At(10, 5));
        var second = await NextAsync(fired);

        Assert.Equal(new Firing(IsPastDue: false, At(9, 5)), first);
        Assert.Equal(new Firing(IsPastDue: false, At(10, 5)), second);
        Assert.Equal(0, fired.Reader.Count);
    }

    [Fact]
    public async Task A_timer_that_an_outage_swallowed_fires_once_as_past_due()
    {
        var time = new ObservedTime(Start);
        var fired = Channel.CreateUnbounded<Firing>();
        using var root = new TemporaryDirectory();
        await using (await WithTimer("0 0 2 * * *", time, fired, dataDirectory: root.Path).StartAsync())
        {
            await time.WaitedForAsync(LongestWait, Cancellation);
        }

        time.SetUtcNow(At(9, 0).AddDays(3));
        await using var after = await WithTimer("0 0 2 * * *", time, fired, dataDirectory: root.Path).StartAsync();
        var late = await NextAsync(fired);
        await time.WaitedForAsync(LongestWait, Cancellation);
        time.SetUtcNow(At(2, 0).AddDays(4));
        var next = await NextAsync(fired);

        Assert.Equal(new Firing(IsPastDue: true, At(9, 0).AddDays(3)), late);
        Assert.Equal(new Firing(IsPastDue: false, At(2, 0).AddDays(4)), next);
        Assert.Equal(0, fired.Reader.Count);
    }

    [Fact]
    public async Task A_timer_that_runs_longer_than_its_period_skips_and_never_runs_twice_at_once()
    {
        var time = new ObservedTime(Start);
        var fired = Channel.CreateUnbounded<Firing>();
        var release = new TaskCompletionSource();
        await using var program = await WithTimer("0 * * * * *", time, fired, release.Task).StartAsync();
        await time.WaitedForAsync(TimeSpan.FromSeconds(30), Cancellation);
        time.SetUtcNow(At(9, 1));
        await NextAsync(fired);

        time.SetUtcNow(At(9, 11).AddSeconds(15));
        release.SetResult();
        await time.WaitedForAsync(TimeSpan.FromSeconds(45), Cancellation);
        time.SetUtcNow(At(9, 12));

        Assert.Equal(new Firing(IsPastDue: false, At(9, 12)), await NextAsync(fired));
        Assert.Equal(0, fired.Reader.Count);
    }

    [Fact]
    public async Task A_program_whose_queue_cannot_be_received_from_does_not_start()
    {
        await using var program = new TestProgram().Function(TestProgram.QueueJson(Queues.Alerts), new QueueProbe((_, _) => Task.CompletedTask));

        var exception = await Assert.ThrowsAsync<SettingsException>(program.StartAsync);

        Assert.Contains("DingFlow:Queue", exception.Message, StringComparison.Ordinal);
    }

    private static TestProgram WithQueue(ScriptedQueue queue, Func<ReceivedMessage, CancellationToken, Task> body) => new TestProgram()
        .Function(TestProgram.QueueJson(Queues.Offboarding), new QueueProbe(body))
        .Services(services => services.AddSingleton<IEmbeddedQueue>(queue));

    private static TestProgram WithTimer(
        string schedule, ObservedTime time, Channel<Firing> fired, Task? release = null, string? dataDirectory = null) =>
        new TestProgram(dataDirectory).Function(TestProgram.TimerJson(schedule), new TimerProbe(async (tick, cancellationToken) =>
            {
                await fired.Writer.WriteAsync(new Firing(tick.IsPastDue, time.GetUtcNow()), cancellationToken);
                await (release ?? Task.CompletedTask);
            }))
            .Services(services => services.AddSingleton<TimeProvider>(time));

    private static DateTimeOffset At(int hour, int minute) => new(2026, 11, 22, hour, minute, 0, TimeSpan.Zero);

    private static Task<Firing> NextAsync(Channel<Firing> fired) =>
        fired.Reader.ReadAsync(Cancellation).AsTask().WaitAsync(DingFlowProcess.Patience, Cancellation);

    private sealed record Firing(bool IsPastDue, DateTimeOffset At);

    private static async Task<List<T>> ReadAll<T>(Channel<T> channel)
    {
        channel.Writer.Complete();
        return await channel.Reader.ReadAllAsync(Cancellation).ToListAsync(Cancellation);
    }
}

/// <summary>A directory that goes away with the test.</summary>
internal sealed class TemporaryDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("dingflow-test-").FullName;

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
