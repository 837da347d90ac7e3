using System.Net;
using DingFlow.Intake;

namespace DingFlow.Tests.Intake;

public sealed class HrSourceNetworkTests
{
    [Theory]
    [InlineData("203.0.113.7", 202)]
    [InlineData("::ffff:203.0.113.7", 202)]
    [InlineData("2001:db8::5", 202)]
    [InlineData("198.51.100.9", 202)]
    [InlineData("203.0.114.7", 403)]
    [InlineData(null, 403)]
    public async Task A_source_may_send_from_its_networks_only(string? address, int status)
    {
        await using var scenario = new IntakeScenario(("HrSources:acme:AllowedNetworks", "203.0.113.0/24, 2001:db8::/32, 198.51.100.9"));

        Assert.Equal(status, (await PostAsync(scenario, address)).Status);
    }

    [Theory]
    [InlineData("203.0.113.7", 1, 202)]
    [InlineData("203.0.113.7:51234", 1, 202)]
    [InlineData("[2001:db8::5]:443", 1, 202)]
    [InlineData("203.0.113.7, 192.0.2.1", 1, 403)]
    [InlineData("192.0.2.1, 203.0.113.7", 1, 202)]
    [InlineData("203.0.113.7, 192.0.2.1", 2, 202)]
    [InlineData("203.0.113.7", 2, 403)]
    [InlineData("unknown", 1, 403)]
    [InlineData("", 1, 403)]
    public async Task Behind_a_platform_its_header_counts_from_the_right(string header, int position, int status)
    {
        await using var scenario = new IntakeScenario(
            ("HrSources:acme:AllowedNetworks", "203.0.113.0/24,2001:db8::/32"), ("Intake:ClientAddressHeader", "X-Forwarded-For"),
            ("Intake:ClientAddressPosition", position.ToString(System.Globalization.CultureInfo.InvariantCulture)));

        Assert.Equal(status, (await PostAsync(scenario, "203.0.113.1", header)).Status);
    }

    [Fact]
    public async Task Each_source_has_its_own_size()
    {
        await using var scenario = new IntakeScenario(("HrSources:acme:MaxBodyBytes", "256"), ("HrSources:big:Dialect", "standard"), ("HrSources:big:Secrets:0", IntakeScenario.Secret));
        var body = IntakeScenario.Leaver + new string(' ', 256);

        (await scenario.PostHrAsync(body)).IsProblem(413, "too-large");
        Assert.Equal(202, (await scenario.PostHrAsync(body, source: "big")).Status);
    }

    [Theory]
    [InlineData("HrSources:acme:AllowedNetworks", "203.0.113.0/33")]
    [InlineData("HrSources:acme:AllowedNetworks", "everywhere")]
    [InlineData("HrSources:acme:MaxBodyBytes", "600000")]
    [InlineData("Intake:ClientAddressPosition", "0")]
    public void A_malformed_setting_stops_the_start(string name, string value) =>
        Assert.Contains(Fixtures.OptionFaults((name, value)), fault => fault.StartsWith($"{name}: ", StringComparison.Ordinal));

    [Fact]
    public void Behind_the_functions_host_networks_need_the_header() => Assert.Equal(
        ["Intake:ClientAddressHeader: is missing while a source has AllowedNetworks: behind the Functions host every connection is its own"],
        Fixtures.OptionFaults(("HrSources:acme:AllowedNetworks", "203.0.113.0/24"), ("FUNCTIONS_CUSTOMHANDLER_PORT", "7000")));

    private static Task<Answer> PostAsync(IntakeScenario scenario, string? address, string? header = null) => scenario.SendHrAsync("acme", request =>
    {
        var body = System.Text.Encoding.UTF8.GetBytes(IntakeScenario.Leaver);
        var timestamp = scenario.Time.GetUtcNow().ToUnixTimeSeconds();
        request.HttpContext.Connection.RemoteIpAddress = address is null ? null : IPAddress.Parse(address);
        if (header is not null)
        {
            request.Headers["X-Forwarded-For"] = header;
        }

        request.Headers[StandardWebhooks.IdHeader] = "msg_1";
        request.Headers[StandardWebhooks.TimestampHeader] = timestamp.ToString(System.Globalization.CultureInfo.InvariantCulture);
        request.Headers[StandardWebhooks.SignatureHeader] = StandardWebhooks.Sign(StandardWebhooks.DecodeSecret(IntakeScenario.Secret)!, "msg_1", timestamp, body);
        request.ContentType = "application/json";
        request.Body = new MemoryStream(body);
    });
}
