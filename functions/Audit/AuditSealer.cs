using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// Closes days. A day's seal holds, of each chain, everything that is in no earlier seal up to the first entry that was recorded after the
/// day's end; so no clock can move an entry into a day that is closed, and none is left out.
/// </summary>
/// <remarks>
/// The row of the seal decides between two that seal at once. What follows from it (how far the chains are sealed, the list of hashes, the
/// index) can be made again from the entries, and is, when a process died in between.
/// </remarks>
public sealed partial class AuditSealer(IEntityStore store, AuditSeals seals, TimeProvider time, ILogger<AuditSealer> logger)
{
    private const int HashSize = 32;

    /// <summary>An entry from so far in the future has a wrong clock, and must not keep its chain open until then.</summary>
    private static readonly TimeSpan WrongClock = TimeSpan.FromHours(1);

    /// <summary>Seals every day that is over. Returns the new seals.</summary>
    public async Task<IReadOnlyList<AuditSeal>> SealAsync(CancellationToken cancellationToken)
    {
        List<AuditSeal> made = [];
        var last = await seals.LastAsync(cancellationToken);
        if (last is not null)
        {
            await RepairAsync(last, cancellationToken);
        }

        var now = time.GetUtcNow();
        while (await NextDayAsync(last, cancellationToken) is { } day && AuditDay.EndOf(day) <= now)
        {
            var chains = await seals.ChainsAsync(cancellationToken);
            var (seal, leaves, keys) = await MakeAsync(day, last, chains, now, cancellationToken);
            if (!await seals.AddAsync(seal, cancellationToken))
            {
                // Another instance was quicker, maybe with an entry more or less; theirs counts.
                last = await seals.FindAsync(day, cancellationToken) ?? throw new InvalidDataException($"The seal of {day} has gone.");
                await RepairAsync(last, cancellationToken);
                continue;
            }

            await CompleteAsync(seal, leaves, keys, chains, cancellationToken);
            Log.Sealed(logger, day, seal.Count, seal.Root);
            made.Add(seal);
            last = seal;
        }

        return made;
    }

    /// <summary>The first day that has no seal: the one after the last, or the day of the oldest chain.</summary>
    private async Task<string?> NextDayAsync(AuditSeal? last, CancellationToken cancellationToken)
    {
        if (last is not null)
        {
            return AuditDay.Next(last.Day);
        }

        var chains = await seals.ChainsAsync(cancellationToken);
        return chains.Count == 0 ? null : AuditDay.Of(chains.Min(static chain => chain.Since));
    }

    private async Task<(AuditSeal Seal, byte[] Leaves, AuditIndex.Keys Keys)> MakeAsync(
        string day, AuditSeal? last, IReadOnlyList<ChainState> chains, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var end = AuditDay.EndOf(day);
        var tree = new MerkleTree.Builder();
        var keys = new AuditIndex.Keys();
        using var leaves = new MemoryStream();
        List<SealedChain> parts = [];
        (DateTimeOffset? from, DateTimeOffset? to) = (null, null);
        foreach (var chain in chains.OrderBy(static chain => chain.Chain, StringComparer.Ordinal))
        {
            var head = chain.SealedHead;
            var sequence = chain.SealedThrough;
            await foreach (var entry in AuditChainReader.ReadAsync(store, chain.Chain, chain.SealedThrough + 1, long.MaxValue - 1, cancellationToken))
            {
                if (entry.RecordedAt >= end && entry.RecordedAt <= now + WrongClock)
                {
                    break;
                }

                tree.Add(entry.Hash.Span);
                leaves.Write(entry.Hash.Span);
                keys.Add(entry);
                (head, sequence) = (Convert.ToHexStringLower(entry.Hash.Span), entry.Sequence);
                from = from is null || entry.RecordedAt < from ? entry.RecordedAt : from;
                to = to is null || entry.RecordedAt > to ? entry.RecordedAt : to;
            }

            if (sequence > chain.SealedThrough)
            {
                parts.Add(new(chain.Chain, chain.SealedThrough + 1, sequence, chain.SealedHead, head));
            }
        }

        var (root, previous) = (Convert.ToHexStringLower(tree.Root()), last?.Root ?? AuditSeal.NoPrevious);
        var seal = new AuditSeal
        {
            Day = day, Count = tree.Count, MerkleRoot = root, Previous = previous, Chains = parts,
            Root = AuditSeal.RootOf(day, tree.Count, root, previous, parts), SealedAt = now, From = from, To = to,
        };
        return (seal, leaves.ToArray(), keys);
    }

    private async Task CompleteAsync(
        AuditSeal seal, byte[] leaves, AuditIndex.Keys keys, IReadOnlyList<ChainState> chains, CancellationToken cancellationToken)
    {
        await seals.PutLeavesAsync(seal.Day, leaves, cancellationToken);
        await new AuditIndex(store, seals).PutAsync(seal.Day, keys, cancellationToken);
        await seals.AdvanceAsync(seal, chains, cancellationToken);
    }

    /// <summary>Makes what belongs to the last seal if its process died before it was made.</summary>
    private async Task RepairAsync(AuditSeal seal, CancellationToken cancellationToken)
    {
        var chains = await seals.ChainsAsync(cancellationToken);
        if (seal.Chains.All(part => chains.Any(chain => chain.Chain == part.Chain && chain.SealedThrough >= part.Last)))
        {
            return;
        }

        using var leaves = new MemoryStream();
        var keys = new AuditIndex.Keys();
        foreach (var part in seal.Chains)
        {
            await foreach (var entry in AuditChainReader.ReadAsync(store, part.Chain, part.First, part.Last, cancellationToken))
            {
                leaves.Write(entry.Hash.Span);
                keys.Add(entry);
            }
        }

        if (leaves.Length != seal.Count * HashSize)
        {
            throw new InvalidDataException($"The entries of {seal.Day} are not those that were sealed; verify the trail.");
        }

        await CompleteAsync(seal, leaves.ToArray(), keys, chains, cancellationToken);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Sealed {Day} with {Count} entries; its root is {Root}")]
        public static partial void Sealed(ILogger logger, string day, long count, string root);
    }
}
