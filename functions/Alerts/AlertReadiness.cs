using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Storage;

namespace DingFlow.Alerts;

/// <summary>Ready while every channel works, as far as its last attempt tells. Webhooks are accepted all the same.</summary>
public sealed class AlertReadiness(AlertOptions options, IEntityStore store) : IReadinessCheck
{
    private readonly AlertNotices _notices = new(store);

    /// <inheritdoc/>
    public string Name => "alerts";

    /// <inheritdoc/>
    public async Task<ReadinessResult> CheckAsync(CancellationToken cancellationToken)
    {
        foreach (var channel in options.Channels)
        {
            if (await _notices.IsDisabledAsync(channel, cancellationToken))
            {
                return new(false, $"the receiver of the channel {channel.Name} has ended it; configure it anew");
            }

            if (await _notices.FailingSinceAsync(channel, cancellationToken) is { } since)
            {
                return new(false, string.Create(CultureInfo.InvariantCulture, $"the channel {channel.Name} has failed since {since:u}"));
            }
        }

        return new(true);
    }
}
