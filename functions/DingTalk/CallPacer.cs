using System.Collections.Concurrent;

namespace DingFlow.DingTalk;

/// <summary>
/// Lets at most so many calls per second go to one API: in no second do more begin, and up to that many begin at once. DingTalk counts
/// per app and API.
/// </summary>
internal sealed class CallPacer(int callsPerSecond, TimeProvider time)
{
    private static readonly TimeSpan Window = TimeSpan.FromSeconds(1);
    private readonly ConcurrentDictionary<string, Lane> _lanes = new(StringComparer.Ordinal);

    /// <summary>
    /// Waits for a turn. When it would take longer than <paramref name="longest"/> no turn is taken and that wait is returned at once;
    /// otherwise <see langword="null"/> when the turn has come.
    /// </summary>
    public async ValueTask<TimeSpan?> WaitAsync(string api, TimeSpan longest, CancellationToken cancellationToken)
    {
        var lane = _lanes.GetOrAdd(api, static (_, calls) => new(calls), callsPerSecond);
        var wait = lane.Take(time.GetUtcNow(), longest, out var taken);
        if (!taken)
        {
            return wait;
        }

        if (wait > TimeSpan.Zero)
        {
            await Task.Delay(wait, time, cancellationToken);
        }

        return null;
    }

    /// <summary>The beginnings of the last so many calls; the next may begin a second after the oldest of them.</summary>
    private sealed class Lane(int calls)
    {
        private readonly DateTimeOffset[] _begun = new DateTimeOffset[calls];
        private readonly Lock _gate = new();
        private int _oldest;

        public TimeSpan Take(DateTimeOffset now, TimeSpan longest, out bool taken)
        {
            lock (_gate)
            {
                var earliest = _begun[_oldest] == default ? now : _begun[_oldest] + Window;
                var begin = earliest > now ? earliest : now;
                taken = begin - now <= longest;
                if (taken)
                {
                    _begun[_oldest] = begin;
                    _oldest = (_oldest + 1) % _begun.Length;
                }

                return begin - now;
            }
        }
    }
}
