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
using DingFlow.Tests.Intake;
using DingFlow.Tests.Offboarding;
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
        Assert.Equal((2, 3, 3), (report.Gained, report.Lost, report.Unexplained));
        Assert.Equal([false, false, false, true, true], report.Changes.Select(static change => change.Explained));
        PermissionChange Of(string employeeId, string permission) =>
            Assert.Single(report.Changes, change => change.Who == Account(employeeId) && change.Permission.StartsWith(permission, StringComparison.Ordinal));
        Assert.Equal((true, "admin-pseudonym"), (Of("E1002", "role 11").Explained, Of("E1002", "role 11").By));
        Assert.Matches(@"^role 11 \(.+\)$", Of("E1002", "role 11").Permission);
        Assert.Equal((false, (string?)null), (Of("E1002", "role 12").Explained, Of("E1002", "role 12").By));
        Assert.False(Of("E1008", "role").Explained);
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
