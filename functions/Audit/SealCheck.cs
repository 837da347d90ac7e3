namespace DingFlow.Audit;

/// <summary>Checks seals one after another, from the first there is: that each leads to its root and follows the one before.</summary>
internal sealed class SealCheck
{
    private readonly Dictionary<string, (long Last, string Head)> _ends = new(StringComparer.Ordinal);
    private AuditSeal? _before;

    /// <summary>Of each chain, how far the seals that were checked reach.</summary>
    public IReadOnlyDictionary<string, (long Last, string Head)> Ends => _ends;

    /// <summary>Checks the next seal; <see langword="null"/> when it is right.</summary>
    public AuditFault? Check(AuditSeal seal)
    {
        AuditFault Broken(string detail) => new(AuditFaultKind.SealBroken, seal.Day, null, null, detail);
        if (seal.Root != seal.ExpectedRoot())
        {
            return Broken("The seal does not lead to its root.");
        }

        if (_before is not null && AuditDay.Next(_before.Day) != seal.Day)
        {
            return Broken($"The seal of {AuditDay.Next(_before.Day)} is not there.");
        }

        if (seal.Previous != (_before?.Root ?? AuditSeal.NoPrevious))
        {
            return Broken(_before is null ? "The first seal is not there." : "The seal follows another one than that of the day before.");
        }

        if (seal.Count != seal.Chains.Sum(static part => part.Count))
        {
            return Broken("The seal counts other entries than those that it names.");
        }

        foreach (var part in seal.Chains)
        {
            var (last, head) = _ends.GetValueOrDefault(part.Chain, (0, AuditSeal.NoPrevious));
            if (part.First != last + 1 || part.Previous != head || part.Last < part.First)
            {
                return Broken($"The chain {part.Chain} does not go on where the seal before left it.");
            }

            _ends[part.Chain] = (part.Last, part.Head);
        }

        _before = seal;
        return null;
    }
}
