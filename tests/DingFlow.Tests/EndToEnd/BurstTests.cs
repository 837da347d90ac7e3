using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>Many leavers at once.</summary>
public sealed class BurstTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Two_hundred_webhooks_at_once_freeze_everybody_once_and_conclude_every_case()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox, ("Offboarding:Brake:Count", "50")));
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        using var client = program.CreateOperator();
        var operations = new Operations(client);

        // Twenty-five people four times each, by whatever they are known, and a hundred whom nobody knows.
        var bodies = Enumerable.Range(0, 200).Select(i => i < 100
            ? HrSender.Leaver($"E{1001 + (i % 25)}", change: data => Spare(data, i / 25))
            : HrSender.Leaver($"E{7000 + i}")).ToList();

        var answers = await Task.WhenAll(bodies.Select(body => hr.SendAsync(body)));

        Assert.All(answers, answer => Assert.Equal(202, answer.Status));
        for (var i = 100; i < 200; i++)
        {
            Assert.Equal("needsHuman", Operations.StateOf(await operations.ConcludedAsync($"E{7000 + i}")));
        }

        for (var number = 1001; number <= 1025; number++)
        {
            var (employeeId, userId) = ($"E{number}", $"sb-{number}");
            await Eventually.IsTrueAsync(
                async () => (await operations.AllCasesAsync()).Where(c => IsOf(c, userId)).ToList() is [var only]
                    && Operations.StateOf(only) is "verified" or "needsHuman" && only["signals"]!.Count() == 4,
                () => $"one concluded case of {employeeId} that heard four events", Cancellation);

            // Ordinary accounts and the main administrator's are for people, in DingTalk.
            var isForPeople = number is 1018 or > 1020;
            Assert.Equal(isForPeople ? "needsHuman" : "verified", Operations.StateOf((await operations.AllCasesAsync()).Single(c => IsOf(c, userId))));
            var person = sandbox.Directory[employeeId];
            Assert.Equal((false, 0), (person.Entra!.AccountEnabled, person.Entra.Sessions));
            Assert.All(person.Mutations, mutation => Assert.Equal(1, mutation.Value));
            Assert.Equal(isForPeople ? 2 : 4, person.Mutations.Count);
        }

        static bool IsOf(JObject @case, string userId) => @case["accounts"]!.Any(a => (string?)a["accountId"] == userId);

        static void Spare(JObject data, int which)
        {
            if (which > 0)
            {
                data.Remove("dingTalkUserId");
            }

            if (which == 2)
            {
                data.Remove("email");
            }

            if (which == 3)
            {
                data.Remove("employeeId");
            }
        }
    }
}
