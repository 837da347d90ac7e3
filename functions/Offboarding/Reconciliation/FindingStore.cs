using System.Globalization;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>Findings and reports. Table <c>OffboardingFindings</c>: partition <c>findings</c> a row each; partition <c>reports</c> the newest first; <c>cursors</c>: where a way round goes on.</summary>
public sealed class FindingStore(IEntityStore store, IAuditTrail trail)
{
    private const string Table = "OffboardingFindings";
    private const string Findings = "findings";
    private const string Reports = "reports";
    private const string Cursors = "cursors";

    /// <summary>Every finding there is, by id, with the version for its next write.</summary>
    public async Task<Dictionary<string, (Finding Finding, string ETag)>> ReadAsync(CancellationToken cancellationToken)
    {
        var found = new Dictionary<string, (Finding, string)>(StringComparer.Ordinal);
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, Findings, AuditOutbox.RowsBefore(), 500, continuation, cancellationToken);
            foreach (var row in page.Entities)
            {
                found[row.RowKey] = (Read(row), row.ETag!);
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
        return found;
    }

    /// <summary>One finding; <see langword="null"/> when there is none.</summary>
    public async Task<(Finding Finding, string ETag)?> FindAsync(string findingId, CancellationToken cancellationToken) =>
        await store.GetAsync(Table, Findings, findingId, cancellationToken) is { } row ? (Read(row), row.ETag!) : null;

    /// <summary>Stores findings as a reconciliation leaves them; those that an operator changed meanwhile stay as the operator left them.</summary>
    public async Task SaveAsync(IReadOnlyCollection<(Finding Finding, string? ETag, AuditEvent? Event)> findings, CancellationToken cancellationToken)
    {
        foreach (var chunk in findings.Chunk(500))
        {
            await trail.SubmitManyAsync(
                [.. chunk.Select(f => new AuditedTransaction(
                    EntityTransaction.Of(Table, f.ETag is null ? EntityOperation.Insert(Write(f.Finding)) : EntityOperation.Replace(Write(f.Finding), f.ETag)),
                    f.Event is null ? [] : [f.Event]))],
                cancellationToken);
        }
    }

    /// <summary>Stores a finding and says so in the audit trail. <see langword="false"/>: somebody else changed it meanwhile.</summary>
    public async Task<bool> SaveAsync(Finding finding, string etag, AuditEvent auditEvent, CancellationToken cancellationToken) =>
        (await trail.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Replace(Write(finding), etag)), [auditEvent], cancellationToken)).Committed;

    /// <summary>Removes findings that are over for good.</summary>
    public Task RemoveAsync(IEnumerable<string> findingIds, CancellationToken cancellationToken) => store.SubmitManyAsync(
        [.. findingIds.Select(id => EntityTransaction.Of(Table, EntityOperation.Delete(Findings, id)))], cancellationToken);

    /// <summary>Where a way round over several runs stopped; <see langword="null"/>: it has not begun.</summary>
    public async Task<string?> CursorAsync(string name, CancellationToken cancellationToken) =>
        (await store.GetAsync(Table, Cursors, PersonKey.Escape(name), cancellationToken))?.Properties.Require<string>("After");

    /// <summary>Keeps where a way round stopped.</summary>
    public Task SaveCursorAsync(string name, string after, CancellationToken cancellationToken) => store.SubmitAsync(
        EntityTransaction.Of(Table, EntityOperation.Upsert(new Entity(Cursors, PersonKey.Escape(name)) { Properties = new() { ["After"] = after } })), cancellationToken);

    /// <summary>Stores a report.</summary>
    public Task AddReportAsync(ReconciliationReport report, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(report);
        var row = new Entity(Reports, string.Create(CultureInfo.InvariantCulture, $"{long.MaxValue - report.StartedAt.UtcTicks:D19}"))
        {
            Properties = new() { ["Report"] = JsonSerializer.Serialize(report, ReconciliationJson.Default.ReconciliationReport) },
        };
        return store.SubmitAsync(EntityTransaction.Of(Table, EntityOperation.Upsert(row)), cancellationToken);
    }

    /// <summary>The last report; <see langword="null"/> when there is none.</summary>
    public async Task<ReconciliationReport?> LastReportAsync(CancellationToken cancellationToken) =>
        (await store.QueryAsync(Table, Reports, RowKeyRange.All, 1, null, cancellationToken)).Entities is [var row, ..]
            ? JsonSerializer.Deserialize(row.Properties.Require<string>("Report"), ReconciliationJson.Default.ReconciliationReport)
            : null;

    private static Entity Write(Finding finding) => new(Findings, finding.FindingId)
    {
        Properties = new() { ["Schema"] = 1, ["Finding"] = JsonSerializer.Serialize(finding, ReconciliationJson.Default.Finding) },
    };

    private static Finding Read(Entity row) =>
        JsonSerializer.Deserialize(row.Properties.Require<string>("Finding"), ReconciliationJson.Default.Finding)!;
}
