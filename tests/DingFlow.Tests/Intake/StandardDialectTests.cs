using System.Text;
using CsCheck;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class StandardDialectTests
{
    private static readonly StandardDialect Dialect = new();

    [Fact]
    public void A_leaver_is_read_in_full()
    {
        var reading = Read(IntakeScenario.Leaver);

        Assert.Null(reading.Fault);
        Assert.Equal(DateTimeOffset.Parse("2026-11-22T01:00:00Z", null), reading.EventTime);
        var person = Assert.Single(reading.Events);
        Assert.Equal(
            new PersonEvent
            {
                Kind = PersonEventKind.Terminated,
                Source = "hr/acme",
                EmployeeId = "E1001",
                Email = "e1001@sandbox.example",
                DingTalkUserId = "sb-1001",
                EffectiveAt = new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.FromHours(8)),
                Immediate = true,
                Reason = "resignation",
                OccurredAt = reading.EventTime,
            },
            person);
    }

    [Theory]
    [InlineData("Asia/Macau", "2026-11-29T16:00:00Z")]
    [InlineData("America/New_York", "2026-11-30T05:00:00Z")]
    [InlineData("Europe/Lisbon", "2026-11-30T00:00:00Z")]
    public void A_day_begins_where_the_person_works(string timeZone, string begins)
    {
        var person = Assert.Single(Read(
            $$$"""{"type":"employee.terminated","data":{"employeeId":"E1","effectiveAt":"2026-11-30","timeZone":"{{{timeZone}}}","dryRun":true}}""").Events);

        Assert.Equal(DateTimeOffset.Parse(begins, null), person.EffectiveAt);
        Assert.True(person.DryRun);
    }

    [Theory]
    [InlineData("\"effectiveAt\":\"2026-11-30\"", "/data/effectiveAt")]
    [InlineData("\"effectiveAt\":\"2026-11-31\",\"timeZone\":\"Asia/Macau\"", "/data/effectiveAt")]
    [InlineData("\"effectiveAt\":\"2026-11-30\",\"timeZone\":\"Asia/Nowhere\"", "/data/timeZone")]
    [InlineData("\"dryRun\":1", "/data/dryRun")]
    public void A_day_without_a_zone_and_a_zone_that_there_is_not_are_refused(string data, string path) =>
        Assert.Equal(path, Read($$$"""{"type":"employee.terminated","data":{"employeeId":"E1",{{{data}}}}}""").Fault!.Path);

    [Theory]
    [InlineData("employee.terminated", PersonEventKind.Terminated)]
    [InlineData("employee.termination_cancelled", PersonEventKind.TerminationCancelled)]
    [InlineData("employee.rehired", PersonEventKind.Rehired)]
    public void Types_become_kinds(string type, PersonEventKind kind)
    {
        var person = Assert.Single(Read(Event("""{"employeeId":"E1"}""", type)).Events);

        Assert.Equal(kind, person.Kind);
        Assert.Null(person.EffectiveAt);
        Assert.False(person.Immediate);
    }

    [Theory]
    [InlineData("""{"employeeId":"E1"}""")]
    [InlineData("""{"email":"a@b.example"}""")]
    [InlineData("""{"dingTalkUserId":"u1"}""")]
    [InlineData("""{"employeeId":"E1","email":null,"dingTalkUserId":null,"effectiveAt":null,"immediate":null,"reason":null,"other":{"a":[1]}}""")]
    public void Any_one_identifier_suffices_and_what_is_not_known_is_passed_over(string data) =>
        Assert.Single(Read(Event(data)).Events);

    [Theory]
    [InlineData("""{"type":"employee.promoted","timestamp":"2026-11-22T09:00:00+08:00","data":{"employeeId":7}}""")]
    [InlineData("""{"type":"test"}""")]
    public void Other_types_are_accepted_and_need_no_work(string body)
    {
        var reading = Read(body);

        Assert.Null(reading.Fault);
        Assert.Empty(reading.Events);
    }

    [Theory]
    [InlineData("employeeId", "7")]
    [InlineData("employeeId", "\"\"")]
    [InlineData("employeeId", "\"a@b.example\"")]
    [InlineData("employeeId", "\"a\\nb\"")]
    [InlineData("employeeId", "\"\\ud800\"")]
    [InlineData("email", "\"nobody\"")]
    [InlineData("email", "\"a@b\"")]
    [InlineData("email", "\"@b.example\"")]
    [InlineData("email", "\"a@b..example\"")]
    [InlineData("email", "\"a b@c.example\"")]
    [InlineData("email", "\"a@b@c.example\"")]
    [InlineData("email", "[]")]
    [InlineData("dingTalkUserId", "\"a/b\"")]
    [InlineData("dingTalkUserId", "1001")]
    [InlineData("effectiveAt", "\"2026-11-22\"")]
    [InlineData("effectiveAt", "\"2026-11-22T09:00:00\"")]
    [InlineData("effectiveAt", "\"2026-11-22T09:00+08:00\"")]
    [InlineData("effectiveAt", "\"2026-13-22T09:00:00Z\"")]
    [InlineData("effectiveAt", "\"2026-11-22T25:00:00Z\"")]
    [InlineData("effectiveAt", "\"2026-11-22T09:00:00.Z\"")]
    [InlineData("effectiveAt", "\"0001-01-01T00:00:00+14:00\"")]
    [InlineData("effectiveAt", "\"22 Nov 2026 09:00:00 +08:00\"")]
    [InlineData("effectiveAt", "1795309200")]
    [InlineData("immediate", "\"true\"")]
    [InlineData("immediate", "1")]
    [InlineData("reason", "7")]
    [InlineData("reason", "\"a\\u0000b\"")]
    public void A_field_against_its_rule_is_named(string name, string value)
    {
        var others = name == "employeeId" ? "" : "\"employeeId\":\"E1\",";

        Assert.Equal($"/data/{name}", Read(Event($"{{{others}\"{name}\":{value}}}")).Fault?.Path);
    }

    [Theory]
    [InlineData("employeeId", 65)]
    [InlineData("dingTalkUserId", 65)]
    [InlineData("reason", 501)]
    public void A_field_that_is_too_long_is_named(string name, int length) => Assert.Equal(
        $"/data/{name}", Read(Event($"{{\"email\":\"a@b.example\",\"{name}\":\"{new string('a', length)}\"}}")).Fault?.Path);

    [Theory]
    [InlineData("2026-11-22T09:00:00Z", 0)]
    [InlineData("2026-11-22T09:00:00.5Z", 5_000_000)]
    [InlineData("2026-11-22T17:00:00.123456789+08:00", 1_234_568)]
    [InlineData("2026-11-22T04:00:00-05:00", 0)]
    public void A_time_is_read_with_its_offset(string text, long ticks)
    {
        Assert.True(PersonFields.TryReadTime(text, out var time));
        Assert.Equal(new DateTimeOffset(2026, 11, 22, 9, 0, 0, TimeSpan.Zero).AddTicks(ticks), time);
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("null", "")]
    [InlineData("[]", "")]
    [InlineData("{}", "/type")]
    [InlineData("""{"type":7}""", "/type")]
    [InlineData("""{"type":""}""", "/type")]
    [InlineData("""{"type":"employee.terminated"}""", "/data")]
    [InlineData("""{"type":"employee.terminated","data":[]}""", "/data")]
    [InlineData("""{"type":"employee.terminated","data":{}}""", "/data")]
    [InlineData("""{"type":"employee.terminated","timestamp":"yesterday","data":{"employeeId":"E1"}}""", "/timestamp")]
    [InlineData("""{"type":"employee.terminated","data":{"employeeId":"E1"}} {}""", "")]
    [InlineData("""{"type":"employee.terminated","data":{"employeeId":"E1"}""", "")]
    [InlineData("""{"type":"employee.terminated","data":{"employeeId":"E1"},}""", "")]
    [InlineData("""{"type":"employee.terminated",/* */"data":{"employeeId":"E1"}}""", "")]
    [InlineData("""{"type":"employee.terminated","type":"employee.rehired","data":{"employeeId":"E1"}}""", "")]
    [InlineData("""{"type":"employee.terminated","data":{"employeeId":"E1","employeeId":"E2"}}""", "")]
    [InlineData("""{"type":"employee.terminated","data":{"employeeId":"E1","x":{"a":1,"a":2}}}""", "")]
    [InlineData("""{"type":"employee.terminated","\ud800":1,"data":{"employeeId":"E1"}}""", "")]
    public void A_body_that_is_not_as_it_should_be_is_refused(string body, string path) => Assert.Equal(path, Read(body).Fault?.Path);

    [Theory]
    [InlineData(30, false)]
    [InlineData(31, true)]
    [InlineData(100_000, true)]
    public void A_body_may_be_32_levels_deep(int depth, bool refused)
    {
        var body = Event($"{{\"employeeId\":\"E1\",\"x\":{new string('[', depth)}{new string(']', depth)}}}");

        Assert.Equal(refused, Read(body).Fault is not null);
    }

    [Fact]
    public void Bytes_that_are_no_utf8_are_refused()
    {
        byte[] body = [.. """{"type":"employee.terminated","data":{"employeeId":"E1","reason":"""u8, (byte)'"', 0xC3, 0x28, (byte)'"', .. "}}"u8];

        Assert.Equal("", Dialect.Read(body, "hr/acme").Fault?.Path);
    }

    [Fact]
    public void Random_bytes_never_throw() => Gen.Byte.Array[0, 100].Sample(
        static bytes => Dialect.Read(bytes, "hr/acme").Fault is not null, iter: 2000);

    [Fact]
    public void A_body_with_any_byte_changed_never_throws_and_keeps_to_the_rules()
    {
        var valid = Encoding.UTF8.GetBytes(IntakeScenario.Leaver);
        Gen.Select(Gen.Int[0, valid.Length - 1], Gen.Byte).Sample(
            (position, value) =>
            {
                var changed = (byte[])valid.Clone();
                changed[position] = value;
                var reading = Dialect.Read(changed, "hr/acme");
                return reading.Events.All(static person =>
                    (person.EmployeeId is null || PersonFields.IsEmployeeId(person.EmployeeId)) && (person.Email is null || PersonFields.IsEmail(person.Email)));
            },
            iter: 5000);
    }

    private static string Event(string data, string type = "employee.terminated") => $"{{\"type\":\"{type}\",\"data\":{data}}}";

    private static HrReading Read(string body) => Dialect.Read(Encoding.UTF8.GetBytes(body), "hr/acme");
}
