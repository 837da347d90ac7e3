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
    /// <summary>An entry from so far in the future has a wrong clock, and must not keep its chain open until then.</summary>
    private static readonly TimeSpan WrongClock = TimeSpan.FromHours(1);

    /// <summary>Seals every day that is over. Returns the new seals.</summary>
    public async Task<IReadOnlyList<AuditSeal>> SealAsync(CancellationToken cancellationToken)
    {
        List<AuditSeal> made = [];
        AuditSeal? last = null;
        var ends = new Dictionary<string, SealedChain>(StringComparer.Ordinal);
        await foreach (var seal in seals.ReadAsync(null, null, cancellationToken))
        {
            last = Follow(ends, seal);
        }

        if (last is not null)
        {
            await RepairAsync(last, cancellationToken);
        }

        var now = time.GetUtcNow();
        while (await NextDayAsync(last, cancellationToken) is { } day && AuditDay.EndOf(day) <= now)
        {
            // How far a chain is sealed is what the seals say: the note beside the chain may be older, or meddled with.
            List<ChainState> chains =
            [
                .. (await seals.ChainsAsync(cancellationToken)).Select(chain => chain with
                {
                    SealedThrough = ends.GetValueOrDefault(chain.Chain)?.Last ?? 0, SealedHead = ends.GetValueOrDefault(chain.Chain)?.Head ?? AuditSeal.NoPrevious,
                }),
            ];
            var (seal, leaves, keys) = await MakeAsync(day, last, chains, now, cancellationToken);
            if (!await seals.AddAsync(seal, cancellationToken))
            {
                // Another instance was quicker, maybe with an entry more or less; theirs counts.
                last = Follow(ends, await seals.FindAsync(day, cancellationToken) ?? throw new InvalidDataException($"The seal of {day} has gone."));
                await RepairAsync(last, cancellationToken);
                continue;
            }

            await CompleteAsync(seal, leaves, keys, chains, cancellationToken);
            Log.Sealed(logger, day, seal.Count, seal.Root);
            made.Add(seal);
            last = Follow(ends, seal);
        }

        return made;
    }

    private static AuditSeal Follow(Dictionary<string, SealedChain> ends, AuditSeal seal)
    {
        foreach (var part in seal.Chains)
        {
            ends[part.Chain] = part;
        }

        return seal;
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
            var (head, sequence) = (chain.SealedHead, chain.SealedThrough);
            await foreach (var entries in ReadAsync(chain.Chain, chain.SealedThrough + 1, long.MaxValue - 1, cancellationToken))
            {
                if ((entries.At >= end && entries.At <= now + WrongClock) || entries.First != sequence + 1)
                {
                    // Of the next day; or somebody has removed what was between: the verification names it, and nothing behind it is sealed.
                    break;
                }

                for (var at = 0; at < entries.Hashes.Length; at += AuditHash.Size)
                {
                    tree.Add(entries.Hashes.Span.Slice(at, AuditHash.Size));
                }

                leaves.Write(entries.Hashes.Span);
                entries.AddTo(keys);
                (head, sequence) = (Convert.ToHexStringLower(entries.Hashes.Span[^AuditHash.Size..]), entries.Last);
                from = from is null || entries.At < from ? entries.At : from;
                to = to is null || entries.At > to ? entries.At : to;
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

    /// <summary>Entries of a chain as sealing needs them: those of a row together where their hashes stand beside it, else one by one.</summary>
    private async IAsyncEnumerable<Sealable> ReadAsync(
        string chain, long first, long last, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var row in AuditChainReader.RowsAsync(store, chain, first, last, cancellationToken))
        {
            var begins = AuditRows.FirstOf(row.RowKey);
            if (AuditRows.ReadDigest(row) is { } digest && begins >= first && begins + (digest.Hashes.Length / AuditHash.Size) - 1 <= last)
            {
                yield return new(begins, digest.At, digest.Hashes, digest.Keys, null);
                continue;
            }

            foreach (var entry in AuditRows.ReadEntries(row).Where(entry => entry.Sequence >= first && entry.Sequence <= last))
            {
                yield return new(entry.Sequence, entry.RecordedAt, entry.Hash, default, entry);
            }
        }
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
            await foreach (var entries in ReadAsync(part.Chain, part.First, part.Last, cancellationToken))
            {
                leaves.Write(entries.Hashes.Span);
                entries.AddTo(keys);
            }
        }

        if (leaves.Length != seal.Count * AuditHash.Size)
        {
            throw new InvalidDataException($"The entries of {seal.Day} are not those that were sealed; verify the trail.");
        }

        await CompleteAsync(seal, leaves.ToArray(), keys, chains, cancellationToken);
    }

    /// <summary>Entries that follow one another and were recorded at one time.</summary>
    private readonly record struct Sealable(long First, DateTimeOffset At, ReadOnlyMemory<byte> Hashes, ReadOnlyMemory<byte> Keys, AuditEntry? Entry)
    {
        public long Last => First + (Hashes.Length / AuditHash.Size) - 1;

        public void AddTo(AuditIndex.Keys keys)
        {
            if (Entry is null)
            {
                keys.Add(Keys.Span);
            }
            else
            {
                keys.Add(Entry);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Sealed {Day} with {Count} entries; its root is {Root}")]
        public static partial void Sealed(ILogger logger, string day, long count, string root);
    }
}
