using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Xml.Linq;
using DingFlow.Intake;
using DingFlow.Messaging;

namespace DingFlow.Tests.Intake;

public sealed class SuccessFactorsDialectTests
{
    private const string Credentials = "dingflow:correct horse battery";
    private static readonly (string, string) Basic = ("Authorization", $"Basic {Convert.ToBase64String(Encoding.UTF8.GetBytes(Credentials))}");
    private static readonly byte[] Termination = Fixtures.Read("successfactors", "termination.xml");
    private static readonly HrSource Source = Fixtures.Source(
        "successfactors", ("Secrets:0", "dingflow:the password before it"), ("Secrets:1", Credentials), ("TimeZone", "Asia/Shanghai"));

    [Fact]
    public void A_future_termination_counts_from_its_day_in_the_zone()
    {
        var reading = Source.Read(Termination);

        Assert.Null(reading.Fault);
        Assert.Equal("6767884f-e601-4e34-b984-a110ca977619", reading.SenderId);
        Assert.Equal(
            new PersonEvent
            {
                Kind = PersonEventKind.Terminated,
                Source = "hr/acme",
                EmployeeId = "E1001",
                Email = "e1001@sandbox.example",
                EffectiveAt = new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.FromHours(8)),
                OccurredAt = reading.EventTime,
            },
            Assert.Single(reading.Events));
        Assert.Equal(Fixtures.Now.AddMilliseconds(244), reading.EventTime);
    }

    [Fact]
    public void A_current_one_takes_effect_at_once() => Assert.Null(
        Assert.Single(Source.Read(Changed("future", "current")).Events).EffectiveAt);

    [Fact]
    public void The_moment_of_the_day_is_a_setting()
    {
        var source = Fixtures.Source(
            "successfactors", ("Secrets:0", Credentials), ("TimeZone", "America/Los_Angeles"), ("DayOffset", "18:00:00"));

        Assert.Equal(
            new DateTimeOffset(2026, 12, 1, 18, 0, 0, TimeSpan.FromHours(-8)), Assert.Single(source.Read(Termination).Events).EffectiveAt);
    }

    [Fact]
    public void An_event_posted_again_is_a_delivery_of_its_own() =>
        Assert.Equal("6767884f-e601-4e34-b984-a110ca977619:repost:1795309200244", Source.Read(Changed("<ns3:repost>false", "<ns3:repost>true")).SenderId);

    [Theory]
    [InlineData("com.successfactors.Employment.AssignmentInformation.ReHire", PersonEventKind.Rehired)]
    [InlineData("com.successfactors.Employment.AssignmentInformation.Termination", PersonEventKind.Terminated)]
    [InlineData("com.successfactors.Employment.AssignmentInformation.Transfer", null)]
    public void Types_become_kinds(string type, PersonEventKind? kind) => Assert.Equal(
        kind, Source.Read(Changed("com.successfactors.Employment.AssignmentInformation.Termination", type)).Events.SingleOrDefault()?.Kind);

    [Fact]
    public void Words_for_kinds_are_settings()
    {
        var source = Fixtures.Source(
            "successfactors", ("Secrets:0", Credentials), ("Kinds:TerminationCancelled", "com.acme.Stay, .Termination"), ("Kinds:Terminated", ".Leave"));

        Assert.Equal(PersonEventKind.TerminationCancelled, Assert.Single(source.Read(Termination).Events).Kind);
    }

    [Theory]
    [InlineData("<ns3:externalEventId>6767884f-e601-4e34-b984-a110ca977619</ns3:externalEventId>", "", "externalEventId")]
    [InlineData("6767884f-e601-4e34-b984-a110ca977619", "a b", "externalEventId")]
    [InlineData("<ns3:publishedAt>1795309200244</ns3:publishedAt>", "", "publishedAt")]
    [InlineData("1795309200244", "99999999999999999999", "publishedAt")]
    [InlineData("<ns3:effectiveStartDate>2026-12-01", "<ns3:effectiveStartDate>1 Dec", "effectiveStartDate")]
    [InlineData("<name>userId</name>", "<name>other</name>", "entityKeys")]
    [InlineData("<value>E1001</value>", "<value>E 1001</value>", "entityKeys")]
    [InlineData("e1001@sandbox.example", "nobody", "email")]
    [InlineData("ns3:externalEventMeta", "ns3:otherMeta", "ExternalEvent")]
    [InlineData("ns3:events>", "ns3:nothing>", "events")]
    public void A_message_against_its_rules_is_refused(string find, string replace, string path) =>
        Assert.Equal(path, Source.Read(Changed(find, replace)).Fault?.Path);

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("<a>")]
    [InlineData("<a/><b/>")]
    [InlineData("""<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>""")]
    [InlineData("""<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;&x;&x;">]><a>&y;</a>""")]
    [InlineData("""<?xml version="1.0" encoding="no-such-encoding"?><a/>""")]
    [InlineData("<a>&undefined;</a>")]
    public void Xml_with_a_dtd_or_broken_is_refused(string body) => Assert.Equal("", Source.Read(Encoding.UTF8.GetBytes(body)).Fault?.Path);

    [Fact]
    public void Deep_and_wide_xml_is_refused()
    {
        var deep = string.Concat(Enumerable.Repeat("<a>", 40)) + string.Concat(Enumerable.Repeat("</a>", 40));
        var wide = "<a>" + string.Concat(Enumerable.Repeat("<b/>", 6000)) + "</a>";

        Assert.Equal("", Source.Read(Encoding.UTF8.GetBytes(deep)).Fault?.Path);
        Assert.Equal("", Source.Read(Encoding.UTF8.GetBytes(wide)).Fault?.Path);
    }

    [Fact]
    public void The_user_and_password_show_who_sends()
    {
        Assert.Equal((SignatureVerdict.Valid, 1), Source.Verify(Termination, Basic) is var v ? (v.Verdict, v.SecretIndex) : default);
        Assert.Equal(SignatureVerdict.MissingHeader, Source.Verify(Termination).Verdict);
        Assert.Equal(SignatureVerdict.MalformedHeader, Source.Verify(Termination, ("Authorization", "Bearer abc")).Verdict);
        Assert.Equal(SignatureVerdict.MalformedHeader, Source.Verify(Termination, ("Authorization", "Basic ???")).Verdict);
        Assert.Equal(
            SignatureVerdict.Mismatch,
            Source.Verify(Termination, ("Authorization", $"Basic {Convert.ToBase64String("dingflow:wrong password here"u8)}")).Verdict);
    }

    [Fact]
    public void A_client_certificate_shows_who_sends_while_it_is_valid()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=hr", key, HashAlgorithmName.SHA256);
        using var valid = request.CreateSelfSigned(Fixtures.Now.AddDays(-1), Fixtures.Now.AddDays(1));
        using var expired = request.CreateSelfSigned(Fixtures.Now.AddDays(-9), Fixtures.Now.AddDays(-8));
        using var stranger = request.CreateSelfSigned(Fixtures.Now.AddDays(-1), Fixtures.Now.AddDays(2));
        var source = Fixtures.Source(
            "successfactors", ("ClientCertificates:0", valid.GetCertHashString(HashAlgorithmName.SHA256)),
            ("ClientCertificates:1", expired.GetCertHashString(HashAlgorithmName.SHA256)), ("ClientCertificateHeader", "X-ARR-ClientCert"));

        Assert.Equal(SignatureVerdict.Valid, source.Verify(Termination, Certificate(valid)).Verdict);
        Assert.Equal(SignatureVerdict.Valid, source.Verify(Termination, ("X-ARR-ClientCert", Uri.EscapeDataString(valid.ExportCertificatePem()))).Verdict);
        Assert.Equal(SignatureVerdict.Stale, source.Verify(Termination, Certificate(expired)).Verdict);
        Assert.Equal(SignatureVerdict.Mismatch, source.Verify(Termination, Certificate(stranger)).Verdict);
        Assert.Equal(SignatureVerdict.MissingHeader, source.Verify(Termination, Basic).Verdict);
        Assert.Equal(SignatureVerdict.MalformedHeader, source.Verify(Termination, ("X-ARR-ClientCert", "AAAA")).Verdict);
        Assert.Equal(["no-certificate-fits"], source.Diagnose(Termination, Certificate(stranger)));
        Assert.Equal(["certificate-expired"], source.Diagnose(Termination, Certificate(expired)));
        Assert.Equal(["certificate-fits"], source.Diagnose(Termination, Certificate(valid)));

        static (string, string) Certificate(X509Certificate2 certificate) => ("X-ARR-ClientCert", Convert.ToBase64String(certificate.RawData));
    }

    [Fact]
    public void Without_any_way_to_show_who_sends_the_start_fails()
    {
        Assert.Equal(["HrSources:acme:Secrets: is missing: one secret, or two while it is rotated"], Fixtures.Faults("successfactors"));
        Assert.Equal(
            ["HrSources:acme:Secrets:0: must be user:password with a password of at least 12 characters"],
            Fixtures.Faults("successfactors", ("Secrets:0", "dingflow:short")));
        Assert.Contains(
            Fixtures.Faults("successfactors", ("ClientCertificates", "12:34")),
            static fault => fault.StartsWith("HrSources:acme:ClientCertificates: must hold SHA-256", StringComparison.Ordinal));
        Assert.Contains(
            Fixtures.Faults("successfactors", ("ClientCertificates", new string('a', 64))),
            static fault => fault.StartsWith("HrSources:acme:ClientCertificateHeader: is missing", StringComparison.Ordinal));
        Assert.Equal(
            ["HrSources:acme:TimeZone: must be a time zone that this machine knows, such as Asia/Shanghai"],
            Fixtures.Faults("successfactors", ("Secrets:0", Credentials), ("TimeZone", "Mars/Olympus")));
    }

    [Fact]
    public async Task It_is_answered_in_soap_and_a_repetition_is_known()
    {
        await using var scenario = new IntakeScenario(("HrSources:sf:Dialect", "successfactors"), ("HrSources:sf:Secrets:0", Credentials));

        var first = await scenario.PostAsync("sf", Termination, "text/xml; charset=utf-8", Basic);
        var second = await scenario.PostAsync("sf", Termination, "text/xml; charset=utf-8", Basic);
        var refused = await scenario.PostAsync("sf", Termination, "application/json", Basic);

        Assert.Equal((200, "text/xml; charset=utf-8"), (first.Status, first.ContentType));
        XNamespace ns = "http://notification.event.successfactors.com";
        var payload = XDocument.Parse(Encoding.UTF8.GetString(first.Body)).Descendants(ns + "ExternalEventResponse").Elements(ns + "responsePayload").Single();
        Assert.Equal("200", payload.Element(ns + "status")?.Value);
        Assert.Equal(200, second.Status);
        Assert.Single(scenario.Queue.Offboarding);
        refused.IsProblem(415, "unsupported-media-type");
    }

    private static byte[] Changed(string find, string replace)
    {
        var text = Encoding.UTF8.GetString(Termination);
        Assert.Contains(find, text, StringComparison.Ordinal);
        return Encoding.UTF8.GetBytes(text.Replace(find, replace, StringComparison.Ordinal));
    }
}
