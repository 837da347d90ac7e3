using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace DingFlow.Benchmarks.Ledger;

/// <summary>A server that the benchmark starts for itself: a free loopback port, a data directory of its own, ended with it.</summary>
internal sealed class PrivateServer : IDisposable
{
    private static readonly string[] Folders = ["/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin"];

    private readonly Process _process;
    private readonly string _directory;

    private PrivateServer(Process process, string directory, int port) => (_process, _directory, Port) = (process, directory, port);

    public int Port { get; }

    /// <summary>Processor time of the server and of every process that it started.</summary>
    public TimeSpan ProcessorTime => TreeTime(_process.Id);

    /// <summary>Where a program is, or <see langword="null"/>.</summary>
    public static string? Find(string program) =>
        Folders.Select(folder => Path.Combine(folder, program)).FirstOrDefault(File.Exists)
        ?? (Directory.Exists("/usr/lib/postgresql")
            ? Directory.GetDirectories("/usr/lib/postgresql").Order().Select(version => Path.Combine(version, "bin", program)).LastOrDefault(File.Exists)
            : null);

    /// <summary>A new directory below the temporary one.</summary>
    public static string NewDirectory() => Directory.CreateTempSubdirectory("dingflow-baseline-").FullName;

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    /// <summary>Starts the program and waits until it accepts connections.</summary>
    public static async Task<PrivateServer> StartAsync(string program, IEnumerable<string> arguments, string directory, int port)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true, WorkingDirectory = directory };
        var process = Process.Start(start)!;
        _ = process.StandardOutput.ReadToEndAsync();
        _ = process.StandardError.ReadToEndAsync();
        var server = new PrivateServer(process, directory, port);
        for (var attempt = 0; attempt < 300; attempt++)
        {
            try
            {
                using var client = new TcpClient();
                await client.ConnectAsync(IPAddress.Loopback, port);
                return server;
            }
            catch (SocketException) when (!process.HasExited)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(100), TimeProvider.System, default);
            }
        }

        server.Dispose();
        throw new InvalidOperationException($"{program} did not start.");
    }

    /// <summary>Runs a program to its end.</summary>
    public static async Task RunAsync(string program, params IReadOnlyList<string> arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var error = process.StandardError.ReadToEndAsync();
        _ = process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0)
        {
            throw new InvalidOperationException($"{program} failed: {await error}");
        }
    }

    private static TimeSpan TreeTime(int root)
    {
        // After the name, which may hold anything, in brackets: state, parent … and from the twelfth on own and waited-for children's ticks (hundredths).
        List<(int Id, int Parent, long Ticks)> processes = [];
        foreach (var directory in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(directory.AsSpan()), out var id) && Stat(directory) is { } stat)
            {
                var fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
                processes.Add((id, Number(fields[1]), fields[11..15].Sum(Number)));
            }
        }

        HashSet<int> tree = [root];
        while (processes.Exists(process => tree.Contains(process.Parent) && tree.Add(process.Id)))
        {
        }

        return TimeSpan.FromMilliseconds(10 * processes.Where(process => tree.Contains(process.Id)).Sum(process => process.Ticks));

        static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

        static string? Stat(string directory)
        {
            try
            {
                return File.ReadAllText(Path.Combine(directory, "stat"));
            }
            catch (IOException)
            {
                // It ended meanwhile.
                return null;
            }
        }
    }

    public void Dispose()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            _process.WaitForExit();
        }

        _process.Dispose();
        Directory.Delete(_directory, recursive: true);
    }
}
