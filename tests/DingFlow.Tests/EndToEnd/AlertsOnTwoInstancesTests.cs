using System.Globalization;
using DingFlow.Sandbox;
using DingFlow.Tests.Storage;
using DingFlow.Tests.Transfers;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>
/// Two programs under the Functions host on one Table Storage (Azurite): both timers fire at once, each host delivers every message of the
/// <c>alerts</c> queue three times though it succeeded, and people are told once on every channel.
/// </summary>
public sealed class AlertsOnTwoInstancesTests(AzuriteFixture azurite) : UnderFunctionsHost(azurite)
{
    private const string ComplianceKey = "compliance-key-under-the-host-0123456789";
    private const string Exporter = "alerts-on-two-instances";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_limit_is_told_once_on_every_channel()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        await using var otherHost = await FunctionsHostStandIn.StartAsync();
        (host.DeliverEach, otherHost.DeliverEach) = (3, 3);
        (string, string)[] settings =
        [
            ("Auth__ApiKeys__compliance__Hash", ConfiguredProgram.HashOf(ComplianceKey)), ("Auth__ApiKeys__compliance__Roles", "transfers.write,compliance.read,compliance.write"),
            ($"Exporters__{Exporter}__Name", "Alerts on two instances"),
            ("Alerts__Channels__group__Type", "robot"), ("Alerts__Channels__group__Url", new Uri(sandbox.DingTalkLegacy, "oapi/robot/send").ToString()),
            ("Alerts__Channels__group__AccessToken", SandboxOptions.RobotToken), ("Alerts__Channels__group__Secret", SandboxOptions.RobotSecret),
            ("Alerts__Channels__group__GroupWait", "00:00:01"),
            ("Alerts__Channels__duty__Type", "workNotice"), ("Alerts__Channels__duty__Tenant", "sandbox"), ("Alerts__Channels__duty__GroupWait", "00:00:00"),
            ("Alerts__Channels__duty__AgentId", SandboxOptions.AgentId.ToString(CultureInfo.InvariantCulture)), ("Alerts__Channels__duty__UserIds", "sb-1002"),
            ("Alerts__Channels__legal__Type", "mail"), ("Alerts__Channels__legal__From", "e1003@sandbox.example"), ("Alerts__Channels__legal__To", "legal@acme.example"),
            ("Alerts__Channels__legal__GroupWait", "00:00:00"),
        ];
        await using var one = await StartAsync(sandbox, host, settings);
        await using var two = await StartAsync(sandbox, otherHost, settings);
        using var compliance = one.CreateOperator(ComplianceKey);
        using var sender = new TransferSender(one.CreateOperator(ComplianceKey));
        Assert.Equal(202, (await sender.PostAsync(TransferSender.Record("t-1", "E1", Exporter, static record => record["occurredAt"] = TimeProvider.System.GetUtcNow().ToString("O", CultureInfo.InvariantCulture)))).Status);

        var ticks = await Task.WhenAll(
            FunctionsHostStandIn.InvokeAsync(one, "CheckThresholds", FunctionsHostStandIn.Tick("CheckThresholds")),
            FunctionsHostStandIn.InvokeAsync(two, "CheckThresholds", FunctionsHostStandIn.Tick("CheckThresholds")));
        Assert.All(ticks, static answer => Assert.Equal(200, answer.Status));

        await Eventually.IsTrueAsync(
            async () => await AlertsAsync(compliance) is { Count: 2 } alerts && (await Task.WhenAll(alerts.Select(alert => compliance.AskAsync(HttpMethod.Get, $"/api/alerts/{alert["id"]}"))))
                .All(static answer => answer.Json["deliveries"]!.Count() == 3 && answer.Json["deliveries"]!.All(static delivery => (string?)delivery["state"] == "delivered")),
            () => "both alerts delivered on all three channels", Cancellation);

        Assert.Equal(
            ["corpconversation.asyncsend_v2", "messages.send", "robot.send"],
            sandbox.Outbox.Messages.Where(static message => $"{message.Title}\n{message.Text}".Contains($"{Exporter}: CN24-SC-SPI is reached", StringComparison.Ordinal))
                .Select(static message => message.Operation).Order(StringComparer.Ordinal));
        Assert.All([host, otherHost], static each => Assert.Empty(each.Violations));
    }

    private static async Task<List<JToken>> AlertsAsync(HttpClient compliance) =>
        [.. (await compliance.AskAsync(HttpMethod.Get, $"/api/alerts?type=thresholds&exporter={Exporter}")).Json["items"]!];
}
