using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary>Sends the messages that have a case taken up.</summary>
public sealed class CaseRuns(CaseStore cases, IMessageQueue queue, TimeProvider time)
{
    /// <summary>
    /// Has the case taken up now or later. The wish is on the case before the message is sent: if the process dies in between, the
    /// sweeper sends it again.
    /// </summary>
    /// <param name="current">The case.</param>
    /// <param name="at">Not before this.</param>
    /// <param name="reason">Why, for people.</param>
    /// <param name="change">A change of the case to be written along.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task<StoredCase> ScheduleAsync(
        StoredCase current, DateTimeOffset at, string reason, Func<OffboardingCase, OffboardingCase> change, CancellationToken cancellationToken)
    {
        var stored = await cases.UpdateAsync(
            current,
            c => change(c) is var changed && changed.NextAttemptAt is { } earlier && earlier > time.GetUtcNow() && earlier < at
                ? changed with { Runs = changed.Runs + 1 }
                : changed with { Runs = changed.Runs + 1, NextAttemptAt = at },
            cancellationToken);
        await SendAsync(stored.Case, at, reason, cancellationToken);
        return stored;
    }

    /// <summary>Doubles each time up to the longest wait, with a fifth of jitter so that leavers of one outage do not return all at once.</summary>
    internal static TimeSpan BackOff(OffboardingOptions options, int retries)
    {
        var ticks = Math.Min(options.RetryDelay.Ticks * Math.Pow(2, Math.Min(retries, 30)), options.RetryMaxDelay.Ticks);
#pragma warning disable CA5394 // Jitter needs no unpredictable randomness.
        return TimeSpan.FromTicks((long)(ticks * (0.9 + (0.2 * Random.Shared.NextDouble()))));
#pragma warning restore CA5394
    }

    /// <summary>Sends the message of the run that the case already waits for.</summary>
    public Task SendAsync(OffboardingCase @case, DateTimeOffset at, string reason, CancellationToken cancellationToken)
    {
        var message = new OutgoingMessage
        {
            MessageId = $"case/{@case.CaseId}/{@case.Runs}",
            SessionId = @case.CaseId,
            Subject = "run",
            EnqueueAt = at > time.GetUtcNow() ? at : null,
            Body = new OffboardingMessage
            {
                Kind = OffboardingMessageKind.Run, CaseId = @case.CaseId, Reason = reason, Generation = @case.Runs,
            }.ToBody(),
        };
        return queue.SendAsync(Queues.Offboarding, [message], cancellationToken);
    }
}
