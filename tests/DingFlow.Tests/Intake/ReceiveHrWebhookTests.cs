using System.Text;
using DingFlow.Intake;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;
using Microsoft.AspNetCore.Http;

namespace DingFlow.Tests.Intake;

public sealed class ReceiveHrWebhookTests
{
    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_leaver_is_stored_enqueued_and_accepted()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostHrAsync(IntakeScenario.Leaver);

        Assert.Equal(202, answer.Status);
        Assert.StartsWith("application/json", answer.ContentType, StringComparison.Ordinal);
        Assert.Equal(["deliveryId", "duplicate"], answer.Json.EnumerateObject().Select(static property => property.Name));
        Assert.False(answer.Duplicate);
        var work = Assert.Single(await scenario.ReadWorkAsync(Token));
        Assert.Equal((answer.DeliveryId, "hr/acme", 0), (work.DeliveryId, work.Source, work.VerifiedBy));
        Assert.Equal(scenario.Time.GetUtcNow(), work.ReceivedAt);
        Assert.Equal("E1001", Assert.Single(work.Events).EmployeeId);
        Assert.Equal(1, scenario.Store.Transactions);
        Assert.Equal(1, scenario.Queue.Calls);
    }

    [Fact]
    public async Task Both_secrets_are_valid_and_the_one_that_signed_is_kept()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostHrAsync(IntakeScenario.Leaver, secret: IntakeScenario.NextSecret);

        Assert.Equal(202, answer.Status);
        Assert.Equal(1, Assert.Single(await scenario.ReadWorkAsync(Token)).VerifiedBy);
    }

    [Fact]
    public async Task A_replay_is_a_duplicate_and_enqueues_nothing()
    {
        await using var scenario = new IntakeScenario();
        var first = await scenario.PostHrAsync(IntakeScenario.Leaver);
        scenario.Time.Advance(TimeSpan.FromMinutes(1));

        var second = await scenario.PostHrAsync(IntakeScenario.Leaver);

        Assert.Equal((202, first.DeliveryId, true), (second.Status, second.DeliveryId, second.Duplicate));
        Assert.Single(scenario.Queue.Offboarding);
        Assert.Equal(1, scenario.Queue.Calls);
    }

    [Fact]
    public async Task Two_leavers_under_one_delivery_id_are_both_accepted_and_an_alert_is_raised()
    {
        await using var scenario = new IntakeScenario();
        var other = IntakeScenario.Leaver.Replace("1001", "1002", StringComparison.Ordinal);
        var first = await scenario.PostHrAsync(IntakeScenario.Leaver);

        var second = await scenario.PostHrAsync(other);
        var again = await scenario.PostHrAsync(other);

        Assert.Equal((202, false), (second.Status, second.Duplicate));
        Assert.NotEqual(first.DeliveryId, second.DeliveryId);
        Assert.Equal((second.DeliveryId, true), (again.DeliveryId, again.Duplicate));
        var work = await scenario.ReadWorkAsync(Token);
        Assert.Equal(["E1001", "E1002"], work.Select(static item => Assert.Single(item.Events).EmployeeId));
        var alert = Assert.Single(scenario.Alerts);
        Assert.Equal(("intake.delivery_id_reused", "hr/acme"), (alert.Type, alert.About));
    }

    /// <summary>Leave, rehire, leave: without an id and without a time in the body nothing tells the second leave from a repetition, and none may be lost.</summary>
    [Theory]
    [InlineData("github")]
    [InlineData("mapped")]
    public async Task The_same_body_again_without_any_id_or_time_is_news(string dialect)
    {
        const string Secret = "a-long-random-secret";
        await using var scenario = new IntakeScenario(
            ("HrSources:own:Dialect", dialect), ("HrSources:own:Secrets:0", Secret), ("HrSources:own:Signature:Header", "X-Hub-Signature-256"),
            ("HrSources:own:Signature:Prefix", "sha256="), ("HrSources:own:Signature:IdHeader", "X-Delivery"),
            ("HrSources:own:Map:Kind", "$.type"), ("HrSources:own:Map:EmployeeId", "$.data.employeeId"));
        var body = """{"type":"employee.terminated","data":{"employeeId":"E1001"}}"""u8.ToArray();
        var signature = new HmacScheme { SignatureHeader = "X-Hub-Signature-256", Prefix = "sha256=" }.Sign(System.Text.Encoding.UTF8.GetBytes(Secret), body);

        var first = await scenario.PostAsync("own", body, "application/json", ("X-Hub-Signature-256", signature));
        scenario.Time.Advance(TimeSpan.FromDays(30));
        var second = await scenario.PostAsync("own", body, "application/json", ("X-Hub-Signature-256", signature));

        Assert.Equal((202, 202, false), (first.Status, second.Status, second.Duplicate));
        Assert.Equal(2, scenario.Queue.Offboarding.Count);
    }

    [Fact]
    public async Task A_wrong_signature_is_401()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostHrAsync(IntakeScenario.Leaver, secret: "whsec_" + Convert.ToBase64String(new byte[24]));

        answer.IsProblem(401, "invalid-signature");
        Assert.Empty(await scenario.Store.AllAsync("Inbox", Token));
    }

    [Fact]
    public async Task A_missing_signature_is_401()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.SendHrAsync("acme", static request => Prepare(request, IntakeScenario.Leaver));

        answer.IsProblem(401, "invalid-signature");
        Assert.Equal(0, scenario.Store.Transactions);
    }

    [Theory]
    [InlineData(-301)]
    [InlineData(301)]
    public async Task A_stale_timestamp_is_401(int seconds)
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostHrAsync(IntakeScenario.Leaver, at: scenario.Time.GetUtcNow().AddSeconds(seconds));

        answer.IsProblem(401, "stale-timestamp");
        Assert.Equal(0, scenario.Store.Transactions);
    }

    [Fact]
    public async Task A_replay_after_the_window_is_refused()
    {
        await using var scenario = new IntakeScenario();
        var signedAt = scenario.Time.GetUtcNow();
        Assert.Equal(202, (await scenario.PostHrAsync(IntakeScenario.Leaver)).Status);
        scenario.Time.Advance(TimeSpan.FromMinutes(6));

        (await scenario.PostHrAsync(IntakeScenario.Leaver, at: signedAt)).IsProblem(401, "stale-timestamp");
    }

    [Fact]
    public async Task An_unknown_source_is_404_whatever_it_sends()
    {
        await using var scenario = new IntakeScenario();

        (await scenario.PostHrAsync(IntakeScenario.Leaver, source: "other")).IsProblem(404, "unknown-source");
        (await scenario.SendHrAsync("other", static _ => { })).IsProblem(404, "unknown-source");
    }

    [Fact]
    public async Task A_source_is_known_in_any_case_and_is_one()
    {
        await using var scenario = new IntakeScenario();

        var first = await scenario.PostHrAsync(IntakeScenario.Leaver);
        var second = await scenario.PostHrAsync(IntakeScenario.Leaver, source: "ACME");

        Assert.Equal((202, first.DeliveryId, true), (second.Status, second.DeliveryId, second.Duplicate));
    }

    [Theory]
    [InlineData(null, null)]
    [InlineData("text/plain", null)]
    [InlineData("application/xml", null)]
    [InlineData("application/json; charset=utf-16", null)]
    [InlineData("application/json", "gzip")]
    public async Task A_wrong_content_type_or_coding_is_415(string? contentType, string? coding)
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.SendHrAsync("acme", request =>
        {
            Prepare(request, IntakeScenario.Leaver);
            request.ContentType = contentType;
            request.Headers.ContentEncoding = coding;
        });

        answer.IsProblem(415, "unsupported-media-type");
    }

    [Theory]
    [InlineData("")]
    [InlineData("not json")]
    [InlineData("""{"type":"employee.terminated","data":{"employeeId":7}}""")]
    [InlineData("""{"type":"employee.terminated","data":{"employeeId":"E1-malformed","employeeId":"E2-malformed"}}""")]
    public async Task A_malformed_body_is_400_and_its_values_are_not_repeated(string body)
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostHrAsync(body);

        answer.IsProblem(400, "malformed");
        // Nothing that an id of a request, made of capitals and digits, could hold by chance.
        Assert.DoesNotContain("-malformed", Encoding.UTF8.GetString(answer.Body), StringComparison.Ordinal);
        Assert.Equal(0, scenario.Store.Transactions);
    }

    [Fact]
    public async Task A_deep_body_is_400()
    {
        await using var scenario = new IntakeScenario();

        (await scenario.PostHrAsync(new string('[', 50_000) + new string(']', 50_000))).IsProblem(400, "malformed");
    }

    [Fact]
    public async Task A_body_over_the_limit_is_413_by_its_length_alone()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.SendHrAsync("acme", static request =>
        {
            Prepare(request, "");
            request.ContentLength = IntakeOptions.DefaultMaxBodyBytes + 1;
            request.Body = new UnreadableStream();
        });

        answer.IsProblem(413, "too-large");
    }

    [Fact]
    public async Task A_chunked_body_is_counted_while_it_is_read()
    {
        await using var scenario = new IntakeScenario(("Intake:MaxBodyBytes", "2048"));
        using var endless = new EndlessStream();

        var answer = await scenario.SendHrAsync("acme", request =>
        {
            Prepare(request, "");
            request.ContentLength = null;
            request.Body = endless;
        });

        answer.IsProblem(413, "too-large");
        Assert.InRange(endless.Read, 2049, 1024 * 1024);
    }

    [Fact]
    public async Task A_chunked_body_within_the_limit_is_accepted()
    {
        await using var scenario = new IntakeScenario();
        var body = Encoding.UTF8.GetBytes(IntakeScenario.Leaver);

        var answer = await scenario.SendHrAsync("acme", request =>
        {
            Sign(request, scenario, body);
            request.ContentLength = null;
            request.Body = new TricklingStream(body);
        });

        Assert.Equal(202, answer.Status);
    }

    [Fact]
    public async Task A_large_body_within_the_limit_survives_the_store()
    {
        await using var scenario = new IntakeScenario(("Intake:MaxBodyBytes", "524288"));
        var noise = Convert.ToBase64String(Noise(380_000));
        var body = IntakeScenario.Leaver.Replace("\"data\":{", $"\"data\":{{\"note\":\"{noise}\",", StringComparison.Ordinal);

        var answer = await scenario.PostHrAsync(body);

        Assert.Equal(202, answer.Status);
        Assert.Equal("E1001", Assert.Single(Assert.Single(await scenario.ReadWorkAsync(Token)).Events).EmployeeId);
    }

    [Fact]
    public async Task When_the_store_is_down_it_is_503_and_the_repetition_is_accepted()
    {
        await using var scenario = new IntakeScenario();
        scenario.Store.IsDown = true;
        var refused = await scenario.PostHrAsync(IntakeScenario.Leaver);
        scenario.Store.IsDown = false;

        var accepted = await scenario.PostHrAsync(IntakeScenario.Leaver);

        refused.IsProblem(503, "unavailable");
        Assert.True(int.Parse(refused.Headers.RetryAfter!, null) > 0);
        Assert.Equal((202, false), (accepted.Status, accepted.Duplicate));
    }

    [Fact]
    public async Task When_the_queue_is_down_it_is_202_and_the_sweeper_enqueues()
    {
        await using var scenario = new IntakeScenario();
        scenario.Queue.IsDown = true;
        var answer = await scenario.PostHrAsync(IntakeScenario.Leaver);
        scenario.Queue.IsDown = false;
        scenario.Time.Advance(InboxTiming.SweepAfter);

        Assert.Equal(1, await scenario.Inbox.SweepAsync(Token));

        Assert.Equal(202, answer.Status);
        Assert.Equal(answer.DeliveryId, Assert.Single(await scenario.ReadWorkAsync(Token)).DeliveryId);
    }

    [Fact]
    public async Task More_than_allowed_is_429_and_later_it_is_accepted_again()
    {
        await using var scenario = new IntakeScenario(("HrSources:acme:MaxPerMinute", "2"));
        Assert.Equal(202, (await scenario.PostHrAsync(IntakeScenario.Leaver, "msg_1")).Status);
        Assert.Equal(202, (await scenario.PostHrAsync(IntakeScenario.Leaver, "msg_2")).Status);

        var refused = await scenario.PostHrAsync(IntakeScenario.Leaver, "msg_3");
        scenario.Time.Advance(TimeSpan.FromSeconds(30));
        var accepted = await scenario.PostHrAsync(IntakeScenario.Leaver, "msg_3");

        refused.IsProblem(429, "too-many-requests");
        Assert.Equal("30", refused.Headers.RetryAfter);
        Assert.Equal(202, accepted.Status);
    }

    [Fact]
    public async Task Forged_webhooks_do_not_use_up_a_sources_rate()
    {
        await using var scenario = new IntakeScenario(("HrSources:acme:MaxPerMinute", "1"));
        for (var i = 0; i < 5; i++)
        {
            (await scenario.PostHrAsync(IntakeScenario.Leaver, secret: "whsec_" + Convert.ToBase64String(new byte[24])))
                .IsProblem(401, "invalid-signature");
        }

        Assert.Equal(202, (await scenario.PostHrAsync(IntakeScenario.Leaver)).Status);
    }

    [Fact]
    public async Task An_unknown_event_type_is_accepted_kept_and_needs_no_work()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostHrAsync("""{"type":"employee.promoted","timestamp":"2026-11-22T09:00:00+08:00","data":{}}""");

        Assert.Equal(202, answer.Status);
        Assert.Empty(scenario.Queue.Offboarding);
        Assert.NotEmpty(await scenario.Store.AllAsync("Inbox", Token));
    }

    [Fact]
    public async Task A_paused_source_is_accepted_and_waits_until_it_is_resumed()
    {
        await using var scenario = new IntakeScenario(("HrSources:acme:Paused", "true"));

        var answer = await scenario.PostHrAsync(IntakeScenario.Leaver);
        scenario.Time.Advance(TimeSpan.FromHours(1));
        var swept = await scenario.Inbox.SweepAsync(Token);

        Assert.Equal((202, 0), (answer.Status, swept));
        Assert.Empty(scenario.Queue.Offboarding);
        Assert.Empty(scenario.Alerts);
    }

    [Fact]
    public async Task A_source_confines_its_events_and_makes_them_dry_runs()
    {
        await using var scenario = new IntakeScenario(
            ("HrSources:acme:Tenants", "ACME"), ("HrSources:acme:EmailDomains:0", "@Sandbox.Example"), ("HrSources:acme:DryRun", "true"),
            ("DingTalk:Tenants:acme:CorpId", "x"));

        Assert.Equal(202, (await scenario.PostHrAsync(IntakeScenario.Leaver)).Status);

        var person = Assert.Single(Assert.Single(await scenario.ReadWorkAsync(Token)).Events);
        Assert.Equal(["acme"], person.Tenants);
        Assert.True(person.DryRun);
    }

    [Theory]
    [InlineData("\"email\":\"e1001@other.example\"")]
    [InlineData("\"email\":\"e1001@sub.sandbox.example\"")]
    [InlineData("\"email\":\"e1001@evilsandbox.example\"")]
    [InlineData("\"email\":null")]
    public async Task A_person_outside_a_sources_mail_domains_is_403_and_an_alert(string email)
    {
        await using var scenario = new IntakeScenario(("HrSources:acme:EmailDomains", "sandbox.example"));

        var answer = await scenario.PostHrAsync(IntakeScenario.Leaver.Replace("\"email\":\"e1001@sandbox.example\"", email, StringComparison.Ordinal));

        answer.IsProblem(403, "forbidden");
        Assert.Empty(scenario.Queue.Offboarding);
        Assert.Empty(await scenario.Store.AllAsync("Inbox", Token));
        Assert.Equal("intake.outside_confines", Assert.Single(scenario.Alerts).Type);
    }

    private static void Prepare(HttpRequest request, string body)
    {
        request.ContentType = "application/json";
        request.Body = new MemoryStream(Encoding.UTF8.GetBytes(body));
    }

    private static void Sign(HttpRequest request, IntakeScenario scenario, byte[] body)
    {
        var timestamp = scenario.Time.GetUtcNow().ToUnixTimeSeconds();
        request.ContentType = "application/json";
        request.Headers[StandardWebhooks.IdHeader] = "msg_1";
        request.Headers[StandardWebhooks.TimestampHeader] = timestamp.ToString(System.Globalization.CultureInfo.InvariantCulture);
        request.Headers[StandardWebhooks.SignatureHeader] =
            StandardWebhooks.Sign(StandardWebhooks.DecodeSecret(IntakeScenario.Secret)!, "msg_1", timestamp, body);
    }

    private static byte[] Noise(int length)
    {
        var noise = new byte[length];
        new Random(1).NextBytes(noise);
        return noise;
    }

    /// <summary>A body that must not be touched.</summary>
    private sealed class UnreadableStream : MemoryStream
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            throw new InvalidOperationException("The body must not be read.");
    }

    /// <summary>A body that never ends and counts what was taken of it.</summary>
    private sealed class EndlessStream : MemoryStream
    {
        public new long Read { get; private set; }

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            buffer.Span.Fill((byte)' ');
            Read += buffer.Length;
            return ValueTask.FromResult(buffer.Length);
        }
    }

    /// <summary>A body that comes a few bytes at a time.</summary>
    private sealed class TricklingStream(byte[] content) : MemoryStream(content)
    {
        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, 7)], cancellationToken);
    }
}
