using DingFlow.Messaging;

namespace DingFlow.Intake.Dialects;

/// <summary>Events of senders that name a person by the HR system's own id and leave the rest to be asked.</summary>
internal static class ThinEvents
{
    /// <summary>An event, or a fault when the id cannot be one.</summary>
    public static HrReading Of(string source, string? personId, string path, LookupHint hint, DateTimeOffset? eventTime, string? senderId = null)
    {
        if (!PersonFields.IsEmployeeId(personId))
        {
            return HrReading.Refused(path, PersonFields.EmployeeIdRule);
        }

        return new HrReading { EventTime = eventTime, SenderId = senderId, Events = [Event(source, personId!, hint, eventTime)] };
    }

    /// <summary>One event.</summary>
    public static PersonEvent Event(string source, string personId, LookupHint hint, DateTimeOffset? occurredAt) => new()
    {
        Kind = PersonEventKind.Unresolved,
        Source = source,
        EmployeeId = personId,
        OccurredAt = occurredAt,
        Lookup = new PersonLookup(personId, hint),
    };
}
