using System.Diagnostics;
using System.Globalization;
using DingFlow.Storage;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Benchmarks.Ledger;

/// <summary>
/// The exact ledger at its door, on SQLite, durable, beside Redis and PostgreSQL doing the same work in the same run:
/// <c>ledger [--subjects 100000,1000000] [--only ledger,redis,postgres,tables,growth] [--ten-million]</c>.
/// </summary>
/// <remarks>
/// Redis and PostgreSQL come from Debian (<c>apt-get install redis-server postgresql</c>); the benchmark starts private instances on
/// free loopback ports with data directories of their own. Where they are missing, they are skipped and that is said.
/// </remarks>
internal static class LedgerBenchmark
{
    public static async Task RunAsync(string[] args)
    {
        foreach (var subjects in (Text(args, "--subjects") ?? "1000000").Split(','))
        {
            await RunAsync(args, long.Parse(subjects, CultureInfo.InvariantCulture));
        }

        if (Chosen(args).Contains("growth"))
        {
            await GrowthAsync(args.Contains("--ten-million") ? 10_000_000 : 1_000_000);
        }

        if (Chosen(args).Contains("tables"))
        {
            await TablesStorageWork.RunAsync();
        }
    }

    private static string[] Chosen(string[] args) => Text(args, "--only")?.Split(',') ?? ["ledger", "redis", "postgres", "tables", "growth"];

    private static async Task RunAsync(string[] args, long subjects)
    {
        var only = Chosen(args);
        Console.WriteLine($"{subjects:N0} distinct subjects among {new LedgerWorkload(subjects).Records:N0} records, 8 counters each, "
            + $"{Environment.ProcessorCount} cores, load {File.ReadAllText("/proc/loadavg").Split(' ')[0]}");
        List<Measured> results = [];
        if (only.Contains("ledger"))
        {
            results.Add(await SqliteAsync(new(subjects)));
        }

        if (only.Contains("stages"))
        {
            await LedgerStages.RunAsync(new(subjects));
        }

        if (only.Contains("redis"))
        {
            results.AddRange(await RedisBaseline.RunAsync(new(subjects)));
        }

        if (only.Contains("postgres"))
        {
            results.AddRange(await PostgresBaseline.RunAsync(new(subjects)));
        }

        if (results.FirstOrDefault(result => result.Name == "ledger") is { } ledger)
        {
            foreach (var result in results.Where(result => result != ledger))
            {
                Console.WriteLine(
                    $"ledger / {result.Name}: {ledger.PerSecond / result.PerSecond:F2} by the clock, {result.Processor / ledger.Processor:F2} by processor time");
            }
        }
    }

    /// <summary>Says what was measured.</summary>
    public static Measured Report(string name, long records, TimeSpan elapsed, TimeSpan processor, string more)
    {
        var measured = new Measured(name, records / elapsed.TotalSeconds, processor.TotalMicroseconds / records);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture,
            $"{name,-22} {elapsed.TotalSeconds,8:F2} s {measured.PerSecond,12:N0} records/s; processor {measured.Processor:F2} µs per record; {more}"));
        return measured;
    }

    private static async Task<Measured> SqliteAsync(LedgerWorkload workload)
    {
        await using var world = new SqliteWorld();
        List<double> waits = [];
        var processor = Environment.CpuUsage.TotalTime;
        var clock = Stopwatch.StartNew();
        await ImportAsync(world.Ledger, workload.Batches(), "import", waits);
        var counters = await world.Ledger.ReadCountersAsync(LedgerWorkload.Exporter, LedgerWorkload.Year, default);
        clock.Stop();
        if (counters.Subjects != workload.Subjects)
        {
            throw new InvalidOperationException($"The ledger counted {counters.Subjects} subjects.");
        }

        // The first appends compile what the later ones run; the published program has it compiled.
        var first = waits[0];
        waits.RemoveRange(0, Math.Min(2, waits.Count - 1));
        waits.Sort();
        return Report("ledger", workload.Records, clock.Elapsed, Environment.CpuUsage.TotalTime - processor, string.Create(
            CultureInfo.InvariantCulture,
            $"append p50 {waits[waits.Count / 2]:F1} ms, p99 {waits[waits.Count * 99 / 100]:F1} ms, max {waits[^1]:F1} ms (first {first:F0} ms); peak memory {PeakMemory():F0} MB; on disk {world.Bytes() / 1e6:F0} MB; {MemoryNow()}"));
    }

    /// <summary>What the process holds now, by kind.</summary>
    private static string MemoryNow()
    {
        var heap = GC.GetGCMemoryInfo(GCKind.Any);
        return string.Create(
            CultureInfo.InvariantCulture,
            $"now anonymous {Status("RssAnon"):F0} MB, of files {Status("RssFile"):F0} MB; heap {heap.HeapSizeBytes / 1e6:F0} MB of {heap.TotalCommittedBytes / 1e6:F0} MB committed, large objects {heap.GenerationInfo[3].SizeAfterBytes / 1e6:F0} MB; SQLite {SQLitePCL.raw.sqlite3_memory_used() / 1e6:F0} MB; collections {GC.CollectionCount(0)}/{GC.CollectionCount(1)}/{GC.CollectionCount(2)}");
    }

    private static async Task ImportAsync(SubjectLedger ledger, IEnumerable<List<SubjectTransfer>> batches, string id, List<double> waits)
    {
        var part = 0;
        foreach (var batch in batches)
        {
            var started = Stopwatch.GetTimestamp();
            await ledger.AppendAsync(new(id, part++, batch), default);
            waits.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }
    }

    /// <summary>
    /// How the time per record grows with the subjects that the ledger holds: over whole imports, and over the last tenth of each. Another
    /// writer of the same file says how long it waits.
    /// </summary>
    private static async Task GrowthAsync(long most)
    {
        // What is compiled at its first use is compiled before.
        await MeasureGrowthAsync(SmallestGrowth * 10, 1);
        await MeasureGrowthAsync(SmallestGrowth, 2);
        Growth? first = null;
        for (var subjects = SmallestGrowth; subjects <= most; subjects *= 10)
        {
            var (growth, waits) = await MeasureGrowthAsync(subjects, (int)Math.Clamp(3_000_000 / subjects, 1, 10));
            first ??= growth;
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"growth to {subjects,11:N0}: {growth.Clock:F2} µs per record ({growth.Clock / first.Clock:F2} x), the last tenth {growth.LastClock:F2} ({growth.LastClock / first.LastClock:F2} x); "
                + $"processor {growth.Processor:F2} ({growth.Processor / first.Processor:F2} x), the last tenth {growth.LastProcessor:F2} ({growth.LastProcessor / first.LastProcessor:F2} x)"));
            Console.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"        another writer of the same file waits p50 {waits.Median():F1} ms, p99 {waits.Percentile(0.99):F1} ms, max {waits.Max():F1} ms ({waits.Count} writes); peak memory {PeakMemory():F0} MB, on disk {growth.Disk / 1e6:F0} MB"));
        }
    }

    private static async Task<(Growth Growth, List<double> Waits)> MeasureGrowthAsync(long subjects, int times)
    {
        List<Growth> all = [];
        List<double> waits = [];
        for (var i = 0; i < times; i++)
        {
            await using var world = new SqliteWorld();
            await using var others = new OtherWriters(world.Store);
            var workload = new LedgerWorkload(subjects);
            var (part, done, last) = (0, 0L, workload.Records * 9 / 10);
            var (whole, tenth) = (new Meter(), new Meter());
            foreach (var window in workload.Batches().Chunk(BatchesPerWindow))
            {
                // The records are made before; when the meters stop, nothing is merged in the background any more.
                whole.Start();
                if (done >= last || workload.Records <= BatchesPerWindow * LedgerWorkload.BatchSize)
                {
                    tenth.Start();
                }

                foreach (var batch in window)
                {
                    await world.Ledger.AppendAsync(new("growth", part++, batch), default);
                }

                await world.Ledger.MergeAsync(LedgerWorkload.Exporter, default);
                done += window.Sum(batch => (long)batch.Count);
                whole.Stop(window);
                tenth.Stop(window);
            }

            waits.AddRange(others.Take());
            all.Add(new(
                whole.Clock / whole.Records, tenth.Clock / tenth.Records, whole.Processor / whole.Records, tenth.Processor / tenth.Records,
                world.Bytes()));
        }

        return (new(
            all.Select(one => one.Clock).Median(), all.Select(one => one.LastClock).Median(), all.Select(one => one.Processor).Median(),
            all.Select(one => one.LastProcessor).Median(), all[0].Disk), waits);
    }

    private const long SmallestGrowth = 100_000;
    private const int BatchesPerWindow = 12;

    /// <summary>Time (µs) per record by the clock and of the processor, over an import and over its last tenth; bytes on disk.</summary>
    private sealed record Growth(double Clock, double LastClock, double Processor, double LastProcessor, long Disk);

    /// <summary>Time in µs, from start to stop again and again.</summary>
    private sealed class Meter
    {
        private long _started;
        private TimeSpan _processor;

        public double Clock { get; private set; }

        public double Processor { get; private set; }

        public void Start()
        {
            if (_started == 0)
            {
                (_started, _processor) = (Stopwatch.GetTimestamp(), Environment.CpuUsage.TotalTime);
            }
        }

        public long Records { get; private set; }

        public void Stop(List<SubjectTransfer>[] window)
        {
            if (_started != 0)
            {
                Records += window.Sum(batch => (long)batch.Count);
                Clock += Stopwatch.GetElapsedTime(_started).TotalMicroseconds;
                Processor += (Environment.CpuUsage.TotalTime - _processor).TotalMicroseconds;
                _started = 0;
            }
        }
    }

    private static double PeakMemory() => Status("VmHWM");

    private static double Status(string name)
    {
        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) / 1000.0;
    }

    private static string? Text(string[] args, string name)
    {
        var at = Array.IndexOf(args, name);
        return at >= 0 && at + 1 < args.Length ? args[at + 1] : null;
    }

    public static PredicateSet Predicates { get; } = PredicateSet.Load(new(1UL << (int)DataClass.Finance));

    /// <summary>A ledger on SQLite in a directory of its own.</summary>
    private sealed class SqliteWorld : IAsyncDisposable
    {
        private readonly string _directory = Directory.CreateTempSubdirectory("dingflow-ledger-").FullName;
        private readonly SqliteDatabase _database;

        public SqliteWorld()
        {
            _database = new(_directory);
            Store = new(_database, TimeProvider.System);
            Ledger = new(
                Store, new("benchmark"), Predicates, TimeProvider.System,
                NullLogger<SubjectLedger>.Instance);
        }

        public SqliteEntityStore Store { get; }

        public SubjectLedger Ledger { get; }

        public long Bytes() => new DirectoryInfo(_directory).GetFiles().Sum(file => file.Length);

        public async ValueTask DisposeAsync()
        {
            await Ledger.DisposeAsync();
            _database.Dispose();
            Directory.Delete(_directory, recursive: true);
        }
    }
}

/// <summary>
/// Somebody else who writes a row into the same file every few milliseconds: how long it waits is how long the writer is held, plus its own
/// sync.
/// </summary>
internal sealed class OtherWriters : IAsyncDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(3);

    private readonly CancellationTokenSource _end = new();
    private readonly List<double> _waits = [];
    private readonly Task _work;

    public OtherWriters(IEntityStore store) => _work = Task.Run(async () =>
    {
        while (!_end.IsCancellationRequested)
        {
            var started = Stopwatch.GetTimestamp();
            await store.SubmitAsync(EntityTransaction.Of("LedgerProbe", EntityOperation.Upsert(new Entity("probe", "probe"))), default);
            lock (_waits)
            {
                _waits.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }

            await Task.Delay(Pause, TimeProvider.System, default);
        }
    });

    /// <summary>How long each write waited, in ms, since it was last asked for.</summary>
    public List<double> Take()
    {
        lock (_waits)
        {
            List<double> taken = [.. _waits];
            _waits.Clear();
            return taken;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _work;
        _end.Dispose();
    }
}

/// <summary>What one program did: records per second by the clock, and processor time (µs) for each, its client's included.</summary>
internal sealed record Measured(string Name, double PerSecond, double Processor);
