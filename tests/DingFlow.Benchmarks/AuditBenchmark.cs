using System.Diagnostics;
using System.Globalization;
using DingFlow.Audit;
using DingFlow.Messaging;
using DingFlow.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Benchmarks;

/// <summary>
/// What a trail that can be proved costs: entries per second, sealing included, beside the same content written as plain rows into the same
/// store by the same number of callers; then how long a million entries take to verify.
/// </summary>
internal static class AuditBenchmark
{
    private const int Callers = 256;
    private const int Entries = 60_000;
    private const int Million = 1_000_000;
    private const int Rounds = 3;

    private static readonly AuditKind Kind = new("benchmark.happened", AuditRetention.Operational, "Something happened in a benchmark.");

    public static async Task RunAsync()
    {
        List<Cost> plain = [], trail = [];
        for (var round = 0; round < Rounds; round++)
        {
            plain.Add(await MeasureAsync(PlainAsync));
            trail.Add(await MeasureAsync(TrailAsync));
        }

        Say("plain rows:         ", plain);
        Say("trail, with sealing:", trail);
        var pairs = plain.Zip(trail).ToList();
        Say($"ratio:                 {Median(pairs.Select(static pair => pair.Second.PerSecond / pair.First.PerSecond)):N2} x entries/s (aim: at least 0.5 x), {Median(pairs.Select(static pair => pair.First.Processor / pair.Second.Processor)):N2} x by processor time");
        await VerifyAsync();
    }

    private static async Task<Cost> MeasureAsync(Func<SqliteEntityStore, Task> run)
    {
        var directory = Directory.CreateTempSubdirectory("dingflow-audit-benchmark-").FullName;
        try
        {
            using var database = new SqliteDatabase(directory);
            var store = new SqliteEntityStore(database, TimeProvider.System);
            await store.GetAsync("Warm", "p", "r", CancellationToken.None);
            var (watch, processor, written) = (Stopwatch.StartNew(), Environment.CpuUsage.TotalTime, Written());
            await run(store);
            return new(
                Entries / watch.Elapsed.TotalSeconds, (Environment.CpuUsage.TotalTime - processor).TotalMicroseconds / Entries, (Written() - written) / (double)Entries);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static Task PlainAsync(SqliteEntityStore store) => ManyAsync(Entries, i =>
    {
        // What a careful engineer would log: the same facts, one row each.
        var one = Event(i);
        return store.SubmitAsync(
            EntityTransaction.Of("Plain", EntityOperation.Insert(new Entity("2026-11-25", i.ToString("D9", CultureInfo.InvariantCulture))
            {
                Properties =
                {
                    ["At"] = TimeProvider.System.GetUtcNow(), ["Kind"] = one.Kind.Name, ["Actor"] = one.Actor.Id, ["On"] = one.On!.Id, ["Case"] = one.CaseId,
                    ["Subject"] = one.Subject, ["Reason"] = one.Reason, ["RequestId"] = one.RequestId, ["Payload"] = one.Payload.Hex,
                },
            })),
            CancellationToken.None);
    });

    private static async Task TrailAsync(SqliteEntityStore store)
    {
        var time = new MovedTime();
        await using var trail = new AuditTrail(store, new(), time, NullLogger<AuditTrail>.Instance);
        await ManyAsync(Entries, i => trail.AppendAsync(Event(i), CancellationToken.None));
        time.Move(TimeSpan.FromDays(1));
        var seals = await new AuditSealer(store, new AuditSeals(store), time, NullLogger<AuditSealer>.Instance).SealAsync(CancellationToken.None);
        if (seals.Sum(static seal => seal.Count) != Entries)
        {
            throw new InvalidOperationException("Not everything was sealed.");
        }
    }

    private static async Task VerifyAsync()
    {
        var directory = Directory.CreateTempSubdirectory("dingflow-audit-benchmark-").FullName;
        try
        {
            using var database = new SqliteDatabase(directory);
            var time = new MovedTime();
            var store = new SqliteEntityStore(database, time);
            await using (var trail = new AuditTrail(store, new(), time, NullLogger<AuditTrail>.Instance))
            {
                await ManyAsync(Million, i => trail.AppendAsync(Event(i), CancellationToken.None), 4 * Callers);
            }

            time.Move(TimeSpan.FromDays(1));
            var seals = new AuditSeals(store);
            var watch = Stopwatch.StartNew();
            await new AuditSealer(store, seals, time, NullLogger<AuditSealer>.Instance).SealAsync(CancellationToken.None);
            Say($"sealing a million:     {watch.Elapsed.TotalSeconds:N1} s");
            var search = new AuditSearch(store, seals);
            var verifier = new AuditVerifier(store, seals, new AuditRetentionPolicy(new AuditOptions(), search, time), new NoAnchors(), new AuditArchive(store, new NoFiles()), time);
            watch.Restart();
            var result = await verifier.VerifyAsync(null, null, CancellationToken.None);
            Say($"verifying a million:   {watch.Elapsed.TotalSeconds:N1} s (aim: under 60 s); {result.Entries:N0} entries, whole: {result.Ok}");
            if (!result.Ok || result.Entries != Million)
            {
                throw new InvalidOperationException("The verification did not find what was written.");
            }
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Bytes that this process has handed to the kernel to be written.</summary>
    private static long Written() => long.Parse(
        File.ReadLines("/proc/self/io").First(static line => line.StartsWith("wchar:", StringComparison.Ordinal)).AsSpan("wchar:".Length), CultureInfo.InvariantCulture);

    private static Task ManyAsync(int count, Func<int, Task> act, int callers = Callers)
    {
        var next = -1;
        return Task.WhenAll(Enumerable.Range(0, callers).Select(_ => Task.Run(async () =>
        {
            for (var i = Interlocked.Increment(ref next); i < count; i = Interlocked.Increment(ref next))
            {
                await act(i);
            }
        })));
    }

    private static AuditEvent Event(int i) => new()
    {
        Kind = Kind,
        Actor = AuditActor.Principal("key:operations"),
        Payload = PayloadHash.Of(BitConverter.GetBytes(i)),
        On = new("case", "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b"),
        CaseId = "0190a1b2c3d47e5f8a9b0c1d2e3f4a5b",
        Subject = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        Reason = "The step ended as the plan wants it.",
        RequestId = "4bf92f3577b34da6a3ce929d0e0e4736",
    };

    private static double Median(IEnumerable<double> values)
    {
        var sorted = values.Order().ToList();
        return sorted[sorted.Count / 2];
    }

    private static void Say(string what, IReadOnlyList<Cost> costs) => Say(
        $"{what}   {Median(costs.Select(static one => one.PerSecond)):N0} entries/s, {Median(costs.Select(static one => one.Processor)):N1} µs of processor and {Median(costs.Select(static one => one.Written)):N0} bytes written for each");

    private static void Say(FormattableString line) => Console.WriteLine(line.ToString(CultureInfo.InvariantCulture));

    /// <summary>What entries cost. Processor time, in microseconds for one, hardly depends on what else the machine does.</summary>
    private sealed record Cost(double PerSecond, double Processor, double Written);

    /// <summary>The clock of the machine, moved.</summary>
    private sealed class MovedTime : TimeProvider
    {
        private TimeSpan _by;

        public void Move(TimeSpan by) => _by += by;

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + _by;
    }

    private sealed class NoAnchors : IAuditAnchors
    {
        public bool IsNone => true;

        public IAsyncEnumerable<AuditHeads> HeadsAsync(string fromDay, CancellationToken cancellationToken) => AsyncEnumerable.Empty<AuditHeads>();

        public Task<string?> LastDayAsync(CancellationToken cancellationToken) => Task.FromResult<string?>(null);

        public Task<AuditAnchor?> ReadAsync(string day, CancellationToken cancellationToken) => Task.FromResult<AuditAnchor?>(null);
    }
}
