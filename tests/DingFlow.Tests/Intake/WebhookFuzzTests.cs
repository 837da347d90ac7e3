using System.Globalization;
using System.Text;
using DingFlow.Intake;
using DingFlow.Intake.Dialects;

namespace DingFlow.Tests.Intake;

/// <summary>
/// No byte sequence on a webhook route causes a 5xx, a hang or more than a bounded amount of memory. Bodies are signed, so that they get
/// past the signature to the parsers; seeds are fixed, so that a failure comes again.
/// </summary>
public sealed class WebhookFuzzTests
{
    private const int Rounds = 250;
    private const long MostBytes = 48 * 1024 * 1024;
    private const string Secret = "a-secret-for-every-dialect";

    /// <summary>Far longer than an answer takes, even on a busy machine: only a hang reaches it.</summary>
    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);
    private const string Basic = "fuzzer:correct horse battery";

    private static readonly (string, string?)[] Settings =
    [
        ("HrSources:svix:Dialect", "svix"), ("HrSources:svix:Secrets:0", IntakeScenario.Secret),
        ("HrSources:bamboohr:Dialect", "bamboohr"), ("HrSources:bamboohr:Secrets:0", Secret),
        ("HrSources:hibob:Dialect", "hibob"), ("HrSources:hibob:Secrets:0", Secret),
        ("HrSources:personio:Dialect", "personio"), ("HrSources:personio:Secrets:0", Secret), ("HrSources:personio:PersonPath", "$..id"),
        ("HrSources:gusto:Dialect", "gusto"), ("HrSources:gusto:Secrets:0", Secret), ("HrSources:gusto:Handshake", "true"),
        ("HrSources:github:Dialect", "github"), ("HrSources:github:Secrets:0", Secret),
        ("HrSources:successfactors:Dialect", "successfactors"), ("HrSources:successfactors:Secrets:0", Basic),
        ("HrSources:workday:Dialect", "workday"), ("HrSources:workday:Secrets:0", Basic),
        ("HrSources:mapped:Dialect", "mapped"), ("HrSources:mapped:Secrets:0", Secret), ("HrSources:mapped:Signature:Header", "X-Sig"),
        ("HrSources:mapped:Map:Id", "$..uid"), ("HrSources:mapped:Map:OccurredAt", "$.meta.when"), ("HrSources:mapped:Map:Events", "$..changes[*]"),
        ("HrSources:mapped:Map:Kind", "*[?(@.what != 'x')].what"), ("HrSources:mapped:Map:EmployeeId", "$..nr"), ("HrSources:mapped:Kinds:Terminated", "LEAVER"),
    ];

    public static TheoryData<string, string, string> Dialects() => new()
    {
        { "acme", "svix", "terminated.json" }, { "svix", "svix", "terminated.json" }, { "bamboohr", "bamboohr", "updated.json" },
        { "bamboohr", "bamboohr", "updated.form" }, { "bamboohr", "bamboohr", "field-based.json" }, { "hibob", "hibob", "left.json" },
        { "personio", "personio", "terminated.json" }, { "gusto", "gusto", "terminated.json" }, { "gusto", "gusto", "handshake.json" },
        { "github", "github", "terminated.json" }, { "successfactors", "successfactors", "termination.xml" }, { "workday", "workday", "termination.xml" },
        { "workday", "workday", "rehire.json" }, { "mapped", "mapped", "changes.json" },
    };

    [Theory]
    [MemberData(nameof(Dialects))]
    public async Task Whatever_a_sender_sends_is_answered_in_bounds(string source, string dialect, string file)
    {
        await using var scenario = new IntakeScenario([.. Settings, .. Sources.Select(static s => ($"HrSources:{s}:MaxPerMinute", (string?)"1000000"))]);
        var fixture = Fixtures.Read(dialect, file);
        var sources = Fixtures.Options([.. Settings, ("HrSources:acme:Dialect", "standard"), ("HrSources:acme:Secrets:0", IntakeScenario.Secret)]).Sources;
        var random = new Random(20261122);
        for (var round = 0; round < Rounds; round++)
        {
            var body = round switch { 0 => fixture, < 20 => Hostile(round, fixture), _ => Mutations.Of(fixture, random) };
            var before = GC.GetAllocatedBytesForCurrentThread();
            sources[source].Read(body);
            var allocated = GC.GetAllocatedBytesForCurrentThread() - before;

            var answer = await SendAsync(scenario, source, file, body, random).WaitAsync(Hang, TestContext.Current.CancellationToken);

            Assert.True(answer.Status < 500, $"round {round}: {answer.Status} for {Convert.ToBase64String(body.AsSpan(0, Math.Min(body.Length, 2000)))}");
            Assert.True(allocated < MostBytes, $"round {round}: {allocated} bytes");
        }
    }

    [Fact]
    public async Task Whatever_stands_in_headers_is_answered_in_bounds()
    {
        await using var scenario = new IntakeScenario(Settings);
        var random = new Random(7);
        string[] names =
        [
            "webhook-id", "webhook-timestamp", "webhook-signature", "svix-id", "svix-timestamp", "svix-signature", "X-BambooHR-Signature", "X-BambooHR-Timestamp",
            "Bob-Signature", "X-Personio-Signature", "X-Gusto-Signature", "X-Hub-Signature-256", "X-GitHub-Delivery", "Authorization", "X-ARR-ClientCert", "X-Sig",
        ];
        for (var round = 0; round < 600; round++)
        {
            var source = Sources[random.Next(Sources.Length)];
            var headers = names.Where(_ => random.Next(3) > 0).Select(name => (name, Text(random))).ToArray();

            var answer = await scenario.PostAsync(source, "{}"u8.ToArray(), source is "successfactors" ? "text/xml" : "application/json", headers)
                .WaitAsync(Hang, TestContext.Current.CancellationToken);

            Assert.InRange(answer.Status, 400, 499);
        }
    }

    [Fact]
    public async Task Whatever_comes_as_a_callback_of_dingtalk_is_answered_in_bounds()
    {
        await using var scenario = new IntakeScenario();
        var random = new Random(11);
        var message = """{"EventType":"user_leave_org","CorpId":"dingcorp0000000000000000000000000001","UserId":["sb-1001"],"TimeStamp":"1795309200000","eventId":"e1"}"""u8.ToArray();
        for (var round = 0; round < Rounds; round++)
        {
            var garbled = Encoding.UTF8.GetString(Mutations.Of(message, random));

            Assert.True((await scenario.PostDingTalkAsync(garbled).WaitAsync(Hang, TestContext.Current.CancellationToken)).Status < 500);
            Assert.True((await scenario.PostCallbackAsync(IntakeScenario.Query(Text(random), "1795309200000", "n"), garbled)).Status < 500);
        }
    }

    [Fact]
    public void The_slowest_path_that_is_allowed_stays_in_bounds_on_the_largest_body()
    {
        var source = Fixtures.Source(
            "mapped", ("Secrets:0", Secret), ("Signature:Header", "X-Sig"), ("Map:Id", "$..*.*[?(@.a == 'b')]"), ("Map:Kind", "$.a"), ("Map:EmployeeId", "$.b"));
        var items = string.Join(',', Enumerable.Repeat("""{"a":[1,2,3,{"a":"c"}]}""", 10_000));
        var body = Encoding.UTF8.GetBytes($$"""{"x":[{{items}}]}""");
        Assert.InRange(body.Length, 200_000, IntakeOptions.DefaultMaxBodyBytes);
        var before = GC.GetAllocatedBytesForCurrentThread();

        Assert.NotNull(source.Read(body).Fault);

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 * MostBytes);
    }

    private static string[] Sources => ["acme", "svix", "bamboohr", "hibob", "personio", "gusto", "github", "successfactors", "workday", "mapped"];

    private static Task<Answer> SendAsync(IntakeScenario scenario, string source, string file, byte[] body, Random random)
    {
        var stamp = scenario.Time.GetUtcNow().ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        var id = $"m{random.Next(50)}";
        var contentType = file.EndsWith(".xml", StringComparison.Ordinal) ? "text/xml" : file.EndsWith(".form", StringComparison.Ordinal) ? "application/x-www-form-urlencoded" : "application/json";
        var key = Encoding.UTF8.GetBytes(Secret);
        return scenario.SendHrAsync(source, request =>
        {
            switch (source)
            {
                case "acme" or "svix":
                    var prefix = source == "acme" ? "webhook" : "svix";
                    request.Headers[$"{prefix}-id"] = id;
                    request.Headers[$"{prefix}-timestamp"] = stamp;
                    request.Headers[$"{prefix}-signature"] = StandardWebhooks.Sign(StandardWebhooks.DecodeSecret(IntakeScenario.Secret)!, id, long.Parse(stamp, CultureInfo.InvariantCulture), body);
                    break;
                case "successfactors" or "workday":
                    request.Headers.Authorization = $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(Basic))}";
                    break;
                default:
                    var scheme = source switch
                    {
                        "bamboohr" => new BambooHrDialect().Scheme, "hibob" => new HiBobDialect().Scheme, "personio" => new PersonioDialect().Scheme,
                        "gusto" => new GustoDialect().Scheme, "github" => new GitHubDialect().Scheme, _ => new HmacScheme { SignatureHeader = "X-Sig" },
                    };
                    request.Headers[scheme.SignatureHeader] = scheme.Sign(key, body, timestamp: stamp);
                    request.Headers[scheme.TimestampHeader ?? "X-None"] = stamp;
                    break;
            }

            request.ContentType = contentType;
            request.Body = new MemoryStream(body);
        });
    }

    private static byte[] Hostile(int kind, byte[] fixture) => kind switch
    {
        1 => [],
        2 => [0],
        3 => [0xFF, 0xFE, .. fixture],
        4 => [0xEF, 0xBB, 0xBF, .. fixture],
        5 => Repeated('[', 100_000),
        6 => Repeated("{\"a\":", 40_000),
        7 => Repeated('<', 100_000),
        8 => Repeated("<a>", 60_000),
        9 => Repeated("<a b='c'/>", 20_000),
        10 => Encoding.UTF8.GetBytes($"<a {string.Concat(Enumerable.Range(0, 12_000).Select(static n => $"a{n}='b' "))}/>"),
        11 => Encoding.UTF8.GetBytes("<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;\"><!ENTITY c \"&b;&b;&b;&b;\">]><a>&c;</a>"),
        12 => Encoding.UTF8.GetBytes($"{{\"timestamp\":{new string('9', 100_000)}}}"),
        13 => Encoding.UTF8.GetBytes($"{{\"timestamp\":1e{new string('9', 300)},\"uuid\":{new string('1', 379)}}}"),
        14 => Repeated("a=b&", 60_000),
        15 => Repeated("%", 200_000),
        16 => [.. fixture, .. fixture],
        17 => Encoding.Unicode.GetBytes(Encoding.UTF8.GetString(fixture)),
        18 => Encoding.UTF8.GetBytes($"{{\"meta\":{{\"uid\":\"1\",\"when\":1795309200}},\"changes\":[{string.Join(',', Enumerable.Repeat("{\"what\":\"LEAVER\",\"nr\":\"E1\"}", 8_000))}]}}"),
        _ => Encoding.UTF8.GetBytes("{\"\\ud800\":\"\\ud800\",\"type\":\"\\udfff\",\"event_type\":\"\\ud800\",\"data\":{\"employeeId\":\"\\ud800\"}}"),
    };

    private static byte[] Repeated(char character, int times) => Encoding.UTF8.GetBytes(new string(character, times));

    private static byte[] Repeated(string text, int times) => Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(text, times)));

    private static string Text(Random random)
    {
        const string Alphabet = "0123456789abcdef=,. v1shaBasic:+/%-\t~";
        return new string([.. Enumerable.Range(0, random.Next(4) switch { 0 => 0, 1 => 64, 2 => random.Next(200), _ => 3000 }).Select(_ => Alphabet[random.Next(Alphabet.Length)])]);
    }
}
