using System.Buffers;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// Removes content whose retention has passed: the heads and hashes of the entries stay, so that everything can still be verified. The
/// removal is recorded before it is done, and the archive of the day is written anew.
/// </summary>
public sealed partial class AuditExpiry(
    IEntityStore store, IAuditTrail trail, AuditSeals seals, AuditHolds holds, AuditRetentionPolicy policy, AuditArchive archive, TimeProvider time,
    ILogger<AuditExpiry> logger)
{
    private const string Partition = "expiry";
    private const string NextDue = "NextDue";

    /// <summary>Runs over all sealed days. Returns how many entries lost their content.</summary>
    public async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var held = await holds.CoveredAsync(cancellationToken);
        var removed = 0;
        await foreach (var seal in seals.ReadAsync(null, null, cancellationToken))
        {
            var progress = await store.GetAsync(AuditRows.TrailTable, Partition, seal.Day, cancellationToken);
            if (seal.Count > 0 && (progress is null || progress.Properties.Require<DateTimeOffset>(NextDue) <= now))
            {
                removed += await ExpireAsync(seal, held, now, cancellationToken);
            }
        }

        return removed;
    }

    private async Task<int> ExpireAsync(AuditSeal seal, HeldEntries held, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (due, next) = await LookAsync(seal, held, now, cancellationToken);
        if (due > 0)
        {
            await trail.AppendAsync(policy.RemovalOf(seal.Day, now, due), cancellationToken);
            foreach (var part in seal.Chains)
            {
                await foreach (var row in AuditChainReader.RowsAsync(store, part.Chain, part.First, part.Last, cancellationToken))
                {
                    await ReplaceAsync(part, row, held, now, cancellationToken);
                }
            }

            if (!archive.IsNone && !await archive.PutAsync(seal, cancellationToken))
            {
                Log.ArchiveStays(logger, seal.Day);
            }

            Log.Expired(logger, seal.Day, due);
        }

        await store.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Upsert(new Entity(Partition, seal.Day)
            {
                Properties = { ["Schema"] = 1, [NextDue] = next },
            })),
            cancellationToken);
        return due;
    }

    /// <summary>How many entries lose their content now, and when the next one might.</summary>
    private async Task<(int Due, DateTimeOffset Next)> LookAsync(AuditSeal seal, HeldEntries held, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var (due, next) = (0, new DateTimeOffset(9999, 1, 1, 0, 0, 0, TimeSpan.Zero));
        foreach (var part in seal.Chains)
        {
            await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, part.First, part.Last, cancellationToken))
            {
                if (entry.Content is null)
                {
                    continue;
                }

                var at = policy.DueAt(entry);
                if (IsDue(entry, held, now))
                {
                    due++;
                }
                else
                {
                    // One that is held is looked at again with the next run.
                    next = at < next ? at : next;
                }
            }
        }

        return (due, next);
    }

    private bool IsDue(AuditEntry entry, HeldEntries held, DateTimeOffset now) =>
        entry.Content is not null && policy.DueAt(entry) <= now && !held.Covers(entry.Read());

    private async Task ReplaceAsync(SealedChain part, Entity row, HeldEntries held, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var lines = new ArrayBufferWriter<byte>();
        var changed = false;
        foreach (var entry in AuditRows.ReadEntries(row))
        {
            var isDue = entry.Sequence >= part.First && entry.Sequence <= part.Last && IsDue(entry, held, now);
            changed |= isDue;
            AuditLines.Write(lines, isDue ? entry with { Content = null } : entry);
        }

        if (changed)
        {
            // The row is sealed: nobody needs what stood beside its lines. ETagMismatch: another instance did the same.
            await store.SubmitAsync(
                EntityTransaction.Of(
                    AuditRows.EntriesTable,
                    EntityOperation.Replace(AuditRows.Entries(part.Chain, AuditRows.FirstOf(row.RowKey), lines.WrittenSpan), row.ETag)),
                cancellationToken);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The content of {Count} entries of {Day} has been removed; their hashes stay")]
        public static partial void Expired(ILogger logger, string day, int count);

        [LoggerMessage(2, LogLevel.Warning, "The archive of {Day} may not be changed: removed content stays there until its immutability policy ends")]
        public static partial void ArchiveStays(ILogger logger, string day);
    }
}
