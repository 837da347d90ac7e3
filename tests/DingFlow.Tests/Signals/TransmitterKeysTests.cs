using System.Text.Json.Nodes;
using DingFlow.Signals;
using Microsoft.AspNetCore.Http;

namespace DingFlow.Tests.Signals;

/// <summary>How the keys of a transmitter are fetched, kept and given up, and that nobody can make us fetch them at will.</summary>
public sealed class TransmitterKeysTests
{
    [Fact]
    public async Task Keys_are_fetched_once_for_many_tokens()
    {
        await using var scenario = await SignalScenario.StartAsync();

        var answers = await Task.WhenAll(Enumerable.Range(0, 30).Select(_ => scenario.PushAsync(Secevents.Disabled)));

        Assert.All(answers, SetAnswers.IsAccepted);
        Assert.Equal(1, scenario.Transmitter.KeyRequests);
    }

    [Fact]
    public async Task A_rotated_key_is_found_at_once_and_the_old_one_is_refused_from_then_on()
    {
        await using var scenario = await SignalScenario.StartAsync();
        await scenario.PushAsync(Secevents.Disabled);
        var old = scenario.Transmitter.Key;
        scenario.Intake.Time.Advance(TransmitterKeys.LeastInterval);

        scenario.Transmitter.Rotate();
        (await scenario.PushAsync(Secevents.Disabled)).IsAccepted();
        scenario.Intake.Time.Advance(TransmitterKeys.LeastInterval);
        (await scenario.SendAsync(scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled), old))).IsRefused("invalid_key");

        Assert.Equal(3, scenario.Transmitter.KeyRequests);
    }

    [Fact]
    public async Task A_flood_of_forged_tokens_has_the_keys_fetched_no_more_often_than_the_interval_and_holds_up_nobody()
    {
        await using var scenario = await SignalScenario.StartAsync();
        await scenario.PushAsync(Secevents.Disabled);
        var forger = SignalKey.Rsa();

        for (var second = 0; second < 300; second++)
        {
            scenario.Intake.Time.Advance(TimeSpan.FromSeconds(1));
            var forged = await scenario.SendAsync(forger.Sign(scenario.Claims(Secevents.Disabled).ToJsonString(), new JsonObject { ["kid"] = $"made-up-{second}" }));
            Assert.Contains(forged.Status, (int[])[400, 429]);
            Assert.True(forged.Status == 400 || forged.Headers.ContainsKey("Retry-After"));
        }

        Assert.InRange(scenario.Transmitter.KeyRequests, 2, 1 + (300 / 30));
        (await scenario.PushAsync(Secevents.Disabled)).IsAccepted();
    }

    [Fact]
    public async Task A_new_key_that_cannot_be_asked_for_yet_is_put_off_never_refused()
    {
        await using var scenario = await SignalScenario.StartAsync();
        await scenario.PushAsync(Secevents.Disabled);
        scenario.Transmitter.Rotate();
        var token = scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled));

        var early = await scenario.SendAsync(token);
        var wait = TimeSpan.FromSeconds(int.Parse(early.Headers.RetryAfter!, System.Globalization.CultureInfo.InvariantCulture));
        scenario.Intake.Time.Advance(wait);

        Assert.Equal(429, early.Status);
        (await scenario.SendAsync(token)).IsAccepted();
    }

    [Fact]
    public async Task While_the_keys_cannot_be_had_tokens_are_put_off_and_then_accepted()
    {
        await using var scenario = await SignalScenario.StartAsync();
        scenario.Transmitter.Instead = Status(500);

        var down = await scenario.PushAsync(Secevents.Disabled);
        scenario.Transmitter.Instead = null;
        var soon = await scenario.PushAsync(Secevents.Disabled);
        scenario.Intake.Time.Advance(TransmitterKeys.LeastInterval);

        Assert.Equal((503, 503, 1), (down.Status, soon.Status, scenario.Transmitter.KeyRequests));
        Assert.True(down.Headers.ContainsKey("Retry-After"));
        (await scenario.PushAsync(Secevents.Disabled)).IsAccepted();
    }

    [Fact]
    public async Task Known_keys_outlive_an_outage_of_the_transmitter_for_a_day()
    {
        await using var scenario = await SignalScenario.StartAsync();
        await scenario.PushAsync(Secevents.Disabled);
        scenario.Transmitter.Instead = Status(503);

        scenario.Intake.Time.Advance(TransmitterKeys.Lifetime + TimeSpan.FromMinutes(1));
        (await scenario.PushAsync(Secevents.Disabled)).IsAccepted();
        scenario.Intake.Time.Advance(TransmitterKeys.LongestLifetime);

        Assert.Equal(503, (await scenario.PushAsync(Secevents.Disabled)).Status);
    }

    [Fact]
    public async Task A_key_that_was_withdrawn_stops_counting_within_the_hour()
    {
        await using var scenario = await SignalScenario.StartAsync();
        await scenario.PushAsync(Secevents.Disabled);
        var withdrawn = scenario.Transmitter.Key;
        scenario.Transmitter.Rotate();

        (await scenario.SendAsync(scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled), withdrawn))).IsAccepted();
        scenario.Intake.Time.Advance(TransmitterKeys.Lifetime);
        (await scenario.SendAsync(scenario.Transmitter.Token(scenario.Claims(Secevents.Disabled), withdrawn))).IsRefused("invalid_key");
    }

    [Fact]
    public async Task A_transmitter_that_does_not_answer_holds_a_token_no_longer_than_the_limit()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var asked = new TaskCompletionSource();
        scenario.Transmitter.Instead = async context =>
        {
            asked.TrySetResult();
            await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted).ContinueWith(static _ => { }, TaskScheduler.Default);
        };

        var pushing = scenario.PushAsync(Secevents.Disabled);
        await asked.Task;
        Assert.False(pushing.IsCompleted);
        scenario.Intake.Time.Advance(TransmitterKeys.FetchLimit);

        Assert.Equal(503, (await pushing).Status);
    }

    public static TheoryData<string> Nonsense() => ["garbage", "too large", "redirect", "no keys", "weak", "symmetric", "for encryption", "off the curve", "array"];

    [Theory]
    [MemberData(nameof(Nonsense))]
    public async Task What_is_no_set_of_strong_public_keys_verifies_nothing(string what)
    {
        await using var scenario = await SignalScenario.StartAsync(("Algorithms", "RS256,ES256"));
        var weak = SignalKey.Weak();
        var forEncryption = new { Key = SignalKey.Rsa() };
        scenario.Transmitter.Instead = context => what switch
        {
            "garbage" => context.Response.WriteAsync("<html>"),
            "too large" => context.Response.WriteAsync($$"""{"keys":[],"padding":"{{new string('x', 300_000)}}"}"""),
            "redirect" => Redirect(context, scenario.Transmitter),
            "weak" => KeysAsync(context, weak.Public()),
            "symmetric" => KeysAsync(context, new JsonObject { ["kty"] = "oct", ["k"] = "c2VjcmV0", ["kid"] = weak.Id }),
            "for encryption" => KeysAsync(context, With(forEncryption.Key.Public(), "use", "enc")),
            "off the curve" => KeysAsync(context, With(SignalKey.P256().Public(), "x", new string('A', 43))),
            "array" => context.Response.WriteAsync("[]"),
            _ => KeysAsync(context),
        };

        var answer = await scenario.SendAsync((what == "weak" ? weak : forEncryption.Key).Sign(scenario.Claims(Secevents.Disabled).ToJsonString()));

        Assert.Equal(503, answer.Status);
        Assert.Equal(1, scenario.Transmitter.KeyRequests);
    }

    [Fact]
    public async Task A_token_without_kid_is_checked_against_every_key_of_its_algorithm()
    {
        await using var scenario = await SignalScenario.StartAsync();
        var nameless = SignalKey.Rsa(unlike: scenario.Transmitter.Key);
        scenario.Transmitter.Publish(nameless);

        (await scenario.SendAsync(nameless.Sign(scenario.Claims(Secevents.Disabled).ToJsonString(), new JsonObject { ["kid"] = "" }))).IsAccepted();
        (await scenario.SendAsync(SignalKey.Rsa(unlike: nameless).Sign(scenario.Claims(Secevents.Disabled).ToJsonString(), new JsonObject { ["kid"] = "" }))).IsRefused("authentication_failed");
    }

    [Fact]
    public async Task Without_an_address_of_the_keys_the_transmitters_metadata_say_it()
    {
        await using var scenario = await SignalScenario.StartAsync(transmitter => [.. transmitter.Source("idp", ("JwksUri", null))], issuer: "self");

        (await scenario.PushAsync(Secevents.Disabled)).IsAccepted();

        Assert.Equal((1, 1), (scenario.Transmitter.MetadataRequests, scenario.Transmitter.KeyRequests));
    }

    [Theory]
    [InlineData("issuer", "https://somebody.example")]
    [InlineData("jwks_uri", "http://idp.example/jwks")]
    [InlineData("jwks_uri", "file:///etc/passwd")]
    [InlineData("jwks_uri", null)]
    public async Task Metadata_of_somebody_else_or_without_a_safe_address_are_not_followed(string name, string? value)
    {
        await using var scenario = await SignalScenario.StartAsync(transmitter => [.. transmitter.Source("idp", ("JwksUri", null))], issuer: "self");
        scenario.Transmitter.Metadata = () => With(new JsonObject { ["issuer"] = scenario.Transmitter.Issuer, ["jwks_uri"] = scenario.Transmitter.Jwks.ToString() }, name, value);

        Assert.Equal(503, (await scenario.PushAsync(Secevents.Disabled)).Status);
        Assert.Equal(0, scenario.Transmitter.KeyRequests);
    }

    private static JsonObject With(JsonObject json, string name, string? value)
    {
        json[name] = value;
        return json;
    }

    private static Task KeysAsync(HttpContext context, params JsonNode[] keys) => context.Response.WriteAsync(new JsonObject { ["keys"] = new JsonArray(keys) }.ToJsonString());

    private static Func<HttpContext, Task> Status(int status) => context =>
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    };

    private static Task Redirect(HttpContext context, TransmitterStandIn transmitter)
    {
        context.Response.Redirect(transmitter.Jwks.ToString());
        return Task.CompletedTask;
    }
}
