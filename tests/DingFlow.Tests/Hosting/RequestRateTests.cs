using DingFlow.Hosting;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Hosting;

public sealed class RequestRateTests
{
    private readonly FakeTimeProvider _time = new();

    [Fact]
    public void A_few_requests_in_a_second_are_not_many()
    {
        var rate = new RequestRate(_time);
        for (var request = 0; request < 400; request++)
        {
            rate.Add();
            Assert.False(rate.IsHigh);
            _time.Advance(TimeSpan.FromMilliseconds(25));
        }
    }

    [Fact]
    public void A_hundred_in_a_second_are_many_and_forgotten_a_quarter_of_a_second_later()
    {
        var rate = new RequestRate(_time);
        for (var request = 0; request < 100; request++)
        {
            rate.Add();
            _time.Advance(TimeSpan.FromMilliseconds(10));
            Assert.True(rate.IsHigh || request < 25);
        }

        Assert.True(rate.IsHigh);
        _time.Advance(TimeSpan.FromMilliseconds(256));
        Assert.False(rate.IsHigh);
        rate.Add();
        Assert.False(rate.IsHigh);
    }

    [Fact]
    public async Task Requests_on_several_threads_are_all_counted()
    {
        var rate = new RequestRate(_time);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (var request = 0; request < 3; request++)
            {
                rate.Add();
            }
        })));
        Assert.True(rate.IsHigh);
    }
}
