using System.Buffers;
using System.Text;
using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Tests.Audit;

/// <summary>What somebody does who has the database in hand and knows how the trail is made.</summary>
internal static class TrailMeddling
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    public static Task<Entity?> SealRowAsync(AuditFeature feature, string day) =>
        feature.Driver.Real.GetAsync(AuditRows.TrailTable, "seals", day, Cancellation);

    public static async Task WriteAsync(AuditFeature feature, params Entity[] rows)
    {
        foreach (var row in rows)
        {
            await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(row)), Cancellation);
        }
    }

    public static async Task RemoveAsync(AuditFeature feature, string chain, long from)
    {
        var rows = await feature.Driver.Real.QueryAsync(AuditRows.EntriesTable, chain, AuditRows.EntriesFrom(from), 1000, null, Cancellation);
        foreach (var row in rows.Entities)
        {
            await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Delete(chain, row.RowKey)), Cancellation);
        }
    }

    /// <summary>Takes all days after one away, with whatever the store remembers of them.</summary>
    public static async Task CutAfterAsync(AuditFeature feature, string day, long last)
    {
        var seal = (await feature.Seals.FindAsync(day, Cancellation))!;
        foreach (var chain in (string[])["main", "other"])
        {
            await TruncateAsync(feature, chain, last);
        }

        await foreach (var later in feature.Seals.DaysAsync(AuditDay.Next(day), Cancellation))
        {
            await feature.Driver.Real.SubmitAsync(EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete("seals", later)), Cancellation);
        }

        await feature.Seals.AdvanceAsync(seal, await feature.Seals.ChainsAsync(Cancellation), Cancellation);
    }

    /// <summary>Takes everything behind an entry away, the head included, as somebody does who knows how the trail is made.</summary>
    public static async Task TruncateAsync(AuditFeature feature, string chain, long last)
    {
        await RemoveAsync(feature, chain, last + 1);
        var entry = await EntryAsync(feature, chain, last);
        await feature.Driver.Real.SubmitAsync(
            EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Upsert(AuditRows.Head(chain, new(last, entry.Hash, entry.RecordedAt, null)))), Cancellation);
    }

    public static AuditEntry Forge(AuditEntry entry, string? content)
    {
        var forged = content is null ? entry : entry with { Content = Encoding.UTF8.GetBytes(content) };
        var contentHash = Convert.FromHexString(PayloadHash.Of(forged.Content!.Value.Span).Hex!);
        return forged with
        {
            ContentHash = contentHash,
            Hash = AuditHash.OfEntry(entry.Chain, entry.Sequence, entry.RecordedAt, entry.Kind, entry.Retention, contentHash, entry.Previous.Span),
        };
    }

    public static async Task<AuditEntry> EntryAsync(AuditFeature feature, string chain, long sequence) =>
        await AuditChainReader.ReadAsync(feature.Driver.Real, chain, sequence, sequence, Cancellation).FirstAsync(Cancellation);

    public static async Task RewriteAsync(AuditFeature feature, string chain, Func<AuditEntry, AuditEntry> rewrite)
    {
        await foreach (var row in AuditChainReader.RowsAsync(feature.Driver.Real, chain, 1, 1000, Cancellation))
        {
            await PutAsync(feature, chain, AuditRows.FirstOf(row.RowKey), [.. AuditRows.ReadEntries(row).Select(rewrite)]);
        }
    }

    public static Task<TransactionResult> PutAsync(AuditFeature feature, string chain, long first, IReadOnlyList<AuditEntry> entries)
    {
        var lines = new ArrayBufferWriter<byte>();
        foreach (var entry in entries)
        {
            AuditLines.Write(lines, entry);
        }

        return PutBytesAsync(feature, chain, first, lines.WrittenSpan.ToArray());
    }

    public static Task<TransactionResult> PutBytesAsync(AuditFeature feature, string chain, long first, byte[] lines) => feature.Driver.Real.SubmitAsync(
        EntityTransaction.Of(AuditRows.EntriesTable, EntityOperation.Upsert(AuditRows.Entries(chain, first, lines))), Cancellation);
}
