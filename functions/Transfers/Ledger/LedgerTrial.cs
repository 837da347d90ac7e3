namespace DingFlow.Transfers.Ledger;

/// <summary>
/// Says what appending parts of one batch after another would answer, with nothing appended: which records would bear a recipient,
/// a lane or a fact that the exporter's ledger has no room for any more. One part at a time.
/// </summary>
public sealed class LedgerTrial
{
    private readonly LedgerDictionary _names;
    private readonly Func<IReadOnlyList<SubjectTransfer>, IReadOnlyList<PieceOfPart>> _cut;

    /// <param name="names">The names that have numbers; those of the trial are added to it.</param>
    /// <param name="cut">How a part is cut into rows: names are judged row by row.</param>
    internal LedgerTrial(LedgerDictionary names, Func<IReadOnlyList<SubjectTransfer>, IReadOnlyList<PieceOfPart>> cut) => (_names, _cut) = (names, cut);

    /// <summary>What <see cref="SubjectLedger.AppendAsync(TransferBatch, CancellationToken)"/> would answer to records of the exporter.</summary>
    public AppendResult Append(IReadOnlyList<SubjectTransfer> records)
    {
        ArgumentNullException.ThrowIfNull(records);
        // Lists of facts are shared among records.
        var facts = records.Select(record => record.Facts).Distinct().SelectMany(facts => facts).ToList();
        if (_names.Overflow(facts) is null)
        {
            // Nearly always: everything fits, however it is cut.
            Learn(facts);
            return new(records.Count, 0, []);
        }

        List<RefusedRecord> refused = [];
        var accepted = 0;
        foreach (var piece in _cut(records))
        {
            var (kept, chunk) = (Enumerable.Range(piece.Start, piece.Count).ToList(), piece.Chunk);
            while (_names.Overflow(chunk.Facts) is { } full)
            {
                chunk.Release();
                LeaveOut(records, kept, full, refused);
                (_, chunk) = ChunkCodec.Encode([.. kept.Select(index => records[index])]);
            }

            Learn(chunk.Facts);
            chunk.Release();
            accepted += kept.Count;
        }

        return new(accepted, 0, refused);
    }

    /// <summary>Takes those records out of a row that bear a name or a fact beyond the limits.</summary>
    internal static void LeaveOut(IReadOnlyList<SubjectTransfer> records, List<int> kept, LedgerOverflow full, List<RefusedRecord> refused) =>
        kept.RemoveAll(index =>
        {
            if (full.ReasonOn(records[index]) is not { } why)
            {
                return false;
            }

            refused.Add(new(index, why));
            return true;
        });

    private void Learn(IEnumerable<TransferFact> facts)
    {
        foreach (var fact in facts)
        {
            _names.Add(fact);
        }
    }
}
