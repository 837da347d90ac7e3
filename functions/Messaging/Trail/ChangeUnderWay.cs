using DingFlow.Storage;

namespace DingFlow.Messaging;

/// <summary>A change of another store that was begun: whoever makes it keeps its lease, and says how it ended.</summary>
public sealed partial class ChangeUnderWay : IAsyncDisposable
{
    /// <summary>How long a process may be silent before it is taken to have ended; clocks of instances may differ by a fraction of it.</summary>
    internal static readonly TimeSpan Lease = TimeSpan.FromMinutes(3);

    /// <summary>How often a living process renews its lease.</summary>
    internal static readonly TimeSpan RenewEvery = TimeSpan.FromMinutes(1);

    private const int Attempts = 3;

    private readonly IEntityStore _store;
    private readonly IAuditTrail _trail;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Action _release;
    private readonly SemaphoreSlim _turn = new(1);
    private readonly CancellationTokenSource _stop = new();
    private readonly Task _keeping;
    private OpenChange _change;
    private bool _isStale;
    private bool _mayBeEnded;
    private bool _isEnded;

    internal ChangeUnderWay(IEntityStore store, IAuditTrail trail, OpenChange change, TimeProvider time, ILogger logger, Action release)
    {
        (_store, _trail, _change, _time, _logger, _release) = (store, trail, change, time, logger, release);
        _keeping = KeepAsync();
    }

    /// <summary>Its id, which stands in all of its entries as <c>change</c>.</summary>
    public string Id => _change.Id;

    /// <summary>
    /// To be called before each step of a change that has several. Mostly it only looks at the clock; it writes when there is more to be
    /// asked about later than was known at the beginning, or when this process slept so long that it may have been taken for ended.
    /// </summary>
    /// <param name="arguments">What is to be asked about, if it differs: all of it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="EntityStoreException">The step must not be taken.</exception>
    public async Task HoldAsync(IReadOnlyList<string>? arguments, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            var isKnown = arguments is null || arguments.SequenceEqual(_change.Content.Arguments, StringComparer.Ordinal);
            if (!isKnown || _change.LeaseUntil - _time.GetUtcNow() < RenewEvery)
            {
                await WriteAsync(_change with { Content = isKnown ? _change.Content : _change.Content with { Arguments = arguments! } }, cancellationToken);
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <summary>
    /// Writes the entries of what came of it. It has happened, whoever still waits for the answer: they are not given up with a request.
    /// </summary>
    /// <param name="outcome">How it ended.</param>
    /// <param name="found">What came of it, for the details.</param>
    /// <param name="payload">The hash of what was decided upon, where it was not known at the beginning.</param>
    /// <exception cref="EntityStoreException">They could not be written; a sweep will settle the change.</exception>
    public async Task EndAsync(AuditOutcome outcome, IEnumerable<KeyValuePair<string, string>> found, PayloadHash payload = default)
    {
        await _turn.WaitAsync(CancellationToken.None);
        try
        {
            var ended = _change.Ended(outcome, found).Select(said => payload.Hex is null ? said : said with { Payload = payload }).ToList();
            for (var attempt = 1; !_isEnded; attempt++)
            {
                try
                {
                    _isEnded = await TryEndAsync(ended);
                    if (!_isEnded && attempt == Attempts)
                    {
                        throw new EntityStoreException("The row of a change under way keeps changing.");
                    }
                }
                catch (EntityStoreException) when (attempt < Attempts)
                {
                    // Whether it was written nobody knows: it is looked for.
                }
            }
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _keeping;
        _release();
        _stop.Dispose();
        _turn.Dispose();
    }

    private async Task<bool> TryEndAsync(IReadOnlyList<AuditEvent> ended)
    {
        IReadOnlyList<AuditEvent> events = ended;
        if (_isStale)
        {
            if (await FindAsync(CancellationToken.None) is { } found)
            {
                _change = _change with { ETag = found.ETag };
                events = found.IsSettled ? [.. _change.Begun(resumed: true), .. ended] : ended;
            }
            else if (_mayBeEnded)
            {
                // Nobody but its owner takes the row of a change away: the answer to our own write was lost.
                return true;
            }
            else
            {
                // It was settled so long ago that its row is forgotten.
                foreach (var said in _change.Begun(resumed: true).Concat(ended))
                {
                    await _trail.AppendAsync(said, CancellationToken.None);
                }

                return true;
            }
        }

        (_isStale, _mayBeEnded) = (true, true);
        var result = await _trail.SubmitAsync(
            EntityTransaction.Of(AuditRows.TrailTable, EntityOperation.Delete(OpenChange.Partition, Id, _change.ETag)), events, CancellationToken.None);
        _mayBeEnded = result.Committed;
        return result.Committed;
    }

    /// <summary>Renews the lease until the end, for steps that take longer than it.</summary>
    private async Task KeepAsync()
    {
        try
        {
            while (true)
            {
                await Task.Delay(RenewEvery, _time, _stop.Token);
                await _turn.WaitAsync(_stop.Token);
                try
                {
                    if (!_isEnded)
                    {
                        await WriteAsync(_change, _stop.Token);
                    }
                }
                catch (EntityStoreException exception)
                {
                    // Whoever takes the next step is told if it is still so.
                    Log.NotRenewed(_logger, Id, exception);
                }
                finally
                {
                    _turn.Release();
                }
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // It has ended.
        }
    }

    /// <summary>Writes the row with a new lease. A change that was settled meanwhile, since this process slept, is begun anew.</summary>
    private async Task WriteAsync(OpenChange change, CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var stored = _isStale ? await FindAsync(cancellationToken) : _change;
            var next = change with { LeaseUntil = _time.GetUtcNow() + Lease, IsSettled = false, ETag = stored?.ETag };
            _isStale = true;
            var result = await _trail.SubmitAsync(
                EntityTransaction.Of(AuditRows.TrailTable, stored is null ? EntityOperation.Insert(next.ToRow()) : EntityOperation.Replace(next.ToRow())),
                stored is { IsSettled: false } ? [] : next.Begun(resumed: true), cancellationToken);
            if (result.Committed)
            {
                (_change, _isStale) = (next with { ETag = result.ETags[0] }, false);
                return;
            }

            if (attempt == Attempts)
            {
                throw new EntityStoreException("The row of a change under way keeps changing.");
            }
        }
    }

    private async Task<OpenChange?> FindAsync(CancellationToken cancellationToken) =>
        await _store.GetAsync(AuditRows.TrailTable, OpenChange.Partition, Id, cancellationToken) is { } row ? OpenChange.Read(row) : null;

    private static partial class Log
    {
        [LoggerMessage(23, LogLevel.Warning, "The lease of the change {Change} could not be renewed")]
        public static partial void NotRenewed(ILogger logger, string change, Exception exception);
    }
}
