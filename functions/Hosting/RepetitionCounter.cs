using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Hosting;

/// <summary>
/// Counts refusals alike, and reads alike, that are too many to have an entry each, so that the trail tells exactly how many there were. The
/// counts are on disk: a process that dies leaves them to the next one. However many there are, they take one small row for each kind and
/// minute, and all that come at once share a write.
/// </summary>
/// <remarks>Table <c>AuditTrail</c>, partition <c>refusals</c>. The row goes in the transaction in which its entry comes.</remarks>
public sealed class RepetitionCounter(IEntityStore store, IAuditTrail trail, AuditTrailOptions options, TimeProvider time) : IDisposable
{
    private const string Table = "AuditTrail";
    private const string Partition = "refusals";
    private const int HashCharacters = 16;

    private static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    /// <summary>A row of another instance that nobody has counted on for so long was left by a process that died.</summary>
    private static readonly TimeSpan Left = TimeSpan.FromMinutes(10);

    private readonly Lock _gate = new();
    private readonly SemaphoreSlim _writing = new(1);
    private readonly Dictionary<string, Counted> _counts = new(StringComparer.Ordinal);

    /// <summary>Two processes of one writer never count in one row.</summary>
    private readonly string _process = Guid.NewGuid().ToString("N")[..8];

    private long _taken;
    private long _written;

    /// <summary>Counts one more; it is on disk when this returns.</summary>
    internal async Task CountAsync(Repeated repeated)
    {
        long mine;
        lock (_gate)
        {
            var key = repeated.Key;
            if (!_counts.TryGetValue(key, out var counted))
            {
                var since = time.GetUtcNow();
                var row = string.Create(
                    CultureInfo.InvariantCulture,
                    $"{options.Writer}|{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))[..HashCharacters]}|{since.UtcTicks:D19}|{_process}");
                _counts[key] = counted = new(row, repeated, since);
            }

            counted.Count++;
            counted.Last = time.GetUtcNow();
            counted.IsDirty = true;
            mine = ++_taken;
        }

        await _writing.WaitAsync();
        try
        {
            if (_written < mine)
            {
                await WriteAsync();
            }
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <summary>Turns counts into entries: ours whose minute is over, and those that a process left behind that died.</summary>
    /// <param name="all">Also those whose minute is not over: the process ends.</param>
    /// <param name="cancellationToken">Gives up; what is not turned yet is the next run's.</param>
    public async Task ConcludeAsync(bool all, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken);
        try
        {
            await WriteAsync();
            var now = time.GetUtcNow();
            HashSet<string> open;
            lock (_gate)
            {
                foreach (var (key, _) in _counts.Where(one => all || now - one.Value.Since >= Window).ToList())
                {
                    _counts.Remove(key);
                }

                open = [.. _counts.Values.Select(static counted => counted.Row)];
            }

            await ConcludeRowsAsync(open, now, cancellationToken);
        }
        finally
        {
            _writing.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _writing.Dispose();

    private async Task ConcludeRowsAsync(HashSet<string> open, DateTimeOffset now, CancellationToken cancellationToken)
    {
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, Partition, AuditOutbox.RowsBefore(), 100, continuation, cancellationToken);
            foreach (var row in page.Entities)
            {
                var isOurs = row.RowKey.StartsWith(options.Writer + "|", StringComparison.Ordinal);
                if (isOurs ? !open.Contains(row.RowKey) : now - row.Properties.Require<DateTimeOffset>("Last") >= Left)
                {
                    // ETagMismatch, NotFound: its own process is alive after all, or another was quicker.
                    await trail.SubmitAsync(
                        EntityTransaction.Of(Table, EntityOperation.Delete(Partition, row.RowKey, row.ETag)), [EventOf(row)], cancellationToken);
                }
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
    }

    private static AuditEvent EventOf(Entity row) => new()
    {
        Kind = new(
            row.Properties.Require<string>("Kind"), row.Properties.Get<string>("Retention") == nameof(AuditRetention.Legal) ? AuditRetention.Legal : AuditRetention.Operational,
            "Something that was repeated."),
        Actor = new(
            Enum.Parse<AuditActorType>(row.Properties.Require<string>("ActorType")), row.Properties.Require<string>("Actor"), row.Properties.Get<string>("ActorKey")),
        Payload = PayloadHash.None,
        Outcome = row.Properties.Get<string>("OnType") is null || row.Properties.Require<string>("Status")[0] == '4' ? AuditOutcome.Refused : AuditOutcome.Succeeded,
        // Rows of earlier versions are of routes.
        On = new(row.Properties.Get<string>("OnType") ?? "route", row.Properties.Require<string>("Route")),
        CaseId = row.Properties.Get<string>("CaseId"),
        Subject = row.Properties.Get<string>("Subject"),
        OccurredAt = row.Properties.Require<DateTimeOffset>("Last"),
        RequestId = null,
        Reason = "Alike, and too many for an entry each.",
        Details = new Dictionary<string, string>
        {
            ["status"] = row.Properties.Require<string>("Status"),
            ["repeated"] = row.Properties.Require<long>("Count").ToString(CultureInfo.InvariantCulture),
            ["from"] = row.Properties.Require<DateTimeOffset>("Since").UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
            ["to"] = row.Properties.Require<DateTimeOffset>("Last").UtcDateTime.ToString("O", CultureInfo.InvariantCulture),
        },
    };

    private async Task WriteAsync()
    {
        List<EntityTransaction> rows = [];
        long through;
        lock (_gate)
        {
            through = _taken;
            foreach (var counted in _counts.Values.Where(static counted => counted.IsDirty))
            {
                counted.IsDirty = false;
                rows.Add(EntityTransaction.Of(Table, EntityOperation.Upsert(counted.ToEntity(Partition))));
            }
        }

        if (rows.Count > 0)
        {
            try
            {
                await store.SubmitManyAsync(rows, CancellationToken.None);
            }
            catch
            {
                lock (_gate)
                {
                    foreach (var counted in _counts.Values)
                    {
                        counted.IsDirty = true;
                    }
                }

                throw;
            }
        }

        _written = through;
    }

    private sealed class Counted(string row, Repeated repeated, DateTimeOffset since)
    {
        public string Row => row;

        public DateTimeOffset Since => since;

        public DateTimeOffset Last { get; set; }

        public long Count { get; set; }

        public bool IsDirty { get; set; }

        public Entity ToEntity(string partition) => new(partition, row)
        {
            Properties =
            {
                ["Schema"] = 2, ["Kind"] = repeated.Kind.Name, ["Retention"] = repeated.Kind.Retention.ToString(), ["Route"] = repeated.On.Id,
                ["OnType"] = repeated.On.Type, ["CaseId"] = repeated.CaseId, ["Subject"] = repeated.Subject, ["Status"] = repeated.Status,
                ["ActorType"] = repeated.Actor.Type.ToString(), ["Actor"] = repeated.Actor.Id, ["ActorKey"] = repeated.Actor.Key, ["Since"] = since, ["Last"] = Last, ["Count"] = Count,
            },
        };
    }
}

/// <summary>What requests have in common that are counted together: refused ones, or ones that read what is about people.</summary>
/// <param name="Kind">The kind of their entries.</param>
/// <param name="On">The route, or what was read.</param>
/// <param name="Actor">Who asked.</param>
/// <param name="Status">How they were answered.</param>
internal sealed record Repeated(AuditKind Kind, AuditTarget On, AuditActor Actor, string Status)
{
    /// <summary>The case that was read.</summary>
    public string? CaseId { get; init; }

    /// <summary>The pseudonym of the person whose data was read.</summary>
    public string? Subject { get; init; }

    /// <summary>The same for requests alike.</summary>
    public string Key => $"{Kind.Name}|{On.Id}|{Subject}|{Actor.Id}|{Status}";
}
