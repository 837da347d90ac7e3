using System.Diagnostics;
using System.Text;

namespace DingFlow.Benchmarks;

/// <summary>
/// Process start to the first 202 of a signed webhook, against an empty Kestrel program to its first 200, and against a bare endpoint for
/// the same webhook (HMAC, one synced row) to its first 202. The starts alternate, so that whatever else the machine does meets all alike.
/// Between two starts DingFlow finishes its work and is stopped, so that a start has nothing left over from the one before.
/// </summary>
internal static class StartBenchmark
{
    private static readonly byte[] Get = Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");

    private static readonly TimeSpan Settling = TimeSpan.FromMilliseconds(600);

    public static async Task RunAsync(Options options)
    {
        var programs = await Publication.MakeAsync(options);
        var webhooks = new SignedWebhooks();
        var root = Directory.CreateTempSubdirectory("dingflow-bench-").FullName;
        var kept = Path.Combine(root, "kept");
        var samples = new Dictionary<string, List<(double Milliseconds, double Processor, double Resident)>>();
        try
        {
            for (var run = -2; run < (options.Runs ?? 21); run++)
            {
                await MeasureAsync("empty, nothing but Kestrel", run, () => StartEmpty(programs, "empty", root), Get, 200);
                await MeasureAsync("empty, as dotnet new web", run, () => StartEmpty(programs, "web", root), Get, 200);
                await MeasureAsync("bare webhook endpoint", run, () => StartBare(programs, webhooks, root), webhooks.One("/", "B0000000", immediate: false), 202);
                await MeasureAsync("DingFlow", run, () => StartProduct(programs, webhooks, kept), Webhook(), 202);
                await MeasureAsync(
                    "DingFlow, first start ever", run, () => StartProduct(programs, webhooks, Path.Combine(root, $"new{run}")), Webhook(), 202);
            }
        }
        finally
        {
            Directory.Delete(root, recursive: true);
        }

        var reference = samples["empty, as dotnet new web"].Select(sample => sample.Milliseconds).Median();
        var referenceProcessor = samples["empty, as dotnet new web"].Select(sample => sample.Processor).Median();
        Console.WriteLine($"\n## start (median of {samples["DingFlow"].Count} alternating starts, load {Statistics.Load()})\n");
        Console.WriteLine("| program | ratio | ms | lowest ms | processor ratio | processor ms | resident MiB |\n|---|---|---|---|---|---|---|");
        foreach (var (name, all) in samples)
        {
            var (time, processor) = (all.Select(sample => sample.Milliseconds).Median(), all.Select(sample => sample.Processor).Median());
            Console.WriteLine(
                $"| {name} | {(time / reference).Text("0.00")} | {time.Text("0")} | {all.Min(sample => sample.Milliseconds).Text("0")} | {(processor / referenceProcessor).Text("0.00")} | {processor.Text("0")} | {all.Select(sample => sample.Resident).Median().Text("0")} |");
        }

        Console.WriteLine($"\nsize on disk: DingFlow {Publication.Size(programs.Product) >> 20} MiB, empty {Publication.Size(programs.Empty) >> 20} MiB");

        byte[] Webhook() => webhooks.One($"/api/hr/{SignedWebhooks.Source}", "B0000000", immediate: false);

        async Task MeasureAsync(string name, int run, Func<ProgramProcess> start, byte[] request, int expected)
        {
            await using var program = start();
            var status = await program.FirstAnswerAsync(request);
            var time = Stopwatch.GetElapsedTime(program.Started).TotalMilliseconds;
            var (processor, memory) = (program.ProcessorSeconds * 1000, program.Memory.Resident);
            if (expected == 202)
            {
                await Task.Delay(Settling, TimeProvider.System, CancellationToken.None);
                await program.StopAsync();
            }

            if (status != expected)
            {
                throw new InvalidOperationException($"{name} answered {status}.");
            }

            // The first rounds fill the disk cache and the data directory.
            if (run >= 0)
            {
                (samples.TryGetValue(name, out var list) ? list : samples[name] = []).Add((time, processor, memory));
            }
        }
    }

    private static ProgramProcess StartEmpty(Publication programs, string builder, string directory)
    {
        var port = ProgramProcess.FreePort();
        return ProgramProcess.Start(programs.Empty, port, directory, new Dictionary<string, string>
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
            ["EMPTY_BUILDER"] = builder,
        });
    }

    private static ProgramProcess StartBare(Publication programs, SignedWebhooks webhooks, string directory)
    {
        var port = ProgramProcess.FreePort();
        return ProgramProcess.Start(programs.Webhook, port, directory, new Dictionary<string, string>
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
            ["WEBHOOK_SECRET"] = webhooks.Base64Secret,
            ["WEBHOOK_STORE"] = "rows.db",
        });
    }

    private static ProgramProcess StartProduct(Publication programs, SignedWebhooks webhooks, string directory)
    {
        var port = ProgramProcess.FreePort();
        return ProgramProcess.Start(programs.Product, port, directory, webhooks.Settings(port));
    }
}
