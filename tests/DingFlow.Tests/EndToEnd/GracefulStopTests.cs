using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.EndToEnd;

/// <summary>The program is told to stop (SIGTERM) while it works.</summary>
public sealed class GracefulStopTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Work_in_flight_finishes_and_what_had_not_begun_is_taken_up_after_the_restart()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        sandbox.Faults.Set([new SandboxFault { Kind = SandboxFaultKind.Latency, Delay = TimeSpan.FromMilliseconds(200) }]);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        var people = Enumerable.Range(1001, 12).Select(number => $"E{number}").ToList();
        var changing = sandbox.Journal.WaitForAsync(e => e.Changed, Cancellation);
        await Task.WhenAll(people.Select(employeeId => hr.AcceptedAsync(HrSender.Leaver(employeeId))));

        await changing;
        var code = await program.TerminateAsync();

        Assert.Equal(0, code);

        // No call was cut off.
        Assert.All(sandbox.Journal.Entries, call => Assert.True(call.Status is > 0, call.ToString()));

        sandbox.Faults.Clear();
        await program.StartAsync();
        using var client = program.CreateOperator();
        foreach (var employeeId in people)
        {
            await new Operations(client).VerifiedAsync(employeeId);
            Assert.All(sandbox.Directory[employeeId].Mutations, mutation => Assert.Equal(1, mutation.Value));
            Assert.Equal(4, sandbox.Directory[employeeId].Mutations.Count);
        }
    }

    [Fact]
    public async Task A_stop_while_webhooks_arrive_loses_none_that_was_answered()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        var accepted = new List<string>();
        var stopping = false;
        for (var number = 7000; ; number++)
        {
            try
            {
                var answer = await hr.SendAsync(HrSender.Leaver($"E{number}"));
                Assert.Equal(202, answer.Status);
                accepted.Add($"E{number}");
            }
            catch (HttpRequestException)
            {
                break; // It no longer listens.
            }

            if (accepted.Count == 5 && !stopping)
            {
                stopping = true;
                program.Terminate();
            }
        }

        Assert.Equal(0, await program.WaitForExitAsync());
        await program.StartAsync();
        using var client = program.CreateOperator();
        foreach (var employeeId in accepted)
        {
            Assert.Equal("needsHuman", Operations.StateOf(await new Operations(client).ConcludedAsync(employeeId)));
        }
    }
}
