using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>
/// Distinct sets of facts, each with a number: most persons share a few. Shared by the counters of one reading of records. One thread at a
/// time.
/// </summary>
/// <param name="mostPersons">Persons that all its counters together may tell apart; some 40 bytes each.</param>
internal sealed class FactSets(int mostPersons)
{
    private const int MostSteps = 100_000;

    private readonly List<TransferFact[]> _sets = [[]];
    private readonly Dictionary<string, int> _known = new(StringComparer.Ordinal) { [""] = 0 };
    private readonly Dictionary<(int Set, object Facts), int> _steps = [];
    private int _persons;

    public IReadOnlyList<TransferFact> this[int set] => _sets[set];

    /// <summary>One person more is told apart; <see langword="false"/> when there are too many.</summary>
    public bool TryTake()
    {
        if (_persons >= mostPersons)
        {
            return false;
        }

        _persons++;
        return true;
    }

    /// <summary>So many persons need not be told apart any more.</summary>
    public void GiveBack(int persons) => _persons -= persons;

    /// <summary>The set with these facts added. Lists of facts are shared among records, so a step is nearly always known.</summary>
    public int Union(int set, IReadOnlyList<TransferFact> facts)
    {
        if (_steps.TryGetValue((set, facts), out var known))
        {
            return known;
        }

        TransferFact[] union = [.. _sets[set].Union(facts)];
        var name = string.Join('+', union.Select(static fact => $"{fact.Lane}|{(int)fact.Exemption}|{(int)fact.Class}|{fact.Minor}|{fact.Recipient}").Order(StringComparer.Ordinal));
        if (!_known.TryGetValue(name, out var number))
        {
            number = _sets.Count;
            _sets.Add(union);
            _known.Add(name, number);
        }

        if (_steps.Count == MostSteps)
        {
            _steps.Clear();
        }

        _steps.Add((set, facts), number);
        return number;
    }
}

/// <summary>Counts the distinct persons of some records, exactly, by what the records say of them. More persons than its sets allow make it give up.</summary>
internal sealed class PersonFacts(FactSets sets)
{
    private Dictionary<SubjectKey, int>? _persons = [];

    /// <summary>Distinct persons; <see langword="null"/> when there are too many.</summary>
    public long? Persons => _persons?.Count;

    /// <summary>Takes in what a record says of a person.</summary>
    public void Add(SubjectKey person, IReadOnlyList<TransferFact> facts)
    {
        if (_persons is null)
        {
            return;
        }

        if (!_persons.TryGetValue(person, out var set) && !sets.TryTake())
        {
            sets.GiveBack(_persons.Count);
            _persons = null;
            return;
        }

        _persons[person] = sets.Union(set, facts);
    }

    /// <summary>Every counter of the persons, by the definitions of the ledger's own; <see langword="null"/> when there are too many persons.</summary>
    public IReadOnlyDictionary<string, long>? Counters(PredicateSet predicates)
    {
        if (_persons is null)
        {
            return null;
        }

        Dictionary<string, long> counters = new(StringComparer.Ordinal);
        foreach (var same in _persons.Values.CountBy(static set => set))
        {
            foreach (var name in predicates.NamesFor([.. sets[same.Key]], []))
            {
                counters[name] = counters.GetValueOrDefault(name) + same.Value;
            }
        }

        return counters;
    }
}

/// <summary>Distinct persons of some records, and how many records there are.</summary>
internal sealed class PersonCount(FactSets sets)
{
    private HashSet<SubjectKey>? _persons = [];

    /// <summary>Records.</summary>
    public long Records { get; private set; }

    /// <summary>Distinct persons; <see langword="null"/> when there are too many.</summary>
    public long? Persons => _persons?.Count;

    /// <summary>Takes in a record on a person.</summary>
    public void Add(SubjectKey person)
    {
        Records++;
        if (_persons is null || _persons.Contains(person))
        {
            return;
        }

        if (sets.TryTake())
        {
            _persons.Add(person);
            return;
        }

        sets.GiveBack(_persons.Count);
        _persons = null;
    }

    /// <summary>Distinct persons who are not among others; <see langword="null"/> when there are too many.</summary>
    public long? Without(PersonCount others) => _persons is null || others._persons is null ? null : _persons.LongCount(person => !others._persons.Contains(person));
}
