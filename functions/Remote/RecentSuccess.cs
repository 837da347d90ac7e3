using System.Collections.Concurrent;

namespace DingFlow.Remote;

/// <summary>Which remotes worked within the last minutes.</summary>
internal sealed class RecentSuccess(TimeProvider time)
{
    private static readonly TimeSpan Remembered = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<string, DateTimeOffset> _at = new(StringComparer.Ordinal);

    public bool Has(string remote) => _at.TryGetValue(remote, out var at) && time.GetUtcNow() - at < Remembered;

    public void Add(string remote) => _at[remote] = time.GetUtcNow();
}
