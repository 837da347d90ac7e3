using DingFlow.Offboarding;
using DingFlow.Offboarding.Reconciliation;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>What no list of a directory shows is asked about one by one: disabled, gone, or only not listed.</summary>
public sealed class DingTalkRoundTests
{
    /// <summary>A department that hangs below no other: DingTalk's lists do not come to it.</summary>
    private const long OutOfSight = 999;

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task People_of_the_roster_whose_accounts_are_disabled_gone_or_not_listed_are_typed_findings()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await driver.HearAsync(Leaver.Terminated("E1012"));
        await driver.HearAsync(Leaver.Terminated("E1013"));
        await driver.SettleAsync();
        await RosterAsync(driver, [.. Everybody(), new("E9998", null, null, null), new("E9999", null, "sb-9999", null)]);
        await driver.Get<Reconciler>().RunAsync(Cancellation); // From now on the map of who is who has seen everybody.

        DingTalk(driver, "E1006", a => a with { Member = false });
        DingTalk(driver, "E1007", a => a with { Disabled = true });
        DingTalk(driver, "E1008", a => a with { DepartmentIds = [OutOfSight] });
        DingTalk(driver, "E1009", a => a with { DepartmentIds = [OutOfSight], Disabled = true });
        DingTalk(driver, "E1010", a => a with { DepartmentIds = [OutOfSight] });
        DingTalk(driver, "E1011", a => a with { DepartmentIds = [OutOfSight] });
        DingTalk(driver, "E1014", a => a with { DepartmentIds = [OutOfSight], Disabled = true });
        DingTalk(driver, "E1021", a => a with { DepartmentIds = [OutOfSight] });
        DingTalk(driver, "E1022", a => a with { Disabled = true }); // An ordinary account cannot be disabled, whatever the switch says.
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.OutOfScope, Operation = SandboxOperations.UserGet, EmployeeId = "E1010" }]);

        // Of two cases one was given back, and somebody disables that account by hand.
        var given = await driver.OnlyCaseAsync("E1013");
        await driver.Get<CaseStore>().UpdateAsync((await driver.Get<CaseStore>().FindAsync(given.CaseId, Cancellation))!, c => c with { State = CaseState.Reactivated, Superseded = true }, Cancellation);

        // Entra: deleted; deleted and made anew; disabled.
        driver.Sandbox.Directory.Change("E1015", p => p with { Entra = p.Entra! with { DeletedAt = OffboardingDriver.Start } });
        driver.Sandbox.Directory.Change("E1016", p => p with { Entra = p.Entra! with { AccountEnabled = false } });
        driver.Sandbox.Directory.Change("E1017", p => p with { Entra = p.Entra! with { DeletedAt = OffboardingDriver.Start } });
        driver.Sandbox.Directory.Change("E1019", p => p with { Entra = p.Entra! with { EmployeeId = "E1017" } });
        await RosterAsync(driver, [
            .. Everybody().Select(p => p.EmployeeId is "E1011" or "E1014" ? p with { LeavesAt = OffboardingDriver.Start.AddDays(-1) } : p).Where(p => p.EmployeeId != "E1019"),
            new("E9998", null, null, null), new("E9999", null, "sb-9999", null),
        ]);

        var report = await driver.Get<Reconciler>().RunAsync(Cancellation);

        Assert.Empty(report.NotRead);
        Assert.Equal(
            [
                "disabledButInHr dingtalk E1007", "disabledButInHr dingtalk E1009", "disabledButInHr dingtalk E1013", "disabledButInHr entra E1013", "disabledButInHr entra E1016",
                "goneButInHr dingtalk E1006", "goneButInHr dingtalk E9999", "goneButInHr entra E1015",
                "leftHr dingtalk E1011", "leftHr entra E1011", "leftHr entra E1014",
                "notListed dingtalk E1008", "notListed dingtalk E1010", "notListed dingtalk E1021", "unknownToHr dingtalk E1019",
            ],
            await OpenAsync(driver));
        Assert.Equal(1, report.WithoutTrace);
        Assert.All(report.Asked.Values, looks => Assert.Equal((looks.Due, null), (looks.Asked, looks.Stopped)));
        Assert.Equal(report.Open.Values.Sum(), (await OpenAsync(driver)).Count);

        // The same again is nothing new, and what is mended is resolved.
        DingTalk(driver, "E1007", a => a with { Disabled = false });
        DingTalk(driver, "E1008", a => a with { DepartmentIds = [1] });
        report = await driver.Get<Reconciler>().RunAsync(Cancellation);
        Assert.Equal((0, 2), (report.New, report.Resolved));
    }

    [Fact]
    public async Task Each_run_asks_about_so_many_and_goes_on_where_the_last_one_stopped()
    {
        await using var driver = await OffboardingDriver.StartAsync(new() { ["Offboarding:Reconciliation:AccountsPerRun"] = "6" });
        await RosterAsync(driver, Everybody());
        foreach (var employeeId in new[] { "E1003", "E1010", "E1020" })
        {
            DingTalk(driver, employeeId, a => a with { Disabled = true });
        }

        var found = new List<int>();
        var asked = new HashSet<string>();
        for (var run = 1; run <= 4; run++)
        {
            var before = driver.Sandbox.Journal.Entries.Length;
            var report = await driver.Get<Reconciler>().RunAsync(Cancellation);
            var questions = driver.Sandbox.Journal.Entries.Skip(before).Where(e => e.Operation == SandboxOperations.Status).Select(e => e.EmployeeId!).ToList();
            Assert.Equal(questions.Count, report.Asked["dingtalk/sandbox"].Asked);
            Assert.InRange(questions.Count, 6, 6 + found.LastOrDefault());
            asked.UnionWith(questions);
            found.Add((await OpenAsync(driver)).Count);
            Assert.Equal(0, report.Resolved); // One that was found before is asked about every time.
        }

        Assert.Equal([1, 2, 2, 3], found);
        Assert.Equal(20, asked.Count);
    }

    [Fact]
    public async Task What_DingTalk_does_not_answer_leaves_findings_as_they_are_and_ends_the_asking()
    {
        await using var driver = await OffboardingDriver.StartAsync();
        await RosterAsync(driver, Everybody());
        DingTalk(driver, "E1007", a => a with { Disabled = true });
        await driver.HearAsync(Leaver.Terminated("E1012"));
        await driver.SettleAsync();
        DingTalk(driver, "E1012", a => a with { Disabled = false });
        await driver.Get<Reconciler>().RunAsync(Cancellation);
        Assert.Equal(["disabledButInHr dingtalk E1007", "leaverAlive dingtalk E1012"], await OpenAsync(driver));

        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Denied, Operation = SandboxOperations.Status }]);
        var before = driver.Sandbox.Journal.Entries.Length;
        var report = await driver.Get<Reconciler>().RunAsync(Cancellation);
        Assert.Equal((0, 0), (report.New, report.Resolved));
        Assert.Contains("Contact.OrgAccountSecurity.ReadWrite", report.Asked["dingtalk/sandbox"].Stopped, StringComparison.Ordinal);
        Assert.Equal(2, driver.Sandbox.Journal.Entries.Skip(before).Count(e => e.Operation == SandboxOperations.Status));
        Assert.Equal(2, (await OpenAsync(driver)).Count);

        // One list that cannot be read may hold those whom the others do not show.
        driver.Sandbox.Faults.Set([new() { Kind = SandboxFaultKind.Denied, Operation = "user.list" }]);
        report = await driver.Get<Reconciler>().RunAsync(Cancellation);
        Assert.Equal((0, 0, 1), (report.New, report.Resolved, report.NotRead.Count));
        Assert.Empty(report.Asked);

        driver.Sandbox.Faults.Clear();
        DingTalk(driver, "E1007", a => a with { Disabled = false });
        Assert.Equal(1, (await driver.Get<Reconciler>().RunAsync(Cancellation)).Resolved);
    }

    private static IEnumerable<RosterPerson> Everybody() => Enumerable.Range(1001, 25).Select(n =>
        new RosterPerson($"E{n}", null, n % 2 == 0 ? $"sb-{n}" : null, null));

    private static async Task RosterAsync(OffboardingDriver driver, IEnumerable<RosterPerson> people)
    {
        var rosters = driver.Get<RosterStore>();
        var draft = await rosters.BeginAsync("hr/acme", "key:test", Cancellation);
        foreach (var person in people)
        {
            await rosters.AddAsync(draft, person, Cancellation);
        }

        Assert.Equal(RosterOutcome.InForce, await rosters.CommitAsync(draft, 100, RosterTests.Put, Cancellation));
    }

    private static void DingTalk(OffboardingDriver driver, string employeeId, Func<SandboxDingTalkAccount, SandboxDingTalkAccount> change) =>
        driver.Sandbox.Directory.Change(employeeId, p => p with { DingTalk = change(p.DingTalk!) });

    private static async Task<List<string>> OpenAsync(OffboardingDriver driver) =>
        [.. (await driver.Get<FindingStore>().ReadAsync(Cancellation)).Values.Select(static f => f.Finding).Where(static f => f.Status == FindingStatus.Open)
            .Select(static f => $"{char.ToLowerInvariant(f.Kind.ToString()[0])}{f.Kind.ToString()[1..]} {f.Target.ToString().ToLowerInvariant()} {f.EmployeeId}")
            .Order(StringComparer.Ordinal)];
}
