using DingFlow.Messaging;

namespace DingFlow.HrSystems;

/// <summary>
/// Asks HR systems about people of whom their webhooks name no more than an id. It is called from the queue, never before a webhook is
/// answered.
/// </summary>
public interface ILeaverLookup
{
    /// <summary>Resolves an event of kind <see cref="PersonEventKind.Unresolved"/>. It throws for nothing that an HR system does.</summary>
    /// <param name="personEvent">The event.</param>
    /// <param name="place">Where it stands, for alerts.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    Task<LeaverResolution> ResolveAsync(PersonEvent personEvent, LookupPlace place, CancellationToken cancellationToken);
}

/// <summary>Where an event stands in the inbox, and how often its work item was enqueued before.</summary>
/// <param name="DeliveryId">The delivery.</param>
/// <param name="Item">The event's number within it.</param>
/// <param name="Attempt">0 for the first time.</param>
/// <param name="ReceivedAt">When the delivery came.</param>
public sealed record LookupPlace(string DeliveryId, int Item, int Attempt, DateTimeOffset ReceivedAt);

/// <summary>What came of a lookup.</summary>
public abstract record LeaverResolution
{
    private LeaverResolution()
    {
    }

    /// <summary>The event for the case.</summary>
    /// <param name="Event">It, with identifiers that the directories know.</param>
    public sealed record Resolved(PersonEvent Event) : LeaverResolution;

    /// <summary>There is nothing to do, or nothing that can be done: then people have been told.</summary>
    public sealed record Done : LeaverResolution;

    /// <summary>It must be asked again.</summary>
    /// <param name="Wait">After how long.</param>
    public sealed record Later(TimeSpan Wait) : LeaverResolution;
}
