using System.Collections.Concurrent;
using System.Threading.Channels;
using DingFlow.Messaging;

namespace DingFlow.Tests.Hosting;

/// <summary>The receiving side of a queue whose messages and failures the test decides, and which remembers what was done with them.</summary>
internal sealed class ScriptedQueue : IEmbeddedQueue
{
    private readonly Channel<LockedMessage> _messages = Channel.CreateUnbounded<LockedMessage>();
    private readonly Channel<string> _settled = Channel.CreateUnbounded<string>();
    private readonly ConcurrentQueue<Exception> _faults = new();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private long _sequence;
    private int _receiving;

    /// <summary>Nobody receives any more.</summary>
    public Task Stopped => _stopped.Task.WaitAsync(Infrastructure.DingFlowProcess.Patience);

    /// <summary>Renewals so far.</summary>
    public Channel<LockedMessage> Renewals { get; } = Channel.CreateUnbounded<LockedMessage>();

    /// <summary>Every message that is waiting to be received.</summary>
    public int Waiting => _messages.Reader.Count;

    public void Offer(QueueDefinition queue, string id, string body, int deliveryCount = 1, string? session = "s", string? traceParent = null)
    {
        var message = new ReceivedMessage
        {
            Queue = queue.Name,
            MessageId = id,
            SessionId = queue.RequiresSession ? session : null,
            DeliveryCount = deliveryCount,
            EnqueuedAt = DateTimeOffset.UnixEpoch,
            Body = System.Text.Encoding.UTF8.GetBytes(body),
            Subject = "test",
            TraceParent = traceParent,
        };
        var locked = new LockedMessage(message, queue, Interlocked.Increment(ref _sequence), Guid.NewGuid(), DateTimeOffset.MaxValue);
        Assert.True(_messages.Writer.TryWrite(locked));
    }

    /// <summary>Lets the next receive fail.</summary>
    public void Fail(Exception fault) => _faults.Enqueue(fault);

    /// <summary>What was done with the next message: <c>completed m-1</c>, or <c>abandoned m-1: reason</c>.</summary>
    public Task<string> NextSettledAsync(CancellationToken cancellationToken) =>
        _settled.Reader.ReadAsync(cancellationToken).AsTask().WaitAsync(Infrastructure.DingFlowProcess.Patience, cancellationToken);

    public async Task<LockedMessage> ReceiveAsync(QueueDefinition queue, CancellationToken cancellationToken)
    {
        if (_faults.TryDequeue(out var fault))
        {
            throw fault;
        }

        Interlocked.Increment(ref _receiving);
        try
        {
            return await _messages.Reader.ReadAsync(cancellationToken);
        }
        finally
        {
            // The receivers are cancelled one after the other: until the last of them is, one may still take a message.
            if (Interlocked.Decrement(ref _receiving) == 0 && cancellationToken.IsCancellationRequested)
            {
                _stopped.TrySetResult();
            }
        }
    }

    public Task<bool> CompleteAsync(LockedMessage message, CancellationToken cancellationToken) => Settle($"completed {message.Message.MessageId}");

    public Task<bool> AbandonAsync(LockedMessage message, string reason, CancellationToken cancellationToken) =>
        Settle($"abandoned {message.Message.MessageId}: {reason}");

    public Task<bool> RenewAsync(LockedMessage message, CancellationToken cancellationToken) => Task.FromResult(Renewals.Writer.TryWrite(message));

    public Task<IReadOnlyList<DeadLetter>> ReadDeadLettersAsync(QueueDefinition queue, int maximum, CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<DeadLetter>>([]);

    public Task RemoveDeadLetterAsync(DeadLetter letter, QueueDefinition queue, CancellationToken cancellationToken) => Task.CompletedTask;

    public Task SendAsync(QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    private Task<bool> Settle(string what) => Task.FromResult(_settled.Writer.TryWrite(what));
}
