using System.Buffers;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// Writes the entries of an archived day into their chains. Rows of an older copy that hold some of them are replaced; what such a row holds
/// behind the day stays, in a row of its own.
/// </summary>
/// <remarks>The same day may be written again after a crash: until its seal is stored nobody takes it for restored.</remarks>
internal sealed class ChainRestore(IEntityStore store, AuditSeal seal)
{
    private const int EntriesPerRow = 256;
    private const int BytesPerRow = 512 * 1024;

    private readonly List<AuditEntry> _row = [];
    private readonly List<(string Chain, string RowKey)> _before = [];
    private readonly HashSet<(string Chain, string RowKey)> _written = [];
    private int _bytes;

    /// <summary>Looks which rows hold entries of the day, and puts apart what they hold besides.</summary>
    public async Task BeginAsync(CancellationToken cancellationToken)
    {
        foreach (var part in seal.Chains)
        {
            await foreach (var row in AuditChainReader.RowsAsync(store, part.Chain, part.First, part.Last, cancellationToken))
            {
                var entries = AuditRows.ReadEntries(row).ToList();
                if (!entries.Exists(entry => entry.Sequence >= part.First && entry.Sequence <= part.Last))
                {
                    continue;
                }

                _before.Add((part.Chain, row.RowKey));
                foreach (var apart in (List<AuditEntry>[])[[.. entries.Where(entry => entry.Sequence > part.Last)], [.. entries.Where(entry => entry.Sequence < part.First)]])
                {
                    if (apart.Count > 0)
                    {
                        await WriteAsync(apart, cancellationToken);
                    }
                }
            }
        }
    }

    /// <summary>Takes the next entry of the day.</summary>
    public async Task PutAsync(AuditEntry entry, CancellationToken cancellationToken)
    {
        if (_row.Count == EntriesPerRow || _bytes > BytesPerRow || (_row.Count > 0 && _row[0].Chain != entry.Chain))
        {
            await FlushAsync(cancellationToken);
        }

        _row.Add(entry);
        _bytes += entry.Content?.Length ?? 0;
    }

    /// <summary>Writes what is left, and removes the rows that held the same entries.</summary>
    public async Task EndAsync(CancellationToken cancellationToken)
    {
        await FlushAsync(cancellationToken);
        foreach (var row in _before.Where(row => !_written.Contains(row)))
        {
            await store.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Delete(row.Chain, row.RowKey)), cancellationToken);
        }
    }

    private async Task FlushAsync(CancellationToken cancellationToken)
    {
        if (_row.Count > 0)
        {
            await WriteAsync(_row, cancellationToken);
        }

        _row.Clear();
        _bytes = 0;
    }

    private async Task WriteAsync(List<AuditEntry> row, CancellationToken cancellationToken)
    {
        var lines = new ArrayBufferWriter<byte>();
        row.ForEach(entry => AuditLines.Write(lines, entry));
        var (chain, last) = (row[0].Chain, row[^1]);
        List<EntityOperation> operations = [EntityOperation.Upsert(AuditRows.Entries(chain, row[0].Sequence, lines.WrittenSpan))];
        var head = await store.GetAsync(AuditRows.EntriesTable, chain, AuditRows.HeadRow, cancellationToken);
        if (head is null || AuditRows.ReadHead(head).Sequence < last.Sequence)
        {
            operations.Add(EntityOperation.Upsert(AuditRows.Head(chain, new(last.Sequence, last.Hash, last.RecordedAt, null))));
        }

        await store.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, operations), cancellationToken);
        _written.Add((chain, AuditRows.EntryRow(row[0].Sequence)));
    }
}
