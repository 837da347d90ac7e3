namespace DingFlow.HrSystems;

/// <summary>Lets at most so many calls begin within any minute. It never waits itself: the work comes back by the queue.</summary>
internal sealed class CallWindow(int calls, TimeProvider time)
{
    private static readonly TimeSpan Length = TimeSpan.FromMinutes(1);
    private readonly DateTimeOffset[] _begun = new DateTimeOffset[calls];
    private readonly Lock _gate = new();
    private int _oldest;
    private DateTimeOffset _closedUntil;

    /// <summary>Takes a place; otherwise how long until there is one.</summary>
    public TimeSpan? Take()
    {
        lock (_gate)
        {
            var now = time.GetUtcNow();
            var free = _begun[_oldest] == default ? now : _begun[_oldest] + Length;
            var earliest = free > _closedUntil ? free : _closedUntil;
            if (earliest > now)
            {
                return earliest - now;
            }

            _begun[_oldest] = now;
            _oldest = (_oldest + 1) % _begun.Length;
            return null;
        }
    }

    /// <summary>The HR system asked to be left alone for so long.</summary>
    public void Close(TimeSpan duration)
    {
        lock (_gate)
        {
            var until = time.GetUtcNow() + duration;
            _closedUntil = until > _closedUntil ? until : _closedUntil;
        }
    }
}
