using System.Buffers.Text;
using System.Globalization;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>An entry that was found.</summary>
/// <param name="Entry">The entry as it stands in its chain.</param>
/// <param name="Content">What it says; <see langword="null"/> once its retention has passed.</param>
internal sealed record FoundEntry(AuditEntry Entry, AuditContent? Content);

/// <summary>
/// A place in the order of the trail: after which sealed day, and how far each chain was read since. Chains are numbered without gaps, so
/// it stays valid when days are sealed meanwhile.
/// </summary>
internal sealed class AuditCursor
{
    private const int MaximumText = 16 * 1024;

    /// <summary>Everything up to this day was read; empty from the beginning.</summary>
    public string AfterDay { get; set; } = "";

    /// <summary>The last entry that was read of each chain since.</summary>
    public Dictionary<string, long> Read { get; } = new(StringComparer.Ordinal);

    /// <summary>The text form, for the next request.</summary>
    public override string ToString() => Base64Url.EncodeToString(Encoding.ASCII.GetBytes(
        string.Join(';', (IEnumerable<string>)[AfterDay, .. Read.Select(static part => string.Create(CultureInfo.InvariantCulture, $"{part.Key}={part.Value}"))])));

    /// <summary>Reads what <see cref="ToString"/> wrote; <see langword="null"/> for anything else.</summary>
    public static AuditCursor? Parse(string text)
    {
        if (text.Length is 0 or > MaximumText || !Base64Url.IsValid(text))
        {
            return null;
        }

        var parts = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(text)).Split(';');
        var cursor = new AuditCursor { AfterDay = parts[0] };
        if (parts[0].Length > 0 && !AuditDay.IsValid(parts[0]))
        {
            return null;
        }

        foreach (var part in parts.Skip(1))
        {
            var at = part.IndexOf('=', StringComparison.Ordinal);
            if (at < 1 || !AuditTrailOptions.IsValid(part[..at])
                || !long.TryParse(part.AsSpan(at + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var sequence) || sequence == long.MaxValue)
            {
                return null;
            }

            cursor.Read[part[..at]] = sequence;
        }

        return cursor;
    }
}

/// <summary>How many entries a search may still read, found or not.</summary>
internal sealed class AuditReadBudget(int entries)
{
    private int _left = entries;

    /// <summary>Nothing may be read any more: the search broke off, and its cursor says where.</summary>
    public bool IsSpent => _left <= 0;

    public void Take() => _left--;
}

/// <summary>Finds entries: day by day, the chains of a day merged by time.</summary>
public sealed class AuditSearch(IEntityStore store, AuditSeals seals)
{
    private readonly AuditIndex _index = new(store, seals);

    /// <summary>
    /// A page of what is asked for: at most so many entries, and fewer when reading took its share before. The cursor then stands where the
    /// next page goes on.
    /// </summary>
    /// <param name="filter">What is asked for.</param>
    /// <param name="cursor">From where; moves on.</param>
    /// <param name="limit">How many entries at most.</param>
    /// <param name="mostRead">How many entries may be read for them.</param>
    /// <param name="cancellationToken">Gives up.</param>
    internal async Task<(IReadOnlyList<FoundEntry> Found, bool IsMore)> PageAsync(
        AuditFilter filter, AuditCursor cursor, int limit, int mostRead, CancellationToken cancellationToken)
    {
        List<FoundEntry> page = [];
        var budget = new AuditReadBudget(mostRead);
        await foreach (var found in ReadAsync(filter, cursor, cancellationToken, budget))
        {
            page.Add(found);
            if (page.Count == limit)
            {
                return (page, true);
            }
        }

        return (page, budget.IsSpent);
    }

    /// <summary>The last entry of every chain at this moment: whoever reads up to there comes to an end, however much is appended meanwhile.</summary>
    internal async Task<IReadOnlyDictionary<string, long>> EndsAsync(CancellationToken cancellationToken) =>
        (await seals.HeadsAsync(cancellationToken)).ToDictionary(static head => head.Chain, static head => head.Sequence, StringComparer.Ordinal);

    /// <summary>The entries that are asked for, in order. The cursor moves on with every entry that was read, found or not.</summary>
    /// <param name="filter">What is asked for.</param>
    /// <param name="cursor">From where; moves on.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <param name="budget">How many entries may be read; <see langword="null"/> for any number.</param>
    /// <param name="ends">Up to which entry of each chain (<see cref="EndsAsync"/>); <see langword="null"/> for what there is when it is reached.</param>
    internal async IAsyncEnumerable<FoundEntry> ReadAsync(
        AuditFilter filter, AuditCursor cursor, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken,
        AuditReadBudget? budget = null, IReadOnlyDictionary<string, long>? ends = null)
    {
        // In this order: a day that is sealed from now on is read as what is not sealed yet, and none falls between the two.
        var chains = await seals.ChainsAsync(cancellationToken);
        var from = cursor.AfterDay.Length == 0 ? null : AuditDay.Next(cursor.AfterDay);
        List<AuditSeal> segments = [];
        await foreach (var seal in seals.ReadAsync(from, null, cancellationToken))
        {
            segments.Add(seal);
        }

        var days = await DaysAsync(filter, cancellationToken);
        foreach (var seal in segments)
        {
            if (seal.Count > 0 && !(filter.To <= seal.From) && !(filter.From > seal.To) && (days?.Contains(seal.Day) != false || !IsNoted(seal, chains)))
            {
                await foreach (var found in MergeAsync(UpTo(seal.Chains, ends), filter, cursor, budget, cancellationToken))
                {
                    yield return found;
                }

                if (budget?.IsSpent == true)
                {
                    yield break;
                }
            }

            cursor.AfterDay = seal.Day;
            foreach (var chain in seal.Chains)
            {
                // Read or passed over: the seal says up to where.
                cursor.Read.Remove(chain.Chain);
            }
        }

        await foreach (var found in MergeAsync(UpTo(OpenParts(chains, segments), ends), filter, cursor, budget, cancellationToken))
        {
            yield return found;
        }
    }

    /// <summary>Chains are noted as sealed after the day's index was written: without the note the index may not be there yet.</summary>
    private static bool IsNoted(AuditSeal seal, IReadOnlyList<ChainState> chains) =>
        seal.Chains.All(part => chains.Any(chain => chain.Chain == part.Chain && chain.SealedThrough >= part.Last));

    /// <summary>The part of each chain that is in none of the seals that are known, nor in an earlier one.</summary>
    private static IReadOnlyList<SealedChain> OpenParts(IReadOnlyList<ChainState> chains, IReadOnlyList<AuditSeal> seals)
    {
        var through = chains.ToDictionary(static chain => chain.Chain, static chain => chain.SealedThrough, StringComparer.Ordinal);

        // A seal may be younger than the note of how far a chain is sealed.
        foreach (var part in seals.SelectMany(static seal => seal.Chains))
        {
            through[part.Chain] = Math.Max(through.GetValueOrDefault(part.Chain), part.Last);
        }

        return [.. through.Select(static chain => new SealedChain(chain.Key, chain.Value + 1, long.MaxValue - 1, "", ""))];
    }

    private static IReadOnlyList<SealedChain> UpTo(IReadOnlyList<SealedChain> parts, IReadOnlyDictionary<string, long>? ends) =>
        ends is null ? parts : [.. parts.Select(part => part with { Last = Math.Min(part.Last, ends.GetValueOrDefault(part.Chain)) })];

    private async Task<HashSet<string>?> DaysAsync(AuditFilter filter, CancellationToken cancellationToken)
    {
        HashSet<string>? days = null;
        foreach (var (type, value) in filter.IndexedParts)
        {
            var found = await _index.DaysOfAsync(type, value, cancellationToken);
            if (days is null)
            {
                days = found;
            }
            else
            {
                days.IntersectWith(found);
            }
        }

        return days;
    }

    private async IAsyncEnumerable<FoundEntry> MergeAsync(
        IReadOnlyList<SealedChain> parts, AuditFilter filter, AuditCursor cursor, AuditReadBudget? budget,
        [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var readers = new List<IAsyncEnumerator<AuditEntry>>();
        var queue = new PriorityQueue<IAsyncEnumerator<AuditEntry>, (DateTimeOffset, int)>();
        try
        {
            foreach (var part in parts)
            {
                var first = Math.Max(part.First, cursor.Read.GetValueOrDefault(part.Chain) + 1);
                if (first > part.Last)
                {
                    continue;
                }

                var reader = AuditChainReader.ReadIntactAsync(store, part.Chain, first, part.Last, cancellationToken).GetAsyncEnumerator(cancellationToken);
                readers.Add(reader);
                if (await reader.MoveNextAsync())
                {
                    queue.Enqueue(reader, (reader.Current.RecordedAt, readers.Count));
                }
            }

            while (budget?.IsSpent != true && queue.TryDequeue(out var reader, out var place))
            {
                var entry = reader.Current;
                budget?.Take();
                cursor.Read[entry.Chain] = entry.Sequence;
                if (Match(filter, entry) is { } found)
                {
                    yield return found;
                }

                if (await reader.MoveNextAsync())
                {
                    queue.Enqueue(reader, (reader.Current.RecordedAt, place.Item2));
                }
            }
        }
        finally
        {
            foreach (var reader in readers)
            {
                await reader.DisposeAsync();
            }
        }
    }

    private static FoundEntry? Match(AuditFilter filter, AuditEntry entry)
    {
        if (!filter.MatchesHead(entry))
        {
            return null;
        }

        AuditContent? content;
        try
        {
            content = entry.Read();
        }
        catch (System.Text.Json.JsonException)
        {
            // Somebody has meddled with it: it is shown, and the verification says what is wrong with it.
            content = null;
        }

        return filter.NeedsContent && !filter.MatchesContent(content) ? null : new(entry, content);
    }
}
