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
    private readonly Dictionary<SubjectKey, (SubjectKey Survivor, long Position)> _aliases = [];
    private readonly HashSet<string> _voided = new(StringComparer.Ordinal);

    public LedgerHeader(LedgerOptions options) => Dictionary = new(options.RecipientLimit, options.LaneLimit, options.FactLimit);

    public LedgerDictionary Dictionary { get; }

    /// <summary>Records up to this calendar year may be gone, past their retention: what they said is kept as it is.</summary>
    public int FrozenThrough { get; set; }

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

    /// <summary>Takes in one entry; to be called in the order of the log.</summary>
    public void Observe(LogEntry entry)
    {
        Dictionary.Observe(entry.Position, entry.Chunk?.Facts ?? []);

        lock (_gate)
        {
            switch (entry.Kind)
            {
                case LogEntryKind.Void:
                    _voided.Add(entry.BatchId);
                    break;
                case LogEntryKind.Union:
                    // The survivor may itself have gone before: then its own survivor is meant. A union that closes a ring says nothing new.
                    var survivor = Follow(entry.Subject, long.MaxValue);
                    var other = Follow(entry.Other, long.MaxValue);
                    if (survivor != other)
                    {
                        _aliases[other] = (survivor, entry.Position);
                        Volatile.Write(ref _hasAliases, true);
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

    public bool IsVoided(string batchId)
    {
        lock (_gate)
        {
            return _voided.Contains(batchId);
        }
    }

    /// <summary>Forgets identifiers that were united with an erased subject.</summary>
    public void Forget(SubjectKey survivor)
    {
        lock (_gate)
        {
            foreach (var alias in _aliases.Where(alias => Follow(alias.Key, long.MaxValue) == survivor).Select(alias => alias.Key).ToList())
            {
                _aliases.Remove(alias);
            }
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

            writer.Number(_aliases.Count);
            foreach (var (other, (survivor, position)) in _aliases)
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
    /// Takes in what a checkpoint of the log up to an entry says: entries that were not observed yet, years that were given up,
    /// identifiers that were forgotten.
    /// </summary>
    public void TakeIn(LedgerHeader checkpoint, long through)
    {
        Dictionary.TakeIn(checkpoint.Dictionary);
        lock (_gate)
        {
            FrozenThrough = Math.Max(FrozenThrough, checkpoint.FrozenThrough);
            _voided.UnionWith(checkpoint._voided);
            foreach (var (other, (_, position)) in _aliases.ToList())
            {
                if (position <= through && !checkpoint._aliases.ContainsKey(other))
                {
                    _aliases.Remove(other);
                }
            }

            foreach (var (other, alias) in checkpoint._aliases)
            {
                _aliases.TryAdd(other, alias);
            }

            Volatile.Write(ref _hasAliases, _aliases.Count > 0);
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
                _aliases[reader.Key()] = (reader.Key(), (long)reader.Number());
            }

            Volatile.Write(ref _hasAliases, _aliases.Count > 0);
            for (var count = reader.Count(); count > 0; count--)
            {
                _voided.Add(reader.Text());
            }
        }
    }

    private SubjectKey Follow(SubjectKey key, long before)
    {
        while (_aliases.TryGetValue(key, out var alias) && alias.Position < before)
        {
            key = alias.Survivor;
        }

        return key;
    }
}
