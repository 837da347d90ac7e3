using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Alerts;

/// <summary>
/// Delivers alerts: a log line and every channel. An alert is told once, whoever raises it how often, and again each
/// <see cref="AlertOptions.Repeat"/> until somebody acknowledges it. Each channel has its own messages and attempts, so that a dead one
/// neither holds the others up nor repeats what they have.
/// </summary>
/// <remarks>
/// The first message of an alert stores it, puts it into a message for each channel and sends a queue message for each of those. An
/// attempt that fails stores when the next is due and sends its own successor for that moment. Every queue message has an id made from
/// alert, channel and step: whatever is delivered twice, or again after a crash, finds what was done in the records.
/// </remarks>
public sealed partial class DeliverAlert(
    AlertOptions options, IEnumerable<IAlertChannelSender> senders, AlertStore alerts, IEntityStore store, IMessageQueue queue,
    TimeProvider timeProvider, ILogger<DeliverAlert> logger)
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

    /// <summary>The waits before each asking whether an attempt was delivered; what cannot be proved within them failed.</summary>
    private static readonly TimeSpan[] CheckDelays =
    [
        TimeSpan.FromSeconds(15), TimeSpan.FromSeconds(30), TimeSpan.FromMinutes(1), TimeSpan.FromMinutes(2), TimeSpan.FromMinutes(5),
        TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(30),
    ];

    private readonly AlertNotices _notices = new(store);
    private readonly IReadOnlyList<IAlertChannelSender> _senders = [.. senders];

    /// <inheritdoc/>
    public async Task InvokeAsync(ReceivedMessage message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        var work = AlertWork.Parse(message.Body.Span);
        try
        {
            await (work switch
            {
                { Alert: { } alert } => BeginAsync(alert, cancellationToken),
                { Key: { } key } => TellAgainAsync(key, work.Occurrence, cancellationToken),
                { Check: > 0 } => CheckAsync(work, cancellationToken),
                _ => AttemptAsync(work, cancellationToken),
            });
        }
        catch (EntityStoreException exception)
        {
            // Failing would have it delivered again at once, and dead-lettered within seconds.
            Log.StoreFailed(logger, exception);
            if (work is { Alert: { } untold, Postponed: 0 })
            {
                Tell(untold);
            }

            await PostponeAsync(work, StoreDelay, cancellationToken);
        }
    }

    private async Task BeginAsync(AlertMessage alert, CancellationToken cancellationToken)
    {
        var key = AlertWork.KeyOf(alert.AlertId);
        var stored = await alerts.FindAsync(key, cancellationToken);
        if (stored is null)
        {
            Tell(alert);
            stored = new StoredAlert { Key = key, Alert = alert, ToldAt = timeProvider.GetUtcNow() };
            await alerts.AddAsync(stored, cancellationToken);
        }

        if (alert.Series is { } series)
        {
            // Whoever comes last sees the other: of two that arrive together the lower one always ends.
            var others = await alerts.SeriesAsync(series, cancellationToken);
            var highest = others.Select(static other => other.Rank).Append(alert.Rank).Max();
            await alerts.ResolveAsync(series, rank => rank < highest, timeProvider.GetUtcNow(), cancellationToken);
        }

        await AssignAsync(await alerts.FindAsync(key, cancellationToken) ?? stored, 1, cancellationToken);
    }

    private async Task TellAgainAsync(string key, int occurrence, CancellationToken cancellationToken)
    {
        if (await alerts.FindAsync(key, cancellationToken) is { } stored && !stored.IsQuiet(timeProvider.GetUtcNow()))
        {
            Tell(stored.Alert);
            await AssignAsync(stored, occurrence, cancellationToken);
        }
    }

    /// <summary>Puts the alert into a message for each channel, and sends for those that nobody has begun.</summary>
    private async Task AssignAsync(StoredAlert stored, int occurrence, CancellationToken cancellationToken)
    {
        if (stored.State == AlertState.Resolved)
        {
            return;
        }

        var alert = stored.Alert;
        var steps = new List<OutgoingMessage>();
        foreach (var channel in options.Channels)
        {
            // A dead channel is not told that it is dead.
            if (channel.Takes(alert) && !(alert.Type == ChannelFailed && alert.About == channel.Name)
                && await _notices.AssignAsync(stored.Key, occurrence, channel, timeProvider.GetUtcNow(), cancellationToken)
                    is { Attempts: 0, State: NoticeState.Collecting or NoticeState.Pending } notice)
            {
                steps.Add(new AlertWork { Notice = notice.Id, Channel = channel.Name, Attempt = 1 }.ToMessage(notice.NextAt));
            }
        }

        if (steps.Count > 0)
        {
            await queue.SendAsync(Queues.Alerts, steps, cancellationToken);
        }
    }

    private async Task AttemptAsync(AlertWork work, CancellationToken cancellationToken)
    {
        var progress = await _notices.FindAsync(work.Notice!, work.Channel!, cancellationToken);
        if (progress is not { State: NoticeState.Collecting or NoticeState.Pending or NoticeState.Unproved } || work.Attempt < progress.Attempts)
        {
            return;
        }

        if (work.Attempt == progress.Attempts)
        {
            // This attempt was made; its successor may have been lost in a crash.
            await SendNextAsync(progress, cancellationToken);
            return;
        }

        if (progress.State == NoticeState.Collecting)
        {
            // From here on nothing joins it; what joined in this very moment is read again.
            if (await _notices.SaveAsync(progress with { State = NoticeState.Pending }, cancellationToken) is not { } closed)
            {
                await AttemptAsync(work, cancellationToken);
                return;
            }

            progress = closed;
        }

        var channel = options.Channels.FirstOrDefault(candidate => candidate.Name == work.Channel);
        if (channel is null || await _notices.IsDisabledAsync(channel, cancellationToken))
        {
            Log.ChannelMissing(logger, work.Channel!, progress.Id);
            await _notices.SaveAsync(progress with { State = NoticeState.Disabled, NextAt = null }, cancellationToken);
            return;
        }

        var notice = await ComposeAsync(progress, cancellationToken);
        if (notice is null)
        {
            await _notices.SaveAsync(progress with { State = NoticeState.Withheld, NextAt = null }, cancellationToken);
            return;
        }

        if (channel is RobotChannel robot && await _notices.TakeTurnAsync(
            robot.Robot, RobotChannel.MessagesPerMinute, RobotChannel.Minute, timeProvider.GetUtcNow(), cancellationToken) is { } wait)
        {
            await PostponeAsync(work, wait, cancellationToken);
            return;
        }

        var attempt = await SenderOf(channel).SendAsync(channel, notice, cancellationToken);
        await ConcludeAsync(progress with { Attempts = work.Attempt, Checks = 0 }, channel, attempt, cancellationToken);
    }

    /// <summary>Asks what became of an attempt.</summary>
    private async Task CheckAsync(AlertWork work, CancellationToken cancellationToken)
    {
        var progress = await _notices.FindAsync(work.Notice!, work.Channel!, cancellationToken);
        if (progress is not { State: NoticeState.Unproved, Reference: { } reference } || progress.Attempts != work.Attempt || work.Check < progress.Checks)
        {
            return;
        }

        if (work.Check == progress.Checks && work.Check > 0 && progress.NextAt > timeProvider.GetUtcNow())
        {
            // It was asked; its successor may have been lost in a crash.
            await SendNextAsync(progress, cancellationToken);
            return;
        }

        var channel = options.Channels.FirstOrDefault(candidate => candidate.Name == work.Channel);
        if (channel is null)
        {
            Log.ChannelMissing(logger, work.Channel!, progress.Id);
            await _notices.SaveAsync(progress with { State = NoticeState.Disabled, NextAt = null }, cancellationToken);
            return;
        }

        var attempt = await SenderOf(channel).ProveAsync(channel, reference, cancellationToken);
        if (attempt.Outcome == AlertAttemptOutcome.Unproved && work.Check >= CheckDelays.Length)
        {
            attempt = new AlertAttempt(AlertAttemptOutcome.Failed, "Unproved");
        }

        await ConcludeAsync(
            progress with { Checks = work.Check }, channel, attempt with { Reference = attempt.Reference ?? reference }, cancellationToken);
    }

    /// <summary>What the message says now; <see langword="null"/> when nobody needs to be told any more.</summary>
    private async Task<AlertNotice?> ComposeAsync(NoticeProgress progress, CancellationToken cancellationToken)
    {
        var now = timeProvider.GetUtcNow();
        var tellings = new List<TellingOfAlert>();
        foreach (var (key, occurrence) in progress.Alerts)
        {
            var stored = await alerts.FindAsync(key, cancellationToken) ?? throw new InvalidDataException($"Alert {key} has a message but no content.");
            if (!stored.IsQuiet(now))
            {
                tellings.Add(new(key, stored.Alert, occurrence));
            }
        }

        return tellings.Count == 0 ? null : new(progress.Id, tellings);
    }

    private async Task ConcludeAsync(NoticeProgress progress, AlertChannel channel, AlertAttempt attempt, CancellationToken cancellationToken)
    {
        var now = timeProvider.GetUtcNow();
        if (attempt.Outcome != AlertAttemptOutcome.Unproved)
        {
            await (attempt.Outcome == AlertAttemptOutcome.Delivered
                ? _notices.RecordSuccessAsync(channel, cancellationToken)
                : _notices.RecordFailureAsync(channel, now, cancellationToken));
        }

        switch (attempt.Outcome)
        {
            case AlertAttemptOutcome.Delivered:
                Log.Delivered(logger, progress.Id, channel.Name, progress.Attempts, attempt.Detail);
                await _notices.SaveAsync(progress with { State = NoticeState.Delivered, NextAt = null }, cancellationToken);
                return;
            case AlertAttemptOutcome.Unproved:
                await SaveAndSendNextAsync(
                    progress with { State = NoticeState.Unproved, Reference = attempt.Reference, NextAt = now + CheckDelays[Math.Min(progress.Checks, CheckDelays.Length - 1)] },
                    cancellationToken);
                return;
            case AlertAttemptOutcome.Gone:
                Log.ChannelEnded(logger, channel.Name);
                await _notices.DisableAsync(channel, now, cancellationToken);
                await TellOthersAsync(channel, "its receiver answers that it is gone; configure it anew", cancellationToken);
                await _notices.SaveAsync(progress with { State = NoticeState.Disabled, NextAt = null }, cancellationToken);
                return;
            case AlertAttemptOutcome.Failed when progress.Attempts > Delays.Length:
                Log.GivenUp(logger, progress.Id, channel.Name, progress.Attempts, attempt.Detail);
                await TellOthersAsync(channel, "an alert could not be delivered to it for days", cancellationToken);
                await _notices.SaveAsync(progress with { State = NoticeState.GivenUp, NextAt = null }, cancellationToken);
                return;
            default:
                Log.AttemptFailed(logger, progress.Id, channel.Name, progress.Attempts, attempt.Detail);
                var delay = Delays[progress.Attempts - 1];
                if (attempt.RetryAfter is { } asked && asked > delay)
                {
                    delay = asked < MaxDelay ? asked : MaxDelay;
                }

                await SaveAndSendNextAsync(
                    progress with { State = NoticeState.Pending, Checks = 0, Reference = null, NextAt = now + delay }, cancellationToken);
                return;
        }
    }

    private async Task SaveAndSendNextAsync(NoticeProgress progress, CancellationToken cancellationToken)
    {
        if (await _notices.SaveAsync(progress, cancellationToken) is { } saved)
        {
            await SendNextAsync(saved, cancellationToken);
        }
    }

    /// <summary>Sends the next step: asking after an attempt that is not proved, or the next attempt.</summary>
    private Task SendNextAsync(NoticeProgress progress, CancellationToken cancellationToken)
    {
        var next = new AlertWork { Notice = progress.Id, Channel = progress.Channel };
        next = progress.State == NoticeState.Unproved
            ? next with { Attempt = progress.Attempts, Check = progress.Checks + 1 }
            : next with { Attempt = progress.Attempts + 1 };
        return queue.SendAsync(Queues.Alerts, [next.ToMessage(progress.NextAt)], cancellationToken);
    }

    private Task PostponeAsync(AlertWork work, TimeSpan wait, CancellationToken cancellationToken)
    {
        var again = work with { Postponed = work.Postponed + 1 };
        return queue.SendAsync(Queues.Alerts, [again.ToMessage(timeProvider.GetUtcNow() + wait)], cancellationToken);
    }

    private IAlertChannelSender SenderOf(AlertChannel channel) => _senders.First(sender => sender.Serves(channel));

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

    private void Tell(AlertMessage alert) => Log.Alert(
        logger,
        alert.Severity switch
        {
            AlertSeverity.Critical => LogLevel.Critical,
            AlertSeverity.Warning => LogLevel.Warning,
            _ => LogLevel.Information,
        },
        alert.Type, alert.AlertId, alert.Summary);

    private static partial class Log
    {
        [LoggerMessage(7, LogLevel.Error, "The store does not answer; the work on an alert is postponed")]
        public static partial void StoreFailed(ILogger logger, Exception exception);

        [LoggerMessage(EventId = 1, Message = "Alert {Type} ({AlertId}): {Summary}")]
        public static partial void Alert(ILogger logger, LogLevel level, string type, string alertId, string summary);

        [LoggerMessage(2, LogLevel.Information, "Alert message {Notice} was delivered to {Channel} with attempt {Attempt}: {Detail}")]
        public static partial void Delivered(ILogger logger, string notice, string channel, int attempt, string detail);

        [LoggerMessage(3, LogLevel.Warning, "Alert message {Notice} did not reach {Channel} with attempt {Attempt}: {Detail}")]
        public static partial void AttemptFailed(ILogger logger, string notice, string channel, int attempt, string detail);

        [LoggerMessage(4, LogLevel.Error, "Alert message {Notice} is given up for {Channel} after {Attempts} attempts: {Detail}")]
        public static partial void GivenUp(ILogger logger, string notice, string channel, int attempts, string detail);

        [LoggerMessage(5, LogLevel.Error, "The receiver of the alert channel {Channel} has ended it")]
        public static partial void ChannelEnded(ILogger logger, string channel);

        [LoggerMessage(6, LogLevel.Warning, "Alert channel {Channel} is not configured any more, or its receiver has ended it; alert message {Notice} is not delivered to it")]
        public static partial void ChannelMissing(ILogger logger, string channel, string notice);
    }
}
