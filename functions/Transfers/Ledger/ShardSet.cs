using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>The shards of one exporter, read into memory as they are needed. One thread at a time.</summary>
internal sealed class ShardSet(ShardContext context, LedgerHeader header)
{
    /// <summary>With more states for each subject in memory, most of them are nobody's any more.</summary>
    private const int StatesPerSubject = 4;

    private readonly Shard?[] _shards = new Shard?[context.Options.Shards];
    private ShardContext _context = context;
    private long _clock;

    public LedgerHeader Header => header;

    public FactSpace Space => _context.Space;

    /// <summary>How many shards there are.</summary>
    public int Count => _context.Options.Shards;

    /// <summary>Subjects in memory.</summary>
    public long Cached => _shards.Sum(shard => (long)(shard?.Count ?? 0));

    /// <summary>The shard of a subject, in memory.</summary>
    public Task<Shard> OpenAsync(SubjectKey key, CancellationToken cancellationToken) =>
        OpenAsync(key.Shard(_context.Options.Shards), cancellationToken);

    /// <summary>A shard, in memory.</summary>
    public async Task<Shard> OpenAsync(int number, CancellationToken cancellationToken)
    {
        var shard = _shards[number] ??= new(_context, number);
        shard.LastUsed = ++_clock;
        await shard.OpenAsync(cancellationToken);
        return shard;
    }

    /// <summary>Forgets what is in memory.</summary>
    public void Unload() => Array.Clear(_shards);

    /// <summary>
    /// Forgets the shards used longest ago until so many subjects are left; and everything, when most states that are remembered were only
    /// passed through: what is stored says all that is needed of the others.
    /// </summary>
    public void Trim(long subjects)
    {
        if (Space.Count > Math.Max(_context.Options.States, StatesPerSubject * Cached))
        {
            Unload();
            _context = new(_context.Store, _context.Exporter, _context.Options, _context.Predicates, _context.Log);
            return;
        }

        var cached = Cached;
        foreach (var shard in _shards.OfType<Shard>().OrderBy(shard => shard.LastUsed).ToList())
        {
            if (cached <= subjects)
            {
                return;
            }

            cached -= shard.Count;
            _shards[shard.Number] = null;
        }
    }

    /// <summary>
    /// Merges records into all shards that they touch. Adding facts twice changes nothing, so whatever a fault interrupts is done again.
    /// </summary>
    public async Task MergeAsync(IReadOnlyList<LogEntry> entries, CancellationToken cancellationToken)
    {
        var parts = entries.Select(entry => new Part(entry, header, _context)).ToList();
        var through = entries[^1].Position;
        var foreign = entries.Any(entry => entry.Foreign);
        List<(Shard Shard, ShardCommit Commit)> batch = [];
        Task<List<Shard>> submitted = Task.FromResult<List<Shard>>([]);
        List<Shard> conflicts = [];
        var bytes = 0;
        try
        {
            for (var number = 0; number < _context.Options.Shards; number++)
            {
                if (!parts.Exists(part => part.Touches(number)))
                {
                    continue;
                }

                var shard = await OpenAsync(number, cancellationToken);
                if (foreign)
                {
                    // Another process may have merged them already.
                    await shard.CatchUpAsync(cancellationToken);
                }

                Add(shard, parts);
                if (await shard.PrepareAsync(through, always: false, purge: false, cancellationToken) is { } commit)
                {
                    batch.Add((shard, commit));
                    bytes += commit.Bytes;
                }

                if (bytes >= LedgerLimits.SubmitBytes)
                {
                    conflicts.AddRange(await submitted);
                    (submitted, batch, bytes) = (SubmitAsync(batch, cancellationToken), [], 0);
                }
            }
        }
        finally
        {
            conflicts.AddRange(await submitted);
        }

        conflicts.AddRange(await SubmitAsync(batch, cancellationToken));
        foreach (var shard in conflicts)
        {
            await CommitAsync(shard, through, always: false, purge: false, () => Add(shard, parts), cancellationToken);
        }

        await SweepAsync(cancellationToken);
    }

    /// <summary>Removes rows that no counter row names any more.</summary>
    public async Task SweepAsync(CancellationToken cancellationToken)
    {
        foreach (var shard in _shards.OfType<Shard>().Where(shard => shard.Garbage.Count > 0))
        {
            // Each by itself: somebody else may have removed some.
            await _context.Store.SubmitManyAsync(
                [.. shard.Garbage.Select(key => EntityTransaction.Of(LedgerRows.ShardTable, EntityOperation.Delete(shard.Partition, key)))],
                cancellationToken);
            shard.Garbage.Clear();
        }
    }

    /// <summary>
    /// Changes a shard and commits; after a conflict or a lost answer, catches up and does it again. The change must be right whatever
    /// the shard holds.
    /// </summary>
    public static async Task CommitAsync(
        Shard shard, long applied, bool always, bool purge, Action change, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            await shard.CatchUpAsync(cancellationToken);
            if (always && shard.Applied >= applied)
            {
                return;
            }

            change();
            if (await shard.PrepareAsync(applied, always, purge, cancellationToken) is not { } commit)
            {
                return;
            }

            try
            {
                var result = await shard.SubmitAsync(commit, cancellationToken);
                if (result.Committed)
                {
                    shard.Complete(commit, result.ETags[0]);
                    return;
                }

                shard.Undo();
            }
            catch (EntityStoreException) when (attempt < LedgerLimits.Attempts)
            {
                // Whether it was applied is in the counter row.
                shard.Undo();
            }

            if (attempt == LedgerLimits.Attempts)
            {
                throw new EntityStoreException("Other writers keep changing the ledger's shard.");
            }
        }
    }

    private static void Add(Shard shard, List<Part> parts)
    {
        foreach (var part in parts)
        {
            if (part.Position > shard.Applied)
            {
                part.AddTo(shard);
            }
        }
    }

    /// <summary>Submits commits side by side; returns the shards whose commits are undone, to be caught up and done again.</summary>
    private async Task<List<Shard>> SubmitAsync(List<(Shard Shard, ShardCommit Commit)> commits, CancellationToken cancellationToken)
    {
        if (commits.Count == 0)
        {
            return [];
        }

        IReadOnlyList<TransactionResult> results;
        try
        {
            results = await _context.Store.SubmitManyAsync([.. commits.Select(commit => commit.Commit.ToTransaction())], cancellationToken);
        }
        catch (EntityStoreException)
        {
            // Some may have been applied: each counter row tells.
            commits.ForEach(commit => commit.Shard.Undo());
            return [.. commits.Select(commit => commit.Shard)];
        }

        List<Shard> conflicts = [];
        for (var i = 0; i < results.Count; i++)
        {
            var (shard, commit) = commits[i];
            if (results[i].Committed)
            {
                shard.Complete(commit, results[i].ETags[0]);
            }
            else
            {
                shard.Undo();
                conflicts.Add(shard);
            }
        }

        return conflicts;
    }

    /// <summary>The records of one entry of the log, by shard.</summary>
    private sealed class Part
    {
        /// <summary>Subjects whose places are fetched at once: about as many as the processor can wait for.</summary>
        private const int FetchedAhead = 16;

        private readonly Chunk _chunk;
        private uint _fetched;
        private readonly SubjectKey[]? _resolved;
        private readonly int[] _states;
        private readonly int[] _order;
        private readonly int[] _starts;

        public Part(LogEntry entry, LedgerHeader header, ShardContext context)
        {
            _chunk = entry.Chunk ?? throw new InvalidOperationException("Only records are merged.");
            Position = entry.Position;
            if (header.HasAliases)
            {
                _resolved = _chunk.Keys.ToArray();
                foreach (ref var key in _resolved.AsSpan())
                {
                    key = header.Resolve(key, entry.Position);
                }
            }

            _states = Array.ConvertAll(_chunk.Table, addition => context.Space.Intern(addition.Year, addition.Facts));

            // Sorted by counting: one pass to count, one to place.
            var shards = context.Options.Shards;
            var keys = Keys;
            var additions = _chunk.Additions;
            _starts = new int[shards + 1];
            for (var i = 0; i < keys.Length; i++)
            {
                _starts[keys[i].Shard(shards) + 1] += additions[i] < 0 ? 0 : 1;
            }

            for (var i = 0; i < shards; i++)
            {
                _starts[i + 1] += _starts[i];
            }

            _order = new int[_starts[shards]];
            var next = _starts[..shards];
            for (var i = 0; i < keys.Length; i++)
            {
                if (additions[i] >= 0)
                {
                    _order[next[keys[i].Shard(shards)]++] = i;
                }
            }
        }

        private ReadOnlySpan<SubjectKey> Keys => _resolved ?? _chunk.Keys;

        public long Position { get; }

        public bool Touches(int shard) => _starts[shard] < _starts[shard + 1];

        public void AddTo(Shard shard)
        {
            var mine = _order.AsSpan(_starts[shard.Number].._starts[shard.Number + 1]);
            shard.Reserve(mine.Length);
            var keys = Keys;
            var additions = _chunk.Additions;
            while (!mine.IsEmpty)
            {
                var some = mine[..Math.Min(FetchedAhead, mine.Length)];
                var fetched = 0u;
                foreach (var i in some)
                {
                    fetched += shard.Fetch(keys[i]);
                }

                // Asked for nothing but to be there.
                _fetched = fetched;
                foreach (var i in some)
                {
                    shard.Add(keys[i], _states[additions[i]]);
                }

                mine = mine[some.Length..];
            }
        }
    }
}
