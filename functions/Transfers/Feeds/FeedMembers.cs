using System.Runtime.CompilerServices;
using DingFlow.Storage;

namespace DingFlow.Transfers;

/// <summary>
/// Remembers, by pseudonym, whom an HR source has named, so that a number or an address which it gives to a successor is not taken for the
/// leaver's. (DingTalk's contact lists have a memory of their own.) Table <c>FeedMembers</c>: a partition for each source, a row for each person.
/// </summary>
internal sealed class FeedMembers(IEntityStore store, TimeProvider time)
{
    private const string Table = "FeedMembers";
    private const int PageSize = 1000;

    /// <summary>As long as leavers of a contact list are known: everybody of a calendar year, and a month.</summary>
    private static readonly TimeSpan Retention = TimeSpan.FromDays(395);

    /// <summary>Who is there every night is written once in so many days.</summary>
    private static readonly TimeSpan Renewal = TimeSpan.FromDays(25);

    /// <summary>Notes people of whom a source tells; those whom it named before stay known.</summary>
    public async Task NoteAsync(string source, IReadOnlyCollection<SubjectPseudonym> people, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        List<EntityOperation> news = [];
        foreach (var person in people)
        {
            var known = await store.GetAsync(Table, PartitionOf(source), person.ToString(), cancellationToken);
            if (known is null || IsOld(known, Renewal, now))
            {
                news.Add(EntityOperation.Upsert(RowOf(source, person, now)));
            }
        }

        await SubmitAsync(news, EntityLimits.OperationsPerTransaction, cancellationToken);
    }

    /// <summary>Notes everybody whom a source has now. Returns those whom it named before and does not name any more.</summary>
    public async Task<IReadOnlyList<SubjectPseudonym>> NoteAllAsync(
        string source, IReadOnlySet<SubjectPseudonym> people, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var (missing, former) = (people.ToHashSet(), new List<SubjectPseudonym>());
        List<EntityOperation> forgotten = [];
        await foreach (var row in AllAsync(source, cancellationToken))
        {
            if (!SubjectPseudonym.TryParse(row.RowKey, out var person))
            {
                throw new EntityStoreException("A row of the memory of whom a source has named is damaged.");
            }

            if (people.Contains(person))
            {
                if (!IsOld(row, Renewal, now))
                {
                    missing.Remove(person);
                }
            }
            else if (IsOld(row, Retention, now))
            {
                forgotten.Add(EntityOperation.Delete(row.PartitionKey, row.RowKey));
            }
            else
            {
                former.Add(person);
            }
        }

        await SubmitAsync([.. missing.Select(person => EntityOperation.Upsert(RowOf(source, person, now)))], EntityLimits.OperationsPerTransaction, cancellationToken);
        await SubmitAsync(forgotten, 1, cancellationToken);
        return former;
    }

    private async IAsyncEnumerable<Entity> AllAsync(string source, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, PartitionOf(source), RowKeyRange.All, PageSize, continuation, cancellationToken);
            foreach (var row in page.Entities)
            {
                yield return row;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    private async Task SubmitAsync(List<EntityOperation> operations, int perTransaction, CancellationToken cancellationToken)
    {
        if (operations.Count == 0)
        {
            return;
        }

        // An upsert cannot be refused; a deletion finds its row gone when another instance was quicker, which is as well.
        var results = await store.SubmitManyAsync(
            [.. operations.Chunk(perTransaction).Select(static chunk => new EntityTransaction(Table, chunk))], cancellationToken);
        if (results.FirstOrDefault(static result => result.Outcome is not (TransactionOutcome.Committed or TransactionOutcome.NotFound)) is { } refused)
        {
            throw new EntityStoreException($"The memory of whom a source has named could not be written: {refused.Outcome}.");
        }
    }

    private static bool IsOld(Entity row, TimeSpan age, DateTimeOffset now) => now - row.Properties.Require<DateTimeOffset>("SeenAt") > age;

    private static Entity RowOf(string source, SubjectPseudonym person, DateTimeOffset now) =>
        new(PartitionOf(source), person.ToString()) { Properties = new() { ["Version"] = 1, ["SeenAt"] = now } };

    private static string PartitionOf(string source) => source.Replace('/', '|');
}
