using System.Text.Json;
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

/// <summary>
/// What is held, and the versions of the rows that a hold changes in each chain, as they were before the holds were read: whoever removes
/// content makes them a condition, so that no hold is overlooked that was placed in between.
/// </summary>
internal sealed class HeldView(HeldEntries held, Dictionary<string, string?> marks)
{
    public HeldEntries Held { get; } = held;

    /// <summary>The operation that fails if a hold has been placed since.</summary>
    public EntityOperation Condition(string chain) =>
        marks.GetValueOrDefault(chain) is { } etag ? EntityOperation.Replace(AuditHolds.Mark(chain), etag) : EntityOperation.Insert(AuditHolds.Mark(chain));

    /// <summary>The condition was met, and has left this version.</summary>
    public void Follow(string chain, string etag) => marks[chain] = etag;
}

/// <summary>
/// Legal holds. Table <c>AuditTrail</c>, partition <c>holds</c>; and a row <c>holds</c> beside the entries of each chain, which changes with
/// every hold.
/// </summary>
public sealed class AuditHolds(IEntityStore store, IAuditTrail trail, AuditSeals seals, AuditSearch search)
{
    private const string Partition = "holds";
    private const string MarkRow = "holds";

    /// <summary>What is held now.</summary>
    internal async Task<HeldView> ViewAsync(CancellationToken cancellationToken)
    {
        // The versions first: a hold that comes later changes them.
        var marks = new Dictionary<string, string?>(StringComparer.Ordinal);
        foreach (var chain in await seals.ChainsAsync(cancellationToken))
        {
            marks[chain.Chain] = (await store.GetAsync(AuditRows.EntriesTable, chain.Chain, MarkRow, cancellationToken))?.ETag;
        }

        return new(await CoveredAsync(cancellationToken), marks);
    }

    /// <summary>The row that every hold changes.</summary>
    internal static Entity Mark(string chain) => new(chain, MarkRow) { Properties = { ["Schema"] = 1 } };

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

    /// <summary>
    /// All that are in force: those in the list, and those that the trail says were placed and never released. Whoever takes a hold from the
    /// list without releasing it has released nothing.
    /// </summary>
    public async Task<IReadOnlyList<AuditHold>> ListAsync(CancellationToken cancellationToken)
    {
        var holds = new SortedDictionary<string, AuditHold>(StringComparer.Ordinal);

        // What waits beside the list first: by the time the trail is read it may have moved there.
        var waiting = await WaitingReleasesAsync(cancellationToken);
        foreach (var (placed, released) in await PlacedAsync(cancellationToken))
        {
            if (placed.At > released && !waiting.Contains(placed.CaseId))
            {
                holds[placed.CaseId] = placed;
            }
        }

        await foreach (var row in seals.RowsAsync(Partition, AuditOutbox.RowsBefore(), cancellationToken))
        {
            holds[row.RowKey] = new(
                row.RowKey, row.Properties.Require<string>("Reason"), row.Properties.Require<string>("By"), row.Properties.Require<DateTimeOffset>("At"));
        }

        return [.. holds.Values];
    }

    /// <summary>Places a hold. When this returns no content of the case goes any more. <see langword="false"/>: the case has one.</summary>
    public async Task<bool> PlaceAsync(AuditHold hold, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(hold);
        var row = new Entity(Partition, hold.CaseId)
        {
            Properties = { ["Schema"] = 1, ["Reason"] = hold.Reason, ["By"] = hold.By, ["At"] = hold.At },
        };
        var result = await trail.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(row)), [EventOf(AuditAudit.HoldPlaced, hold.CaseId, hold.Reason, hold.By)],
            cancellationToken);

        // Also when it was there: a process may have died before it came to this.
        foreach (var chain in await seals.ChainsAsync(cancellationToken))
        {
            await store.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Upsert(Mark(chain.Chain))), cancellationToken);
        }

        return result.Committed;
    }

    /// <summary>Releases a hold. <see langword="false"/>: the case has none.</summary>
    public async Task<bool> ReleaseAsync(string caseId, string reason, string by, CancellationToken cancellationToken)
    {
        var released = EventOf(AuditAudit.HoldReleased, caseId, reason, by);
        if ((await trail.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(Partition, caseId)), [released], cancellationToken)).Committed)
        {
            return true;
        }

        if ((await ListAsync(cancellationToken)).All(hold => hold.CaseId != caseId))
        {
            return false;
        }

        await trail.AppendAsync(released, cancellationToken); // In the trail only.
        return true;
    }

    private async Task<HashSet<string>> WaitingReleasesAsync(CancellationToken cancellationToken)
    {
        var cases = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var row in seals.RowsAsync(Partition, RowKeyRange.StartingWith(AuditOutbox.RowPrefix), cancellationToken))
        {
            cases.UnionWith(AuditRows.ReadWaiting(row).Events
                .Where(static waiting => waiting.Kind == AuditAudit.HoldReleased.Name)
                .Select(static waiting => JsonSerializer.Deserialize(waiting.Content, AuditJson.Default.AuditContent)?.CaseId).OfType<string>());
        }

        return cases;
    }

    /// <summary>The last placing of each case that the trail knows, and when it was released last.</summary>
    private async Task<IReadOnlyList<(AuditHold Placed, DateTimeOffset Released)>> PlacedAsync(CancellationToken cancellationToken)
    {
        var placed = new Dictionary<string, AuditHold>(StringComparer.Ordinal);
        await foreach (var (caseId, content) in EntriesOfAsync(AuditAudit.HoldPlaced, cancellationToken))
        {
            placed[caseId] = new(caseId, content.Reason ?? "", content.Actor.Id, content.OccurredAt);
        }

        var released = new Dictionary<string, DateTimeOffset>(StringComparer.Ordinal);
        await foreach (var (caseId, content) in EntriesOfAsync(AuditAudit.HoldReleased, cancellationToken))
        {
            released[caseId] = content.OccurredAt;
        }

        return [.. placed.Values.Select(hold => (hold, released.GetValueOrDefault(hold.CaseId, DateTimeOffset.MinValue)))];
    }

    private async IAsyncEnumerable<(string CaseId, AuditContent Content)> EntriesOfAsync(
        AuditKind kind, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var found in search.ReadAsync(new() { Kind = kind.Name }, new(), cancellationToken))
        {
            if (found.Content is { CaseId: { } caseId } content)
            {
                yield return (caseId, content);
            }
        }
    }

    private static AuditEvent EventOf(AuditKind kind, string caseId, string reason, string by) => new()
    {
        Kind = kind, Actor = AuditActor.Principal(by), Payload = PayloadHash.Of(reason), On = new("case", caseId), CaseId = caseId, Reason = reason,
    };
}
