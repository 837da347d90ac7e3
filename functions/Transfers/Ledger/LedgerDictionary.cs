namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The numbers of an exporter's recipients and lanes, given in the order of their first appearance in its log, so that every reader of
/// the log comes to the same ones. Capped, so that no sender can make the counter rows grow without bound. Safe for several threads.
/// </summary>
internal sealed class LedgerDictionary(int recipientLimit, int laneLimit)
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, int> _recipients = new(StringComparer.Ordinal);
    private readonly List<string> _recipientNames = [];
    private readonly Dictionary<Lane, int> _lanes = [];
    private readonly List<Lane> _laneNames = [];
    private long _observedThrough;

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
        var copy = new LedgerDictionary(recipientLimit, laneLimit);
        copy.TakeIn(this);
        return copy;
    }

    /// <summary>Some of these have no numbers yet.</summary>
    public bool HasNew(IEnumerable<TransferFact> facts)
    {
        lock (_gate)
        {
            return facts.Any(fact => !_recipients.ContainsKey(fact.Recipient) || !_lanes.ContainsKey(fact.Lane));
        }
    }

    /// <summary>What of these would not fit any more; <see langword="null"/> when all would.</summary>
    public (HashSet<string> Recipients, HashSet<Lane> Lanes)? Overflow(IEnumerable<TransferFact> facts)
    {
        lock (_gate)
        {
            var (recipients, lanes) = (new HashSet<string>(StringComparer.Ordinal), new HashSet<Lane>());
            var (newRecipients, newLanes) = (new HashSet<string>(StringComparer.Ordinal), new HashSet<Lane>());
            foreach (var fact in facts)
            {
                if (!_recipients.ContainsKey(fact.Recipient) && !newRecipients.Contains(fact.Recipient))
                {
                    (_recipients.Count + newRecipients.Count < recipientLimit ? newRecipients : recipients).Add(fact.Recipient);
                }

                if (!_lanes.ContainsKey(fact.Lane) && !newLanes.Contains(fact.Lane))
                {
                    (_lanes.Count + newLanes.Count < laneLimit ? newLanes : lanes).Add(fact.Lane);
                }
            }

            return recipients.Count == 0 && lanes.Count == 0 ? null : (recipients, lanes);
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
                Add(fact.Recipient);
                Add(fact.Lane);
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

            _observedThrough = Math.Max(_observedThrough, checkpoint.ObservedThrough);
        }
    }

    public void Add(string recipient)
    {
        lock (_gate)
        {
            if (_recipients.TryAdd(recipient, _recipientNames.Count))
            {
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
