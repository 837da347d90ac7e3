namespace DingFlow.Messaging;

/// <summary>A queue: what the Bicep makes of it in Service Bus and what the embedded queue does in its place.</summary>
/// <param name="Name">Its name, as in <c>function.json</c>.</param>
/// <param name="RequiresSession">Messages carry a session and are handled in order within it.</param>
/// <param name="DuplicateDetection">For how long a <c>MessageId</c> is remembered.</param>
/// <param name="LockDuration">For how long a delivery is locked before it is offered again, unless renewed.</param>
/// <param name="MaxDeliveryCount">Deliveries before a message is dead-lettered.</param>
public sealed record QueueDefinition(
    string Name, bool RequiresSession, TimeSpan DuplicateDetection, TimeSpan LockDuration, int MaxDeliveryCount);

/// <summary>Every queue there is. The Bicep and the <c>function.json</c> files are tested against this list.</summary>
public static class Queues
{
    /// <summary>Person events and case runs; the session is the person, then the case.</summary>
    public static QueueDefinition Offboarding { get; } = new("offboarding", true, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(1), 10);

    /// <summary>People seen in DingTalk organisations abroad, to be counted; the session is the person.</summary>
    public static QueueDefinition Transfers { get; } = new("transfers", true, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(1), 10);

    /// <summary>Alerts on their way to people.</summary>
    public static QueueDefinition Alerts { get; } = new("alerts", false, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(1), 10);

    /// <summary>Signals on their way to subscribers.</summary>
    public static QueueDefinition Signals { get; } = new("signals", false, TimeSpan.FromMinutes(10), TimeSpan.FromMinutes(1), 10);

    /// <summary>The queue that handles an event of this kind.</summary>
    public static QueueDefinition For(PersonEventKind kind) => kind is PersonEventKind.SeenInOrganisation or PersonEventKind.Received ? Transfers : Offboarding;

    /// <summary>All of them.</summary>
    public static IReadOnlyList<QueueDefinition> All { get; } = [Offboarding, Transfers, Alerts, Signals];
}
