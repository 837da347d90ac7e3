using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.EndToEnd;

/// <summary>
/// The chaos of <see cref="Offboarding.ChaosTests"/> in small with the real program: webhooks twice and out of order, faults of both systems, and
/// a process that is killed (SIGKILL) again and again.
/// </summary>
public sealed class ChaosKillTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Killed_again_and_again_it_freezes_those_who_leave_and_nobody_else()
    {
        var random = new Random(20261125);
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));

        // Seven leave at once; three are announced for later and stay after all.
        var sendings = Enumerable.Range(1001, 10).SelectMany(n => n <= 1007
            ? [($"{n}-leave", HrSender.Leaver($"E{n}"))]
            : new[]
            {
                ($"{n}-leave", HrSender.Leaver($"E{n}", change: data => (data["effectiveAt"], data["immediate"]) = ("2027-11-22T09:00:00+08:00", false))),
                ($"{n}-stay", HrSender.Leaver($"E{n}", "employee.termination_cancelled").Replace("\"timestamp\":\"2026-11-22T09", "\"timestamp\":\"2026-11-22T10", StringComparison.Ordinal)),
            })
            .SelectMany(s => new[] { s, s }).OrderBy(_ => random.Next()).ToList();
        var faults = new[] { SandboxFaultKind.LostAfter, SandboxFaultKind.LostBefore, SandboxFaultKind.ServerError, SandboxFaultKind.DoNothing, SandboxFaultKind.Throttled };
        for (var i = 0; i < sendings.Count; i++)
        {
            if (i % 5 == 0)
            {
                sandbox.Faults.Set([new() { Kind = faults[random.Next(faults.Length)], Count = 3, Skip = random.Next(4) }]);
            }

            await new HrSender(program.Client, "sandbox", program.HrSecret).AcceptedAsync(sendings[i].Item2, sendings[i].Item1);
            if (i % 8 == 7)
            {
                await program.KillAsync();
                await program.StartAsync();
            }
        }

        sandbox.Faults.Clear();
        using var client = program.CreateOperator();
        var operations = new Operations(client);
        for (var n = 1001; n <= 1010; n++)
        {
            var person = $"E{n}";
            Newtonsoft.Json.Linq.JObject? seen = null;
            await Eventually.IsTrueAsync(
                async () => await operations.CasesOfAsync(person) is [var only] && Operations.StateOf(seen = only) == (n <= 1007 ? "verified" : "cancelled"),
                () => $"the case of {person}: {seen}", Cancellation);
            var now = sandbox.Directory[person];
            Assert.Equal(n <= 1007, now is { DingTalk: { Disabled: true, Sessions: 0 }, Entra: { AccountEnabled: false, Sessions: 0 } });
            Assert.True(n <= 1007 || now.Mutations.IsEmpty, person);
            Assert.Equal(seen!["signals"]!.Count(), seen["signals"]!.Select(s => (string?)s["deliveryId"]).Distinct().Count());
        }
    }
}
