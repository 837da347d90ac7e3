namespace DingFlow.Transfers.Ledger;

/// <summary>A counter of one calendar year, packed: the year above, the number of the predicate or the template with its value below.</summary>
internal readonly record struct CounterKey(long Bits)
{
    public CounterKey(int year, int number) : this(((long)year << 32) | (uint)number) { }

    public int Year => (int)(Bits >> 32);

    public int Number => (int)Bits;
}

/// <summary>
/// The predicates as bit tests. Each fact is asked once, by every filter; a subject's answer is then a few operations on words, and is
/// itself remembered per distinct state (<see cref="FactSpace"/>).
/// </summary>
/// <remarks>
/// A counter's number is the predicate's place in the set, or for a template 65536 × (1 + its place) + the value's number. It means
/// something only together with <see cref="PredicateSet.Fingerprint"/>.
/// </remarks>
internal sealed class CompiledPredicates
{
    private const int TemplateShift = 16;

    private readonly PredicateSet _set;
    private readonly FactFilter[] _filters;
    private readonly (int Years, ulong[] Any, ulong[] None)[] _predicates;

    public CompiledPredicates(PredicateSet set)
    {
        _set = set;
        _filters = [.. set.Predicates.SelectMany(predicate => predicate.Any.Concat(predicate.None)).Distinct()];
        Words = Math.Max(1, (_filters.Length + 63) / 64);
        _predicates = [.. set.Predicates.Select(predicate => (predicate.Years, Mask(predicate.Any), Mask(predicate.None)))];
    }

    /// <summary>64-bit words that hold one bit for each filter.</summary>
    public int Words { get; }

    public string Fingerprint => _set.Fingerprint;

    /// <summary>Which filters the fact passes.</summary>
    public ulong[] FiltersOf(in TransferFact fact)
    {
        var bits = new ulong[Words];
        for (var i = 0; i < _filters.Length; i++)
        {
            if (_filters[i].Matches(in fact))
            {
                bits[i / 64] |= 1UL << (i % 64);
            }
        }

        return bits;
    }

    /// <summary>The numbers of the templates' counters to which the fact belongs.</summary>
    public IEnumerable<int> TemplatesOf(TransferFact fact, PackedFact packed)
    {
        for (var i = 0; i < _set.Templates.Count; i++)
        {
            if (_set.Templates[i].Where.Matches(in fact))
            {
                var value = _set.Templates[i].By switch
                {
                    FactDimension.Class => (int)fact.Class,
                    FactDimension.Recipient => packed.Recipient,
                    FactDimension.Destination => fact.Lane.Destination.Number,
                    FactDimension.Lane => packed.Lane,
                    _ => (int)fact.Exemption,
                };
                yield return ((i + 1) << TemplateShift) | value;
            }
        }
    }

    /// <summary>Adds the numbers of the predicates that hold, given the filters passed by some fact of the year and of the year before.</summary>
    public void Evaluate(ReadOnlySpan<ulong> year, ReadOnlySpan<ulong> yearBefore, List<int> numbers)
    {
        for (var i = 0; i < _predicates.Length; i++)
        {
            var (years, any, none) = _predicates[i];
            if (years == 1
                ? Meets(year, any) && !Meets(year, none)
                : (Meets(year, any) || Meets(yearBefore, any)) && !Meets(year, none) && !Meets(yearBefore, none))
            {
                numbers.Add(i);
            }
        }
    }

    /// <summary>The name of a counter, as the API shows it.</summary>
    public string NameOf(int number, LedgerDictionary dictionary)
    {
        if (number < 1 << TemplateShift)
        {
            return _set.Predicates[number].Name;
        }

        var template = _set.Templates[(number >> TemplateShift) - 1];
        var value = number & ((1 << TemplateShift) - 1);
        return template.Prefix + template.By switch
        {
            FactDimension.Class => Vocabulary.Of((DataClass)value),
            FactDimension.Recipient => dictionary.RecipientOf(value),
            FactDimension.Destination => Country.FromNumber((ushort)value).ToString(),
            FactDimension.Lane => dictionary.LaneOf(value).ToString(),
            _ => Vocabulary.Of((ExemptionKind)value),
        };
    }

    /// <summary>The counters that are shown even when they are zero.</summary>
    public IEnumerable<string> FixedNames => _set.Predicates.Select(predicate => predicate.Name);

    private static bool Meets(ReadOnlySpan<ulong> bits, ReadOnlySpan<ulong> mask)
    {
        for (var i = 0; i < bits.Length; i++)
        {
            if ((bits[i] & mask[i]) != 0)
            {
                return true;
            }
        }

        return false;
    }

    private ulong[] Mask(IReadOnlyList<FactFilter> filters)
    {
        var bits = new ulong[Words];
        foreach (var filter in filters)
        {
            var i = Array.IndexOf(_filters, filter);
            bits[i / 64] |= 1UL << (i % 64);
        }

        return bits;
    }
}

/// <summary>Counts per counter, changed by adding.</summary>
internal sealed class CounterTable
{
    private readonly Dictionary<CounterKey, long> _counts = [];

    public IReadOnlyDictionary<CounterKey, long> Counts => _counts;

    public long this[CounterKey key] => _counts.GetValueOrDefault(key);

    public void Add(CounterKey key, long change)
    {
        ref var count = ref System.Runtime.InteropServices.CollectionsMarshal.GetValueRefOrAddDefault(_counts, key, out _);
        count += change;
    }

    public void Add(ReadOnlySpan<CounterKey> keys, long change)
    {
        foreach (var key in keys)
        {
            Add(key, change);
        }
    }

    public CounterTable Copy()
    {
        var copy = new CounterTable();
        foreach (var (key, count) in _counts)
        {
            copy._counts.Add(key, count);
        }

        return copy;
    }

    /// <summary>Years, then in each the counters that are not zero.</summary>
    public void Write(PackedWriter writer)
    {
        var years = _counts.Where(entry => entry.Value != 0).GroupBy(entry => entry.Key.Year).ToList();
        writer.Number(years.Count);
        foreach (var year in years)
        {
            writer.Number(year.Key);
            writer.Number(year.Count());
            foreach (var (key, count) in year)
            {
                writer.Number(key.Number);
                writer.Signed(count);
            }
        }
    }

    public static CounterTable Read(ref PackedReader reader)
    {
        var table = new CounterTable();
        for (var years = reader.Count(); years > 0; years--)
        {
            var year = reader.Int();
            for (var counters = reader.Count(); counters > 0; counters--)
            {
                table._counts.Add(new(year, reader.Int()), reader.Signed());
            }
        }

        return table;
    }
}
