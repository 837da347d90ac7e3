using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Offboarding;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Audit;

/// <summary>A trail over a real store that can die at any operation, with a clock that the test controls.</summary>
internal sealed class TrailDriver : IAsyncDisposable
{
    public static readonly DateTimeOffset Start = new(2026, 11, 24, 8, 0, 0, TimeSpan.Zero);

    public static readonly AuditKind Kind = new("tests.happened", AuditRetention.Operational, "Something happened in a test.");

    private readonly DataDirectory _data = new();
    private readonly SqliteDatabase _database;
    private readonly List<AuditTrail> _trails = [];

    public TrailDriver()
    {
        _database = new SqliteDatabase(_data.Path);
        Real = new SqliteEntityStore(_database, Time);
        Store = new FaultyStore(Real);
    }

    public FakeTimeProvider Time { get; } = new(Start);

    /// <summary>The store itself, which never fails.</summary>
    public IEntityStore Real { get; }

    public FaultyStore Store { get; }

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    /// <summary>A writer; a second one of the same name is a second process.</summary>
    public AuditTrail Open(string writer = "main", IEntityStore? store = null)
    {
        var trail = new AuditTrail(store ?? Store, new() { Writer = writer }, Time, NullLogger<AuditTrail>.Instance);
        _trails.Add(trail);
        return trail;
    }

    public static AuditEvent Event(string what, AuditKind? kind = null) => new()
    {
        Kind = kind ?? Kind, Actor = AuditActor.Principal("key:ops"), Payload = PayloadHash.Of(what), Reason = what,
    };

    /// <summary>The change of a state, as a feature would make it.</summary>
    public static EntityTransaction Change(string what) =>
        EntityTransaction.Of("States", EntityOperation.Upsert(new Entity("p", what) { Properties = { ["Is"] = what } }));

    public async Task<bool> HasStateAsync(string what) => await Real.GetAsync("States", "p", what, Cancellation) is not null;

    /// <summary>What the chain holds, after checking by hand that it is one.</summary>
    public async Task<IReadOnlyList<AuditEntry>> ReadAsync(string chain = "main")
    {
        List<AuditEntry> entries = [];
        if (await Real.GetAsync(AuditRows.EntriesTable, chain, AuditRows.HeadRow, Cancellation) is not { } row)
        {
            return entries;
        }

        var head = AuditRows.ReadHead(row);
        await foreach (var entry in AuditChainReader.ReadAsync(Real, chain, 1, long.MaxValue - 1, Cancellation))
        {
            entries.Add(entry);
        }

        var previous = new string('0', 64);
        for (var i = 0; i < entries.Count; i++)
        {
            Assert.Equal(i + 1, entries[i].Sequence);
            previous = HashByHand(entries[i], previous);
            Assert.Equal(previous, Convert.ToHexStringLower(entries[i].Hash.Span));
        }

        Assert.Equal(entries.Count, head.Sequence);
        Assert.Equal(previous, Convert.ToHexStringLower(head.Hash.Span));
        return entries;
    }

    public async Task<IReadOnlyList<string?>> ReasonsAsync(string chain = "main") =>
        [.. (await ReadAsync(chain)).Select(static entry => entry.Read()!.Reason)];

    /// <summary>The hash as <c>docs/audit.md</c> describes it, made without the product's code.</summary>
    public static string HashByHand(AuditEntry entry, string previous)
    {
        var content = Convert.ToHexStringLower(SHA256.HashData(entry.Content!.Value.Span));
        var text = string.Join('\n', "dingflow-audit-1", entry.Chain, entry.Sequence.ToString(CultureInfo.InvariantCulture),
            entry.RecordedAt.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", CultureInfo.InvariantCulture), entry.Kind,
            entry.Retention == AuditRetention.Legal ? "legal" : "operational", content, previous);
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var trail in _trails)
        {
            await trail.DisposeAsync();
        }

        _database.Dispose();
        _data.Dispose();
    }
}
