using System.Collections.Concurrent;
using System.Globalization;
using DingFlow.Storage;

namespace DingFlow.Transfers;

/// <summary>Two pseudonyms found to be one person: the ledger must bring the row of the first into that of the second.</summary>
/// <param name="From">What is no longer counted.</param>
/// <param name="Into">What is counted.</param>
public readonly record struct SubjectUnion(SubjectPseudonym From, SubjectPseudonym Into);

/// <summary>Unions that the ledger may not have made yet.</summary>
/// <param name="Unions">In the order in which they were found; making one again changes nothing.</param>
/// <param name="Generation">To be confirmed when all of them are made.</param>
public sealed record PendingUnions(IReadOnlyList<SubjectUnion> Unions, long Generation);

/// <summary>
/// Knows which identifiers belong to one person: user id, union id, job number and e-mail are counted as one subject. Identifiers are
/// known by their pseudonyms only. Whoever learns of a person calls <see cref="LinkAsync"/>, then has the ledger make what
/// <see cref="PendingAsync"/> returns and confirms it; a crash in between leaves them pending, and the count errs high, never low.
/// </summary>
/// <remarks>
/// Links are a log in one partition, in the order of their generation; a head row with the last generation is the condition of every
/// write, so that all instances see the same links in the same order. Each holds the links in memory (64 bytes each) and reads what it
/// lacks of the log when <see cref="RefreshAsync"/> is called.
/// </remarks>
public sealed class SubjectIdentities(IEntityStore store, PseudonymKey key) : ISubjectResolver, IDisposable
{
    private const string Table = "Identities";
    private const string Partition = "map";
    private const string Head = "head";
    private const string Merged = "merged";
    private const string LogPrefix = "log|";
    private const int PageSize = 100;
    private const int LinkBytes = 2 * SubjectPseudonym.Size;
    private const int LinksPerRow = 1000;
    private const int IdentifiersPerPerson = 32;

    private readonly SemaphoreSlim _gate = new(1);
    private volatile Links _links = new();
    private long _generation;
    private long _epoch;
    private string? _headETag;

    /// <inheritdoc/>
    public SubjectPseudonym Resolve(SubjectPseudonym pseudonym) => _links.Resolve(pseudonym);

    /// <summary>All pseudonyms that are known to be of the same person, this one included.</summary>
    public IReadOnlySet<SubjectPseudonym> PersonOf(SubjectPseudonym pseudonym)
    {
        // Lists of members change under the gate.
        _gate.Wait();
        try
        {
            return _links.PersonOf(pseudonym);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>The pseudonym is linked with another.</summary>
    public bool IsLinked(SubjectPseudonym pseudonym) => PersonOf(pseudonym).Count > 1;

    /// <summary>Reads the links that other instances have made. To be called at start and from time to time.</summary>
    /// <exception cref="InvalidOperationException">The links were made under another ledger key.</exception>
    public async Task RefreshAsync(CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            await CatchUpAsync(cancellationToken);
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>
    /// Records that identifiers belong to one person. Known links change nothing; two known persons become one.
    /// </summary>
    /// <param name="persons">The pseudonyms of each person's identifiers, 1 to 32; a person not known before is counted under the first.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task LinkAsync(IReadOnlyList<IReadOnlyList<SubjectPseudonym>> persons, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(persons);
        if (persons.Any(person => person.Count is 0 or > IdentifiersPerPerson))
        {
            throw new ArgumentException("A person has 1 to 32 identifiers.", nameof(persons));
        }

        await _gate.WaitAsync(cancellationToken);
        try
        {
            var next = 0;
            while (next < persons.Count)
            {
                await CatchUpAsync(cancellationToken);
                next = await WriteAsync(persons, next, cancellationToken);
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <summary>The unions that the ledger may not have made yet.</summary>
    public async Task<PendingUnions> PendingAsync(CancellationToken cancellationToken)
    {
        var merged = await store.GetAsync(Table, Partition, Merged, cancellationToken);
        var from = merged?.Properties.Require<long>("Generation") ?? 0;
        var (unions, generation) = (new List<SubjectUnion>(), from);
        await foreach (var row in LogAfterAsync(from, cancellationToken))
        {
            unions.AddRange(UnionsOf(row));
            generation = GenerationOf(row);
        }

        return new(unions, generation);
    }

    /// <summary>Records that the ledger has made all unions up to a generation.</summary>
    public async Task ConfirmAsync(long generation, CancellationToken cancellationToken)
    {
        while (true)
        {
            var merged = await store.GetAsync(Table, Partition, Merged, cancellationToken);
            if (merged is not null && merged.Properties.Require<long>("Generation") >= generation)
            {
                return;
            }

            var row = new Entity(Partition, Merged) { Properties = new() { ["Version"] = 1, ["Generation"] = generation } };
            var result = await store.SubmitAsync(
                EntityTransaction.Of(Table, merged is null ? EntityOperation.Insert(row) : EntityOperation.Replace(row, merged.ETag)), cancellationToken);
            if (result.Committed)
            {
                return;
            }
        }
    }

    /// <summary>Forgets a person's links, after the person's row in the ledger has been erased.</summary>
    /// <param name="pseudonym">Any of the person's.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task EraseAsync(SubjectPseudonym pseudonym, CancellationToken cancellationToken)
    {
        await _gate.WaitAsync(cancellationToken);
        try
        {
            await CatchUpAsync(cancellationToken);
            var person = _links.PersonOf(pseudonym);
            while (_headETag is not null && !await TryEraseAsync(person, cancellationToken))
            {
                await CatchUpAsync(cancellationToken);
            }
        }
        finally
        {
            _gate.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _gate.Dispose();

    /// <summary>Takes a person's links out of the log and has every instance read it anew. Fails when somebody else writes meanwhile.</summary>
    private async Task<bool> TryEraseAsync(HashSet<SubjectPseudonym> person, CancellationToken cancellationToken)
    {
        await foreach (var row in LogAfterAsync(0, cancellationToken))
        {
            var all = UnionsOf(row).ToList();
            var kept = all.Where(link => !person.Contains(link.From) && !person.Contains(link.Into)).ToList();
            if (kept.Count < all.Count)
            {
                var result = await store.SubmitAsync(
                    EntityTransaction.Of(Table, EntityOperation.Replace(LogRow(GenerationOf(row), kept), row.ETag)), cancellationToken);
                if (!result.Committed)
                {
                    return false;
                }
            }
        }

        var head = await store.SubmitAsync(
            EntityTransaction.Of(Table, EntityOperation.Replace(HeadRow(_generation, _epoch + 1), _headETag)), cancellationToken);
        await CatchUpAsync(cancellationToken);
        return head.Committed;
    }

    private async Task CatchUpAsync(CancellationToken cancellationToken)
    {
        var head = await store.GetAsync(Table, Partition, Head, cancellationToken);
        if (head is null || head.ETag == _headETag)
        {
            return;
        }

        if (head.Properties.Require<string>("KeyId") is var keyId && keyId != key.Id)
        {
            throw new InvalidOperationException($"The links of identifiers were made under ledger key {keyId}; under {key.Id} everybody would be counted anew.");
        }

        // After an erasure everything is read anew, beside what is in use meanwhile.
        var epoch = head.Properties.Require<long>("Epoch");
        var (links, generation) = epoch == _epoch ? (_links, _generation) : (new(), 0);
        await foreach (var row in LogAfterAsync(generation, cancellationToken))
        {
            foreach (var union in UnionsOf(row))
            {
                links.Apply(union);
            }

            generation = GenerationOf(row);
        }

        // Emptied rows at the end of the log still count: the head knows the last generation.
        generation = Math.Max(generation, head.Properties.Require<long>("Generation"));
        (_links, _generation, _epoch, _headETag) = (links, generation, epoch, head.ETag);
    }

    /// <summary>Writes the links of as many persons as one log row holds. Returns the first person that is still to be done.</summary>
    private async Task<int> WriteAsync(IReadOnlyList<IReadOnlyList<SubjectPseudonym>> persons, int first, CancellationToken cancellationToken)
    {
        var (unions, planned, next) = (new List<SubjectUnion>(), new Dictionary<SubjectPseudonym, SubjectPseudonym>(), first);
        for (; next < persons.Count && unions.Count + IdentifiersPerPerson <= LinksPerRow; next++)
        {
            var into = Root(persons[next][0]);
            foreach (var root in persons[next].Select(Root).Distinct())
            {
                if (root != into)
                {
                    unions.Add(new(root, into));
                    planned[root] = into;
                }
            }
        }

        if (unions.Count == 0)
        {
            return next;
        }

        var generation = _generation + 1;
        var result = await store.SubmitAsync(
            EntityTransaction.Of(
                Table,
                _headETag is null ? EntityOperation.Insert(HeadRow(generation, _epoch)) : EntityOperation.Replace(HeadRow(generation, _epoch), _headETag),
                EntityOperation.Insert(LogRow(generation, unions))),
            cancellationToken);
        if (!result.Committed)
        {
            // Another instance was faster, or an answer of ours was lost: read what there is and plan again.
            return first;
        }

        unions.ForEach(_links.Apply);
        (_generation, _headETag) = (generation, result.ETags[0]);
        return next;

        SubjectPseudonym Root(SubjectPseudonym pseudonym)
        {
            var root = Resolve(pseudonym);
            while (planned.TryGetValue(root, out var further))
            {
                root = further;
            }

            return root;
        }
    }

    private async IAsyncEnumerable<Entity> LogAfterAsync(
        long generation, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var range = new RowKeyRange(LogKey(generation + 1), RowKeyRange.StartingWith(LogPrefix).Before);
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, Partition, range, PageSize, continuation, cancellationToken);
            foreach (var row in page.Entities)
            {
                yield return row;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    private Entity HeadRow(long generation, long epoch) => new(Partition, Head)
    {
        Properties = new() { ["Version"] = 1, ["Generation"] = generation, ["Epoch"] = epoch, ["KeyId"] = key.Id },
    };

    private static Entity LogRow(long generation, List<SubjectUnion> unions)
    {
        var links = new byte[unions.Count * LinkBytes];
        for (var i = 0; i < unions.Count; i++)
        {
            unions[i].From.CopyTo(links.AsSpan(i * LinkBytes));
            unions[i].Into.CopyTo(links.AsSpan((i * LinkBytes) + SubjectPseudonym.Size));
        }

        return new(Partition, LogKey(generation)) { Properties = new() { ["Version"] = 1, ["Links"] = links } };
    }

    private static IEnumerable<SubjectUnion> UnionsOf(Entity row)
    {
        var links = row.Properties.Require<byte[]>("Links");
        for (var i = 0; i < links.Length; i += LinkBytes)
        {
            yield return new(
                new(links.AsSpan(i, SubjectPseudonym.Size)), new(links.AsSpan(i + SubjectPseudonym.Size, SubjectPseudonym.Size)));
        }
    }

    private static string LogKey(long generation) => string.Create(CultureInfo.InvariantCulture, $"{LogPrefix}{generation:D19}");

    private static long GenerationOf(Entity row) => long.Parse(row.RowKey.AsSpan(LogPrefix.Length), NumberStyles.None, CultureInfo.InvariantCulture);

    /// <summary>Who is who. Written under the gate, read by anybody at any time.</summary>
    private sealed class Links
    {
        private readonly ConcurrentDictionary<SubjectPseudonym, SubjectPseudonym> _into = new();
        private readonly Dictionary<SubjectPseudonym, List<SubjectPseudonym>> _members = [];

        public SubjectPseudonym Resolve(SubjectPseudonym pseudonym) => _into.GetValueOrDefault(pseudonym, pseudonym);

        /// <summary>All pseudonyms of a person.</summary>
        public HashSet<SubjectPseudonym> PersonOf(SubjectPseudonym pseudonym)
        {
            var person = Resolve(pseudonym);
            return _members.TryGetValue(person, out var members) ? members.Append(person).ToHashSet() : [person];
        }

        /// <summary>Keeps every identifier one step from its person.</summary>
        public void Apply(SubjectUnion union)
        {
            var (from, into) = (Resolve(union.From), Resolve(union.Into));
            if (from == into)
            {
                return;
            }

            var members = _members.TryGetValue(into, out var known) ? known : _members[into] = [];
            if (_members.Remove(from, out var moved))
            {
                foreach (var member in moved)
                {
                    _into[member] = into;
                }

                members.AddRange(moved);
            }

            _into[from] = into;
            members.Add(from);
        }
    }
}
