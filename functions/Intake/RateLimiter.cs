namespace DingFlow.Intake;

/// <summary>
/// How many deliveries a source may send, as a bucket that holds a minute's worth and refills steadily. Each instance of the program
/// counts for itself.
/// </summary>
public sealed class RateLimiter
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _timeProvider;
    private readonly double _capacity;
    private double _tokens;
    private long _refilledAt;

    /// <summary>A full bucket.</summary>
    public RateLimiter(int perMinute, TimeProvider timeProvider)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(perMinute, 1);
        ArgumentNullException.ThrowIfNull(timeProvider);
        (_capacity, _tokens, _timeProvider, _refilledAt) = (perMinute, perMinute, timeProvider, timeProvider.GetTimestamp());
    }

    /// <summary>Takes one delivery's worth.</summary>
    /// <returns>Zero when it was there; otherwise how long until it will be.</returns>
    public TimeSpan Take()
    {
        lock (_lock)
        {
            var now = _timeProvider.GetTimestamp();
            _tokens = Math.Min(_capacity, _tokens + (_timeProvider.GetElapsedTime(_refilledAt, now).TotalMinutes * _capacity));
            _refilledAt = now;
            if (_tokens >= 1)
            {
                _tokens--;
                return TimeSpan.Zero;
            }

            return TimeSpan.FromMinutes((1 - _tokens) / _capacity);
        }
    }
}
