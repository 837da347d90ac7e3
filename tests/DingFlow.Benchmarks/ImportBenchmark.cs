using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using DingFlow.Benchmarks.Ledger;

namespace DingFlow.Benchmarks;

/// <summary>
/// A million persons' records in one request, from the first byte sent to counters that hold them all: as NDJSON, as an array of CloudEvents,
/// and as lines that are not written alike; then as NDJSON again with a thousand webhooks a second beside it. The program runs as it is
/// deployed, on one machine.
/// </summary>
internal static class ImportBenchmark
{
    private const int Connections = 64;
    private const double Rate = 1_000;
    private const string Beside = "beside";

    /// <summary>As many webhooks as `accept` sends before it measures the same rate: what compiling costs a young process is no part of either.</summary>
    private const int WarmUp = 20_000;

    public static async Task RunAsync(Options options)
    {
        var programs = await Publication.MakeAsync(options);
        var workload = new LedgerWorkload(1_000_000);
        Console.WriteLine($"{workload.Records:N0} records of {workload.Subjects:N0} persons in one request\n");
        Console.WriteLine("| import | MiB | records/s | seconds to the answer | to counters | server µs each | peak resident MiB | of it private | of it files | webhooks p50 ms | p99 | p99.9 | refused |");
        Console.WriteLine("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (var writing in ImportWriting.All.Where(writing => options.Only?.Contains(writing.Name) != false))
        {
            await MeasureAsync(programs, workload, writing, withWebhooks: false, options.Runs ?? 3);
        }

        if (options.Only?.Contains(Beside) != false)
        {
            await MeasureAsync(programs, workload, ImportWriting.All[0], withWebhooks: true, options.Runs ?? 3);
        }

        Console.WriteLine($"\nload {Statistics.Load()}");
    }

    private static async Task MeasureAsync(Publication programs, LedgerWorkload workload, ImportWriting writing, bool withWebhooks, int runs)
    {
        var file = Path.Combine(Path.GetTempPath(), $"dingflow-bench-{Guid.NewGuid():N}");
        try
        {
            await writing.WriteAsync(workload, file);
            for (var run = 0; run < runs; run++)
            {
                Print(
                    withWebhooks ? $"{writing.Name}, beside 1 000 webhooks/s" : writing.Name, new FileInfo(file).Length >> 20,
                    await MeasureAsync(programs, workload, writing, file, withWebhooks));
            }
        }
        finally
        {
            File.Delete(file);
        }
    }

    private static void Print(string name, long size, Sample sample) => Console.WriteLine(
        $"| {name} | {size} | {sample.PerSecond.Text("0")} | {sample.Answered.Text("0.00")} | {sample.Counted.Text("0.00")} | {sample.Processor.Text("0.00")} | {sample.Peak.Resident.Text("0")} | {sample.Peak.Private.Text("0")} | {sample.Peak.Files.Text("0")} | {Of(sample, 0.5)} | {Of(sample, 0.99)} | {Of(sample, 0.999)} | {sample.Webhooks?.Refused.ToString(CultureInfo.InvariantCulture) ?? "–"} |");

    private static async Task<Sample> MeasureAsync(
        Publication programs, LedgerWorkload workload, ImportWriting writing, string file, bool withWebhooks)
    {
        var webhooks = new SignedWebhooks();
        var directory = Directory.CreateTempSubdirectory("dingflow-bench-").FullName;
        var port = ProgramProcess.FreePort();
        await using var program = ProgramProcess.Start(programs.Product, port, directory, webhooks.Settings(port));
        try
        {
            var path = $"/api/hr/{SignedWebhooks.Source}";
            await program.FirstAnswerAsync(webhooks.One(path, "B0000000", immediate: false));
            var key = await File.ReadAllTextAsync(Path.Combine(directory, "data", "api-key"));
            if (withWebhooks)
            {
                await LoadGenerator.ClosedLoopAsync(port, webhooks.Many(path, WarmUp), Connections);
                await RestAsync(program);
            }

            using var done = new CancellationTokenSource();
            var load = withWebhooks ? LoadGenerator.OpenLoopAsync(port, webhooks.Many(path, (int)Rate * 60), Connections, Rate, done.Token) : null;
            var before = program.ProcessorSeconds;
            using var memory = new MemoryWatch(program);
            var clock = Stopwatch.StartNew();
            await SendAsync(port, key, writing.ContentType, file);
            var answered = clock.Elapsed.TotalSeconds;
            await CountedAsync(port, key, workload);
            var counted = clock.Elapsed.TotalSeconds;
            memory.Dispose();
            var processor = (program.ProcessorSeconds - before) / workload.Records * 1e6;
            await done.CancelAsync();
            return new Sample(
                workload.Records / counted, answered, counted, processor, memory.Peak with { Resident = program.PeakResident }, load is null ? null : await load);
        }
        finally
        {
            await program.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Waits until the program has done what the webhooks left it to do.</summary>
    private static async Task RestAsync(ProgramProcess program)
    {
        const double busy = 0.05;
        for (var before = program.ProcessorSeconds; ; before = program.ProcessorSeconds)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
            if (program.ProcessorSeconds - before < busy)
            {
                return;
            }
        }
    }

    /// <summary>The file as the body of one request, straight from the kernel's memory to the socket: the sender must not be what is measured.</summary>
    private static async Task SendAsync(int port, string key, string contentType, string file)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port);
        await socket.SendAsync(Encoding.ASCII.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $"POST /api/transfers HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nIdempotency-Key: benchmark\r\nContent-Type: {contentType}\r\nContent-Length: {new FileInfo(file).Length}\r\n\r\n")));
        await socket.SendFileAsync(file);
        var buffer = new byte[64 * 1024];
        for (var filled = 0; HttpAnswer.Length(buffer.AsSpan(0, filled)) == 0;)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(filled));
            filled += read > 0 ? read : throw new IOException("The program closed the connection.");
        }

        if (HttpAnswer.Status(buffer) != 202 || !Encoding.UTF8.GetString(buffer).Contains("\"complete\":true", StringComparison.Ordinal))
        {
            throw new InvalidOperationException($"The import was answered: {Encoding.UTF8.GetString(buffer)[..500]}");
        }
    }

    private static async Task CountedAsync(int port, string key, LedgerWorkload workload)
    {
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", key);
        using var counters = JsonDocument.Parse(
            await client.GetStringAsync($"/api/transfers/counters?exporter={LedgerWorkload.Exporter}&year={LedgerWorkload.Year}"));
        if (counters.RootElement.GetProperty("subjects").GetInt64() is var subjects && subjects != workload.Subjects)
        {
            throw new InvalidOperationException($"{subjects} subjects were counted.");
        }
    }

    private static string Of(Sample sample, double share) => sample.Webhooks is { } load ? load.Latencies.Percentile(share).Text("0.0") : "–";

    /// <summary>One import: records per second until counted, seconds, processor time (µs) of the program for each record, memory (MiB).</summary>
    private sealed record Sample(
        double PerSecond, double Answered, double Counted, double Processor, ProgramMemory Peak, LoadResult? Webhooks);

    /// <summary>Looks at the memory of a program again and again: what of the most is private, and what pages of files that the kernel can take back.</summary>
    private sealed class MemoryWatch : IDisposable
    {
        private readonly Thread _thread;
        private volatile bool _ended;

        public MemoryWatch(ProgramProcess program)
        {
            Peak = program.Memory;
            _thread = new Thread(() =>
            {
                while (!_ended)
                {
                    if (program.Memory is var memory && memory.Resident > Peak.Resident)
                    {
                        Peak = memory;
                    }

#pragma warning disable RS0030 // This thread is the clock: blocking it is its purpose.
                    Thread.Sleep(TimeSpan.FromMilliseconds(10));
#pragma warning restore RS0030
                }
            }) { IsBackground = true };
            _thread.Start();
        }

        public ProgramMemory Peak { get; private set; }

        public void Dispose()
        {
            _ended = true;
            _thread.Join();
        }
    }
}
