using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Alerts;

/// <summary>
/// Delivers alerts: a log line and every channel. An alert is told once, whoever raises it how often. Each channel has its own
/// attempts, so that a dead one neither holds the others up nor repeats what they have.
/// </summary>
/// <remarks>
/// The first message of an alert stores it and sends one message for each channel. An attempt that fails stores when the next is due
/// and sends its own successor for that moment. Every message has an id made from alert, channel and attempt: whatever is delivered
/// twice, or again after a crash, finds what was done in the records.
/// </remarks>
public sealed partial class DeliverAlert(
    AlertOptions options, AlertWebhook webhook, IEntityStore store, IMessageQueue queue, TimeProvider timeProvider, ILogger<DeliverAlert> logger)
    : IQueueFunction
{
    private const string ChannelFailed = "alerts.channel_failed";

    /// <summary>How long the work on an alert waits when the store is down.</summary>
    private static readonly TimeSpan StoreDelay = TimeSpan.FromSeconds(30);

    private static readonly TimeSpan MaxDelay = TimeSpan.FromHours(24);

    /// <summary>The waits between attempts, as Standard Webhooks advises.</summary>
    private static readonly TimeSpan[] Delays =
    [
        TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(30), TimeSpan.FromHours(2), TimeSpan.FromHours(5),
        TimeSpan.FromHours(10), TimeSpan.FromHours(14), TimeSpan.FromHours(20), TimeSpan.FromHours(24),
    ];

    private readonly AlertRecords _records = new(store);

    /// <inheritdoc/>
    public async Task InvokeAsync(ReceivedMessage message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        var work = AlertWork.Parse(message.Body.Span);
        try
        {
            await (work.Alert is { } alert ? BeginAsync(alert, cancellationToken) : AttemptAsync(work, cancellationToken));
        }
        catch (EntityStoreException exception)
        {
            // Failing would have it delivered again at once, and dead-lettered within seconds.
            Log.StoreFailed(logger, exception);
            if (work is { Alert: { } untold, Postponed: 0 })
            {
                Log.Alert(logger, LevelOf(untold.Severity), untold.Type, untold.AlertId, untold.Summary);
            }

            var again = work with { Postponed = work.Postponed + 1 };
            await queue.SendAsync(Queues.Alerts, [again.ToMessage(timeProvider.GetUtcNow() + StoreDelay)], cancellationToken);
        }
    }

    private async Task BeginAsync(AlertMessage alert, CancellationToken cancellationToken)
    {
        var key = AlertWork.KeyOf(alert.AlertId);
        // A dead channel is not told that it is dead.
        var channels = options.Channels.Where(channel => alert.Type != ChannelFailed || alert.About != channel.Name).ToList();
        var isNew = await _records.FindAsync(key, cancellationToken) is null;
        if (isNew)
        {
            Log.Alert(logger, LevelOf(alert.Severity), alert.Type, alert.AlertId, alert.Summary);
            await _records.AddAsync(key, alert, channels.Select(static channel => channel.Name), cancellationToken);
        }

        var first = new List<OutgoingMessage>();
        foreach (var channel in channels)
        {
            // Known already: only what a crash kept from being sent is sent again.
            if (isNew || await _records.FindProgressAsync(key, channel.Name, cancellationToken) is { Attempts: 0, State: AlertChannelState.Pending })
            {
                first.Add(new AlertWork { Key = key, Channel = channel.Name, Attempt = 1 }.ToMessage());
            }
        }

        if (first.Count > 0)
        {
            await queue.SendAsync(Queues.Alerts, first, cancellationToken);
        }
    }

    private async Task AttemptAsync(AlertWork work, CancellationToken cancellationToken)
    {
        var (key, name) = (work.Key!, work.Channel!);
        var progress = await _records.FindProgressAsync(key, name, cancellationToken);
        if (progress is not { State: AlertChannelState.Pending } || work.Attempt < progress.Attempts)
        {
            return;
        }

        if (work.Attempt == progress.Attempts)
        {
            // This attempt was made; its successor may have been lost in a crash.
            await SendNextAsync(progress, cancellationToken);
            return;
        }

        var alert = await _records.FindAsync(key, cancellationToken) ?? throw new InvalidDataException($"Alert {key} has progress but no content.");
        var channel = options.Channels.FirstOrDefault(candidate => candidate.Name == name);
        if (channel is null || await _records.IsDisabledAsync(channel, cancellationToken))
        {
            Log.ChannelMissing(logger, name, alert.AlertId);
            await _records.SaveAsync(progress with { State = AlertChannelState.Disabled }, cancellationToken);
            return;
        }

        var attempt = await webhook.SendAsync(channel, alert, cancellationToken);
        await (attempt.Outcome == AlertAttemptOutcome.Delivered
            ? _records.RecordSuccessAsync(channel, cancellationToken)
            : _records.RecordFailureAsync(channel, timeProvider.GetUtcNow(), cancellationToken));
        await ConcludeAsync(progress with { Attempts = work.Attempt }, channel, alert, attempt, cancellationToken);
    }

    private async Task ConcludeAsync(
        AlertProgress progress, AlertChannel channel, AlertMessage alert, AlertAttempt attempt, CancellationToken cancellationToken)
    {
        switch (attempt.Outcome)
        {
            case AlertAttemptOutcome.Delivered:
                Log.Delivered(logger, alert.AlertId, channel.Name, progress.Attempts);
                await _records.SaveAsync(progress with { State = AlertChannelState.Delivered, NextAt = null }, cancellationToken);
                return;
            case AlertAttemptOutcome.Gone:
                Log.ChannelEnded(logger, channel.Name);
                await _records.DisableAsync(channel, timeProvider.GetUtcNow(), cancellationToken);
                await TellOthersAsync(channel, "its receiver answers that it is gone; configure it anew", cancellationToken);
                await _records.SaveAsync(progress with { State = AlertChannelState.Disabled, NextAt = null }, cancellationToken);
                return;
            case AlertAttemptOutcome.Failed when progress.Attempts > Delays.Length:
                Log.GivenUp(logger, alert.AlertId, channel.Name, progress.Attempts, attempt.Detail);
                await TellOthersAsync(channel, "an alert could not be delivered to it for days", cancellationToken);
                await _records.SaveAsync(progress with { State = AlertChannelState.GivenUp, NextAt = null }, cancellationToken);
                return;
            default:
                Log.AttemptFailed(logger, alert.AlertId, channel.Name, progress.Attempts, attempt.Detail);
                var delay = Delays[progress.Attempts - 1];
                if (attempt.RetryAfter is { } asked && asked > delay)
                {
                    delay = asked < MaxDelay ? asked : MaxDelay;
                }

                var next = progress with { NextAt = timeProvider.GetUtcNow() + delay };
                if (await _records.SaveAsync(next, cancellationToken))
                {
                    await SendNextAsync(next, cancellationToken);
                }

                return;
        }
    }

    private Task SendNextAsync(AlertProgress progress, CancellationToken cancellationToken) => queue.SendAsync(
        Queues.Alerts,
        [new AlertWork { Key = progress.Key, Channel = progress.Channel, Attempt = progress.Attempts + 1 }.ToMessage(progress.NextAt)],
        cancellationToken);

    /// <summary>At most once a day for a channel.</summary>
    private Task TellOthersAsync(AlertChannel channel, string what, CancellationToken cancellationToken)
    {
        var now = timeProvider.GetUtcNow();
        return new AlertSender(queue).SendAsync(
            new AlertMessage
            {
                AlertId = string.Create(CultureInfo.InvariantCulture, $"{ChannelFailed}:{channel.Name}:{now:yyyyMMdd}"),
                Type = ChannelFailed,
                Severity = AlertSeverity.Critical,
                OccurredAt = now,
                Summary = $"Alerts no longer reach the channel {channel.Name}: {what}.",
                About = channel.Name,
            },
            cancellationToken);
    }

    private static LogLevel LevelOf(AlertSeverity severity) => severity switch
    {
        AlertSeverity.Critical => LogLevel.Critical,
        AlertSeverity.Warning => LogLevel.Warning,
        _ => LogLevel.Information,
    };

    private static partial class Log
    {
        [LoggerMessage(7, LogLevel.Error, "The store does not answer; the work on an alert is postponed")]
        public static partial void StoreFailed(ILogger logger, Exception exception);

        [LoggerMessage(EventId = 1, Message = "Alert {Type} ({AlertId}): {Summary}")]
        public static partial void Alert(ILogger logger, LogLevel level, string type, string alertId, string summary);

        [LoggerMessage(2, LogLevel.Information, "Alert {AlertId} was delivered to {Channel} with attempt {Attempt}")]
        public static partial void Delivered(ILogger logger, string alertId, string channel, int attempt);

        [LoggerMessage(3, LogLevel.Warning, "Alert {AlertId} did not reach {Channel} with attempt {Attempt}: {Detail}")]
        public static partial void AttemptFailed(ILogger logger, string alertId, string channel, int attempt, string detail);

        [LoggerMessage(4, LogLevel.Error, "Alert {AlertId} is given up for {Channel} after {Attempts} attempts: {Detail}")]
        public static partial void GivenUp(ILogger logger, string alertId, string channel, int attempts, string detail);

        [LoggerMessage(5, LogLevel.Error, "The receiver of the alert channel {Channel} has ended it (410)")]
        public static partial void ChannelEnded(ILogger logger, string channel);

        [LoggerMessage(6, LogLevel.Warning, "Alert channel {Channel} is not configured any more, or its receiver has ended it; alert {AlertId} is not delivered to it")]
        public static partial void ChannelMissing(ILogger logger, string channel, string alertId);
    }
}
