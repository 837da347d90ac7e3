using System.Text;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class BambooHrDialectTests
{
    private const string Key = "bamboo-private-key-0001";
    private const string Stamp = "1795309200";
    private const string Signature = "8bbc7460f3b42f70389faf3a3b0a8ffb9b44ee1728ead83c53904741d044c7ba";
    private static readonly HrSource Source = Fixtures.Source("bamboohr", ("Secrets:0", "another-private-key"), ("Secrets:1", Key));
    private static readonly byte[] Updated = Fixtures.Read("bamboohr", "updated.json");

    [Fact]
    public void The_body_comes_before_the_time_in_what_is_signed()
    {
        var verification = Source.Verify(Updated, ("X-BambooHR-Signature", Signature), ("X-BambooHR-Timestamp", Stamp));

        Assert.Equal((SignatureVerdict.Valid, 1, null, Fixtures.Now), (verification.Verdict, verification.SecretIndex, verification.SenderId, verification.SignedAt));
        Assert.Equal(
            SignatureVerdict.Valid, Source.Verify(Updated, ("X-BambooHR-Signature", Signature.ToUpperInvariant()), ("X-BambooHR-Timestamp", Stamp)).Verdict);
    }

    [Theory]
    [InlineData(Signature, "1795309201", SignatureVerdict.Mismatch)]
    [InlineData(Signature, "1795308899", SignatureVerdict.Stale)]
    [InlineData(Signature, "1795309501", SignatureVerdict.Stale)]
    [InlineData(Signature, "soon", SignatureVerdict.MalformedHeader)]
    [InlineData("8bbc", Stamp, SignatureVerdict.MalformedHeader)]
    [InlineData("zzbc7460f3b42f70389faf3a3b0a8ffb9b44ee1728ead83c53904741d044c7ba", Stamp, SignatureVerdict.MalformedHeader)]
    public void Anything_else_is_refused(string signature, string stamp, SignatureVerdict verdict) => Assert.Equal(
        verdict, Source.Verify(Updated, ("X-BambooHR-Signature", signature), ("X-BambooHR-Timestamp", stamp)).Verdict);

    [Fact]
    public void A_missing_or_repeated_header_is_refused()
    {
        Assert.Equal(SignatureVerdict.MissingHeader, Source.Verify(Updated, ("X-BambooHR-Signature", Signature)).Verdict);
        Assert.Equal(SignatureVerdict.MissingHeader, Source.Verify(Updated, ("X-BambooHR-Timestamp", Stamp)).Verdict);
        Assert.Equal(
            SignatureVerdict.MalformedHeader,
            Source.Verify(Updated, ("X-BambooHR-Signature", Signature), ("X-BambooHR-Signature", Signature), ("X-BambooHR-Timestamp", Stamp)).Verdict);
    }

    [Theory]
    [InlineData("updated.json", LookupHint.Changed)]
    [InlineData("deleted.json", LookupHint.Deleted)]
    public void An_event_asks_for_the_employee(string file, LookupHint hint)
    {
        var reading = Source.Read(Fixtures.Read("bamboohr", file));

        Assert.Equal((null, Fixtures.Now), (reading.Fault, reading.EventTime));
        var person = Assert.Single(reading.Events);
        Assert.Equal((PersonEventKind.Unresolved, new PersonLookup("67890", hint), "hr/acme"), (person.Kind, person.Lookup, person.Source));
        Assert.Equal(Fixtures.Now, person.OccurredAt);
    }

    [Fact]
    public void A_form_asks_for_the_employee_too()
    {
        var reading = Source.Read(Fixtures.Read("bamboohr", "updated.form"));

        Assert.Equal(new PersonLookup("67890", LookupHint.Changed), Assert.Single(reading.Events).Lookup);
        Assert.Null(reading.EventTime);
    }

    [Fact]
    public void A_field_based_body_holds_several_employees()
    {
        var reading = Source.Read(Fixtures.Read("bamboohr", "field-based.json"));

        Assert.Equal(
            [new PersonLookup("67890", LookupHint.Changed), new PersonLookup("67892", LookupHint.Deleted)], reading.Events.Select(static e => e.Lookup));
    }

    [Theory]
    [InlineData("""{"type":"employee.updated","data":{"employeeId":"1","changedFields":["firstName","workEmail"]}}""")]
    [InlineData("""{"type":"employee.created","data":{"employeeId":"1"}}""")]
    public void Changes_that_do_not_concern_employment_need_no_work(string body)
    {
        var reading = Source.Read(Encoding.UTF8.GetBytes(body));

        Assert.Null(reading.Fault);
        Assert.Empty(reading.Events);
    }

    [Fact]
    public void The_fields_that_concern_employment_are_a_setting()
    {
        var source = Fixtures.Source("bamboohr", ("Secrets:0", Key), ("EmploymentFields", "customLeaver, division"));
        var body = """{"type":"employee.updated","data":{"employeeId":1,"changedFields":["CustomLeaver"]}}"""u8.ToArray();

        Assert.Equal("1", Assert.Single(source.Read(body).Events).Lookup?.PersonId);
        Assert.Empty(source.Read(Updated).Events);
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("[]", "")]
    [InlineData("{}", "/type")]
    [InlineData("""{"type":"employee.updated","data":{}}""", "/data/employeeId")]
    [InlineData("""{"type":"employee.updated","data":{"employeeId":"a@b.example"}}""", "/data/employeeId")]
    [InlineData("""{"type":"employee.updated","timestamp":"yesterday","data":{"employeeId":"1"}}""", "/timestamp")]
    [InlineData("""{"employees":[{"action":"Updated"}]}""", "/employees/0/id")]
    [InlineData("type=employee.updated", "data[employeeId]")]
    [InlineData("data[employeeId]=1", "")]
    [InlineData("type=employee.updated&type=employee.deleted&data[employeeId]=1", "")]
    public void A_body_against_its_rules_is_refused(string body, string path) => Assert.Equal(path, Source.Read(Encoding.UTF8.GetBytes(body)).Fault?.Path);

    [Fact]
    public async Task Two_forms_that_differ_in_nothing_but_the_attempt_are_two_deliveries()
    {
        await using var scenario = new IntakeScenario(("HrSources:bamboo:Dialect", "bamboohr"), ("HrSources:bamboo:Secrets:0", Key));
        var form = Fixtures.Read("bamboohr", "updated.form");

        var first = await PostAsync(scenario, form);
        var repeated = await PostAsync(scenario, form);
        scenario.Time.Advance(TimeSpan.FromMinutes(10));
        var later = await PostAsync(scenario, form);

        Assert.Equal((202, 202, true, 202, false), (first.Status, repeated.Status, repeated.Duplicate, later.Status, later.Duplicate));
        Assert.Equal(2, scenario.Queue.Offboarding.Count);
    }

    [Fact]
    public async Task It_is_never_told_429_after_which_it_would_not_come_again()
    {
        await using var scenario = new IntakeScenario(
            ("HrSources:bamboo:Dialect", "bamboohr"), ("HrSources:bamboo:Secrets:0", Key), ("HrSources:bamboo:MaxPerMinute", "1"));
        await PostAsync(scenario, Updated, "application/json");

        var answer = await PostAsync(scenario, Fixtures.Read("bamboohr", "deleted.json"), "application/json");

        answer.IsProblem(503, "unavailable");
        Assert.NotEqual(0, answer.Headers.RetryAfter.Count);
    }

    private static Task<Answer> PostAsync(IntakeScenario scenario, byte[] body, string contentType = "application/x-www-form-urlencoded")
    {
        var stamp = scenario.Time.GetUtcNow().ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture);
        var signature = new DingFlow.Intake.Dialects.BambooHrDialect().Scheme.Sign(Encoding.UTF8.GetBytes(Key), body, timestamp: stamp);
        return scenario.PostAsync("bamboo", body, contentType, ("X-BambooHR-Signature", signature), ("X-BambooHR-Timestamp", stamp));
    }
}
