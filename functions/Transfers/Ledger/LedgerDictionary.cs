namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The numbers of an exporter's recipients and lanes, given in the order of their first appearance in its log, so that every reader of
/// the log comes to the same ones; and the distinct facts that the log has brought. All three are capped, so that no sender can make the
/// counter rows, or what the ledger remembers of each fact, grow without bound. Safe for several threads.
/// </summary>
/// <remarks>
/// Numbers are never given again, and a fact that was there once stays known. The facts are known from the entry on at which a version that
/// knows this list first wrote a checkpoint: what an older ledger held before is not counted against the limit until it is reported anew.
/// </remarks>
internal sealed class LedgerDictionary(int recipientLimit, int laneLimit, int factLimit)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _recipients = new(StringComparer.Ordinal);
    private readonly List<string> _recipientNames = [];
    private readonly Dictionary<Lane, int> _lanes = [];
    private readonly List<Lane> _laneNames = [];
    private readonly HashSet<PackedFact> _facts = [];
    private long _observedThrough;
    private int _recipientBytes;

    /// <summary>How long the names are when they are written, at most.</summary>
    public int Bytes
    {
        get
        {
            const int lane = 6;
            lock (_gate)
            {
                return _recipientBytes + (_laneNames.Count * lane);
            }
        }
    }

    /// <summary>Recipients in the order of their numbers.</summary>
    public IReadOnlyList<string> Recipients
    {
        get
        {
            lock (_gate)
            {
                return [.. _recipientNames];
            }
        }
    }

    /// <summary>Lanes in the order of their numbers.</summary>
    public IReadOnlyList<Lane> Lanes
    {
        get
        {
            lock (_gate)
            {
                return [.. _laneNames];
            }
        }
    }

    /// <summary>How many distinct facts there are; it only grows.</summary>
    public int Facts
    {
        get
        {
            lock (_gate)
            {
                return _facts.Count;
            }
        }
    }

    public string RecipientOf(int number)
    {
        lock (_gate)
        {
            return _recipientNames[number];
        }
    }

    public Lane LaneOf(int number)
    {
        lock (_gate)
        {
            return _laneNames[number];
        }
    }

    /// <summary>A dictionary that begins with the same names and goes on by itself.</summary>
    public LedgerDictionary Copy()
    {
        var copy = new LedgerDictionary(recipientLimit, laneLimit, factLimit);
        copy.TakeIn(this);
        return copy;
    }

    /// <summary>Some of these are new, or have no numbers yet.</summary>
    public bool HasNew(IEnumerable<TransferFact> facts)
    {
        lock (_gate)
        {
            return facts.Any(fact => !IsKnown(in fact));
        }
    }

    /// <summary>What of these would not fit any more; <see langword="null"/> when all would.</summary>
    /// <param name="facts">The facts.</param>
    /// <param name="isFull">No new name fits, whatever the limits say.</param>
    public LedgerOverflow? Overflow(IEnumerable<TransferFact> facts, bool isFull = false)
    {
        lock (_gate)
        {
            var (mostRecipients, mostLanes) = isFull ? (0, 0) : (recipientLimit, laneLimit);
            var (recipients, lanes) = (new HashSet<string>(StringComparer.Ordinal), new HashSet<Lane>());
            var (newRecipients, newLanes) = (new HashSet<string>(StringComparer.Ordinal), new HashSet<Lane>());
            var (beyond, newFacts) = (new HashSet<TransferFact>(), new HashSet<TransferFact>());
            foreach (var fact in facts)
            {
                if (!_recipients.ContainsKey(fact.Recipient) && !newRecipients.Contains(fact.Recipient))
                {
                    (_recipients.Count + newRecipients.Count < mostRecipients ? newRecipients : recipients).Add(fact.Recipient);
                }

                if (!_lanes.ContainsKey(fact.Lane) && !newLanes.Contains(fact.Lane))
                {
                    (_lanes.Count + newLanes.Count < mostLanes ? newLanes : lanes).Add(fact.Lane);
                }

                // A fact whose names do not fit is not going to be there: it takes nobody's place.
                if (!recipients.Contains(fact.Recipient) && !lanes.Contains(fact.Lane) && !IsKnown(in fact) && !newFacts.Contains(fact))
                {
                    (_facts.Count + newFacts.Count < factLimit ? newFacts : beyond).Add(fact);
                }
            }

            return recipients.Count == 0 && lanes.Count == 0 && beyond.Count == 0 ? null : new(recipients, lanes, beyond);
        }
    }

    /// <summary>The names of the log up to this entry have numbers.</summary>
    public long ObservedThrough
    {
        get
        {
            lock (_gate)
            {
                return _observedThrough;
            }
        }

        set
        {
            lock (_gate)
            {
                _observedThrough = value;
            }
        }
    }

    /// <summary>Numbers what an entry of the log brings. Whoever reads the log calls it, in its order; what was seen is passed over.</summary>
    public void Observe(long position, IEnumerable<TransferFact> facts)
    {
        lock (_gate)
        {
            if (position != _observedThrough + 1)
            {
                return;
            }

            foreach (var fact in facts)
            {
                Add(fact);
            }

            _observedThrough = position;
        }
    }

    /// <summary>Takes in the numbers of a checkpoint. Both come from the same log, so one begins with the other.</summary>
    public void TakeIn(LedgerDictionary checkpoint)
    {
        lock (_gate)
        {
            foreach (var recipient in checkpoint.Recipients)
            {
                Add(recipient);
            }

            foreach (var lane in checkpoint.Lanes)
            {
                Add(lane);
            }

            _facts.UnionWith(checkpoint.PackedFacts());
            _observedThrough = Math.Max(_observedThrough, checkpoint.ObservedThrough);
        }
    }

    /// <summary>Numbers the names of a fact, and knows it from now on.</summary>
    public void Add(TransferFact fact)
    {
        lock (_gate)
        {
            Add(fact.Recipient);
            Add(fact.Lane);
            _facts.Add(Pack(in fact));
        }
    }

    /// <summary>The known facts as bytes: how many, then each as the difference to the one before it in ascending order.</summary>
    public void WriteFacts(PackedWriter writer)
    {
        PackedFact[] facts;
        lock (_gate)
        {
            facts = [.. _facts];
        }

        Array.Sort(facts);
        writer.Number(facts.Length);
        ulong before = 0;
        foreach (var fact in facts)
        {
            writer.Number(fact.Bits - before);
            before = fact.Bits;
        }
    }

    /// <summary>Takes in facts that <see cref="WriteFacts"/> wrote.</summary>
    public void ReadFacts(ref PackedReader reader)
    {
        ulong before = 0;
        lock (_gate)
        {
            for (var count = reader.Count(); count > 0; count--)
            {
                _facts.Add(new(before += reader.Number()));
            }
        }
    }

    public void Add(string recipient)
    {
        lock (_gate)
        {
            if (_recipients.TryAdd(recipient, _recipientNames.Count))
            {
                _recipientBytes += System.Text.Encoding.UTF8.GetByteCount(recipient) + sizeof(ushort);
                _recipientNames.Add(recipient);
            }
        }
    }

    public void Add(Lane lane)
    {
        lock (_gate)
        {
            if (_lanes.TryAdd(lane, _laneNames.Count))
            {
                _laneNames.Add(lane);
            }
        }
    }

    /// <summary>The compact form of a fact whose recipient and lane are known.</summary>
    public PackedFact Pack(in TransferFact fact)
    {
        lock (_gate)
        {
            return new(_lanes[fact.Lane], _recipients[fact.Recipient], fact.Exemption, fact.Class, fact.Minor);
        }
    }

    /// <summary>The fact of a compact form.</summary>
    /// <exception cref="InvalidDataException">Its numbers were never given.</exception>
    public TransferFact Unpack(PackedFact fact)
    {
        lock (_gate)
        {
            return fact.Recipient < _recipientNames.Count && fact.Lane < _laneNames.Count
                ? new(_laneNames[fact.Lane], fact.Exemption, fact.Class, fact.Minor, _recipientNames[fact.Recipient])
                : throw PackedReader.Damaged();
        }
    }

    private PackedFact[] PackedFacts()
    {
        lock (_gate)
        {
            return [.. _facts];
        }
    }

    /// <summary>Under the lock.</summary>
    private bool IsKnown(in TransferFact fact) =>
        _recipients.TryGetValue(fact.Recipient, out var recipient) && _lanes.TryGetValue(fact.Lane, out var lane)
        && _facts.Contains(new(lane, recipient, fact.Exemption, fact.Class, fact.Minor));
}

/// <summary>Names and facts that an exporter's ledger has no room for any more.</summary>
internal sealed record LedgerOverflow(IReadOnlySet<string> Recipients, IReadOnlySet<Lane> Lanes, IReadOnlySet<TransferFact> Facts)
{
    /// <summary>Why a record cannot be taken; <see langword="null"/> when it can.</summary>
    public LedgerRefusal? ReasonOn(SubjectTransfer record) =>
        record.Facts.Any(fact => Recipients.Contains(fact.Recipient)) ? LedgerRefusal.TooManyRecipients
        : record.Facts.Any(fact => Lanes.Contains(fact.Lane)) ? LedgerRefusal.TooManyLanes
        : record.Facts.Any(Facts.Contains) ? LedgerRefusal.TooManyFacts
        : null;
}

/// <summary>A <see cref="TransferFact"/> with the dictionary's numbers in place of names: 48 bits.</summary>
internal readonly record struct PackedFact(ulong Bits) : IComparable<PackedFact>
{
    public PackedFact(int lane, int recipient, ExemptionKind exemption, DataClass dataClass, bool minor)
        : this(((ulong)(ushort)lane << 32) | ((ulong)(ushort)recipient << 16) | ((ulong)exemption << 8) | ((ulong)dataClass << 1) | (minor ? 1UL : 0))
    {
    }

    public int Lane => (ushort)(Bits >> 32);

    public int Recipient => (ushort)(Bits >> 16);

    public ExemptionKind Exemption => (ExemptionKind)(byte)(Bits >> 8);

    public DataClass Class => (DataClass)((Bits >> 1) & 0x7F);

    public bool Minor => (Bits & 1) != 0;

    public int CompareTo(PackedFact other) => Bits.CompareTo(other.Bits);
}
