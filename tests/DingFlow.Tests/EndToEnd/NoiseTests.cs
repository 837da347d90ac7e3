using System.Net;
using System.Net.Sockets;
using System.Text;

namespace DingFlow.Tests.EndToEnd;

/// <summary>Noise on every door that is open to strangers: whatever they send is their fault, never ours.</summary>
public sealed class NoiseTests(StandaloneProgram standalone)
{
    private static readonly string[] Paths =
    [
        "/api/hr/sandbox", "/api/hr/{0}", "/api/dingtalk/sandbox/events", "/api/dingtalk/sandbox/events?signature={0}&timestamp={1}&nonce={0}",
        "/api/dingtalk/sandbox/events?msg_signature={0}&msg_signature={0}&timeStamp={1}&nonce=", "/api/dingtalk/{0}/events", "/api/offboarding?employeeId={0}&next={0}&limit={1}",
        "/api/offboarding/{0}", "/api/offboarding/search", "/api/health/{0}",
    ];

    private static readonly string[] Headers =
    [
        "webhook-id", "webhook-timestamp", "webhook-signature", "Content-Type", "Content-Encoding", "traceparent", "tracestate", "Authorization", "Accept", "Expect",
        "X-Forwarded-For", "x-azure-functions-invocationid", "Baggage",
    ];

    private static readonly string[] Fragments =
    [
        "application/json", "v1,", "v1,AAAA", "Bearer ", "Bearer a.b.c", "-1", "0", "9999999999999", "00-", "{", "}", "[", "\"type\"", ":", ",", "\"employee.terminated\"", "\"data\"", "null",
        "\"encrypt\"", "\"AAAA\"", "\\u0000", "\\ud800", "é", "名", "%00", "..", "/", " ", "\t", "gzip", "100-continue", "1e308",
    ];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task No_noise_is_answered_with_a_fault_of_ours(int seed)
    {
        using var walk = await standalone.WalkAsync();
#pragma warning disable CA5394 // Seeded, so that a failure can be repeated.
        var random = new Random(seed);
        for (var i = 0; i < 120; i++)
        {
            var request = Request(random, walk.Program.HrSecret);

            var status = await SendAsync(walk.Program.Client.BaseAddress!, request);

            Assert.True(status is null or (>= 200 and < 500), $"seed {seed}, request {i}: {status}\n{Encoding.UTF8.GetString(request)}");
        }
#pragma warning restore CA5394

        Assert.Equal(200, (await walk.Program.Client.AskAsync(HttpMethod.Get, "/api/health")).Status);
    }

#pragma warning disable CA5394
    private static byte[] Request(Random random, string secret)
    {
        var path = string.Format(
            System.Globalization.CultureInfo.InvariantCulture, Paths[random.Next(Paths.Length)], Uri.EscapeDataString(Text(random, 3)), random.NextInt64());
        var body = random.Next(3) == 0 ? Bytes(random) : Encoding.UTF8.GetBytes(Text(random, 12));
        var head = new StringBuilder($"{(random.Next(4) == 0 ? "GET" : "POST")} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n");
        if (random.Next(2) == 0)
        {
            // Signed noise gets past the first door.
            var (id, timestamp) = (HrSender.NewId(), HrSender.Timestamp());
            head.Append($"Content-Type: application/json\r\nwebhook-id: {id}\r\nwebhook-timestamp: {timestamp}\r\nwebhook-signature: {HrSender.Sign(secret, id, timestamp, body)}\r\n");
        }

        for (var i = random.Next(4); i > 0; i--)
        {
            head.Append($"{Headers[random.Next(Headers.Length)]}: {Text(random, 4).ReplaceLineEndings(" ")}\r\n");
        }

        head.Append($"Content-Length: {body.Length}\r\n\r\n");
        return [.. Encoding.UTF8.GetBytes(head.ToString()), .. body];
    }

    private static string Text(Random random, int most) =>
        string.Concat(Enumerable.Range(0, random.Next(1, most + 1)).Select(_ => Fragments[random.Next(Fragments.Length)]));

    private static byte[] Bytes(Random random)
    {
        var bytes = new byte[random.Next(200)];
        random.NextBytes(bytes);
        return bytes;
    }
#pragma warning restore CA5394

    /// <summary>The status; <see langword="null"/> when the connection was closed without one, as is right for what is no HTTP.</summary>
    private static async Task<int?> SendAsync(Uri address, byte[] request)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, address.Port, Cancellation);
        await using var stream = client.GetStream();
        try
        {
            await stream.WriteAsync(request, Cancellation);
            client.Client.Shutdown(SocketShutdown.Send);
            using var reader = new StreamReader(stream, Encoding.ASCII);
            var line = await reader.ReadLineAsync(Cancellation);
            if (line == "HTTP/1.1 100 Continue")
            {
                await reader.ReadLineAsync(Cancellation);
                line = await reader.ReadLineAsync(Cancellation);
            }

            await reader.ReadToEndAsync(Cancellation);
            return line is null ? null : int.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture);
        }
        catch (IOException)
        {
            return null;
        }
    }
}
