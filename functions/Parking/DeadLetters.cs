using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Parking;

/// <summary>
/// Empties the dead-letter queue of a queue into the list of parked messages, so that people look in one place. Messages get there when the
/// program could not park them itself: it died during the last delivery, or the host gave up without asking it.
/// </summary>
public abstract class DeadLetterFunction(ParkedMessages parked, TimeProvider time) : IQueueFunction
{
    private const string Unknown = "The queue gave the message up; the program left no reason, so it probably died while it handled it.";

    /// <summary>A dead-letter queue delivers again at once and without end: a store that is down must not be asked without pause.</summary>
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(5);

    /// <inheritdoc/>
    public async Task InvokeAsync(ReceivedMessage message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        try
        {
            await parked.ParkAsync(message, message.DeadLetterReason ?? Unknown, cancellationToken);
        }
        catch (Exception) when (!cancellationToken.IsCancellationRequested)
        {
            await Task.Delay(Pause, time, cancellationToken);
            throw;
        }
    }
}

/// <summary>The dead letters of <see cref="Queues.Offboarding"/>.</summary>
public sealed class ParkOffboardingDeadLetters(ParkedMessages parked, TimeProvider time) : DeadLetterFunction(parked, time);

/// <summary>The dead letters of <see cref="Queues.Transfers"/>.</summary>
public sealed class ParkTransfersDeadLetters(ParkedMessages parked, TimeProvider time) : DeadLetterFunction(parked, time);

/// <summary>The dead letters of <see cref="Queues.Alerts"/>.</summary>
public sealed class ParkAlertDeadLetters(ParkedMessages parked, TimeProvider time) : DeadLetterFunction(parked, time);

/// <summary>The dead letters of <see cref="Queues.Signals"/>.</summary>
public sealed class ParkSignalDeadLetters(ParkedMessages parked, TimeProvider time) : DeadLetterFunction(parked, time);
