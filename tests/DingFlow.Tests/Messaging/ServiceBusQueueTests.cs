using System.Diagnostics;
using System.Text;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Remote;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Tests.Messaging;

public sealed class ServiceBusQueueTests : IAsyncLifetime
{
    private const string Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    private static readonly TimeSpan ShorterThanTimeouts = TimeSpan.FromSeconds(10);
    private static readonly QueueDefinition Sessions = Queues.Offboarding;
    private static readonly QueueDefinition Plain = Queues.Alerts;

    private readonly ServiceBusTestTime _time = new();
    private readonly List<ServiceBusQueue> _queues = [];
    private ServiceBusTestCredential _credential = null!;
    private ServiceBusStandIn _bus = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _credential = new(_time);
        _bus = await ServiceBusStandIn.StartAsync(Cancel);
    }

    public async ValueTask DisposeAsync()
    {
        _queues.ForEach(queue => queue.Dispose());
        await _bus.DisposeAsync();
    }

    private ServiceBusQueue Queue(Func<ServiceBusOptions, ServiceBusOptions>? change = null)
    {
        var options = new ServiceBusOptions { Endpoint = _bus.Endpoint };
        var queue = new ServiceBusQueue(change?.Invoke(options) ?? options, new(() => _credential), _time, NullLogger<ServiceBusQueue>.Instance);
        _queues.Add(queue);
        return queue;
    }

    private static OutgoingMessage Message(string id, string? session = null, string body = """{"a":1}""") =>
        new() { MessageId = id, SessionId = session, Body = Encoding.UTF8.GetBytes(body), TraceParent = null };

    private Dictionary<string, string> Headers(string contentType, int length, params (string Name, string Value)[] more) =>
        more.Append(("Host", _bus.Endpoint.Authority)).Append(("Authorization", "Bearer token-1")).Append(("Content-Type", contentType))
            .Append(("User-Agent", "DingFlow/0.1")).Append(("Accept-Encoding", "gzip, br"))
            .Append(("Content-Length", length.ToString(System.Globalization.CultureInfo.InvariantCulture)))
            .ToDictionary(pair => pair.Item1, pair => pair.Item2, StringComparer.OrdinalIgnoreCase);

    [Fact]
    public async Task A_single_message_has_this_wire_form_and_no_header_more()
    {
        await Queue().SendAsync(
            Sessions,
            [
                Message("leaver/acme/E1001/1", "person-1") with
                {
                    Subject = "person", TraceParent = Trace, EnqueueAt = new DateTimeOffset(2026, 11, 22, 9, 0, 0, 1, TimeSpan.FromHours(8)),
                },
            ], Cancel);

        var request = Assert.Single(_bus.Requests);
        Assert.Equal("POST", request.Method);
        Assert.Equal("/offboarding/messages?timeout=10&api-version=2013-10", request.Target);
        Assert.Equal("""{"a":1}""", request.Text);
        Assert.Equivalent(
            Headers(
                "application/json", 7,
                ("BrokerProperties", """{"MessageId":"leaver/acme/E1001/1","SessionId":"person-1","Label":"person","ScheduledEnqueueTimeUtc":"Sun, 22 Nov 2026 01:00:01 GMT"}"""),
                ("Diagnostic-Id", $"\"{Trace}\"")),
            request.Headers, strict: true);
        Assert.Equal(["https://servicebus.azure.net/.default"], _credential.Scopes);
    }

    [Fact]
    public async Task A_batch_has_this_wire_form_and_no_header_more()
    {
        await Queue().SendAsync(
            Plain,
            [
                Message("m-1") with { Subject = "alert", TraceParent = Trace },
                Message("m-2", body: """{"text":"say \"离职\" 🙂"}""") with { EnqueueAt = new DateTimeOffset(2026, 11, 22, 1, 0, 0, TimeSpan.Zero) },
            ], Cancel);

        const string body = """
            [{"Body":"{\"a\":1}","BrokerProperties":{"MessageId":"m-1","Label":"alert"},"UserProperties":{"Diagnostic-Id":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},{"Body":"{\"text\":\"say \\\"离职\\\" \uD83D\uDE42\"}","BrokerProperties":{"MessageId":"m-2","ScheduledEnqueueTimeUtc":"Sun, 22 Nov 2026 01:00:00 GMT"}}]
            """;
        var request = Assert.Single(_bus.Requests);
        Assert.Equal("/alerts/messages?timeout=10&api-version=2013-10", request.Target);
        Assert.Equal(body, request.Text);
        Assert.Equivalent(Headers("application/vnd.microsoft.servicebus.json", request.Body.Length), request.Headers, strict: true);
    }

    [Fact]
    public async Task The_work_that_sends_adds_no_header_of_its_own()
    {
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name is HttpTelemetry.SourceName or "System.Net.Http",
            Sample = (ref _) => ActivitySamplingResult.AllDataAndRecorded,
        };
        ActivitySource.AddActivityListener(listener);
        using var work = new Activity("work").SetIdFormat(ActivityIdFormat.W3C).AddBaggage("k", "v").Start();

        await Queue().SendAsync(Plain, [Message("m-1") with { TraceParent = work.Id }], Cancel);

        Assert.Equivalent(
            Headers("application/json", 7, ("BrokerProperties", """{"MessageId":"m-1"}"""), ("Diagnostic-Id", $"\"{work.Id}\"")),
            Assert.Single(_bus.Requests).Headers, strict: true);
    }

    [Fact]
    public async Task Properties_beyond_ascii_and_quotes_survive_the_header()
    {
        await Queue().SendAsync(Plain, [Message("m-\"离职\"") with { Subject = "a\r\nX-Evil: 1 🙂", TraceParent = "\"\r\nX-Evil: 1" }], Cancel);

        var request = Assert.Single(_bus.Requests);
        Assert.All(request.Headers["BrokerProperties"], character => Assert.InRange(character, ' ', '~'));
        using var properties = JsonDocument.Parse(request.Headers["BrokerProperties"]);
        Assert.Equal("m-\"离职\"", properties.RootElement.GetProperty("MessageId").GetString());
        Assert.Equal("a\r\nX-Evil: 1 🙂", properties.RootElement.GetProperty("Label").GetString());
        Assert.DoesNotContain("X-Evil", request.Headers.Keys);
        Assert.DoesNotContain("Diagnostic-Id", request.Headers.Keys);
    }

    [Fact]
    public async Task A_single_body_arrives_byte_for_byte()
    {
        const string body = """{"name":"王 \u0041 🙂 <&>'"}""";
        await Queue().SendAsync(Plain, [Message("m-1", body: body)], Cancel);
        Assert.Equal(Encoding.UTF8.GetBytes(body), Assert.Single(_bus.Requests).Body);
    }

    [Fact]
    public async Task Sessions_are_not_mixed_and_keep_their_order()
    {
        await Queue().SendAsync(
            Sessions, [Message("a1", "a"), Message("b1", "b"), Message("a2", "a"), Message("c1", "c"), Message("b2", "b"), Message("a3", "a")], Cancel);

        var sent = _bus.Requests.Select(request => string.Join(' ', Ids(request))).Order(StringComparer.Ordinal);
        Assert.Equal(["a1 a2 a3", "b1 b2", "c1"], sent);
    }

    [Fact]
    public async Task A_hundred_messages_at_most_go_into_one_request()
    {
        await Queue().SendAsync(Sessions, [.. Enumerable.Range(0, 201).Select(i => Message($"m{i}", "s"))], Cancel);

        Assert.Equal([100, 100, 1], _bus.Requests.Select(request => Ids(request).Count));
        Assert.Equal(Enumerable.Range(0, 201).Select(i => $"m{i}"), _bus.Requests.SelectMany(Ids));
    }

    [Fact]
    public async Task A_batch_stays_below_the_size_limit()
    {
        var body = $"{{\"t\":\"{new string('x', 30_000)}\"}}";
        await Queue().SendAsync(Sessions, [.. Enumerable.Range(0, 20).Select(i => Message($"m{i}", "s", body))], Cancel);

        Assert.Equal(3, _bus.Requests.Count);
        Assert.All(_bus.Requests, request => Assert.InRange(request.Body.Length, 1, 256 * 1024));
        Assert.Equal(Enumerable.Range(0, 20).Select(i => $"m{i}"), _bus.Requests.SelectMany(Ids));
    }

    [Fact]
    public async Task A_message_that_only_its_escaping_makes_too_large_goes_by_itself()
    {
        var body = $"{{\"t\":\"{new string('"', 120_000).Replace("\"", "\\\"", StringComparison.Ordinal)}\"}}";
        await Queue().SendAsync(Sessions, [Message("m1", "s"), Message("m2", "s", body), Message("m3", "s")], Cancel);

        Assert.Equal(["m1", "m2", "m3"], _bus.Requests.SelectMany(Ids));
        Assert.Equal("application/json", _bus.Requests.ElementAt(1).Headers["Content-Type"]);
    }

    public static TheoryData<string> RefusedNames => [.. Refused.Keys];

    private static Dictionary<string, OutgoingMessage> Refused { get; } = new(StringComparer.Ordinal)
    {
        ["too large"] = Message("m", "s", new string('x', 256 * 1024)),
        ["no session"] = Message("m"),
        ["empty session"] = Message("m", ""),
        ["long session"] = Message("m", new string('s', 129)),
        ["no id"] = Message("", "s"),
        ["long id"] = Message(new string('m', 129), "s"),
        ["not UTF-8"] = Message("m", "s") with { Body = new byte[] { 0x7B, 0xFF, 0x7D } },
    };

    [Theory]
    [MemberData(nameof(RefusedNames))]
    public async Task A_message_that_breaks_a_limit_is_refused_before_anything_is_sent(string name)
    {
        await Assert.ThrowsAsync<ArgumentException>(() => Queue().SendAsync(Sessions, [Message("good", "s"), Refused[name]], Cancel));
        Assert.Empty(_bus.Requests);
        Assert.Equal(0, _credential.Asked);
    }

    [Fact]
    public async Task Sending_nothing_does_nothing()
    {
        await Queue().SendAsync(Plain, [], Cancel);
        Assert.Empty(_bus.Requests);
    }

    [Fact]
    public async Task A_refused_token_is_dropped_and_a_new_one_tried_once()
    {
        _bus.Then(401);
        var queue = Queue();

        await queue.SendAsync(Plain, [Message("m-1")], Cancel);
        await queue.SendAsync(Plain, [Message("m-2")], Cancel);

        Assert.Equal(["Bearer token-1", "Bearer token-2", "Bearer token-2"], _bus.Requests.Select(request => request.Headers["Authorization"]));
    }

    [Theory]
    [InlineData(400, "malformed")]
    [InlineData(403, "lacks the role Azure Service Bus Data Sender")]
    [InlineData(404, "no such queue")]
    [InlineData(410, "no such queue")]
    [InlineData(413, "ServiceBus:MaxMessageBytes")]
    public async Task A_refusal_is_explained_and_not_tried_again(int status, string expected)
    {
        _bus.Then(status, "<Error><Code>403</Code><Detail>private. SubCode=40300. TrackingId:ab-12_G3, SystemTracker:x</Detail></Error>");

        var fault = await Assert.ThrowsAsync<MessageQueueException>(() => Queue().SendAsync(Plain, [Message("m-1")], Cancel));

        Assert.Contains(expected, fault.Message, StringComparison.Ordinal);
        Assert.Contains("sub-code 40300, tracking id ab-12_G3", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("private", fault.Message, StringComparison.Ordinal);
        Assert.Single(_bus.Requests);
    }

    [Fact]
    public async Task A_token_refused_twice_names_the_role()
    {
        _bus.Then(401).Then(401);

        var fault = await Assert.ThrowsAsync<MessageQueueException>(() => Queue().SendAsync(Plain, [Message("m-1")], Cancel));

        Assert.Contains("Azure Service Bus Data Sender", fault.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("token-", fault.ToString(), StringComparison.Ordinal);
        Assert.Equal(2, _bus.Requests.Count);
    }

    [Fact]
    public async Task A_redirect_is_not_followed_so_the_token_goes_nowhere_else()
    {
        await using var other = await ServiceBusStandIn.StartAsync(Cancel);
        _bus.Then(307, "", ("Location", $"{other.Endpoint}alerts/messages"));

        var fault = await Assert.ThrowsAsync<MessageQueueException>(() => Queue().SendAsync(Plain, [Message("m-1")], Cancel));

        Assert.Contains("redirect", fault.Message, StringComparison.Ordinal);
        Assert.Empty(other.Requests);
    }

    [Fact]
    public async Task Throttling_waits_as_long_as_it_is_told()
    {
        _bus.Then(429, "", ("Retry-After", "7"));
        var sending = Queue().SendAsync(Plain, [Message("m-1")], Cancel);

        Assert.Equal(TimeSpan.FromSeconds(7), await _time.PassNextWaitAsync(ShorterThanTimeouts, Cancel));

        await sending;
        Assert.Equal(2, _bus.Requests.Count);
    }

    [Fact]
    public async Task Throttling_for_longer_than_a_send_may_take_fails_at_once()
    {
        _bus.Then(429, "", ("Retry-After", "3600"));

        var fault = await Assert.ThrowsAsync<MessageQueueException>(() => Queue().SendAsync(Plain, [Message("m-1")], Cancel));

        Assert.Contains("throttling", fault.Message, StringComparison.Ordinal);
        Assert.Single(_bus.Requests);
    }

    [Theory]
    [InlineData(408)]
    [InlineData(429)]
    [InlineData(500)]
    [InlineData(503)]
    public async Task Passing_trouble_is_tried_again_with_a_pause(int status)
    {
        _bus.Then(status).Then(status);
        var sending = Queue().SendAsync(Plain, [Message("m-1")], Cancel);

        var first = await _time.PassNextWaitAsync(ShorterThanTimeouts, Cancel);
        var second = await _time.PassNextWaitAsync(ShorterThanTimeouts, Cancel);

        await sending;
        Assert.All([first, second], pause => Assert.InRange(pause, TimeSpan.Zero, TimeSpan.FromSeconds(5)));
        Assert.Equal(3, _bus.Requests.Count);
    }

    [Fact]
    public async Task Trouble_that_stays_is_given_up_in_bounded_time()
    {
        for (var i = 0; i < 200; i++)
        {
            _bus.Then(503, "SubCode=50004.");
        }

        var start = _time.GetUtcNow();
        var sending = Queue().SendAsync(Plain, [Message("m-1")], Cancel);
        while (_time.GetUtcNow() - start < TimeSpan.FromSeconds(30))
        {
            await _time.PassNextWaitAsync(ShorterThanTimeouts, Cancel);
        }

        var fault = await Assert.ThrowsAsync<MessageQueueException>(() => sending);
        Assert.Contains("in time (last status 503, sub-code 50004)", fault.Message, StringComparison.Ordinal);
        Assert.InRange(_bus.Requests.Count, 5, 100);
    }

    [Fact]
    public async Task A_lost_answer_sends_the_same_message_again()
    {
        _bus.ThenCut();
        var sending = Queue().SendAsync(Sessions, [Message("m-1", "s")], Cancel);
        await _time.PassNextWaitAsync(ShorterThanTimeouts, Cancel);

        await sending;
        Assert.Equal(2, _bus.Requests.Count);
        Assert.Equal(["m-1", "m-1"], _bus.Requests.SelectMany(Ids));
        Assert.Equivalent(_bus.Requests.First(), _bus.Requests.Last(), strict: true);
    }

    [Fact]
    public async Task An_attempt_without_an_answer_ends_after_its_time_and_is_tried_again()
    {
        _bus.ThenSilence();
        var sending = Queue().SendAsync(Plain, [Message("m-1")], Cancel);
        await _bus.ArrivalAsync(Cancel);

        _time.Advance(TimeSpan.FromSeconds(15));
        await _time.PassNextWaitAsync(ShorterThanTimeouts, Cancel);

        await sending;
        Assert.Equal(2, _bus.Requests.Count);
    }

    [Fact]
    public async Task Giving_up_waiting_is_a_cancellation()
    {
        _bus.ThenSilence();
        using var cancel = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var sending = Queue().SendAsync(Plain, [Message("m-1")], cancel.Token);
        await _bus.ArrivalAsync(Cancel);

        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sending);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Queue().SendAsync(Plain, [Message("m-1")], cancel.Token));
        Assert.Single(_bus.Requests);
    }

    [Fact]
    public async Task A_namespace_that_keeps_failing_is_left_alone_for_a_while()
    {
        var queue = Queue();
        for (var i = 0; i < 20; i++)
        {
            _bus.Then(503, "", ("Retry-After", "3600"));
            await Assert.ThrowsAsync<MessageQueueException>(() => queue.SendAsync(Plain, [Message($"m-{i}")], Cancel));
        }

        var fault = await Assert.ThrowsAsync<MessageQueueException>(() => queue.SendAsync(Plain, [Message("m-x")], Cancel));
        Assert.Contains("it has been failing", fault.Message, StringComparison.Ordinal);
        Assert.Equal(20, _bus.Requests.Count);

        _time.Advance(TimeSpan.FromSeconds(16));
        await queue.SendAsync(Plain, [Message("m-x")], Cancel);
        Assert.Equal(21, _bus.Requests.Count);
    }

    [Fact]
    public async Task One_session_in_trouble_does_not_cut_off_the_others()
    {
        _bus.Then(404);
        var fault = await Assert.ThrowsAsync<MessageQueueException>(
            () => Queue().SendAsync(Sessions, [.. Enumerable.Range(0, 4).Select(i => Message($"m{i}", $"s{i}"))], Cancel));

        Assert.Contains("no such queue", fault.Message, StringComparison.Ordinal);
        Assert.Equal(["m0", "m1", "m2", "m3"], _bus.Requests.SelectMany(Ids).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task A_token_is_kept_until_shortly_before_it_expires()
    {
        var queue = Queue();
        await queue.SendAsync(Plain, [Message("m-1")], Cancel);
        _time.Advance(TimeSpan.FromMinutes(54));
        await queue.SendAsync(Plain, [Message("m-2")], Cancel);
        Assert.Equal(1, _credential.Asked);

        _time.Advance(TimeSpan.FromMinutes(5.9));
        await queue.SendAsync(Plain, [Message("m-3")], Cancel);

        Assert.Equal(2, _credential.Asked);
        Assert.Equal(["Bearer token-1", "Bearer token-1", "Bearer token-2"], _bus.Requests.Select(request => request.Headers["Authorization"]));
    }

    [Fact]
    public async Task One_refresh_serves_all_who_wait_and_outlives_the_one_who_asked()
    {
        var gate = new TaskCompletionSource();
        _credential.Gate = gate.Task;
        var queue = Queue();
        using var impatient = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        var first = queue.SendAsync(Plain, [Message("m-0")], impatient.Token);
        var others = Enumerable.Range(1, 5).Select(i => queue.SendAsync(Plain, [Message($"m-{i}")], Cancel)).ToList();

        await impatient.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        gate.SetResult();
        await Task.WhenAll(others);

        Assert.Equal(1, _credential.Asked);
        Assert.Equal(5, _bus.Requests.Count);
    }

    [Fact]
    public async Task A_machine_without_an_identity_is_told_so()
    {
        _credential.Fails = true;

        var fault = await Assert.ThrowsAsync<MessageQueueException>(() => Queue().SendAsync(Plain, [Message("m-1")], Cancel));

        Assert.Contains("no token could be had", fault.Message, StringComparison.Ordinal);
        Assert.Empty(_bus.Requests);
    }

    [Fact]
    public async Task Another_audience_is_asked_for_when_set()
    {
        await Queue(options => options with { Scope = "https://servicebus.chinacloudapi.cn/.default" }).SendAsync(Plain, [Message("m-1")], Cancel);
        Assert.Equal(["https://servicebus.chinacloudapi.cn/.default"], _credential.Scopes);
    }

    private static List<string> Ids(ServiceBusArrival request)
    {
        if (request.Headers.TryGetValue("BrokerProperties", out var header))
        {
            using var single = JsonDocument.Parse(header);
            return [single.RootElement.GetProperty("MessageId").GetString()!];
        }

        using var batch = JsonDocument.Parse(request.Body);
        return [.. batch.RootElement.EnumerateArray().Select(m => m.GetProperty("BrokerProperties").GetProperty("MessageId").GetString()!)];
    }
}
