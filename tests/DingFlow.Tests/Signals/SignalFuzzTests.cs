using System.Text;
using System.Text.Json.Nodes;
using DingFlow.Tests.Intake;

namespace DingFlow.Tests.Signals;

/// <summary>
/// No byte sequence on the signals' route causes a 5xx, a hang or more than a bounded amount of memory: garbage in place of a token,
/// garbled tokens, and garbled claims under a good signature, which get to the parsers. Seeds are fixed, so that a failure comes again.
/// </summary>
public sealed class SignalFuzzTests
{
    private const long MostBytes = 48 * 1024 * 1024;

    /// <summary>Far longer than an answer takes, even on a busy machine: only a hang reaches it.</summary>
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Whatever_is_pushed_is_answered_in_bounds()
    {
        await using var scenario = await SignalScenario.StartAsync(("MaxPerMinute", "1000000"), ("SubjectIs", "employeeId"));
        var random = new Random(20261125);
        var good = scenario.Claims(Secevents.Disabled, """{"format":"aliases","identifiers":[{"format":"email","email":"a@b.example"},{"format":"opaque","id":"E1"}]}""", """{"reason":"hijacking","event_timestamp":1795308000}""");
        (await scenario.PushAsync(good)).IsAccepted();
        var token = Encoding.ASCII.GetBytes(scenario.Transmitter.Token(good));
        for (var round = 0; round < 600; round++)
        {
            var body = round switch
            {
                < 40 => Hostile(round, token),
                < 250 => Mutations.Of(token, random),
                _ => Encoding.ASCII.GetBytes(scenario.Transmitter.Key.Sign(Encoding.Latin1.GetString(Mutations.Of(Encoding.UTF8.GetBytes(good.ToJsonString()), random)))),
            };
            // The header is read first: of a garbled one nothing may lead to more than it should.
            var before = GC.GetTotalAllocatedBytes();

            var answer = await scenario.SendAsync(body).WaitAsync(Hang, TestContext.Current.CancellationToken);

            Assert.True(answer.Status < 500, $"round {round}: {answer.Status} for {Convert.ToBase64String(body.AsSpan(0, Math.Min(body.Length, 2000)))}");
            Assert.True(GC.GetTotalAllocatedBytes() - before < MostBytes * 4, $"round {round} allocates too much");
        }

        Assert.InRange(scenario.Transmitter.KeyRequests, 1, 2);
    }

    [Fact]
    public async Task Whatever_stands_in_a_header_of_a_token_is_answered_in_bounds()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var claims = scenario.Claims(Secevents.Disabled);
        (await scenario.PushAsync(Secevents.SessionRevoked)).IsAccepted();
        JsonNode?[] values =
        [
            null, "", "a", new string('k', 5000), 1, -1.5, true, new JsonArray(), new JsonObject(), new JsonArray("RS256"), "RS256\0", "rs256", "ES256K", "RSA-OAEP", "dir", "\uD83D\uDE00",
        ];
        foreach (var name in (string[])["alg", "kid", "typ", "crit", "enc", "zip", "jku", "x5c", "cty", "b64"])
        {
            foreach (var value in values)
            {
                var answer = await scenario.SendAsync(scenario.Transmitter.Token(claims, header: new JsonObject { [name] = value?.DeepClone() })).WaitAsync(Hang, TestContext.Current.CancellationToken);

                Assert.True(answer.Status < 500, $"{name} = {value?.ToJsonString()}: {answer.Status}");
            }
        }
    }

    private static byte[] Hostile(int kind, byte[] token) => kind switch
    {
        0 => [],
        1 => [0],
        2 => [(byte)'.'],
        3 => ".."u8.ToArray(),
        4 => "..."u8.ToArray(),
        5 => Enumerable.Repeat((byte)'.', 200_000).ToArray(),
        6 => Enumerable.Repeat((byte)'a', 200_000).ToArray(),
        7 => Encoding.ASCII.GetBytes($"{new string('A', 100_000)}.{new string('A', 100_000)}.AAAA"),
        8 => [.. token, (byte)'\n'],
        9 => [0xEF, 0xBB, 0xBF, .. token],
        10 => [.. token, .. token],
        11 => Encoding.Unicode.GetBytes(Encoding.ASCII.GetString(token)),
        12 => Part("{", "{}"),
        13 => Part("[]", "[]"),
        14 => Part("null", "null"),
        15 => Part("{\"alg\":\"RS256\",\"typ\":\"secevent+jwt\"}", new string('[', 50_000)),
        16 => Part("{\"alg\":\"RS256\",\"alg\":\"none\"}", "{}"),
        17 => Part("{\"alg\":\"RS256\",\"kid\":\"\\ud800\"}", "{\"iss\":\"\\ud800\"}"),
        18 => Part("{\"alg\":\"RS256\"}", $"{{\"iat\":{new string('9', 20_000)}}}"),
        19 => Part("{\"alg\":\"RS256\"}", "{\"iat\":1e999,\"exp\":1e999,\"nbf\":-1e999}"),
        20 => Part("{\"alg\":\"RS256\"}", "{\"exp\":99999999999999999999}"),
        21 => Part("{\"alg\":\"RS256\"}", "{\"aud\":{\"a\":1},\"iss\":[1]}"),
        22 => Part(string.Concat(Enumerable.Repeat("{\"a\":", 900)), "{}"),
        23 => Part($"{{\"alg\":\"RS256\",\"kid\":\"{new string('k', 2500)}\"}}", "{}"),
        _ => token[..Math.Max(0, token.Length - (kind * 17))],
    };

    private static byte[] Part(string header, string payload) => Encoding.ASCII.GetBytes(
        $"{System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header))}.{System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(payload))}.AAAA");
}
