using System.Text.RegularExpressions;
using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;

namespace DingFlow.Tests.EndToEnd;

/// <summary>The program as a custom handler of the Functions host, with Table Storage (Azurite) and Service Bus (a stand-in).</summary>
public sealed class FunctionsHostTests(AzuriteFixture azurite) : UnderFunctionsHost(azurite)
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_leaver_is_frozen_through_Table_Storage_and_Service_Bus()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        await using var program = await StartAsync(sandbox, host);
        var body = HrSender.Leaver("E1001");

        var accepted = await Hr(program).SendAsync(body, "msg_host_1");
        var again = await Hr(program).SendAsync(body, "msg_host_1");
        using var client = program.CreateOperator(ApiKey);
        var verified = await new Operations(client).VerifiedAsync("E1001");

        Assert.Equal((202, 202), (accepted.Status, again.Status));
        Assert.Equal((false, true), ((bool)accepted.Json["duplicate"]!, (bool)again.Json["duplicate"]!));
        Assert.Equal("done", (string?)Operations.Step(verified, "dingtalk.signOut")["outcome"]);
        Assert.True(sandbox.Directory["E1001"] is { DingTalk: { Disabled: true, Sessions: 0 }, Entra: { AccountEnabled: false, Sessions: 0 } });
        Assert.Empty(host.Violations);
        Assert.Empty(host.Failures);
        Assert.All(host.Sent.Where(m => m.Queue == "offboarding"), message => Assert.NotNull(message.SessionId));

        // What travels over the bus holds no personal data.
        Assert.All(host.Sent, message => Assert.DoesNotContain("@", message.Body + message.MessageId + message.SessionId, StringComparison.Ordinal));
        Assert.All(host.Sent, message => Assert.DoesNotContain("sb-1", message.Body + message.MessageId + message.SessionId, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_message_that_is_delivered_twice_freezes_once()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        host.DeliverEach = 3;
        await using var program = await StartAsync(sandbox, host);

        await Hr(program).AcceptedAsync(HrSender.Leaver("E1002"));
        using var client = program.CreateOperator(ApiKey);
        await new Operations(client).VerifiedAsync("E1002");

        Assert.All(sandbox.Directory["E1002"].Mutations, mutation => Assert.Equal(1, mutation.Value));
        Assert.Empty(host.Violations);
        Assert.Empty(host.Failures);
    }

    [Fact]
    public async Task A_killed_handler_goes_on_where_it_stood_when_the_host_starts_it_again()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        await using var program = await StartAsync(sandbox, host);
        foreach (var (employeeId, operation) in ((string, string)[])
            [("E1003", SandboxOperations.UserGet), ("E1004", SandboxOperations.Disable), ("E1005", SandboxOperations.GraphRevoke), ("E1006", SandboxOperations.SignOut)])
        {
            var reached = sandbox.Journal.WaitForAsync(e => e.EmployeeId == employeeId && e.Operation == operation && e.Status is not null, Cancellation);
            await Hr(program).AcceptedAsync(HrSender.Leaver(employeeId));
            await reached;
            await program.KillAsync();
            await program.StartAsync();

            using var client = program.CreateOperator(ApiKey);
            await new Operations(client).VerifiedAsync(employeeId);

            Assert.Equal((1, 1), (sandbox.Directory[employeeId].Mutations["orgAccounts.disable"], sandbox.Directory[employeeId].Mutations["users.update"]));
        }

        Assert.Empty(host.Violations);
        Assert.Empty(host.DeadLetters);
    }

    [Fact]
    public async Task Work_that_must_wait_schedules_its_own_successor_and_succeeds()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        sandbox.Faults.Set([new SandboxFault
        {
            Kind = SandboxFaultKind.Throttled, Operation = SandboxOperations.GraphUpdate, EmployeeId = "E1007", RetryAfter = TimeSpan.FromSeconds(6), Count = 1,
        }]);
        await using var program = await StartAsync(sandbox, host);

        await Hr(program).AcceptedAsync(HrSender.Leaver("E1007"));
        await Eventually.IsTrueAsync(
            () => Task.FromResult(host.Sent.Any(m => m.EnqueueAt is not null && m.Body.Contains("\"retry\"", StringComparison.Ordinal))),
            () => "a successor for later", Cancellation);
        using var client = program.CreateOperator(ApiKey);
        await new Operations(client).VerifiedAsync("E1007");

        Assert.Empty(host.Failures);
        Assert.Empty(host.Violations);
    }

    [Fact]
    public async Task Every_timer_answers_a_JSON_object_and_what_is_no_invocation_fails_with_one()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        await using var program = await StartAsync(sandbox, host);

        foreach (var timer in (string[])["SweepInbox", "SweepOffboarding", "PruneInbox", "RefreshDirectory"])
        {
            var answer = await FunctionsHostStandIn.InvokeAsync(program, timer, FunctionsHostStandIn.Tick(timer));

            Assert.Equal((200, "application/json", "{}"), (answer.Status, answer.MediaType, answer.Text));
        }

        foreach (var (function, invocation) in ((string, string)[])
            [("ProcessOffboarding", "{}"), ("ProcessOffboarding", "no JSON"), ("ProcessOffboarding", ""), ("DeliverAlert", """{"Data":{"message":"\"no alert\""},"Metadata":{}}""")])
        {
            var answer = await FunctionsHostStandIn.InvokeAsync(program, function, invocation);

            Assert.InRange(answer.Status, 400, 599);
            Assert.Equal("application/problem+json", answer.MediaType);
            Assert.Equal(answer.Status, (int)answer.Json["status"]!);
        }

        // Unreadable for ever: set aside with an alert, because failing would only have it delivered ten times over.
        var unreadable = await FunctionsHostStandIn.InvokeAsync(
            program, "ProcessOffboarding", """{"Data":{"message":"\"no JSON\""},"Metadata":{"MessageId":"\"m-unreadable\""}}""");
        Assert.Equal((200, "{}"), (unreadable.Status, unreadable.Text));
        await Eventually.IsTrueAsync(
            () => Task.FromResult(host.Sent.Any(m => m.Queue == "alerts" && m.Body.Contains("messaging.parked", StringComparison.Ordinal))),
            () => "the alert on the unreadable message", Cancellation);
    }

    [Fact]
    public async Task A_store_that_is_down_fails_the_invocation_with_JSON_and_the_webhook_with_503()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        using var closed = new ClosedPort();
        await using var program = await StartAsync(
            sandbox, host,
            ("Storage__ConnectionString", $"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={Key};TableEndpoint=http://127.0.0.1:{closed.Number}/devstoreaccount1;"),
            ("Storage__AttemptTimeout", "00:00:01"));

        var webhook = await Hr(program).SendAsync(HrSender.Leaver("E1009"));
        var invocation = await FunctionsHostStandIn.InvokeAsync(program, "SweepInbox", FunctionsHostStandIn.Tick("SweepInbox"));
        var live = await program.Client.AskAsync(HttpMethod.Get, "/api/health");

        webhook.IsProblem(503, "unavailable");
        Assert.NotEmpty(webhook.Headers["Retry-After"]);
        Assert.InRange(invocation.Status, 500, 599);
        Assert.Equal("application/problem+json", invocation.MediaType);
        Assert.Equal(503, live.Status);
    }

    [Fact]
    public async Task A_start_without_settings_fails_with_one_line_for_each()
    {
        await using var program = DingFlowProcess.UnderHost();

        var code = await program.RunToEndAsync();

        Assert.Equal(78, code);
        var lines = program.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        foreach (var setting in (string[])
            ["Auth:Authority", "Storage:TableServiceUri", "ServiceBusConnection:fullyQualifiedNamespace", "Deliveries:EncryptionKey", "DingTalk:Tenants"])
        {
            Assert.Single(lines, line => line.StartsWith($"{setting}: ", StringComparison.Ordinal));
        }

        Assert.All(lines, line => Assert.Matches(new Regex("^[A-Za-z:_]+: "), line));
    }

    [Theory]
    [InlineData("Deliveries__EncryptionKey")]
    [InlineData("HrSources__acme__Secrets__0")]
    [InlineData("DingTalk__Tenants__sandbox__AppSecret")]
    [InlineData("DingTalk__Tenants__sandbox__AesKey")]
    [InlineData("Auth__ApiKeys__ops__Hash")]
    public async Task A_secret_that_Key_Vault_did_not_give_stops_the_start(string setting)
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var host = await FunctionsHostStandIn.StartAsync();
        var settings = await SettingsAsync(sandbox, host);
        foreach (var name in settings.Keys.Where(name => name.Replace(":", "__", StringComparison.Ordinal) == setting).ToList())
        {
            settings.Remove(name);
        }

        settings[setting] = "@Microsoft.KeyVault(SecretUri=https://vault.example/secrets/name/)";
        await using var program = DingFlowProcess.UnderHost(settings);

        var code = await program.RunToEndAsync();

        Assert.Equal(78, code);
        Assert.StartsWith($"{setting.Replace("__", ":", StringComparison.Ordinal)}: ", Assert.Single(program.Errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)), StringComparison.Ordinal);
    }
}
