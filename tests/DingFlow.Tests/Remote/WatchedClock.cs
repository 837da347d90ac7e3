using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Remote;

/// <summary>A clock that stands still, and tells of each wait that begins on it so that a test can let just that wait pass.</summary>
internal sealed class WatchedClock() : FakeTimeProvider(new DateTimeOffset(2026, 11, 22, 1, 0, 0, TimeSpan.Zero))
{
    private readonly Channel<TimeSpan> _waits = Channel.CreateUnbounded<TimeSpan>();

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        _waits.Writer.TryWrite(dueTime);
        return timer;
    }

    /// <summary>Waits until a wait of such a length has begun, lets it pass and returns its length.</summary>
    public async Task<TimeSpan> PassWaitAsync(TimeSpan longest, TimeSpan shortest = default)
    {
        while (true)
        {
            var wait = await _waits.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
            if (wait > TimeSpan.Zero && wait >= shortest && wait <= longest)
            {
                Advance(wait);
                return wait;
            }
        }
    }

    /// <summary>Lets waits of at most that length pass until the task has ended.</summary>
    public async Task<T> PassWaitsUntilAsync<T>(Task<T> task, TimeSpan longest)
    {
        while (!task.IsCompleted)
        {
            var wait = _waits.Reader.WaitToReadAsync(TestContext.Current.CancellationToken).AsTask();
            await Task.WhenAny(wait, task).WaitAsync(TimeSpan.FromSeconds(30));
            while (_waits.Reader.TryRead(out var length))
            {
                if (length > TimeSpan.Zero && length <= longest)
                {
                    Advance(length);
                }
            }
        }

        return await task;
    }
}
