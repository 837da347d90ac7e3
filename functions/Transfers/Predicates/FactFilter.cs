using System.Collections.Frozen;

namespace DingFlow.Transfers;

/// <summary>A condition on one fact: every part that is set must hold.</summary>
public sealed class FactFilter
{
    private const ulong EveryClass = ulong.MaxValue;
    private const uint EveryExemption = uint.MaxValue;

    /// <summary>Classes that pass, a bit per number.</summary>
    internal ulong Classes { get; init; } = EveryClass;

    /// <summary>Exemptions that pass, a bit per number.</summary>
    internal uint Exemptions { get; init; } = EveryExemption;

    /// <summary>Classes that are sensitive under the profile, a bit per number.</summary>
    internal ulong SensitiveClasses { get; init; }

    /// <summary>Only sensitive facts (<see langword="true"/>), only others (<see langword="false"/>), or both.</summary>
    internal bool? Sensitive { get; init; }

    /// <summary>Only of minors, only of others, or both.</summary>
    internal bool? Minor { get; init; }

    /// <summary>The lane starts in this place and ends outside it.</summary>
    internal FrozenSet<Country>? Leaves { get; init; }

    /// <summary>The lane joins these two places, either way.</summary>
    internal (FrozenSet<Country> One, FrozenSet<Country> Other)? Between { get; init; }

    /// <summary>The fact passes.</summary>
    public bool Matches(in TransferFact fact) =>
        (Classes >> (int)fact.Class & 1) != 0
        && (Exemptions >> (int)fact.Exemption & 1) != 0
        && (Minor is null || Minor == fact.Minor)
        && (Sensitive is null || Sensitive == (fact.Minor || (SensitiveClasses >> (int)fact.Class & 1) != 0))
        && (Leaves is null || (Leaves.Contains(fact.Lane.Origin) && !Leaves.Contains(fact.Lane.Destination)))
        && (Between is null || Joins(Between.Value, fact.Lane));

    private static bool Joins((FrozenSet<Country> One, FrozenSet<Country> Other) places, Lane lane) =>
        (places.One.Contains(lane.Origin) && places.Other.Contains(lane.Destination))
        || (places.Other.Contains(lane.Origin) && places.One.Contains(lane.Destination));
}
