using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>A legal hold: the content of the case's entries stays until it is released.</summary>
/// <param name="CaseId">The case.</param>
/// <param name="Reason">Why.</param>
/// <param name="By">Who placed it.</param>
/// <param name="At">When.</param>
public sealed record AuditHold(string CaseId, string Reason, string By, DateTimeOffset At);

/// <summary>What the holds in force cover: cases, and the deliveries on which they rest.</summary>
internal sealed class HeldEntries
{
    public HashSet<string> Cases { get; } = new(StringComparer.Ordinal);

    public HashSet<string> Deliveries { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether a hold keeps an entry that says this.</summary>
    public bool Covers(AuditContent? content) =>
        (content?.CaseId is { } caseId && Cases.Contains(caseId)) || (content?.On is { Type: "delivery" } on && Deliveries.Contains(on.Id));
}

/// <summary>Legal holds. Table <c>AuditTrail</c>, partition <c>holds</c>.</summary>
public sealed class AuditHolds(IAuditTrail trail, AuditSeals seals, AuditSearch search)
{
    private const string Partition = "holds";

    /// <summary>
    /// What is held. The cases' own entries lead to the cases that they were joined with and to the deliveries that they heard; entries that
    /// are held stay readable, so the way does not break while the hold lasts.
    /// </summary>
    internal async Task<HeldEntries> CoveredAsync(CancellationToken cancellationToken)
    {
        var held = new HeldEntries();
        var toRead = new Queue<string>((await ListAsync(cancellationToken)).Select(static hold => hold.CaseId));
        while (toRead.TryDequeue(out var caseId))
        {
            if (!held.Cases.Add(caseId))
            {
                continue;
            }

            await foreach (var found in search.ReadAsync(new() { CaseId = caseId }, new(), cancellationToken))
            {
                var details = found.Content?.Details;
                if (details?.GetValueOrDefault(CaseLinks.Delivery) is { } delivery)
                {
                    held.Deliveries.Add(delivery);
                }

                if (details?.GetValueOrDefault(CaseLinks.OtherCase) is { } other)
                {
                    toRead.Enqueue(other);
                }
            }
        }

        return held;
    }

    /// <summary>All that are in force.</summary>
    public async Task<IReadOnlyList<AuditHold>> ListAsync(CancellationToken cancellationToken)
    {
        List<AuditHold> holds = [];
        await foreach (var row in seals.RowsAsync(Partition, AuditOutbox.RowsBefore(), cancellationToken))
        {
            holds.Add(new(
                row.RowKey, row.Properties.Require<string>("Reason"), row.Properties.Require<string>("By"), row.Properties.Require<DateTimeOffset>("At")));
        }

        return holds;
    }

    /// <summary>Places a hold. <see langword="false"/>: the case has one.</summary>
    public async Task<bool> PlaceAsync(AuditHold hold, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(hold);
        var row = new Entity(Partition, hold.CaseId)
        {
            Properties = { ["Schema"] = 1, ["Reason"] = hold.Reason, ["By"] = hold.By, ["At"] = hold.At },
        };
        return (await trail.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(row)), [EventOf(AuditAudit.HoldPlaced, hold.CaseId, hold.Reason, hold.By)],
            cancellationToken)).Committed;
    }

    /// <summary>Releases a hold. <see langword="false"/>: the case has none.</summary>
    public async Task<bool> ReleaseAsync(string caseId, string reason, string by, CancellationToken cancellationToken) =>
        (await trail.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(Partition, caseId)), [EventOf(AuditAudit.HoldReleased, caseId, reason, by)],
            cancellationToken)).Committed;

    private static AuditEvent EventOf(AuditKind kind, string caseId, string reason, string by) => new()
    {
        Kind = kind, Actor = AuditActor.Principal(by), Payload = PayloadHash.Of(reason), On = new("case", caseId), CaseId = caseId, Reason = reason,
    };
}
