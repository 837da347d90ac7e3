using System.Text;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Scim;

/// <summary>The real program: an identity provider provisions and deprovisions, and the sandbox's accounts are frozen.</summary>
public sealed class ScimWalkTests
{
    private static readonly HttpMethod Patch = HttpMethod.Patch;

    [Fact]
    public async Task A_deprovisioned_person_is_frozen_and_verified()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["HrSources:okta:Dialect"] = "scim",
            ["HrSources:okta:EmailDomains"] = "sandbox.example",
            ["Auth:ApiKeys:okta:Hash"] = ConfiguredProgram.HashOf(ScimProgram.Key),
            ["Auth:ApiKeys:okta:Roles"] = "scim",
            ["Auth:ApiKeys:okta:Sources"] = "okta",
            ["Auth:ApiKeys:ops:Hash"] = ConfiguredProgram.HashOf(ConfiguredProgram.OperatorKey),
            ["Auth:ApiKeys:ops:Roles"] = "operations.read",
        });
        using var provider = program.CreateOperator(ScimProgram.Key);
        using var people = program.CreateOperator(ConfiguredProgram.OperatorKey);
        using var sandbox = new SandboxSwitches(program.CreateSocketClient("sandbox.sock"));
        var operations = new Operations(people);
        var byNumber = await CreateAsync(provider, "e1001@sandbox.example", "E1001");
        var byAddress = await CreateAsync(provider, "e1002@sandbox.example", null);

        var patched = await SendAsync(provider, Patch, $"/Users/{byNumber}", ScimProgram.Patch("""{"op":"Replace","path":"active","value":"False"}"""));
        var deleted = await SendAsync(provider, HttpMethod.Delete, $"/Users/{byAddress}", null);

        Assert.Equal((200, 204), (patched.Status, deleted.Status));
        await operations.VerifiedAsync("E1001");
        await sandbox.IsFrozenAsync("E1001");
        await Eventually.IsTrueAsync(
            async () => (await operations.AllCasesAsync()) is { Count: 2 } cases && cases.All(c => Operations.StateOf(c) == "verified"),
            () => "two verified cases", TestContext.Current.CancellationToken);
        await sandbox.IsFrozenAsync("E1002");
        Assert.DoesNotContain("@", program.Output.Replace("http://", "", StringComparison.Ordinal), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_leaver_whose_process_was_killed_after_the_answer_is_frozen_after_the_next_start()
    {
        await using var program = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["HrSources:okta:Dialect"] = "scim",
        });
        using (var provider = program.CreateOperator())
        {
            var id = await CreateAsync(provider, "e1003@sandbox.example", "E1003");
            var patched = await SendAsync(provider, Patch, $"/Users/{id}", ScimProgram.Patch("""{"op":"replace","value":{"active":false}}"""));
            Assert.Equal(200, patched.Status);
        }

        await program.KillAsync();
        await program.StartAsync();

        using var again = program.CreateOperator();
        await new Operations(again).VerifiedAsync("E1003");
        Assert.False((bool)Assert.Single((await SendAsync(again, HttpMethod.Get, "/Users", null)).Json.IsScimList(1))["active"]!);
    }

    [Fact]
    public async Task The_filter_is_in_no_telemetry_and_no_output()
    {
        var exported = new System.Collections.Concurrent.ConcurrentQueue<string>();
        await using var collector = await LoopbackServer.StartAsync(async context =>
            exported.Enqueue(Encoding.Latin1.GetString(await LoopbackServer.BodyOfAsync(context))));
        await using var program = await DingFlowProcess.StartStandaloneAsync(new Dictionary<string, string>
        {
            ["HrSources:okta:Dialect"] = "scim",
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = collector.Address.ToString(),
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf",
        });
        using (var provider = program.CreateOperator())
        {
            foreach (var filter in (string[])["userName eq \"secret.name@sandbox.example\"", "userName eq secret.name"])
            {
                await SendAsync(provider, HttpMethod.Get, $"/Users?filter={Uri.EscapeDataString(filter)}", null);
            }
        }

        await program.TerminateAsync();

        Assert.Contains(exported, body => body.Contains("scim/v2/{source}/Users", StringComparison.Ordinal));
        foreach (var text in exported.Append(program.Output).Append(program.Errors))
        {
            Assert.DoesNotContain("secret", text, StringComparison.OrdinalIgnoreCase);
        }
    }

    private static async Task<string> CreateAsync(HttpClient client, string userName, string? number)
    {
        var created = await SendAsync(client, HttpMethod.Post, "/Users", ScimProgram.User(userName, number).ToString());
        Assert.True(created.Status == 201, created.Text);
        return (string)created.Json["id"]!;
    }

    private static async Task<Answer> SendAsync(HttpClient client, HttpMethod method, string path, string? body)
    {
        using var request = new HttpRequestMessage(method, $"/api/scim/v2/okta{path}")
        {
            Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/scim+json"),
        };
        return await client.AskAsync(request);
    }
}
