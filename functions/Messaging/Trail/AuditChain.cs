using System.Buffers;
using System.Globalization;
using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>
/// One chain as one writer sees it. The row of the head is the condition of every write: two writers of one name, or a sweep that
/// finishes what a dead process began, append to the same chain without a gap, a fork or a double.
/// </summary>
/// <remarks>Not for concurrent use.</remarks>
internal sealed class AuditChain(IEntityStore store, string name, TimeProvider time)
{
    /// <summary>Entries that one row may hold.</summary>
    public const int EntriesPerRow = 512;

    /// <summary>Entries that one write appends.</summary>
    public const int EntriesPerWrite = 512;

    /// <summary>Bytes after which a row takes no further entry: its lines are one property, and nothing of it is a large object.</summary>
    private const int BytesPerRow = 56 * 1024;

    private const int BytesPerWrite = 512 * 1024;

    /// <summary>Writers of one name may have clocks that differ by a little.</summary>
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromMinutes(1);

    private readonly ArrayBufferWriter<byte> _lines = new(64 * 1024);
    private readonly List<EntityOperation> _rows = [];
    private readonly List<byte> _hashes = [];
    private readonly HashSet<ulong> _keys = [];
    private AuditHead? _head;
    private bool _isListed;
    private long _lastOfOthers;
    private (long Left, long Found)? _shortened;

    /// <summary>The number of the last entry that this writer has seen; -1 before the chain was opened.</summary>
    public long Known { get; private set; } = -1;

    /// <summary>Reads the end of the chain; a chain that is new is entered in the list of chains.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        if (_head is not null)
        {
            return;
        }

        if (!_isListed)
        {
            // In the list before it has an entry, so that no sealing misses it; and again if somebody has taken it from there. AlreadyExists: it is.
            await store.SubmitAsync(
                EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Insert(AuditRows.Chain(name, time.GetUtcNow()))), cancellationToken);
            _isListed = true;
        }

        _head = await store.GetAsync(AuditRows.EntriesTable, name, AuditRows.HeadRow, cancellationToken) is { } row ? AuditRows.ReadHead(row) : AuditHead.Empty;

        if (_head.Sequence < Known)
        {
            // Nobody takes entries away: neither another writer nor a retention.
            _shortened = (Known, _head.Sequence);
        }

        if (_head.Sequence != Known)
        {
            (Known, _lastOfOthers) = (_head.Sequence, _head.Sequence);
        }
    }

    /// <summary>
    /// Appends events in the order given, those left out that others have appended meanwhile. When this returns all are in the chain.
    /// </summary>
    /// <param name="events">The events; each says behind which entry it can only be.</param>
    /// <param name="mayBeOurs">This writer itself may have appended them before (a sweep).</param>
    /// <param name="cancellationToken">Gives up; what was written by then stays.</param>
    public async Task AppendAsync(IReadOnlyList<WaitingEvent> events, bool mayBeOurs, CancellationToken cancellationToken)
    {
        var left = new Queue<WaitingEvent>(events);
        var (compared, tried) = (-1L, long.MaxValue);
        while (left.Count > 0)
        {
            await OpenAsync(cancellationToken);
            var through = mayBeOurs ? Known : _lastOfOthers;
            if (through > compared)
            {
                left = await WithoutKnownAsync(left, Math.Max(compared, Math.Min(tried, left.Min(static waiting => waiting.After))), through, cancellationToken);
                compared = through;
                if (left.Count == 0)
                {
                    return;
                }
            }

            var (taken, head) = Write(left);
            var result = await SubmitAsync(head, cancellationToken);
            if (!result.Committed)
            {
                // Somebody else has appended to this chain, maybe what we were to write; or it was us, and a retry below us was refused.
                tried = Math.Min(tried, _head!.Sequence);
                _head = null;
                continue;
            }

            _head = head with { ETag = result.ETags[^1] };
            _shortened = null;
            Known = head.Sequence;
            compared = mayBeOurs ? Known : compared;
            for (var i = 0; i < taken; i++)
            {
                left.Dequeue();
            }
        }
    }

    private async Task<TransactionResult> SubmitAsync(AuditHead head, CancellationToken cancellationToken)
    {
        try
        {
            var row = AuditRows.Head(name, head);
            return await store.SubmitAsync(
                EntityTransaction.Of(AuditRows.EntriesTable, [.. _rows, head.ETag is null ? EntityOperation.Insert(row) : EntityOperation.Replace(row)]),
                cancellationToken);
        }
        catch
        {
            // Whether it was written nobody knows: the next append looks.
            _head = null;
            throw;
        }
    }

    /// <summary>Makes the rows of the next write and the head that goes with them.</summary>
    private (int Taken, AuditHead Head) Write(Queue<WaitingEvent> left)
    {
        var now = time.GetUtcNow();
        var head = _head!;
        _rows.Clear();
        BeginRow();
        if (head.At - now > ClockTolerance)
        {
            // The chain keeps the order whatever the clocks say; that one went back is itself a fact.
            head = Write(head, ClockEntry(head.At, now), now);
        }

        if (_shortened is { } cut)
        {
            head = Write(head, ShortenedEntry(cut.Left, cut.Found, now), now);
        }

        var (taken, bytes) = (0, 0);
        foreach (var waiting in left)
        {
            if (taken == EntriesPerWrite || bytes + waiting.Content.Length > BytesPerWrite)
            {
                break;
            }

            if (_lines.WrittenCount > 0 && _lines.WrittenCount + waiting.Content.Length > BytesPerRow)
            {
                EndRow(head.Sequence, now);
            }

            head = Write(head, waiting, now);
            bytes += waiting.Content.Length;
            taken++;
        }

        EndRow(head.Sequence, now);
        return (taken, head);
    }

    private AuditHead Write(AuditHead head, WaitingEvent waiting, DateTimeOffset now)
    {
        var hash = AuditHash.OfEntry(name, head.Sequence + 1, now, waiting.Kind, waiting.Retention, waiting.ContentHash, head.Hash.Span);
        AuditLines.Write(
            _lines,
            new()
            {
                Chain = name, Sequence = head.Sequence + 1, RecordedAt = now, Kind = waiting.Kind, Retention = waiting.Retention,
                ContentHash = waiting.ContentHash, Previous = head.Hash, Hash = hash, Content = waiting.Content,
            });
        _hashes.AddRange(hash);
        _keys.UnionWith(waiting.Keys);
        return new(head.Sequence + 1, hash, now, head.ETag);
    }

    private void BeginRow()
    {
        _lines.ResetWrittenCount();
        _hashes.Clear();
        _keys.Clear();
    }

    private void EndRow(long last, DateTimeOffset now)
    {
        var first = last + 1 - (_hashes.Count / AuditHash.Size);
        _rows.Add(EntityOperation.Insert(AuditRows.Entries(name, first, _lines.WrittenSpan, new(now, [.. _hashes], AuditKeys.Pack(_keys)))));
        BeginRow();
    }

    private WaitingEvent ClockEntry(DateTimeOffset last, DateTimeOffset now) => WaitingEvent.Of(
        new()
        {
            Kind = TrailAudit.ClockWentBack,
            Actor = AuditActor.System(nameof(AuditTrail)),
            Payload = PayloadHash.None,
            On = new("chain", name),
            Reason = "The clock shows an earlier time than that of the entry before.",
            Details = new Dictionary<string, string>
            {
                ["last"] = last.UtcDateTime.ToString("O", CultureInfo.InvariantCulture), ["clock"] = now.UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
            },
        },
        name, Known, now);

    private WaitingEvent ShortenedEntry(long left, long found, DateTimeOffset now) => WaitingEvent.Of(
        new()
        {
            Kind = TrailAudit.ChainShortened,
            Actor = AuditActor.System(nameof(AuditTrail)),
            Payload = PayloadHash.None,
            Outcome = AuditOutcome.Failed,
            On = new("chain", name),
            Reason = "The chain is shorter than its writer had left it: somebody has removed its newest entries, or restored an older copy under a running program.",
            Details = new Dictionary<string, string>
            {
                ["left"] = left.ToString(CultureInfo.InvariantCulture), ["found"] = found.ToString(CultureInfo.InvariantCulture),
            },
        },
        name, Known, now);

    private async Task<Queue<WaitingEvent>> WithoutKnownAsync(Queue<WaitingEvent> events, long after, long through, CancellationToken cancellationToken)
    {
        if (after >= through)
        {
            return events; // All of them are younger.
        }

        var present = new HashSet<string>(StringComparer.Ordinal);
        await foreach (var entry in AuditChainReader.ReadAsync(store, name, after + 1, through, cancellationToken))
        {
            if (entry.Read() is { } content)
            {
                present.Add(content.Id);
            }
        }

        return new(events.Where(waiting => !present.Contains(waiting.Id)));
    }
}

/// <summary>Reads the entries of a chain in the order of their rows.</summary>
internal static class AuditChainReader
{
    /// <summary>
    /// A row has one entry or hundreds. What one chain holds of a page stays around a mebibyte: readers go through many chains side by side.
    /// </summary>
    private const int BytesPerPage = 1024 * 1024;

    private const int SmallestPage = 16;
    private const int LargestPage = 200;

    /// <summary>The entries from a number to another, both included, as they stand: nothing is checked.</summary>
    /// <exception cref="InvalidDataException">A line is damaged.</exception>
    public static async IAsyncEnumerable<AuditEntry> ReadAsync(
        IEntityStore store, string chain, long first, long last, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var row in RowsAsync(store, chain, first, last, cancellationToken))
        {
            foreach (var entry in AuditRows.ReadEntries(row))
            {
                if (entry.Sequence >= first && entry.Sequence <= last)
                {
                    yield return entry;
                }
            }
        }
    }

    /// <summary>The same without lines that are damaged.</summary>
    public static async IAsyncEnumerable<AuditEntry> ReadIntactAsync(
        IEntityStore store, string chain, long first, long last, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var row in RowsAsync(store, chain, first, last, cancellationToken))
        {
            foreach (var entry in AuditRows.ReadIntact(row).Where(entry => entry.Chain == chain && entry.Sequence >= first && entry.Sequence <= last))
            {
                yield return entry;
            }
        }
    }

    /// <summary>The rows that may hold entries from a number to another.</summary>
    public static async IAsyncEnumerable<Entity> RowsAsync(
        IEntityStore store, string chain, long first, long last, [System.Runtime.CompilerServices.EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // A row holds at most so many entries, so the one that holds the first begins no earlier than that. Of those before, the last counts.
        var from = Math.Max(1, first - AuditChain.EntriesPerRow);
        var range = new RowKeyRange(AuditRows.EntryRow(from), AuditRows.EntryRow(last + 1));
        Entity? before = null;
        string? continuation = null;
        var pageSize = SmallestPage;
        do
        {
            var page = await store.QueryAsync(AuditRows.EntriesTable, chain, range, pageSize, continuation, cancellationToken);
            pageSize = NextPage(page.Entities);
            foreach (var row in page.Entities)
            {
                if (AuditRows.FirstOf(row.RowKey) <= first)
                {
                    before = row;
                    continue;
                }

                if (before is not null)
                {
                    yield return before;
                    before = null;
                }

                yield return row;
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
        if (before is not null)
        {
            yield return before;
        }
    }

    private static int NextPage(IReadOnlyList<Entity> rows)
    {
        var bytes = rows.Sum(static row => row.Properties.Values.Sum(static value => value is byte[] part ? part.Length : 0L));
        return bytes == 0 ? LargestPage : (int)Math.Clamp(BytesPerPage * rows.Count / bytes, SmallestPage, LargestPage);
    }
}
