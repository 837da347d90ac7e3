using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>Recomputes the trail: every entry, every chain, every day's root, and the chain of the roots; names the first fault.</summary>
public sealed class AuditVerifier(IEntityStore store, AuditSeals seals, AuditSearch search, AuditRetentionPolicy policy, IAuditAnchors anchors)
{
    private const int HashSize = 32;

    /// <summary>Verifies the sealed days of a range and, when the range has no end, what is not sealed yet.</summary>
    /// <param name="from">The first day; <see langword="null"/> from the beginning.</param>
    /// <param name="to">The last day; <see langword="null"/> to the very last entry.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<AuditVerification> VerifyAsync(string? from, string? to, CancellationToken cancellationToken)
    {
        var run = new Run { Expiry = await policy.ExpiryAsync(cancellationToken) };
        try
        {
            await VerifySealsAsync(run, from, to, cancellationToken);
            foreach (var seal in run.Seals)
            {
                if (run.Fault is not null)
                {
                    break;
                }

                await VerifyDayAsync(run, seal, cancellationToken);
            }

            if (run.Fault is null && to is null)
            {
                await VerifyOpenAsync(run, cancellationToken);
            }
        }
        catch (InvalidDataException exception) when (run.Fault is null)
        {
            run.Fault = new(AuditFaultKind.SealBroken, run.Day, null, null, exception.Message);
        }

        return new(
            run.Fault is null, run.Seals.FirstOrDefault()?.Day, run.Seals.LastOrDefault()?.Day, run.Seals.Count, run.Entries, run.OpenEntries,
            run.WithoutContent, run.Anchored, run.Seals.LastOrDefault()?.Root, run.Fault);
    }

    /// <summary>The seals are checked from the very first: a root vouches for all before it.</summary>
    private async Task VerifySealsAsync(Run run, string? from, string? to, CancellationToken cancellationToken)
    {
        var check = new SealCheck();
        await foreach (var seal in seals.ReadAsync(null, null, cancellationToken))
        {
            run.Last = seal;
            run.Day = seal.Day;
            var fault = check.Check(seal);
            var inRange = (from is null || string.CompareOrdinal(seal.Day, from) >= 0) && (to is null || string.CompareOrdinal(seal.Day, to) <= 0);
            if (fault is null && inRange && await anchors.FindAsync(seal.Day, cancellationToken) is { } anchored)
            {
                run.Anchored++;
                fault = anchored == seal.Root ? null : new(AuditFaultKind.AnchorMismatch, seal.Day, null, null, "The day's root is not the one that was anchored.");
            }

            if (fault is not null)
            {
                run.Fault = fault;
                return;
            }

            if (inRange)
            {
                run.Seals.Add(seal);
            }
        }
    }

    private async Task VerifyDayAsync(Run run, AuditSeal seal, CancellationToken cancellationToken)
    {
        run.Day = seal.Day;
        var leaves = await LeavesAsync(run, seal, cancellationToken);
        if (run.Fault is not null)
        {
            return;
        }

        var at = 0;
        foreach (var part in seal.Chains)
        {
            var check = new PartCheck(seal.Day, part, leaves.AsMemory(at * HashSize, (int)part.Count * HashSize), run.Expiry!);
            run.Fault = await VerifyPartAsync(check, part, cancellationToken);
            run.Entries += check.Checked;
            run.WithoutContent += check.WithoutContent;
            if (run.Fault is not null)
            {
                return;
            }

            at += (int)part.Count;
        }
    }

    /// <summary>The list of hashes must lead to the sealed Merkle root; then each entry can be compared with the one that was sealed.</summary>
    private async Task<byte[]> LeavesAsync(Run run, AuditSeal seal, CancellationToken cancellationToken)
    {
        var leaves = await seals.LeavesAsync(seal, cancellationToken);
        var tree = new MerkleTree.Builder();
        for (var at = 0; at < leaves.Length; at += HashSize)
        {
            tree.Add(leaves.AsSpan(at, HashSize));
        }

        if (tree.Count != seal.Count || Convert.ToHexStringLower(tree.Root()) != seal.MerkleRoot)
        {
            run.Fault = new(AuditFaultKind.SealBroken, seal.Day, null, null, "The list of the day's hashes does not lead to its Merkle root.");
        }

        return leaves;
    }

    private async Task<AuditFault?> VerifyPartAsync(PartCheck check, SealedChain part, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, part.First, part.Last, cancellationToken))
            {
                if (check.Check(entry) is { } fault)
                {
                    return fault.Kind == AuditFaultKind.Removed && await StandsElsewhereAsync(part, check.Next, cancellationToken)
                        ? fault with { Kind = AuditFaultKind.Reordered, Detail = "The entry stands in another place." }
                        : fault;
                }
            }
        }
        catch (InvalidDataException exception)
        {
            return check.Fault(AuditFaultKind.Changed, check.Next, exception.Message);
        }

        return check.End();
    }

    private async Task<bool> StandsElsewhereAsync(SealedChain part, long sequence, CancellationToken cancellationToken)
    {
        await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, 1, long.MaxValue - 1, cancellationToken))
        {
            if (entry.Sequence == sequence)
            {
                return true;
            }
        }

        return false;
    }

    private async Task VerifyOpenAsync(Run run, CancellationToken cancellationToken)
    {
        run.Day = null;
        foreach (var open in await search.OpenPartsAsync(run.Last, cancellationToken))
        {
            var head = await store.GetAsync(AuditRows.EntriesTable, open.Chain, AuditRows.HeadRow, cancellationToken) is { } row
                ? AuditRows.ReadHead(row)
                : AuditHead.Empty;
            if (head.Sequence < open.First)
            {
                if (head.Sequence != open.First - 1)
                {
                    run.Fault = new(AuditFaultKind.Removed, null, open.Chain, head.Sequence + 1, "The chain ends before its last sealed entry.");
                    return;
                }

                continue;
            }

            var part = open with { Last = head.Sequence, Head = Convert.ToHexStringLower(head.Hash.Span) };
            var check = new PartCheck(null, part, default, run.Expiry!);
            run.Fault = await VerifyPartAsync(check, part, cancellationToken);
            run.OpenEntries += check.Checked;
            run.Fault ??= await BeyondAsync(part, cancellationToken);
            if (run.Fault is not null)
            {
                return;
            }
        }
    }

    /// <summary>Nothing may stand behind the head; what a writer has appended meanwhile is before the head that stands there then.</summary>
    private async Task<AuditFault?> BeyondAsync(SealedChain part, CancellationToken cancellationToken)
    {
        long? beyond = null;
        await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, part.Last + 1, long.MaxValue - 1, cancellationToken))
        {
            beyond = entry.Sequence;
        }

        return beyond is { } last
            && (await store.GetAsync(AuditRows.EntriesTable, part.Chain, AuditRows.HeadRow, cancellationToken) is not { } row
                || AuditRows.ReadHead(row).Sequence < last)
            ? new(AuditFaultKind.Inserted, null, part.Chain, last, "An entry stands behind the end of its chain.")
            : null;
    }

    private sealed class Run
    {
        public IContentExpiry? Expiry { get; init; }

        public List<AuditSeal> Seals { get; } = [];

        public AuditSeal? Last { get; set; }

        public string? Day { get; set; }

        public long Entries { get; set; }

        public long OpenEntries { get; set; }

        public long WithoutContent { get; set; }

        public int Anchored { get; set; }

        public AuditFault? Fault { get; set; }
    }
}
