using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// What an exporter's log says about itself as a whole: the dictionary, which identifiers were united, which batches were voided. It is
/// the fold of the log, and the checkpoint row is that fold up to where everything is merged. Safe for several threads.
/// </summary>
internal sealed class LedgerHeader
{
    private const byte Version = 1;

    private readonly Lock _gate = new();
    private readonly Dictionary<SubjectKey, Alias> _aliases = [];

    /// <summary>Those of persons whose erasure is in the log and not applied yet: they hold for what comes before it, and for nothing after.</summary>
    private readonly List<EndingAlias> _ending = [];

    private readonly HashSet<string> _voided = new(StringComparer.Ordinal);

    public LedgerHeader(LedgerOptions options) => Dictionary = new(options.RecipientLimit, options.LaneLimit, options.FactLimit);

    public LedgerDictionary Dictionary { get; }

    /// <summary>Records up to this calendar year may be gone, past their retention: what they said is kept as it is.</summary>
    public int FrozenThrough { get; set; }

    /// <summary>How long it is when it is written, at most.</summary>
    public int Bytes
    {
        get
        {
            const int alias = (2 * SubjectKey.Size) + 8;
            lock (_gate)
            {
                return ((_aliases.Count + _ending.Count) * alias) + _voidedBytes + Dictionary.Bytes;
            }
        }
    }

    /// <summary>How many identifiers were united with another.</summary>
    public int Aliases
    {
        get
        {
            lock (_gate)
            {
                return _aliases.Count;
            }
        }
    }

    public bool HasAliases => Volatile.Read(ref _hasAliases);

    private bool _hasAliases;
    private int _voidedBytes;

    /// <summary>Takes in one entry; to be called in the order of the log.</summary>
    public void Observe(LogEntry entry)
    {
        Dictionary.Observe(entry.Position, entry.Chunk?.Facts ?? []);

        lock (_gate)
        {
            switch (entry.Kind)
            {
                case LogEntryKind.Void:
                    AddVoided(entry.BatchId);
                    break;
                case LogEntryKind.Union:
                    // The survivor may itself have gone before: then its own survivor is meant. A union that closes a ring says nothing new.
                    var survivor = Follow(entry.Subject, long.MaxValue);
                    var other = Follow(entry.Other, long.MaxValue);
                    if (survivor != other)
                    {
                        _aliases[other] = new(survivor, entry.Position);
                        Volatile.Write(ref _hasAliases, true);
                    }

                    break;
                case LogEntryKind.Erase when entry.Subject != default:
                    var erased = Follow(entry.Subject, long.MaxValue);
                    foreach (var (key, alias) in _aliases.Where(alias => Follow(alias.Key, long.MaxValue) == erased).ToList())
                    {
                        _ending.Add(new(key, alias, entry.Position));
                        _aliases.Remove(key);
                    }

                    break;
                case LogEntryKind.Erase:
                case LogEntryKind.Records:
                default:
                    break;
            }
        }
    }

    /// <summary>Under which key a subject stood just before an entry of the log.</summary>
    public SubjectKey Resolve(SubjectKey key, long before = long.MaxValue)
    {
        if (!HasAliases)
        {
            return key;
        }

        lock (_gate)
        {
            return Follow(key, before);
        }
    }

    /// <summary>The identifiers that stood for a subject just before an entry of the log.</summary>
    public IReadOnlyCollection<SubjectKey> UnitedWith(SubjectKey subject, long before)
    {
        lock (_gate)
        {
            return [.. _aliases.Keys.Concat(_ending.Select(ending => ending.Other)).Where(key => key != subject && Follow(key, before) == subject).Distinct()];
        }
    }

    public bool IsVoided(string batchId)
    {
        lock (_gate)
        {
            return _voided.Contains(batchId);
        }
    }

    /// <summary>Forgets identifiers that were united with subjects whose erasure, up to this entry, is applied.</summary>
    public void Forget(long through)
    {
        lock (_gate)
        {
            _ending.RemoveAll(ending => ending.End <= through);
            Volatile.Write(ref _hasAliases, _aliases.Count + _ending.Count > 0);
        }
    }

    /// <summary>Unions behind an entry of the log, as far as it was observed.</summary>
    public IReadOnlyList<(long Position, SubjectKey Survivor, SubjectKey Other)> UnionsAfter(long position)
    {
        if (!HasAliases)
        {
            return [];
        }

        lock (_gate)
        {
            return [.. _aliases.Where(alias => alias.Value.Position > position).Select(alias => (alias.Value.Position, alias.Value.Survivor, alias.Key))];
        }
    }

    public void Write(EntityProperties properties)
    {
        var writer = new PackedWriter(1024);
        writer.Byte(Version);
        lock (_gate)
        {
            writer.Number(FrozenThrough);
            var (recipients, lanes) = (Dictionary.Recipients, Dictionary.Lanes);
            writer.Number(recipients.Count);
            foreach (var recipient in recipients)
            {
                writer.Text(recipient);
            }

            writer.Number(lanes.Count);
            foreach (var lane in lanes)
            {
                writer.Number(lane.Origin.Number);
                writer.Number(lane.Destination.Number);
            }

            // Whoever starts here observes what ends an alias, and what makes it anew, once more.
            var aliases = _aliases.ToDictionary();
            foreach (var ending in _ending.OrderByDescending(ending => ending.Alias.Position))
            {
                aliases[ending.Other] = ending.Alias;
            }

            writer.Number(aliases.Count);
            foreach (var (other, (survivor, position)) in aliases)
            {
                writer.Key(other);
                writer.Key(survivor);
                writer.Number((ulong)position);
            }

            writer.Number(_voided.Count);
            foreach (var batch in _voided)
            {
                writer.Text(batch);
            }
        }

        LedgerRows.Put(properties, writer.Written);
    }

    /// <summary>Writes the facts that the log has brought.</summary>
    public void WriteFacts(EntityProperties properties)
    {
        var writer = new PackedWriter(1024);
        writer.Byte(Version);
        Dictionary.WriteFacts(writer);
        LedgerRows.Put(properties, writer.Written);
    }

    /// <summary>Takes in the facts that a checkpoint knows.</summary>
    public void ReadFacts(EntityProperties properties)
    {
        var reader = new PackedReader(LedgerRows.Take(properties));
        if (reader.Byte() != Version)
        {
            throw PackedReader.Damaged();
        }

        Dictionary.ReadFacts(ref reader);
    }

    /// <summary>
    /// Takes in what a checkpoint of the log up to an entry says: names that were not observed yet, years that were given up, identifiers that
    /// were forgotten. Unions that were not observed yet are in the log; one that is there no more was forgotten.
    /// </summary>
    public void TakeIn(LedgerHeader checkpoint, long through)
    {
        Dictionary.TakeIn(checkpoint.Dictionary);
        lock (_gate)
        {
            FrozenThrough = Math.Max(FrozenThrough, checkpoint.FrozenThrough);
            foreach (var batch in checkpoint._voided)
            {
                AddVoided(batch);
            }

            foreach (var (other, alias) in _aliases.ToList())
            {
                if (alias.Position <= through && !checkpoint._aliases.ContainsKey(other))
                {
                    _aliases.Remove(other);
                }
            }

            _ending.RemoveAll(ending => ending.End <= through || (ending.Alias.Position <= through && !checkpoint._aliases.ContainsKey(ending.Other)));
            Volatile.Write(ref _hasAliases, _aliases.Count + _ending.Count > 0);
        }
    }

    /// <summary>The header of a checkpoint of the log up to an entry.</summary>
    public static LedgerHeader Of(EntityProperties properties, long through, LedgerOptions options)
    {
        var header = new LedgerHeader(options);
        header.Read(properties, through);
        return header;
    }

    private void Read(EntityProperties properties, long through)
    {
        Dictionary.ObservedThrough = through;
        var reader = new PackedReader(LedgerRows.Take(properties));
        if (reader.Byte() != Version)
        {
            throw PackedReader.Damaged();
        }

        FrozenThrough = reader.Int();
        for (var count = reader.Count(); count > 0; count--)
        {
            Dictionary.Add(reader.Text());
        }

        for (var count = reader.Count(); count > 0; count--)
        {
            var (origin, destination) = ((ushort)reader.Int(), (ushort)reader.Int());
            Dictionary.Add(new Lane(origin == 0 ? default : Country.FromNumber(origin), destination == 0 ? default : Country.FromNumber(destination)));
        }

        lock (_gate)
        {
            for (var count = reader.Count(); count > 0; count--)
            {
                _aliases[reader.Key()] = new(reader.Key(), (long)reader.Number());
            }

            Volatile.Write(ref _hasAliases, _aliases.Count > 0);
            for (var count = reader.Count(); count > 0; count--)
            {
                AddVoided(reader.Text());
            }
        }
    }

    private void AddVoided(string batch)
    {
        if (_voided.Add(batch))
        {
            _voidedBytes += global::System.Text.Encoding.UTF8.GetByteCount(batch) + sizeof(int);
        }
    }

    private SubjectKey Follow(SubjectKey key, long before)
    {
        while (true)
        {
            if (_aliases.TryGetValue(key, out var alias) && alias.Position < before)
            {
                key = alias.Survivor;
            }
            else if (_ending.Count > 0 && Ending(key, before) is { } ending)
            {
                key = ending.Alias.Survivor;
            }
            else
            {
                return key;
            }
        }
    }

    private EndingAlias? Ending(SubjectKey key, long before) =>
        _ending.Find(ending => ending.Other == key && ending.Alias.Position < before && before <= ending.End);

    /// <summary>An identifier stands for another from an entry of the log on.</summary>
    private readonly record struct Alias(SubjectKey Survivor, long Position);

    /// <summary>It does so until another entry.</summary>
    private sealed record EndingAlias(SubjectKey Other, Alias Alias, long End);
}
