using DingFlow.Storage;

namespace DingFlow.Hosting;

/// <summary>
/// Fires one timer function on its schedule in UTC: never two runs at once; occurrences that fall into a run are skipped; one that fell
/// into an outage is made up for once, as past due. Schedules under a minute are not recorded, as under the Functions host.
/// </summary>
internal sealed partial class TimerLoop(
    FunctionEntry function, FunctionTrigger.Timer trigger, IEntityStore store, InvocationClient invocations, TimeProvider time, ILogger logger)
{
    /// <summary>The table that remembers when each timer last fired.</summary>
    public const string Table = "Timers";

    public const string Partition = "timers";

    /// <summary>Later than this is past due.</summary>
    private static readonly TimeSpan Tolerance = TimeSpan.FromSeconds(5);

    /// <summary>The clock may be set while waiting, and a timer cannot wait for ever: look again after this.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(10);

    /// <summary>Fires until told to stop, then waits for the run in flight.</summary>
    /// <param name="stopping">Fire no more.</param>
    /// <param name="giveUp">Stop waiting for the run in flight.</param>
    public async Task RunAsync(CancellationToken stopping, CancellationToken giveUp)
    {
        var schedule = trigger.Schedule;
        var started = time.GetUtcNow();
        var recorded = !schedule.IsUnderAMinute(started);
        var last = recorded ? await ReadLastAsync(started, stopping) : null;
        var due = schedule.NextAfter(last ?? started);
        while (true)
        {
            while (due - time.GetUtcNow() is var wait && wait > TimeSpan.Zero && !stopping.IsCancellationRequested)
            {
                await Task.Delay(wait < LongestWait ? wait : LongestWait, time, stopping).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            if (stopping.IsCancellationRequested)
            {
                return;
            }

            var fired = time.GetUtcNow();
            var firing = new TimerFiring(last, schedule.NextAfter(fired), IsPastDue: fired - due > Tolerance);
            if (!await FireAsync(firing, giveUp))
            {
                return;
            }

            due = schedule.NextAfter(time.GetUtcNow());
            last = recorded ? fired : null;
            if (recorded)
            {
                await RecordAsync(fired, giveUp);
            }
        }
    }

    /// <summary>Runs the function; <see langword="false"/> when it was given up. A run that fails is not repeated before its next occurrence.</summary>
    private async Task<bool> FireAsync(TimerFiring firing, CancellationToken giveUp)
    {
        try
        {
            var invocation = InvocationWriter.Tick(trigger, function.Name, firing, time.GetUtcNow());
            if (await invocations.InvokeAsync(function.Name, invocation, giveUp) is { } fault)
            {
                Log.Failed(logger, function.Name, fault);
            }

            return true;
        }
        catch (OperationCanceledException) when (giveUp.IsCancellationRequested)
        {
            return false;
        }
    }

    /// <summary>When it last fired. The first start of all counts as a firing, so that an outage before the first real one is noticed.</summary>
    private async Task<DateTimeOffset?> ReadLastAsync(DateTimeOffset started, CancellationToken stopping)
    {
        try
        {
            if (await store.GetAsync(Table, Partition, function.Name, stopping) is { } row)
            {
                return row.Properties.Require<DateTimeOffset>("Last");
            }
        }
        catch (OperationCanceledException) when (stopping.IsCancellationRequested)
        {
            return null;
        }
        catch (EntityStoreException exception)
        {
            Log.NotRecorded(logger, function.Name, SafeText.Of(exception));
            return null;
        }

        await RecordAsync(started, stopping);
        return null;
    }

    private async Task RecordAsync(DateTimeOffset last, CancellationToken cancellationToken)
    {
        try
        {
            var row = new Entity(Partition, function.Name) { Properties = new EntityProperties { ["Last"] = last } };
            await store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Upsert(row)), cancellationToken);
        }
        catch (EntityStoreException exception)
        {
            Log.NotRecorded(logger, function.Name, SafeText.Of(exception));
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // The next start makes up for this firing once more.
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "{Function} failed and runs again at its next time: {Fault}")]
        public static partial void Failed(ILogger logger, string function, string fault);

        [LoggerMessage(2, LogLevel.Error, "When {Function} last ran cannot be kept: {Fault}")]
        public static partial void NotRecorded(ILogger logger, string function, string fault);
    }
}
