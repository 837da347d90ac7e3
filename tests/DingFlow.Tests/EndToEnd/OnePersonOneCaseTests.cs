using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>One leaver who is reported under several identifiers at once.</summary>
public sealed class OnePersonOneCaseTests
{
    private static readonly string[] Identifiers = ["employeeId", "email", "dingTalkUserId"];

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_leaver_under_three_identifiers_at_once_has_one_case_that_heard_all_three()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        using var client = program.CreateOperator();
        var operations = new Operations(client);
        var people = Enumerable.Range(1001, 12).Select(number => $"E{number}").ToList();

        // One person after the other, so that the three events of each come as close to one another as they can.
        foreach (var employeeId in people)
        {
            await Task.WhenAll(Identifiers.Select(only => hr.AcceptedAsync(HrSender.Leaver(employeeId, change: data => Keep(data, only)))));
            IReadOnlyList<JObject> seen = [];
            await Eventually.IsTrueAsync(
                async () => (seen = await operations.CasesOfAsync(employeeId)) is [var one]
                    && Operations.StateOf(one) == "verified" && one["signals"]!.Count() == Identifiers.Length,
                () => $"one verified case of {employeeId} that heard three events, among {string.Join(", ", seen)}", Cancellation);
        }

        var cases = await operations.AllCasesAsync();
        Assert.Equal(people.Count, cases.Count);
        Assert.All(people, employeeId =>
        {
            var person = sandbox.Directory[employeeId];
            Assert.True(person is { DingTalk: { Disabled: true, Sessions: 0 }, Entra: { AccountEnabled: false, Sessions: 0 } });

            // A case that became part of another while it was at work may have made the same change a moment before.
            Assert.All(person.Mutations, mutation => Assert.InRange(mutation.Value, 1, 2));
        });

        static void Keep(JObject data, string only)
        {
            foreach (var name in Identifiers.Where(name => name != only))
            {
                data.Remove(name);
            }
        }
    }
}
