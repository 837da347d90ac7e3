using System.Runtime.InteropServices;
using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>What the shards of one exporter share.</summary>
internal sealed record ShardContext(
    IEntityStore Store, string Exporter, LedgerOptions Options, CompiledPredicates Predicates, ExporterLog Log)
{
    public FactSpace Space => field ??= new(Predicates, Log.Header.Dictionary);

    public TablePages<SubjectEntry> Pages { get; } = new();

    public SegmentCodec Codec => field ??= new(Space);

    /// <summary>Tells the rows of this process from those of another.</summary>
    public uint Writer { get; } = (uint)Random.Shared.Next();
}

/// <summary>
/// One shard: its subjects in memory for as long as the counter row's ETag holds, and the commits that change both. One thread at a time.
/// </summary>
/// <remarks>
/// A commit is prepared in memory, submitted under the ETag, then either completed or undone. After a conflict the shard reads the
/// counter row and the segments written since; it is read as a whole only once, or after a purge by another writer.
/// </remarks>
internal sealed partial class Shard(ShardContext context, int number)
{
    /// <summary>Operations that one commit spends on segments: what is written and what is removed.</summary>
    private const int SegmentOperations = EntityLimits.OperationsPerTransaction - 2;

    /// <summary>Each shard has these lists: after a large commit they do not stay as large.</summary>
    private const int KeptCapacity = 4096;

    private readonly SegmentCodec _codec = context.Codec;
    private readonly Dictionary<long, int> _transitions = [];
    private List<(int Place, int State, byte Level)> _undo = [];
    private List<int> _written = [];
    private ShardMap _map = new(context.Pages, number);
    private CounterTable _counters = new();
    private ShardRow _row = new();
    private bool _loaded;
    private bool _recounted;

    public int Number => number;

    public string Partition { get; } = LedgerRows.ShardPartition(context.Exporter, number);

    /// <summary>Entries of the log that are in, up to this one.</summary>
    public long Applied => _row.Applied;

    /// <summary>Subjects in memory.</summary>
    public int Count => _loaded ? _map.Count : 0;

    /// <summary>The last time it was used, as a count that the owner keeps.</summary>
    public long LastUsed { get; set; }

    /// <summary>Row parts beyond the largest commit, to be removed when there is time.</summary>
    public List<string> Garbage { get; } = [];

    /// <summary>Has the shard in memory, as it was at some time.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        if (!_loaded)
        {
            await LoadAsync(cancellationToken);
        }
    }

    /// <summary>Forgets what is in memory.</summary>
    public void Unload()
    {
        (_map, _counters, _row, _loaded, _recounted) = (new(context.Pages, number), new(), new(), false, false);
        Clear();
    }

    /// <summary>Makes room for so many subjects, which must be done before a change.</summary>
    public void Reserve(int subjects)
    {
        if (!_map.HasRoom(subjects))
        {
            // Places change: what refers to them follows the keys.
            var keys = _undo.ConvertAll(change => _map.At(change.Place).Key);
            _map.Reserve(subjects);
            for (var i = 0; i < keys.Count; i++)
            {
                _undo[i] = _undo[i] with { Place = _map.Find(keys[i]) };
            }
        }
    }

    /// <summary>The subject's state.</summary>
    public int StateOf(SubjectKey key)
    {
        var place = _map.Find(key);
        return place < 0 ? FactSpace.Empty : _map.At(place).State;
    }

    /// <summary>Adds facts to a subject.</summary>
    public void Add(SubjectKey key, int facts)
    {
        var place = _map.FindOrAdd(key, out var added);
        ref var entry = ref _map.At(place);
        if (added)
        {
            _undo.Add((place, FactSpace.Empty, ShardMap.Level.Absent));
            entry.State = facts;
        }
        else if (entry.State != facts)
        {
            Change(ref entry, place, context.Space.Union(entry.State, facts));
        }
    }

    /// <summary>See <see cref="ShardMap.Fetch"/>.</summary>
    public uint Fetch(SubjectKey key) => _map.Fetch(key);

    /// <summary>Gives a subject another state.</summary>
    public void Set(SubjectKey key, int state)
    {
        if (state != FactSpace.Empty)
        {
            Add(key, FactSpace.Empty);
        }

        var place = _map.Find(key);
        if (place >= 0)
        {
            Change(ref _map.At(place), place, state);
        }
    }

    /// <summary>
    /// Prepares the commit of what was changed, which brings the shard to an entry of the log. <see langword="null"/> when nothing
    /// changed and nothing must be said.
    /// </summary>
    /// <param name="applied">The entry.</param>
    /// <param name="always">Commits even when no subject changed, so that the entry is marked as done.</param>
    /// <param name="purge">Writes the whole shard anew, without subjects that have no facts.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<ShardCommit?> PrepareAsync(long applied, bool always, bool purge, CancellationToken cancellationToken)
    {
        Settle();
        if (_undo.Count == 0 && !always && !purge && !_recounted)
        {
            return null;
        }

        ApplyTransitions(1);
        var version = _row.Version + 1;
        var row = _row with
        {
            Version = version,
            Applied = Math.Max(applied, _row.Applied),
            Fingerprint = context.Predicates.Fingerprint,
            PurgedAt = purge ? version : _row.PurgedAt,
        };
        var commit = WriteTail(row, purge) ?? WriteSegment(row, purge);
        if (commit.Bytes > LedgerLimits.TransactionBytes)
        {
            // Rows that no counter row names yet: should the commit fail, they mean nothing and are removed later.
            foreach (var part in commit.Segments)
            {
                await context.Store.SubmitAsync(EntityTransaction.Of(LedgerRows.ShardTable, EntityOperation.Upsert(part)), cancellationToken);
            }

            commit = commit with { Segments = [] };
        }

        return commit;
    }

    /// <summary>Submits a commit by itself.</summary>
    public Task<TransactionResult> SubmitAsync(ShardCommit commit, CancellationToken cancellationToken) =>
        context.Store.SubmitAsync(commit.ToTransaction(), cancellationToken);

    /// <summary>The commit is stored.</summary>
    public void Complete(ShardCommit commit, string? etag)
    {
        foreach (var place in _written)
        {
            _map.At(place).Level = commit.Level;
        }

        Garbage.AddRange(commit.Removed.Skip(SegmentOperations - commit.Segments.Count));
        _row = commit.Row with { ETag = etag };
        _recounted = false;
        Clear();
        if (commit.Purge)
        {
            _map.Purge();
        }
    }

    /// <summary>The changes were not stored, or it is not known whether they were.</summary>
    public void Undo()
    {
        ApplyTransitions(-1);
        for (var i = _undo.Count - 1; i >= 0; i--)
        {
            var (place, state, level) = _undo[i];
            ref var entry = ref _map.At(place);
            (entry.State, entry.Level) = (state, level);
        }

        Clear();
    }

    /// <summary>Counts the subjects anew by the counters' predicates.</summary>
    public CounterTable Recount()
    {
        var table = new CounterTable();
        Dictionary<int, long> states = [];
        for (var place = 0; place < _map.Capacity; place++)
        {
            var entry = _map.At(place);
            if (entry.Level != ShardMap.Level.Free)
            {
                CollectionsMarshal.GetValueRefOrAddDefault(states, entry.State, out _)++;
            }
        }

        foreach (var (state, count) in states)
        {
            table.Add(context.Space.CountersOf(state), count);
        }

        return table;
    }

    /// <summary>The counters as they are kept.</summary>
    public CounterTable Counters => _counters;

    /// <summary>Subjects with facts.</summary>
    public long Subjects()
    {
        var count = 0L;
        for (var place = 0; place < _map.Capacity; place++)
        {
            count += _map.At(place).State != FactSpace.Empty ? 1 : 0;
        }

        return count;
    }

    /// <summary>Subjects with facts, one by one.</summary>
    public IEnumerable<(SubjectKey Key, int State)> Entries()
    {
        for (var place = 0; place < _map.Capacity; place++)
        {
            var entry = _map.At(place);
            if (entry.State != FactSpace.Empty)
            {
                yield return (entry.Key, entry.State);
            }
        }
    }

    /// <summary>Keys of subjects without facts are still there: a purge takes them away.</summary>
    public bool KeepsForgotten() => _map.Count > Entries().Count();

    private void Change(ref SubjectEntry entry, int place, int state)
    {
        if (entry.State == state)
        {
            return;
        }

        if (entry.Level != ShardMap.Level.Changed)
        {
            _undo.Add((place, entry.State, entry.Level));
            entry.Level = ShardMap.Level.Changed;
        }

        entry.State = state;
    }

    /// <summary>Drops changes that came to nothing, and counts the others by kind.</summary>
    private void Settle()
    {
        _transitions.Clear();
        var kept = 0;
        for (var i = 0; i < _undo.Count; i++)
        {
            var (place, before, level) = _undo[i];
            ref var entry = ref _map.At(place);
            var after = entry.State;
            if (after == before)
            {
                entry.Level = level;
                continue;
            }

            _undo[kept++] = _undo[i];
            CollectionsMarshal.GetValueRefOrAddDefault(_transitions, ((long)before << 32) | (uint)after, out _)++;
        }

        _undo.RemoveRange(kept, _undo.Count - kept);
    }

    private void ApplyTransitions(int sign)
    {
        foreach (var (transition, count) in _transitions)
        {
            _counters.Add(context.Space.CountersOf((int)(transition >> 32)), -sign * count);
            _counters.Add(context.Space.CountersOf((int)transition), sign * count);
        }
    }

    private void Clear()
    {
        _transitions.Clear();
        _undo.Clear();
        _written.Clear();
        if (_undo.Capacity > KeptCapacity)
        {
            _undo = [];
        }

        if (_written.Capacity > KeptCapacity)
        {
            _written = [];
        }
    }

    /// <summary>The commit with its entries in the counter row; <see langword="null"/> when they are too many or too large.</summary>
    private ShardCommit? WriteTail(ShardRow row, bool purge)
    {
        if (purge || _undo.Count > context.Options.TailEntries)
        {
            return null;
        }

        CollectTail();
        if (_written.Count > context.Options.TailEntries)
        {
            return null;
        }

        var parts = _codec.Write(_map, _written);
        if (parts.Count > 1 || parts[0].Count > 1 || parts[0][0].Length > EntityLimits.BinaryLength / 2)
        {
            return null;
        }

        row = row with { Tail = _written.Count == 0 ? [] : parts[0][0] };
        return new(row, row.ToRow(Partition, context.Options, _counters), [], [], ShardMap.Level.Tail, false, row.Tail.Length + 1024);
    }

    private ShardCommit WriteSegment(ShardRow row, bool purge)
    {
        // A purge writes all there is into one segment, which may stay at the level that it has.
        var level = purge ? row.Segments.Select(segment => segment.Level).DefaultIfEmpty((byte)1).Max() : NextLevel(row.Segments);
        var replaced = purge ? row.Segments : [.. row.Segments.Where(segment => segment.Level < level)];
        Collect(purge ? level : level - 1);
        if (purge)
        {
            _written.RemoveAll(place => _map.At(place).State == FactSpace.Empty);
        }

        var parts = _codec.Write(_map, _written);
        var segment = new Segment(
            row.Version, context.Writer, level, replaced.Count > 0 ? replaced[0].From : row.TailFrom, row.Version, parts.Count);
        row = row with
        {
            Segments = [.. row.Segments.Except(replaced), segment],
            Tail = [],
            TailFrom = row.Version,
        };
        var rows = parts.Select((part, i) =>
        {
            var entity = new Entity(Partition, LedgerRows.Segment(segment.Version, segment.Writer, i));
            LedgerRows.Put(entity.Properties, part);
            return entity;
        }).ToList();
        var removed = replaced
            .SelectMany(gone => Enumerable.Range(0, gone.Parts).Select(part => LedgerRows.Segment(gone.Version, gone.Writer, part)))
            .ToList();
        return new(
            row, row.ToRow(Partition, context.Options, _counters), rows, removed,
            ShardMap.Level.OfSegment(level), purge, parts.Sum(part => part.Sum(piece => piece.Length)) + 1024);
    }

    /// <summary>
    /// A level collects so many segments and then goes into the next one as a whole: an entry is rewritten once a level. The number
    /// differs from shard to shard, so that shards that fill alike do not all rewrite at once.
    /// </summary>
    private byte NextLevel(IReadOnlyList<Segment> segments)
    {
        byte level = 1;
        while (segments.Count(segment => segment.Level == level) >= context.Options.LevelSegments + (number % 5))
        {
            level++;
        }

        return level;
    }

    /// <summary>The places of entries in segments up to a level, of those in the counter row, and of those not stored yet.</summary>
    private void Collect(int level)
    {
        if (level == 0)
        {
            CollectTail();
            return;
        }

        _written.Clear();
        _map.Collect(ShardMap.Level.OfSegment(level), _written);
    }

    /// <summary>The same for the counter row alone. Both are known without a look at the whole shard.</summary>
    private void CollectTail()
    {
        _written.Clear();
        foreach (var (place, _, _) in _undo)
        {
            _written.Add(place);
        }

        foreach (var key in _row.Tail.Length == 0 ? [] : SegmentCodec.Keys(_row.Tail))
        {
            var place = _map.Find(key);
            if (place >= 0 && _map.At(place).Level == ShardMap.Level.Tail)
            {
                _written.Add(place);
            }
        }
    }
}
