namespace DingFlow.Messaging;

/// <summary>
/// What may be delivered next of one queue, in memory: no disk, no threads, no clock of its own. Times are UTC ticks.
/// </summary>
/// <remarks>
/// The order of a session is that of becoming visible, then of sending. A session offers its first message only, and none while one
/// of it is out. A message that is not yet due stands outside its session, so it blocks nobody. Sessions take turns.
/// </remarks>
internal sealed class EmbeddedBacklog(QueueDefinition queue)
{
    private readonly PriorityQueue<EmbeddedEntry, (long, long)> _scheduled = new();
    private readonly PriorityQueue<EmbeddedEntry, long> _expiries = new();
    private readonly Dictionary<long, EmbeddedEntry> _out = [];
    private readonly Dictionary<string, Lane> _lanes = new(StringComparer.Ordinal);
    private readonly Queue<Lane> _readyLanes = new();
    private readonly PriorityQueue<EmbeddedEntry, (long, long)> _readyWithoutSession = new();

    /// <summary>When something changes by itself next; <see langword="null"/> when nothing will.</summary>
    public long? NextChange
    {
        get
        {
            long? due = _scheduled.TryPeek(out var scheduled, out _) ? scheduled.OrderAt : null;
            return _expiries.TryPeek(out _, out var expiry) && !(due < expiry) ? expiry : due;
        }
    }

    /// <summary>Adds a stored message.</summary>
    public void Add(EmbeddedRow row)
    {
        var entry = new EmbeddedEntry(row);
        if (row.Scheduled)
        {
            _scheduled.Enqueue(entry, entry.Order);
        }
        else
        {
            MakeReady(entry);
        }
    }

    /// <summary>Lets time pass: due messages become ready, expired locks end. Returns those that expired on their last delivery, for the dead letters.</summary>
    public IReadOnlyList<EmbeddedEntry> Advance(long now)
    {
        List<EmbeddedEntry>? spent = null;
        while (_scheduled.TryPeek(out var due, out _) && due.OrderAt <= now)
        {
            _scheduled.Dequeue();
            MakeReady(due);
        }

        while (_expiries.TryPeek(out var expired, out var at) && at <= now)
        {
            _expiries.Dequeue();
            if (expired.State != EmbeddedState.Locked || expired.LockedUntil != at)
            {
                continue;
            }

            if (expired.Deliveries >= queue.MaxDeliveryCount)
            {
                expired.State = EmbeddedState.Settling;
                (spent ??= []).Add(expired);
            }
            else
            {
                Release(expired);
            }
        }

        return spent ?? (IReadOnlyList<EmbeddedEntry>)[];
    }

    /// <summary>Takes the next deliverable message out.</summary>
    public bool TryTake(out EmbeddedEntry entry)
    {
        if (_readyWithoutSession.TryDequeue(out entry!, out _))
        {
            Take(entry);
            return true;
        }

        while (_readyLanes.TryDequeue(out var lane))
        {
            lane.Queued = false;
            if (lane.Out is null && lane.Ready.TryDequeue(out entry!, out _))
            {
                lane.Out = entry;
                Take(entry);
                return true;
            }
        }

        return false;
    }

    /// <summary>The delivery was counted: the message is under a lock from now.</summary>
    public void Lock(EmbeddedEntry entry, int deliveries, Guid token, long until)
    {
        entry.Deliveries = deliveries;
        entry.Token = token;
        Lock(entry, until);
    }

    /// <summary>Puts or prolongs the lock.</summary>
    public void Lock(EmbeddedEntry entry, long until)
    {
        entry.State = EmbeddedState.Locked;
        entry.LockedUntil = until;
        _expiries.Enqueue(entry, until);
    }

    /// <summary>The message under this lock, unless the lock was lost or is being settled.</summary>
    public EmbeddedEntry? Find(long sequence, Guid token) =>
        _out.TryGetValue(sequence, out var entry) && entry.State == EmbeddedState.Locked && entry.Token == token ? entry : null;

    /// <summary>Offers a message that was out again, in its old place.</summary>
    public void Release(EmbeddedEntry entry)
    {
        _out.Remove(entry.Sequence);
        entry.State = EmbeddedState.Waiting;
        if (entry.Lane is { } lane)
        {
            lane.Out = null;
        }

        MakeReady(entry);
    }

    /// <summary>Forgets a message that was out, and lets the next of its session go.</summary>
    public void Remove(EmbeddedEntry entry)
    {
        _out.Remove(entry.Sequence);
        if (entry.Lane is { } lane)
        {
            lane.Out = null;
            if (lane.Ready.Count == 0)
            {
                _lanes.Remove(lane.Session);
            }
            else
            {
                Offer(lane);
            }
        }
    }

    private void Take(EmbeddedEntry entry)
    {
        entry.State = EmbeddedState.Delivering;
        _out.Add(entry.Sequence, entry);
    }

    private void MakeReady(EmbeddedEntry entry)
    {
        if (!queue.RequiresSession || entry.Session is null)
        {
            _readyWithoutSession.Enqueue(entry, entry.Order);
            return;
        }

        if (!_lanes.TryGetValue(entry.Session, out var lane))
        {
            _lanes.Add(entry.Session, lane = new Lane(entry.Session));
        }

        entry.Lane = lane;
        lane.Ready.Enqueue(entry, entry.Order);
        Offer(lane);
    }

    private void Offer(Lane lane)
    {
        if (lane is { Out: null, Queued: false })
        {
            lane.Queued = true;
            _readyLanes.Enqueue(lane);
        }
    }

    /// <summary>The visible messages of one session.</summary>
    internal sealed class Lane(string session)
    {
        public string Session { get; } = session;

        public PriorityQueue<EmbeddedEntry, (long, long)> Ready { get; } = new();

        public EmbeddedEntry? Out { get; set; }

        public bool Queued { get; set; }
    }
}

/// <summary>Where a message is.</summary>
internal enum EmbeddedState
{
    /// <summary>Not yet due, or ready.</summary>
    Waiting,

    /// <summary>Its delivery is being counted on disk.</summary>
    Delivering,

    /// <summary>A receiver has it.</summary>
    Locked,

    /// <summary>It is being removed or dead-lettered on disk.</summary>
    Settling,
}

/// <summary>A message in memory.</summary>
internal sealed class EmbeddedEntry(EmbeddedRow row)
{
    public long Sequence { get; } = row.Sequence;

    public string? Session { get; } = row.Session;

    public long OrderAt { get; } = row.OrderAt;

    public (long OrderAt, long Sequence) Order => (OrderAt, Sequence);

    public int Deliveries { get; set; } = row.Deliveries;

    public EmbeddedState State { get; set; }

    public Guid Token { get; set; }

    public long LockedUntil { get; set; }

    public EmbeddedBacklog.Lane? Lane { get; set; }
}
