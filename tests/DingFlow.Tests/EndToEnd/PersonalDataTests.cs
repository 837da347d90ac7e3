using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.EndToEnd;

/// <summary>What the program says of its work when much goes wrong: never who it is about, never a secret.</summary>
public sealed class PersonalDataTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task No_name_address_user_id_or_secret_is_in_the_output_of_a_run_full_of_faults()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var receiver = await LoopbackServer.StartAsync(context =>
        {
            context.Response.StatusCode = 500;
            return Task.CompletedTask;
        });
        var alertSecret = HrSender.NewSecret();
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(
            sandbox,
            ("Offboarding:RetryDelay", "00:00:00.200"),
            ("Alerts:Channels:siem:Type", "webhook"), ("Alerts:Channels:siem:Url", new Uri(receiver.Address, "hook/secret-path-token").ToString()),
            ("Alerts:Channels:siem:Secret", alertSecret),
            ("Logging:LogLevel:Default", "Debug")));
        using var client = program.CreateOperator();
        var operations = new Operations(client);
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        sandbox.Faults.Set(
        [
            new SandboxFault { Kind = SandboxFaultKind.ServerError, EmployeeId = "E1001", Count = 3 },
            new SandboxFault { Kind = SandboxFaultKind.Throttled, EmployeeId = "E1002", System = SandboxSystem.DingTalk, Count = 2 },
            new SandboxFault { Kind = SandboxFaultKind.LostAfter, EmployeeId = "E1003", Operation = SandboxOperations.Disable, Count = 1 },
            new SandboxFault { Kind = SandboxFaultKind.MalformedJson, EmployeeId = "E1004", Operation = SandboxOperations.GraphUser, Count = 1 },
            new SandboxFault { Kind = SandboxFaultKind.Denied, EmployeeId = "E1005", Operation = SandboxOperations.GraphUpdate },
            new SandboxFault { Kind = SandboxFaultKind.DoNothing, EmployeeId = "E1006", Operation = SandboxOperations.Disable, Count = 1 },
            new SandboxFault
            {
                Kind = SandboxFaultKind.Answer, EmployeeId = "E1007", Operation = SandboxOperations.UserGet, Status = 400, Count = 1,
                Body = """{"code":"user.e1007@sandbox.example","message":"Ana Sousa, sb-1007, e1007@sandbox.example, 13800001007"}""",
            },
        ]);
        var people = Enumerable.Range(1001, 7).Append(1021).Select(number => $"E{number}").ToList();
        var fired = 0;

        foreach (var employeeId in people)
        {
            await hr.AcceptedAsync(HrSender.Leaver(employeeId, change: data => data["reason"] = "private-reason-of-the-leaver"));
            var email = Leaver.EmailOf(employeeId);
            await hr.SendAsync(HrSender.Leaver(employeeId), change: r => r.Headers.Remove("webhook-signature"));
            await hr.SendAsync($$$"""{"type":"employee.terminated","data":{"employeeId":"{{{email}}}","email":"{{{email}}}"}}""");
            await hr.SendAsync($$"""{"type":"{{email}}""");
            await hr.SendAsync("{}", id: email);
            await hr.SendAsync(HrSender.Leaver(employeeId), id: $"reused-{employeeId}");
            await hr.SendAsync(HrSender.Leaver(employeeId, "employee.rehired-not"), id: $"reused-{employeeId}");
            await program.Client.AskAsync(HttpMethod.Post, $"/api/hr/{email}", "{}");
            await program.Client.AskAsync(HttpMethod.Post, $"/api/dingtalk/{email}/events?signature={email}", "{}");
            await program.Client.AskAsync(HttpMethod.Post, $"/api/dingtalk/sandbox/events?signature={email}&timestamp=1&nonce={email}", $$"""{"encrypt":"{{email}}"}""");
            await DingTalkPush.SendAsync(program.Client, $$"""{"EventType":"user_leave_org","UserId":["{{Leaver.UserIdOf(employeeId)}}",{}],"eventId":"a{{fired++}}"}""");
            await program.Client.AskAsync(HttpMethod.Get, $"/api/offboarding?employeeId={email}");
            await client.AskAsync(HttpMethod.Get, $"/api/offboarding?state={email}");
            await client.AskAsync(HttpMethod.Post, "/api/offboarding/search", $$"""{"email":"{{email}}","wrong":["{{email}}"]}""");
            await client.AskAsync(HttpMethod.Post, "/api/offboarding/search", $$"""{"email":["{{email}}"]}""");
        }

        foreach (var employeeId in people)
        {
            await Eventually.IsTrueAsync(
                async () => await operations.CasesOfAsync(employeeId) is [var only] && Operations.StateOf(only) is not "running",
                () => $"a concluded case of {employeeId}", Cancellation);
        }

        Assert.Equal(0, await program.TerminateAsync());
        var output = program.Output + program.Errors;
        Assert.Contains("failed", output, StringComparison.Ordinal);
        string[] secrets =
        [
            "@sandbox.example", "private-reason", "secret-path-token", "13800001007", SandboxOptions.AppSecret, SandboxOptions.CallbackAesKey,
            program.ApiKey, program.HrSecret, program.HrSecret["whsec_".Length..], alertSecret, alertSecret["whsec_".Length..],
            .. people.Select(Leaver.UserIdOf), .. people.Select(employeeId => sandbox.Directory[employeeId].Name),
            .. people.Select(employeeId => sandbox.Directory[employeeId].Mobile!), .. people.Select(employeeId => sandbox.Directory[employeeId].Entra!.ObjectId),
        ];
        foreach (var line in output.Split('\n'))
        {
            Assert.All(secrets, secret => Assert.DoesNotContain(secret, line, StringComparison.OrdinalIgnoreCase));
        }
    }
}
