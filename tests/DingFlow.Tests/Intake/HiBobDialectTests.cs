using System.Text;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class HiBobDialectTests
{
    private const string Key = "bob-webhook-secret-0001";
    private const string Signature = "uo0IdKOfQiMKlFmpNZZS5ewjr2XJPWmeqa4PwLKm1uCWB9Vk7onb/31nAz3qUvx64o37HFnpQMsehG0/APyOLw==";
    private static readonly HrSource Source = Fixtures.Source("hibob", ("Secrets:0", Key));

    [Fact]
    public void The_signature_is_base64_of_sha512()
    {
        var left = Fixtures.Read("hibob", "left.json");

        Assert.Equal((SignatureVerdict.Valid, 0), (Source.Verify(left, ("Bob-Signature", Signature)) is var v ? (v.Verdict, v.SecretIndex) : default));
        Assert.Equal(SignatureVerdict.Mismatch, Source.Verify([.. left, (byte)' '], ("Bob-Signature", Signature)).Verdict);
        Assert.Equal(SignatureVerdict.MissingHeader, Source.Verify(left).Verdict);
        Assert.Equal(SignatureVerdict.MalformedHeader, Source.Verify(left, ("Bob-Signature", Signature[..^4])).Verdict);
    }

    [Theory]
    [InlineData("left.json", LookupHint.Left)]
    [InlineData("revoked.json", LookupHint.AccessRevoked)]
    [InlineData("lifecycle.json", LookupHint.Changed)]
    public void An_event_asks_for_the_employee(string file, LookupHint hint) => Assert.Equal(
        new PersonLookup("3332883854254932743", hint), Assert.Single(Source.Read(Fixtures.Read("hibob", file)).Events).Lookup);

    [Theory]
    [InlineData("employee.inactivated", LookupHint.Inactive)]
    [InlineData("employee.activated", LookupHint.Returned)]
    [InlineData("employee.joined", LookupHint.Returned)]
    [InlineData("employee.deleted", LookupHint.Deleted)]
    [InlineData("employee.updated", null)]
    [InlineData("table.entry.updated", null)]
    public void Types_become_hints(string type, LookupHint? hint) => Assert.Equal(hint, Source.Read(Encoding.UTF8.GetBytes(
        $$"""{"type":"{{type}}","triggeredAt":"2026-11-22T00:00:01","data":{"employeeId":"1","tableId":"work"} }""")).Events.SingleOrDefault()?.Lookup?.Hint);

    [Fact]
    public void Its_time_without_offset_is_utc() => Assert.Equal(
        new DateTimeOffset(2026, 11, 22, 0, 0, 1, TimeSpan.Zero).AddTicks(9_159_060), Source.Read(Fixtures.Read("hibob", "left.json")).EventTime);

    [Theory]
    [InlineData("{}", "/type")]
    [InlineData("""{"type":"employee.left"}""", "/triggeredAt")]
    [InlineData("""{"type":"employee.left","triggeredAt":"2026-11-22T00:00:01","data":{}}""", "/data/employeeId")]
    public void A_body_against_its_rules_is_refused(string body, string path) => Assert.Equal(path, Source.Read(Encoding.UTF8.GetBytes(body)).Fault?.Path);

    [Theory]
    [InlineData("Ping test", "text/plain")]
    [InlineData("\"Ping test\"", "application/json")]
    [InlineData("""{"text":"Ping test"}""", "application/json")]
    public async Task The_ping_of_a_new_address_is_answered_and_not_kept(string body, string contentType)
    {
        await using var scenario = new IntakeScenario(("HrSources:bob:Dialect", "hibob"), ("HrSources:bob:Secrets:0", Key));

        var answer = await scenario.PostAsync("bob", Encoding.UTF8.GetBytes(body), contentType);

        Assert.Equal(200, answer.Status);
        Assert.Equal(0, scenario.Store.Transactions);
        var entry = Assert.Single(scenario.Trail.Events);
        Assert.Equal(("intake.handshake_answered", "hr/bob", null), (entry.Kind.Name, entry.Actor.Id, entry.Actor.Key));
        Assert.Equal(DingFlow.Messaging.PayloadHash.Of(body), entry.Payload);
    }

    [Fact]
    public async Task A_flood_of_pings_has_twenty_entries_a_minute_and_an_exact_count()
    {
        await using var scenario = new IntakeScenario(("HrSources:bob:Dialect", "hibob"), ("HrSources:bob:Secrets:0", Key));
        var answered = 0;
        for (var i = 0; i < 60; i++)
        {
            answered += (await scenario.PostAsync("bob", "Ping test"u8.ToArray(), "text/plain")).Status == 200 ? 1 : 0;
        }

        scenario.Time.Advance(TimeSpan.FromMinutes(1));
        await scenario.ConcludeRepetitionsAsync();
        var entries = scenario.Trail.Events.Where(static one => one.Kind.Name == "intake.handshake_answered").ToList();
        Assert.Equal((30, 21), (answered, entries.Count));
        Assert.Equal(("10", DingFlow.Messaging.AuditOutcome.Succeeded), (entries[^1].Details!["repeated"], entries[^1].Outcome));
    }

    [Fact]
    public async Task Nothing_else_passes_without_a_signature()
    {
        await using var scenario = new IntakeScenario(("HrSources:bob:Dialect", "hibob"), ("HrSources:bob:Secrets:0", Key));

        (await scenario.PostAsync("bob", """{"text":"Ping test","type":"employee.left"}"""u8.ToArray(), "application/json")).IsProblem(401, "invalid-signature");
    }
}
