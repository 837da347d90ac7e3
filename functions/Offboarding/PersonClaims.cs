using DingFlow.Storage;

namespace DingFlow.Offboarding;

/// <summary>
/// Which case stands for a person. A person has several keys (HR ids, e-mail, accounts); each leads to at most one case. Claiming is
/// atomic per key, so of two cases that claim the same person at the same time one learns of the other.
/// </summary>
public sealed class PersonClaims(IEntityStore store)
{
    private const string Persons = "OffboardingPersons";
    private const string ClaimRow = "claim";
    private const string FactRow = "fact";

    /// <summary>The case that holds the key, or <see langword="null"/>.</summary>
    public async Task<PersonClaim?> FindAsync(string key, CancellationToken cancellationToken) =>
        await store.GetAsync(Persons, key, ClaimRow, cancellationToken) is { } entity
            ? new(key, entity.Properties.Require<string>("CaseId"), entity.ETag!)
            : null;

    /// <summary>
    /// Gives the key to a case. <paramref name="replacing"/> is the claim that may be taken over; any other that is there stays.
    /// Returns the claim that holds in the end.
    /// </summary>
    public async Task<PersonClaim> ClaimAsync(string key, string caseId, PersonClaim? replacing, CancellationToken cancellationToken)
    {
        var row = new Entity(key, ClaimRow) { Properties = new() { ["CaseId"] = caseId } };
        while (true)
        {
            var operation = replacing is null ? EntityOperation.Insert(row) : EntityOperation.Replace(row, replacing.ETag);
            var result = await store.SubmitAsync(EntityTransaction.Of(Persons, operation), cancellationToken);
            if (result.Committed)
            {
                return new(key, caseId, result.ETags[0]!);
            }

            if (await FindAsync(key, cancellationToken) is { } holder)
            {
                return holder;
            }

            replacing = null;
        }
    }

    /// <summary>Remembers that the person's leave was called off or the person came back, and when; the latest such fact is kept.</summary>
    public async Task RecordReturnAsync(string key, DateTimeOffset occurredAt, CancellationToken cancellationToken)
    {
        while (true)
        {
            var known = await store.GetAsync(Persons, key, FactRow, cancellationToken);
            if (known?.Properties.Get<DateTimeOffset>("ReturnedAt") >= occurredAt)
            {
                return;
            }

            var row = new Entity(key, FactRow) { Properties = new() { ["ReturnedAt"] = occurredAt } };
            var operation = known is null ? EntityOperation.Insert(row) : EntityOperation.Replace(row, known.ETag);
            if ((await store.SubmitAsync(EntityTransaction.Of(Persons, operation), cancellationToken)).Committed)
            {
                return;
            }
        }
    }

    /// <summary>When the person last came back or stayed, according to the sender; <see langword="null"/> if never.</summary>
    public async Task<DateTimeOffset?> ReturnedAtAsync(string key, CancellationToken cancellationToken) =>
        (await store.GetAsync(Persons, key, FactRow, cancellationToken))?.Properties.Get<DateTimeOffset>("ReturnedAt");
}

/// <summary>A case's claim on a person.</summary>
public sealed record PersonClaim(string Key, string CaseId, string ETag);
