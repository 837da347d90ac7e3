using System.Text;
using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Remote;
using DingFlow.Storage;
using DingFlow.Tests.Remote;
using DingFlow.Tests.Storage;
using Microsoft.Extensions.Logging;
using Newtonsoft.Json.Linq;
using static DingFlow.Tests.DingTalk.DingTalkHarness;

namespace DingFlow.Tests.DingTalk;

public sealed class DingTalkDirectoryTests : IAsyncLifetime
{
    private const string DepartmentsRoute = "POST /topapi/v2/department/listsub";
    private const string MembersRoute = "POST /topapi/v2/user/list";

    private readonly DataDirectory _data = new();
    private readonly List<(long Department, JObject User)> _people = [];
    private readonly Dictionary<long, long[]> _departments = new() { [1] = [10, 20], [10] = [11] };
    private SqliteDatabase _database = null!;
    private DingTalkHarness _harness = null!;

    public async ValueTask InitializeAsync()
    {
        _database = new(_data.Path);
        _harness = await StartAsync(callsPerSecond: 1000);
        _harness.Legacy.Always(DepartmentsRoute, DepartmentsAsync).Always(MembersRoute, MembersAsync);
        Add(1, "u-1001", "E1001", "e1001@x.example");
        Add(11, "u-1002", "E1002", "e1002@x.example");
        Add(20, "u-1003", "E1003", null);
    }

    public async ValueTask DisposeAsync()
    {
        await _harness.DisposeAsync();
        _database.Dispose();
        _data.Dispose();
    }

    [Fact]
    public async Task First_Look_Up_Fills_The_Map_From_Every_Department()
    {
        using var directory = NewDirectory();

        var found = await directory.FindAsync("acme", "E1002", null, Cancel);

        var entry = Assert.Single(found.Value!);
        Assert.Equal(("acme", "u-1002", "union-u-1002", "E1002"), (entry.Tenant, entry.UserId, entry.UnionId, entry.JobNumber));
        Assert.Equal(_harness.Clock.GetUtcNow(), entry.SeenAt);
        Assert.Equal([1, 10, 11, 20], _harness.Legacy.ReceivedAt(MembersRoute).Select(r => (long)JObject.Parse(r.Body)["dept_id"]!).Order());
    }

    [Fact]
    public async Task Identifiers_Are_Found_In_Any_Case_And_The_Map_Survives_A_Restart()
    {
        using (var first = NewDirectory())
        {
            Assert.Equal(3, (await first.RefreshAsync("acme", Cancel)).Value);
        }

        var calls = _harness.Legacy.Received.Count;
        using var directory = NewDirectory();

        Assert.Equal("u-1001", Assert.Single((await directory.FindAsync("ACME", null, " E1001@X.Example ", Cancel)).Value!).UserId);
        Assert.Equal("u-1003", Assert.Single((await directory.FindAsync("acme", "e1003", null, Cancel)).Value!).UserId);
        Assert.Equal("u-1003", Assert.Single((await directory.FindAsync("acme", "e1003", "nobody@x.example", Cancel)).Value!).UserId);
        Assert.Equal("u-1002", (await directory.GetKnownAsync("acme", "u-1002", Cancel))!.UserId);
        Assert.Null(await directory.GetKnownAsync("acme", "U-1002", Cancel));
        Assert.Equal(calls, _harness.Legacy.Received.Count);
    }

    [Fact]
    public async Task Identifiers_Of_Two_People_Lead_To_Both()
    {
        using var directory = NewDirectory();

        var found = (await directory.FindAsync("acme", "E1002", "e1001@x.example", Cancel)).Value!;
        Add(20, "u-1004", "E1003", null);
        await directory.RefreshAsync("acme", Cancel);
        var shared = (await directory.FindAsync("acme", "E1003", null, Cancel)).Value!;

        Assert.Equal(["u-1001", "u-1002"], found.Select(e => e.UserId).Order());
        Assert.Equal(["u-1003", "u-1004"], shared.Select(e => e.UserId).Order());
    }

    [Fact]
    public async Task Leaver_Stays_Known_As_Evidence_And_A_New_Address_Replaces_The_Old()
    {
        using var directory = NewDirectory();
        await directory.RefreshAsync("acme", Cancel);
        var seen = _harness.Clock.GetUtcNow();
        _people.RemoveAll(p => (string)p.User["userid"]! == "u-1001");
        _people.Single(p => (string)p.User["userid"]! == "u-1002").User["email"] = "new@x.example";
        _harness.Clock.Advance(TimeSpan.FromDays(1));
        _harness.Remote.On(TokenRoute, TokenAnswer("token-two"));

        Assert.Equal(2, (await directory.RefreshAsync("acme", Cancel)).Value);

        Assert.Equal(seen, (await directory.GetKnownAsync("acme", "u-1001", Cancel))!.SeenAt);
        Assert.Equal("u-1001", Assert.Single((await directory.FindAsync("acme", "E1001", "e1001@x.example", Cancel)).Value!).UserId);
        Assert.Equal("u-1002", Assert.Single((await directory.FindAsync("acme", null, "new@x.example", Cancel)).Value!).UserId);
        Assert.Empty((await directory.FindAsync("acme", null, "e1002@x.example", Cancel)).Value!);
    }

    [Fact]
    public async Task Leaver_Is_Forgotten_When_The_Retention_Ends()
    {
        using var directory = NewDirectory();
        await directory.RefreshAsync("acme", Cancel);
        _people.RemoveAll(p => (string)p.User["userid"]! == "u-1001");
        _harness.Clock.Advance(TimeSpan.FromDays(396));
        _harness.Remote.On(TokenRoute, TokenAnswer("token-two"));

        await directory.RefreshAsync("acme", Cancel);

        Assert.Null(await directory.GetKnownAsync("acme", "u-1001", Cancel));
        Assert.Empty((await directory.FindAsync("acme", "E1001", null, Cancel)).Value!);
        Assert.NotNull(await directory.GetKnownAsync("acme", "u-1002", Cancel));
    }

    [Fact]
    public async Task Unknown_People_Cause_One_Refresh_A_Minute()
    {
        using var directory = NewDirectory();

        var both = await Task.WhenAll(directory.FindAsync("acme", "E9998", null, Cancel), directory.FindAsync("acme", "E9999", null, Cancel));
        Assert.All(both, found => Assert.Empty(found.Value!));
        _harness.Clock.Advance(TimeSpan.FromSeconds(59));
        Assert.Empty((await directory.FindAsync("acme", "E9999", null, Cancel)).Value!);
        Assert.Equal(4, _harness.Legacy.ReceivedAt(MembersRoute).Count);

        Add(1, "u-9999", "E9999", null);
        _harness.Clock.Advance(TimeSpan.FromSeconds(1));
        Assert.Single((await directory.FindAsync("acme", "E9999", null, Cancel)).Value!);
        Assert.Equal(8, _harness.Legacy.ReceivedAt(MembersRoute).Count);
    }

    [Fact]
    public async Task Nobody_To_Look_For_Is_Nobody()
    {
        using var directory = NewDirectory();

        Assert.Empty((await directory.FindAsync("acme", " ", null, Cancel)).Value!);
        Assert.Empty(_harness.Legacy.Received);
        await Assert.ThrowsAsync<KeyNotFoundException>(() => directory.FindAsync("other", "E1001", null, Cancel));
    }

    [Fact]
    public async Task Refresh_That_Fails_Is_The_Answer_And_Changes_Nothing()
    {
        _harness.Legacy.On(DepartmentsRoute, Answers.Json("""{"errcode":88,"sub_code":"60011","sub_msg":"[qyapi_get_department_list]"}"""));
        using var directory = NewDirectory();

        var found = await directory.FindAsync("acme", "E1001", null, Cancel);
        var again = await directory.FindAsync("acme", "E1001", null, Cancel);

        Assert.Equal((RemoteStatus.Denied, "88/60011"), (found.Status, found.Code));
        Assert.Equal(["qyapi_get_department_list"], found.MissingScopes);
        Assert.Equal(RemoteStatus.Denied, again.Status);
        Assert.Single(_harness.Legacy.Received);
        Assert.Null(await directory.GetKnownAsync("acme", "u-1001", Cancel));
    }

    [Fact]
    public async Task Part_Of_The_List_That_Cannot_Be_Read_Changes_Nothing()
    {
        _harness.Legacy.On(MembersRoute, Answers.Json("""{"errcode":0,"result":{"has_more":true,"list":[]}}"""));
        using var directory = NewDirectory();

        var refreshed = await directory.RefreshAsync("acme", Cancel);

        Assert.Equal((RemoteStatus.Unexpected, "no-result"), (refreshed.Status, refreshed.Code));
        Assert.Null(await directory.GetKnownAsync("acme", "u-1002", Cancel));
    }

    [Fact]
    public async Task Department_Removed_Meanwhile_Is_No_Failure_But_The_Root_Is()
    {
        _departments[20] = [404];
        _harness.Legacy.On(DepartmentsRoute, DepartmentsAsync, DepartmentsAsync, DepartmentsAsync, DepartmentsAsync, Answers.Json("""{"errcode":60003}"""));
        using var directory = NewDirectory();
        Assert.Equal(3, (await directory.RefreshAsync("acme", Cancel)).Value);

        _harness.Legacy.On(DepartmentsRoute, Answers.Json("""{"errcode":60003}"""));
        Assert.Equal(RemoteStatus.Rejected, (await directory.RefreshAsync("acme", Cancel)).Status);
    }

    [Fact]
    public async Task Departments_In_A_Circle_And_Members_Over_Pages_Are_Read_Once()
    {
        _departments[11] = [1, 10];
        for (var i = 0; i < 250; i++)
        {
            Add(20, $"u-{i}", $"F{i}", null);
        }

        using var directory = NewDirectory();

        Assert.Equal(253, (await directory.RefreshAsync("acme", Cancel)).Value);
        Assert.Equal(4, _harness.Legacy.ReceivedAt(DepartmentsRoute).Count);
        Assert.Equal("u-249", Assert.Single((await directory.FindAsync("acme", "F249", null, Cancel)).Value!).UserId);
    }

    [Fact]
    public async Task Look_Up_Does_Not_Wait_For_Ever_But_The_Refresh_Goes_On()
    {
        var release = new TaskCompletionSource();
        _harness.Legacy.On(DepartmentsRoute, async context =>
        {
            await release.Task;
            await DepartmentsAsync(context);
        });
        using var directory = NewDirectory();

        var call = directory.FindAsync("acme", "E1001", null, Cancel);
        await _harness.Legacy.NextAsync(DepartmentsRoute);
        var patience = TimeSpan.FromSeconds(20);
        await _harness.Clock.PassWaitAsync(longest: patience, shortest: patience);

        Assert.Equal((RemoteStatus.Unavailable, "directory-refresh-under-way"), ((await call).Status, (await call).Code));
        release.SetResult();
        Assert.Equal(3, (await _harness.EndAsync(directory.RefreshAsync("acme", Cancel))).Value);
    }

    [Fact]
    public async Task Neither_Addresses_Nor_Names_Are_Stored()
    {
        using (var directory = NewDirectory(key: null))
        {
            await directory.RefreshAsync("acme", Cancel);
        }

        _database.Dispose();
        foreach (var file in Directory.GetFiles(_data.Path))
        {
            var bytes = await File.ReadAllBytesAsync(file, Cancel);
            Assert.Equal(-1, bytes.AsSpan().IndexOf("e1001@x.example"u8));
            Assert.Equal(-1, bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes("张三")));
        }
    }

    [Fact]
    public async Task Map_Makes_Its_Own_Key_When_None_Is_Configured()
    {
        using var first = NewDirectory(key: null);
        await first.RefreshAsync("acme", Cancel);
        using var second = NewDirectory(key: null);

        Assert.Single((await second.FindAsync("acme", "E1001", null, Cancel)).Value!);
        Assert.Equal(4, _harness.Legacy.ReceivedAt(MembersRoute).Count);
    }

    [Fact]
    public async Task Timer_Refreshes_Every_Tenant_And_Logs_Failure_Without_Failing()
    {
        using var directory = NewDirectory();
        var logs = new LogRecorder<RefreshDirectory>();
        var timer = new RefreshDirectory(_harness.Clients, directory, logs);

        await timer.InvokeAsync(new TimerTick(false), Cancel);
        _harness.Legacy.On(DepartmentsRoute, Answers.Json("""{"errcode":90020}"""));
        await timer.InvokeAsync(new TimerTick(false), Cancel);

        Assert.NotNull(await directory.GetKnownAsync("acme", "u-1003", Cancel));
        Assert.Equal([LogLevel.Information, LogLevel.Error], logs.Lines.Select(l => l.Level));
    }

    private DingTalkDirectory NewDirectory() => NewDirectory(new byte[32]);

    private DingTalkDirectory NewDirectory(byte[]? key)
    {
        var options = new DingTalkOptions(_harness.Options.Tenants) { PseudonymKey = key is null ? null : (ReadOnlyMemory<byte>?)key };
        return new(_harness.Clients, new SqliteEntityStore(_database, _harness.Clock), options, _harness.Clock);
    }

    private void Add(long department, string userId, string jobNumber, string? email) => _people.Add((department, new()
    {
        ["userid"] = userId, ["unionid"] = $"union-{userId}", ["name"] = "张三", ["job_number"] = jobNumber, ["email"] = email,
    }));

    private async Task DepartmentsAsync(Microsoft.AspNetCore.Http.HttpContext context)
    {
        var department = (long)(await BodyAsync(context))["dept_id"]!;
        var below = _departments.GetValueOrDefault(department, []);
        await Answers.Json(new JObject
        {
            ["errcode"] = 0, ["result"] = new JArray(below.Select(id => new JObject { ["dept_id"] = id, ["name"] = "d" })),
        }.ToString())(context);
    }

    private async Task MembersAsync(Microsoft.AspNetCore.Http.HttpContext context)
    {
        var body = await BodyAsync(context);
        var (department, cursor, size) = ((long)body["dept_id"]!, (int)body["cursor"]!, (int)body["size"]!);
        var members = _people.Where(p => p.Department == department).Select(p => p.User).ToList();
        var result = new JObject { ["has_more"] = cursor + size < members.Count, ["list"] = new JArray(members.Skip(cursor).Take(size)) };
        if (cursor + size < members.Count)
        {
            result["next_cursor"] = cursor + size;
        }

        await Answers.Json(new JObject { ["errcode"] = 0, ["result"] = result }.ToString())(context);
    }

    private static Task<JObject> BodyAsync(Microsoft.AspNetCore.Http.HttpContext context) =>
        Task.FromResult(JObject.Parse((string)context.Items[RemoteStandIn.BodyItem]!));
}
