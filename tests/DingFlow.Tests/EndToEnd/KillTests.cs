using DingFlow.Sandbox;
using DingFlow.Tests.Infrastructure;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>
/// The program dies without warning (SIGKILL) between 202 and the conclusion, at every call that it makes, and is started again with the
/// same data. DingTalk and Graph are played in the test's own process, so that they outlive it.
/// </summary>
public sealed class KillTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_case_completes_once_wherever_the_process_is_killed()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));

        // One leaver for each call of a case, until a case was concluded before its kill.
        var kills = 0;
        while (await KilledAtAsync(sandbox, program, $"E{1001 + kills}", (entry, first) => entry.Number == first + kills))
        {
            kills++;
            Assert.True(kills < 20, "A case makes more calls than there are leavers for this test.");
        }

        Assert.InRange(kills, 10, 20);
    }

    [Fact]
    public async Task A_change_whose_answer_dies_with_the_process_is_not_made_twice_where_it_can_be_read()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));

        foreach (var (employeeId, operation) in ((string, string)[])
            [("E1001", SandboxOperations.Disable), ("E1002", SandboxOperations.SignOut), ("E1003", SandboxOperations.GraphUpdate), ("E1004", SandboxOperations.GraphRevoke)])
        {
            Assert.True(await KilledAtAsync(
                sandbox, program, employeeId, (entry, _) => entry.EmployeeId == employeeId && entry.Operation == operation && entry.Changed));
        }
    }

    [Fact]
    public async Task Giving_back_goes_on_after_a_kill_and_gives_nothing_twice()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox, (
            "Offboarding:Plan", """{"policy":"p","plans":[{"name":"a","steps":[{"step":"dingtalk.roles","critical":true},{"step":"entra.groups","critical":true}]}]}""")));
        foreach (var (employeeId, operation, kind) in ((string, string, SandboxFaultKind)[])
            [
                ("E1004", "role.addrolesforemps", SandboxFaultKind.LostAfter), ("E1002", SandboxOperations.GraphAddMember, SandboxFaultKind.Hang),
                ("E1006", SandboxOperations.Enable, SandboxFaultKind.Hang),
            ])
        {
            sandbox.Directory.Change(employeeId, person => person with { DingTalk = person.DingTalk! with { RoleIds = [11] } });
            using var before = program.CreateOperator();
            await new HrSender(program.Client, "sandbox", program.HrSecret).AcceptedAsync(HrSender.Leaver(employeeId));
            var verified = await new Operations(before).VerifiedAsync(employeeId);
            sandbox.Faults.Add(new() { Kind = kind, Operation = operation, EmployeeId = employeeId, Count = 1 });

            var asked = await before.AskAsync(HttpMethod.Post, $"/api/offboarding/{(string)verified["caseId"]!}/reactivate", """{"reason":"a mistake"}""");
            Assert.Equal(202, asked.Status);
            await Eventually.GetAsync(
                () => Task.FromResult(sandbox.Journal.Entries.FirstOrDefault(e => e.Operation == operation && e.EmployeeId == employeeId)),
                () => $"a call of {operation}", Cancellation);
            await program.KillAsync();
            sandbox.Faults.Clear();
            await program.StartAsync();

            using var after = program.CreateOperator();
            await Eventually.GetAsync(
                async () => (await new Operations(after).CasesOfAsync(employeeId)) is [var only] && Operations.StateOf(only) == "reactivated" ? only : null,
                () => $"{employeeId} reactivated", Cancellation);
            var person = sandbox.Directory[employeeId];
            Assert.Equal((false, true), (person.DingTalk!.Disabled, person.Entra!.AccountEnabled));
            Assert.Equal([11], person.DingTalk.RoleIds);
            Assert.Contains("VPN", person.Entra.Groups);
            Assert.Equal((1, 1, 1), (person.Mutations[SandboxOperations.Enable], person.Mutations["role.addrolesforemps"], person.Mutations[SandboxOperations.GraphAddMember]));
        }
    }

    [Fact]
    public async Task A_kill_while_a_burst_of_webhooks_arrives_loses_none_that_was_answered()
    {
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        await using var program = await DingFlowProcess.StartStandaloneAsync(OutsideSandbox.Settings(sandbox));
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        var people = Enumerable.Range(0, 50).Select(i => i < 14 ? $"E{1001 + i}" : $"E{7000 + i}").ToList();
        var accepted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var count = 0;

        var burst = people.Select(employeeId => SendAsync(employeeId)).ToList();
        await accepted.Task;
        await program.KillAsync();
        var answered = (await Task.WhenAll(burst)).OfType<string>().ToList();
        await program.StartAsync();

        Assert.InRange(answered.Count, 10, 50);
        using var operations = program.CreateOperator();
        foreach (var employeeId in answered)
        {
            var concluded = await new Operations(operations).ConcludedAsync(employeeId);
            Assert.Equal(employeeId.StartsWith("E1", StringComparison.Ordinal) ? "verified" : "needsHuman", Operations.StateOf(concluded));
        }

        async Task<string?> SendAsync(string employeeId)
        {
            try
            {
                var answer = await hr.SendAsync(HrSender.Leaver(employeeId));
                Assert.Equal(202, answer.Status);
                if (Interlocked.Increment(ref count) == 10)
                {
                    accepted.SetResult();
                }

                return employeeId;
            }
            catch (HttpRequestException)
            {
                return null; // Not answered: the sender would send it again.
            }
        }
    }

    /// <summary>
    /// Sends a leaver, kills the program at a call that it makes from then on and starts it again. <see langword="false"/>: the case was
    /// verified without such a call.
    /// </summary>
    private static async Task<bool> KilledAtAsync(
        SandboxServer sandbox, DingFlowProcess program, string employeeId, Func<SandboxJournalEntry, long, bool> isTheMoment)
    {
        var last = sandbox.Journal.Entries.LastOrDefault()?.Number ?? 0;
        var hr = new HrSender(program.Client, "sandbox", program.HrSecret);
        var concluded = Eventually.GetAsync(
            async () =>
            {
                using var client = program.CreateOperator();
                return await new Operations(client).CasesOfAsync(employeeId) is [var only] && Operations.StateOf(only) == "verified" ? only : null;
            },
            () => employeeId, Cancellation);
        var reached = sandbox.Journal.WaitForAsync(entry => isTheMoment(entry, last + 1), Cancellation);
        await hr.AcceptedAsync(HrSender.Leaver(employeeId));
        if (await Task.WhenAny(reached, concluded) == concluded)
        {
            await concluded;
            return false;
        }

        await program.KillAsync();
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => concluded);
        await program.StartAsync();

        using var operations = program.CreateOperator();
        var verified = await new Operations(operations).VerifiedAsync(employeeId);
        IsFrozenOnce(sandbox.Directory[employeeId], verified, employeeId, sandbox.Journal.Entries, last);
        return true;
    }

    private static void IsFrozenOnce(SandboxPerson person, JObject verified, string employeeId, IEnumerable<SandboxJournalEntry> journal, long since)
    {
        Assert.True(person.DingTalk!.Disabled);
        Assert.Equal(0, person.DingTalk.Sessions);
        Assert.False(person.Entra!.AccountEnabled);
        Assert.Equal(0, person.Entra.Sessions);

        // Disabling is read before it is repeated: it is never done twice. Signing out leaves nothing to read, so what died between the
        // call and its note is signed out again, once.
        Assert.Equal(1, person.Mutations["orgAccounts.disable"]);
        Assert.Equal(1, person.Mutations["users.update"]);
        Assert.InRange(person.Mutations["orgAccounts.signOut"], 1, 2);
        Assert.InRange(person.Mutations["users.revokeSignInSessions"], 1, 2);
        Assert.All(verified["steps"]!, step =>
        {
            Assert.Equal(("done", "confirmed"), ((string?)step["outcome"], (string?)step["readBack"]));
            Assert.InRange((int)step["attempts"]!, 1, 2);
        });
        Assert.Single(verified["signals"]!);

        // Proved last: after the last change of each system the account was read.
        foreach (var calls in journal.Where(e => e.Number > since && e.EmployeeId == employeeId).GroupBy(e => e.System))
        {
            Assert.True(calls.Last(e => e.Changed).Number < calls.Last(e => e is { Changed: false, Status: 200 }).Number);
        }
    }
}
