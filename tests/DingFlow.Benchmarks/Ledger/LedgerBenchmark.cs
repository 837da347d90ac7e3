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
                Console.WriteLine($"ledger / {result.Name}: {ledger.PerSecond / result.PerSecond:F2}");
            }
        }
    }

    /// <summary>Says what was measured.</summary>
    public static Measured Report(string name, long records, TimeSpan elapsed, string more = "")
    {
        var measured = new Measured(name, records / elapsed.TotalSeconds);
        Console.WriteLine(string.Create(
            CultureInfo.InvariantCulture, $"{name,-22} {elapsed.TotalSeconds,8:F2} s {measured.PerSecond,12:N0} records/s  {more}"));
        return measured;
    }

    private static async Task<Measured> SqliteAsync(LedgerWorkload workload)
    {
        await using var world = new SqliteWorld();
        List<double> waits = [];
        var processor = Process.GetCurrentProcess().TotalProcessorTime;
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
        var used = Process.GetCurrentProcess().TotalProcessorTime - processor;
        return Report("ledger", workload.Records, clock.Elapsed, string.Create(
            CultureInfo.InvariantCulture,
            $"append p50 {waits[waits.Count / 2]:F1} ms, p99 {waits[waits.Count * 99 / 100]:F1} ms, max {waits[^1]:F1} ms (first {first:F0} ms); processor {used.TotalSeconds:F2} s; peak memory {PeakMemory():F0} MB; on disk {world.Bytes() / 1e6:F0} MB"));
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

    /// <summary>How the time per record grows: windows of 120 000 records, when the ledger holds few subjects and when it holds many.</summary>
    private static async Task GrowthAsync(long most)
    {
        await using var world = new SqliteWorld();
        await using var others = new OtherWriters(world.Store);
        var workload = new LedgerWorkload(most);
        var (part, done, reported) = (0, 0L, 100_000L);
        var window = new List<List<SubjectTransfer>>();
        List<double> waits = [];
        double first = 0;
        foreach (var batch in workload.Batches())
        {
            window.Add(batch);
            if (window.Count < 12)
            {
                continue;
            }

            var records = window.Sum(b => (long)b.Count);
            var clock = Stopwatch.StartNew();
            foreach (var item in window)
            {
                var started = Stopwatch.GetTimestamp();
                await world.Ledger.AppendAsync(new("growth", part++, item), default);
                waits.Add(Stopwatch.GetElapsedTime(started).TotalMilliseconds);
            }

            await world.Ledger.MergeAsync(LedgerWorkload.Exporter, default);
            clock.Stop();
            window.Clear();
            done += records;
            var microseconds = clock.Elapsed.TotalMicroseconds / records;
            first = first == 0 ? microseconds : first;
            if (done >= reported)
            {
                Console.WriteLine(string.Create(
                    CultureInfo.InvariantCulture,
                    $"growth: after {done,11:N0} records {microseconds:F2} µs per record ({microseconds / first:F2} x the first window); peak memory {PeakMemory():F0} MB, on disk {world.Bytes() / 1e6:F0} MB"));
                Console.WriteLine($"        since then: append max {waits.Max():F1} ms; another writer of the same file waits p50 {others.Take(out var longest):F1} ms, max {longest:F1} ms");
                waits.Clear();
                reported = Math.Min(reported * 10, Math.Max(workload.Records - (BatchesPerWindow * LedgerWorkload.BatchSize), reported + 1));
            }
        }
    }

    private const int BatchesPerWindow = 12;

    private static double PeakMemory()
    {
        var line = File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmHWM", StringComparison.Ordinal));
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

    /// <summary>The median since it was last asked for.</summary>
    public double Take(out double longest)
    {
        lock (_waits)
        {
            longest = _waits.Max();
            var median = _waits.Median();
            _waits.Clear();
            return median;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _end.CancelAsync();
        await _work;
        _end.Dispose();
    }
}

/// <summary>What one program did.</summary>
internal sealed record Measured(string Name, double PerSecond);
