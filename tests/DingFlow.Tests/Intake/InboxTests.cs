using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Intake;

public sealed class InboxTests : IAsyncDisposable
{
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 22, 1, 0, 0, TimeSpan.Zero));
    private readonly TestQueue _queue = new();
    private readonly TestAlerts _alerts = new();
    private readonly TestGate _gate = new();
    private readonly TestStore _store;
    private readonly Inbox _inbox;

    public InboxTests()
    {
        _store = new TestStore(_time);
        _inbox = Open(Key(1));
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        _queue.Resume();
        await _inbox.DisposeAsync();
        _store.Dispose();
    }

    [Fact]
    public async Task The_message_refers_to_the_work_item_and_names_the_persons_session()
    {
        var receipt = await AcceptAsync(Delivery("id-1", Person("E1")));

        var message = Assert.Single(_queue.Offboarding);
        var body = OffboardingMessage.Parse(message.Body.Span);
        Assert.Equal(new InboxReference(receipt.DeliveryId[..1], receipt.DeliveryId, 0), body.Delivery);
        Assert.Equal(0, body.Generation);
        Assert.Equal($"delivery-{receipt.DeliveryId}-0-0", message.MessageId);
    }

    [Fact]
    public async Task One_person_of_one_source_has_one_session_however_written()
    {
        await AcceptAsync(Delivery("1", Person("E1")));
        await AcceptAsync(Delivery("2", Person("E1") with { Email = "x@y.example" }));
        await AcceptAsync(Delivery("3", Person("E2")));
        await AcceptAsync(Delivery("4", Person(null) with { Email = "A@y.example" }));
        await AcceptAsync(Delivery("5", Person(null) with { Email = "a@y.example" }));

        var sessions = _queue.Offboarding.Select(static message => message.SessionId).ToList();

        Assert.Equal(sessions[0], sessions[1]);
        Assert.NotEqual(sessions[0], sessions[2]);
        Assert.Equal(sessions[3], sessions[4]);
    }

    [Fact]
    public async Task The_same_id_from_another_source_is_another_delivery()
    {
        var first = await AcceptAsync(Delivery("id-1", Person("E1")));
        var second = await AcceptAsync(Delivery("id-1", Person("E1")) with { Source = "hr/other" });

        Assert.NotEqual(first.DeliveryId, second.DeliveryId);
        Assert.False(second.Duplicate);
    }

    [Fact]
    public async Task Without_an_id_time_and_body_stand_in()
    {
        var delivery = Delivery(null, Person("E1"));

        Assert.False((await AcceptAsync(delivery)).Duplicate);
        Assert.True((await AcceptAsync(delivery)).Duplicate);
        Assert.False((await AcceptAsync(delivery with { EventTime = _time.GetUtcNow() })).Duplicate);
        Assert.False((await AcceptAsync(delivery with { Body = "other"u8.ToArray() })).Duplicate);
        Assert.Empty(_alerts.Sent);
    }

    [Fact]
    public async Task Of_two_at_the_same_time_one_is_the_duplicate()
    {
        var delivery = Delivery("id-1", Person("E1"));

        var receipts = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() => AcceptAsync(delivery), Token)));

        Assert.Single(receipts, static receipt => !receipt.Duplicate);
        Assert.Single(receipts.Select(static receipt => receipt.DeliveryId).Distinct());
        Assert.Single(_queue.Offboarding);
    }

    [Fact]
    public async Task A_complete_item_is_no_longer_read_or_swept_and_completing_again_does_nothing()
    {
        await AcceptAsync(Delivery("id-1", Person("E1")));
        var reference = OffboardingMessage.Parse(_queue.Offboarding[0].Body.Span).Delivery!;
        Assert.NotNull(await _inbox.ReadAsync(reference, Token));

        await _inbox.CompleteAsync(reference, Token);
        await _inbox.CompleteAsync(reference, Token);
        _time.Advance(TimeSpan.FromHours(1));

        Assert.Null(await _inbox.ReadAsync(reference, Token));
        Assert.Equal(0, await _inbox.SweepAsync(Token));
        Assert.Empty(_alerts.Sent);
    }

    [Fact]
    public async Task An_unknown_item_is_none() =>
        Assert.Null(await _inbox.ReadAsync(new InboxReference("0", new string('0', 32), 0), Token));

    [Fact]
    public async Task The_sweep_leaves_fresh_items_alone_and_raises_the_generation_of_old_ones()
    {
        await AcceptAsync(Delivery("id-1", Person("E1")));

        _time.Advance(InboxTiming.SweepAfter - TimeSpan.FromSeconds(1));
        Assert.Equal(0, await _inbox.SweepAsync(Token));
        _time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(1, await _inbox.SweepAsync(Token));
        Assert.Equal(0, await _inbox.SweepAsync(Token));

        Assert.Equal([0, 1], _queue.Offboarding.Select(static message => OffboardingMessage.Parse(message.Body.Span).Generation));
        Assert.Equal(_queue.Offboarding[0].SessionId, _queue.Offboarding[1].SessionId);
    }

    [Fact]
    public async Task Each_repetition_waits_twice_as_long()
    {
        await AcceptAsync(Delivery("id-1", Person("E1")));
        var swept = new List<double>();
        var start = _time.GetUtcNow();
        for (var sweep = 1; sweep <= 40; sweep++)
        {
            _time.Advance(TimeSpan.FromSeconds(30));
            if (await _inbox.SweepAsync(Token) > 0)
            {
                swept.Add((_time.GetUtcNow() - start).TotalMinutes);
            }
        }

        Assert.Equal([0.5, 1.5, 3.5, 7.5, 15.5], swept);
    }

    [Fact]
    public async Task While_the_queue_is_down_sweeps_change_nothing_and_afterwards_everything_is_sent()
    {
        _queue.IsDown = true;
        await AcceptAsync(Delivery("id-1", Person("E1")));
        await AcceptAsync(Delivery("id-2", Person("E2")));
        _time.Advance(TimeSpan.FromMinutes(10));
        Assert.Equal(0, await _inbox.SweepAsync(Token));
        _queue.IsDown = false;

        Assert.Equal(2, await _inbox.SweepAsync(Token));

        Assert.Equal([1, 1], _queue.Offboarding.Select(static message => OffboardingMessage.Parse(message.Body.Span).Generation));
    }

    [Fact]
    public async Task What_waits_for_a_quarter_of_an_hour_is_told_once()
    {
        await AcceptAsync(Delivery("id-1", Person("E1")));
        await AcceptAsync(Delivery("id-2", Person("E2")));
        _time.Advance(TimeSpan.FromMinutes(14));
        await _inbox.SweepAsync(Token);
        Assert.Empty(_alerts.Sent);

        _time.Advance(TimeSpan.FromMinutes(1));
        await _inbox.SweepAsync(Token);
        var told = _alerts.Sent.Count;
        _time.Advance(TimeSpan.FromHours(5));
        await _inbox.SweepAsync(Token);

        Assert.InRange(told, 1, 2);
        Assert.Equal(told, _alerts.Sent.Count);
        Assert.All(_alerts.Sent, static alert => Assert.Equal(("intake.stuck", "hr/acme"), (alert.Type, alert.About)));
    }

    [Fact]
    public async Task Held_deliveries_wait_and_go_on_when_they_are_not_held_any_more()
    {
        _gate.Held = "hr/acme";
        var receipt = await AcceptAsync(Delivery("id-1", Person("E1")));
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(0, await _inbox.SweepAsync(Token));
        Assert.Equal(0, _queue.Calls);
        Assert.Empty(_alerts.Sent);

        _gate.Held = null;
        Assert.Equal(1, await _inbox.SweepAsync(Token));

        Assert.Equal(receipt.DeliveryId, OffboardingMessage.Parse(Assert.Single(_queue.Offboarding).Body.Span).Delivery!.Row);
    }

    [Fact]
    public async Task The_answer_waits_300_milliseconds_for_the_queue_and_no_longer()
    {
        _queue.Stall();
        var accepting = _inbox.AcceptAsync(Delivery("id-1", Person("E1")), Token);
        await UntilAsync(() => _queue.Calls == 1);
        await AdvanceUntilDoneAsync(accepting, InboxTiming.EnqueueBudget);

        Assert.False((await accepting).Duplicate);
        Assert.Empty(_queue.Offboarding);

        _queue.Resume();
        await _inbox.DisposeAsync();
        Assert.Single(_queue.Offboarding);
    }

    [Fact]
    public async Task A_stop_gives_up_on_a_queue_that_hangs_and_the_sweeper_of_the_next_start_sends()
    {
        _queue.Stall();
        var accepting = _inbox.AcceptAsync(Delivery("id-1", Person("E1")), Token);
        await UntilAsync(() => _queue.Calls == 1);
        await AdvanceUntilDoneAsync(accepting, InboxTiming.EnqueueBudget);
        var stopping = _inbox.DisposeAsync().AsTask();
        await AdvanceUntilDoneAsync(stopping, TimeSpan.FromSeconds(5));
        await _inbox.DisposeAsync();
        _queue.Resume();
        _time.Advance(InboxTiming.SweepAfter);

        await using var next = Open(Key(1));
        Assert.Equal(1, await next.SweepAsync(Token));

        Assert.Single(_queue.Offboarding);
    }

    [Fact]
    public async Task A_lost_alert_on_a_reused_id_is_sent_by_the_sweep()
    {
        await AcceptAsync(Delivery("id-1", Person("E1")));
        _queue.IsDown = true;
        await AcceptAsync(Delivery("id-1", Person("E2")));
        Assert.Empty(_alerts.Sent);
        _queue.IsDown = false;
        _time.Advance(InboxTiming.SweepAfter);

        await _inbox.SweepAsync(Token);

        Assert.Equal("intake.delivery_id_reused", Assert.Single(_alerts.Sent).Type);
    }

    [Fact]
    public async Task When_the_store_is_down_nothing_is_enqueued()
    {
        _store.IsDown = true;

        await Assert.ThrowsAsync<EntityStoreException>(() => AcceptAsync(Delivery("id-1", Person("E1"))));

        Assert.Equal(0, _queue.Calls);
    }

    [Fact]
    public async Task A_later_enqueueing_belongs_to_the_trace_of_the_delivery()
    {
        using var activity = new Activity("webhook").Start();
        await AcceptAsync(Delivery("id-1", Person("E1")));
        var trace = activity.Id;
        activity.Stop();
        _time.Advance(InboxTiming.SweepAfter);

        await _inbox.SweepAsync(Token);

        Assert.Equal([trace, trace], _queue.Offboarding.Select(static message => message.TraceParent));
    }

    [Fact]
    public async Task The_key_before_is_still_read_and_one_that_is_gone_is_not()
    {
        await AcceptAsync(Delivery("id-1", Person("E1")));
        var reference = OffboardingMessage.Parse(_queue.Offboarding[0].Body.Span).Delivery!;

        await using var rotated = Open(Key(2), previous: Key(1));
        await using var lost = Open(Key(2));

        Assert.Equal("E1", (await rotated.ReadAsync(reference, Token))!.Events[0].EmployeeId);
        await Assert.ThrowsAsync<CryptographicException>(() => lost.ReadAsync(reference, Token));
    }

    [Fact]
    public async Task A_delivery_changed_in_the_store_does_not_open()
    {
        await AcceptAsync(Delivery("id-1", Person("E1")));
        var reference = OffboardingMessage.Parse(_queue.Offboarding[0].Body.Span).Delivery!;
        var row = (await _store.GetAsync("Inbox", reference.Partition, $"d|{reference.Row}", Token))!;
        row.Properties.Require<byte[]>("C0")[^1] ^= 1;
        Assert.True((await _store.SubmitAsync(EntityTransaction.Of("Inbox", EntityOperation.Replace(row)), Token)).Committed);

        await Assert.ThrowsAnyAsync<CryptographicException>(() => _inbox.ReadAsync(reference, Token));
    }

    [Fact]
    public async Task The_largest_delivery_fits_and_comes_back()
    {
        var people = Enumerable.Range(0, Inbox.MaxEvents).Select(n => Person($"E{n}") with { Reason = new string('x', 200) }).ToArray();
        var body = new byte[Inbox.MaxBodyBytes];
        new Random(7).NextBytes(body);

        await AcceptAsync(Delivery("id-1", people) with { Body = body });

        var read = new List<PersonEvent>();
        foreach (var message in _queue.Offboarding)
        {
            read.AddRange((await _inbox.ReadAsync(OffboardingMessage.Parse(message.Body.Span).Delivery!, Token))!.Events);
        }

        Assert.Equal(80, _queue.Offboarding.Count);
        Assert.Equal(people, read);
        await Assert.ThrowsAsync<ArgumentOutOfRangeException>(() => AcceptAsync(Delivery("id-2", [.. people, Person("one more")])));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(80)]
    [InlineData(200)]
    [InlineData(3999)]
    public async Task Work_of_two_queues_never_shares_a_message(int leavers)
    {
        var people = Enumerable.Range(0, leavers).Select(n => Person($"E{n}")).ToArray();
        var received = Person("E0") with { Kind = PersonEventKind.Received };

        await AcceptAsync(Delivery("id-1", [.. people, received]));

        var read = new List<PersonEvent>();
        foreach (var message in _queue.Offboarding)
        {
            read.AddRange((await _inbox.ReadAsync(OffboardingMessage.Parse(message.Body.Span).Delivery!, Token))!.Events);
        }

        Assert.Equal(people, read);
        var counted = Assert.Single(_queue.Of(Queues.Transfers));
        Assert.Equal([received], (await _inbox.ReadAsync(OffboardingMessage.Parse(counted.Body.Span).Delivery!, Token))!.Events);
    }

    [Fact]
    public async Task Pruning_removes_complete_deliveries_past_their_retention_and_nothing_else()
    {
        await AcceptAsync(Delivery("done", Person("E1")));
        await AcceptAsync(Delivery("no work"));
        await AcceptAsync(Delivery("pending", Person("E2")));
        await _inbox.CompleteAsync(OffboardingMessage.Parse(_queue.Offboarding[0].Body.Span).Delivery!, Token);
        _time.Advance(TimeSpan.FromDays(180));
        Assert.Equal(0, await _inbox.PruneAsync(Token));
        _time.Advance(TimeSpan.FromSeconds(1));
        await AcceptAsync(Delivery("young"));

        Assert.Equal(2, await _inbox.PruneAsync(Token));

        var left = await _store.AllAsync("Inbox", Token);
        Assert.Equal(2, left.Count(static row => row.RowKey.StartsWith("d|", StringComparison.Ordinal)));
        Assert.Equal(2, left.Count(static row => row.RowKey.StartsWith("t|", StringComparison.Ordinal)));
        Assert.Single(left, static row => row.RowKey.StartsWith("p|", StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_delivery_that_is_replayed_while_it_is_being_pruned_stays_with_its_work()
    {
        var receipt = await AcceptAsync(Delivery("old", Person("E1")));
        await _inbox.CompleteAsync(OffboardingMessage.Parse(_queue.Offboarding[0].Body.Span).Delivery!, Token);
        _time.Advance(TimeSpan.FromDays(181));
        _store.BeforeNextMany = () => _inbox.ReplayAsync(receipt.DeliveryId, [Person("E1")], "key:ops", "needed once more", Token);

        Assert.Equal(0, await _inbox.PruneAsync(Token));

        var work = await _inbox.ReadAsync(OffboardingMessage.Parse(_queue.Offboarding[^1].Body.Span).Delivery!, Token);
        Assert.Equal("E1", Assert.Single(work!.Events).EmployeeId);
    }

    private static PersonEvent Person(string? employeeId) => new() { Kind = PersonEventKind.Terminated, Source = "hr/acme", EmployeeId = employeeId };

    private static InboxDelivery Delivery(string? senderId, params PersonEvent[] events) => new()
    {
        Source = "hr/acme",
        SenderId = senderId,
        Body = Encoding.UTF8.GetBytes($"body of {string.Join(',', events.Select(static person => person.EmployeeId))}"),
        Events = events,
    };

    private static byte[] Key(byte value) => [.. Enumerable.Repeat(value, 32)];

    private Inbox Open(byte[] key, byte[]? previous = null) => new(
        _store, new TestTrail(_store), new AuditPseudonyms(key), _queue, _alerts, _gate,
        new InboxOptions { EncryptionKey = key, PreviousEncryptionKey = previous },
        _time, NullLogger<Inbox>.Instance);

    private Task<InboxReceipt> AcceptAsync(InboxDelivery delivery) => _inbox.AcceptAsync(delivery, Token);

    /// <summary>Waits for something that other threads bring about, for at most half a minute.</summary>
    private static async Task UntilAsync(Func<bool> condition)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(Token);
        limit.CancelAfter(TimeSpan.FromSeconds(30));
        while (!condition())
        {
            limit.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    /// <summary>The wait may begin after the clock was moved once: it is moved until the wait is over.</summary>
    private async Task AdvanceUntilDoneAsync(Task task, TimeSpan step)
    {
        await UntilAsync(() =>
        {
            _time.Advance(step);
            return task.IsCompleted;
        });
        await task;
    }

    private sealed class TestAlerts : IAlertSender
    {
        public List<AlertMessage> Sent { get; } = [];

        public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
        {
            Sent.Add(alert);
            return Task.CompletedTask;
        }
    }

    private sealed class TestGate : IInboxGate
    {
        public string? Held { get; set; }

        public bool IsHeld(string source) => source == Held;

        public ValueTask<bool> IsHeldAsync(string source, CancellationToken cancellationToken) => new(IsHeld(source));
    }
}
