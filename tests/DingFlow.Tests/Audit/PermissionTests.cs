using System.IO.Compression;
using System.Text;
using System.Text.Json;
using DingFlow.Alerts;
using DingFlow.Audit;
using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Remote;
using DingFlow.Sandbox;
using DingFlow.Settings;
using DingFlow.Storage;
using DingFlow.Tests.DingTalk;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Offboarding;
using DingFlow.Tests.Remote;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;

namespace DingFlow.Tests.Audit;

/// <summary>Who may do what, and DingTalk's own logs, with the real clients against the sandbox.</summary>
public sealed class PermissionTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Changes_of_permissions_are_found_explained_and_reported()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        Assert.Equal(0, await remote.SnapshotAsync());
        Assert.Equal(0, await remote.SnapshotAsync());

        // Entra says who did it; of DingTalk nobody said anything; a case took a role away.
        var (gained, lost, promoted) = (remote.Sandbox.Directory["E1002"], remote.Sandbox.Directory["E1003"], remote.Sandbox.Directory["E1005"]);
        remote.Give(gained.EmployeeId, "Global Reader");
        remote.Sandbox.Directory.Note(new("report-1", driver.Time.GetUtcNow(), gained.Entra!.ObjectId, "Global Reader", Added: true, "0000-app"));
        remote.Sandbox.Directory.Change(promoted.EmployeeId, person => person with { DingTalk = person.DingTalk! with { Administrator = SandboxAdministrator.Sub } });
        driver.Time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(2, await remote.SnapshotAsync());
        remote.Give(lost.EmployeeId, "User Administrator");
        driver.Time.Advance(TimeSpan.FromDays(1));
        await remote.SnapshotAsync();
        remote.Sandbox.Directory.Change(lost.EmployeeId, person => person with { Entra = person.Entra! with { DirectoryRoles = [] } });
        await remote.Trail.AppendAsync(
            TrailDriver.Event("step") with
            {
                Kind = new("offboarding.step_ended", AuditRetention.Legal, "A step ended."), CaseId = "case-1",
                Details = new Dictionary<string, string> { ["account"] = $"entra:{lost.Entra!.ObjectId}", ["outcome"] = "done", ["step"] = "entra.directoryRoles" },
            },
            Cancellation);
        driver.Time.Advance(TimeSpan.FromDays(1));
        await remote.SnapshotAsync();

        var search = new AuditSearch(driver.Real, new AuditSeals(driver.Real));
        var report = await new PermissionReports(search, driver.Time).MakeAsync(TrailDriver.Start, TrailDriver.Start.AddDays(10), Cancellation);
        Assert.Equal((3, 1, 2), (report.Gained, report.Lost, report.Unexplained));
        Assert.Equal([false, false, true, true], report.Changes.Select(static change => change.Explained));
        var byEntra = Assert.Single(report.Changes, change => change.Who == $"entra:{gained.Entra.ObjectId}");
        Assert.Equal(("gained", "Global Reader", "entra:0000-app"), (byEntra.Change, byEntra.Permission, byEntra.By));
        Assert.Equal("case case-1", Assert.Single(report.Changes, static change => change.Change == "lost").ApprovedBy);
        Assert.Equal("sub-administrator", Assert.Single(report.Changes, static change => change.System == "dingtalk/sandbox").Permission);

        Assert.Equal(6, Encoding.UTF8.GetString(report.ToCsv()).Split("\r\n").Length);
        using var json = JsonDocument.Parse(report.ToJson());
        Assert.Equal(2, json.RootElement.GetProperty("unexplained").GetInt32());
        var html = Encoding.UTF8.GetString(report.ToHtml());
        Assert.Contains("<tr class=\"no\">", html, StringComparison.Ordinal);
        Assert.DoesNotContain("sb-1005", html, StringComparison.Ordinal);

        await remote.ReportAsync();
        var told = Assert.Single(remote.Alerts);
        Assert.Equal("audit.permissions_report", told.Type);
        Assert.Equal("https://dingflow.example/api/permissions/report?from=2026-11-01&to=2026-11-30&format=html", told.Details["html"]);
        Assert.EndsWith("format=csv", told.Details["csv"], StringComparison.Ordinal);
        Assert.EndsWith("format=json", told.Details["json"], StringComparison.Ordinal);
        Assert.Equal(3, Directory.GetFiles(Path.Combine(remote.Files, "permissions")).Length);

        // Three documents that are the archive's files, and the unexplained changes in words that name nobody.
        Assert.Equal(["permissions-2026-11.html", "permissions-2026-11.csv", "permissions-2026-11.json"], told.Documents.Select(static document => document.Name));
        foreach (var document in told.Documents)
        {
            var archived = await File.ReadAllBytesAsync(Path.Combine(remote.Files, "permissions", document.Name["permissions-".Length..]), Cancellation);
            Assert.Equal((archived.Length, PayloadHash.Of(archived).Hex), ((int)document.Bytes, document.Sha256));
            Assert.Equal(archived, await remote.Documents.FindAsync(told.AlertId, document, Cancellation));
        }

        foreach (var language in AlertLanguages.All)
        {
            var text = string.Join('\n', AlertTexts.Default.Render(told, language).Lines);
            Assert.Contains(PermissionEvents.AccountOf(new("0123456789abcdef0123456789abcdef"u8), "sandbox", promoted.DingTalk!.UserId), text, StringComparison.Ordinal);
            Assert.Contains(new AuditPseudonyms("0123456789abcdef0123456789abcdef"u8).Of("entraObjectId", lost.Entra.ObjectId)!, text, StringComparison.Ordinal);
            Assert.Contains("2026-11-01 – 2026-11-30", text, StringComparison.Ordinal);
            Assert.All((string[])["sb-1005", "e1003@", lost.Entra.ObjectId], personal => Assert.DoesNotContain(personal, text, StringComparison.OrdinalIgnoreCase));
        }

        // The timer comes every hour; the month is told.
        await remote.ReportAsync();
        Assert.Single(remote.Alerts);
        Assert.Single(await driver.ReadAsync(), static entry => entry.Kind == "permissions.report_made");
    }

    [Fact]
    public async Task The_month_of_the_report_is_one_in_UTC_and_is_told_once_it_is_over_and_settled()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        await remote.ReportAsync("2026-11-24T08:00:00Z");
        Assert.Equal(0, await remote.SnapshotAsync());

        // In Shanghai the first of December has come; in UTC it has not, and the change is one of November.
        driver.Time.SetUtcNow(new DateTimeOffset(2026, 11, 30, 17, 0, 0, TimeSpan.Zero));
        remote.Give("E1002", "Global Reader");
        Assert.Equal(1, await remote.SnapshotAsync());
        await remote.ReportAsync("2026-11-30T17:07:00Z");
        await remote.ReportAsync("2026-12-01T00:07:00Z");
        Assert.Empty(remote.Alerts);
        await remote.ReportAsync("2026-12-01T09:07:00+08:00");
        Assert.Equal(("2026-11", "1"), (Assert.Single(remote.Alerts).About, remote.Alerts[0].Details["unexplained"]));

        // Down over the first of two months: both are told, each once.
        await remote.ReportAsync("2027-02-17T03:07:00Z");
        await remote.ReportAsync("2027-02-17T04:07:00Z");
        Assert.Equal(["2026-11", "2026-12", "2027-01"], remote.Alerts.Select(static alert => alert.About));
        Assert.Equal(
            ["2026-11", "2026-12", "2027-01"],
            (await driver.ReadAsync()).Where(static entry => entry.Kind == "permissions.report_made").Select(static entry => entry.Read()!.On!.Id));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_crash_anywhere_in_making_the_report_leaves_one_report_one_entry_and_one_alert(bool archived)
    {
        for (var operations = 0; ; operations++)
        {
            await using var driver = new TrailDriver();
            await using var remote = await Remote.StartAsync(driver);
            await remote.ReportAsync("2026-11-24T08:00:00Z");
            await remote.SnapshotAsync();
            remote.Give("E1002", "Global Reader");
            await remote.SnapshotAsync();
            var store = new FaultyStore(driver.Real);
            store.DieAfter(operations, loseAnswer: operations % 2 == 0);
            try
            {
                await remote.ReportAsync("2026-12-01T01:07:00Z", archived, store);
            }
            catch (EntityStoreException) when (store.Dead)
            {
                // The next run goes on.
            }

            var died = store.Dead;
            await remote.SnapshotAsync();
            await remote.Trail.SweepAsync(Cancellation);
            await remote.ReportAsync("2026-12-01T02:07:00Z", archived);
            await remote.ReportAsync("2026-12-01T03:07:00Z", archived);
            Assert.Single(remote.Alerts.Select(static alert => alert.AlertId).Distinct());
            Assert.Single(remote.Alerts.Select(static alert => string.Join(' ', alert.Documents.Select(static document => document.Sha256))).Distinct());
            var entry = Assert.Single(await driver.ReadAsync(), static entry => entry.Kind == "permissions.report_made");
            Assert.Equal(remote.Alerts[^1].Documents[^1].Sha256, entry.Read()!.PayloadHash);
            if (!died)
            {
                Assert.True(operations > 5);
                return;
            }
        }
    }

    [Fact]
    public async Task Roles_of_DingTalk_are_read_and_each_change_is_explained_only_by_what_fits_it()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        Assert.Equal(0, await remote.SnapshotAsync());
        var pseudonyms = new AuditPseudonyms("0123456789abcdef0123456789abcdef"u8);
        string Account(string employeeId) => PermissionEvents.AccountOf(pseudonyms, "sandbox", remote.Sandbox.Directory[employeeId].DingTalk!.UserId);
        void Roles(string employeeId, Func<IReadOnlyList<long>, IEnumerable<long>> change) => remote.Sandbox.Directory.Change(
            employeeId, person => person with { DingTalk = person.DingTalk! with { RoleIds = [.. change(person.DingTalk.RoleIds)] } });
        Task Report(string employeeId, string what, bool? given, params string[] permissions) => remote.Trail.AppendAsync(
            PermissionEvents.Event("dingtalk/sandbox", what, Account(employeeId), "admin-pseudonym", PayloadHash.None, driver.Time.GetUtcNow(), "e1", permissions, given), Cancellation);

        // By the book; another role on the same day without a word; taken while the report says given; taken by a case; and by a step that takes no role.
        Roles("E1002", static held => held.Append(11).Append(12));
        await Report("E1002", "label_user_change", true, "role 11");
        Roles("E1008", static _ => []);
        await Report("E1008", "label_user_change", true, "role 11");
        Roles("E1015", static _ => []);
        Roles("E1022", static _ => []);
        foreach (var (employeeId, step) in new[] { ("E1015", "dingtalk.roles"), ("E1022", "dingtalk.disable") })
        {
            await remote.Trail.AppendAsync(
                TrailDriver.Event("step") with
                {
                    Kind = new("offboarding.step_ended", AuditRetention.Legal, "A step ended."), CaseId = "case-1",
                    Details = new Dictionary<string, string> { ["account"] = Account(employeeId), ["outcome"] = "done", ["step"] = step },
                },
                Cancellation);
        }

        driver.Time.Advance(TimeSpan.FromHours(20));
        Assert.Equal(5, await remote.SnapshotAsync());
        Assert.Equal(0, await remote.SnapshotAsync());
        var reports = new PermissionReports(new AuditSearch(driver.Real, new AuditSeals(driver.Real)), driver.Time);
        var report = await reports.MakeAsync(TrailDriver.Start, TrailDriver.Start.AddDays(10), Cancellation);
        Assert.Equal((3, 3, 3), (report.Gained, report.Lost, report.Unexplained)); // One of them is reported, and no reading shows it.
        Assert.Equal([false, false, false, true, true, true], report.Changes.Select(static change => change.Explained));
        PermissionChange Of(string employeeId, string permission) =>
            Assert.Single(report.Changes, change => change.Who == Account(employeeId) && change.Permission.StartsWith(permission, StringComparison.Ordinal));
        Assert.Equal((true, "admin-pseudonym"), (Of("E1002", "role 11").Explained, Of("E1002", "role 11").By));
        Assert.Matches(@"^role 11 \(.+\)$", Of("E1002", "role 11").Permission);
        Assert.Equal((false, (string?)null), (Of("E1002", "role 12").Explained, Of("E1002", "role 12").By));
        Assert.Equal([(false, "lost", false), (true, "gained", true)], report.Changes.Where(change => change.Who == Account("E1008")).Select(static change => (change.Explained, change.Change, change.Unseen)));
        Assert.Equal("case case-1", Of("E1015", "role").ApprovedBy);
        Assert.False(Of("E1022", "role").Explained);
    }

    [Fact]
    public async Task Members_of_a_role_are_read_page_by_page_and_a_role_that_cannot_be_read_changes_nothing()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        var client = remote.DingTalk["sandbox"];
        var first = await client.ListRoleMembersAsync(11, 100, Cancellation);
        Assert.True(first.IsOk, $"{first.Status} {first.Code}");
        var all = first.Value!;
        Assert.True(all.Count > 2);
        Assert.Equal(all, (await client.ListRoleMembersAsync(11, 2, Cancellation)).Value!);
        Assert.Contains((await client.ListRolesAsync(Cancellation)).Value!, static role => role.Id == 11 && role.Group is not null);

        Assert.Equal(0, await remote.SnapshotAsync());
        remote.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = "role.simplelist" });
        Assert.Equal(0, await remote.SnapshotAsync());
        remote.Sandbox.Faults.Clear();
        Assert.Equal(0, await remote.SnapshotAsync());
    }

    [Fact]
    public async Task What_cannot_be_read_is_said_and_changes_nothing()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        await remote.SnapshotAsync();
        remote.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, System = SandboxSystem.DingTalk });
        Assert.Equal(0, await remote.SnapshotAsync());
        remote.Sandbox.Faults.Clear();
        Assert.Equal(0, await remote.SnapshotAsync());
        Assert.Contains(await driver.ReadAsync(), static entry => entry.Kind == "permissions.snapshot_taken" && entry.Read()!.Outcome == AuditOutcome.Failed);
    }

    [Theory]
    [InlineData("roleAssignments.list", 0, false)]
    [InlineData("roleAssignments.list", 0, true)]
    [InlineData("user.listadmin", 0, true)]
    [InlineData("role.list", 0, true)]
    [InlineData("role.simplelist", 1, false)]
    public async Task A_read_that_fails_or_finds_nothing_does_not_look_as_if_everybody_lost_their_rights(string operation, int skip, bool empty)
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        remote.Give("E1002", "Global Reader");
        remote.Sandbox.Directory.Change("E1005", static person => person with { DingTalk = person.DingTalk! with { Administrator = SandboxAdministrator.Sub } });
        await remote.SnapshotAsync();
        remote.Sandbox.Faults.Add(empty
            ? new()
            {
                Kind = SandboxFaultKind.Answer, Operation = operation, Skip = skip,
                Body = operation.StartsWith("role.", StringComparison.Ordinal) ? """{"errcode":0,"errmsg":"ok","result":{"hasMore":false,"list":[]}}"""
                    : operation.StartsWith("user.", StringComparison.Ordinal) ? """{"errcode":0,"errmsg":"ok","result":[]}""" : """{"value":[]}""",
            }
            : new() { Kind = SandboxFaultKind.Denied, Operation = operation, Skip = skip });
        Assert.Equal(0, await remote.SnapshotAsync());
        Assert.Contains(await driver.ReadAsync(), static entry => entry.Kind == "permissions.snapshot_taken" && entry.Read()!.Outcome == AuditOutcome.Failed);
        remote.Sandbox.Faults.Clear();
        Assert.Equal(0, await remote.SnapshotAsync());
    }

    [Fact]
    public async Task What_was_gained_and_lost_between_two_readings_stands_in_the_report()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        await remote.SnapshotAsync();
        var person = remote.Sandbox.Directory["E1002"].Entra!.ObjectId;
        var (given, taken) = (driver.Time.GetUtcNow().AddHours(2), driver.Time.GetUtcNow().AddHours(3));
        remote.Sandbox.Directory.Note(new("report-1", given, person, "Global Administrator", Added: true, "0000-app"));
        remote.Sandbox.Directory.Note(new("report-2", taken, person, "Global Administrator", Added: false, "0000-app"));
        driver.Time.Advance(TimeSpan.FromDays(1));
        Assert.Equal(0, await remote.SnapshotAsync());

        var report = await remote.Reports.MakeAsync(TrailDriver.Start, TrailDriver.Start.AddDays(3), Cancellation);
        Assert.Equal([("gained", given), ("lost", taken)], report.Changes.Select(static change => (change.Change, change.At)));
        Assert.All(report.Changes, change => Assert.Equal(
            ($"entra:{person}", "Global Administrator", "entra:0000-app", "entra"), (change.Who, change.Permission, change.By, change.System)));
        Assert.All(report.Changes, static change => Assert.True(change is { Explained: true, Unseen: true }));
        Assert.Equal((1, 1, 0), (report.Gained, report.Lost, report.Unexplained));
        Assert.Contains("no reading shows it", Encoding.UTF8.GetString(report.ToHtml()), StringComparison.Ordinal);
        Assert.EndsWith("yes,yes\r\n", Encoding.UTF8.GetString(report.ToCsv()), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_change_at_the_edge_of_a_span_is_listed_once_and_in_one_of_the_two()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        await remote.SnapshotAsync();
        var person = remote.Sandbox.Directory["E1002"];
        var midnight = new DateTimeOffset(2026, 12, 1, 0, 0, 0, TimeSpan.Zero);
        driver.Time.SetUtcNow(midnight.AddHours(-2));
        remote.Give(person.EmployeeId, "Global Reader");
        remote.Sandbox.Directory.Note(new("report-1", driver.Time.GetUtcNow(), person.Entra!.ObjectId, "Global Reader", Added: true, "0000-app"));
        driver.Time.SetUtcNow(midnight.AddHours(19));
        Assert.Equal(1, await remote.SnapshotAsync());

        var november = await remote.Reports.MakeAsync(TrailDriver.Start, midnight, Cancellation);
        var december = await remote.Reports.MakeAsync(midnight, midnight.AddDays(10), Cancellation);
        Assert.Equal(1, november.Changes.Count + december.Changes.Count);
        Assert.Equal("entra:0000-app", Assert.Single(december.Changes).By);
    }

    [Fact]
    public async Task Reports_of_Entra_are_taken_over_once_each_also_many_at_one_moment_and_late_ones()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        var moment = driver.Time.GetUtcNow().AddHours(-1);
        for (var i = 0; i < 150; i++)
        {
            remote.Sandbox.Directory.Note(new($"report-{i}", moment, "somebody", "Global Reader", Added: true, "0000-app"));
        }

        await remote.SnapshotAsync();
        Assert.Equal(150, await CountAsync());
        driver.Time.Advance(TimeSpan.FromHours(1));
        remote.Sandbox.Directory.Note(new("on time", driver.Time.GetUtcNow(), "somebody", "Global Reader", Added: true, "0000-app"));
        await remote.SnapshotAsync();
        Assert.Equal(151, await CountAsync());

        // Entra reports some things hours later than they happened.
        remote.Sandbox.Directory.Note(new("late", driver.Time.GetUtcNow().AddHours(-5), "somebody", "Global Reader", Added: true, "0000-app"));
        driver.Time.Advance(TimeSpan.FromHours(1));
        await remote.SnapshotAsync();
        await remote.SnapshotAsync();
        Assert.Equal(152, await CountAsync());

        async Task<int> CountAsync()
        {
            var reported = (await driver.ReadAsync()).Where(static entry => entry.Kind == "permissions.reported").Select(static entry => entry.Read()!.Details!["reportId"]).ToList();
            Assert.Equal(reported.Distinct(), reported);
            return reported.Count;
        }
    }

    [Fact]
    public async Task DingTalks_own_logs_are_kept_before_they_expire()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        for (var night = 0; night < 7; night++)
        {
            await remote.KeepLogsAsync();
            driver.Time.Advance(TimeSpan.FromDays(1));
        }

        var kept = (await driver.ReadAsync()).Where(static entry => entry.Kind == "audit.dingtalk_log_kept").Select(static entry => entry.Read()!).ToList();
        var days = kept.Where(static one => one.On!.Id == "sandbox/file-audit").Select(static one => one.Details!["day"]).ToList();
        Assert.Equal(days.Distinct().Order(StringComparer.Ordinal), days);
        Assert.Equal("2026-11-29", days[^1]);
        Assert.True(days.Count > 178, $"{days.Count} days");
        Assert.DoesNotContain(kept, static one => one.Details!.Values.Any(static value => value.Contains("sb-", StringComparison.Ordinal)));
        foreach (var one in kept.Where(static one => one.Details!["records"] != "0").TakeLast(5))
        {
            var (tenant, log) = (one.On!.Id.Split('/')[0], one.On.Id.Split('/')[1]);
            var day = one.Details!["day"];
            await using var file = File.OpenRead(Path.Combine(remote.Files, "dingtalk", tenant, log, day[..4], $"{day}.jsonl.gz"));
            await using var zip = new GZipStream(file, CompressionMode.Decompress);
            using var lines = new MemoryStream();
            await zip.CopyToAsync(lines, Cancellation);
            Assert.Equal(one.PayloadHash, PayloadHash.Of(lines.ToArray()).Hex);
            Assert.Equal(one.Details["records"], Encoding.UTF8.GetString(lines.ToArray()).Count(static c => c == '\n').ToString(System.Globalization.CultureInfo.InvariantCulture));
        }

        Assert.Empty(remote.Alerts);
    }

    [Fact]
    public async Task A_log_that_the_edition_lacks_is_said_once_and_lost_days_are_reported()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        remote.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.Denied, Operation = "fileAuditLogs" });
        for (var night = 0; night < 3; night++)
        {
            await remote.KeepLogsAsync();
            driver.Time.Advance(TimeSpan.FromDays(1));
        }

        var absent = Assert.Single(remote.Alerts);
        Assert.Equal(("audit.dingtalk_log_absent", "file-audit"), (absent.Type, absent.Details["log"]));
        Assert.Equal(1, remote.Sandbox.Journal.Entries.Count(static entry => entry.Operation == "fileAuditLogs"));

        // Nobody ran for most of a year.
        remote.Sandbox.Faults.Clear();
        driver.Time.Advance(TimeSpan.FromDays(300));
        await remote.KeepLogsAsync();
        var gaps = remote.Alerts.Where(static alert => alert.Type == "audit.dingtalk_log_gap").ToList();
        Assert.Equal(["admin-operation", "leave-records"], gaps.Select(static gap => gap.Details["log"]).Order(StringComparer.Ordinal));
        Assert.Contains(await driver.ReadAsync(), static entry => entry.Kind == "audit.dingtalk_log_gap");
    }

    [Fact]
    public async Task Days_of_a_log_are_days_of_Shanghai_without_a_gap_or_an_overlap()
    {
        await using var driver = new TrailDriver();
        await using var harness = await DingTalkHarness.StartAsync(callsPerSecond: 1000);
        using var files = new DataDirectory();
        foreach (var (route, body) in s_emptyLogs)
        {
            harness.Remote.Always(route, Answers.Json(body));
        }

        driver.Time.SetUtcNow(new DateTimeOffset(2026, 12, 31, 18, 30, 0, TimeSpan.Zero)); // 02:30 on the first of January in Shanghai.
        await KeepAsync(driver, harness, files.Path);
        var asked = harness.Remote.Received.Where(static one => one.Path == "/v1.0/exclusive/fileAuditLogs")
            .Select(static one => Microsoft.AspNetCore.WebUtilities.QueryHelpers.ParseQuery(one.Query))
            .Select(static query => (From: long.Parse(query["startDate"].ToString()), To: long.Parse(query["endDate"].ToString()))).ToList();
        Assert.Equal(30, asked.Count);
        var midnight = new DateTimeOffset(2026, 12, 31, 0, 0, 0, TimeSpan.FromHours(8));
        Assert.Equal(midnight.AddDays(-178), DateTimeOffset.FromUnixTimeMilliseconds(asked[0].From));
        Assert.All(asked.Zip(asked.Skip(1)), static pair => Assert.Equal(pair.First.To + 1, pair.Second.From));
        for (var run = 0; run < 6; run++)
        {
            await KeepAsync(driver, harness, files.Path);
        }

        var kept = (await driver.ReadAsync()).Where(static entry => entry.Kind == "audit.dingtalk_log_kept").Select(static entry => entry.Read()!).ToList();
        Assert.Equal("2026-12-31", kept.Where(static one => one.On!.Id == "acme/file-audit").Max(static one => one.Details!["day"]));
    }

    [Theory]
    [InlineData("stands still")]
    [InlineData("goes round")]
    public async Task A_log_whose_pages_do_not_end_is_not_taken_for_kept(string how)
    {
        await using var driver = new TrailDriver();
        await using var harness = await DingTalkHarness.StartAsync(callsPerSecond: 1000);
        using var files = new DataDirectory();
        foreach (var (route, body) in s_emptyLogs)
        {
            harness.Remote.Always(route, Answers.Json(body));
        }

        var number = 0;
        harness.Remote.Always("GET /v1.0/contact/empLeaveRecords", context => Answers.Json(
            $$"""{"records":[{"userId":"u"}],"nextToken":"{{(how == "stands still" ? 1 : Interlocked.Increment(ref number) % 2)}}"}""")(context));
        await KeepAsync(driver, harness, files.Path);
        Assert.DoesNotContain(await driver.ReadAsync(), static entry => entry.Kind == "audit.dingtalk_log_kept" && entry.Read()!.On!.Id == "acme/leave-records");
        Assert.Contains(await driver.ReadAsync(), static entry => entry.Kind == "audit.dingtalk_log_kept" && entry.Read()!.On!.Id == "acme/file-audit");
    }

    [Fact]
    public async Task A_log_that_fails_for_weeks_is_told_before_days_of_it_are_lost()
    {
        await using var driver = new TrailDriver();
        await using var remote = await Remote.StartAsync(driver);
        for (var night = 0; night < 7; night++)
        {
            await remote.KeepLogsAsync();
            driver.Time.Advance(TimeSpan.FromDays(1));
        }

        remote.Sandbox.Faults.Add(new() { Kind = SandboxFaultKind.QuotaExhausted, Operation = "fileAuditLogs" });
        for (var night = 0; night < 16; night++)
        {
            await remote.KeepLogsAsync();
            Assert.Equal(night < 14 ? 0 : 1, remote.Alerts.Select(static alert => alert.AlertId).Distinct().Count());
            driver.Time.Advance(TimeSpan.FromDays(1));
        }

        var late = remote.Alerts[^1];
        Assert.Equal(("audit.dingtalk_log_late", "file-audit", "2026-11-30", "2027-05-27"), (late.Type, late.Details["log"], late.Details["from"], late.Details["lostOn"]));
        remote.Sandbox.Faults.Clear();
        await remote.KeepLogsAsync();
        Assert.Contains(await driver.ReadAsync(), static entry => entry.Kind == "audit.dingtalk_log_kept" && entry.Read()!.On!.Id == "sandbox/file-audit" && entry.Read()!.Details!["day"] == "2026-12-15");
    }

    private static readonly (string Route, string Body)[] s_emptyLogs =
    [
        ("GET /v1.0/exclusive/fileAuditLogs", """{"list":[]}"""), ("POST /v1.0/exclusive/oaOperatorLogs/query", """{"data":[],"itemCount":0}"""),
        ("GET /v1.0/contact/empLeaveRecords", """{"records":[]}"""),
    ];

    private static async Task KeepAsync(TrailDriver driver, DingTalkHarness harness, string files)
    {
        await using var trail = driver.Open("main", driver.Real);
        await new ArchiveDingTalkLogs(
            harness.Clients, new AuditArchive(driver.Real, new FolderFiles(files)), driver.Real, trail, new SentAlerts(), driver.Time, NullLogger<ArchiveDingTalkLogs>.Instance)
            .InvokeAsync(new TimerTick(false), Cancellation);
        await trail.DrainAsync(Cancellation);
    }

    [Fact]
    public async Task DingTalks_events_on_administrators_explain_changes_and_name_nobody()
    {
        await using var scenario = new IntakeScenario();
        await scenario.PostDingTalkAsync(
            $$"""{"EventType":"org_admin_add","eventId":"e1","CorpId":"{{IntakeScenario.CorpId}}","UserId":["user-17"],"OptStaffId":"user-1","TimeStamp":"1795309200000"}""");
        var reported = Assert.Single(scenario.Trail.Events, static one => one.Kind.Name == "permissions.reported");
        Assert.Equal("org_admin_add", reported.Details["what"]);
        Assert.NotEqual("", reported.Details["by"]);
        Assert.DoesNotContain(reported.Details.Values, static value => value.Contains("user-1", StringComparison.Ordinal));
    }

    private sealed class Remote : IAsyncDisposable
    {
        private readonly DataDirectory _files = new();
        private readonly ServiceProvider _services;
        private readonly TrailDriver _driver;
        private readonly AuditPseudonyms _pseudonyms = new("0123456789abcdef0123456789abcdef"u8);

        private Remote(TrailDriver driver, SandboxServer sandbox)
        {
            (_driver, Sandbox, Trail) = (driver, sandbox, driver.Open("main", driver.Real));
            var faults = new SettingsFaults();
            var configuration = new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?>
            {
                ["Entra:TenantId"] = "sandbox", ["Entra:BaseUrl"] = sandbox.Graph.ToString(), ["Entra:Credential"] = "none",
                ["DingTalk:Tenants:sandbox:CorpId"] = SandboxOptions.CorpId, ["DingTalk:Tenants:sandbox:AppKey"] = SandboxOptions.AppKey,
                ["DingTalk:Tenants:sandbox:AppSecret"] = SandboxOptions.AppSecret, ["DingTalk:Tenants:sandbox:BaseUrl"] = sandbox.DingTalk.ToString(),
                ["DingTalk:Tenants:sandbox:LegacyBaseUrl"] = sandbox.DingTalkLegacy.ToString(),
            }).Build();
            var services = new ServiceCollection();
            services.AddLogging().AddSingleton(TimeProvider.System).AddSingleton<IEntityStore>(driver.Real).AddSingleton<IConfiguration>(configuration);
            services.AddAzureCredentials(configuration);
            services.AddDingTalk(configuration, faults).AddEntra(configuration, faults);
            faults.ThrowIfAny();
            _services = services.BuildServiceProvider();
        }

        public SandboxServer Sandbox { get; }

        public AuditTrail Trail { get; }

        public List<AlertMessage> Alerts { get; } = [];

        public string Files => _files.Path;

        private AuditArchive Archive => new(_driver.Real, new FolderFiles(Files));

        public DingTalkClients DingTalk => _services.GetRequiredService<DingTalkClients>();

        public static async Task<Remote> StartAsync(TrailDriver driver) =>
            new(driver, await SandboxServer.StartNewAsync(timeProvider: driver.Time, cancellationToken: Cancellation));

        public void Give(string employeeId, string role) => Sandbox.Directory.Change(
            employeeId, person => person with { Entra = person.Entra! with { DirectoryRoles = person.Entra.DirectoryRoles.Add(role) } });

        public async Task<int> SnapshotAsync()
        {
            var entra = _services.GetRequiredService<EntraDirectory>();
            var auth = new AuthOptions([new ApiKey("ops", new byte[32], new HashSet<string> { "audit.read" }, new HashSet<string>(), new HashSet<string>())], null);
            var log = new PermissionLog(
                new PermissionSources(auth, DingTalk, entra, _pseudonyms), entra, _driver.Real, Trail, _driver.Time, NullLogger<PermissionLog>.Instance);
            var changes = await log.SnapshotAsync(Cancellation);
            await Trail.DrainAsync(Cancellation);
            return changes;
        }

        public PermissionReports Reports => new(new AuditSearch(_driver.Real, new AuditSeals(_driver.Real)), _driver.Time);

        public AlertDocuments Documents => DocumentsIn(_driver.Real);

        public async Task ReportAsync(string now = "2026-12-01T01:07:00Z", bool archived = true, IEntityStore? store = null)
        {
            _driver.Time.SetUtcNow(DateTimeOffset.Parse(now, System.Globalization.CultureInfo.InvariantCulture));
            var search = new AuditSearch(_driver.Real, new AuditSeals(_driver.Real));
            var trail = store is null ? Trail : _driver.Open("main", store);
            store ??= _driver.Real;
            try
            {
                await new ReportPermissions(
                    new PermissionReports(search, _driver.Time), archived ? Archive : new AuditArchive(_driver.Real, new NoFiles()),
                    new AuditOptions { PublicUrl = new("https://dingflow.example") }, store, trail, new Told(Alerts), DocumentsIn(store), _pseudonyms, _driver.Time,
                    NullLogger<ReportPermissions>.Instance).InvokeAsync(new TimerTick(false), Cancellation);
            }
            finally
            {
                await (trail == Trail ? trail.DrainAsync(Cancellation) : trail.DisposeAsync().AsTask());
            }
        }

        private static AlertDocuments DocumentsIn(IEntityStore store) => new(store, NullLogger<AlertDocuments>.Instance);

        public async Task KeepLogsAsync()
        {
            await new ArchiveDingTalkLogs(
                DingTalk, Archive, _driver.Real, Trail, new Told(Alerts), _driver.Time, NullLogger<ArchiveDingTalkLogs>.Instance)
                .InvokeAsync(new TimerTick(false), Cancellation);
            await Trail.DrainAsync(Cancellation);
        }

        public async ValueTask DisposeAsync()
        {
            await _services.DisposeAsync();
            await Sandbox.DisposeAsync();
            _files.Dispose();
        }

        private sealed class Told(List<AlertMessage> alerts) : IAlertSender
        {
            public Task SendAsync(AlertMessage alert, CancellationToken cancellationToken)
            {
                alerts.Add(alert);
                return Task.CompletedTask;
            }
        }
    }
}
