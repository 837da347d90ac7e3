namespace DingFlow.Transfers;

/// <summary>
/// A statement about one subject in one calendar year; its counter is the number of subjects for which it holds.
/// </summary>
/// <param name="Name">The counter's name, such as <c>cn.counted.general</c>.</param>
/// <param name="Years">Over how many calendar years' facts, the counted one last: 1 or 2.</param>
/// <param name="Any">Some fact must pass one of these.</param>
/// <param name="None">No fact may pass any of these.</param>
public sealed record SubjectPredicate(string Name, int Years, IReadOnlyList<FactFilter> Any, IReadOnlyList<FactFilter> None)
{
    /// <summary>It holds for the facts of the counted year (for two years: of the year before as well).</summary>
    public bool Holds(ReadOnlySpan<TransferFact> facts, ReadOnlySpan<TransferFact> factsOfYearBefore) =>
        Years == 1
            ? Passes(Any, facts) && !Passes(None, facts)
            : (Passes(Any, facts) || Passes(Any, factsOfYearBefore)) && !Passes(None, facts) && !Passes(None, factsOfYearBefore);

    private static bool Passes(IReadOnlyList<FactFilter> filters, ReadOnlySpan<TransferFact> facts)
    {
        for (var i = 0; i < filters.Count; i++)
        {
            foreach (ref readonly var fact in facts)
            {
                if (filters[i].Matches(in fact))
                {
                    return true;
                }
            }
        }

        return false;
    }
}

/// <summary>What a template makes a counter of.</summary>
public enum FactDimension
{
    /// <summary>The class.</summary>
    Class,

    /// <summary>The recipient.</summary>
    Recipient,

    /// <summary>The destination.</summary>
    Destination,

    /// <summary>The lane.</summary>
    Lane,

    /// <summary>The exemption.</summary>
    Exemption,
}

/// <summary>
/// A family of counters, one per value of a dimension: the counter of a value counts the subjects that have a fact with that value
/// (in the counted year) that passes the filter.
/// </summary>
/// <param name="Prefix">The counter's name before the value, such as <c>recipient.</c>.</param>
/// <param name="By">The dimension.</param>
/// <param name="Where">Which facts take part.</param>
public sealed record PredicateTemplate(string Prefix, FactDimension By, FactFilter Where)
{
    /// <summary>The counter that a fact belongs to, or <see langword="null"/> when it does not take part.</summary>
    public string? NameFor(in TransferFact fact) => Where.Matches(in fact) ? Prefix + ValueOf(in fact) : null;

    private string ValueOf(in TransferFact fact) => By switch
    {
        FactDimension.Class => Vocabulary.Of(fact.Class),
        FactDimension.Recipient => fact.Recipient,
        FactDimension.Destination => fact.Lane.Destination.ToString(),
        FactDimension.Lane => fact.Lane.ToString(),
        _ => Vocabulary.Of(fact.Exemption),
    };
}
