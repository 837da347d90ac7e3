using System.Globalization;
using System.Text;
using System.Text.Json;
using CsCheck;
using DingFlow.DingTalk;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class ReceiveDingTalkEventTests
{
    private const string Left =
        """{"eventId":"00000000000000000000000000000001","CorpId":"dingcorp0000000000000000000000000001","EventType":"user_leave_org","UserId":["u1","u2"],"TimeStamp":"1767225600000"}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData("""{"EventType":"check_url"}""")]
    [InlineData("""{"EventType":"check_create_suite_url","Random":"LPIdSnlF","TestSuiteKey":"suite4xxxxxxxxxxxxxxx"}""")]
    [InlineData("""{"EventType":"check_update_suite_url"}""")]
    public async Task A_verification_is_answered_with_an_encrypted_success(string message)
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostDingTalkAsync(message);

        Assert.Equal(200, answer.Status);
        Assert.Equal("success", scenario.OpenReply(answer));
        Assert.Equal(
            scenario.Time.GetUtcNow().ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture), answer.Json.GetProperty("timeStamp").GetString());
        Assert.Equal(JsonValueKind.String, answer.Json.GetProperty("timeStamp").ValueKind);
        Assert.Equal(0, scenario.Store.Transactions);
    }

    [Fact]
    public async Task A_leave_becomes_one_event_for_each_person()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostDingTalkAsync(Left);

        Assert.Equal("success", scenario.OpenReply(answer));
        var people = (await scenario.ReadWorkAsync(Token)).SelectMany(static work => work.Events).ToList();
        Assert.Equal(["u1", "u2"], people.Select(static person => person.DingTalkUserId));
        Assert.All(people, static person =>
        {
            Assert.Equal((PersonEventKind.LeftOrganisation, "dingtalk/acme"), (person.Kind, person.Source));
            Assert.Equal(["acme"], person.Tenants);
            Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(1767225600000), person.OccurredAt);
        });
        Assert.Equal(1, scenario.Store.Transactions);
    }

    /// <summary>An event that has neither an id nor a time: its push's time stands in, or a person's second leave would be taken for a retry.</summary>
    [Fact]
    public async Task The_same_leave_again_without_any_id_or_time_is_news()
    {
        await using var scenario = new IntakeScenario();
        const string Event = """{"EventType":"user_leave_org","UserId":["u1"]}""";

        await scenario.PostDingTalkAsync(Event);
        await scenario.PostDingTalkAsync(Event);
        scenario.Time.Advance(TimeSpan.FromDays(30));
        await scenario.PostDingTalkAsync(Event);

        Assert.Equal(2, scenario.Queue.Offboarding.Count);
    }

    [Fact]
    public async Task The_hr_records_leave_opens_work_too()
    {
        await using var scenario = new IntakeScenario();

        Assert.Equal(200, (await scenario.PostDingTalkAsync("""{"EventType":"hrm_mdm_user_change","changeType":4,"staffId":"u9"}""")).Status);

        Assert.Equal("u9", Assert.Single(Assert.Single(await scenario.ReadWorkAsync(Token)).Events).DingTalkUserId);
    }

    [Fact]
    public async Task A_retry_is_recognised_by_its_event_id_though_it_is_signed_anew()
    {
        await using var scenario = new IntakeScenario();
        Assert.Equal(200, (await scenario.PostDingTalkAsync(Left)).Status);
        scenario.Time.Advance(TimeSpan.FromSeconds(40));

        var retry = await scenario.PostDingTalkAsync(Left);

        Assert.Equal("success", scenario.OpenReply(retry));
        Assert.Equal(2, scenario.Queue.Offboarding.Count);
    }

    [Fact]
    public async Task Without_an_event_id_the_message_itself_is_recognised()
    {
        await using var scenario = new IntakeScenario();
        var bare = Left.Replace("\"eventId\":\"00000000000000000000000000000001\",", "", StringComparison.Ordinal);

        await scenario.PostDingTalkAsync(bare);
        await scenario.PostDingTalkAsync(bare);
        await scenario.PostDingTalkAsync(bare.Replace("u1", "u3", StringComparison.Ordinal));

        Assert.Equal(4, scenario.Queue.Offboarding.Count);
        Assert.Empty(scenario.Alerts);
    }

    [Fact]
    public async Task Other_events_are_kept_and_need_no_work()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostDingTalkAsync("""{"EventType":"user_add_org","UserId":["u1"],"TimeStamp":"1"}""");

        Assert.Equal("success", scenario.OpenReply(answer));
        Assert.Empty(scenario.Queue.Offboarding);
        Assert.Equal(1, scenario.Store.Transactions);
    }

    [Fact]
    public async Task Leavers_that_cannot_be_read_are_kept_and_raise_an_alert()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostDingTalkAsync("""{"EventType":"user_leave_org","UserId":{"new":"shape"}}""");

        Assert.Equal("success", scenario.OpenReply(answer));
        Assert.Equal(("intake.unreadable_event", AlertSeverity.Critical), (scenario.Alerts[0].Type, scenario.Alerts[0].Severity));
    }

    [Fact]
    public async Task Many_leavers_are_parcelled_into_work_items_and_none_is_lost()
    {
        await using var scenario = new IntakeScenario();
        var ids = Enumerable.Range(0, 1000).Select(static n => $"user-{n}").ToList();
        var list = string.Join(',', ids.Select(static id => $"\"{id}\""));

        Assert.Equal(200, (await scenario.PostDingTalkAsync($$"""{"EventType":"user_leave_org","UserId":[{{list}}]}""")).Status);

        var work = await scenario.ReadWorkAsync(Token);
        Assert.All(work, static item => Assert.InRange(item.Events.Count, 1, 50));
        Assert.Equal(ids, work.SelectMany(static item => item.Events).Select(static person => person.DingTalkUserId));
    }

    [Theory]
    [InlineData("signature")]
    [InlineData("msg_signature")]
    [InlineData("SIGNATURE")]
    public async Task Every_spelling_of_the_parameters_is_taken(string name)
    {
        await using var scenario = new IntakeScenario();
        var reply = scenario.Crypto.Seal(Left, scenario.Time.GetUtcNow());

        var answer = await scenario.PostCallbackAsync(
            IntakeScenario.Query(reply.Signature, reply.TimeStamp, reply.Nonce, name).Replace("timestamp", "timeStamp", StringComparison.Ordinal),
            $$"""{"encrypt":"{{reply.Encrypt}}"}""");

        Assert.Equal(200, answer.Status);
    }

    [Fact]
    public async Task Parameters_given_in_both_spellings_or_folded_by_the_host_are_taken_when_they_agree()
    {
        await using var scenario = new IntakeScenario();
        var reply = scenario.Crypto.Seal(Left, scenario.Time.GetUtcNow());
        var body = $$"""{"encrypt":"{{reply.Encrypt}}"}""";
        var both = $"?signature={reply.Signature}&msg_signature={reply.Signature}&timestamp={reply.TimeStamp}&timeStamp={reply.TimeStamp}&nonce={reply.Nonce}";
        var folded = $"?signature={reply.Signature},{reply.Signature}&timestamp={reply.TimeStamp},{reply.TimeStamp}&nonce={reply.Nonce}";
        var torn = $"?signature={reply.Signature}&msg_signature={new string('0', 40)}&timestamp={reply.TimeStamp}&nonce={reply.Nonce}";

        Assert.Equal(200, (await scenario.PostCallbackAsync(both, body)).Status);
        Assert.Equal(200, (await scenario.PostCallbackAsync(folded, body)).Status);
        (await scenario.PostCallbackAsync(torn, body)).IsProblem(401, "invalid-signature");
    }

    [Fact]
    public async Task A_wrong_or_missing_signature_is_401()
    {
        await using var scenario = new IntakeScenario();
        var reply = scenario.Crypto.Seal(Left, scenario.Time.GetUtcNow());
        var body = $$"""{"encrypt":"{{reply.Encrypt}}"}""";

        (await scenario.PostCallbackAsync(IntakeScenario.Query(new string('0', 40), reply.TimeStamp, reply.Nonce), body)).IsProblem(401, "invalid-signature");
        (await scenario.PostCallbackAsync($"?timestamp={reply.TimeStamp}&nonce={reply.Nonce}", body)).IsProblem(401, "invalid-signature");
        (await scenario.PostCallbackAsync("", body)).IsProblem(401, "invalid-signature");
        Assert.Equal(0, scenario.Store.Transactions);
    }

    [Theory]
    [InlineData(-601)]
    [InlineData(601)]
    public async Task A_push_from_another_time_is_401(int seconds)
    {
        await using var scenario = new IntakeScenario();

        (await scenario.PostDingTalkAsync(Left, at: scenario.Time.GetUtcNow().AddSeconds(seconds))).IsProblem(401, "stale-timestamp");
    }

    [Theory]
    [InlineData("1795309200", 200)]
    [InlineData("1795309200000", 200)]
    [InlineData("17953092000", 401)]
    [InlineData("179530920000x", 401)]
    public async Task A_time_in_seconds_is_taken_too(string timestamp, int status)
    {
        await using var scenario = new IntakeScenario();
        Assert.Equal(1795309200, scenario.Time.GetUtcNow().ToUnixTimeSeconds());
        var encrypt = scenario.Crypto.Seal(Left, scenario.Time.GetUtcNow()).Encrypt;

        var answer = await scenario.PostCallbackAsync(
            IntakeScenario.Query(scenario.Crypto.Sign(timestamp, "n", encrypt), timestamp, "n"), $$"""{"encrypt":"{{encrypt}}"}""");

        Assert.Equal(status, answer.Status);
    }

    [Theory]
    [InlineData("other")]
    [InlineData("silent")]
    public async Task A_tenant_that_is_unknown_or_has_no_callback_is_404(string tenant)
    {
        await using var scenario = new IntakeScenario();

        (await scenario.PostDingTalkAsync(Left, tenant)).IsProblem(404, "unknown-tenant");
    }

    [Fact]
    public async Task Another_organisation_is_refused()
    {
        await using var scenario = new IntakeScenario();

        var answer = await scenario.PostDingTalkAsync(Left.Replace(IntakeScenario.CorpId, "dingother", StringComparison.Ordinal));

        answer.IsProblem(403, "forbidden");
        Assert.Equal(0, scenario.Store.Transactions);
    }

    [Fact]
    public async Task A_message_for_another_app_is_refused()
    {
        await using var scenario = new IntakeScenario();
        var other = new DingTalkCallbackCrypto(IntakeScenario.CallbackToken, IntakeScenario.CallbackAesKey, "otherapp");
        var reply = other.Seal(Left, scenario.Time.GetUtcNow());

        var answer = await scenario.PostCallbackAsync(
            IntakeScenario.Query(reply.Signature, reply.TimeStamp, reply.Nonce), $$"""{"encrypt":"{{reply.Encrypt}}"}""");

        answer.IsProblem(403, "forbidden");
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"encrypt":7}""")]
    [InlineData("""{"encrypt":null}""")]
    [InlineData("""{"encrypt":"a","encrypt":"b"}""")]
    [InlineData("""{"encrypt":"a"} x""")]
    [InlineData("""{"encrypt":"\ud800"}""")]
    [InlineData("""{"a":[[[[[[[1]]]]]]],"encrypt":"a"}""")]
    public async Task A_body_without_one_encrypted_text_is_400(string body)
    {
        await using var scenario = new IntakeScenario();

        (await scenario.PostCallbackAsync("?signature=a&timestamp=1&nonce=n", body)).IsProblem(400, "malformed");
    }

    [Fact]
    public async Task Random_bodies_and_parameters_are_refused_and_never_throw()
    {
        await using var scenario = new IntakeScenario();

        await Gen.Select(Gen.String, Gen.String[Gen.Char.AlphaNumeric, 0, 50]).SampleAsync(
            async (body, text) =>
            {
                var bare = await scenario.PostCallbackAsync($"?signature={text}&timestamp={text}&nonce={text}", body);
                var wrapped = await scenario.PostCallbackAsync($"?signature={text}&timestamp={text}&nonce={text}", $$"""{"encrypt":"{{text}}"}""");
                Assert.InRange(bare.Status, 400, 499);
                Assert.Equal(401, wrapped.Status);
            },
            iter: 300);
    }

    [Theory]
    [InlineData("not an event")]
    [InlineData("{}")]
    [InlineData("[]")]
    public async Task A_message_that_is_no_event_is_400(string message)
    {
        await using var scenario = new IntakeScenario();

        (await scenario.PostDingTalkAsync(message)).IsProblem(400, "malformed");
    }

    [Fact]
    public async Task A_signed_text_that_does_not_open_is_400()
    {
        await using var scenario = new IntakeScenario();
        const string Encrypt = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        var timestamp = scenario.Time.GetUtcNow().ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture);

        var answer = await scenario.PostCallbackAsync(
            IntakeScenario.Query(scenario.Crypto.Sign(timestamp, "n", Encrypt), timestamp, "n"), $$"""{"encrypt":"{{Encrypt}}"}""");

        answer.IsProblem(400, "malformed");
    }

    [Fact]
    public async Task A_wrong_content_type_is_415_and_a_huge_body_413()
    {
        await using var scenario = new IntakeScenario();

        (await scenario.PostCallbackAsync("?signature=a", "{}", contentType: "text/plain")).IsProblem(415, "unsupported-media-type");
        (await scenario.PostCallbackAsync("?signature=a", new string(' ', 300_000))).IsProblem(413, "too-large");
    }

    [Fact]
    public async Task When_the_store_is_down_it_is_503_and_never_success()
    {
        await using var scenario = new IntakeScenario();
        scenario.Store.IsDown = true;

        (await scenario.PostDingTalkAsync(Left)).IsProblem(503, "unavailable");
    }

    [Fact]
    public async Task When_the_queue_is_down_it_is_success_and_the_sweeper_enqueues()
    {
        await using var scenario = new IntakeScenario();
        scenario.Queue.IsDown = true;
        var answer = await scenario.PostDingTalkAsync(Left);
        scenario.Queue.IsDown = false;
        scenario.Time.Advance(InboxTiming.SweepAfter);

        Assert.Equal(2, await scenario.Inbox.SweepAsync(Token));

        Assert.Equal("success", scenario.OpenReply(answer));
        Assert.Equal(2, scenario.Queue.Offboarding.Count);
    }

    [Fact]
    public async Task Identifiers_are_neither_in_the_store_nor_in_the_messages_as_plain_text()
    {
        await using var scenario = new IntakeScenario();
        await scenario.PostDingTalkAsync(Left.Replace("u1", "person-of-interest", StringComparison.Ordinal));

        foreach (var entity in await scenario.Store.AllAsync("Inbox", Token))
        {
            Assert.DoesNotContain("person-of-interest", entity.RowKey, StringComparison.Ordinal);
            Assert.All(entity.Properties.Values, static value => Assert.DoesNotContain(
                "person-of-interest", value is byte[] bytes ? Encoding.Latin1.GetString(bytes) : $"{value}", StringComparison.Ordinal));
        }

        Assert.All(scenario.Queue.Offboarding, static message => Assert.DoesNotContain(
            "person-of-interest", $"{message.MessageId}{message.SessionId}{Encoding.UTF8.GetString(message.Body.Span)}", StringComparison.Ordinal));
    }
}
