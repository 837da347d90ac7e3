using System.Security.Cryptography;
using System.Text;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Offboarding;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>The real program with a policy of its own: dry run, freeze, evidence, reactivation, rehearsal, over HTTP.</summary>
public sealed class OffboardingPolicyTests
{
    private const string Key = "policy-key-of-the-tests-0123456789";
    private const string Equipment = """
        {
          "dingTalk": { "administrator": "sub", "managementGroups": ["mg-1"], "roleIds": [11, 12], "trustedDevices": [ { "id": 71, "platform": "Mac" } ],
            "sceneGroups": ["cid-project"], "approvals": [ { "processCode": "PROC-LEAVE", "instanceId": "inst-1", "taskId": 501 } ], "managerUserId": "sb-1003" },
          "entra": { "groups": ["All staff", "VPN", "Alumni"], "directoryRoles": ["User Administrator"], "licenses": [ { "sku": "ENTERPRISEPACK" } ],
            "devices": [ { "name": "notebook" } ], "owns": ["group/Project X"], "managerId": "5a4d0000-0000-4000-8000-000000001003" }
        }
        """;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_policy_takes_rights_away_shows_evidence_and_gives_them_back()
    {
        var secret = HrSender.NewSecret();
        await using var program = await DingFlowProcess.StartStandaloneAsync(Settings(secret));
        using var walk = new Walk(program, "acme", secret, Key);
        await walk.Sandbox.PutPersonAsync("E1002", Equipment);

        var policy = await walk.Operator.AskAsync(HttpMethod.Get, "/api/offboarding/plan");
        Assert.Equal((200, "full"), (policy.Status, (string?)policy.Json["policy"]));
        Assert.Contains("entra.groups", policy.Json["entraPermissions"]!["GroupMember.ReadWrite.All"]!.Values<string>());

        var beforehand = await walk.Operator.AskAsync(HttpMethod.Post, "/api/offboarding/dry-run", """{"employeeId":"E1002","source":"hr/acme"}""");
        Assert.Equal(200, beforehand.Status);
        Assert.Empty(beforehand.Json["trouble"]!);
        Assert.True((bool)(await walk.Sandbox.PersonAsync("E1002"))["entra"]!["accountEnabled"]!);
        Assert.Equal(404, (await walk.Operator.AskAsync(HttpMethod.Post, "/api/offboarding/dry-run", """{"caseId":"00000000000000000000000000000000"}""")).Status);
        Assert.Equal(400, (await walk.Operator.AskAsync(HttpMethod.Post, "/api/offboarding/dry-run", "{}")).Status);

        await walk.Hr.AcceptedAsync(HrSender.Leaver("E1002"));
        var verified = await walk.Operations.VerifiedAsync("E1002");
        var caseId = (string)verified["caseId"]!;
        Assert.Equal(["All staff", "Alumni"], (await walk.Sandbox.PersonAsync("E1002"))["entra"]!["groups"]!.Values<string>());

        await EvidenceIsSoundAsync(walk, caseId);

        var asked = await walk.Operator.AskAsync(HttpMethod.Post, $"/api/offboarding/{caseId}/reactivate", """{"reason":"HR named the wrong person"}""");
        Assert.Equal((202, "running"), (asked.Status, (string?)asked.Json["state"]));
        var given = await Eventually.GetAsync(
            async () => (await walk.Operations.CasesOfAsync("E1002")) is [var only] && Operations.StateOf(only) == "reactivated" ? only : null,
            () => "a case that is reactivated", Cancellation);
        Assert.Equal(2, given["undo"]!["notRestored"]!.Count());
        Assert.Equal("key:ops", (string?)given["undo"]!["requestedBy"]);
        var person = await walk.Sandbox.PersonAsync("E1002");
        Assert.Equal((false, true), ((bool)person["dingTalk"]!["disabled"]!, (bool)person["entra"]!["accountEnabled"]!));
        Assert.Equal(["All staff", "Alumni", "VPN"], person["entra"]!["groups"]!.Values<string>().Order());
        Assert.Equal(409, (await walk.Operator.AskAsync(HttpMethod.Post, $"/api/offboarding/{caseId}/reactivate", """{"reason":"once more"}""")).Status);

        var rehearsal = await walk.Operator.AskAsync(HttpMethod.Post, "/api/rehearsals", "{}");
        Assert.Equal(200, rehearsal.Status);
        Assert.Empty(rehearsal.Json["live"]!);
        RehearsalIsTrue(rehearsal.Json);
        Assert.Single(await walk.Operations.AllCasesAsync());
    }

    [Fact]
    public async Task A_rehearsal_beside_real_tenants_reads_them_only_and_says_what_they_lack()
    {
        await using var real = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        real.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = "trustedDevices.query" });
        real.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = "devices.list" });
        var secret = HrSender.NewSecret();
        var settings = OutsideSandbox.Settings(real);
        foreach (var (name, value) in Settings(secret))
        {
            settings[name] = value;
        }

        await using var program = await DingFlowProcess.StartStandaloneAsync(settings);
        using var client = program.CreateOperator(Key);
        var people = JsonConvert.SerializeObject(real.Directory.People);

        var rehearsal = await client.AskAsync(HttpMethod.Post, "/api/rehearsals", """{"people":6}""");

        Assert.Equal(200, rehearsal.Status);
        RehearsalIsTrue(rehearsal.Json);
        Assert.Equal(6, rehearsal.Json["people"]!.Count());
        Assert.Contains(rehearsal.Json["lacks"]!.Values<string>(), l => l!.Contains("dingtalk/sandbox", StringComparison.Ordinal) && l.Contains("Custom.TrustedDevice.ReadWrite", StringComparison.Ordinal));
        Assert.Contains(rehearsal.Json["lacks"]!.Values<string>(), l => l!.Contains("Device.ReadWrite.All", StringComparison.Ordinal));
        Assert.Contains(rehearsal.Json["live"]!, f => (string?)f["verdict"] == "granted" && (string?)f["permission"] == "Contact.OrgAccountSecurity.ReadWrite");

        Assert.Contains(rehearsal.Json["liveSteps"]!, s => ((string?)s["step"], (string?)s["system"], (string?)s["verdict"]) == ("dingtalk.trustedDevices", "dingtalk/sandbox", "missing"));
        Assert.Contains(rehearsal.Json["liveSteps"]!, s => ((string?)s["step"], (string?)s["verdict"]) == ("dingtalk.disable", "granted"));
        Assert.Equal(
            [("AAD_PREMIUM", "granted"), ("ENTERPRISEPACK", "granted"), ("Microsoft Entra ID P1 or P2", "granted"), ("Microsoft Entra ID P2", "missing")],
            rehearsal.Json["licences"]!.Where(l => (string?)l["system"] == "entra").Select(l => ((string)l["permission"]!, (string)l["verdict"]!)).Order());
        Assert.Contains(rehearsal.Json["licences"]!, l => (string?)l["system"] == "dingtalk/sandbox" && (string?)l["permission"] == "DingTalk HR (智能人事)");
        (await client.AskAsync(HttpMethod.Post, "/api/rehearsals", """{"leavers":6}""")).IsProblem(400, "malformed");

        // Nobody real was named, let alone changed.
        Assert.NotEmpty(real.Journal.Entries);
        Assert.All(real.Journal.Entries, entry => Assert.Equal((null, false), (entry.EmployeeId, entry.Changed)));
        Assert.Equal(people, JsonConvert.SerializeObject(real.Directory.People));
    }

    [Fact]
    public async Task A_policy_with_faults_stops_the_start_and_names_them_all()
    {
        var settings = Settings(HrSender.NewSecret());
        settings["Offboarding__Plan"] = """{"policy":"p","plans":[{"name":"a","steps":[{"step":"entra.teleport"},{"step":"entra.disable","critical":false}]}]}""";

        var failure = await Assert.ThrowsAnyAsync<Exception>(() => DingFlowProcess.StartStandaloneAsync(settings));

        Assert.Contains("Offboarding:Plan: plans[0].steps[0].step: must be one of", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Offboarding:Plan: plans[0].steps[1].critical: must not be false", failure.Message, StringComparison.Ordinal);
    }

    private static Dictionary<string, string> Settings(string secret) => new()
    {
        ["Offboarding__Plan"] = RichLeaver.FullPolicy,
        ["HrSources__acme__Dialect"] = "standard",
        ["HrSources__acme__Secrets__0"] = secret,
        ["Auth__ApiKeys__ops__Hash"] = ConfiguredProgram.HashOf(Key),
        ["Auth__ApiKeys__ops__Roles"] = "operations.read,operations.write,rehearsals.run",
    };

    private static async Task EvidenceIsSoundAsync(Walk walk, string caseId)
    {
        var json = await walk.Operator.AskAsync(HttpMethod.Get, $"/api/offboarding/{caseId}/evidence");
        Assert.Equal((200, "application/json"), (json.Status, json.MediaType));
        var evidence = json.Json["evidence"]!;
        var told = Assert.Single(evidence["told"]!);
        Assert.Equal((true, 0), ((bool)told["signature"]!["verified"]!, (int)told["signature"]!["key"]!));
        Assert.Matches("^[0-9a-f]{64}$", (string?)told["bodySha256"]);
        Assert.Equal(
            (string?)json.Json["hash"]!["value"],
            Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Sorted(evidence).ToString(Formatting.None)))));
        Assert.Contains(evidence["steps"]!, s => (string?)s["id"] == "entra.licenses" && (string?)s["readBack"] == "confirmed" && s["requestId"]!.Type == JTokenType.String);

        var page = await walk.Operator.AskAsync(HttpMethod.Get, $"/api/offboarding/{caseId}/evidence?format=html&language=pt");
        Assert.Equal((200, "text/html"), (page.Status, page.MediaType));
        Assert.Contains("Prova de desligamento", page.Text, StringComparison.Ordinal);
        var ocsf = await walk.Operator.AskAsync(HttpMethod.Get, $"/api/offboarding/{caseId}/evidence?format=ocsf");
        Assert.All((JArray)Answer.Parse(ocsf.Text), e => Assert.Equal(3001, (int)e["class_uid"]!));
        Assert.Equal(400, (await walk.Operator.AskAsync(HttpMethod.Get, $"/api/offboarding/{caseId}/evidence?format=pdf")).Status);
        Assert.Equal(404, (await walk.Operator.AskAsync(HttpMethod.Get, "/api/offboarding/00000000000000000000000000000000/evidence")).Status);
    }

    /// <summary>Leavers of five kinds; what each lost, by which step, and what is left and why.</summary>
    private static void RehearsalIsTrue(JObject report)
    {
        var people = report["people"]!.Cast<JObject>().ToList();
        Assert.Equal(["enterprise", "ordinary", "admin", "synced", "mainAdmin"], people.Take(5).Select(p => (string?)p["kind"]));
        Assert.Equal(["verified", "needsHuman", "verified", "verified", "needsHuman"], people.Take(5).Select(p => (string?)p["state"]));
        Assert.Equal("full", (string?)report["policy"]);
        var enterprise = people[0]["permissions"]!.Cast<JObject>().ToDictionary(p => (string)p["permission"]!);
        Assert.Equal((true, false, "entra.groups"), State(enterprise["entra.group: VPN"]));
        Assert.Equal((true, false, "dingtalk.disable"), State(enterprise["dingtalk.signIn"]));
        Assert.Equal((true, false, "entra.licenses"), State(enterprise["entra.license: ENTERPRISEPACK"]));
        Assert.Equal((true, true, null), State(enterprise["entra.group: Branch file share"]));
        Assert.Equal("the group is mastered on-premises", (string?)enterprise["entra.group: Branch file share"]["why"]);
        Assert.Equal("dingtalk.disable", (string?)people[0]["changes"]!.First(c => c["lost"]!.Values<string>().Contains("dingtalk.signIn"))["step"]);
        var protectedOne = people[4]["permissions"]!.Cast<JObject>().ToList();
        Assert.Contains(protectedOne, p => (string?)p["permission"] == "dingtalk.signIn" && (bool)p["after"]!);
        Assert.Equal(people.Count(p => (string?)p["state"] == "needsHuman"), (int)report["alerts"]!["offboarding.needs_human"]!);

        static (bool, bool, string?) State(JObject permission) => ((bool)permission["before"]!, (bool)permission["after"]!, (string?)permission["lostBy"]);
    }

    private static JToken Sorted(JToken token) => token switch
    {
        JObject o => new JObject(o.Properties().OrderBy(p => p.Name, StringComparer.Ordinal).Select(p => new JProperty(p.Name, Sorted(p.Value)))),
        JArray a => new JArray(a.Select(Sorted)),
        _ => token.DeepClone(),
    };
}
