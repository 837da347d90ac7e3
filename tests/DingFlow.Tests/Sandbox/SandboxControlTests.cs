using System.Net.Sockets;
using System.Text;
using DingFlow.Sandbox;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Sandbox;

public sealed class SandboxControlTests : IAsyncLifetime
{
    private readonly TemporaryDirectory _data = new();
    private readonly HttpClient _switches;
    private SandboxCaller _caller = null!;

    public SandboxControlTests() => _switches = new HttpClient(new SocketsHttpHandler { ConnectCallback = ConnectAsync })
    {
        BaseAddress = new Uri("http://sandbox"),
    };

    public async ValueTask InitializeAsync() => _caller = await SandboxCaller.CreateAsync(_data.Path);

    public async ValueTask DisposeAsync()
    {
        _switches.Dispose();
        await _caller.DisposeAsync();
        _data.Dispose();
    }

    [Fact]
    public void Only_the_owner_may_open_the_socket()
    {
        Assert.Equal(Path.Combine(_data.Path, "sandbox.sock"), _caller.Server.ControlSocketPath);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_caller.Server.ControlSocketPath!));
        }
    }

    [Fact]
    public async Task A_path_too_long_for_a_socket_is_replaced_by_a_private_one()
    {
        var data = Path.Combine(_data.Path, new string('d', 100));
        string path;
        await using (var caller = await SandboxCaller.CreateAsync(data))
        {
            path = caller.Server.ControlSocketPath!;
            Assert.True(Encoding.UTF8.GetByteCount(path) <= 100);
            Assert.Equal(path, File.ResolveLinkTarget(Path.Combine(data, "sandbox.sock"), returnFinalTarget: true)!.FullName);
            if (!OperatingSystem.IsWindows())
            {
                Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
                Assert.Equal(
                    UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute,
                    File.GetUnixFileMode(Path.GetDirectoryName(path)!));
            }
        }

        Assert.False(Directory.Exists(Path.GetDirectoryName(path)));
    }

    [Theory]
    [InlineData("faults")]
    [InlineData("people")]
    [InlineData("people/E1001")]
    [InlineData("journal")]
    [InlineData("reset")]
    [InlineData("tokens")]
    [InlineData("throttling")]
    public async Task No_switch_can_be_reached_over_TCP(string path)
    {
        var root = _caller.Server.DingTalk.GetLeftPart(UriPartial.Authority);
        foreach (var method in new[] { HttpMethod.Get, HttpMethod.Put, HttpMethod.Post, HttpMethod.Delete })
        {
            foreach (var at in new[] { $"{root}/{path}", $"{_caller.Server.DingTalk}/{path}", $"{_caller.Server.DingTalkLegacy}/{path}", $"{_caller.Server.Graph}/{path}" })
            {
                var answer = await _caller.SendAsync(method, at, method == HttpMethod.Get ? null : """{"kind":"hang"}""");
                Assert.True(
                    answer.Status is 404 or 400 or 405 || answer["errcode"] is "404", $"{method} {at} answered {answer.Status} {answer.Text}");
            }
        }

        Assert.Empty(_caller.Server.Faults.All);
        Assert.NotEmpty(_caller.Server.Journal.Entries);
    }

    [Fact]
    public async Task Faults_are_set_added_shown_and_cleared()
    {
        var set = await SwitchAsync(
            HttpMethod.Put, "faults", """[{"kind":"throttled","system":"graph","operation":"users.update","employeeId":"E1001","count":2}]""");
        var added = await SwitchAsync(HttpMethod.Post, "faults", """{"kind":"latency","delay":"00:00:00.100"}""");
        var shown = await SwitchAsync(HttpMethod.Get, "faults");

        Assert.Equal((204, 204, 200), (set.Status, added.Status, shown.Status));
        var (first, second) = (_caller.Server.Faults.All[0], _caller.Server.Faults.All[1]);
        Assert.Equal(
            (SandboxFaultKind.Throttled, SandboxSystem.Graph, "users.update", "E1001", 2, TimeSpan.FromSeconds(10)),
            (first.Kind, first.System, first.Operation, first.EmployeeId, first.Count, first.RetryAfter));
        Assert.Equal((SandboxFaultKind.Latency, TimeSpan.FromMilliseconds(100), null), (second.Kind, second.Delay, second.Count));
        Assert.Equal(["throttled", "latency"], JArray.Parse(shown.Text).Select(fault => (string?)fault["kind"]));
        Assert.Equal(204, (await SwitchAsync(HttpMethod.Delete, "faults")).Status);
        Assert.Empty(_caller.Server.Faults.All);
    }

    [Theory]
    [InlineData("PUT", "faults", """{"kind":"no such"}""")]
    [InlineData("PUT", "faults", """{"kind":3}""")]
    [InlineData("PUT", "faults", """{"kind":"hang","operation":"no.such"}""")]
    [InlineData("PUT", "faults", """{"kind":"hang","unknown":1}""")]
    [InlineData("PUT", "faults", "{")]
    [InlineData("PUT", "faults", "")]
    [InlineData("PUT", "faults", "[null]")]
    [InlineData("PUT", "faults", """{"count":1}""")]
    [InlineData("PUT", "throttling", "{}")]
    [InlineData("PUT", "throttling", """{"callsPerSecond":-1}""")]
    [InlineData("PUT", "people/E1001", """{"unknown":1}""")]
    [InlineData("PUT", "people/E1001", """{"dingTalk":{"administrator":"sub"}}""")]
    [InlineData("PUT", "people/E1001", """{"lastAdministrator":true}""")]
    [InlineData("PUT", "people/E1001", """{"name":null}""")]
    [InlineData("PUT", "people/E1001", "[]")]
    [InlineData("PUT", "people/E%201", "{}")]
    [InlineData("POST", "failed-pushes", """{"tag":"user_leave_org","eventTime":"2026-11-22T01:00:00Z","data":"no object"}""")]
    public async Task What_makes_no_sense_is_refused_and_changes_nothing(string method, string path, string body)
    {
        var before = _caller.Server.Directory.People;

        var answer = await SwitchAsync(HttpMethod.Parse(method), path, body);

        Assert.Equal((400, "application/problem+json"), (answer.Status, answer.ContentType?.MediaType));
        Assert.False(string.IsNullOrEmpty(answer["title"]));
        Assert.Equal(before, _caller.Server.Directory.People);
        Assert.Empty(_caller.Server.Faults.All);
        Assert.Empty(_caller.Server.Directory.FailedPushes);
    }

    [Fact]
    public async Task What_does_not_exist_is_not_found()
    {
        Assert.Equal(404, (await SwitchAsync(HttpMethod.Get, "people/E9999")).Status);
        Assert.Equal(404, (await SwitchAsync(HttpMethod.Get, "oddity")).Status);
        Assert.Equal(404, (await SwitchAsync(HttpMethod.Delete, "people/E1001")).Status);
    }

    [Fact]
    public async Task A_person_is_shown_and_changed_by_hand()
    {
        await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/contact/orgAccounts/disable", """{"userId":"sb-1002"}""");
        var frozen = await SwitchAsync(HttpMethod.Get, "people/E1002");
        var undone = await SwitchAsync(
            HttpMethod.Put, "people/E1002", """{"dingTalk":{"disabled":false},"entra":{"accountEnabled":true,"onPremisesSyncEnabled":true}}""");

        Assert.Equal(("True", "1"), (frozen["dingTalk.disabled"], frozen["mutations['orgAccounts.disable']"]));
        Assert.Equal(("False", "sb-1002", "True"), (undone["dingTalk.disabled"], undone["dingTalk.userId"], undone["entra.onPremisesSyncEnabled"]));
        Assert.Equal(26, JArray.Parse((await SwitchAsync(HttpMethod.Get, "people")).Text).Count);
    }

    [Fact]
    public async Task People_are_added_and_taken_out_of_one_system()
    {
        var added = await SwitchAsync(HttpMethod.Put, "people/E2001", """{"name":"New Person","dingTalk":{"kind":"enterprise"}}""");
        var onlyDingTalk = await SwitchAsync(HttpMethod.Put, "people/E1003", """{"entra":null}""");
        var last = await SwitchAsync(HttpMethod.Put, "people/E1004", """{"lastAdministrator":true}""");

        Assert.Equal(("New Person", "sb-2001", "enterprise"), (added["name"], added["dingTalk.userId"], added["dingTalk.kind"]));
        Assert.Equal("0", (await _caller.LegacyAsync("topapi/v2/user/get", """{"userid":"sb-2001"}"""))["errcode"]);
        Assert.Equal(JTokenType.Null, onlyDingTalk.Body!["entra"]!.Type);
        Assert.Equal(404, (await _caller.GraphAsync(HttpMethod.Get, "users/e1003@sandbox.example")).Status);
        var back = await SwitchAsync(HttpMethod.Put, "people/E1003", """{"entra":{"mail":null}}""");
        Assert.Equal(("True", null), (back["entra.accountEnabled"], back["entra.mail"]));
        Assert.Equal("main", last["dingTalk.administrator"]);
        Assert.Single((await _caller.LegacyAsync("topapi/user/listadmin")).Body!["result"]!);
    }

    [Fact]
    public async Task Everything_can_be_put_back()
    {
        await _caller.DingTalkAsync(HttpMethod.Post, "v1.0/contact/orgAccounts/disable", """{"userId":"sb-1002"}""");
        await SwitchAsync(HttpMethod.Put, "faults", """{"kind":"latency","delay":"00:00:01"}""");
        await SwitchAsync(HttpMethod.Put, "throttling", """{"callsPerSecond":20}""");
        await SwitchAsync(HttpMethod.Post, "failed-pushes", """{"tag":"user_leave_org","eventTime":"2026-11-22T01:00:00Z","data":"{}"}""");
        var throttling = await SwitchAsync(HttpMethod.Get, "throttling");
        var journal = await SwitchAsync(HttpMethod.Get, "journal?employeeId=E1002");

        var reset = await SwitchAsync(HttpMethod.Post, "reset");

        Assert.Equal("""{"callsPerSecond":20}""", throttling.Text);
        Assert.Equal(
            ("orgAccounts.disable", 200, true),
            ((string?)JArray.Parse(journal.Text).Single()["operation"], (int)JArray.Parse(journal.Text)[0]["status"]!, (bool)JArray.Parse(journal.Text)[0]["changed"]!));
        Assert.Equal(204, reset.Status);
        Assert.Empty(_caller.Server.Directory["E1002"].Mutations);
        Assert.Empty(_caller.Server.Directory.FailedPushes);
        Assert.Empty(_caller.Server.Faults.All);
        Assert.Empty(_caller.Server.Journal.Entries);
        Assert.Equal(0, _caller.Server.Faults.CallsPerSecond);
        Assert.Equal("InvalidAuthentication", (await _caller.DingTalkAsync(HttpMethod.Get, "v1.0/contact/orgAccounts/status?userId=sb-1002"))["code"]);
    }

    [Fact]
    public async Task A_body_that_is_too_large_is_refused() =>
        Assert.Equal(400, (await SwitchAsync(HttpMethod.Put, "faults", new string(' ', 600_000))).Status);

    private Task<Answer> SwitchAsync(HttpMethod method, string path, string? body = null) =>
        SandboxCaller.SendAsync(_switches, method, $"http://sandbox/{path}", body);

    private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        await socket.ConnectAsync(new UnixDomainSocketEndPoint(_caller.Server.ControlSocketPath!), cancellationToken);
        return new NetworkStream(socket, ownsSocket: true);
    }
}
