using System.Text;
using DingFlow.Intake;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class GustoDialectTests
{
    private const string Token = "6590f590-3dba-495e-9bea-c361e1e2efc0";
    private const string Signature = "5644f6e926bd94acd3ac61f966e62dff43584bb35a44ef63de94de6dd224e74e";
    private static readonly HrSource Source = Fixtures.Source("gusto", ("Secrets:0", Token));

    [Fact]
    public void The_verification_token_is_the_key()
    {
        var body = Fixtures.Read("gusto", "terminated.json");

        Assert.Equal(SignatureVerdict.Valid, Source.Verify(body, ("X-Gusto-Signature", Signature)).Verdict);
        Assert.Equal(SignatureVerdict.Mismatch, Source.Verify([.. body, 10], ("X-Gusto-Signature", Signature)).Verdict);
        Assert.Equal(
            SignatureVerdict.Valid,
            Fixtures.Source("gusto", ("Secrets:0", Token), ("SignatureHeader", "x_gusto_signature")).Verify(body, ("x_gusto_signature", Signature)).Verdict);
    }

    [Fact]
    public void An_event_has_an_id_and_asks_for_the_employee()
    {
        var reading = Source.Read(Fixtures.Read("gusto", "terminated.json"));

        Assert.Equal(("03ffbf0c-48a9-4f1c-932a-546413a26ad1", Fixtures.Now), (reading.SenderId, reading.EventTime));
        Assert.Equal(new PersonLookup("bcfc9744-0ab3-4ef3-ab0d-e728255d659c", LookupHint.Leaving), Assert.Single(reading.Events).Lookup);
    }

    [Theory]
    [InlineData("employee.terminated_effective", LookupHint.Left)]
    [InlineData("employee.termination_effective", LookupHint.Left)]
    [InlineData("employee.termination_cancelled", LookupHint.LeaveCancelled)]
    [InlineData("employee.rehired", LookupHint.Returned)]
    [InlineData("employee.rehire_effective", LookupHint.Returned)]
    [InlineData("employee.rehire_cancelled", LookupHint.Changed)]
    [InlineData("employee.deleted", LookupHint.Deleted)]
    [InlineData("employee.onboarded", null)]
    public void Types_become_hints(string type, LookupHint? hint) => Assert.Equal(hint, Source.Read(Encoding.UTF8.GetBytes(
        $$"""{"uuid":"u-1","event_type":"{{type}}","entity_uuid":"e-1","timestamp":1795309200}""")).Events.SingleOrDefault()?.Lookup?.Hint);

    [Theory]
    [InlineData("{}", "/event_type")]
    [InlineData("""{"event_type":"employee.terminated","entity_uuid":"e-1"}""", "/timestamp")]
    [InlineData("""{"event_type":"employee.terminated","entity_uuid":"e-1","timestamp":1e400}""", "/timestamp")]
    [InlineData("""{"event_type":"employee.terminated","timestamp":1795309200}""", "/entity_uuid")]
    [InlineData("""{"uuid":"a b","event_type":"employee.terminated","entity_uuid":"e-1","timestamp":1795309200}""", "/uuid")]
    public void A_body_against_its_rules_is_refused(string body, string path) => Assert.Equal(path, Source.Read(Encoding.UTF8.GetBytes(body)).Fault?.Path);

    [Fact]
    public async Task The_handshake_brings_the_token_to_the_administrator_and_to_nobody_else()
    {
        await using var scenario = new IntakeScenario(("HrSources:gusto:Dialect", "gusto"), ("HrSources:gusto:Handshake", "true"));
        var handshake = Fixtures.Read("gusto", "handshake.json");

        var answer = await scenario.PostAsync("gusto", handshake, "application/json");
        var fetched = await scenario.CallAsync<GetHrHandshake>("source", "gusto", []);

        Assert.Equal((200, 200), (answer.Status, fetched.Status));
        Assert.Equal(["intake.handshake_kept", "intake.handshake_read"], scenario.Trail.Events.Select(static one => one.Kind.Name));
        Assert.Equal((DingFlow.Messaging.PayloadHash.Of(handshake), "hr/gusto", null), (scenario.Trail.Events[0].Payload, scenario.Trail.Events[0].Actor.Id, scenario.Trail.Events[0].Actor.Key));
        Assert.Equal(Token, fetched.Json.GetProperty("verificationToken").GetString());
        Assert.Equal("intake.handshake", Assert.Single(scenario.Alerts).Type);
        Assert.DoesNotContain(Token, $"{scenario.Alerts[0]}", StringComparison.Ordinal);
        var row = await scenario.Store.GetAsync("HrHandshakes", "gusto", "latest", TestContext.Current.CancellationToken);
        Assert.DoesNotContain(Token, row!.Properties.Values);
        // Without a secret nothing but the handshake passes.
        (await scenario.PostAsync("gusto", Fixtures.Read("gusto", "terminated.json"), "application/json", ("X-Gusto-Signature", Signature)))
            .IsProblem(401, "invalid-signature");
    }

    [Fact]
    public async Task Strangers_who_send_many_handshakes_wake_people_once_an_hour()
    {
        await using var scenario = new IntakeScenario(("HrSources:gusto:Dialect", "gusto"), ("HrSources:gusto:Handshake", "true"));
        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(200, (await scenario.PostAsync("gusto", Encoding.UTF8.GetBytes($$"""{"verification_token":"made-up-token-{{i}}"}"""), "application/json")).Status);
        }

        Assert.Single(scenario.Alerts);
        Assert.Equal(20, scenario.Trail.Events.Count(static one => one.Kind.Name == "intake.handshake_kept"));
        scenario.Time.Advance(TimeSpan.FromHours(1));
        await scenario.PostAsync("gusto", Fixtures.Read("gusto", "handshake.json"), "application/json");
        Assert.Equal(2, scenario.Alerts.Count);
    }

    [Fact]
    public async Task A_handshake_that_nobody_awaits_is_refused()
    {
        await using var scenario = new IntakeScenario(("HrSources:gusto:Dialect", "gusto"), ("HrSources:gusto:Secrets:0", Token));

        (await scenario.PostAsync("gusto", Fixtures.Read("gusto", "handshake.json"), "application/json")).IsProblem(401, "invalid-signature");
        (await scenario.CallAsync<GetHrHandshake>("source", "gusto", [])).IsProblem(404, "not-found");
    }

    [Theory]
    [InlineData("""{"verification_token":"short"}""")]
    [InlineData("""{"verification_token":"6590f590-3dba-495e-9bea-c361e1e2efc0","more":1}""")]
    [InlineData("""{"verification_token":7}""")]
    [InlineData("""{"verification_token":"with space in it"}""")]
    [InlineData("\"verification_token\"")]
    public void What_is_no_token_is_no_handshake(string body) => Assert.Null(GustoDialect.TokenOf(Encoding.UTF8.GetBytes(body)));
}
