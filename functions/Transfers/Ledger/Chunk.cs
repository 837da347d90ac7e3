namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The records of one log row as merging needs them: whose, and what each adds. Records that say nothing personal add nothing.
/// </summary>
/// <param name="Keys">Whose record it is, in the order of the records.</param>
/// <param name="Additions">What each record adds: a place in <paramref name="Table"/>, or -1.</param>
/// <param name="Table">The distinct things that records of this chunk add.</param>
internal sealed record Chunk(SubjectKey[] Keys, int[] Additions, Addition[] Table)
{
    public int Count => Keys.Length;

    /// <summary>Every fact of the chunk, in the order in which the dictionary numbers their recipients and lanes.</summary>
    public IEnumerable<TransferFact> Facts => Table.SelectMany(addition => addition.Facts);
}

/// <summary>Facts in one calendar year (Asia/Shanghai).</summary>
internal readonly record struct Addition(int Year, IReadOnlyList<TransferFact> Facts);
