using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>Verifies archived days from their files alone, and restores them into a store.</summary>
/// <param name="archive">The archive.</param>
/// <param name="anchors">The anchors, where they are at hand: without them nothing tells whether days are missing at the end.</param>
public sealed class ArchiveVerifier(AuditArchive archive, IAuditAnchors? anchors = null)
{
    private const int EntriesPerRow = 256;

    /// <summary>Verifies every archived day, from the first to the last.</summary>
    public async Task<AuditVerification> VerifyAsync(CancellationToken cancellationToken)
    {
        var removals = await RemovalsAsync(cancellationToken);
        var seals = new SealCheck();
        var (days, entries, withoutContent) = (0, 0L, 0L);
        (string? first, AuditSeal? last, AuditFault? fault, var anchored) = (null, null, null, 0);
        var vouchedThrough = anchors is null ? null : await anchors.LastDayAsync(cancellationToken);
        await foreach (var day in archive.DaysAsync(cancellationToken))
        {
            try
            {
                last = await archive.SealAsync(day, cancellationToken);
                first ??= day;
                fault = last.Day == day ? seals.Check(last) : new(AuditFaultKind.SealBroken, day, null, null, "The file holds the seal of another day.");
                if (fault is null && vouchedThrough is not null)
                {
                    (fault, var isAnchored) = await VerifyAnchorAsync(last, vouchedThrough, cancellationToken);
                    anchored += isAnchored ? 1 : 0;
                }

                if (fault is null)
                {
                    (fault, var seen, var stubs) = await VerifyDayAsync(last, removals, cancellationToken);
                    (entries, withoutContent) = (entries + seen, withoutContent + stubs);
                }
            }
            catch (InvalidDataException exception)
            {
                fault = new(AuditFaultKind.SealBroken, day, null, null, exception.Message);
            }

            days++;
            if (fault is not null)
            {
                break;
            }
        }

        if (fault is null && vouchedThrough is not null && string.CompareOrdinal(vouchedThrough, last?.Day) > 0)
        {
            fault = new(
                AuditFaultKind.AnchorMismatch, last is null ? null : AuditDay.Next(last.Day), null, null,
                $"Days up to {vouchedThrough} were anchored, and are not in the archive.");
        }

        return new(fault is null, first, last?.Day, days, entries, 0, withoutContent, anchored, vouchedThrough, last?.Day, 0, last?.Root, fault);
    }

    private async Task<(AuditFault? Fault, bool IsAnchored)> VerifyAnchorAsync(AuditSeal seal, string vouchedThrough, CancellationToken cancellationToken) =>
        await anchors!.FindAsync(seal.Day, cancellationToken) is { } root
            ? (root == seal.Root ? null : new(AuditFaultKind.AnchorMismatch, seal.Day, null, null, "The day's root is not the one that was anchored."), true)
            : (string.CompareOrdinal(seal.Day, vouchedThrough) < 0
                ? new(AuditFaultKind.AnchorMissing, seal.Day, null, null, "The day's anchor is not there, though a later day has one.") : null, false);

    /// <summary>
    /// Restores what the store does not have: entries, chains, seals and hashes. Verify first: nothing is checked here. Returns how many
    /// days were restored.
    /// </summary>
    public async Task<int> RestoreAsync(IEntityStore store, CancellationToken cancellationToken)
    {
        var seals = new AuditSeals(store);
        var restored = 0;
        await foreach (var day in archive.DaysAsync(cancellationToken))
        {
            var seal = await archive.SealAsync(day, cancellationToken);
            if (await seals.FindAsync(day, cancellationToken) is not null)
            {
                continue;
            }

            var leaves = new MemoryStream();
            var keys = new AuditIndex.Keys();
            var row = new List<AuditEntry>();
            await foreach (var entry in archive.EntriesAsync(day, cancellationToken))
            {
                leaves.Write(entry.Hash.Span);
                keys.Add(entry);
                if (row.Count == EntriesPerRow || (row.Count > 0 && row[0].Chain != entry.Chain))
                {
                    await PutAsync(store, row, cancellationToken);
                }

                row.Add(entry);
            }

            await PutAsync(store, row, cancellationToken);
            await seals.PutLeavesAsync(day, leaves.ToArray(), cancellationToken);
            await new AuditIndex(store, seals).PutAsync(day, keys, cancellationToken);
            await seals.AdvanceAsync(seal, await seals.ChainsAsync(cancellationToken), cancellationToken);

            // Last: a restore that was broken off begins this day anew.
            await seals.AddAsync(seal, cancellationToken);
            restored++;
        }

        return restored;
    }

    private static async Task PutAsync(IEntityStore store, List<AuditEntry> row, CancellationToken cancellationToken)
    {
        if (row.Count == 0)
        {
            return;
        }

        var lines = new System.Buffers.ArrayBufferWriter<byte>();
        row.ForEach(entry => AuditLines.Write(lines, entry));
        var (chain, last) = (row[0].Chain, row[^1]);
        List<EntityOperation> operations = [EntityOperation.Upsert(AuditRows.Entries(chain, row[0].Sequence, lines.WrittenSpan))];
        var head = await store.GetAsync(AuditRows.EntriesTable, chain, AuditRows.HeadRow, cancellationToken);
        if (head is null || AuditRows.ReadHead(head).Sequence < last.Sequence)
        {
            operations.Add(EntityOperation.Upsert(AuditRows.Head(chain, new(last.Sequence, last.Hash, last.RecordedAt, null))));
        }

        await store.SubmitAsync(EntityTransaction.Of(AuditRows.EntriesTable, operations), cancellationToken);
        row.Clear();
    }

    private async Task<(AuditFault? Fault, long Entries, long WithoutContent)> VerifyDayAsync(
        AuditSeal seal, IContentExpiry removals, CancellationToken cancellationToken)
    {
        var tree = new MerkleTree.Builder();
        var (entries, withoutContent) = (0L, 0L);
        var parts = new Queue<SealedChain>(seal.Chains);
        PartCheck? check = null;
        SealedChain? part = null;
        await foreach (var entry in archive.EntriesAsync(seal.Day, cancellationToken))
        {
            if (part is null || (check!.Next > part.Last && entry.Chain != part.Chain))
            {
                if (!parts.TryDequeue(out part))
                {
                    return (new(AuditFaultKind.Inserted, seal.Day, entry.Chain, entry.Sequence, "The seal knows of no such entry."), entries, withoutContent);
                }

                check = new PartCheck(seal.Day, part, default, removals);
            }

            if ((check!.Next > part.Last ? check.Fault(AuditFaultKind.Inserted, entry.Sequence, "The seal knows of no such entry.") : check.Check(entry)) is { } fault)
            {
                return (fault, entries, withoutContent);
            }

            tree.Add(entry.Hash.Span);
            entries++;
            withoutContent += entry.Content is null ? 1 : 0;
            if (check.Next > part.Last && check.End() is { } wrongEnd)
            {
                return (wrongEnd, entries, withoutContent);
            }
        }

        if (check?.End() is { } missing)
        {
            return (missing, entries, withoutContent);
        }

        return parts.TryDequeue(out var absent)
            ? (new(AuditFaultKind.Removed, seal.Day, absent.Chain, absent.First, "The entry is not there."), entries, withoutContent)
            : (Convert.ToHexStringLower(tree.Root()) == seal.MerkleRoot ? null : new(AuditFaultKind.SealBroken, seal.Day, null, null, "The entries do not lead to the Merkle root."), entries, withoutContent);
    }

    /// <summary>The removals of content that the archived entries record.</summary>
    private async Task<IContentExpiry> RemovalsAsync(CancellationToken cancellationToken)
    {
        var removals = new RecordedRemovals();
        await foreach (var day in archive.DaysAsync(cancellationToken))
        {
            try
            {
                await foreach (var entry in archive.EntriesAsync(day, cancellationToken))
                {
                    removals.Add(entry.Kind, entry.Kind == AuditAudit.ContentExpired.Name ? entry.Read() : null);
                }
            }
            catch (InvalidDataException)
            {
                break; // The verification that follows names it.
            }
        }

        return removals;
    }
}
