using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading.Channels;

namespace DingFlow.Benchmarks;

/// <summary>What one run of load saw. Latencies in milliseconds.</summary>
internal sealed record LoadResult(int Answered, int Refused, double Seconds, double[] Latencies)
{
    public double PerSecond => Answered / Seconds;
}

/// <summary>
/// Sends prepared requests over kept connections. Everything that can be done before is done before, so that what it costs itself is small
/// and the same for every program.
/// </summary>
internal static class LoadGenerator
{
    /// <summary>Each connection sends its next request as soon as it has its answer: shows the throughput.</summary>
    public static async Task<LoadResult> ClosedLoopAsync(int port, byte[][] requests, int connections)
    {
        var latencies = new double[requests.Length];
        var next = -1;
        var refused = 0;
        var sockets = Enumerable.Range(0, connections).Select(_ => Connect(port)).ToArray();
        var started = Stopwatch.GetTimestamp();
        await Task.WhenAll(sockets.Select(socket => Task.Run(async () =>
        {
            var buffer = new byte[4096];
            for (int i; (i = Interlocked.Increment(ref next)) < requests.Length;)
            {
                var sent = Stopwatch.GetTimestamp();
                if (await ExchangeAsync(socket, requests[i], buffer) != 202)
                {
                    Interlocked.Increment(ref refused);
                }

                latencies[i] = Stopwatch.GetElapsedTime(sent).TotalMilliseconds;
            }
        })));
        return Result(requests.Length, refused, started, latencies, sockets);
    }

    /// <summary>
    /// Requests fall due at a fixed rate, whatever the program does. Latency counts from the moment at which a request was due, so a pause of
    /// the program is paid by all requests that fell into it (no coordinated omission).
    /// </summary>
    /// <param name="port">Where.</param>
    /// <param name="requests">Whole requests.</param>
    /// <param name="connections">Connections that are kept.</param>
    /// <param name="perSecond">How many fall due in a second.</param>
    /// <param name="enough">No further request falls due; those that did are answered.</param>
    public static async Task<LoadResult> OpenLoopAsync(
        int port, byte[][] requests, int connections, double perSecond, CancellationToken enough = default)
    {
        var latencies = new double[requests.Length];
        var (refused, sent) = (0, 0);
        var due = Channel.CreateUnbounded<int>(new UnboundedChannelOptions { SingleWriter = true });
        var sockets = Enumerable.Range(0, connections).Select(_ => Connect(port)).ToArray();
        var period = Stopwatch.Frequency / perSecond;
        var started = Stopwatch.GetTimestamp() + (Stopwatch.Frequency / 10);
        var workers = sockets.Select(socket => Task.Run(async () =>
        {
            var buffer = new byte[4096];
            await foreach (var i in due.Reader.ReadAllAsync())
            {
                if (await ExchangeAsync(socket, requests[i], buffer) != 202)
                {
                    Interlocked.Increment(ref refused);
                }

                latencies[i] = Stopwatch.GetElapsedTime(started + (long)(i * period)).TotalMilliseconds;
            }
        })).ToArray();
        // A thread of its own: the pool's timers are too coarse for a thousand a second.
        var clock = new Thread(() =>
        {
            for (var i = 0; i < requests.Length && !enough.IsCancellationRequested; i++)
            {
                while (Stopwatch.GetTimestamp() < started + (long)(i * period))
                {
#pragma warning disable RS0030 // This thread is the clock: blocking it is its purpose.
                    Thread.Sleep(TimeSpan.FromMicroseconds(500));
#pragma warning restore RS0030
                }

                due.Writer.TryWrite(i);
                sent = i + 1;
            }

            due.Writer.Complete();
        }) { IsBackground = true };
        clock.Start();
        await Task.WhenAll(workers);
        return Result(sent, refused, started, latencies[..sent], sockets);
    }

    private static LoadResult Result(int count, int refused, long started, double[] latencies, Socket[] sockets)
    {
        var seconds = Stopwatch.GetElapsedTime(started).TotalSeconds;
        foreach (var socket in sockets)
        {
            socket.Dispose();
        }

        return new LoadResult(count - refused, refused, seconds, latencies);
    }

    private static Socket Connect(int port)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        socket.Connect(IPAddress.Loopback, port);
        return socket;
    }

    private static async ValueTask<int> ExchangeAsync(Socket socket, byte[] request, byte[] buffer)
    {
        await socket.SendAsync(request);
        for (var filled = 0; ;)
        {
            var read = await socket.ReceiveAsync(buffer.AsMemory(filled));
            if (read == 0)
            {
                throw new IOException("The program closed the connection.");
            }

            filled += read;
            if (HttpAnswer.Length(buffer.AsSpan(0, filled)) > 0)
            {
                return HttpAnswer.Status(buffer);
            }
        }
    }
}
