using DingFlow.Messaging;

namespace DingFlow.Hosting;

/// <summary>
/// Feeds a function from the dead letters of one queue of the embedded queue, as the Functions host feeds it from the dead-letter queue of
/// Service Bus: one after another, forgotten upon success, delivered again after a pause upon failure.
/// </summary>
internal sealed partial class DeadLetterPump(
    FunctionEntry function, FunctionTrigger.Queue trigger, QueueDefinition definition, IEmbeddedQueue queue, InvocationClient invocations,
    TimeProvider time, ILogger logger)
{
    private const int AtOnce = 20;

    /// <summary>Dead letters are rare: looking for them now and then is enough.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    /// <summary>Receives until told to stop.</summary>
    public async Task RunAsync(CancellationToken stopping, CancellationToken giveUp)
    {
        while (!stopping.IsCancellationRequested)
        {
            if (!await PumpAsync(stopping, giveUp))
            {
                await Task.Delay(Pause, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    /// <summary>Delivers what is there. <see langword="false"/>: there was nothing, or something failed.</summary>
    private async Task<bool> PumpAsync(CancellationToken stopping, CancellationToken giveUp)
    {
        try
        {
            var letters = await queue.ReadDeadLettersAsync(definition, AtOnce, stopping);
            foreach (var letter in letters)
            {
                var locked = new LockedMessage(letter.Message, definition, letter.SequenceNumber, Guid.NewGuid(), time.GetUtcNow() + definition.LockDuration);
                var fault = await invocations.InvokeAsync(
                    function.Name, InvocationWriter.Message(trigger, function.Name, locked, time.GetUtcNow(), letter.Reason), giveUp);
                if (fault is not null)
                {
                    Log.Failed(logger, function.Name, fault);
                    return false;
                }

                await queue.RemoveDeadLetterAsync(letter, definition, giveUp);
            }

            return letters.Count > 0;
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested || giveUp.IsCancellationRequested)
        {
            return false;
        }
        catch (MessageQueueException exception)
        {
            Log.QueueFailed(logger, definition.Name, SafeText.Of(exception));
            return false;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The dead letters of {Queue} could not be read: {Fault}")]
        public static partial void QueueFailed(ILogger logger, string queue, string fault);

        [LoggerMessage(2, LogLevel.Error, "{Function} could not take a dead letter: {Fault}")]
        public static partial void Failed(ILogger logger, string function, string fault);
    }
}
