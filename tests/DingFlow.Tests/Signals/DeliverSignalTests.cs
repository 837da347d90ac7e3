using System.Globalization;
using System.Text;
using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Settings;
using DingFlow.Signals;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Signals;

/// <summary>What subscribers are told, how often it is tried, and that it is told once.</summary>
public sealed class DeliverSignalTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_verified_freeze_is_pushed_as_a_signed_token_that_says_what_the_framework_asks_for()
    {
        await using var scenario = await TransmitterScenario.StartAsync();
        var @case = await scenario.VerifiedAsync();

        await scenario.AnnounceAsync(@case.CaseId);
        await scenario.SettleAsync();

        var pushed = Assert.Single(scenario.Subscriber.Received);
        Assert.Equal(("application/secevent+jwt", "Bearer the-bearer-token"), (pushed.ContentType, pushed.Authorization));
        Assert.Equal(("RS256", "secevent+jwt"), (pushed.Header.GetProperty("alg").GetString(), pushed.Header.GetProperty("typ").GetString()));
        Assert.True(await scenario.IsSignedByUsAsync(pushed));
        var claims = pushed.Claims;
        Assert.Equal(["iss", "aud", "iat", "jti", "toe", "txn", "sub_id", "events"], claims.EnumerateObject().Select(static claim => claim.Name));
        Assert.Equal((TransmitterScenario.Issuer, "https://crm.example", @case.CaseId), (Text(claims, "iss"), Text(claims, "aud"), Text(claims, "txn")));
        Assert.Equal(@case.VerifiedAt!.Value.ToUnixTimeSeconds(), claims.GetProperty("toe").GetInt64());
        Assert.Equal(scenario.Time.GetUtcNow().ToUnixTimeSeconds(), claims.GetProperty("iat").GetInt64());
        Assert.Equal("""{"format":"email","email":"e1001@sandbox.example"}""", claims.GetProperty("sub_id").GetRawText());
        Assert.Equal(Secevents.Disabled, Assert.Single(claims.GetProperty("events").EnumerateObject()).Name);
    }

    [Fact]
    public async Task Neither_a_repeated_announcement_nor_a_repeated_message_tells_twice()
    {
        await using var scenario = await TransmitterScenario.StartAsync();
        var @case = await scenario.VerifiedAsync();
        await scenario.AnnounceAsync(@case.CaseId);
        await scenario.SettleAsync();

        await scenario.AnnounceAsync(@case.CaseId);
        foreach (var message in scenario.Signals.ToList())
        {
            await scenario.HandleAsync(message);
        }

        await scenario.SettleAsync();

        Assert.Single(scenario.Subscriber.Received);
    }

    [Fact]
    public async Task A_failed_push_is_repeated_with_the_same_claims_by_the_key_of_that_moment()
    {
        await using var scenario = await TransmitterScenario.StartAsync();
        var @case = await scenario.VerifiedAsync();
        scenario.Subscriber.Next(503);
        await scenario.AnnounceAsync(@case.CaseId);
        await scenario.SettleAsync();
        Assert.Equal(TimeSpan.FromSeconds(5), scenario.NextDue);

        // The next key was published beside the present one; now it signs, and the case has learned another address.
        var next = TransmitterScenario.NewKey(curve: true);
        await scenario.RestartAsync(("Signals:SigningKeys:0", next));
        await scenario.ChangeAsync(@case.CaseId, static c => c with { Identifiers = [new() { Email = "another@sandbox.example" }, .. c.Identifiers] });
        scenario.Time.Advance(TimeSpan.FromSeconds(5));
        await scenario.SettleAsync();

        Assert.Equal(2, scenario.Subscriber.Received.Count);
        var (first, second) = (scenario.Subscriber.Received[0], scenario.Subscriber.Received[1]);
        Assert.Equal(first.Claims.GetRawText(), second.Claims.GetRawText());
        Assert.Equal(("RS256", "ES256"), (Text(first.Header, "alg"), Text(second.Header, "alg")));
        Assert.True(await scenario.IsSignedByUsAsync(second));
    }

    [Fact]
    public async Task A_subscriber_that_refuses_is_tried_for_three_days_people_are_told_and_the_claims_are_forgotten()
    {
        await using var scenario = await TransmitterScenario.StartAsync();
        var @case = await scenario.VerifiedAsync();
        scenario.Subscriber.Next(400, """{"err":"invalid_audience","description":"e1001@sandbox.example is not ours"}""", times: 10);
        await scenario.AnnounceAsync(@case.CaseId);
        await scenario.SettleAsync();

        var first = Assert.Single(scenario.Alerts);
        Assert.Equal(("signals.push_refused", "400 invalid_audience"), (first.Type, first.Details["detail"]));
        while (scenario.Subscriber.Received.Count < 10)
        {
            scenario.Time.Advance(scenario.NextDue);
            await scenario.SettleAsync();
        }

        Assert.InRange(scenario.Time.GetUtcNow() - Tests.Intake.IntakeScenario.Start, TimeSpan.FromDays(3), TimeSpan.FromDays(4));
        var last = Assert.Single(scenario.Alerts, static alert => alert.Type == "signals.given_up");
        Assert.Equal(@case.CaseId, last.Details["caseId"]);
        Assert.All(scenario.Alerts, static alert => Assert.DoesNotContain("sandbox.example", alert.Summary + string.Join(' ', alert.Details.Values), StringComparison.Ordinal));
        Assert.Null(Assert.Single(await RowsAsync(scenario)).Properties.Get<byte[]>("Claims"));
    }

    [Fact]
    public async Task What_the_subscriber_asks_for_is_waited_and_what_it_is_told_lies_encrypted()
    {
        await using var scenario = await TransmitterScenario.StartAsync();
        var @case = await scenario.VerifiedAsync();
        scenario.Subscriber.Next(429, retryAfter: "600");
        await scenario.AnnounceAsync(@case.CaseId);
        await scenario.SettleAsync();

        Assert.Equal(TimeSpan.FromSeconds(600), scenario.NextDue);
        var row = Assert.Single(await RowsAsync(scenario));
        Assert.NotEmpty(row.Properties.Require<byte[]>("Claims"));
        var everything = string.Join(' ', row.Properties.Values.Select(static value => value is byte[] bytes ? Encoding.Latin1.GetString(bytes) : Convert.ToString(value, CultureInfo.InvariantCulture)))
            + string.Join(' ', scenario.Signals.Select(static message => Encoding.UTF8.GetString(message.Body.Span) + message.MessageId));
        Assert.DoesNotContain("sandbox.example", everything, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Nobody_hears_that_accounts_are_disabled_which_are_being_given_back()
    {
        await using var scenario = await TransmitterScenario.StartAsync();
        var @case = await scenario.VerifiedAsync();
        scenario.Subscriber.Next(503);
        await scenario.AnnounceAsync(@case.CaseId);
        await scenario.SettleAsync();

        await scenario.ChangeAsync(@case.CaseId, c => c with
        {
            State = CaseState.Reactivated,
            Undo = new CaseUndo { RequestedAt = scenario.Time.GetUtcNow(), RequestedBy = "key:ops", Reason = "rehired", Steps = [], CompletedAt = scenario.Time.GetUtcNow() },
        });
        await scenario.AnnounceAsync(@case.CaseId);
        scenario.Time.Advance(TimeSpan.FromHours(1));
        await scenario.SettleAsync();

        Assert.Equal([Secevents.Disabled, Secevents.Enabled], scenario.Subscriber.Received.Select(EventOf));
        Assert.NotEqual(Text(scenario.Subscriber.Received[0].Claims, "jti"), Text(scenario.Subscriber.Received[1].Claims, "jti"));
    }

    [Theory]
    [InlineData("Events", "account-enabled", 0)]
    [InlineData("Sources", "other", 0)]
    [InlineData("Sources", "Acme,other", 1)]
    public async Task A_subscriber_hears_only_what_it_asked_for(string setting, string value, int pushes)
    {
        await using var scenario = await TransmitterScenario.StartAsync(($"Signals:Subscribers:crm:{setting}", value));
        var @case = await scenario.VerifiedAsync();

        await scenario.AnnounceAsync(@case.CaseId);
        await scenario.SettleAsync();

        Assert.Equal(pushes, scenario.Subscriber.Received.Count);
    }

    [Fact]
    public async Task A_rehearsal_tells_nobody()
    {
        await using var scenario = await TransmitterScenario.StartAsync();
        var @case = await scenario.VerifiedAsync(static c => c with { Mode = CaseMode.DryRun });

        await scenario.AnnounceAsync(@case.CaseId);

        Assert.Empty(scenario.Signals);
    }

    [Fact]
    public async Task People_are_named_as_the_subscriber_knows_them()
    {
        await using var scenario = await TransmitterScenario.StartAsync(("Signals:Subscribers:crm:Subjects", "employeeId"));
        var known = await scenario.VerifiedAsync();
        var unknown = await scenario.VerifiedAsync(static c => c with { CaseId = CaseId.New(c.ReceivedAt.AddMinutes(1)), EmployeeId = null, Identifiers = [new() { Email = "x@sandbox.example" }] });

        await scenario.AnnounceAsync(known.CaseId);
        await scenario.AnnounceAsync(unknown.CaseId);
        await scenario.SettleAsync();

        Assert.Equal(
            $$"""{"format":"iss_sub","iss":"{{TransmitterScenario.Issuer}}","sub":"E1001"}""", Assert.Single(scenario.Subscriber.Received).Claims.GetProperty("sub_id").GetRawText());
        Assert.Equal(("signals.no_subject", unknown.CaseId), (Assert.Single(scenario.Alerts).Type, scenario.Alerts[0].Details["caseId"]));
    }

    [Fact]
    public async Task While_the_store_is_down_the_work_waits()
    {
        await using var scenario = await TransmitterScenario.StartAsync();
        var @case = await scenario.VerifiedAsync();
        await scenario.AnnounceAsync(@case.CaseId);
        scenario.Store.IsDown = true;
        await scenario.SettleAsync();

        scenario.Store.IsDown = false;
        scenario.Time.Advance(TimeSpan.FromSeconds(30));
        await scenario.SettleAsync();

        Assert.Single(scenario.Subscriber.Received);
    }

    [Theory]
    [InlineData("nonsense")]
    [InlineData("{}")]
    [InlineData("""{"caseId":"no-such-case","kind":"disabled"}""")]
    public async Task A_message_that_can_never_succeed_is_not_tried_again(string body)
    {
        await using var scenario = await TransmitterScenario.StartAsync();

        await Assert.ThrowsAsync<UnusableMessageException>(() => scenario.HandleAsync(new OutgoingMessage { MessageId = "m", Body = Encoding.UTF8.GetBytes(body) }));
    }

    [Fact]
    public async Task All_keys_are_published_and_the_first_signs()
    {
        await using var scenario = await TransmitterScenario.StartAsync(("Signals:SigningKeys:0", TransmitterScenario.NewKey(curve: true)), ("Signals:SigningKeys:1", TransmitterScenario.NewKey()));
        await scenario.AnnounceAsync((await scenario.VerifiedAsync()).CaseId);
        await scenario.SettleAsync();

        var keys = await scenario.CallAsync<GetSignalKeys>();
        var metadata = (await scenario.CallAsync<GetSignalConfiguration>()).Json;

        Assert.Equal("ES256", Text(Assert.Single(scenario.Subscriber.Received).Header, "alg"));
        Assert.Equal(["ES256", "RS256"], keys.Json.GetProperty("keys").EnumerateArray().Select(static key => Text(key, "alg")));
        Assert.All(keys.Json.GetProperty("keys").EnumerateArray(), static key => Assert.Empty(key.EnumerateObject().Select(static member => member.Name).Intersect(["d", "p", "q", "dp", "dq", "qi", "k"])));
        Assert.Equal("public, max-age=3600", keys.Headers.CacheControl);
        Assert.Equal((TransmitterScenario.Issuer, $"{TransmitterScenario.Issuer}/signals/jwks.json", "1_0"), (Text(metadata, "issuer"), Text(metadata, "jwks_uri"), Text(metadata, "spec_version")));
        Assert.Equal("urn:ietf:rfc:8935", metadata.GetProperty("delivery_methods_supported")[0].GetString());
        // Every leaver is told without being added first.
        Assert.Equal("ALL", Text(metadata, "default_subjects"));
    }

    [Fact]
    public async Task An_operator_can_see_whether_a_subscriber_takes_our_tokens_before_somebody_leaves()
    {
        await using var scenario = await TransmitterScenario.StartAsync();
        scenario.Subscriber.Next(400, """{"err":"invalid_key","description":"…"}""");

        var refused = await scenario.CallAsync<VerifySignalSubscriber>("crm");
        var taken = await scenario.CallAsync<VerifySignalSubscriber>("CRM", """{"state":"abc"}""");
        var unknown = await scenario.CallAsync<VerifySignalSubscriber>("nobody");
        var malformed = await scenario.CallAsync<VerifySignalSubscriber>("crm", "[");

        Assert.Equal("""{"subscriber":"crm","delivered":false,"detail":"400 invalid_key"}""", Encoding.UTF8.GetString(refused.Body));
        Assert.Equal("""{"subscriber":"crm","delivered":true,"detail":"202"}""", Encoding.UTF8.GetString(taken.Body));
        Assert.Equal((404, 400), (unknown.Status, malformed.Status));
        var claims = scenario.Subscriber.Received[1].Claims;
        Assert.Equal("""{"format":"opaque","id":"crm"}""", claims.GetProperty("sub_id").GetRawText());
        Assert.Equal("abc", Text(claims.GetProperty("events").GetProperty(Secevents.Verification), "state"));
    }

    [Theory]
    [InlineData("Signals:Issuer", null, "Signals:Issuer")]
    [InlineData("Signals:Issuer", "http://dingflow.example/api", "Signals:Issuer")]
    [InlineData("Signals:Issuer", "https://dingflow.example/api?x=1", "Signals:Issuer")]
    [InlineData("Signals:SigningKeys:0", null, "Signals:SigningKeys")]
    [InlineData("Signals:SigningKeys:0", "bm90IGEga2V5", "Signals:SigningKeys:0")]
    [InlineData("Signals:SigningKeys:0", "not base64", "Signals:SigningKeys:0")]
    [InlineData("Signals:Subscribers:crm:Url", "http://crm.example/events", "Signals:Subscribers:crm:Url")]
    [InlineData("Signals:Subscribers:crm:Url", null, "Signals:Subscribers:crm:Url")]
    [InlineData("Signals:Subscribers:crm:Audience", null, "Signals:Subscribers:crm:Audience")]
    [InlineData("Signals:Subscribers:crm:Events", "account-purged", "Signals:Subscribers:crm:Events")]
    [InlineData("Signals:Subscribers:crm:Subjects", "phone", "Signals:Subscribers:crm:Subjects")]
    [InlineData("Signals:Subscribers:crm:Token", "two words", "Signals:Subscribers:crm:Token")]
    public void A_setting_that_is_missing_or_wrong_is_named(string name, string? value, string setting)
    {
        var settings = new Dictionary<string, string?>
        {
            ["Signals:Issuer"] = TransmitterScenario.Issuer, ["Signals:SigningKeys:0"] = TransmitterScenario.NewKey(),
            ["Signals:Subscribers:crm:Url"] = "https://crm.example/events", ["Signals:Subscribers:crm:Audience"] = "https://crm.example",
        };
        settings[name] = value;
        foreach (var key in settings.Where(static pair => pair.Value is null).Select(static pair => pair.Key).ToList())
        {
            settings.Remove(key);
        }

        var faults = new SettingsFaults();

        SignalOptions.Read(new ConfigurationBuilder().AddInMemoryCollection(settings).Build(), faults);

        Assert.StartsWith($"{setting}: ", Assert.Single(faults.All), StringComparison.Ordinal);
    }

    private static async Task<IReadOnlyList<DingFlow.Storage.Entity>> RowsAsync(TransmitterScenario scenario) =>
        [.. (await scenario.Store.AllAsync("Signals", Cancellation)).Where(static row => row.RowKey.Contains('|', StringComparison.Ordinal) && !row.RowKey.StartsWith('~'))];

    private static string? Text(JsonElement element, string name) => element.GetProperty(name).GetString();

    private static string EventOf(PushedToken pushed) => pushed.Claims.GetProperty("events").EnumerateObject().Single().Name;
}
