using System.Buffers.Binary;

namespace DingFlow.Transfers;

/// <summary>
/// Shapes of records that were read before. A sender writes a million records that are the same bytes but for a few values, so what
/// surrounds the values is looked up instead of being read, and was judged before. One thread and one format at a time.
/// </summary>
/// <remarks>
/// <para>Whatever is done here to find the values may err: a shape is taken only when every byte around the values, and where they
/// stand in it, is that of a record which was read in full and accepted. The values are plain (<see cref="PlainText"/>), so the text
/// has the same structure. Nothing is refused here; what does not fit is read in full.</para>
/// <para>Bounded: when there are too many shapes they are forgotten, and when they were of little use none is learnt any more.
/// <c>docs/decisions/0022-imports.md</c> has the reasons.</para>
/// </remarks>
internal sealed class RecordShapes
{
    /// <summary>Bytes of the longest record that has a shape.</summary>
    private const int LongestRecord = 4096;

    /// <summary>Bytes of the longest name, with what stands between it and its value.</summary>
    private const int LongestMarker = 64;

    /// <summary>Values of a record that has a shape: three that are always there, and what else differs and says nothing.</summary>
    private const int MostValues = 16;

    private const int MostWritings = 16;
    private const int MostShapes = 512;

    /// <summary>Uses of each shape that make learning it worth while.</summary>
    private const int LeastUse = 4;

    private readonly List<byte[][]> _writings = [];
    private readonly Dictionary<byte[], RecordShape> _shapes = new(Utf8Comparer.Instance);
    private readonly Dictionary<byte[], RecordShape>.AlternateLookup<ReadOnlySpan<byte>> _lookup;
    private readonly byte[] _key = new byte[((1 + MostValues) * sizeof(ushort)) + LongestRecord];
    private readonly PlainText[] _found = new PlainText[MostValues];
    private int _values;
    private long _uses;
    private bool _gaveUp;

    public RecordShapes() => _lookup = _shapes.GetAlternateLookup<ReadOnlySpan<byte>>();

    /// <summary>Whether the record is of a shape that is known; where its values stand then follows from <see cref="PlaceOf"/>.</summary>
    public bool TryFind(ReadOnlySpan<byte> json, out RecordShape shape)
    {
        shape = null!;
        if (json.Length > LongestRecord)
        {
            return false;
        }

        for (var i = 0; i < _writings.Count; i++)
        {
            if (TryCut(json, _writings[i]) && _lookup.TryGetValue(KeyOf(json), out shape!))
            {
                if (i > 0)
                {
                    // The next record is mostly written like this one.
                    (_writings[0], _writings[i]) = (_writings[i], _writings[0]);
                }

                _uses++;
                return true;
            }
        }

        return false;
    }

    /// <summary>Where a value of the record stands that was found last.</summary>
    public PlainText PlaceOf(RecordShape shape, RecordValue value) => _found[Array.IndexOf(shape.Order, value)];

    /// <summary>The shape of a record that was read in full and accepted, to be taught; <see langword="null"/> when it is not worth while.</summary>
    /// <param name="json">The record.</param>
    /// <param name="values">The values in it that may differ, in the order of the text.</param>
    /// <param name="create">Makes a shape, given what the values mean.</param>
    public RecordShape? Learn(ReadOnlySpan<byte> json, IReadOnlyList<FoundValue> values, Func<RecordValue[], RecordShape> create)
    {
        if (_gaveUp || json.Length > LongestRecord || values.Count > MostValues || !IsWhole(values))
        {
            return null;
        }

        _values = values.Count;
        for (var i = 0; i < _values; i++)
        {
            _found[i] = values[i].Place;
            if (_found[i].Start - _found[i].Name > LongestMarker)
            {
                return null;
            }
        }

        var key = KeyOf(json);
        if (!_lookup.TryGetValue(key, out var shape) && HasRoom())
        {
            Remember(json);
            _shapes.Add(key.ToArray(), shape = create([.. values.Select(value => value.Meaning)]));
        }

        return shape;
    }

    /// <summary>Each of the three values that a transfer is made of is there once.</summary>
    private static bool IsWhole(IReadOnlyList<FoundValue> values)
    {
        foreach (var meaning in (ReadOnlySpan<RecordValue>)[RecordValue.Id, RecordValue.OccurredAt, RecordValue.SubjectId])
        {
            if (values.Count(value => value.Meaning == meaning) != 1)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Remembers how the values are introduced, which is how they are found again.</summary>
    private void Remember(ReadOnlySpan<byte> json)
    {
        foreach (var known in _writings)
        {
            if (Introduces(known, json))
            {
                return;
            }
        }

        if (_writings.Count < MostWritings)
        {
            var markers = new byte[_values][];
            for (var i = 0; i < markers.Length; i++)
            {
                markers[i] = json[_found[i].Name.._found[i].Start].ToArray();
            }

            _writings.Add(markers);
        }
    }

    private bool Introduces(byte[][] markers, ReadOnlySpan<byte> json)
    {
        if (markers.Length != _values)
        {
            return false;
        }

        for (var i = 0; i < markers.Length; i++)
        {
            if (!json[_found[i].Name.._found[i].Start].SequenceEqual(markers[i]))
            {
                return false;
            }
        }

        return true;
    }

    private bool HasRoom()
    {
        if (_shapes.Count == MostShapes)
        {
            _gaveUp = _uses < MostShapes * LeastUse;
            _shapes.Clear();
            _writings.Clear();
            _uses = 0;
        }

        return !_gaveUp;
    }

    /// <summary>Looks for the values where they are introduced as in a record before.</summary>
    private bool TryCut(ReadOnlySpan<byte> json, byte[][] markers)
    {
        var at = 0;
        _values = markers.Length;
        for (var i = 0; i < markers.Length; i++)
        {
            var marker = markers[i];
            var name = json[at..].IndexOf(marker);
            if (name < 0)
            {
                return false;
            }

            var start = at + name + marker.Length;
            var length = PlainText.LengthAt(json[start..]);
            if (length < 0)
            {
                return false;
            }

            _found[i] = new(at + name, start, length);
            at = start + length;
        }

        return true;
    }

    /// <summary>What surrounds the values: how many there are, how long each part before one is, then the parts.</summary>
    private ReadOnlySpan<byte> KeyOf(ReadOnlySpan<byte> json)
    {
        BinaryPrimitives.WriteUInt16LittleEndian(_key, (ushort)_values);
        var (from, length) = (0, (1 + _values) * sizeof(ushort));
        for (var i = 0; i < _values; i++)
        {
            var part = json[from.._found[i].Start];
            BinaryPrimitives.WriteUInt16LittleEndian(_key.AsSpan((1 + i) * sizeof(ushort)), (ushort)part.Length);
            part.CopyTo(_key.AsSpan(length));
            length += part.Length;
            from = _found[i].End;
        }

        var tail = json[from..];
        tail.CopyTo(_key.AsSpan(length));
        return _key.AsSpan(0, length + tail.Length);
    }
}
