using System.Text;
using DingFlow.Sandbox;
using DingFlow.Settings;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Transfers;
using Microsoft.Extensions.Configuration;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>A DingFlow that runs abroad: what arrives in it is a transfer that is declared and counted, and nothing is while it runs at home.</summary>
public sealed class RegionTests
{
    private const string Baseline = """{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":null,"IsPastDue":false}},"Metadata":{"sys":{"MethodName":"CountDingTalkContacts"}}}""";

    private static readonly string Secret = HrSender.NewSecret();

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task What_arrives_in_a_DingFlow_abroad_is_declared_and_counted_once_a_person()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(
            sandbox, ("DingFlow:Region", "sg"), ("HrSources:acme:Dialect", "standard"), ("HrSources:acme:Secrets:0", Secret), ("HrSources:acme:Exporter", "acme-zhuhai"), ("DingTalk:Tenants:sandbox:Exporter", "acme-zhuhai"), ("Exporters:acme-zhuhai:Name", "Acme (Zhuhai)")));
        using var client = program.CreateOperator();
        using var sender = new TransferSender(client);
        var hr = new HrSender(program.Client, "acme", Secret);

        // A webhook, sent twice: the leaver is frozen and counted once.
        var leaver = HrSender.Leaver("E1001");
        await hr.AcceptedAsync(leaver, "delivery-1");
        await hr.AcceptedAsync(leaver, "delivery-1");
        await new Operations(client).VerifiedAsync("E1001");
        await Eventually.IsTrueAsync(async () => await StandAsync(sender) is (1, 1, 1), () => "the leaver counted", Cancellation);

        // An event of DingTalk, then everybody whom DingFlow keeps: rosters and contact lists, and nobody twice.
        DingTalkPush.IsSuccess(await DingTalkPush.SendAsync(program.Client, new JObject
        {
            ["EventType"] = "user_add_org", ["UserId"] = new JArray("sb-1002"), ["eventId"] = "7".PadLeft(32, '0'), ["CorpId"] = SandboxOptions.CorpId, ["TimeStamp"] = DingTalkPush.Milliseconds(),
        }.ToString()));
        await Eventually.IsTrueAsync(async () => await StandAsync(sender) is (2, 2, 2), () => "the newcomer counted", Cancellation);
        using var roster = new HttpRequestMessage(HttpMethod.Put, "/api/hr/acme/roster")
        {
            Content = new StringContent("""{"employeeId":"E1003","dingTalkUserId":"sb-1003"}""" + "\n" + """{"employeeId":"E7777"}""" + "\n", Encoding.UTF8, "application/x-ndjson"),
        };
        Assert.Equal(200, (await client.AskAsync(roster)).Status);
        for (var round = 0; round < 2; round++)
        {
            await InvokeAsync(program);

            // The sandbox's 25 less the one who left, who was counted, and E7777 of the roster.
            Assert.Equal((26, 26, 26), await StandAsync(sender));
        }

        Assert.Contains("DingFlow runs in SG: what hr/acme sends from CN is a transfer of acme-zhuhai to dingflow-sg", program.Output + program.Errors, StringComparison.Ordinal);
        var report = await client.AskAsync(HttpMethod.Get, $"/api/reports/acme-zhuhai/{LegalTime.YearOf(TimeProvider.System.GetUtcNow())}");
        Assert.Equal("SG", (string?)report.Json["instance"]!["region"]);
        Assert.Equal(
            [("dingtalk/sandbox", "CN-SG", "dingflow-sg"), ("hr/acme", "CN-SG", "dingflow-sg")],
            report.Json["instance"]!["received"]!.Select(received => ((string)received["source"]!, (string)received["lane"]!, (string)received["recipient"]!)));
        Assert.Contains(report.Json["scenarios"]!, scenario => (string?)scenario["purpose"] == "offboarding" && scenario["methods"]!.Any(method => (string?)method == "sync"));
        var recount = await client.AskAsync(HttpMethod.Post, "/api/transfers/recount?exporter=acme-zhuhai");
        Assert.True((bool)recount.Json["agrees"]!, recount.Text);
    }

    [Fact]
    public async Task Whoever_is_put_on_a_roster_or_provisioned_counts_at_once_and_once_also_across_a_kill()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(
            sandbox, ("DingFlow:Region", "SG"), ("HrSources:acme:Dialect", "standard"), ("HrSources:acme:Secrets:0", Secret), ("HrSources:acme:Exporter", "acme-zhuhai"),
            ("HrSources:okta:Dialect", "scim"), ("HrSources:okta:Exporter", "acme-zhuhai"), ("DingTalk:Tenants:sandbox:Exporter", "acme-zhuhai"), ("Exporters:acme-zhuhai:Name", "Acme (Zhuhai)")));

        // Nobody calls the nightly reading in this test.
        using (var client = program.CreateOperator())
        {
            using var sender = new TransferSender(program.CreateOperator());
            await RosterAsync(client, "E1003", "E7777");
            await Eventually.IsTrueAsync(async () => await StandAsync(sender) is (2, 2, 2), () => "the roster counted", Cancellation);
            await RosterAsync(client, "E1003", "E7777", "E7778");
            await Eventually.IsTrueAsync(async () => await StandAsync(sender) is (3, 3, 3), () => "who is new on it", Cancellation);

            var id = await ProvisionAsync(client, "e8001@sandbox.example", "E8001");
            await ProvisionAsync(client, "e7777@sandbox.example", "E7777");
            await Eventually.IsTrueAsync(async () => await StandAsync(sender) is (4, 4, 4), () => "the provisioned one, and who is known stays one", Cancellation);

            // What changes of a person's names leads to the same person; what changes of the rest says nothing.
            foreach (var operation in (string[])["""{"op":"replace","path":"displayName","value":"Wei"}""", """{"op":"add","path":"emails[type eq \"home\"].value","value":"wei@sandbox.example"}"""])
            {
                Assert.Equal(200, (await ScimAsync(client, HttpMethod.Patch, $"/Users/{id}", Scim.ScimProgram.Patch(operation))).Status);
            }

            await ProvisionAsync(client, "e8002@sandbox.example", "E8002");
        }

        await program.KillAsync();
        await program.StartAsync();
        using var again = new TransferSender(program.CreateOperator());
        await Eventually.IsTrueAsync(async () => await StandAsync(again) is (5, 5, 5), () => "who was provisioned just before the kill", Cancellation);
        var recount = await again.Client.AskAsync(HttpMethod.Post, "/api/transfers/recount?exporter=acme-zhuhai");
        Assert.True((bool)recount.Json["agrees"]!, recount.Text);
    }

    [Theory]
    [InlineData(null, "CN")]
    [InlineData("CN", "CN")]
    [InlineData("MO", "MO")]
    public async Task At_home_nothing_is_counted(string? region, string origin)
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        var settings = OutsideSandbox.Settings(
            sandbox, ("HrSources:acme:Dialect", "standard"), ("HrSources:acme:Secrets:0", Secret), ("HrSources:acme:Exporter", "acme-zhuhai"), ("DingTalk:Tenants:sandbox:Exporter", "acme-zhuhai"), ("Exporters:acme-zhuhai:Name", "Acme (Zhuhai)"),
            ("HrSources:acme:DataOrigin", origin), ("DingTalk:Tenants:sandbox:DataOrigin", origin));
        if (region is not null)
        {
            settings["DingFlow:Region"] = region;
        }

        await using var program = await DingFlowProcess.StartStandaloneAsync(settings);
        using var client = program.CreateOperator();
        using var sender = new TransferSender(client);

        await new HrSender(program.Client, "acme", Secret).AcceptedAsync(HrSender.Leaver("E1001"));
        await new Operations(client).VerifiedAsync("E1001");
        await InvokeAsync(program);

        Assert.Equal((0, 0, 0), await StandAsync(sender));
        Assert.DoesNotContain("DingFlow runs in", program.Output + program.Errors, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SG", null, null, null, null, "HrSources:acme:Exporter: is missing: DingFlow runs abroad (DingFlow:Region)")]
    [InlineData("SG", "nobody", null, null, null, "HrSources:acme:Exporter: is not registered")]
    [InlineData("Singapore", "acme", null, null, null, "DingFlow:Region: must be an ISO 3166 code")]
    [InlineData("XX", "acme", null, null, null, "DingFlow:Region: must be an ISO 3166 code")]
    [InlineData("SG", "acme", "Macau", null, null, "HrSources:acme:DataOrigin: must be an ISO 3166 code")]
    [InlineData("SG", "acme", null, "a b", null, "DingFlow:Operator: must be")]
    [InlineData("SG", "acme", null, null, "kindness", "HrSources:acme:People:Exemption: is no exemption")]
    [InlineData("SG", "acme", null, null, null, null)]
    [InlineData("CN", null, null, null, null, null)]
    [InlineData(null, null, null, null, null, null)]
    [InlineData("MO", null, "MO", null, null, null)]
    public void A_region_is_a_place_and_its_sources_have_exporters(string? region, string? exporter, string? origin, string? recipient, string? exemption, string? expected)
    {
        var faults = new SettingsFaults();

        var feeds = Read(faults, region, exporter, origin, recipient, exemption);

        Assert.Equal(expected is null ? 0 : 1, faults.All.Count);
        Assert.All(faults.All, fault => Assert.StartsWith(expected!, fault, StringComparison.Ordinal));
        if (expected is null)
        {
            Assert.Equal(exporter is null ? 0 : 1, feeds.HrSources.Count);
        }
    }

    [Fact]
    public void Another_origin_and_another_operator_make_another_lane()
    {
        var feed = Assert.Single(Read(new(), "HK", "acme", "MO", "acme-hk", null).HrSources).Value;

        Assert.Equal(("MO", "HK", "acme-hk", "sync"), (feed.Origin.ToString(), feed.Destination.ToString(), feed.Recipient, feed.Method));
    }

    [Fact]
    public void A_tenant_whose_data_lie_in_one_place_and_arrive_in_another_is_two_transfers()
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DingFlow:Region"] = "HK", ["DingTalk:Tenants:zhuhai:CorpId"] = "dingcorp1", ["DingTalk:Tenants:zhuhai:DataRegion"] = "SG", ["DingTalk:Tenants:zhuhai:Exporter"] = "acme",
            ["Exporters:acme:Name"] = "Acme",
        }).Build();
        var faults = new SettingsFaults();

        var feeds = PeopleFeedOptions.Read(configuration, TransfersOptions.Read(configuration, faults), faults).Tenants["ZHUHAI"];

        Assert.Equal([("CN-SG", "dingtalk-sg", "remoteAccess"), ("CN-HK", "dingflow-hk", "sync")], feeds.Select(feed => ($"{feed.Origin}-{feed.Destination}", feed.Recipient, feed.Method)));
    }

    [Theory]
    [InlineData(null, null, JobNumberScope.Exporter)]
    [InlineData("acme", null, JobNumberScope.Tenant)]
    [InlineData("acme", "exporter", JobNumberScope.Exporter)]
    [InlineData("other", null, JobNumberScope.Exporter)]
    [InlineData(null, "tenant", JobNumberScope.Tenant)]
    public void Job_numbers_of_an_exporter_with_several_organisations_are_not_trusted_unless_the_settings_say_so(
        string? exporterOfAnother, string? said, JobNumberScope expected)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DingTalk:Tenants:zhuhai:CorpId"] = "dingcorp1", ["DingTalk:Tenants:zhuhai:DataRegion"] = "SG", ["DingTalk:Tenants:zhuhai:Exporter"] = "acme",
            ["DingTalk:Tenants:zhuhai:Contacts:JobNumbers"] = said, ["DingTalk:Tenants:macau:CorpId"] = "dingcorp2", ["DingTalk:Tenants:macau:Exporter"] = exporterOfAnother,
            ["Exporters:acme:Name"] = "Acme", ["Exporters:other:Name"] = "Other",
        }).Build();
        var faults = new SettingsFaults();

        var feeds = PeopleFeedOptions.Read(configuration, TransfersOptions.Read(configuration, faults), faults);

        Assert.Empty(faults.All);
        Assert.Equal(expected, Assert.Single(feeds.Tenants["zhuhai"]).JobNumbers);
    }

    private static async Task RosterAsync(HttpClient client, params string[] employeeIds)
    {
        using var roster = new HttpRequestMessage(HttpMethod.Put, "/api/hr/acme/roster")
        {
            Content = new StringContent(string.Concat(employeeIds.Select(static id => $$"""{"employeeId":"{{id}}"}""" + "\n")), Encoding.UTF8, "application/x-ndjson"),
        };
        Assert.Equal(200, (await client.AskAsync(roster)).Status);
    }

    private static async Task<string> ProvisionAsync(HttpClient client, string userName, string number)
    {
        var answer = await ScimAsync(client, HttpMethod.Post, "/Users", Scim.ScimProgram.User(userName, number).ToString());
        Assert.True(answer.Status == 201, answer.Text);
        return (string)answer.Json["id"]!;
    }

    private static async Task<Answer> ScimAsync(HttpClient client, HttpMethod method, string path, string body)
    {
        using var request = new HttpRequestMessage(method, "/api/scim/v2/okta" + path) { Content = new StringContent(body, Encoding.UTF8, "application/scim+json") };
        return await client.AskAsync(request);
    }

    private static PeopleFeedOptions Read(SettingsFaults faults, string? region, string? exporter, string? origin, string? recipient, string? exemption)
    {
        var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DingFlow:Region"] = region, ["DingFlow:Operator"] = recipient, ["HrSources:acme:Dialect"] = "standard", ["HrSources:acme:Exporter"] = exporter,
            ["HrSources:acme:DataOrigin"] = origin, ["HrSources:acme:People:Exemption"] = exemption, ["Exporters:acme:Name"] = "Acme",
        }).Build();
        return PeopleFeedOptions.Read(configuration, TransfersOptions.Read(configuration, faults), faults);
    }

    private static async Task InvokeAsync(DingFlowProcess program)
    {
        using var socket = program.CreateSocketClient();
        using var answer = await socket.PostAsync("/CountDingTalkContacts", new StringContent(Baseline, Encoding.UTF8, "application/json"), Cancellation);
        Assert.Equal(System.Net.HttpStatusCode.OK, answer.StatusCode);
    }

    private static async Task<(int All, int Operator, int Lane)> StandAsync(TransferSender sender)
    {
        var counters = await sender.CountersAsync("acme-zhuhai", null);
        return ((int)counters["subjects"]!, (int?)counters["counters"]!["recipient.dingflow-sg"] ?? 0, (int?)counters["counters"]!["lane.CN-SG"] ?? 0);
    }
}
