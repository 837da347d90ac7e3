using DingFlow.Messaging;

namespace DingFlow.Hosting;

/// <summary>
/// Feeds one queue function from the embedded queue as the Functions host feeds it from Service Bus: at most so many at once, the lock
/// renewed while the function runs, completed upon success, given back at once upon failure.
/// </summary>
internal sealed partial class QueuePump(
    FunctionEntry function, FunctionTrigger.Queue trigger, QueueDefinition definition, int concurrency,
    IEmbeddedQueue queue, InvocationClient invocations, TimeProvider time, ILogger logger)
{
    /// <summary>How long to leave a queue alone that failed.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(2);

    /// <summary>Receives until told to stop, then waits for what is in flight.</summary>
    /// <param name="stopping">Stop receiving.</param>
    /// <param name="giveUp">Stop waiting for what is in flight; it will be delivered again.</param>
    public async Task RunAsync(CancellationToken stopping, CancellationToken giveUp)
    {
        var slots = new SemaphoreSlim(concurrency);
        while (await ReceiveAsync(slots, stopping) is { } message)
        {
            _ = HandleAsync(message, slots, giveUp);
        }

        // Every slot that comes back is a message that has been settled.
        for (var settled = 0; settled < concurrency && !giveUp.IsCancellationRequested; settled++)
        {
            await slots.WaitAsync(giveUp).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>The next message, with a slot taken for it; <see langword="null"/> when told to stop.</summary>
    private async Task<LockedMessage?> ReceiveAsync(SemaphoreSlim slots, CancellationToken stopping)
    {
        var taken = false;
        while (true)
        {
            try
            {
                if (!taken)
                {
                    await slots.WaitAsync(stopping);
                    taken = true;
                }

                return await queue.ReceiveAsync(definition, stopping);
            }
            catch (OperationCanceledException) when (stopping.IsCancellationRequested)
            {
                if (taken)
                {
                    slots.Release();
                }

                return null;
            }
            catch (MessageQueueException exception)
            {
                Log.QueueFailed(logger, definition.Name, SafeText.Of(exception));
                await Task.Delay(Pause, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private async Task HandleAsync(LockedMessage message, SemaphoreSlim slots, CancellationToken giveUp)
    {
        try
        {
            var fault = await InvokeAsync(message, giveUp);
            if (fault is not null)
            {
                Log.Failed(logger, function.Name, message.Message.DeliveryCount, definition.MaxDeliveryCount, fault);
            }

            var settled = fault is null
                ? await queue.CompleteAsync(message, giveUp)
                : await queue.AbandonAsync(message, fault, giveUp);
            if (!settled)
            {
                Log.LockLost(logger, function.Name);
            }
        }
        catch (OperationCanceledException) when (giveUp.IsCancellationRequested)
        {
            // Its lock ends with this process; it is delivered again.
            Log.GivenUp(logger, function.Name);
        }
        catch (Exception exception)
        {
            // Not settled: its lock runs out, and it is delivered again.
            Log.QueueFailed(logger, definition.Name, SafeText.Of(exception));
        }
        finally
        {
            slots.Release();
        }
    }

    private async Task<string?> InvokeAsync(LockedMessage message, CancellationToken giveUp)
    {
        using var done = CancellationTokenSource.CreateLinkedTokenSource(giveUp);
        var renewal = RenewAsync(message, done.Token);
        try
        {
            return await invocations.InvokeAsync(
                function.Name, InvocationWriter.Message(trigger, function.Name, message, time.GetUtcNow()), giveUp);
        }
        finally
        {
            await done.CancelAsync();
            await renewal;
        }
    }

    private async Task RenewAsync(LockedMessage message, CancellationToken done)
    {
        while (true)
        {
            await Task.Delay(definition.LockDuration / 2, time, done).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (done.IsCancellationRequested)
            {
                return;
            }

            try
            {
                if (!await queue.RenewAsync(message, CancellationToken.None))
                {
                    Log.LockLost(logger, function.Name);
                    return;
                }
            }
            catch (MessageQueueException exception)
            {
                // There is time for another attempt before the lock runs out.
                Log.QueueFailed(logger, definition.Name, SafeText.Of(exception));
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The queue {Queue} failed: {Fault}")]
        public static partial void QueueFailed(ILogger logger, string queue, string fault);

        [LoggerMessage(2, LogLevel.Warning, "{Function} failed on delivery {Delivery} of {MaxDeliveries}: {Fault}")]
        public static partial void Failed(ILogger logger, string function, int delivery, int maxDeliveries, string fault);

        [LoggerMessage(3, LogLevel.Warning, "{Function} lost the lock of its message, which is delivered again")]
        public static partial void LockLost(ILogger logger, string function);

        [LoggerMessage(4, LogLevel.Warning, "{Function} did not finish before the end; its message is delivered again")]
        public static partial void GivenUp(ILogger logger, string function);
    }
}
