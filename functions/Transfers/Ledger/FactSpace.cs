using System.Runtime.InteropServices;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The distinct states in which an exporter's subjects are. Most subjects share a few: each distinct state has a number, its union with
/// another is computed once, and so are its counters. One thread at a time.
/// </summary>
/// <remarks>
/// Bounded: facts by <see cref="LedgerOptions.FactLimit"/>, which whoever writes the log keeps to; unions are forgotten when there are many;
/// and a space full of states in which no subject is any more is replaced by a new one (<see cref="ShardSet.Trim"/>).
/// </remarks>
internal sealed class FactSpace(CompiledPredicates predicates, LedgerDictionary dictionary)
{
    /// <summary>The state of a subject that is not there.</summary>
    public const int Empty = 0;

    /// <summary>Unions that are remembered; a state takes more memory than the union that led to it.</summary>
    private const int MostUnions = 1024 * 1024;

    private readonly Dictionary<PackedFact, FactInfo> _facts = [];
    private readonly List<YearFacts[]> _states = [[]];
    private readonly List<CounterKey[]?> _counters = [[]];
    private readonly Dictionary<YearFacts[], int> _numbers = new(StateComparer.Instance) { [[]] = Empty };
    private readonly Dictionary<long, int> _unions = [];

    /// <summary>How many distinct states were seen.</summary>
    public int Count => _states.Count;

    /// <summary>The facts of a state: years ascending, facts ascending in each, no year empty.</summary>
    public ReadOnlySpan<YearFacts> this[int state] => _states[state];

    /// <summary>The number of a state.</summary>
    public int Intern(YearFacts[] years)
    {
        if (_states.Count == SubjectEntry.MostStates && !_numbers.ContainsKey(years))
        {
            throw new InvalidOperationException("The exporter's subjects are in more distinct states than the ledger numbers.");
        }

        ref var number = ref CollectionsMarshal.GetValueRefOrAddDefault(_numbers, years, out var known);
        if (!known)
        {
            number = _states.Count;
            _states.Add(years);
            _counters.Add(null);
        }

        return number;
    }

    /// <summary>The state of a subject that took part in these facts in one year; <see cref="Empty"/> without any.</summary>
    public int Intern(int year, IReadOnlyList<TransferFact> facts)
    {
        if (facts.Count == 0)
        {
            return Empty;
        }

        var packed = new PackedFact[facts.Count];
        for (var i = 0; i < packed.Length; i++)
        {
            var fact = facts[i];
            packed[i] = dictionary.Pack(in fact);
        }

        Array.Sort(packed);
        return Intern([new(year, Distinct(packed))]);
    }

    /// <summary>The facts of both.</summary>
    public int Union(int left, int right)
    {
        if (left == right || right == Empty)
        {
            return left;
        }

        if (left == Empty)
        {
            return right;
        }

        var pair = ((long)left << 32) | (uint)right;
        if (_unions.TryGetValue(pair, out var union))
        {
            return union;
        }

        // Before anything is remembered: a space that is full throws, and must not leave behind that the two make nothing.
        union = Intern(Merge(_states[left], _states[right]));
        if (_unions.Count == MostUnions)
        {
            _unions.Clear();
        }

        _unions.Add(pair, union);
        return union;
    }

    /// <summary>The state without the years that do not pass.</summary>
    public int Where(int state, Func<int, bool> year) => Intern([.. _states[state].Where(facts => year(facts.Year))]);

    /// <summary>The counters to which a subject in this state adds one.</summary>
    public ReadOnlySpan<CounterKey> CountersOf(int state) => _counters[state] ??= CountersFor(_states[state]);

    public void Write(PackedWriter writer, int state)
    {
        var years = _states[state];
        writer.Number(years.Length);
        foreach (var year in years)
        {
            writer.Number(year.Year);
            writer.Number(year.Facts.Length);
            ulong before = 0;
            foreach (var fact in year.Facts)
            {
                writer.Number(fact.Bits - before);
                before = fact.Bits;
            }
        }
    }

    public int Read(ref PackedReader reader)
    {
        var years = new YearFacts[reader.Count()];
        for (var i = 0; i < years.Length; i++)
        {
            var year = reader.Int();
            var facts = new PackedFact[reader.Count()];
            ulong before = 0;
            for (var j = 0; j < facts.Length; j++)
            {
                facts[j] = new(before += reader.Number());
            }

            years[i] = new(year, facts);
        }

        return Intern(years);
    }

    /// <summary>Reads past a state.</summary>
    public static void Skip(ref PackedReader reader)
    {
        for (var years = reader.Count(); years > 0; years--)
        {
            reader.Int();
            for (var facts = reader.Count(); facts > 0; facts--)
            {
                reader.Number();
            }
        }
    }

    private static YearFacts[] Merge(YearFacts[] left, YearFacts[] right)
    {
        List<YearFacts> years = new(left.Length + right.Length);
        for (int i = 0, j = 0; i < left.Length || j < right.Length;)
        {
            if (j == right.Length || (i < left.Length && left[i].Year < right[j].Year))
            {
                years.Add(left[i++]);
            }
            else if (i == left.Length || right[j].Year < left[i].Year)
            {
                years.Add(right[j++]);
            }
            else
            {
                PackedFact[] both = [.. left[i].Facts, .. right[j].Facts];
                Array.Sort(both);
                years.Add(new(left[i].Year, Distinct(both)));
                (i, j) = (i + 1, j + 1);
            }
        }

        return [.. years];
    }

    private static PackedFact[] Distinct(PackedFact[] sorted)
    {
        var kept = 1;
        for (var i = 1; i < sorted.Length; i++)
        {
            if (sorted[i] != sorted[kept - 1])
            {
                sorted[kept++] = sorted[i];
            }
        }

        return kept == sorted.Length ? sorted : sorted[..kept];
    }

    private CounterKey[] CountersFor(YearFacts[] years)
    {
        List<CounterKey> keys = [];
        List<int> numbers = [];
        var (none, current, before) = (new ulong[predicates.Words], new ulong[predicates.Words], new ulong[predicates.Words]);
        for (var i = 0; i < years.Length; i++)
        {
            var year = years[i].Year;
            var (yearBefore, yearAfter) = (i > 0 && years[i - 1].Year == year - 1, i + 1 < years.Length && years[i + 1].Year == year + 1);
            FiltersOf(years[i], current, numbers);
            predicates.Evaluate(current, yearBefore ? before : none, numbers);
            Take(year);
            if (!yearAfter)
            {
                // A window of two years sees this one from the next, in which the subject has nothing.
                predicates.Evaluate(none, current, numbers);
                Take(year + 1);
            }

            (current, before) = (before, current);
        }

        return [.. keys];

        void Take(int year)
        {
            keys.AddRange(numbers.Distinct().Select(number => new CounterKey(year, number)));
            numbers.Clear();
        }
    }

    private void FiltersOf(YearFacts year, ulong[] filters, List<int> templates)
    {
        Array.Clear(filters);
        foreach (var fact in year.Facts)
        {
            var info = InfoOf(fact);
            for (var i = 0; i < filters.Length; i++)
            {
                filters[i] |= info.Filters[i];
            }

            templates.AddRange(info.Templates);
        }
    }

    private FactInfo InfoOf(PackedFact packed)
    {
        if (!_facts.TryGetValue(packed, out var info))
        {
            var fact = dictionary.Unpack(packed);
            _facts.Add(packed, info = new(predicates.FiltersOf(in fact), [.. predicates.TemplatesOf(fact, packed)]));
        }

        return info;
    }

    private sealed record FactInfo(ulong[] Filters, int[] Templates);

    private sealed class StateComparer : IEqualityComparer<YearFacts[]>
    {
        public static StateComparer Instance { get; } = new();

        public bool Equals(YearFacts[]? x, YearFacts[]? y)
        {
            if (x!.Length != y!.Length)
            {
                return false;
            }

            for (var i = 0; i < x.Length; i++)
            {
                if (x[i].Year != y[i].Year || !x[i].Facts.AsSpan().SequenceEqual(y[i].Facts))
                {
                    return false;
                }
            }

            return true;
        }

        public int GetHashCode(YearFacts[] obj)
        {
            var hash = new HashCode();
            foreach (var year in obj)
            {
                hash.Add(year.Year);
                hash.AddBytes(MemoryMarshal.AsBytes(year.Facts.AsSpan()));
            }

            return hash.ToHashCode();
        }
    }
}

/// <summary>The facts of which a subject was part in one calendar year (Asia/Shanghai), ascending and distinct.</summary>
internal readonly record struct YearFacts(int Year, PackedFact[] Facts);
