using System.Text;
using System.Text.Json.Nodes;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Signals;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Signals;

/// <summary>What the receiver of Shared Signals accepts, makes of it, and refuses.</summary>
public sealed class ReceiveSignalTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task An_accepted_token_is_durable_before_its_empty_202()
    {
        await using var scenario = await SignalScenario.StartAsync();

        (await scenario.PushAsync(Secevents.SessionRevoked, body: """{"event_timestamp":1795308000,"initiating_entity":"policy","reason_admin":{"en":"Landspeed violation"}}""")).IsAccepted();

        var person = Assert.Single(await scenario.EventsAsync());
        Assert.Equal((PersonEventKind.SessionsRevoked, "hr/idp", "e1001@sandbox.example"), (person.Kind, person.Source, person.Email));
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1795308000), person.OccurredAt);
        var row = Assert.Single(await scenario.Intake.Store.AllAsync("Inbox", Cancellation), static row => row.RowKey.StartsWith("d|", StringComparison.Ordinal));
        Assert.DoesNotContain(row.Properties.Values.OfType<byte[]>(), static bytes => Encoding.UTF8.GetString(bytes).Contains("sandbox.example", StringComparison.Ordinal));
    }

    [Fact]
    public async Task What_cannot_be_stored_is_answered_503_and_accepted_when_it_comes_again()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var token = scenario.Transmitter.Token(scenario.Claims(Secevents.SessionRevoked));
        scenario.Intake.Store.IsDown = true;

        var answer = await scenario.SendAsync(token);
        scenario.Intake.Store.IsDown = false;

        Assert.Equal(503, answer.Status);
        Assert.True(answer.Headers.ContainsKey("Retry-After"));
        (await scenario.SendAsync(token)).IsAccepted();
        Assert.Single(await scenario.EventsAsync());
    }

    [Fact]
    public async Task A_repetition_is_answered_the_same_and_done_once_even_when_it_was_signed_anew()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var claims = scenario.Claims(Secevents.Disabled);
        (await scenario.PushAsync(claims)).IsAccepted();

        (await scenario.PushAsync(claims)).IsAccepted();
        scenario.Transmitter.Rotate();
        scenario.Intake.Time.Advance(TransmitterKeys.LeastInterval);
        (await scenario.PushAsync(claims)).IsAccepted();

        Assert.Single(await scenario.EventsAsync());
        Assert.Empty(scenario.Intake.Alerts);
    }

    [Fact]
    public async Task One_jti_for_two_events_loses_neither_and_is_told()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var claims = scenario.Claims(Secevents.Disabled);
        await scenario.PushAsync(claims);
        claims["sub_id"] = JsonNode.Parse("""{"format":"email","email":"e1002@sandbox.example"}""");

        (await scenario.PushAsync(claims)).IsAccepted();
        (await scenario.PushAsync(claims)).IsAccepted();

        Assert.Equal(["e1001@sandbox.example", "e1002@sandbox.example"], (await scenario.EventsAsync()).Select(static e => e.Email));
        Assert.Equal("intake.delivery_id_reused", Assert.Single(scenario.Intake.Alerts).Type);
    }

    [Theory]
    [InlineData("freeze", Secevents.Disabled, PersonEventKind.AccountDisabled)]
    [InlineData("endSessions", Secevents.Disabled, PersonEventKind.SessionsRevoked)]
    [InlineData("record", Secevents.Disabled, null)]
    [InlineData("freeze", Secevents.Purged, PersonEventKind.AccountDisabled)]
    [InlineData("record", Secevents.Purged, null)]
    [InlineData("freeze", Secevents.Enabled, PersonEventKind.AccountEnabled)]
    [InlineData("freeze", Secevents.SessionRevoked, PersonEventKind.SessionsRevoked)]
    [InlineData("record", Secevents.SessionRevoked, PersonEventKind.SessionsRevoked)]
    [InlineData("freeze", Secevents.CredentialChange, null)]
    [InlineData("freeze", "https://schemas.example/made-up", null)]
    public async Task The_settings_say_what_an_event_means_and_a_session_never_makes_a_leaver(string disabled, string type, PersonEventKind? kind)
    {
        await using var scenario = await SignalScenario.StartAsync(("AccountDisabled", disabled));

        (await scenario.PushAsync(type)).IsAccepted();

        Assert.Equal(kind is null ? [] : [kind.Value], (await scenario.EventsAsync()).Select(static e => e.Kind));
    }

    [Theory]
    [InlineData("AccountPurged", "record", Secevents.Purged)]
    [InlineData("AccountEnabled", "record", Secevents.Enabled)]
    [InlineData("SessionRevoked", "record", Secevents.SessionRevoked)]
    public async Task Each_event_can_be_left_at_being_recorded(string setting, string value, string type)
    {
        await using var scenario = await SignalScenario.StartAsync((setting, value));

        (await scenario.PushAsync(type)).IsAccepted();

        Assert.Empty(await scenario.EventsAsync());
        Assert.Contains(await scenario.Intake.Store.AllAsync("Inbox", Cancellation), static row => row.RowKey.StartsWith("d|", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("""{"reason":"hijacking"}""", "account-disabled: hijacking")]
    [InlineData("""{"reason":"bulk-account"}""", "account-disabled: bulk-account")]
    [InlineData("""{"reason":"<script>"}""", "account-disabled")]
    [InlineData("{}", "account-disabled")]
    public async Task The_case_can_show_that_an_account_was_disabled_for_another_cause_than_a_leave(string body, string reason)
    {
        await using var scenario = await SignalScenario.StartAsync();

        await scenario.PushAsync(Secevents.Disabled, body: body);

        Assert.Equal(reason, Assert.Single(await scenario.EventsAsync()).Reason);
    }

    [Theory]
    [InlineData("""{"format":"email","email":"e1001@sandbox.example"}""", null, "e1001@sandbox.example", null)]
    [InlineData("""{"format":"iss_sub","iss":"https://idp.example","sub":"E1001"}""", "E1001", null, null)]
    [InlineData("""{"format":"opaque","id":"E1001"}""", "E1001", null, null)]
    [InlineData("""{"format":"complex","user":{"format":"email","email":"a@b.example"},"tenant":{"format":"opaque","id":"t"}}""", null, "a@b.example", null)]
    [InlineData("""{"user":{"format":"opaque","id":"E1001"}}""", "E1001", null, null)]
    [InlineData("""{"format":"aliases","identifiers":[{"format":"email","email":"a@b.example"},{"format":"iss_sub","iss":"https://idp.example","sub":"E7"},{"format":"did","url":"did:example:1"},"x",{"format":"aliases","identifiers":[]}]}""", "E7", "a@b.example", null)]
    // Before RFC 9493.
    [InlineData("""{"subject_type":"iss-sub","iss":"https://idp.example","sub":"E1001"}""", "E1001", null, null)]
    public async Task Subjects_that_can_be_told_name_the_person(string subject, string? employeeId, string? email, string? userId)
    {
        await using var scenario = await SignalScenario.StartAsync(("SubjectIs", "employeeId"));

        await scenario.PushAsync(Secevents.Disabled, subject);

        var person = Assert.Single(await scenario.EventsAsync());
        Assert.Equal((employeeId, email, userId), (person.EmployeeId, person.Email, person.DingTalkUserId));
    }

    [Theory]
    [InlineData("""{"format":"iss_sub","iss":"https://other.example","sub":"E1001"}""", "employeeId")]
    [InlineData("""{"format":"iss_sub","iss":"https://idp.example","sub":"E1001"}""", null)]
    [InlineData("""{"format":"opaque","id":"E1001"}""", null)]
    [InlineData("""{"format":"opaque","id":"joe.smith@example.com"}""", "employeeId")]
    [InlineData("""{"format":"phone_number","phone_number":"+85366000000"}""", "employeeId")]
    [InlineData("""{"format":"account","uri":"acct:joe@example.com"}""", "email")]
    [InlineData("""{"format":"email","email":"not an address"}""", "employeeId")]
    [InlineData("""{"format":"complex","tenant":{"format":"opaque","id":"all-of-them"}}""", "employeeId")]
    // An account at one application, or on one device, is not the person's account.
    [InlineData("""{"format":"complex","user":{"format":"email","email":"a@b.example"},"application":{"format":"opaque","id":"crm"}}""", "employeeId")]
    [InlineData("""{"format":"complex","user":{"format":"email","email":"a@b.example"},"device":{"format":"opaque","id":"phone"}}""", "employeeId")]
    public async Task A_subject_that_cannot_be_told_freezes_nobody_and_people_are_told(string subject, string? meaning)
    {
        await using var scenario = await SignalScenario.StartAsync(("SubjectIs", meaning));

        (await scenario.PushAsync(Secevents.Disabled, subject)).IsAccepted();

        Assert.Empty(await scenario.EventsAsync());
        Assert.Equal(("signals.unknown_subject", AlertSeverity.Critical), (Assert.Single(scenario.Intake.Alerts).Type, scenario.Intake.Alerts[0].Severity));
    }

    [Fact]
    public async Task People_who_cannot_be_told_of_an_unknown_subject_are_told_when_the_token_comes_again()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var token = scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled, """{"format":"opaque","id":"x"}"""));
        scenario.Intake.Queue.IsDown = true;

        await Assert.ThrowsAsync<MessageQueueException>(() => scenario.SendAsync(token)); // The pipeline answers 503.
        scenario.Intake.Queue.IsDown = false;
        (await scenario.SendAsync(token)).IsAccepted();

        Assert.Equal("signals.unknown_subject", Assert.Single(scenario.Intake.Alerts).Type);
    }

    [Fact]
    public async Task A_session_on_one_device_ends_the_sessions_of_the_person()
    {
        await using var scenario = await SignalScenario.StartAsync();

        await scenario.PushAsync(
            Secevents.SessionRevoked, """{"format":"complex","user":{"format":"email","email":"a@b.example"},"session":{"format":"opaque","id":"s1"},"device":{"format":"opaque","id":"d1"}}""");

        Assert.Equal((PersonEventKind.SessionsRevoked, "a@b.example"), (Assert.Single(await scenario.EventsAsync()).Kind, (await scenario.EventsAsync())[0].Email));
    }

    [Fact]
    public async Task A_subject_inside_the_event_is_read_as_it_was_before_the_framework_was_final()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var claims = scenario.Claims(Secevents.Disabled, body: """{"subject":{"format":"email","email":"old@sandbox.example"}}""");
        claims.Remove("sub_id");

        (await scenario.PushAsync(claims)).IsAccepted();

        Assert.Equal("old@sandbox.example", Assert.Single(await scenario.EventsAsync()).Email);
    }

    [Fact]
    public async Task A_delivery_whose_subject_could_not_be_told_is_read_anew_when_it_is_replayed_after_the_setting_was_mended()
    {
        await using var scenario = await SignalScenario.StartAsync(transmitter => [.. transmitter.Source("idp"), .. transmitter.Source("later", ("SubjectIs", "employeeId"))]);
        var token = Encoding.UTF8.GetBytes(scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled, """{"format":"opaque","id":"E1001"}""")));
        await scenario.Intake.CallAsync<ReceiveSignal>("source", "later", token, "application/secevent+jwt");
        var id = scenario.Intake.Queue.Offboarding.Select(static message => OffboardingMessage.Parse(message.Body.Span).Delivery!.Row).Single();

        var answer = await scenario.Intake.CallAsync<ReplayDelivery>("id", id, """{"reason":"the setting was mended"}"""u8.ToArray());

        Assert.Equal(202, answer.Status);
        Assert.Equal(2, scenario.Intake.Queue.Offboarding.Count);
    }

    public static TheoryData<string, string> Refusals() => new()
    {
        { "iss", "invalid_issuer" }, { "aud", "invalid_audience" }, { "no aud", "invalid_audience" }, { "typ", "invalid_request" }, { "no typ", "invalid_request" },
        { "none", "invalid_request" }, { "none with signature", "invalid_key" }, { "HS256", "invalid_key" }, { "RS384", "invalid_key" }, { "PS256", "invalid_key" },
        { "tampered", "authentication_failed" }, { "other key", "authentication_failed" }, { "jwk", "authentication_failed" }, { "unknown kid", "invalid_key" },
        { "crit", "invalid_request" }, { "expired", "invalid_request" }, { "ahead", "invalid_request" }, { "old", "invalid_request" }, { "no iat", "invalid_request" },
        { "iat text", "invalid_request" }, { "no jti", "invalid_request" }, { "no events", "invalid_request" }, { "empty events", "invalid_request" },
        { "event text", "invalid_request" }, { "no subject", "invalid_request" }, { "jwe", "invalid_request" }, { "two parts", "invalid_request" }, { "twice", "invalid_request" },
        { "array", "invalid_request" }, { "empty", "invalid_request" },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task Whatever_is_not_a_token_of_the_transmitter_for_us_is_refused_as_RFC_8935_has_it(string what, string error)
    {
        await using var scenario = await SignalScenario.StartAsync();
        var (transmitter, now) = (scenario.Transmitter, scenario.Intake.Time.GetUtcNow());
        var claims = scenario.Claims(Secevents.Disabled);
        string With(Action<JsonObject> change)
        {
            change(claims);
            return transmitter.Token(claims);
        }

        var token = what switch
        {
            "iss" => With(static c => c["iss"] = "https://idp.example/"),
            "aud" => With(static c => c["aud"] = "https://somebody.example"),
            "no aud" => With(static c => c.Remove("aud")),
            "typ" => transmitter.Token(claims, header: new JsonObject { ["typ"] = "at+jwt" }),
            "no typ" => transmitter.Token(claims, header: new JsonObject { ["typ"] = null }),
            "none" => transmitter.Token(claims, algorithm: "none"),
            "none with signature" => transmitter.Token(claims, algorithm: "none") + "AAAA",
            "HS256" => transmitter.Token(claims, algorithm: "HS256"),
            "RS384" => transmitter.Token(claims, algorithm: "RS384"),
            "PS256" => transmitter.Token(claims, algorithm: "PS256"),
            "tampered" => Tampered(transmitter.Token(claims)),
            "other key" => SignalKey.Rsa(transmitter.Key.Id, unlike: transmitter.Key).Sign(claims.ToJsonString()),
            "jwk" => SelfMade(transmitter, claims),
            "unknown kid" => SignalKey.Rsa().Sign(claims.ToJsonString()),
            "crit" => transmitter.Token(claims, header: new JsonObject { ["crit"] = new JsonArray("b64"), ["b64"] = false }),
            "expired" => With(c => c["exp"] = now.AddMinutes(-3).ToUnixTimeSeconds()),
            "ahead" => With(c => c["iat"] = now.AddMinutes(6).ToUnixTimeSeconds()),
            "old" => With(c => c["iat"] = now.AddDays(-181).ToUnixTimeSeconds()),
            "no iat" => With(static c => c.Remove("iat")),
            "iat text" => With(static c => c["iat"] = "now"),
            "no jti" => With(static c => c.Remove("jti")),
            "no events" => With(static c => c.Remove("events")),
            "empty events" => With(static c => c["events"] = new JsonObject()),
            "event text" => With(static c => c["events"] = new JsonObject { [Secevents.Disabled] = "yes" }),
            "no subject" => With(static c => c.Remove("sub_id")),
            "jwe" => transmitter.Token(claims) + ".AAAA.AAAA",
            "two parts" => transmitter.Token(claims)[..transmitter.Token(claims).LastIndexOf('.')],
            "twice" => transmitter.Key.Sign(claims.ToJsonString().Replace("\"jti\":", "\"jti\":\"other\",\"jti\":", StringComparison.Ordinal)),
            "array" => transmitter.Key.Sign("[]"),
            _ => "",
        };

        (await scenario.SendAsync(token)).IsRefused(error);

        Assert.Empty(await scenario.EventsAsync());
        Assert.Empty(await scenario.Intake.Store.AllAsync("Inbox", Cancellation));
    }

    [Fact]
    public async Task An_audience_among_several_and_the_full_media_type_are_accepted()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var claims = scenario.Claims(Secevents.Disabled);
        claims["aud"] = new JsonArray("https://somebody.example", TransmitterStandIn.Audience);

        (await scenario.SendAsync(scenario.Transmitter.Token(claims, header: new JsonObject { ["typ"] = "application/secevent+jwt" }))).IsAccepted();
    }

    [Fact]
    public async Task Other_algorithms_are_accepted_by_setting_only()
    {
        await using var scenario = await SignalScenario.StartAsync(("Algorithms", "PS256,ES256"));
        var curve = SignalKey.P256();
        scenario.Transmitter.Publish(curve);
        scenario.Transmitter.Publish(SignalKey.Rsa());

        (await scenario.SendAsync(scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled), algorithm: "PS256"))).IsAccepted();
        (await scenario.SendAsync(scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled), curve))).IsAccepted();
        (await scenario.SendAsync(scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled), algorithm: "RS256"))).IsRefused("invalid_key");
    }

    [Fact]
    public async Task A_bearer_token_is_asked_for_where_the_source_has_one_and_either_of_two_is_accepted()
    {
        await using var scenario = await SignalScenario.StartAsync(("Secrets:0", "first-bearer-token-0001"), ("Secrets:1", "second-bearer-token-0002"));
        var token = scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled));

        (await scenario.SendAsync(token)).IsRefused("authentication_failed", 401);
        (await scenario.SendAsync(token, ("Authorization", "Bearer wrong-bearer-token-0003"))).IsRefused("authentication_failed", 401);
        (await scenario.SendAsync(token, ("Authorization", "Bearer first-bearer-token-0001"), ("Authorization", "Bearer x"))).IsRefused("authentication_failed", 401);
        Assert.Equal(0, scenario.Transmitter.KeyRequests);
        (await scenario.SendAsync(token, ("Authorization", "Bearer second-bearer-token-0002"))).IsAccepted();
        Assert.Equal(1, Assert.Single(await scenario.Intake.ReadWorkAsync(Cancellation)).VerifiedBy);
    }

    [Fact]
    public async Task What_all_sources_share_counts_here_too()
    {
        await using var scenario = await SignalScenario.StartAsync(("EmailDomains", "sandbox.example"), ("MaxPerMinute", "2"), ("MaxBodyBytes", "4096"), ("DryRun", "true"), ("Tenants", "acme"));

        (await scenario.PushAsync(Secevents.Disabled, """{"format":"email","email":"ceo@other.example"}""")).IsRefused("access_denied");
        Assert.Equal("intake.outside_confines", Assert.Single(scenario.Intake.Alerts).Type);
        (await scenario.PushAsync(Secevents.Disabled)).IsAccepted();
        var tooMany = await scenario.PushAsync(Secevents.Disabled);
        (await scenario.SendAsync(new string('a', 5000))).IsRefused("invalid_request", 413);
        var wrongType = await scenario.Intake.CallAsync<ReceiveSignal>("source", "idp", "{}"u8.ToArray(), "application/json");
        var unknown = await scenario.Intake.CallAsync<ReceiveSignal>("source", "acme", "{}"u8.ToArray(), "application/secevent+jwt");
        var asWebhook = await scenario.Intake.PostAsync("idp", "{}"u8.ToArray(), "application/secevent+jwt");

        Assert.Equal(429, tooMany.Status);
        Assert.True(tooMany.Headers.ContainsKey("Retry-After"));
        Assert.Equal((415, 404, 404), (wrongType.Status, unknown.Status, asWebhook.Status));
        var person = Assert.Single(await scenario.EventsAsync());
        Assert.True(person.DryRun);
        Assert.Equal(["acme"], person.Tenants);
    }

    [Fact]
    public async Task A_verification_event_is_accepted_and_its_state_compared_where_one_was_asked_for()
    {
        await using var scenario = await SignalScenario.StartAsync(transmitter => [.. transmitter.Source("idp", ("VerificationState", "expected-state"))]);
        const string Stream = """{"format":"opaque","id":"stream-1"}""";

        (await scenario.PushAsync(Secevents.Verification, Stream, """{"state":"expected-state"}""")).IsAccepted();
        (await scenario.PushAsync(Secevents.Verification, Stream, """{"state":"another"}""")).IsRefused("invalid_state");
        (await scenario.PushAsync(Secevents.Verification, Stream)).IsRefused("invalid_state");

        Assert.Empty(await scenario.EventsAsync());
        Assert.Empty(scenario.Intake.Alerts);
    }

    [Theory]
    [InlineData("paused", AlertSeverity.Critical)]
    [InlineData("disabled", AlertSeverity.Critical)]
    [InlineData("enabled", AlertSeverity.Information)]
    public async Task People_are_told_when_the_transmitter_stops_its_stream(string status, AlertSeverity severity)
    {
        await using var scenario = await SignalScenario.StartAsync();

        (await scenario.PushAsync(Secevents.StreamUpdated, """{"format":"opaque","id":"stream-1"}""", $$"""{"status":"{{status}}","reason":"Internal error"}""")).IsAccepted();

        var alert = Assert.Single(scenario.Intake.Alerts);
        Assert.Equal(("signals.stream_updated", severity, status), (alert.Type, alert.Severity, alert.Details["status"]));
    }

    [Fact]
    public async Task The_test_route_tells_the_administrator_what_is_wrong_and_stores_nothing()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var claims = scenario.Claims(Secevents.Disabled);
        claims["aud"] = "https://somebody.example";
        var wrong = Encoding.UTF8.GetBytes(scenario.Transmitter.Token(claims));
        var right = Encoding.UTF8.GetBytes($$"""{"headers":{},"body":"{{scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled))}}"}""");

        var refused = (await scenario.Intake.CallAsync<TestSignalSource>("source", "idp", wrong)).Json;
        var accepted = (await scenario.Intake.CallAsync<TestSignalSource>("source", "idp", right)).Json;
        var garbage = (await scenario.Intake.CallAsync<TestSignalSource>("source", "idp", "x.y"u8.ToArray())).Json;
        var elsewhere = await scenario.Intake.CallAsync<TestSignalSource>("source", "acme", wrong);

        Assert.Equal((false, "wrongAudience"), (refused.GetProperty("accepted").GetBoolean(), refused.GetProperty("verdict").GetString()));
        Assert.Contains("https://somebody.example", refused.GetProperty("findings")[0].GetProperty("detail").GetString()!, StringComparison.Ordinal);
        Assert.True(accepted.GetProperty("accepted").GetBoolean());
        Assert.Equal("accountDisabled", accepted.GetProperty("events")[0].GetString());
        Assert.Equal("malformed", garbage.GetProperty("verdict").GetString());
        Assert.Equal(404, elsewhere.Status);
        Assert.Empty(await scenario.Intake.Store.AllAsync("Inbox", Cancellation));
    }

    [Theory]
    [InlineData("Issuer", null, "HrSources:idp:Issuer")]
    [InlineData("Audience", null, "HrSources:idp:Audience")]
    [InlineData("AccountDisabled", null, "HrSources:idp:AccountDisabled")]
    [InlineData("AccountDisabled", "delete", "HrSources:idp:AccountDisabled")]
    [InlineData("SessionRevoked", "freeze", "HrSources:idp:SessionRevoked")]
    [InlineData("Algorithms", "RS256,HS256", "HrSources:idp:Algorithms")]
    [InlineData("Algorithms", "none", "HrSources:idp:Algorithms")]
    [InlineData("JwksUri", "http://idp.example/jwks", "HrSources:idp:JwksUri")]
    [InlineData("MaxAge", "365.00:00:00", "HrSources:idp:MaxAge")]
    [InlineData("Secrets:0", "short", "HrSources:idp:Secrets:0")]
    public void A_setting_that_is_missing_or_wrong_is_named(string name, string? value, string setting)
    {
        var settings = new Dictionary<string, string?>
        {
            ["HrSources:idp:Dialect"] = "ssf", ["HrSources:idp:Issuer"] = "https://idp.example", ["HrSources:idp:Audience"] = "us",
            ["HrSources:idp:JwksUri"] = "https://idp.example/jwks", ["HrSources:idp:AccountDisabled"] = "freeze",
        };
        settings[$"HrSources:idp:{name}"] = value;
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(settings).Build();
        var faults = new SettingsFaults();

        IntakeOptions.Read(configuration, faults);
        new Microsoft.Extensions.DependencyInjection.ServiceCollection().AddSignalReceiver(configuration, faults);

        Assert.StartsWith(setting, Assert.Single(faults.All), StringComparison.Ordinal);
    }

    private static string Tampered(string token)
    {
        var parts = token.Split('.');
        var claims = Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(parts[1])).Replace("e1001", "e1002", StringComparison.Ordinal);
        return $"{parts[0]}.{System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims))}.{parts[2]}";
    }

    /// <summary>A token that brings its own key and says where more are.</summary>
    private static string SelfMade(TransmitterStandIn transmitter, JsonObject claims)
    {
        var own = SignalKey.Rsa(transmitter.Key.Id, unlike: transmitter.Key);
        return own.Sign(claims.ToJsonString(), new JsonObject { ["jwk"] = own.Public(), ["jku"] = "https://evil.example/jwks" });
    }
}
