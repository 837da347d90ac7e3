using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>Recomputes the trail: every entry, every chain, every day's root, and the chain of the roots; names the first fault.</summary>
public sealed class AuditVerifier(
    IEntityStore store, AuditSeals seals, AuditRetentionPolicy policy, IAuditAnchors anchors, AuditArchive archive, TimeProvider time)
{
    private const int HashSize = 32;

    private readonly AuditIndex _index = new(store, seals);

    /// <summary>Verifies the sealed days of a range and, when the range has no end, what is not sealed yet.</summary>
    /// <param name="from">The first day; <see langword="null"/> from the beginning.</param>
    /// <param name="to">The last day; <see langword="null"/> to the very last entry.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public Task<AuditVerification> VerifyAsync(string? from, string? to, CancellationToken cancellationToken) =>
        VerifyAsync(from, to, policy.ExpiryAsync, cancellationToken);

    /// <summary>The same with removals of content that the caller keeps: whoever verifies day by day does not read them anew for each.</summary>
    internal async Task<AuditVerification> VerifyAsync(
        string? from, string? to, Func<CancellationToken, Task<IContentExpiry>> expiry, CancellationToken cancellationToken)
    {
        // A day that is not over is not sealed: whoever asks up to it asks for everything.
        to = to is not null && string.CompareOrdinal(to, AuditDay.Of(time.GetUtcNow())) >= 0 ? null : to;
        var run = new Run();
        await using var notes = new HeadNotes(anchors, from ?? "", cancellationToken);
        try
        {
            await VerifySealsAsync(run, from, to, cancellationToken);
            foreach (var seal in run.Seals)
            {
                if (run.Fault is not null)
                {
                    break;
                }

                await VerifyDayAsync(run, seal, notes, expiry, cancellationToken);
            }

            if (run.Fault is null && to is null)
            {
                await VerifyOpenAsync(run, expiry, cancellationToken);
                await notes.ReadThroughAsync(null);
            }

            run.Fault ??= await VerifyNotesAsync(run, notes, cancellationToken);
        }
        catch (Exception exception) when (run.Fault is null && IsDamage(exception))
        {
            // Whoever damages something must not gain by it that nothing is said.
            run.Fault = new(
                AuditFaultKind.SealBroken, run.Day, null, null,
                exception is InvalidDataException ? exception.Message : $"Something that belongs to the trail is damaged ({exception.GetType().Name}).");
        }

        return new(
            run.Fault is null, run.Seals.FirstOrDefault()?.Day, run.Seals.LastOrDefault()?.Day, run.Seals.Count, run.Entries, run.OpenEntries,
            run.WithoutContent, run.Anchors.Anchored, run.Anchors.Stamped, run.Anchors.StampedLate, run.VouchedThrough, run.ArchivedThrough, run.UnsealedDays, run.Seals.LastOrDefault()?.Root, run.Fault);
    }

    private static bool IsDamage(Exception exception) => exception is InvalidDataException or FormatException or OverflowException or ArgumentException
        or KeyNotFoundException or InvalidCastException or IndexOutOfRangeException;

    /// <summary>The seals are checked from the very first: a root vouches for all before it.</summary>
    private async Task VerifySealsAsync(Run run, string? from, string? to, CancellationToken cancellationToken)
    {
        run.VouchedThrough = await anchors.LastDayAsync(cancellationToken);
        run.Anchors = new(run.VouchedThrough);
        run.ArchivedThrough = await archive.LastDayAsync(cancellationToken);
        await foreach (var (day, read) in seals.ReadAllAsync(cancellationToken))
        {
            if (read is not { } seal)
            {
                run.Fault = new(AuditFaultKind.SealBroken, day, null, null, "The seal is damaged.");
                return;
            }

            run.Last = seal;
            run.Day = seal.Day;
            var inRange = (from is null || string.CompareOrdinal(seal.Day, from) >= 0) && (to is null || string.CompareOrdinal(seal.Day, to) <= 0);
            run.Fault = run.SealCheck.Check(seal);
            if (run.Fault is null && inRange)
            {
                run.Fault = run.Anchors.Check(seal, await anchors.ReadAsync(seal.Day, cancellationToken)) ?? await VerifyArchivedAsync(run, seal, cancellationToken);
            }

            if (run.Fault is not null)
            {
                return;
            }

            if (inRange)
            {
                run.Seals.Add(seal);
            }
        }

        run.Fault = await VerifyEndAsync(run, cancellationToken);
    }

    /// <summary>Compares a seal with the archived one: whoever cuts days off and lets them be sealed anew has to change the archive, too.</summary>
    private async Task<AuditFault?> VerifyArchivedAsync(Run run, AuditSeal seal, CancellationToken cancellationToken) =>
        await archive.FindSealAsync(seal.Day, cancellationToken) is { } archived
            ? (archived.Root == seal.Root ? null : new(AuditFaultKind.SealBroken, seal.Day, null, null, "The day's root is not the one that was archived."))
            : (string.CompareOrdinal(seal.Day, run.ArchivedThrough) < 0
                ? new(AuditFaultKind.ArchiveMissing, seal.Day, null, null, "The day is not in the archive, though a later day is.") : null);

    /// <summary>No seal may be missing at the end, and no chain in the list of chains: what is not sealed is found through it.</summary>
    private async Task<AuditFault?> VerifyEndAsync(Run run, CancellationToken cancellationToken)
    {
        var next = run.Last is { } last ? AuditDay.Next(last.Day) : null;
        if (run.VouchedThrough is { } anchored && string.CompareOrdinal(anchored, run.Last?.Day) > 0)
        {
            return new(AuditFaultKind.AnchorMismatch, next, null, null, $"Days up to {anchored} were anchored, and their seals are not there.");
        }

        if (await GoneAsync(run, cancellationToken) is { } gone)
        {
            return gone;
        }

        var chains = (await seals.ChainsAsync(cancellationToken)).ToDictionary(static chain => chain.Chain, StringComparer.Ordinal);
        run.Chains = [.. chains.Keys.Order(StringComparer.Ordinal)];
        run.BeingSealed = run.Last is { } newest && newest.IsBeingCompleted(chains.Values) ? newest : null;
        if (chains.Values.OrderBy(static chain => chain.Chain, StringComparer.Ordinal)
            .FirstOrDefault(chain => chain.SealedThrough > run.SealCheck.Ends.GetValueOrDefault(chain.Chain).Last) is { } cut)
        {
            return new(AuditFaultKind.SealBroken, next, cut.Chain, null, "The last seal is not there: the chain was sealed further.");
        }

        if (run.ArchivedThrough is { } archived && string.CompareOrdinal(archived, run.Last?.Day) > 0)
        {
            return new(AuditFaultKind.SealBroken, next, null, null, $"Days up to {archived} were archived, and their seals are not there.");
        }

        run.UnsealedDays = AuditDay.Between(
            next ?? (chains.Count == 0 ? null : AuditDay.Of(chains.Values.Min(static chain => chain.Since))), AuditDay.Of(time.GetUtcNow()));
        return run.SealCheck.Ends.Keys.Order(StringComparer.Ordinal).FirstOrDefault(chain => !chains.ContainsKey(chain)) is { } unlisted
            ? Unlisted(unlisted)
            : null;
    }

    private static AuditFault Unlisted(string chain) => new(AuditFaultKind.Removed, null, chain, null, "The chain is not in the list of chains.");

    /// <summary>What was anchored or archived once is there: whoever holds the files alone cannot take them away unnoticed.</summary>
    private async Task<AuditFault?> GoneAsync(Run run, CancellationToken cancellationToken)
    {
        async Task<string?> NotedAsync(string what) =>
            await store.GetAsync(AuditRows.TrailTable, SealAudit.ProgressPartition, what, cancellationToken) is { } row
            && row.Properties.TryGetValue("Day", out var day) && day is string text && AuditDay.IsValid(text) ? text : null;
        AuditFault? Missing(AuditFaultKind kind, string what, string? noted, string? there) => noted is not null && string.CompareOrdinal(noted, there) > 0
            ? new(kind, there is null ? null : AuditDay.Next(there), null, null, $"Days up to {noted} had been written to the {what}, and are not there.")
            : null;
        return (anchors.IsNone ? null : Missing(AuditFaultKind.AnchorMissing, SealAudit.Anchor, await NotedAsync(SealAudit.Anchor), run.VouchedThrough))
            ?? (archive.IsNone ? null : Missing(AuditFaultKind.ArchiveMissing, SealAudit.Archive, await NotedAsync(SealAudit.Archive), run.ArchivedThrough));
    }

    private async Task VerifyDayAsync(
        Run run, AuditSeal seal, HeadNotes notes, Func<CancellationToken, Task<IContentExpiry>> expiry, CancellationToken cancellationToken)
    {
        run.Day = seal.Day;
        if (seal == run.BeingSealed && (await seals.LeavesAsync(seal, cancellationToken)).Length == 0)
        {
            await VerifyNewestAsync(run, seal, expiry, cancellationToken);
            return;
        }

        var leaves = await LeavesAsync(run, seal, cancellationToken);
        if (run.Fault is not null)
        {
            return;
        }

        await notes.ReadThroughAsync(seal.Day);
        var (at, withoutContent, keys) = (0, 0L, new AuditIndex.Keys());
        foreach (var part in seal.Chains)
        {
            var ofPart = leaves.AsMemory(at * HashSize, (int)part.Count * HashSize);
            var check = new PartCheck(seal.Day, part, ofPart, run);
            run.Fault = await VerifyPartAsync(run, check, part, keys.Add, expiry, cancellationToken) ?? notes.Check(seal.Day, part, ofPart.Span);
            run.Entries += check.Checked;
            run.WithoutContent += check.WithoutContent;
            withoutContent += check.WithoutContent;
            if (run.Fault is not null)
            {
                return;
            }

            at += (int)part.Count;
        }

        run.Fault = PartCheck.MoreGone(seal.Day, withoutContent, run.Expiry)
            ?? (seal == run.BeingSealed || await _index.CoversAsync(seal.Day, keys, cancellationToken)
                ? null : new(AuditFaultKind.IndexBroken, seal.Day, null, null, "The index does not lead to all entries of the day: searches and holds miss some."));
    }

    /// <summary>A day whose seal is stored and whose list of hashes is not yet: an instance is at it, or died. The entries lead to the root all the same.</summary>
    private async Task VerifyNewestAsync(Run run, AuditSeal seal, Func<CancellationToken, Task<IContentExpiry>> expiry, CancellationToken cancellationToken)
    {
        var tree = new MerkleTree.Builder();
        foreach (var part in seal.Chains)
        {
            var check = new PartCheck(seal.Day, part, default, run);
            run.Fault = await VerifyPartAsync(run, check, part, entry => tree.Add(entry.Hash.Span), expiry, cancellationToken);
            run.Entries += check.Checked;
            if (run.Fault is not null)
            {
                return;
            }
        }

        run.Fault = Convert.ToHexStringLower(tree.Root()) == seal.MerkleRoot
            ? null : new(AuditFaultKind.SealBroken, seal.Day, null, null, "The entries of the day do not lead to its Merkle root.");
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

    private async Task<AuditFault?> VerifyPartAsync(
        Run run, PartCheck check, SealedChain part, Action<AuditEntry>? taken, Func<CancellationToken, Task<IContentExpiry>> expiry,
        CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, part.First, part.Last, cancellationToken))
            {
                if (entry.Content is null)
                {
                    // Only now: the records of removals lie all over the trail, and what is young has all its content.
                    run.Expiry ??= await expiry(cancellationToken);
                }

                if (check.Check(entry) is { } fault)
                {
                    return fault.Kind == AuditFaultKind.Removed && await StandsElsewhereAsync(part, check.Next, cancellationToken)
                        ? fault with { Kind = AuditFaultKind.Reordered, Detail = "The entry stands in another place." }
                        : fault;
                }

                taken?.Invoke(entry);
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

    private async Task VerifyOpenAsync(Run run, Func<CancellationToken, Task<IContentExpiry>> expiry, CancellationToken cancellationToken)
    {
        run.Day = null;
        foreach (var chain in run.Chains)
        {
            var (sealedThrough, sealedHead) = run.SealCheck.Ends.GetValueOrDefault(chain, (0, AuditSeal.NoPrevious));
            var open = new SealedChain(chain, sealedThrough + 1, long.MaxValue - 1, sealedHead, "");
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
            var check = new PartCheck(null, part, default, run);
            run.Fault = await VerifyPartAsync(run, check, part, taken: null, expiry, cancellationToken);
            run.OpenEntries += check.Checked;
            run.Fault ??= await BeyondAsync(part, cancellationToken);
            if (run.Fault is not null)
            {
                return;
            }
        }
    }

    /// <summary>What the anchored ends of chains remember of entries that no seal holds must be there: of the newest entries nothing else does.</summary>
    private async Task<AuditFault?> VerifyNotesAsync(Run run, HeadNotes notes, CancellationToken cancellationToken)
    {
        foreach (var (note, at) in notes.Behind(chain => run.SealCheck.Ends.GetValueOrDefault(chain).Last))
        {
            var entry = await AuditChainReader.ReadAsync(store, note.Chain, note.Sequence, note.Sequence, cancellationToken).FirstOrDefaultAsync(cancellationToken);
            if (entry is null)
            {
                return new(AuditFaultKind.Removed, null, note.Chain, note.Sequence, $"The entry was the end of its chain at {at:u}, and is not there.");
            }

            if (Convert.ToHexStringLower(entry.Hash.Span) != note.Hash)
            {
                return HeadNotes.Forged(null, note, at);
            }

            if (!run.Chains.Contains(note.Chain, StringComparer.Ordinal))
            {
                return Unlisted(note.Chain);
            }
        }

        return null;
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

    private sealed class Run : IContentExpiry
    {
        public IContentExpiry? Expiry { get; set; }

        public bool MayBeGone(string day, AuditEntry entry) => Expiry?.MayBeGone(day, entry) == true;

        public long? MostGone(string day) => Expiry?.MostGone(day);

        public SealCheck SealCheck { get; } = new();

        public List<AuditSeal> Seals { get; } = [];

        public AuditSeal? Last { get; set; }

        public string? Day { get; set; }

        public long Entries { get; set; }

        public long OpenEntries { get; set; }

        public long WithoutContent { get; set; }

        public AnchorCheck Anchors { get; set; } = new(null);

        /// <summary>The last seal, when it was stored a moment ago and what belongs to it may not be.</summary>
        public AuditSeal? BeingSealed { get; set; }

        /// <summary>The chains in the list of chains, in ordinal order.</summary>
        public IReadOnlyList<string> Chains { get; set; } = [];

        public string? VouchedThrough { get; set; }

        public string? ArchivedThrough { get; set; }

        public int UnsealedDays { get; set; }

        public AuditFault? Fault { get; set; }
    }
}
