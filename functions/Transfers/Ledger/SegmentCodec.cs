namespace DingFlow.Transfers.Ledger;

/// <summary>
/// A segment: entries that a shard's commit changed, each a subject and its whole state. It is both the subjects' storage and the log of
/// what the commit changed: who knows the shard as of <see cref="From"/> and takes in the segment knows it as of <see cref="To"/>.
/// </summary>
/// <param name="Version">The commit that wrote it.</param>
/// <param name="Writer">Who wrote it.</param>
/// <param name="Level">How often its entries were written together with others; 1 when fresh.</param>
/// <param name="From">It holds what changed after this version …</param>
/// <param name="To">… up to this one.</param>
/// <param name="Parts">How many rows it has.</param>
internal sealed record Segment(long Version, uint Writer, byte Level, long From, long To, int Parts)
{
    public void Write(PackedWriter writer)
    {
        writer.Number((ulong)Version);
        writer.Number(Writer);
        writer.Byte(Level);
        writer.Number((ulong)From);
        writer.Number((ulong)To);
        writer.Number(Parts);
    }

    public static Segment Read(ref PackedReader reader) => new(
        (long)reader.Number(), (uint)reader.Number(), reader.Byte(), (long)reader.Number(), (long)reader.Number(), reader.Int());
}

/// <summary>
/// Entries as bytes: the distinct states, then for each entry its state's place, then the keys. Complete in itself but for the
/// dictionary's numbers.
/// </summary>
internal sealed class SegmentCodec(FactSpace space)
{
    private const byte Version = 1;

    /// <summary>Entries in one row. Rows of earlier versions hold up to twice as many.</summary>
    private const int PartEntries = 16 * 1024;

    private const int PartBytes = LedgerLimits.RowBytes - (PartEntries * SubjectKey.Size);

    private readonly Dictionary<int, int> _local = [];
    private readonly PackedWriter _states = new(256);
    private readonly PackedWriter _places = new(4096);
    private readonly PackedWriter _keys = new(16384);
    private readonly PackedWriter _row = new(16384);
    private int _count;

    /// <summary>Packs the entries at these places into as many parts as they need, each in pieces that are properties of a row.</summary>
    public List<IReadOnlyList<byte[]>> Write(ShardMap map, List<int> places)
    {
        List<IReadOnlyList<byte[]>> parts = [];
        Clear();
        foreach (var place in places)
        {
            ref var entry = ref map.At(place);
            if (!_local.TryGetValue(entry.State, out var local))
            {
                _local.Add(entry.State, local = _local.Count);
                space.Write(_states, entry.State);
            }

            _places.Number(local);
            _keys.Key(entry.Key);
            if (++_count == PartEntries || _states.Length + _places.Length > PartBytes)
            {
                parts.Add(Finish());
            }
        }

        if (_count > 0 || parts.Count == 0)
        {
            parts.Add(Finish());
        }

        return parts;
    }

    /// <summary>Takes the entries into the map, at a level. Returns how many there were.</summary>
    public int Read(ReadOnlySpan<byte> bytes, ShardMap map, byte level)
    {
        var reader = Open(bytes);
        var states = new int[reader.Count()];
        for (var i = 0; i < states.Length; i++)
        {
            states[i] = space.Read(ref reader);
        }

        var count = reader.Count();
        var places = new int[count];
        for (var i = 0; i < count; i++)
        {
            var local = reader.Int();
            places[i] = local < states.Length ? states[local] : throw PackedReader.Damaged();
        }

        map.Reserve(count);
        for (var i = 0; i < count; i++)
        {
            ref var entry = ref map.At(map.FindOrAdd(reader.Key(), out _));
            (entry.State, entry.Level) = (places[i], level);
        }

        return count;
    }

    /// <summary>Whose entries a part holds.</summary>
    public static SubjectKey[] Keys(ReadOnlySpan<byte> bytes)
    {
        var reader = Open(bytes);
        for (var states = reader.Count(); states > 0; states--)
        {
            FactSpace.Skip(ref reader);
        }

        var keys = new SubjectKey[reader.Count()];
        for (var i = 0; i < keys.Length; i++)
        {
            reader.Number();
        }

        reader.Keys(keys);
        return keys;
    }

    private static PackedReader Open(ReadOnlySpan<byte> bytes)
    {
        var reader = new PackedReader(bytes);
        return reader.Byte() == Version ? reader : throw PackedReader.Damaged();
    }

    private IReadOnlyList<byte[]> Finish()
    {
        _row.Clear();
        _row.Byte(Version);
        _row.Number(_local.Count);
        _row.Bytes(_states.Written);
        _row.Number(_count);
        _row.Bytes(_places.Written);
        _row.Bytes(_keys.Written);
        Clear();
        return LedgerRows.Pieces(_row.Written);
    }

    private void Clear()
    {
        _local.Clear();
        _states.Clear();
        _places.Clear();
        _keys.Clear();
        _count = 0;
    }
}
