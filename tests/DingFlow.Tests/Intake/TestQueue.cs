using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

/// <summary>A queue that keeps what is sent, drops repeated ids as the real ones do, and can be down or slow.</summary>
internal sealed class TestQueue : IMessageQueue
{
    private readonly Lock _lock = new();
    private readonly List<(string Queue, OutgoingMessage Message)> _sent = [];
    private TaskCompletionSource? _stall;

    public bool IsDown { get; set; }

    /// <summary>How often somebody tried to send.</summary>
    public int Calls { get; private set; }

    public IReadOnlyList<OutgoingMessage> Offboarding => Of(Queues.Offboarding);

    public IReadOnlyList<OutgoingMessage> Alerts => Of(Queues.Alerts);

    /// <summary>Sends hang until <see cref="Resume"/>.</summary>
    public void Stall() => _stall = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

    public void Resume()
    {
        var stall = _stall;
        _stall = null;
        stall?.SetResult();
    }

    public async Task SendAsync(QueueDefinition queue, IReadOnlyList<OutgoingMessage> messages, CancellationToken cancellationToken)
    {
        Calls++;
        if (_stall is { } stall)
        {
            await stall.Task.WaitAsync(cancellationToken);
        }

        if (IsDown)
        {
            throw new MessageQueueException("The queue is down.");
        }

        lock (_lock)
        {
            foreach (var message in messages)
            {
                Assert.False(queue.RequiresSession && string.IsNullOrEmpty(message.SessionId));
                Assert.InRange(message.MessageId.Length, 1, 128);
                if (!_sent.Exists(known => known.Queue == queue.Name && known.Message.MessageId == message.MessageId))
                {
                    _sent.Add((queue.Name, message));
                }
            }
        }
    }

    public IReadOnlyList<OutgoingMessage> Of(QueueDefinition queue)
    {
        lock (_lock)
        {
            return [.. _sent.Where(sent => sent.Queue == queue.Name).Select(static sent => sent.Message)];
        }
    }
}
