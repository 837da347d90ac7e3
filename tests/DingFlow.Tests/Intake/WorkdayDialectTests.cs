using System.Text;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class WorkdayDialectTests
{
    private const string Credentials = "workday:correct horse battery";
    private static readonly HrSource Source = Fixtures.Source("workday", ("Secrets:0", Credentials), ("TimeZone", "Asia/Macau"), ("DayOffset", "1.00:00:00"));

    [Fact]
    public void Xml_is_read_by_the_names_that_workday_uses()
    {
        var reading = Source.Read(Fixtures.Read("workday", "termination.xml"));

        Assert.Null(reading.Fault);
        Assert.Equal(("EVT-0001", Fixtures.Now), (reading.SenderId, reading.EventTime));
        Assert.Equal(
            new PersonEvent
            {
                Kind = PersonEventKind.Terminated,
                Source = "hr/acme",
                EmployeeId = "E1001",
                Email = "e1001@sandbox.example",
                EffectiveAt = new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.FromHours(8)),
                OccurredAt = Fixtures.Now,
            },
            Assert.Single(reading.Events));
    }

    [Fact]
    public void Json_is_read_by_the_same_names() => Assert.Equal(
        (PersonEventKind.Rehired, "E1001"),
        Assert.Single(Source.Read(Fixtures.Read("workday", "rehire.json")).Events) is var person ? (person.Kind, person.EmployeeId) : default);

    [Fact]
    public void Other_places_are_settings()
    {
        var source = Fixtures.Source(
            "workday", ("Secrets:0", Credentials), ("Map:EmployeeId", "$.Worker_Event.Worker.Worker_ID[?(@.@type == 'Employee_ID')].#text"),
            ("Map:Email", "$.Worker_Event.Worker.Email_Address"));

        Assert.Equal("e1001@sandbox.example", Assert.Single(source.Read(Fixtures.Read("workday", "termination.xml")).Events).Email);
    }

    [Fact]
    public void The_sender_shows_itself_by_user_and_password_or_signs()
    {
        var body = Fixtures.Read("workday", "rehire.json");
        var signing = Fixtures.Source("workday", ("Secrets:0", "shared-secret"), ("Signature:Header", "X-Workday-Signature"));
        var mac = Convert.ToHexString(System.Security.Cryptography.HMACSHA256.HashData("shared-secret"u8, body));

        Assert.Equal(
            SignatureVerdict.Valid, Source.Verify(body, ("Authorization", $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(Credentials))}")).Verdict);
        Assert.Equal(SignatureVerdict.MissingHeader, Source.Verify(body, ("X-Workday-Signature", mac)).Verdict);
        Assert.Equal(SignatureVerdict.Valid, signing.Verify(body, ("X-Workday-Signature", mac)).Verdict);
        Assert.Equal(SignatureVerdict.Mismatch, signing.Verify([.. body, 32], ("X-Workday-Signature", mac)).Verdict);
    }

    [Theory]
    [InlineData("<a/>", "Map:Id")]
    [InlineData("<!DOCTYPE a><a/>", "")]
    [InlineData("{}", "Map:Id")]
    [InlineData("[]", "")]
    [InlineData("""{"Event_ID":"1"}""", "Map:OccurredAt")]
    [InlineData("""{"Event_ID":"1","Event_Time":"2026-11-22T01:00:00Z"}""", "Map:Kind")]
    [InlineData("""{"Event_ID":"1","Event_Time":"2026-11-22T01:00:00Z","Event_Type":"Rehire"}""", "Map")]
    public void A_body_against_its_rules_is_refused(string body, string path)
    {
        var reading = Source.Read(Encoding.UTF8.GetBytes(body));

        // An id makes the time dispensable.
        Assert.Equal(path == "Map:OccurredAt" ? "Map:Kind" : path, reading.Fault?.Path);
    }
}
