using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Offboarding;

/// <summary>A case as it was read, with the version that the next write must meet.</summary>
public sealed record StoredCase(OffboardingCase Case, string ETag);

/// <summary>
/// Cases in the store. Table <c>OffboardingCases</c>: partition = month, newest first. Table <c>OffboardingIndex</c>: which cases are
/// open or need attention, which employee id has which cases, which months there are. Index rows are written before the case and
/// removed after it, so they may point to nothing but never miss a case.
/// </summary>
public sealed class CaseStore(IEntityStore store, IAuditTrail trail, AuditPseudonyms pseudonyms)
{
    private const string Cases = "OffboardingCases";
    private const string Index = "OffboardingIndex";
    private const string Active = "active";
    private const string Months = "months";
    private const int ChunkLength = EntityLimits.StringLength;
    private const int MaximumChunks = 12;

    private string? _lastMonth;

    /// <summary>Reads a case, or <see langword="null"/> when there is none.</summary>
    public async Task<StoredCase?> FindAsync(string caseId, CancellationToken cancellationToken) =>
        CaseId.IsValid(caseId)
        && await store.GetAsync(Cases, CaseId.PartitionOf(caseId), CaseId.RowOf(caseId), cancellationToken) is { } entity
            ? Read(entity)
            : null;

    /// <summary>The case itself, or the one that it became part of; <see langword="null"/> when there is none.</summary>
    public async Task<StoredCase?> FollowAsync(string caseId, CancellationToken cancellationToken)
    {
        var found = await FindAsync(caseId, cancellationToken);
        while (found?.Case.MergedInto is { } target)
        {
            found = await FindAsync(target, cancellationToken);
        }

        return found;
    }

    /// <summary>Stores a new case. <see langword="null"/>: it exists.</summary>
    public async Task<StoredCase?> AddAsync(OffboardingCase @case, CancellationToken cancellationToken)
    {
        await PutIndexAsync(@case, cancellationToken);
        var (entity, payload) = Write(@case);
        var result = await trail.SubmitAsync(
            EntityTransaction.Of(Cases, EntityOperation.Insert(entity)), CaseAudit.Of(null, @case, payload, pseudonyms), cancellationToken);
        return result.Committed ? new(@case, result.ETags[0]!) : null;
    }

    /// <summary>
    /// Changes a case. When somebody else wrote it meanwhile, it is read again and the change applied to what is there now, so
    /// <paramref name="change"/> must be a pure function; returning its argument writes nothing.
    /// </summary>
    /// <exception cref="KeyNotFoundException">There is no such case.</exception>
    public async Task<StoredCase> UpdateAsync(
        StoredCase current, Func<OffboardingCase, OffboardingCase> change, CancellationToken cancellationToken)
    {
        while (true)
        {
            var changed = change(current.Case);
            if (ReferenceEquals(changed, current.Case))
            {
                return current;
            }

            if (IsActive(changed) || changed.EmployeeId != current.Case.EmployeeId)
            {
                await PutIndexAsync(changed, cancellationToken);
            }

            var (entity, payload) = Write(changed);
            var result = await trail.SubmitAsync(
                EntityTransaction.Of(Cases, EntityOperation.Replace(entity, current.ETag)),
                CaseAudit.Of(current.Case, changed, payload, pseudonyms), cancellationToken);
            if (result.Committed)
            {
                if (IsActive(current.Case) && !IsActive(changed))
                {
                    await store.SubmitAsync(EntityTransaction.Of(Index, EntityOperation.Delete(Active, changed.CaseId)), cancellationToken);
                }

                return new(changed, result.ETags[0]!);
            }

            current = await FindAsync(current.Case.CaseId, cancellationToken)
                ?? throw new KeyNotFoundException($"Case {current.Case.CaseId} is gone.");
        }
    }

    /// <summary>The cases of an employee id, the newest first; those that merged into another are left out.</summary>
    public async Task<IReadOnlyList<OffboardingCase>> OfEmployeeAsync(string employeeId, CancellationToken cancellationToken)
    {
        var ids = new List<string>();
        await foreach (var row in PartitionAsync(Index, EmployeePartition(employeeId), cancellationToken))
        {
            ids.Add(row.RowKey);
        }

        var cases = new List<OffboardingCase>();
        foreach (var id in ids.Order(StringComparer.Ordinal).Reverse())
        {
            if (await FindAsync(id, cancellationToken) is { Case.MergedInto: null } found)
            {
                cases.Add(found.Case);
            }
        }

        return cases;
    }

    /// <summary>Makes a case appear under one more employee id (a leaver who was reported under two).</summary>
    public Task AddEmployeeAsync(string employeeId, string caseId, CancellationToken cancellationToken) => store.SubmitAsync(
        EntityTransaction.Of(Index, EntityOperation.Upsert(new Entity(EmployeePartition(employeeId), caseId))), cancellationToken);

    /// <summary>The cases that are open, need attention or await their last reading, the oldest first. Rows whose case has ended meanwhile are removed.</summary>
    public async IAsyncEnumerable<StoredCase> ActiveAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var row in PartitionAsync(Index, Active, cancellationToken))
        {
            if (await FindAsync(row.RowKey, cancellationToken) is not { } found)
            {
                continue; // Its creation is under way, or died before the case was written; a redelivery completes it.
            }

            if (IsActive(found.Case))
            {
                yield return found;
            }
            else
            {
                await store.SubmitAsync(
                    EntityTransaction.Of(Index, EntityOperation.Delete(Active, row.RowKey, row.ETag)), cancellationToken);
            }
        }
    }

    /// <summary>Every case, the newest first.</summary>
    public async IAsyncEnumerable<OffboardingCase> AllAsync(
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        CaseCursor? cursor = null;
        do
        {
            var page = await ListAsync(static _ => true, 500, cursor, cancellationToken);
            foreach (var found in page.Cases)
            {
                yield return found;
            }

            cursor = page.Next;
        }
        while (cursor is not null);
    }

    /// <summary>A page of all cases, the newest first.</summary>
    public async Task<CasePage> ListAsync(
        Func<OffboardingCase, bool> filter, int pageSize, CaseCursor? cursor, CancellationToken cancellationToken)
    {
        var months = new List<string>();
        await foreach (var row in PartitionAsync(Index, Months, cancellationToken))
        {
            months.Add(row.RowKey);
        }

        var found = new List<OffboardingCase>();
        foreach (var month in months.OrderDescending(StringComparer.Ordinal))
        {
            if (cursor is not null && string.CompareOrdinal(month, cursor.Month) > 0)
            {
                continue;
            }

            // A row key is the place to go on: it stays valid whatever was added or removed since.
            var after = month == cursor?.Month ? cursor.AfterRow : null;
            var range = AuditOutbox.RowsBefore(after is null ? null : after + "!");
            string? continuation = null;
            do
            {
                var page = await store.QueryAsync(Cases, month, range, 200, continuation, cancellationToken);
                foreach (var entity in page.Entities)
                {
                    if (Read(entity).Case is var candidate && filter(candidate))
                    {
                        found.Add(candidate);
                        if (found.Count == pageSize)
                        {
                            return new(found, new(month, entity.RowKey));
                        }
                    }
                }

                continuation = page.Continuation;
            }
            while (continuation is not null);
        }

        return new(found, null);
    }

    /// <summary>A case is in the list of active ones while it is open, waits for people, or is to be read back once more.</summary>
    private static bool IsActive(OffboardingCase @case) => @case.IsOpen || @case.NeedsAttention || @case.AwaitsRecheck;

    private async Task PutIndexAsync(OffboardingCase @case, CancellationToken cancellationToken)
    {
        var transactions = new List<EntityTransaction>(3);
        if (IsActive(@case))
        {
            transactions.Add(EntityTransaction.Of(Index, EntityOperation.Upsert(new Entity(Active, @case.CaseId))));
        }

        if (@case.EmployeeId is { } employeeId)
        {
            transactions.Add(EntityTransaction.Of(Index, EntityOperation.Upsert(new Entity(EmployeePartition(employeeId), @case.CaseId))));
        }

        var month = CaseId.PartitionOf(@case.CaseId);
        if (_lastMonth != month)
        {
            transactions.Add(EntityTransaction.Of(Index, EntityOperation.Upsert(new Entity(Months, month))));
        }

        await store.SubmitManyAsync(transactions, cancellationToken);
        _lastMonth = month;
    }

    private async IAsyncEnumerable<Entity> PartitionAsync(
        string table, string partition, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(table, partition, RowKeyRange.All, 500, continuation, cancellationToken);
            foreach (var entity in page.Entities)
            {
                yield return entity;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    private static string EmployeePartition(string employeeId) => "employee|" + PersonKey.Escape(employeeId);

    private static (Entity Entity, PayloadHash Payload) Write(OffboardingCase @case)
    {
        var json = JsonSerializer.Serialize(@case, OffboardingJson.Default.OffboardingCase);
        var properties = new EntityProperties { ["Schema"] = 1, ["State"] = @case.State.ToString() };
        var chunks = (json.Length + ChunkLength - 1) / ChunkLength;
        if (chunks > MaximumChunks)
        {
            throw new InvalidOperationException($"Case {@case.CaseId} has grown beyond what one row can hold.");
        }

        properties["Chunks"] = chunks;
        for (var i = 0; i < chunks; i++)
        {
            properties["Case" + i] = json.Substring(i * ChunkLength, Math.Min(ChunkLength, json.Length - (i * ChunkLength)));
        }

        return (new(CaseId.PartitionOf(@case.CaseId), CaseId.RowOf(@case.CaseId)) { Properties = properties }, PayloadHash.Of(json));
    }

    private static StoredCase Read(Entity entity)
    {
        var chunks = entity.Properties.Require<int>("Chunks");
        var json = string.Concat(Enumerable.Range(0, chunks).Select(i => entity.Properties.Require<string>("Case" + i)));
        return new(JsonSerializer.Deserialize(json, OffboardingJson.Default.OffboardingCase)!, entity.ETag!);
    }
}

/// <summary>A page of cases, and where the next begins.</summary>
public sealed record CasePage(IReadOnlyList<OffboardingCase> Cases, CaseCursor? Next);

/// <summary>A place in the list of cases.</summary>
public sealed record CaseCursor(string Month, string AfterRow);
