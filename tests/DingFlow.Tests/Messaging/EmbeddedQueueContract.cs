using System.Diagnostics;
using System.Text;
using DingFlow.Messaging;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Messaging;

/// <summary>What an <see cref="IEmbeddedQueue"/> does, under a clock that the test moves.</summary>
public abstract class EmbeddedQueueContract : IAsyncLifetime
{
    private static readonly DateTimeOffset Start = new(2026, 11, 22, 1, 0, 0, TimeSpan.Zero);
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private IEmbeddedQueue? _queue;

    protected static QueueDefinition Sessions { get; } = new("sessions", true, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(1), 3);

    protected static QueueDefinition Plain { get; } = new("plain", false, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(1), 3);

    protected static CancellationToken Token => TestContext.Current.CancellationToken;

    protected FakeTimeProvider Time { get; } = new(Start);

    protected IEmbeddedQueue Queue => _queue ?? throw new InvalidOperationException("Not initialised.");

    protected abstract Task<IEmbeddedQueue> CreateAsync();

    /// <summary>Leaves the process as a kill would, and starts the next one over what it left on disk.</summary>
    protected abstract Task<IEmbeddedQueue> KillAndRestartAsync();

    public async ValueTask InitializeAsync() => _queue = await CreateAsync();

    public virtual ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    // ---- sending and receiving ----

    [Fact]
    public async Task A_message_arrives_with_all_it_was_sent_with()
    {
        const string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        await Queue.SendAsync(
            Sessions,
            [new() { MessageId = "m-1", SessionId = "s-1", Body = """{"a":"王"}"""u8.ToArray(), Subject = "test", TraceParent = trace }],
            Token);

        var received = await ReceiveAsync(Sessions);

        Assert.Equal(
            ("sessions", "m-1", "s-1", 1, Start, "test", trace, """{"a":"王"}"""),
            (received.Message.Queue, received.Message.MessageId, received.Message.SessionId, received.Message.DeliveryCount,
                received.Message.EnqueuedAt, received.Message.Subject, received.Message.TraceParent, Encoding.UTF8.GetString(received.Message.Body.Span)));
        Assert.Equal(Start + Sessions.LockDuration, received.LockedUntil);
        Assert.True(await Queue.CompleteAsync(received, Token));
    }

    [Fact]
    public async Task A_message_carries_the_trace_of_the_work_that_sends_it()
    {
        using var activity = new Activity("test").SetIdFormat(ActivityIdFormat.W3C).Start();
        await SendAsync(Plain, "m");

        Assert.Equal(activity.Id, (await ReceiveAsync(Plain)).Message.TraceParent);
    }

    [Fact]
    public async Task Queues_are_separate()
    {
        await SendAsync(Plain, "plain");
        await SendAsync(Sessions, "session", "s");

        Assert.Equal("session", (await ReceiveAsync(Sessions)).Message.MessageId);
        Assert.Equal("plain", (await ReceiveAsync(Plain)).Message.MessageId);
    }

    [Fact]
    public async Task A_receiver_that_waits_is_woken_by_a_send()
    {
        var receive = ReceiveAsync(Plain);
        Assert.False(receive.IsCompleted);

        await SendAsync(Plain, "m");

        Assert.Equal("m", (await receive).Message.MessageId);
    }

    [Fact]
    public async Task A_receiver_that_gives_up_takes_no_message_with_it()
    {
        using var cancel = new CancellationTokenSource();
        var receive = Queue.ReceiveAsync(Plain, cancel.Token);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => receive);

        await SendAsync(Plain, "m");

        Assert.Equal(("m", 1), IdAndCount(await ReceiveAsync(Plain)));
    }

    [Fact]
    public async Task Messages_without_sessions_go_to_receivers_side_by_side_in_the_order_of_sending()
    {
        await SendAsync(Plain, ["a", "b", "c"]);

        Assert.Equal(["a", "b", "c"], [await ReceiveIdAsync(Plain), await ReceiveIdAsync(Plain), await ReceiveIdAsync(Plain)]);
    }

    [Fact]
    public async Task A_cancelled_send_sends_nothing()
    {
        using var cancelled = new CancellationTokenSource();
        await cancelled.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Queue.SendAsync(Plain, [Message("cancelled")], cancelled.Token));
        await SendAsync(Plain, "sent");

        Assert.Equal("sent", await ReceiveIdAsync(Plain));
    }

    // ---- sessions ----

    [Fact]
    public async Task A_session_gives_one_message_at_a_time_and_others_go_on()
    {
        await SendAsync(Sessions, "a1", "a");
        await SendAsync(Sessions, "a2", "a");
        await SendAsync(Sessions, "b1", "b");
        await SendAsync(Sessions, "b2", "b");

        var a1 = await ReceiveAsync(Sessions);
        var b1 = await ReceiveAsync(Sessions);
        var third = ReceiveAsync(Sessions);
        Assert.Equal(("a1", "b1", false), (a1.Message.MessageId, b1.Message.MessageId, third.IsCompleted));

        Assert.True(await Queue.CompleteAsync(b1, Token));
        Assert.Equal("b2", (await third).Message.MessageId);
        Assert.True(await Queue.CompleteAsync(a1, Token));
        Assert.Equal("a2", await ReceiveIdAsync(Sessions));
    }

    [Fact]
    public async Task A_message_given_back_keeps_its_place_in_its_session()
    {
        await SendAsync(Sessions, "a1", "a");
        await SendAsync(Sessions, "a2", "a");

        Assert.True(await Queue.AbandonAsync(await ReceiveAsync(Sessions), "again", Token));

        var again = await ReceiveAsync(Sessions);
        Assert.Equal(("a1", 2), IdAndCount(again));
        Assert.True(await Queue.CompleteAsync(again, Token));
        Assert.Equal("a2", await ReceiveIdAsync(Sessions));
    }

    [Fact]
    public async Task Concurrent_senders_and_receivers_keep_every_session_in_order()
    {
        const int sessions = 8;
        const int each = 25;
        List<string>[] received = [.. Enumerable.Range(0, sessions).Select(_ => new List<string>())];
        var left = sessions * each;
        using var done = CancellationTokenSource.CreateLinkedTokenSource(Token);

        var receivers = Enumerable.Range(0, 16).Select(_ => Task.Run(ReceiveAllAsync, Token)).ToArray();
        await Task.WhenAll(Enumerable.Range(0, sessions).Select(s => Task.Run(() => SendAllAsync(s), Token)));
        await Task.WhenAll(receivers).WaitAsync(Patience, Token);

        Assert.All(received, list => Assert.Equal(Enumerable.Range(0, each).Select(i => $"{i}"), list));

        async Task SendAllAsync(int session)
        {
            for (var i = 0; i < each; i++)
            {
                await SendAsync(Sessions, $"{session}/{i}", $"{session}");
            }
        }

        async Task ReceiveAllAsync()
        {
            try
            {
                while (true)
                {
                    var message = await Queue.ReceiveAsync(Sessions, done.Token);
                    var parts = message.Message.MessageId.Split('/');
                    received[int.Parse(parts[0], System.Globalization.CultureInfo.InvariantCulture)].Add(parts[1]);
                    Assert.True(await Queue.CompleteAsync(message, Token));
                    if (Interlocked.Decrement(ref left) == 0)
                    {
                        await done.CancelAsync();
                    }
                }
            }
            catch (OperationCanceledException) when (done.IsCancellationRequested)
            {
                Assert.Equal(0, left);
            }
        }
    }

    // ---- delay ----

    [Fact]
    public async Task A_scheduled_message_waits_for_its_time_and_blocks_nobody()
    {
        var due = Start.AddHours(30);
        await SendAsync(Sessions, "later", "a", due);
        await SendAsync(Sessions, "now", "a");

        var now = await ReceiveAsync(Sessions);
        Assert.Equal("now", now.Message.MessageId);
        Assert.True(await Queue.CompleteAsync(now, Token));
        var later = ReceiveAsync(Sessions);
        Time.Advance(TimeSpan.FromHours(29));
        await SendAsync(Sessions, "between", "a");
        var between = await later;
        Assert.Equal("between", between.Message.MessageId);
        Assert.True(await Queue.CompleteAsync(between, Token));

        later = ReceiveAsync(Sessions);
        Time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(("later", due), ((await later).Message.MessageId, (await later).Message.EnqueuedAt));
    }

    [Fact]
    public async Task A_message_takes_its_place_in_its_session_when_it_becomes_due()
    {
        await SendAsync(Sessions, "second", "a", Start.AddMinutes(2));
        await SendAsync(Sessions, "first", "a", Start.AddMinutes(1));
        Time.Advance(TimeSpan.FromMinutes(3));
        await SendAsync(Sessions, "third", "a");

        foreach (var expected in (string[])["first", "second", "third"])
        {
            var message = await ReceiveAsync(Sessions);
            Assert.Equal(expected, message.Message.MessageId);
            Assert.True(await Queue.CompleteAsync(message, Token));
        }
    }

    [Fact]
    public async Task A_time_that_has_passed_means_now()
    {
        await SendAsync(Plain, "m", null, Start.AddMinutes(-1));

        Assert.Equal(Start, (await ReceiveAsync(Plain)).Message.EnqueuedAt);
    }

    // ---- duplicates ----

    [Fact]
    public async Task A_message_id_is_taken_once_within_the_window()
    {
        await SendAsync(Plain, ["m", "m", "n"]);
        Time.Advance(Plain.DuplicateDetection - TimeSpan.FromTicks(1));
        await SendAsync(Plain, ["m", "last"]);

        Assert.Equal(["m", "n", "last"], [await ReceiveIdAsync(Plain), await ReceiveIdAsync(Plain), await ReceiveIdAsync(Plain)]);
    }

    [Fact]
    public async Task A_completed_or_scheduled_message_still_counts_as_sent()
    {
        await SendAsync(Plain, "done");
        Assert.True(await Queue.CompleteAsync(await ReceiveAsync(Plain), Token));
        await SendAsync(Plain, "scheduled", null, Start.AddHours(1));

        await SendAsync(Plain, ["done", "scheduled", "new"]);

        var fresh = await ReceiveAsync(Plain);
        Assert.Equal("new", fresh.Message.MessageId);
        Assert.True(await Queue.CompleteAsync(fresh, Token));
        var next = ReceiveAsync(Plain);
        Time.Advance(TimeSpan.FromHours(1));
        var scheduled = await next;
        Assert.Equal(("scheduled", Start.AddHours(1)), (scheduled.Message.MessageId, scheduled.Message.EnqueuedAt));
    }

    [Fact]
    public async Task A_message_id_is_free_again_after_the_window_and_in_another_queue()
    {
        await SendAsync(Plain, "m");
        await SendAsync(Sessions, "m", "s");
        Time.Advance(Plain.DuplicateDetection);
        await SendAsync(Plain, "m");

        Assert.Equal(["m", "m"], [await ReceiveIdAsync(Plain), await ReceiveIdAsync(Plain)]);
        Assert.Equal("m", await ReceiveIdAsync(Sessions));
    }

    [Fact]
    public async Task Duplicates_are_known_after_a_restart()
    {
        await SendAsync(Plain, "m");
        await RestartAsync();

        await SendAsync(Plain, ["m", "n"]);

        Assert.Equal(["m", "n"], [await ReceiveIdAsync(Plain), await ReceiveIdAsync(Plain)]);
    }

    // ---- locks ----

    [Fact]
    public async Task A_lock_that_runs_out_gives_the_message_to_the_next_receiver()
    {
        await SendAsync(Sessions, "m", "s");
        var first = await ReceiveAsync(Sessions);
        var second = ReceiveAsync(Sessions);

        Time.Advance(Sessions.LockDuration);

        Assert.Equal(("m", 2), IdAndCount(await second));
        Assert.False(await Queue.CompleteAsync(first, Token));
        Assert.False(await Queue.AbandonAsync(first, "late", Token));
        Assert.False(await Queue.RenewAsync(first, Token));
        Assert.True(await Queue.CompleteAsync(await second, Token));
    }

    [Fact]
    public async Task A_renewed_lock_holds_from_the_renewal()
    {
        await SendAsync(Sessions, "m", "s");
        var message = await ReceiveAsync(Sessions);
        for (var i = 0; i < 5; i++)
        {
            Time.Advance(Sessions.LockDuration - TimeSpan.FromSeconds(1));
            Assert.True(await Queue.RenewAsync(message, Token));
        }

        Time.Advance(Sessions.LockDuration - TimeSpan.FromTicks(1));
        Assert.True(await Queue.CompleteAsync(message, Token));
        Assert.False(await Queue.CompleteAsync(message, Token));
    }

    [Fact]
    public async Task Of_two_who_complete_one_lock_one_succeeds()
    {
        await SendAsync(Plain, "m");
        var message = await ReceiveAsync(Plain);

        var results = await Task.WhenAll(Queue.CompleteAsync(message, Token), Queue.CompleteAsync(message, Token));

        Assert.Single(results, done => done);
    }

    [Fact]
    public async Task A_restart_frees_the_locks_and_keeps_the_counts_and_the_order()
    {
        await SendAsync(Sessions, "a1", "a");
        await SendAsync(Sessions, "a2", "a");
        await SendAsync(Sessions, "later", "b", Start.AddHours(1));
        var held = await ReceiveAsync(Sessions);

        await RestartAsync();
        await SendAsync(Sessions, "a3", "a");

        Assert.False(await Queue.CompleteAsync(held, Token));
        foreach (var expected in new[] { ("a1", 2), ("a2", 1), ("a3", 1) })
        {
            var message = await ReceiveAsync(Sessions);
            Assert.Equal(expected, IdAndCount(message));
            Assert.True(await Queue.CompleteAsync(message, Token));
        }

        var later = ReceiveAsync(Sessions);
        Time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(("later", 1), IdAndCount(await later));
    }

    [Fact]
    public async Task What_was_completed_does_not_come_back_after_a_restart()
    {
        await SendAsync(Plain, ["a", "b"]);
        Assert.True(await Queue.CompleteAsync(await ReceiveAsync(Plain), Token));

        await RestartAsync();

        Assert.Equal("b", await ReceiveIdAsync(Plain));
    }

    // ---- dead letters ----

    [Fact]
    public async Task A_message_given_back_too_often_is_dead_lettered_with_the_last_reason()
    {
        await SendAsync(Sessions, "bad", "s");
        await SendAsync(Sessions, "good", "s");
        for (var i = 1; i <= Sessions.MaxDeliveryCount; i++)
        {
            var message = await ReceiveAsync(Sessions);
            Assert.Equal(("bad", i), IdAndCount(message));
            Assert.True(await Queue.AbandonAsync(message, $"reason {i}", Token));
        }

        Assert.Equal("good", await ReceiveIdAsync(Sessions));
        var dead = Assert.Single(await Queue.ReadDeadLettersAsync(Sessions, 10, Token));
        Assert.Equal(("bad", "s", 3, "reason 3", Start), (dead.Message.MessageId, dead.Message.SessionId, dead.Message.DeliveryCount, dead.Reason, dead.At));
        Assert.Equal("{}", Encoding.UTF8.GetString(dead.Message.Body.Span));
    }

    [Fact]
    public async Task A_message_whose_last_lock_runs_out_is_dead_lettered()
    {
        await SendAsync(Sessions, "bad", "s");
        await SendAsync(Sessions, "good", "s");
        for (var i = 1; i <= Sessions.MaxDeliveryCount; i++)
        {
            Assert.Equal(("bad", i), IdAndCount(await ReceiveAsync(Sessions)));
            Time.Advance(Sessions.LockDuration);
        }

        Assert.Equal("good", await ReceiveIdAsync(Sessions));
        Assert.Equal("bad", Assert.Single(await Queue.ReadDeadLettersAsync(Sessions, 10, Token)).Message.MessageId);
    }

    [Fact]
    public async Task A_message_that_kills_its_process_each_time_is_dead_lettered()
    {
        await SendAsync(Sessions, "killer", "s");
        for (var i = 1; i <= Sessions.MaxDeliveryCount; i++)
        {
            Assert.Equal(("killer", i), IdAndCount(await ReceiveAsync(Sessions)));
            await RestartAsync();
        }

        var dead = Assert.Single(await Queue.ReadDeadLettersAsync(Sessions, 10, Token));
        Assert.Equal("killer", dead.Message.MessageId);
        await SendAsync(Sessions, "next", "s");
        Assert.Equal("next", await ReceiveIdAsync(Sessions));
    }

    [Fact]
    public async Task Dead_letters_come_oldest_first_and_by_queue()
    {
        await SendAsync(Plain, ["a", "b", "c"]);
        for (var i = 0; i < 3 * Plain.MaxDeliveryCount; i++)
        {
            Assert.True(await Queue.AbandonAsync(await ReceiveAsync(Plain), "bad", Token));
        }

        var letters = await Queue.ReadDeadLettersAsync(Plain, 2, Token);
        Assert.Equal(["a", "b"], letters.Select(d => d.Message.MessageId));
        await Queue.RemoveDeadLetterAsync(letters[0], Plain, Token);
        await Queue.RemoveDeadLetterAsync(letters[0], Plain, Token);
        Assert.Equal("b", (await Queue.ReadDeadLettersAsync(Plain, 1, Token))[0].Message.MessageId);
        Assert.Empty(await Queue.ReadDeadLettersAsync(Sessions, 10, Token));
    }

    // ---- refusals ----

    public static TheoryData<string> RefusedNames => [.. Refused.Keys];

    private static Dictionary<string, (QueueDefinition Queue, OutgoingMessage Message)> Refused { get; } = new(StringComparer.Ordinal)
    {
        ["no session where one is needed"] = (Sessions, Message("m")),
        ["empty session"] = (Plain, Message("m", "")),
        ["long session"] = (Sessions, Message("m", new string('s', 129))),
        ["empty id"] = (Plain, Message("")),
        ["long id"] = (Plain, Message(new string('m', 129))),
        ["body that is not UTF-8"] = (Plain, Message("m") with { Body = new byte[] { 0xFF } }),
        ["long body"] = (Plain, Message("m") with { Body = new byte[256 * 1024] }),
        ["long subject"] = (Plain, Message("m") with { Body = new byte[200 * 1024], Subject = new string('s', 60 * 1024) }),
    };

    [Theory]
    [MemberData(nameof(RefusedNames))]
    public async Task A_message_that_breaks_a_limit_is_refused_with_all_that_go_with_it(string name)
    {
        var (queue, message) = Refused[name];

        await Assert.ThrowsAnyAsync<ArgumentException>(() => Queue.SendAsync(queue, [Message("before", "s"), message], Token));
        await Queue.SendAsync(queue, [Message("after", "s")], Token);

        Assert.Equal("after", await ReceiveIdAsync(queue));
    }

    [Fact]
    public async Task A_message_may_be_as_large_as_the_limits_allow()
    {
        var largest = Message(new string('m', 128), new string('s', 128)) with { Body = Encoding.ASCII.GetBytes(new string('x', 255 * 1024 - 512)) };
        await Queue.SendAsync(Sessions, [largest], Token);

        Assert.Equal(largest.Body.Length, (await ReceiveAsync(Sessions)).Message.Body.Length);
    }

    // ---- helpers ----

    protected static OutgoingMessage Message(string id, string? session = null, DateTimeOffset? at = null) =>
        new() { MessageId = id, SessionId = session, EnqueueAt = at, Body = "{}"u8.ToArray() };

    protected Task SendAsync(QueueDefinition queue, string id, string? session = null, DateTimeOffset? at = null) =>
        Queue.SendAsync(queue, [Message(id, session, at)], Token);

    protected Task SendAsync(QueueDefinition queue, string[] ids) => Queue.SendAsync(queue, [.. ids.Select(id => Message(id))], Token);

    protected Task<LockedMessage> ReceiveAsync(QueueDefinition queue) => Queue.ReceiveAsync(queue, Token).WaitAsync(Patience, Token);

    protected async Task RestartAsync() => _queue = await KillAndRestartAsync();

    private async Task<string> ReceiveIdAsync(QueueDefinition queue) => (await ReceiveAsync(queue)).Message.MessageId;

    private static (string, int) IdAndCount(LockedMessage message) => (message.Message.MessageId, message.Message.DeliveryCount);
}
