using System.Buffers;

namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The records of one log row as merging needs them: whose, and what each adds. Records that say nothing personal add nothing.
/// </summary>
/// <remarks>
/// A batch of 10 000 needs arrays that the garbage collector would move out only rarely, so they are borrowed and given back after
/// merging (<see cref="Release"/>); nobody reads a chunk after that but for its <see cref="Count"/>.
/// </remarks>
internal sealed class Chunk
{
    private readonly bool _borrowed;
    private SubjectKey[]? _keys;
    private int[]? _additions;

    private Chunk(SubjectKey[] keys, int[] additions, int count, bool borrowed) =>
        (_keys, _additions, Count, _borrowed) = (keys, additions, count, borrowed);

    /// <summary>How many records there are.</summary>
    public int Count { get; }

    /// <summary>Whose record it is, in the order of the records.</summary>
    public Span<SubjectKey> Keys => (_keys ?? throw Gone()).AsSpan(0, Count);

    /// <summary>What each record adds: a place in <see cref="Table"/>, or -1.</summary>
    public Span<int> Additions => (_additions ?? throw Gone()).AsSpan(0, Count);

    /// <summary>The distinct things that records of this chunk add.</summary>
    public Addition[] Table { get; set; } = [];

    /// <summary>Every fact of the chunk, in the order in which the dictionary numbers their recipients and lanes.</summary>
    public IEnumerable<TransferFact> Facts => Table.SelectMany(addition => addition.Facts);

    /// <summary>A chunk on arrays of its own.</summary>
    public static Chunk Of(int count) => new(new SubjectKey[count], new int[count], count, borrowed: false);

    /// <summary>A chunk on borrowed arrays, to be released.</summary>
    public static Chunk Borrow(int count) =>
        new(ArrayPool<SubjectKey>.Shared.Rent(count), ArrayPool<int>.Shared.Rent(count), count, borrowed: true);

    /// <summary>Gives the arrays back.</summary>
    public void Release()
    {
        if (_borrowed && _keys is not null && _additions is not null)
        {
            ArrayPool<SubjectKey>.Shared.Return(_keys);
            ArrayPool<int>.Shared.Return(_additions);
            (_keys, _additions) = (null, null);
        }
    }

    private static InvalidOperationException Gone() => new("The chunk was merged and let go.");
}

/// <summary>Facts in one calendar year (Asia/Shanghai).</summary>
internal readonly record struct Addition(int Year, IReadOnlyList<TransferFact> Facts);
