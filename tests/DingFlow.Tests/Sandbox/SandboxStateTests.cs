using DingFlow.Sandbox;

namespace DingFlow.Tests.Sandbox;

public sealed class SandboxStateTests
{
    [Fact]
    public void The_directory_holds_whom_the_design_names()
    {
        var directory = new SandboxDirectory();
        var employees = directory.People.Where(person => person.DingTalk!.Member).ToList();

        Assert.Equal(Enumerable.Range(1001, 25).Select(number => $"E{number}"), employees.Select(person => person.EmployeeId));
        Assert.All(employees, person =>
        {
            var number = person.EmployeeId[1..];
            Assert.Equal(($"sb-{number}", person.EmployeeId, $"e{number}@sandbox.example"), (person.DingTalk!.UserId, person.DingTalk.JobNumber, person.DingTalk.Email));
            Assert.Equal(
                ($"e{number}@sandbox.example", $"e{number}@sandbox.example", person.EmployeeId, true),
                (person.Entra!.UserPrincipalName, person.Entra.Mail, person.Entra.EmployeeId, person.Entra.AccountEnabled));
            Assert.Equal(string.CompareOrdinal(number, "1020") <= 0 ? SandboxAccountKind.Enterprise : SandboxAccountKind.Ordinary, person.DingTalk.Kind);
            Assert.True(Guid.TryParse(person.Entra.ObjectId, out _));
        });
        Assert.Equal(employees.Count, employees.Select(person => person.Name).Distinct().Count());
        Assert.Equal(SandboxAdministrator.None, directory["E1001"].DingTalk!.Administrator);
        Assert.Equal(["E1016", "E1017", "E1018"], employees.Where(person => person.DingTalk!.Administrator != SandboxAdministrator.None).Select(person => person.EmployeeId));
        Assert.Equal("E1019", Assert.Single(employees, person => person.Entra!.OnPremisesSyncEnabled).EmployeeId);
        Assert.Equal("E0901", Assert.Single(directory.People, person => !person.DingTalk!.Member).EmployeeId);
    }

    [Fact]
    public void Employee_1001_never_becomes_an_administrator_and_others_can_be_the_last()
    {
        var directory = new SandboxDirectory();

        directory.Put(directory["E1002"], lastAdministrator: true);

        Assert.Equal("E1002", Assert.Single(directory.People, person => person.DingTalk!.Administrator != SandboxAdministrator.None).EmployeeId);
        Assert.Throws<ArgumentException>(() => directory.Put(directory["E1001"], lastAdministrator: true));
        Assert.Throws<ArgumentException>(() => directory.Put(directory["E0901"], lastAdministrator: true));
        Assert.Throws<KeyNotFoundException>(() => directory["E9"]);
    }

    [Fact]
    public async Task A_killed_and_restarted_sandbox_finds_the_accounts_as_it_left_them()
    {
        using var data = new TemporaryDirectory();
        await using var killed = await SandboxCaller.CreateAsync(data.Path);
        await killed.DingTalkAsync(HttpMethod.Post, "v1.0/contact/orgAccounts/disable", """{"userId":"sb-1003"}""");
        await killed.GraphAsync(HttpMethod.Post, "users/e1003@sandbox.example/revokeSignInSessions");
        await killed.LegacyAsync("topapi/v2/user/delete", """{"userid":"sb-1023"}""");
        killed.Server.Directory.AddFailedPush(new("user_leave_org", SandboxCaller.Start, "{}"));
        // What a writer leaves that was killed in the middle of it.
        await File.WriteAllTextAsync(Path.Combine(data.Path, "sandbox.json.new"), """{"version":1,"peo""", TestContext.Current.CancellationToken);

        // Not disposed, as a killed process would not.
        await using var restarted = await SandboxCaller.CreateAsync(data.Path);

        Assert.Equal("""{"disable":true}""", (await restarted.DingTalkAsync(HttpMethod.Get, "v1.0/contact/orgAccounts/status?userId=sb-1003")).Text);
        var person = restarted.Server.Directory["E1003"];
        Assert.Equal((0, 2), (person.Entra!.Sessions, person.DingTalk!.Sessions));
        Assert.Equal(SandboxCaller.Start.AddMilliseconds(-250), person.Entra.SessionsValidFrom);
        Assert.Equal([SandboxOperations.Disable, SandboxOperations.GraphRevoke], person.Mutations.Keys);
        Assert.Equal(["sb-0901", "sb-1023"], restarted.Server.Directory.LeaveRecords.Select(record => record.UserId));
        Assert.Single(restarted.Server.Directory.FailedPushes);
        Assert.Equal(killed.Server.Directory["E1003"].Name, person.Name);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(data.Path, "sandbox.json")));
        }
    }

    [Theory]
    [InlineData("{")]
    [InlineData("""{"version":1}""")]
    [InlineData("""{"version":2,"people":[],"leaveRecords":[],"failedPushes":[]}""")]
    [InlineData("""{"version":1,"poeple":[]}""")]
    public async Task An_unreadable_state_stops_the_start_and_callers_are_refused(string state)
    {
        using var data = new TemporaryDirectory();
        await File.WriteAllTextAsync(Path.Combine(data.Path, "sandbox.json"), state, TestContext.Current.CancellationToken);

        await Assert.ThrowsAsync<InvalidDataException>(() => SandboxCaller.CreateAsync(data.Path));
    }

    [Fact]
    public async Task Callers_wait_until_the_sandbox_serves()
    {
        using var listener = SandboxListener.Open();
        await using var server = new SandboxServer(
            listener, new SandboxOptions(), TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<SandboxServer>.Instance);
        using var http = new HttpClient();
        var early = SandboxCaller.SendAsync(http, HttpMethod.Get, $"{server.Graph}/users/e1001@sandbox.example", null);

        server.Serve();

        Assert.Equal("Ana Sousa", (await early)["displayName"]);
    }

    [Fact]
    public async Task Two_calls_at_once_are_both_counted()
    {
        await using var caller = await SandboxCaller.CreateAsync();

        await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => caller.DingTalkAsync(
            HttpMethod.Post, "v1.0/contact/orgAccounts/signOut", """{"userId":"sb-1004"}""")));

        Assert.Equal(20, caller.Server.Directory["E1004"].Mutations[SandboxOperations.SignOut]);
    }
}
