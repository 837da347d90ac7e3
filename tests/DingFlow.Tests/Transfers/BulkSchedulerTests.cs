using DingFlow.Hosting;
using DingFlow.Transfers;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Transfers;

public sealed class BulkSchedulerTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(100)]
    public async Task Everything_is_done_and_one_thing_at_a_time_while_many_requests_arrive(int requests)
    {
        var rate = new RequestRate(new FakeTimeProvider());
        for (var request = 0; request < requests; request++)
        {
            rate.Add();
        }

        var (running, most, done) = (0, 0, 0);
        using (var bulk = new BulkScheduler(rate))
        {
            await Task.WhenAll(Enumerable.Range(0, 50).Select(_ => bulk.RunAsync(async () =>
            {
                Work();
                await Task.Yield();
                // What is awaited goes on on the same threads.
                Assert.Same(bulk, TaskScheduler.Current);
                Work();
                return true;
            })));
        }

        Assert.Equal(100, done);
        Assert.True(requests == 0 || most == 1);

        void Work()
        {
            most = Math.Max(most, Interlocked.Increment(ref running));
            Interlocked.Increment(ref done);
            Interlocked.Decrement(ref running);
        }
    }
}
