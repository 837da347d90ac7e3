using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>
/// The anchored ends of chains, read in step with the days that are verified: what an entry was when it was the newest one. Nobody else
/// remembers of an entry that was removed, or replaced, before its day was sealed.
/// </summary>
internal sealed class HeadNotes(IAuditAnchors anchors, string fromDay, CancellationToken cancellationToken) : IAsyncDisposable
{
    private readonly Dictionary<string, SortedDictionary<(long Sequence, string Hash), DateTimeOffset>> _notes = new(StringComparer.Ordinal);
    private IAsyncEnumerator<AuditHeads>? _heads;
    private string _readThrough = "";
    private bool _isOver;

    /// <summary>The fault of an entry that is another one than it was.</summary>
    public static AuditFault Forged(string? day, AuditHeadNote note, DateTimeOffset at) =>
        new(AuditFaultKind.Forged, day, note.Chain, note.Sequence, $"The entry is not the one that was the end of its chain at {at:u}.");

    /// <summary>
    /// Reads what was anchored up to a day, itself included, and the first that was anchored after it: that one knows the last entries of the
    /// day. <see langword="null"/> for everything.
    /// </summary>
    public async Task ReadThroughAsync(string? day)
    {
        if (_heads is null)
        {
            _heads = anchors.HeadsAsync(fromDay, cancellationToken).GetAsyncEnumerator(cancellationToken);
            _isOver = !await _heads.MoveNextAsync();
        }

        while (!_isOver && (day is null || string.CompareOrdinal(_readThrough, day) <= 0))
        {
            _readThrough = AuditDay.Of(_heads.Current.At);
            foreach (var note in _heads.Current.Chains)
            {
                if (!_notes.TryGetValue(note.Chain, out var ofChain))
                {
                    _notes[note.Chain] = ofChain = [];
                }

                ofChain.TryAdd((note.Sequence, note.Hash), _heads.Current.At);
            }

            _isOver = !await _heads.MoveNextAsync();
        }
    }

    /// <summary>Compares the notes of a chain with what a day has of it, and forgets them and older ones.</summary>
    /// <param name="day">The day.</param>
    /// <param name="part">What the chain gave to the day.</param>
    /// <param name="leaves">The hashes of these entries.</param>
    public AuditFault? Check(string day, SealedChain part, ReadOnlySpan<byte> leaves)
    {
        if (!_notes.TryGetValue(part.Chain, out var ofChain))
        {
            return null;
        }

        foreach (var (note, at) in ofChain.TakeWhile(one => one.Key.Sequence <= part.Last).ToList())
        {
            if (note.Sequence >= part.First
                && !leaves.Slice((int)(note.Sequence - part.First) * AuditHash.Size, AuditHash.Size).SequenceEqual(Convert.FromHexString(note.Hash)))
            {
                return Forged(day, new(part.Chain, note.Sequence, note.Hash), at);
            }

            ofChain.Remove(note);
        }

        return null;
    }

    /// <summary>The notes of entries that lie behind the end of what is sealed, chain by chain in order.</summary>
    public IEnumerable<(AuditHeadNote Note, DateTimeOffset At)> Behind(Func<string, long> sealedThrough) =>
        from ofChain in _notes.OrderBy(static one => one.Key, StringComparer.Ordinal)
        from note in ofChain.Value
        where note.Key.Sequence > sealedThrough(ofChain.Key)
        select (new AuditHeadNote(ofChain.Key, note.Key.Sequence, note.Key.Hash), note.Value);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_heads is not null)
        {
            await _heads.DisposeAsync();
        }
    }
}
