using System.Threading.Channels;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Hosting;

/// <summary>A clock that the test sets, and that tells when somebody begins to wait: setting it earlier would make that wait too long.</summary>
internal sealed class ObservedTime(DateTimeOffset start) : FakeTimeProvider(start)
{
    private readonly Channel<TimeSpan> _waits = Channel.CreateUnbounded<TimeSpan>();

    /// <summary>Waits until somebody waits for exactly so long.</summary>
    public async Task WaitedForAsync(TimeSpan dueTime, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Infrastructure.DingFlowProcess.Patience);
        while (await _waits.Reader.ReadAsync(patience.Token) != dueTime)
        {
            // Somebody else waits for something else.
        }
    }

    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = base.CreateTimer(callback, state, dueTime, period);
        Assert.True(_waits.Writer.TryWrite(dueTime));
        return timer;
    }
}
