using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// The receiving side of one queue. Messages and their delivery counts are on disk; who holds which lock is in memory, which is why
/// the locks of a dead process need no releasing.
/// </summary>
/// <remarks>
/// A receiver that waits is served when something happens that may concern it: a send was committed, a lock was given back or ended, a
/// message became due. The two last come from a timer that is set for the earliest of them. A delivery is counted on disk before it is
/// handed out, or a message that kills its process would come back for ever; what can be delivered together is counted in one write.
/// </remarks>
internal sealed partial class EmbeddedChannel : IDisposable
{
    /// <summary>Timers take whole milliseconds and not much more than a month; a wake-up too early sets the next.</summary>
    private static readonly TimeSpan LongestSleep = TimeSpan.FromDays(1);

    private readonly QueueDefinition _queue;
    private readonly SqliteFile _file;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Lock _gate = new();
    private readonly EmbeddedBacklog _backlog;
    private readonly LinkedList<Receiver> _receivers = new();
    private readonly ITimer _timer;
    private Task? _loading;
    private bool _loaded;
    private bool _disposed;
    private long _wakeAt = long.MaxValue;

    public EmbeddedChannel(QueueDefinition queue, SqliteFile file, TimeProvider time, ILogger logger)
    {
        _queue = queue;
        _file = file;
        _time = time;
        _logger = logger;
        _backlog = new(queue);
        _timer = time.CreateTimer(static state => ((EmbeddedChannel)state!).Wake(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    private long Now => _time.GetUtcNow().UtcTicks;

    /// <summary>Reads what is on disk into memory, once, at the first use of the receiving side.</summary>
    public async Task LoadAsync(CancellationToken cancellationToken)
    {
        Task loading;
        lock (_gate)
        {
            loading = _loading is null or { IsFaulted: true } ? _loading = LoadAsync() : _loading;
        }

        await loading.WaitAsync(cancellationToken);
    }

    /// <summary>Messages were committed. Runs on the writer, in the order of sending; until the backlog is loaded it is on disk alone.</summary>
    public void Added(List<EmbeddedRow> rows)
    {
        lock (_gate)
        {
            if (_loaded)
            {
                rows.ForEach(_backlog.Add);
                Dispatch();
            }
        }
    }

    public async Task<LockedMessage> ReceiveAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var receiver = new Receiver();
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            receiver.Node = _receivers.AddLast(receiver);
            Dispatch();
        }

        // A receiver that already has a message on its way gets it: giving it back would cost the message one delivery.
        await using var registration = cancellationToken.UnsafeRegister(
            (_, token) =>
            {
                lock (_gate)
                {
                    if (receiver.Node is { } node)
                    {
                        _receivers.Remove(node);
                        receiver.Node = null;
                        receiver.Answer.TrySetCanceled(token);
                    }
                }
            },
            null);
        return await receiver.Answer.Task;
    }

    public Task<bool> CompleteAsync(LockedMessage message, CancellationToken cancellationToken) => SettleAsync(
        message, (connection, entry) => EmbeddedMessages.Delete(connection, entry.Sequence), Settled, cancellationToken);

    public Task<bool> AbandonAsync(LockedMessage message, string reason, CancellationToken cancellationToken)
    {
        lock (_gate)
        {
            Dispatch();
            if (_backlog.Find(message.SequenceNumber, message.LockToken) is not { } entry)
            {
                return Task.FromResult(false);
            }

            if (entry.Deliveries < _queue.MaxDeliveryCount)
            {
                _backlog.Release(entry);
                Dispatch();
                return Task.FromResult(true);
            }
        }

        var now = Now;
        return SettleAsync(
            message, (connection, entry) => EmbeddedMessages.DeadLetter(connection, entry.Sequence, reason, now), DeadLettered, cancellationToken);
    }

    public bool Renew(LockedMessage message)
    {
        lock (_gate)
        {
            Dispatch();
            if (_backlog.Find(message.SequenceNumber, message.LockToken) is not { } entry)
            {
                return false;
            }

            _backlog.Lock(entry, Now + _queue.LockDuration.Ticks);
            SetTimer();
            return true;
        }
    }

    /// <summary>Lets time pass, so that what has expired is on its way to the dead letters.</summary>
    public void Refresh()
    {
        lock (_gate)
        {
            Dispatch();
        }
    }

    public void Dispose()
    {
        lock (_gate)
        {
            _disposed = true;
            _timer.Dispose();
            foreach (var receiver in _receivers)
            {
                receiver.Node = null;
                receiver.Answer.TrySetException(new ObjectDisposedException(nameof(EmbeddedQueue)));
            }

            _receivers.Clear();
        }
    }

    private async Task LoadAsync() => await _file.WriteAsync(
        connection => EmbeddedMessages.Load(connection, _queue),
        rows =>
        {
            lock (_gate)
            {
                _loaded = true;
                foreach (var row in rows)
                {
                    if (row.Deliveries < _queue.MaxDeliveryCount)
                    {
                        _backlog.Add(row);
                    }
                    else
                    {
                        // Nobody else can have it, so it needs no place in the backlog while it moves.
                        _ = DeadLetterAsync(new EmbeddedEntry(row) { State = EmbeddedState.Settling }, "The process ended during the last delivery.");
                    }
                }

                Dispatch();
            }
        },
        CancellationToken.None);

    private void Wake()
    {
        lock (_gate)
        {
            if (!_disposed)
            {
                _wakeAt = long.MaxValue;
                Dispatch();
            }
        }
    }

    /// <summary>Under the gate: lets time pass, and gives what is ready to those who wait.</summary>
    private void Dispatch()
    {
        foreach (var entry in _backlog.Advance(Now))
        {
            _ = DeadLetterAsync(entry, "The lock ran out during the last delivery.");
        }

        List<Delivery>? deliveries = null;
        while (_receivers.First is { Value: var receiver } && _backlog.TryTake(out var entry))
        {
            _receivers.RemoveFirst();
            receiver.Node = null;
            (deliveries ??= []).Add(new(receiver, entry));
        }

        if (deliveries is not null)
        {
            _ = DeliverAsync(deliveries);
        }

        SetTimer();
    }

    /// <summary>Counts the deliveries on disk, then hands the messages out under their locks. Never throws: its receivers get the fault.</summary>
    private async Task DeliverAsync(List<Delivery> deliveries)
    {
        try
        {
            await _file.WriteAsync(
                connection => deliveries.ConvertAll(delivery => EmbeddedMessages.Deliver(connection, _queue, delivery.Entry.Sequence)),
                messages =>
                {
                    lock (_gate)
                    {
                        HandOut(deliveries, messages);
                    }
                },
                CancellationToken.None);
        }
#pragma warning disable CA1031 // Every receiver of the group gets it.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            lock (_gate)
            {
                foreach (var (receiver, entry) in deliveries)
                {
                    _backlog.Release(entry);
                    receiver.Answer.TrySetException(EmbeddedQueue.Translate(exception));
                }

                Dispatch();
            }
        }
    }

    private void HandOut(List<Delivery> deliveries, List<ReceivedMessage?> messages)
    {
        var until = Now + _queue.LockDuration.Ticks;
        for (var i = 0; i < deliveries.Count; i++)
        {
            var (receiver, entry) = deliveries[i];
            if (messages[i] is { } message)
            {
                var token = Guid.NewGuid();
                _backlog.Lock(entry, message.DeliveryCount, token, until);
                receiver.Answer.TrySetResult(new(message, _queue, entry.Sequence, token, new DateTimeOffset(until, TimeSpan.Zero)));
            }
            else
            {
                _backlog.Remove(entry);
                receiver.Answer.TrySetException(new MessageQueueException($"A message of the queue {_queue.Name} is gone from the file."));
            }
        }

        Dispatch();
    }

    /// <summary>Removes a locked message by a write. If the write fails, the lock stays as it was.</summary>
    private async Task<bool> SettleAsync(
        LockedMessage message,
        Func<SqliteConnection, EmbeddedEntry, bool> write,
        Action<EmbeddedEntry> committed,
        CancellationToken cancellationToken)
    {
        EmbeddedEntry? entry;
        lock (_gate)
        {
            Dispatch();
            entry = _backlog.Find(message.SequenceNumber, message.LockToken);
            if (entry is null)
            {
                return false;
            }

            entry.State = EmbeddedState.Settling;
        }

        try
        {
            return await _file.WriteAsync(connection => write(connection, entry), _ => committed(entry), cancellationToken);
        }
        catch
        {
            lock (_gate)
            {
                _backlog.Lock(entry, entry.LockedUntil);
                Dispatch();
            }

            throw;
        }
    }

    /// <summary>Dead-letters a message that nobody holds any more. Never throws: what fails is tried again after a while.</summary>
    private async Task DeadLetterAsync(EmbeddedEntry entry, string reason)
    {
        try
        {
            var now = Now;
            await _file.WriteAsync(
                connection => EmbeddedMessages.DeadLetter(connection, entry.Sequence, reason, now), _ => DeadLettered(entry), CancellationToken.None);
        }
#pragma warning disable CA1031 // There is no caller to tell; it is logged and done again.
        catch (Exception exception)
#pragma warning restore CA1031
        {
            Log.DeadLetteringFailed(_logger, exception, _queue.Name, entry.Sequence);
            lock (_gate)
            {
                entry.Token = Guid.NewGuid();
                _backlog.Lock(entry, Now + _queue.LockDuration.Ticks);
                SetTimer();
            }
        }
    }

    private void DeadLettered(EmbeddedEntry entry)
    {
        Log.DeadLettered(_logger, _queue.Name, entry.Sequence, entry.Deliveries);
        Settled(entry);
    }

    private void Settled(EmbeddedEntry entry)
    {
        lock (_gate)
        {
            _backlog.Remove(entry);
            Dispatch();
        }
    }

    private void SetTimer()
    {
        if (_disposed || _backlog.NextChange is not { } next || next >= _wakeAt)
        {
            return;
        }

        _wakeAt = next;
        var sleep = TimeSpan.FromMilliseconds(Math.Ceiling(Math.Max(0, next - Now) / (double)TimeSpan.TicksPerMillisecond));
        _timer.Change(sleep < LongestSleep ? sleep : LongestSleep, Timeout.InfiniteTimeSpan);
    }

    /// <summary>Somebody who waits for a message; <see cref="Node"/> is its place among the waiting until a message is on its way.</summary>
    private sealed class Receiver
    {
        public TaskCompletionSource<LockedMessage> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public LinkedListNode<Receiver>? Node { get; set; }
    }

    private readonly record struct Delivery(Receiver Receiver, EmbeddedEntry Entry);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Message {Sequence} of queue {Queue} is dead-lettered after {Deliveries} deliveries.")]
        public static partial void DeadLettered(ILogger logger, string queue, long sequence, int deliveries);

        [LoggerMessage(2, LogLevel.Error, "Message {Sequence} of queue {Queue} could not be dead-lettered; it is tried again.")]
        public static partial void DeadLetteringFailed(ILogger logger, Exception exception, string queue, long sequence);
    }
}
