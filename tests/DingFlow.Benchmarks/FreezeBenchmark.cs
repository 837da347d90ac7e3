using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;

namespace DingFlow.Benchmarks;

/// <summary>
/// From the receipt of a leaver to the verified case, against the sandbox with 0 and 100 ms for every remote call. What counts is the time in
/// which no remote call was under way: that is ours.
/// </summary>
internal static class FreezeBenchmark
{
    private const int FirstEmployee = 1002;
    private const int CasesPerProcess = 12;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    public static async Task RunAsync(Options options)
    {
        var programs = await Publication.MakeAsync(options);
        Console.WriteLine($"\n## freeze (receipt to verified, {options.Runs ?? 7} processes with {CasesPerProcess} leavers each, one after the other)\n");
        Console.WriteLine("| latency per call | case | cases | total ms | remote calls | remote critical path ms | ours ms | ours p90 ms |\n|---|---|---|---|---|---|---|---|");
        foreach (var latency in new[] { 0, 100 })
        {
            var (first, warm) = (new List<Sample>(), new List<Sample>());
            for (var run = 0; run < (options.Runs ?? 7); run++)
            {
                var samples = await MeasureAsync(programs, latency);
                first.Add(samples[0]);
                // The second and third still meet code for the first time.
                warm.AddRange(samples.Skip(3));
            }

            Print(latency, "first of the process", first);
            Print(latency, "warm", warm);
        }

        Console.WriteLine($"\nload {Statistics.Load()}");
    }

    private static void Print(int latency, string name, List<Sample> samples) => Console.WriteLine(string.Create(
        CultureInfo.InvariantCulture,
        $"| {latency} ms | {name} | {samples.Count} | {Of(samples, s => s.Total)} | {Of(samples, s => s.Calls)} | {Of(samples, s => s.Remote)} | {Of(samples, s => s.Total - s.Remote)} | {samples.Select(s => s.Total - s.Remote).Percentile(0.9).Text("0")} |"));

    private static string Of(List<Sample> samples, Func<Sample, double> value) => samples.Select(value).Median().Text("0");

    private static async Task<List<Sample>> MeasureAsync(Publication programs, int latency)
    {
        var webhooks = new SignedWebhooks();
        var directory = Directory.CreateTempSubdirectory("dingflow-bench-").FullName;
        var data = Path.Combine(directory, "data");
        var port = ProgramProcess.FreePort();
        await using var program = ProgramProcess.Start(programs.Product, port, directory, webhooks.Settings(port));
        try
        {
            await program.FirstAnswerAsync("GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray());
            using var cases = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
            cases.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", await File.ReadAllTextAsync(Path.Combine(data, "api-key")));
            using var sandbox = SandboxSwitch(Path.Combine(data, "sandbox.sock"));
            await SettleAsync(sandbox);
            // At 0 ms the cases follow one another faster than the real platforms allow; how they throttle is not what is measured.
            using (var unthrottled = new StringContent("""{"callsPerSecond":0}""", Encoding.UTF8, "application/json"))
            {
                (await sandbox.PutAsync("/throttling", unthrottled)).EnsureSuccessStatusCode();
            }

            if (latency > 0)
            {
                using var fault = new StringContent($$"""{"kind":"latency","delay":"00:00:00.{{latency:D3}}"}""", Encoding.UTF8, "application/json");
                (await sandbox.PutAsync("/faults", fault)).EnsureSuccessStatusCode();
            }

            var samples = new List<Sample>();
            for (var i = 0; i < CasesPerProcess; i++)
            {
                var employee = string.Create(CultureInfo.InvariantCulture, $"E{FirstEmployee + i}");
                var path = $"/api/hr/{SignedWebhooks.Source}";
                var sent = await program.FirstAnswerAsync(webhooks.One(path, employee, immediate: true));
                var (received, verified) = await VerifiedAsync(cases, employee, sent);
                samples.Add(await SampleAsync(sandbox, received, verified, latency));
            }

            return samples;
        }
        finally
        {
            await program.DisposeAsync();
            Directory.Delete(directory, recursive: true);
        }
    }

    /// <summary>Waits until the sandbox serves and what the program does by itself after its start is over.</summary>
    private static async Task SettleAsync(HttpClient sandbox)
    {
        for (var (calls, same) = (-1, 0); same < 5;)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, CancellationToken.None);
            try
            {
                using var journal = JsonDocument.Parse(await sandbox.GetByteArrayAsync("/journal"));
                var now = journal.RootElement.GetArrayLength();
                (calls, same) = (now, now == calls ? same + 1 : 0);
            }
            catch (HttpRequestException)
            {
                same = 0;
            }
        }
    }

    private static async Task<(DateTimeOffset Received, DateTimeOffset Verified)> VerifiedAsync(HttpClient cases, string employee, int status)
    {
        var since = TimeProvider.System.GetTimestamp();
        while (status == 202 && TimeProvider.System.GetElapsedTime(since) < Patience)
        {
            using var list = JsonDocument.Parse(await cases.GetByteArrayAsync($"/api/offboarding?employeeId={employee}"));
            foreach (var item in list.RootElement.GetProperty("items").EnumerateArray())
            {
                if (item.GetProperty("state").GetString() == "verified")
                {
                    return (item.GetProperty("receivedAt").GetDateTimeOffset(), item.GetProperty("verifiedAt").GetDateTimeOffset());
                }
            }

            await Task.Delay(TimeSpan.FromMilliseconds(20), TimeProvider.System, CancellationToken.None);
        }

        throw new InvalidOperationException($"The webhook of {employee} was answered {status}, and its case was not verified.");
    }

    /// <summary>The calls between receipt and verified; the critical path is the time in which at least one was under way.</summary>
    private static async Task<Sample> SampleAsync(HttpClient sandbox, DateTimeOffset received, DateTimeOffset verified, int latency)
    {
        using var journal = JsonDocument.Parse(await sandbox.GetByteArrayAsync("/journal"));
        var arrivals = journal.RootElement.EnumerateArray().Select(entry => entry.GetProperty("at").GetDateTimeOffset())
            .Where(at => at >= received && at <= verified).Order().ToList();
        var (remote, until) = (TimeSpan.Zero, received);
        foreach (var at in arrivals)
        {
            var end = at.AddMilliseconds(latency);
            remote += end > until ? end - (at > until ? at : until) : TimeSpan.Zero;
            until = end > until ? end : until;
        }

        return new Sample((verified - received).TotalMilliseconds, remote.TotalMilliseconds, arrivals.Count);
    }

    private static HttpClient SandboxSwitch(string path) => new(new SocketsHttpHandler
    {
        ConnectCallback = async (_, cancellationToken) =>
        {
            var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(path), cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        },
    })
    { BaseAddress = new Uri("http://sandbox") };

    /// <summary>One case; milliseconds.</summary>
    private sealed record Sample(double Total, double Remote, double Calls);
}
