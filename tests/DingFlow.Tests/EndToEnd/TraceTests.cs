using System.Collections.Concurrent;
using System.Text;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.EndToEnd;

/// <summary>What an OTLP collector gets to see.</summary>
public sealed class TraceTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task One_trace_leads_from_the_webhook_to_the_read_back_and_shows_nobody()
    {
        var spans = new ConcurrentBag<OtlpSpan>();
        var metrics = new ConcurrentBag<string>();
        await using var collector = await LoopbackServer.StartAsync(async context =>
        {
            var body = await LoopbackServer.BodyOfAsync(context);
            if (context.Request.Path == "/v1/traces")
            {
                OtlpSpan.ReadAll(body).ForEach(spans.Add);
            }
            else
            {
                metrics.Add(Encoding.UTF8.GetString(body));
            }
        });
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(
            sandbox,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Address.ToString()), ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"), ("OTEL_BSP_SCHEDULE_DELAY", "100")));
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        using var client = program.CreateOperator();

        var accepted = await hr.SendAsync(HrSender.Leaver("E1001"));
        await new Operations(client).VerifiedAsync("E1001");
        await client.AskAsync(HttpMethod.Get, "/api/offboarding?employeeId=e1001@sandbox.example");
        await program.Client.AskAsync(HttpMethod.Post, "/api/dingtalk/sandbox/events?signature=sb-1001&nonce=e1001@sandbox.example&timestamp=1", "{}");
        Assert.Equal(0, await program.TerminateAsync());

        var trace = spans.Where(span => span.TraceId == accepted.Headers["x-request-id"]).ToList();
        var described = string.Join('\n', spans.OrderBy(s => s.Start).Select(s => s.ToString()));
        Assert.True(trace.Any(span => span is { Kind: OtlpSpan.Server } && span.Name.StartsWith("POST", StringComparison.Ordinal)), described);
        Assert.True(trace.Count(span => span.Kind == OtlpSpan.Consumer) >= 2, described);

        // The read-back is the last call to each system, and every call lies in this trace.
        var calls = trace.Where(span => span.Kind == OtlpSpan.Client).OrderBy(span => span.Start).ToList();
        var journal = sandbox.Journal.Entries;
        Assert.Equal(journal.Length, calls.Count);
        var readBack = calls.Last(span => span.Text.Contains("users", StringComparison.Ordinal));
        Assert.Contains("GET", readBack.Text, StringComparison.Ordinal);

        // Unbroken: from the read-back one parent after the other up to the webhook.
        var byId = trace.ToDictionary(span => span.SpanId);
        var at = readBack;
        while (byId.TryGetValue(at.ParentId, out var parent))
        {
            at = parent;
        }

        Assert.Equal(OtlpSpan.Server, at.Kind);

        foreach (var text in spans.Select(span => span.Text).Concat(metrics))
        {
            foreach (var secret in (string[])["sandbox.example", "sb-1001", sandbox.Directory["E1001"].Entra!.ObjectId, "access_token", "signature=", program.HrSecret])
            {
                Assert.DoesNotContain(secret, text, StringComparison.OrdinalIgnoreCase);
            }
        }

        Assert.All(spans, span => Assert.DoesNotContain("?", span.Text, StringComparison.Ordinal));
        Assert.Contains(metrics, text => text.Contains("dingflow.", StringComparison.Ordinal));
    }

    /// <summary>A span as OTLP carries it, as far as these tests look (opentelemetry/proto/trace/v1/trace.proto).</summary>
    private sealed record OtlpSpan(string TraceId, string SpanId, string ParentId, string Name, long Kind, ulong Start, string Text)
    {
        public const long Server = 2;
        public const long Client = 3;
        public const long Consumer = 5;

        public static List<OtlpSpan> ReadAll(ReadOnlyMemory<byte> request) =>
        [
            .. from resource in Protobuf.Read(request) where resource.Field == 1
               from scope in Protobuf.Read(resource.Bytes) where scope.Field == 2
               from span in Protobuf.Read(scope.Bytes) where span.Field == 2
               select Of(Protobuf.Read(span.Bytes)),
        ];

        public override string ToString() => $"{TraceId} {SpanId}<-{ParentId} {Kind} {Text}";

        private static OtlpSpan Of(List<Protobuf> fields)
        {
            var name = Encoding.UTF8.GetString(Bytes(5).Span);
            var attributes = fields.Where(field => field.Field == 9).Select(field => Attribute(Protobuf.Read(field.Bytes)));
            return new(
                Hex(1), Hex(2), Hex(4), name, (long)(fields.FirstOrDefault(field => field.Field == 6)?.Number ?? 0),
                fields.First(field => field.Field == 7).Number, $"{name} {string.Join(' ', attributes)}");

            ReadOnlyMemory<byte> Bytes(int number) => fields.FirstOrDefault(field => field.Field == number)?.Bytes ?? default;
            static string Attribute(List<Protobuf> pair) => string.Join('=', pair.Select(part => part.Field == 1
                ? Encoding.UTF8.GetString(part.Bytes.Span)
                : string.Join(',', Protobuf.Read(part.Bytes).Select(value => value.Bytes.IsEmpty ? $"{value.Number}" : Encoding.UTF8.GetString(value.Bytes.Span)))));
            string Hex(int number) => Convert.ToHexStringLower(Bytes(number).Span);
        }
    }

    /// <summary>One field of a protobuf message.</summary>
    private sealed record Protobuf(int Field, ulong Number, ReadOnlyMemory<byte> Bytes)
    {
        public static List<Protobuf> Read(ReadOnlyMemory<byte> message)
        {
            var fields = new List<Protobuf>();
            for (var position = 0; position < message.Length;)
            {
                var key = Varint(message.Span, ref position);
                switch (key & 7)
                {
                    case 0:
                        fields.Add(new((int)(key >> 3), Varint(message.Span, ref position), default));
                        break;
                    case 1:
                        fields.Add(new((int)(key >> 3), BitConverter.ToUInt64(message.Span.Slice(position, 8)), default));
                        position += 8;
                        break;
                    case 2:
                        var length = (int)Varint(message.Span, ref position);
                        fields.Add(new((int)(key >> 3), 0, message.Slice(position, length)));
                        position += length;
                        break;
                    case 5:
                        position += 4;
                        break;
                    default:
                        throw new FormatException("Not protobuf.");
                }
            }

            return fields;
        }

        private static ulong Varint(ReadOnlySpan<byte> bytes, ref int position)
        {
            ulong value = 0;
            for (var shift = 0; ; shift += 7)
            {
                var part = bytes[position++];
                value |= (ulong)(part & 0x7F) << shift;
                if (part < 0x80)
                {
                    return value;
                }
            }
        }
    }
}
