using System.Globalization;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Rules;

/// <summary>The register of incidents. Table <c>Incidents</c>: partition exporter, a row per reference; each change leaves an audit entry in its transaction.</summary>
public sealed class IncidentStore(IEntityStore store, IAuditTrail trail)
{
    private const string Table = "Incidents";
    private const int PageSize = 500;

    /// <summary>An incident with the version for its next write; <see langword="null"/> when there is none.</summary>
    public async Task<(Incident Incident, string ETag)?> FindAsync(string exporter, string reference, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, exporter, reference, cancellationToken) is { } row ? (Read(row), row.ETag!) : null;

    /// <summary>Every incident of an exporter, the last reported first.</summary>
    public async Task<IReadOnlyList<Incident>> ListAsync(string exporter, CancellationToken cancellationToken)
    {
        List<Incident> incidents = [];
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, exporter, AuditOutbox.RowsBefore(), PageSize, continuation, cancellationToken);
            incidents.AddRange(page.Entities.Select(Read));
            continuation = page.Continuation;
        }
        while (continuation is not null);
        return [.. incidents.OrderByDescending(static incident => incident.ReportedAt).ThenBy(static incident => incident.Reference, StringComparer.Ordinal)];
    }

    /// <summary>
    /// How large the largest open incident is. Each number is that of one incident: rules ask for the persons hit by one, so that numbers
    /// of several are never added.
    /// </summary>
    public async Task<IncidentSize> LargestOpenAsync(string exporter, CancellationToken cancellationToken) =>
        IncidentSize.Largest((await ListAsync(exporter, cancellationToken)).Where(static incident => incident.Closed is null));

    /// <summary>Stores an incident and says so in the audit trail. <see langword="false"/>: somebody else changed it meanwhile.</summary>
    /// <param name="incident">As it is from now on.</param>
    /// <param name="etag">The version that was read; <see langword="null"/> for a new one.</param>
    /// <param name="kind">What was done.</param>
    /// <param name="by">The principal.</param>
    /// <param name="reason">Why, for a closing.</param>
    /// <param name="cancellationToken">Gives up.</param>
    internal async Task<bool> SaveAsync(Incident incident, string? etag, AuditKind kind, string by, string? reason, CancellationToken cancellationToken)
    {
        var content = JsonSerializer.Serialize(incident, IncidentJson.Default.Incident);
        var row = new Entity(incident.Exporter, incident.Reference) { Properties = new() { ["Schema"] = 1, ["Incident"] = content } };
        var result = await trail.SubmitAsync(
            EntityTransaction.Of(Table, etag is null ? EntityOperation.Insert(row) : EntityOperation.Replace(row, etag)),
            [IncidentAudit.Of(kind, incident, PayloadHash.Of(content), by, reason)], cancellationToken);
        return result.Committed;
    }

    private static Incident Read(Entity row) =>
        JsonSerializer.Deserialize(row.Properties.Require<string>("Incident"), IncidentJson.Default.Incident)
        ?? throw new InvalidDataException("A stored incident is empty.");
}

/// <summary>What the audit trail says of incidents: numbers, never the description.</summary>
internal static class IncidentAudit
{
    public static AuditKind Reported { get; } = new("incidents.reported", AuditRetention.Legal, "A person reported an incident with personal information.");

    public static AuditKind Corrected { get; } = new("incidents.corrected", AuditRetention.Legal, "A person corrected what is known of an incident.");

    public static AuditKind Closed { get; } = new("incidents.closed", AuditRetention.Legal, "A person closed an incident.");

    public static AuditEvent Of(AuditKind kind, Incident incident, PayloadHash payload, string by, string? reason) => new()
    {
        Kind = kind,
        Actor = AuditActor.Principal(by),
        Payload = payload,
        On = new("incident", $"{incident.Exporter}/{incident.Reference}"),
        Exporter = incident.Exporter,
        Reason = reason,
        Details = new Dictionary<string, string>
        {
            ["persons"] = Number(incident.Persons), ["sensitivePersons"] = Number(incident.SensitivePersons), ["eeaPersons"] = Number(incident.EeaPersons),
            ["revision"] = Number(incident.Revision),
        },
    };

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
