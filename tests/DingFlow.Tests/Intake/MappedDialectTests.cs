using System.Text;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class MappedDialectTests
{
    private static readonly (string, string)[] Settings =
    [
        ("Secrets:0", "mapped-secret-0001"), ("Signature:Header", "X-Sig"), ("Signature:Algorithm", "sha512"), ("Signature:Encoding", "base64"),
        ("Signature:Prefix", "v0="), ("Signature:Content", "v0:{timestamp}:{body}"), ("Signature:TimestampHeader", "X-Sent"), ("Tolerance", "00:01:00"),
        ("Map:Id", "$.meta.uid"), ("Map:OccurredAt", "$.meta.when"), ("Map:Events", "$.changes[*]"), ("Map:Kind", "what"), ("Map:EmployeeId", "who.nr"),
        ("Map:Email", "who.mail"), ("Map:EffectiveAt", "last"), ("TimeZone", "Europe/Berlin"), ("DayOffset", "1.00:00:00"),
        ("Kinds:Terminated", "LEAVER, GONE"), ("Kinds:Rehired", "BACK"),
    ];

    private static readonly byte[] Changes = Fixtures.Read("mapped", "changes.json");

    [Fact]
    public void Facts_are_read_from_the_places_of_the_settings()
    {
        var reading = Fixtures.Source("mapped", Settings).Read(Changes);

        Assert.Null(reading.Fault);
        Assert.Equal(("evt-77", Fixtures.Now), (reading.SenderId, reading.EventTime));
        Assert.Equal(
            [(PersonEventKind.Terminated, "E1001", "e1001@sandbox.example"), (PersonEventKind.Rehired, "E1003", null)],
            reading.Events.Select(static e => (e.Kind, e.EmployeeId, e.Email)));
        Assert.Equal(new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.FromHours(1)), reading.Events[0].EffectiveAt);
    }

    [Fact]
    public void The_scheme_is_that_of_the_settings()
    {
        var source = Fixtures.Source("mapped", Settings);
        byte[] signed = [.. "v0:1795309200:"u8, .. Changes];
        var signature = "v0=" + Convert.ToBase64String(System.Security.Cryptography.HMACSHA512.HashData("mapped-secret-0001"u8, signed));

        Assert.Equal(SignatureVerdict.Valid, source.Verify(Changes, ("X-Sig", signature), ("X-Sent", "1795309200")).Verdict);
        Assert.Equal(SignatureVerdict.Mismatch, source.Verify(Changes, ("X-Sig", signature), ("X-Sent", "1795309201")).Verdict);
        Assert.Equal(SignatureVerdict.Stale, source.Verify(Changes, ("X-Sig", signature), ("X-Sent", "1795309139")).Verdict);
        Assert.Equal(SignatureVerdict.Stale, source.Verify(Changes, ("X-Sig", signature), ("X-Sent", "2026-11-22T00:58:00Z")).Verdict);
    }

    [Theory]
    [InlineData("Map:Kind", "$..[?(@.a =~ /(a+)+$/)]", "must not use a regular expression")]
    [InlineData("Map:Kind", "$..a..b", "may use '..' once, '*' twice and a filter once")]
    [InlineData("Map:Kind", "$.*.*.*", "may use '..' once, '*' twice and a filter once")]
    [InlineData("Map:Kind", "$[?(@.a)][?(@.b)]", "may use '..' once, '*' twice and a filter once")]
    [InlineData("Map:Kind", "$[", "must be a JSONPath such as $.data.employee.id")]
    [InlineData("Map:Kind", "$[?(", "must be a JSONPath such as $.data.employee.id")]
    [InlineData("Map:Kind", "$[99999999999999999999]", "must be a JSONPath such as $.data.employee.id")]
    [InlineData("Signature:Content", "{timestamp}", "must hold {body} once and have at most 100 characters")]
    [InlineData("Signature:Content", "{body}{body}", "must hold {body} once and have at most 100 characters")]
    [InlineData("Signature:Algorithm", "md5", "must be one of sha256, sha384, sha512")]
    [InlineData("Kinds:Rehired", "LEAVER", "names a word that another kind has, too")]
    [InlineData("DayOffset", "3.00:00:00", "must be a duration from 00:00:00 to 2.00:00:00")]
    [InlineData("Secrets:0", "short", "must have 8 to 512 characters, exactly as the HR system shows it")]
    public void A_setting_that_cannot_work_stops_the_start(string name, string value, string fault)
    {
        var settings = Settings.Select(setting => setting.Item1 == name ? (name, value) : setting).ToArray();

        Assert.Equal([$"HrSources:acme:{name}: {fault}"], Fixtures.Faults("mapped", settings));
    }

    [Fact]
    public void A_map_that_cannot_tell_a_second_leave_from_a_repetition_stops_the_start()
    {
        var faults = Fixtures.Faults("mapped", ("Secrets:0", "mapped-secret-0001"), ("Signature:Header", "X-Sig"), ("Kinds:Always", "terminated"), ("Map:EmployeeId", "$.id"));

        Assert.StartsWith("HrSources:acme:Map:Id: is missing", Assert.Single(faults), StringComparison.Ordinal);
    }

    [Fact]
    public void A_sender_that_tells_of_one_thing_needs_no_word_for_it()
    {
        var source = Fixtures.Source(
            "mapped", ("Secrets:0", "mapped-secret-0001"), ("Signature:Header", "X-Sig"), ("Kinds:Always", "terminated"), ("Map:EmployeeId", "$.id"),
            ("Map:OccurredAt", "$.at"), ("Map:Immediate", "$.now"), ("Map:Reason", "$.why"));

        var person = Assert.Single(source.Read("""{"id":1001,"at":"2026-11-22T09:00:00+08:00","now":true,"why":"a\nb"}"""u8.ToArray()).Events);

        Assert.Equal((PersonEventKind.Terminated, "1001", true, null), (person.Kind, person.EmployeeId, person.Immediate, person.Reason));
    }

    [Theory]
    [InlineData("""{"meta":{"when":1795309200},"changes":[]}""", "Map:Id")]
    [InlineData("""{"meta":{"uid":"a b","when":1795309200}}""", "Map:Id")]
    [InlineData("""{"meta":{"uid":"1","when":"yesterday"}}""", "Map:OccurredAt")]
    [InlineData("""{"meta":{"uid":"1","when":1},"changes":[]}""", "Map:OccurredAt")]
    [InlineData("""{"meta":{"uid":"1"},"changes":[{"who":{"nr":"E1"}}]}""", "Map:Kind")]
    [InlineData("""{"meta":{"uid":"1"},"changes":[{"what":"LEAVER"}]}""", "Map")]
    [InlineData("""{"meta":{"uid":"1"},"changes":[{"what":"LEAVER","who":{"nr":"a b"}}]}""", "Map:EmployeeId")]
    [InlineData("""{"meta":{"uid":"1"},"changes":[{"what":"LEAVER","who":{"nr":"E1"},"last":"31.12.2026"}]}""", "Map:EffectiveAt")]
    [InlineData("""{"meta":{"uid":"1"},"a":1,"a":2}""", "")]
    [InlineData("[1]", "")]
    public void A_body_against_its_rules_is_refused(string body, string path) =>
        Assert.Equal(path, Fixtures.Source("mapped", Settings).Read(Encoding.UTF8.GetBytes(body)).Fault?.Path);

    [Fact]
    public void Too_many_events_are_refused()
    {
        var many = string.Join(',', Enumerable.Repeat("""{"what":"LEAVER","who":{"nr":"E1"}}""", 501));

        Assert.Equal("Map:Events", Fixtures.Source("mapped", Settings).Read(Encoding.UTF8.GetBytes($$"""{"meta":{"uid":"1"},"changes":[{{many}}]}""")).Fault?.Path);
    }
}
