using System.Globalization;
using DingFlow.Hosting;

namespace DingFlow.Signals;

/// <summary>Ready while every subscriber takes our tokens, as far as the last attempt tells. Webhooks are accepted all the same.</summary>
internal sealed class SignalReadiness(SignalOptions options, SignalRecords records) : IReadinessCheck
{
    /// <inheritdoc/>
    public string Name => "signals";

    /// <inheritdoc/>
    public async Task<ReadinessResult> CheckAsync(CancellationToken cancellationToken)
    {
        foreach (var subscriber in options.Subscribers)
        {
            if (await records.FailingSinceAsync(subscriber, cancellationToken) is { } since)
            {
                return new(false, string.Create(CultureInfo.InvariantCulture, $"the subscriber {subscriber.Name} has failed since {since:u}"));
            }
        }

        return new(true);
    }
}
