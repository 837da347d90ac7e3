using DingFlow.Storage;

namespace DingFlow.Transfers.Ledger;

/// <summary>A commit that is ready to be submitted.</summary>
/// <param name="Row">The counter row's content.</param>
/// <param name="CounterRow">The counter row.</param>
/// <param name="Segments">Rows to write with it.</param>
/// <param name="Removed">Keys of rows that go.</param>
/// <param name="Level">The level of the entries that it writes.</param>
/// <param name="Purge">Subjects without facts go.</param>
/// <param name="Bytes">About how large it is.</param>
internal sealed record ShardCommit(
    ShardRow Row, Entity CounterRow, IReadOnlyList<Entity> Segments, IReadOnlyList<string> Removed, byte Level, bool Purge, int Bytes)
{
    public EntityTransaction ToTransaction()
    {
        List<EntityOperation> operations =
        [
            CounterRow.ETag is null ? EntityOperation.Insert(CounterRow) : EntityOperation.Replace(CounterRow),
            .. Segments.Select(EntityOperation.Upsert),
            .. Removed.Take(EntityLimits.OperationsPerTransaction - 2 - Segments.Count)
                .Select(key => EntityOperation.Delete(CounterRow.PartitionKey, key)),
        ];
        return EntityTransaction.Of(LedgerRows.ShardTable, operations);
    }
}
