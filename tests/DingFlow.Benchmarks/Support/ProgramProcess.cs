using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;

namespace DingFlow.Benchmarks;

/// <summary>A program under measurement, with its output in a file as under a service manager.</summary>
internal sealed class ProgramProcess : IAsyncDisposable
{
    private const double TicksPerSecond = 100;

    private readonly Process _process;
    private bool _ended;

    private ProgramProcess(Process process, int port, string directory, long started) =>
        (_process, Port, DataDirectory, Started) = (process, port, directory, started);

    public int Port { get; }

    public string DataDirectory { get; }

    /// <summary>Time stamp (<see cref="Stopwatch"/>) of the moment before the process was made.</summary>
    public long Started { get; }

    /// <summary>Seconds of processor time used so far.</summary>
    public double ProcessorSeconds
    {
        get
        {
            var text = File.ReadAllText($"/proc/{_process.Id}/stat");
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return (long.Parse(fields[11], CultureInfo.InvariantCulture) + long.Parse(fields[12], CultureInfo.InvariantCulture)) / TicksPerSecond;
        }
    }

    /// <summary>Memory now.</summary>
    public ProgramMemory Memory => new(Status("VmRSS:"), Status("RssAnon:"), Status("RssFile:"));

    /// <summary>The most resident memory so far, in MiB.</summary>
    public double PeakResident => Status("VmHWM:");

    /// <summary>Starts a program; nothing of the machine's own configuration reaches it.</summary>
    public static ProgramProcess Start(string executable, int port, string directory, IReadOnlyDictionary<string, string> settings)
    {
        Directory.CreateDirectory(directory);
        // The shell only opens the file for the output and then becomes the program.
        var start = new ProcessStartInfo("/bin/sh", ["-c", "exec \"$0\" >>output.log 2>&1", executable]) { WorkingDirectory = directory };
        start.Environment.Clear();
        start.Environment["HOME"] = directory;
        foreach (var (name, value) in settings)
        {
            start.Environment[name] = value;
        }

        var started = Stopwatch.GetTimestamp();
        return new ProgramProcess(Process.Start(start)!, port, directory, started);
    }

    /// <summary>The first answer to a request of this text, tried again until there is one; then its status.</summary>
    public async Task<int> FirstAnswerAsync(byte[] request)
    {
        var buffer = new byte[4096];
        while (!_process.HasExited)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                socket.Connect(IPAddress.Loopback, Port);
            }
            catch (SocketException)
            {
                await Task.Delay(TimeSpan.FromMilliseconds(1), TimeProvider.System, CancellationToken.None);
                continue;
            }

            socket.Send(request);
            return await socket.ReceiveAsync(buffer) == 0 ? 0 : HttpAnswer.Status(buffer);
        }

        throw new InvalidOperationException($"The program ended: {await File.ReadAllTextAsync(Path.Combine(DataDirectory, "output.log"))}");
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    private double Status(string name) => long.Parse(
        File.ReadLines($"/proc/{_process.Id}/status").First(line => line.StartsWith(name, StringComparison.Ordinal))
            .Split(' ', StringSplitOptions.RemoveEmptyEntries)[1],
        CultureInfo.InvariantCulture) / 1024.0;

    /// <summary>Asks the program to stop and waits until it has.</summary>
    public async Task StopAsync()
    {
        using var signal = Process.Start("/bin/kill", ["-TERM", _process.Id.ToString(CultureInfo.InvariantCulture)]);
        await _process.WaitForExitAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_ended)
        {
            return;
        }

        _ended = true;
        if (!_process.HasExited)
        {
            _process.Kill();
        }

        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}

/// <summary>Memory of a process in MiB.</summary>
/// <param name="Resident">All that is resident.</param>
/// <param name="Private">Of it, what is the process's own.</param>
/// <param name="Files">Of it, pages of files (its assemblies, its database), which the kernel can take back.</param>
internal readonly record struct ProgramMemory(double Resident, double Private, double Files);

/// <summary>What the measuring needs of an HTTP answer.</summary>
internal static class HttpAnswer
{
    /// <summary>The status in <c>HTTP/1.1 202 …</c>.</summary>
    public static int Status(ReadOnlySpan<byte> answer) => ((answer[9] - '0') * 100) + ((answer[10] - '0') * 10) + (answer[11] - '0');

    /// <summary>Bytes of the first whole answer in the buffer; 0 while it is not whole.</summary>
    public static int Length(ReadOnlySpan<byte> buffer)
    {
        var head = buffer.IndexOf("\r\n\r\n"u8);
        if (head < 0)
        {
            return 0;
        }

        var field = buffer[..head].IndexOf("Content-Length: "u8);
        var length = 0;
        if (field >= 0)
        {
            for (var i = field + "Content-Length: ".Length; buffer[i] is >= (byte)'0' and <= (byte)'9'; i++)
            {
                length = (length * 10) + (buffer[i] - '0');
            }
        }

        return buffer.Length >= head + 4 + length ? head + 4 + length : 0;
    }
}
