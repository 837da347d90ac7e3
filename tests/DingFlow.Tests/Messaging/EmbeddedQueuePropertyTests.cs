using CsCheck;
using DingFlow.Messaging;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Messaging;

/// <summary>Random histories of the embedded queue, step by step against a model that is too simple to be wrong.</summary>
public sealed class EmbeddedQueuePropertyTests
{
    private static readonly QueueDefinition Sessions = new("sessions", true, TimeSpan.FromHours(1), TimeSpan.FromSeconds(30), 3);

    private enum Act
    {
        Send,
        SendLater,
        SendAgain,
        Receive,
        Complete,
        Abandon,
        Renew,
        Wait,
        Kill,
    }

    [Fact]
    public async Task Any_history_keeps_order_loses_nothing_and_completes_once()
    {
        var step = Gen.Select(
            Gen.Frequency(
                (5, Gen.Const(Act.Send)), (2, Gen.Const(Act.SendLater)), (1, Gen.Const(Act.SendAgain)), (7, Gen.Const(Act.Receive)),
                (4, Gen.Const(Act.Complete)), (3, Gen.Const(Act.Abandon)), (1, Gen.Const(Act.Renew)), (3, Gen.Const(Act.Wait)), (1, Gen.Const(Act.Kill))),
            Gen.Int[0, 99]);

        await step.List[1, 60].SampleAsync(
            async history =>
            {
                using var run = new Run();
                foreach (var (act, choice) in history)
                {
                    await run.StepAsync(act, choice);
                }

                await run.DrainAsync();
            },
            iter: 60,
            threads: 1);
    }

    /// <summary>A message as the model sees it.</summary>
    private sealed class Model(string id, string session, DateTimeOffset visibleAt, int number)
    {
        public string Id { get; } = id;

        public string Session { get; } = session;

        public (DateTimeOffset, int) Order { get; } = (visibleAt, number);

        public DateTimeOffset VisibleAt { get; } = visibleAt;

        public int Deliveries { get; set; }

        public DateTimeOffset? LockedUntil { get; set; }

        public bool Completed { get; set; }

        public bool Dead { get; set; }

        public bool Lives => !Completed && !Dead;
    }

    private sealed class Run : IDisposable
    {
        private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 11, 22, 1, 0, 0, TimeSpan.Zero));
        private readonly List<EmbeddedProcess> _processes = [];
        private readonly List<Model> _messages = [];
        private readonly List<(LockedMessage Lock, Model Model, int Process)> _received = [];

        public Run() => _processes.Add(new EmbeddedProcess(new DataDirectory(), _time));

        private static CancellationToken Token => TestContext.Current.CancellationToken;

        private EmbeddedQueue Queue => _processes[^1].Queue;

        private DateTimeOffset Now => _time.GetUtcNow();

        public async Task StepAsync(Act act, int choice)
        {
            switch (act)
            {
                case Act.Send:
                    await SendAsync($"s{choice % 3}", Now, null);
                    break;
                case Act.SendLater:
                    await SendAsync($"s{choice % 3}", Now.AddSeconds(1 + choice), Now.AddSeconds(1 + choice));
                    break;
                case Act.SendAgain when _messages.Count > 0:
                    var sent = _messages[choice % _messages.Count];
                    await Queue.SendAsync(Sessions, [new() { MessageId = sent.Id, SessionId = sent.Session, Body = "{}"u8.ToArray() }], Token);
                    break;
                case Act.Receive when Deliverable().Count > 0:
                    await ReceiveAsync();
                    break;
                case Act.Complete when _received.Count > 0:
                    await CompleteAsync(choice);
                    break;
                case Act.Abandon when _received.Count > 0:
                    await AbandonAsync(choice);
                    break;
                case Act.Renew when _received.Count > 0:
                    await RenewAsync(choice);
                    break;
                case Act.Wait:
                    _time.Advance(TimeSpan.FromSeconds(1 + (choice % 40)));
                    Expire(Now);
                    break;
                case Act.Kill:
                    _processes.Add(_processes[^1].KillAndRestart());
                    Expire(DateTimeOffset.MaxValue);
                    break;
            }
        }

        /// <summary>Everything that was sent and not completed or dead comes out, in order, and is completed once.</summary>
        public async Task DrainAsync()
        {
            _time.Advance(TimeSpan.FromMinutes(10));
            Expire(Now);
            while (Deliverable().Count > 0)
            {
                await ReceiveAsync();
                await CompleteAsync(_received.Count - 1);
            }

            Assert.DoesNotContain(_messages, message => message.Lives);
            Assert.Equal(
                _messages.Where(m => m.Dead).Select(m => m.Id).Order(StringComparer.Ordinal),
                (await Queue.ReadDeadLettersAsync(Sessions, 1000, Token)).Select(d => d.Message.MessageId).Order(StringComparer.Ordinal));
            var next = Queue.ReceiveAsync(Sessions, Token);
            await SendAsync("end", Now, null);
            Assert.Equal(_messages[^1].Id, (await next).Message.MessageId);
        }

        public void Dispose() => _processes.ForEach(process => process.Dispose());

        private async Task SendAsync(string session, DateTimeOffset visibleAt, DateTimeOffset? at)
        {
            var message = new Model($"m{_messages.Count}", session, visibleAt, _messages.Count);
            await Queue.SendAsync(Sessions, [new() { MessageId = message.Id, SessionId = session, EnqueueAt = at, Body = "{}"u8.ToArray() }], Token);
            _messages.Add(message);
        }

        /// <summary>The first visible message of each session that has none out.</summary>
        private List<Model> Deliverable() =>
        [
            .. _messages.Where(m => m.Lives).GroupBy(m => m.Session)
                .Where(session => session.All(m => m.LockedUntil is null))
                .Select(session => session.Where(m => m.VisibleAt <= Now).MinBy(m => m.Order))
                .OfType<Model>(),
        ];

        private async Task ReceiveAsync()
        {
            var received = await Queue.ReceiveAsync(Sessions, Token).WaitAsync(TimeSpan.FromSeconds(30), Token);
            var model = Assert.Single(Deliverable(), m => m.Id == received.Message.MessageId);
            model.Deliveries++;
            model.LockedUntil = Now + Sessions.LockDuration;
            Assert.Equal(
                (model.Session, model.Deliveries, (DateTimeOffset?)model.VisibleAt, model.LockedUntil),
                (received.Message.SessionId, received.Message.DeliveryCount, received.Message.EnqueuedAt, (DateTimeOffset?)received.LockedUntil));
            _received.Add((received, model, _processes.Count));
        }

        private async Task CompleteAsync(int choice)
        {
            var (held, model, valid) = Pick(choice);
            Assert.Equal(valid, await Queue.CompleteAsync(held, Token));
            if (valid)
            {
                Assert.False(model.Completed);
                model.Completed = true;
                model.LockedUntil = null;
            }
        }

        private async Task AbandonAsync(int choice)
        {
            var (held, model, valid) = Pick(choice);
            Assert.Equal(valid, await Queue.AbandonAsync(held, "given back", Token));
            if (valid)
            {
                model.LockedUntil = null;
                model.Dead = model.Deliveries >= Sessions.MaxDeliveryCount;
            }
        }

        private async Task RenewAsync(int choice)
        {
            var (held, model, valid) = Pick(choice);
            Assert.Equal(valid, await Queue.RenewAsync(held, Token));
            if (valid)
            {
                model.LockedUntil = Now + Sessions.LockDuration;
            }
        }

        /// <summary>One of the messages received so far, and whether its lock still counts: same process, the latest delivery, not run out.</summary>
        private (LockedMessage Held, Model Model, bool Valid) Pick(int choice)
        {
            var (held, model, process) = _received[choice % _received.Count];
            return (held, model, process == _processes.Count && model.LockedUntil is not null && model.Deliveries == held.Message.DeliveryCount);
        }

        private void Expire(DateTimeOffset now)
        {
            foreach (var message in _messages.Where(m => m.LockedUntil <= now))
            {
                message.LockedUntil = null;
                message.Dead = message.Deliveries >= Sessions.MaxDeliveryCount;
            }
        }
    }
}
