using System.Text.Json.Serialization;

namespace DingFlow.Rules;

/// <summary>
/// A leak, an alteration or a loss of personal information, as a person reported it (PIPL art. 57; GDPR art. 33(5) asks for a register).
/// Numbers are estimates that are corrected as more is known.
/// </summary>
public sealed record Incident
{
    /// <summary>The legal entity.</summary>
    public required string Exporter { get; init; }

    /// <summary>The entity's own number for it, lower case: 1 to 64 of letters, digits, <c>. _ -</c>. With the exporter it names the incident.</summary>
    public required string Reference { get; init; }

    /// <summary>When somebody became aware of it: the 72 hours of GDPR art. 33 run from here.</summary>
    public required DateTimeOffset DiscoveredAt { get; init; }

    /// <summary>When it happened, as far as that is known.</summary>
    public DateTimeOffset? OccurredAt { get; init; }

    /// <summary>Distinct persons hit.</summary>
    public required long Persons { get; init; }

    /// <summary>Those of them whose sensitive information was hit.</summary>
    public long SensitivePersons { get; init; }

    /// <summary>Those of them to whom the GDPR applies.</summary>
    public long EeaPersons { get; init; }

    /// <summary>Records hit; <see langword="null"/> when nobody knows.</summary>
    public long? Records { get; init; }

    /// <summary>The kinds of information, as classes of the classification.</summary>
    public IReadOnlyList<string> Categories { get; init; } = [];

    /// <summary>What happened and what is done about it, for people; names nobody.</summary>
    public required string Description { get; init; }

    /// <summary>When it was first reported here.</summary>
    public required DateTimeOffset ReportedAt { get; init; }

    /// <summary>Who reported it.</summary>
    public required string ReportedBy { get; init; }

    /// <summary>1 for the report, one more with each correction.</summary>
    public required int Revision { get; init; }

    /// <summary>When the last correction was made.</summary>
    public required DateTimeOffset UpdatedAt { get; init; }

    /// <summary>How it ended; <see langword="null"/> while it is open. A correction opens it again.</summary>
    public IncidentClosing? Closed { get; init; }

    /// <summary>Until when the supervisory authority is to be notified (GDPR art. 33(1)); <see langword="null"/> when no person is under the GDPR.</summary>
    public DateTimeOffset? EuNotifyBy => EeaPersons > 0 ? DiscoveredAt.AddHours(72) : null;

    /// <summary>As the rules look at it.</summary>
    [JsonIgnore]
    public IncidentSize Size => new(Persons, SensitivePersons, EeaPersons);

    /// <summary>The same numbers and words are reported.</summary>
    public bool SaysTheSameAs(Incident other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return (DiscoveredAt, OccurredAt, Persons, SensitivePersons, EeaPersons, Records, Description)
                == (other.DiscoveredAt, other.OccurredAt, other.Persons, other.SensitivePersons, other.EeaPersons, other.Records, other.Description)
            && Categories.SequenceEqual(other.Categories);
    }
}

/// <summary>How an incident ended.</summary>
/// <param name="At">When.</param>
/// <param name="By">The principal.</param>
/// <param name="Reason">What was done: notices, numbers of filings, why nothing more is needed.</param>
public sealed record IncidentClosing(DateTimeOffset At, string By, string Reason);

/// <summary>What a person reports on an incident.</summary>
internal sealed record IncidentRequest(
    DateTimeOffset? DiscoveredAt, DateTimeOffset? OccurredAt, long? Persons, long? SensitivePersons, long? EeaPersons, long? Records,
    IReadOnlyList<string>? Categories, string? Description);

/// <summary>Why an incident needs nothing more.</summary>
internal sealed record IncidentCloseRequest(string? Reason);

/// <summary>An incident, and the rules that it reaches.</summary>
/// <param name="Incident">The incident.</param>
/// <param name="Rules">Every rule on incidents as this one stands against it.</param>
internal sealed record IncidentView(Incident Incident, IReadOnlyList<ThresholdRule> Rules);

/// <summary>The incidents of an exporter, the last reported first.</summary>
internal sealed record IncidentList(IReadOnlyList<Incident> Items);

/// <summary>JSON of incidents, stored and shown.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, UseStringEnumConverter = true)]
[JsonSerializable(typeof(Incident))]
[JsonSerializable(typeof(IncidentView))]
[JsonSerializable(typeof(IncidentList))]
[JsonSerializable(typeof(IncidentRequest))]
[JsonSerializable(typeof(IncidentCloseRequest))]
internal sealed partial class IncidentJson : JsonSerializerContext;
