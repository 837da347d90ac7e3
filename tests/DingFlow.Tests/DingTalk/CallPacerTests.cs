using CsCheck;
using DingFlow.DingTalk;
using DingFlow.Tests.Remote;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.DingTalk;

public sealed class CallPacerTests
{
    [Fact]
    public async Task Wait_That_Is_Too_Long_Is_Told_And_Takes_No_Turn()
    {
        var clock = new WatchedClock();
        var pacer = new CallPacer(1, clock);
        Assert.Null(await pacer.WaitAsync("a", TimeSpan.Zero, TestContext.Current.CancellationToken));

        Assert.Equal(TimeSpan.FromSeconds(1), await pacer.WaitAsync("a", TimeSpan.Zero, TestContext.Current.CancellationToken));
        Assert.Equal(TimeSpan.FromSeconds(1), await pacer.WaitAsync("a", TimeSpan.Zero, TestContext.Current.CancellationToken));

        clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Null(await pacer.WaitAsync("a", TimeSpan.Zero, TestContext.Current.CancellationToken));
    }

    [Fact]
    public Task No_Second_Sees_More_Than_The_Limit() => Gen.Select(Gen.Int[1, 5], Gen.Int[0, 700].Array[1, 60]).SampleAsync(async (limit, gaps) =>
    {
        var clock = new FakeTimeProvider();
        var pacer = new CallPacer(limit, clock);
        var begun = new List<DateTimeOffset>();
        foreach (var gap in gaps)
        {
            clock.Advance(TimeSpan.FromMilliseconds(gap));
            if (await pacer.WaitAsync("a", TimeSpan.Zero, CancellationToken.None) is null)
            {
                begun.Add(clock.GetUtcNow());
            }
        }

        Assert.All(begun, start => Assert.InRange(begun.Count(other => other >= start && other < start.AddSeconds(1)), 1, limit));
    }, iter: 300);
}
