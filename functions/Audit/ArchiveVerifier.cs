using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>Verifies archived days from their files alone, and restores them into a store.</summary>
/// <param name="archive">The archive.</param>
/// <param name="anchors">The anchors, where they are at hand: without them nothing tells whether days are missing at the end.</param>
public sealed class ArchiveVerifier(AuditArchive archive, IAuditAnchors? anchors = null)
{
    /// <summary>Verifies every archived day, from the first to the last.</summary>
    public async Task<AuditVerification> VerifyAsync(CancellationToken cancellationToken)
    {
        var removals = await RemovalsAsync(cancellationToken);
        var seals = new SealCheck();
        var (days, entries, withoutContent) = (0, 0L, 0L);
        (string? first, AuditSeal? last, AuditFault? fault) = (null, null, null);
        var vouchedThrough = anchors is null ? null : await anchors.LastDayAsync(cancellationToken);
        var checkedAnchors = new AnchorCheck(vouchedThrough);
        await foreach (var day in archive.DaysAsync(cancellationToken))
        {
            try
            {
                last = await archive.SealAsync(day, cancellationToken);
                first ??= day;
                fault = last.Day == day ? seals.Check(last) : new(AuditFaultKind.SealBroken, day, null, null, "The file holds the seal of another day.");
                if (fault is null && vouchedThrough is not null)
                {
                    fault = checkedAnchors.Check(last, await anchors!.ReadAsync(day, cancellationToken));
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

        return new(
            fault is null, first, last?.Day, days, entries, 0, withoutContent, checkedAnchors.Anchored, checkedAnchors.Stamped, checkedAnchors.StampedLate,
            vouchedThrough, last?.Day, 0, last?.Root, fault);
    }

    /// <summary>
    /// Restores what the store does not have: entries, chains, seals and hashes. An older copy of the database is completed; entries that it
    /// holds behind the archive stay. Verify the archive first: here it is only compared with the store. Returns how many days were restored.
    /// </summary>
    /// <exception cref="InvalidDataException">The store holds something else than the archive; nothing was written.</exception>
    public async Task<int> RestoreAsync(IEntityStore store, CancellationToken cancellationToken)
    {
        await CompareAsync(store, cancellationToken);
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
            var rows = new ChainRestore(store, seal);
            await rows.BeginAsync(cancellationToken);
            await foreach (var entry in archive.EntriesAsync(day, cancellationToken))
            {
                leaves.Write(entry.Hash.Span);
                keys.Add(entry);
                await rows.PutAsync(entry, cancellationToken);
            }

            await rows.EndAsync(cancellationToken);
            await seals.PutLeavesAsync(day, leaves.ToArray(), cancellationToken);
            await new AuditIndex(store, seals).PutAsync(day, keys, cancellationToken);
            await seals.AdvanceAsync(seal, await seals.ChainsAsync(cancellationToken), cancellationToken);

            // Last: a restore that was broken off begins this day anew.
            await seals.AddAsync(seal, cancellationToken);
            restored++;
        }

        return restored;
    }

    /// <summary>Refuses a store that went its own way since: to write over it would destroy what nobody else has.</summary>
    private async Task CompareAsync(IEntityStore store, CancellationToken cancellationToken)
    {
        var seals = new AuditSeals(store);
        await foreach (var day in archive.DaysAsync(cancellationToken))
        {
            var seal = await archive.SealAsync(day, cancellationToken);
            if (await seals.FindAsync(day, cancellationToken) is { } known)
            {
                if (known.Root != seal.Root)
                {
                    throw new InvalidDataException($"The store has sealed {day} otherwise than the archive.");
                }

                continue;
            }

            var there = new Dictionary<(string Chain, long Sequence), ReadOnlyMemory<byte>>();
            foreach (var part in seal.Chains)
            {
                await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, part.First, part.Last, cancellationToken))
                {
                    there[(entry.Chain, entry.Sequence)] = entry.Hash;
                }
            }

            if (there.Count == 0)
            {
                continue;
            }

            await foreach (var entry in archive.EntriesAsync(day, cancellationToken))
            {
                if (there.TryGetValue((entry.Chain, entry.Sequence), out var hash) && !hash.Span.SequenceEqual(entry.Hash.Span))
                {
                    throw new InvalidDataException(
                        $"The store holds another entry {entry.Chain}/{entry.Sequence} than the archive of {day}: it went on by itself after it was copied.");
                }
            }
        }
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

        if (PartCheck.MoreGone(seal.Day, withoutContent, removals) is { } moreGone)
        {
            return (moreGone, entries, withoutContent);
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
                    removals.Add(entry, entry.Kind == AuditAudit.ContentExpired.Name ? ContentOf(entry) : null);
                }
            }
            catch (InvalidDataException)
            {
                break; // The verification that follows names it.
            }
        }

        return removals;
    }

    private static AuditContent? ContentOf(AuditEntry entry)
    {
        try
        {
            return entry.Read();
        }
        catch (JsonException exception)
        {
            throw new InvalidDataException("The content of an archived entry is damaged.", exception);
        }
    }
}
