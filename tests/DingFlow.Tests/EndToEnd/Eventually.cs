namespace DingFlow.Tests.EndToEnd;

/// <summary>Waits for what another process does, by looking again and again until it shows.</summary>
internal static class Eventually
{
    /// <summary>Generous: a busy machine must not fail a test.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(120);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(25);

    /// <summary>The first answer that is not <see langword="null"/>.</summary>
    public static async Task<T> GetAsync<T>(Func<Task<T?>> look, Func<string> describe, CancellationToken cancellationToken)
        where T : class
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        while (true)
        {
            if (await look() is { } found)
            {
                return found;
            }

            await Task.Delay(Pause, TimeProvider.System, patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancellationToken.ThrowIfCancellationRequested();
            if (patience.IsCancellationRequested)
            {
                throw new TimeoutException($"Not seen in {Patience}: {describe()}");
            }
        }
    }

    /// <summary>Returns as soon as it is so.</summary>
    public static Task IsTrueAsync(Func<Task<bool>> look, Func<string> describe, CancellationToken cancellationToken) =>
        GetAsync<object>(async () => await look() ? true : null, describe, cancellationToken);
}
