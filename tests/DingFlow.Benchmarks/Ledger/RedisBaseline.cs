using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace DingFlow.Benchmarks.Ledger;

/// <summary>
/// Redis: one set per counter, one pipelined SADD per record and counter, append-only file. The commands are written straight to the
/// socket, which costs less than any client library.
/// </summary>
internal static class RedisBaseline
{
    private const int Flush = 256 * 1024;

    public static async Task<IReadOnlyList<Measured>> RunAsync(LedgerWorkload workload)
    {
        if (PrivateServer.Find("redis-server") is not { } program)
        {
            Console.WriteLine("redis: skipped, redis-server is not installed (apt-get install redis-server)");
            return [];
        }

        // 'always' syncs before it answers, as the ledger does; 'everysec' may lose a second.
        return [await RunAsync(program, "always", workload), await RunAsync(program, "everysec", workload)];
    }

    private static async Task<Measured> RunAsync(string program, string sync, LedgerWorkload workload)
    {
        var (directory, port) = (PrivateServer.NewDirectory(), PrivateServer.FreePort());
        using var server = await PrivateServer.StartAsync(
            program,
            ["--port", port.ToString(CultureInfo.InvariantCulture), "--bind", "127.0.0.1", "--dir", directory, "--save", "",
                "--appendonly", "yes", "--appendfsync", sync, "--auto-aof-rewrite-percentage", "0"],
            directory, port);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(IPAddress.Loopback, port);
        var prefixes = Array.ConvertAll(LedgerWorkload.Dimensions, names => Array.ConvertAll(names, Prefix));
        var (own, servers) = (Environment.CpuUsage.TotalTime, server.ProcessorTime);
        var clock = Stopwatch.StartNew();
        var answers = Task.Run(() => ReadAnswersAsync(socket, workload.Records * prefixes[0].Length));
        var buffer = new byte[Flush + 4096];
        var filled = 0;
        for (long record = 0; record < workload.Records; record++)
        {
            var (subject, kind) = workload.At(record);
            var member = LedgerWorkload.Pseudonym(subject);
            foreach (var prefix in prefixes[kind])
            {
                prefix.CopyTo(buffer, filled);
                filled += prefix.Length;
                member.AsSpan(0, 16).CopyTo(buffer.AsSpan(filled));
                filled += 16;
                "\r\n"u8.CopyTo(buffer.AsSpan(filled));
                filled += 2;
            }

            if (filled > Flush)
            {
                await SendAsync(socket, buffer.AsMemory(0, filled));
                filled = 0;
            }
        }

        await SendAsync(socket, buffer.AsMemory(0, filled));
        await answers;
        clock.Stop();
        servers = server.ProcessorTime - servers;
        return LedgerBenchmark.Report($"redis ({sync})", workload.Records, clock.Elapsed, servers + Environment.CpuUsage.TotalTime - own, $"{servers.TotalSeconds:F1} s of it the server");
    }

    private static byte[] Prefix(string dimension)
    {
        var key = $"{LedgerWorkload.Exporter}|{LedgerWorkload.Year}|{dimension}";
        return Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"*3\r\n$4\r\nSADD\r\n${key.Length}\r\n{key}\r\n$16\r\n"));
    }

    private static async Task SendAsync(Socket socket, ReadOnlyMemory<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await socket.SendAsync(bytes)..];
        }
    }

    /// <summary>Each answer is <c>:0</c> or <c>:1</c> and a line's end.</summary>
    private static async Task ReadAnswersAsync(Socket socket, long answers)
    {
        var buffer = new byte[256 * 1024];
        while (answers > 0)
        {
            var read = await socket.ReceiveAsync(buffer);
            if (read == 0 || buffer.AsSpan(0, read).Contains((byte)'-'))
            {
                throw new InvalidOperationException("Redis refused a command.");
            }

            answers -= buffer.AsSpan(0, read).Count((byte)'\n');
        }
    }
}
