using System.Text;
using DingFlow.Sandbox;
using DingFlow.Settings;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Transfers;
using Microsoft.Extensions.Configuration;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>A DingTalk organisation whose data lie abroad: its events and its contact list are counted.</summary>
public sealed class ContactFeedTests
{
    private const string Invocation = """{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{"sys":{"MethodName":"CountDingTalkContacts"}}}""";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static (string, string)[] Abroad =>
    [
        ("DingTalk:Tenants:sandbox:DataRegion", "SG"), ("DingTalk:Tenants:sandbox:Exporter", "acme-zhuhai"), ("Exporters:acme-zhuhai:Name", "Acme (Zhuhai)"),
    ];

    [Fact]
    public async Task People_of_an_organisation_abroad_are_counted_from_events_and_from_the_contact_list_once()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox, Abroad));
        using var sender = new TransferSender(program.CreateOperator());

        // By job number, before anybody knows whose it is.
        await sender.PostAsync(TransferSender.Record("t-1", "E1002"), TransferSender.Record("t-2", "E5555"));
        foreach (var (type, user, id) in ((string, string, string)[])[("user_add_org", "sb-1001", "a1"), ("user_modify_org", "sb-1001", "a2"), ("user_active_org", "sb-1002", "a3"), ("user_add_org", "sb-1001", "a1")])
        {
            DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(program.Client, new JObject
            {
                ["EventType"] = type, ["UserId"] = new JArray(user), ["eventId"] = id.PadLeft(32, '0'), ["CorpId"] = SandboxOptions.CorpId, ["TimeStamp"] = DingTalkPush.Milliseconds(),
            }.ToString()));
        }

        // E1002 and sb-1002 are one person, whom the event's look-up has linked; E5555 and sb-1001 are two others.
        await Eventually.IsTrueAsync(
            async () => await SubjectsAsync(sender) is (3, 2), () => "three subjects, two of them reached from the contact list", Cancellation);

        await InvokeAsync(program);
        Assert.Equal((26, 25), await SubjectsAsync(sender));
        var before = await CountAsync(sender, "E1001", "employeeId");
        await InvokeAsync(program);
        Assert.Equal((26, 25), await SubjectsAsync(sender));

        // The second reading recorded nobody again, and every identifier leads to the same entry.
        Assert.Equal(before, await CountAsync(sender, "e1001@sandbox.example", "email"));
        Assert.Equal(before, await CountAsync(sender, "sb-1001", "dingTalkUserId"));
        Assert.Equal(1, before);
        await sender.PostAsync(TransferSender.Record("t-9", "-", change: record => record["subject"] = new JObject { ["type"] = "email", ["id"] = "E1003@sandbox.example" }));
        Assert.Equal((26, 25), await SubjectsAsync(sender));
    }

    [Fact]
    public async Task People_of_an_organisation_at_home_are_not_counted()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(
            sandbox, ("DingTalk:Tenants:sandbox:DataRegion", "CN"), ("DingTalk:Tenants:sandbox:Exporter", "acme-zhuhai"), ("Exporters:acme-zhuhai:Name", "Acme (Zhuhai)")));
        using var sender = new TransferSender(program.CreateOperator());

        DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(program.Client, """{"EventType":"user_add_org","UserId":["sb-1010"],"eventId":"00000000000000000000000000000b01"}"""));
        await InvokeAsync(program);

        Assert.Equal((0, 0), await SubjectsAsync(sender));
    }

    [Theory]
    [InlineData("SG", null, null, "DingTalk:Tenants:zhuhai:Exporter: is missing")]
    [InlineData("SG", "nobody", null, "DingTalk:Tenants:zhuhai:Exporter: is not registered")]
    [InlineData("Singapore", "acme", null, "DingTalk:Tenants:zhuhai:DataRegion: must be an ISO 3166 code")]
    [InlineData("SG", "acme", "a b", "DingTalk:Tenants:zhuhai:Contacts:Recipient: must be")]
    [InlineData("CN", null, null, null)]
    public void A_tenant_abroad_counts_for_a_registered_exporter(string region, string? exporter, string? recipient, string? expected)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DingTalk:Tenants:zhuhai:CorpId"] = "dingcorp1", ["DingTalk:Tenants:zhuhai:DataRegion"] = region, ["DingTalk:Tenants:zhuhai:Exporter"] = exporter,
            ["DingTalk:Tenants:zhuhai:Contacts:Recipient"] = recipient, ["Exporters:acme:Name"] = "Acme",
        }).Build();
        var faults = new SettingsFaults();

        PeopleFeedOptions.Read(configuration, TransfersOptions.Read(configuration, faults), faults);

        Assert.Equal(expected is null ? 0 : 1, faults.All.Count);
        Assert.All(faults.All, fault => Assert.StartsWith(expected!, fault, StringComparison.Ordinal));
    }

    private static async Task InvokeAsync(DingFlowProcess program)
    {
        using var socket = program.CreateSocketClient();
        using var answer = await socket.PostAsync("/CountDingTalkContacts", new StringContent(Invocation, Encoding.UTF8, "application/json"), Cancellation);
        Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
    }

    private static async Task<(int All, int Contacts)> SubjectsAsync(TransferSender sender)
    {
        var counters = await sender.CountersAsync("acme-zhuhai", null);
        return ((int)counters["subjects"]!, (int?)counters["counters"]!["recipient.dingtalk-sg"] ?? 0);
    }

    private static async Task<int> CountAsync(TransferSender sender, string id, string type)
    {
        var answer = await sender.Client.AskAsync(HttpMethod.Post, "/api/subjects/lookup", new JObject
        {
            ["subject"] = new JObject { ["type"] = type, ["id"] = id, ["scope"] = type == "dingTalkUserId" ? SandboxOptions.CorpId : null },
            ["exporter"] = "acme-zhuhai", ["reason"] = "A test.",
        }.ToString());
        return (int)Assert.Single(answer.Json["exporters"]!)["recordCount"]!;
    }
}
