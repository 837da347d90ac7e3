using System.Text;

namespace DingFlow.Benchmarks;

/// <summary>Accepting signed webhooks against a bare endpoint that checks the same HMAC and syncs one row.</summary>
internal static class AcceptBenchmark
{
    private const int Connections = 64;
    private const int WarmUp = 3_000;
    private const double Rate = 1_000;

    private enum Side
    {
        Product,
        ProductPaused,
        Bare,
        BareWithoutRow,
    }

    public static async Task RunAsync(Options options)
    {
        var programs = await Publication.MakeAsync(options);
        var (runs, seconds) = (options.Runs ?? 5, options.Seconds ?? 8);
        var samples = Enum.GetValues<Side>().ToDictionary(side => side, _ => new List<Sample>());
        for (var run = 0; run < runs; run++)
        {
            foreach (var side in Enum.GetValues<Side>())
            {
                var sample = await MeasureAsync(programs, side, seconds);
                samples[side].Add(sample);
                Console.WriteLine($"{side}: {sample}");
            }
        }

        Print(samples, runs);
    }

    private static async Task<Sample> MeasureAsync(Publication programs, Side side, int seconds)
    {
        var webhooks = new SignedWebhooks();
        var directory = Directory.CreateTempSubdirectory("dingflow-bench-").FullName;
        try
        {
            var port = ProgramProcess.FreePort();
            await using var program = Start(programs, side, port, directory, webhooks);
            var path = side is Side.Product or Side.ProductPaused ? $"/api/hr/{SignedWebhooks.Source}" : "/";
            await program.FirstAnswerAsync(webhooks.One(path, "B0000000", immediate: false));
            var idle = program.Memory;
            await LoadGenerator.ClosedLoopAsync(port, webhooks.Many(path, WarmUp), Connections);

            // As many as a first, short run says will take about the time.
            var probe = await LoadGenerator.ClosedLoopAsync(port, webhooks.Many(path, WarmUp), Connections);
            var requests = webhooks.Many(path, (int)(probe.PerSecond * seconds));
            var before = program.ProcessorSeconds;
            var total = MachineTime.Read();
            var closed = await LoadGenerator.ClosedLoopAsync(port, requests, Connections);
            var processor = (program.ProcessorSeconds - before) / closed.Answered * 1e6;
            var busy = total.BusyShare();

            var steady = await LoadGenerator.OpenLoopAsync(port, webhooks.Many(path, (int)(Rate * seconds)), Connections, Rate);
            return new Sample(
                closed.PerSecond, processor, busy, closed.Latencies.Percentile(0.99), closed.Refused + steady.Refused,
                steady.Latencies.Median(), steady.Latencies.Percentile(0.99), steady.Latencies.Percentile(0.999), idle.Resident, program.Memory.Resident,
                program.Memory.Private, closed.Answered + steady.Answered + (2 * WarmUp));
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static ProgramProcess Start(Publication programs, Side side, int port, string directory, SignedWebhooks webhooks)
    {
        if (side is Side.Product or Side.ProductPaused)
        {
            var settings = webhooks.Settings(port);
            settings[$"HrSources__{SignedWebhooks.Source}__Paused"] = side == Side.ProductPaused ? "true" : "false";
            return ProgramProcess.Start(programs.Product, port, directory, settings);
        }

        return ProgramProcess.Start(programs.Webhook, port, directory, new Dictionary<string, string>
        {
            ["ASPNETCORE_URLS"] = $"http://127.0.0.1:{port}",
            ["WEBHOOK_SECRET"] = webhooks.Base64Secret,
            ["WEBHOOK_STORE"] = side == Side.Bare ? "rows.db" : "",
        });
    }

    private static void Print(Dictionary<Side, List<Sample>> samples, int runs)
    {
        var reference = samples[Side.Bare].Select(sample => sample.PerSecond).Median();
        var text = new StringBuilder();
        text.AppendLine($"\n## accept (medians of {runs} alternating runs, {Connections} connections, load {Statistics.Load()})\n");
        text.AppendLine("| program | throughput ratio | per second | server µs each | cores busy | p50 ms at 1 000/s | p99 | p99.9 | refused | idle MiB | MiB after | webhooks |");
        text.AppendLine("|---|---|---|---|---|---|---|---|---|---|---|---|");
        foreach (var (side, all) in samples)
        {
            double Of(Func<Sample, double> value) => all.Select(value).Median();
            text.AppendLine(
                $"| {side} | {(Of(s => s.PerSecond) / reference).Text("0.00")} | {Of(s => s.PerSecond).Text("0")} | {Of(s => s.Processor).Text("0")} | {Of(s => s.Busy).Text("0 %")} | {Of(s => s.P50).Text("0.00")} | {Of(s => s.P99).Text("0.0")} | {Of(s => s.P999).Text("0.0")} | {all.Sum(s => s.Refused)} | {Of(s => s.Idle).Text("0")} | {Of(s => s.After).Text("0")} | {Of(s => s.Webhooks).Text("0")} |");
        }

        Console.WriteLine(text);
    }

    /// <summary>One run: throughput and tail of the closed loop, processor time (µs) of the program for each, how busy all cores were; latencies (ms) of the open loop; memory (MiB).</summary>
    private sealed record Sample(
        double PerSecond, double Processor, double Busy, double ClosedP99, int Refused, double P50, double P99, double P999, double Idle, double After,
        double Private, double Webhooks);
}
