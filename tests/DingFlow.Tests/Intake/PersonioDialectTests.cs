using System.Text;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class PersonioDialectTests
{
    private const string Key = "personio-secret-0001";
    private const string Signature = "066fbb6268504ebce936ba32b3585ed8e7e53be7241eb6aa9d8f2e77fee65eb2";
    private static readonly HrSource Source = Fixtures.Source("personio", ("Secrets:0", Key));

    [Theory]
    [InlineData(Signature)]
    [InlineData("sha256=" + Signature)]
    public void The_prefix_may_be_there_or_not(string signature) => Assert.Equal(
        SignatureVerdict.Valid, Source.Verify(Fixtures.Read("personio", "terminated.json"), ("X-Personio-Signature", signature)).Verdict);

    [Theory]
    [InlineData("sha512=" + Signature, SignatureVerdict.MalformedHeader)]
    [InlineData("166fbb6268504ebce936ba32b3585ed8e7e53be7241eb6aa9d8f2e77fee65eb2", SignatureVerdict.Mismatch)]
    public void Anything_else_is_refused(string signature, SignatureVerdict verdict) => Assert.Equal(
        verdict, Source.Verify(Fixtures.Read("personio", "terminated.json"), ("X-Personio-Signature", signature)).Verdict);

    [Fact]
    public void The_header_and_the_place_of_the_person_are_settings()
    {
        var source = Fixtures.Source("personio", ("Secrets:0", Key), ("SignatureHeader", "X-Other"), ("PersonPath", "$.payload.employment.id"));

        Assert.Equal(SignatureVerdict.Valid, source.Verify(Fixtures.Read("personio", "terminated.json"), ("X-Other", Signature)).Verdict);
        Assert.Equal("9001", Assert.Single(source.Read(Fixtures.Read("personio", "terminated.json")).Events).Lookup?.PersonId);
    }

    [Theory]
    [InlineData("employment.terminated", """{"person":{"id":"8001"}}""", LookupHint.Left)]
    [InlineData("employment.updated", """{"person":{"id":8001}}""", LookupHint.Changed)]
    [InlineData("employment.started", """{"person_id":"8001"}""", LookupHint.Returned)]
    [InlineData("employment.deleted", """{"employment":{"id":"1","person":{"id":"8001"}}}""", LookupHint.Deleted)]
    [InlineData("person.deleted", """{"id":"8001"}""", LookupHint.Deleted)]
    public void An_event_asks_for_the_person(string name, string payload, LookupHint hint) => Assert.Equal(
        new PersonLookup("8001", hint), Assert.Single(Source.Read(Body(name, payload)).Events).Lookup);

    [Theory]
    [InlineData("person.updated")]
    [InlineData("document.created")]
    public void Other_events_need_no_work(string name) => Assert.Equal((null, 0), Source.Read(Body(name, "{}")) is var r ? (r.Fault, r.Events.Count) : default);

    [Theory]
    [InlineData("{}", "/event_name")]
    [InlineData("""{"event_name":"employment.terminated","payload":{"person":{"id":"1"}}}""", "/occurred_at")]
    [InlineData("""{"event_name":"employment.terminated","occurred_at":"2026-11-22T00:30:00Z","payload":{}}""", "/payload")]
    public void A_body_against_its_rules_is_refused(string body, string path) => Assert.Equal(path, Source.Read(Encoding.UTF8.GetBytes(body)).Fault?.Path);

    [Fact]
    public async Task Without_an_id_a_repetition_is_known_by_its_time_and_body()
    {
        await using var scenario = new IntakeScenario(("HrSources:personio:Dialect", "personio"), ("HrSources:personio:Secrets:0", Key));
        var body = Fixtures.Read("personio", "terminated.json");

        var first = await scenario.PostAsync("personio", body, "application/json", ("X-Personio-Signature", Signature));
        scenario.Time.Advance(TimeSpan.FromDays(3));
        var second = await scenario.PostAsync("personio", body, "application/json", ("X-Personio-Signature", Signature));

        Assert.Equal((202, false, 202, true), (first.Status, first.Duplicate, second.Status, second.Duplicate));
    }

    private static byte[] Body(string name, string payload) => Encoding.UTF8.GetBytes(
        $$"""{"company_id":"4711","event_name":"{{name}}","occurred_at":"2026-11-22T00:30:00Z","payload":{{payload}}}""");
}
