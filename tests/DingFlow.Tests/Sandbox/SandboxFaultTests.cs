using System.Collections.Immutable;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Sandbox;

public sealed class SandboxFaultTests : IAsyncLifetime
{
    private const string DisablePath = "v1.0/contact/orgAccounts/disable";
    private const string DisableBody = """{"userId":"sb-1001"}""";
    private SandboxCaller _caller = null!;

    private static CancellationToken Cancel => TestContext.Current.CancellationToken;

    private SandboxPerson Person => _caller.Server.Directory["E1001"];

    public async ValueTask InitializeAsync() => _caller = await SandboxCaller.CreateAsync();

    public ValueTask DisposeAsync() => _caller.DisposeAsync();

    [Theory]
    [InlineData(SandboxFaultKind.ServerError, 500, "system.busy")]
    [InlineData(SandboxFaultKind.Unavailable, 503, "system.busy")]
    [InlineData(SandboxFaultKind.Throttled, 403, "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi")]
    [InlineData(SandboxFaultKind.QuotaExhausted, 403, "Forbidden.AccessDenied.ApiCountLimitForOrg")]
    [InlineData(SandboxFaultKind.Unauthenticated, 400, "InvalidAuthentication")]
    [InlineData(SandboxFaultKind.Denied, 403, "Forbidden.AccessDenied.AccessTokenPermissionDenied")]
    [InlineData(SandboxFaultKind.OutOfScope, 400, "50002")]
    public async Task DingTalk_words_a_fault_its_own_way_and_does_nothing(SandboxFaultKind kind, int status, string code)
    {
        Set(new() { Kind = kind, Operation = SandboxOperations.Disable, Count = 1 });

        var faulty = await DisableAsync();
        var after = Person.DingTalk!.Disabled;
        var sound = await DisableAsync();

        Assert.Equal((status, code), (faulty.Status, faulty["code"]));
        Assert.False(string.IsNullOrEmpty(faulty["requestid"]));
        Assert.False(after);
        Assert.Equal(200, sound.Status);
        Assert.Empty(_caller.Server.Faults.All);
    }

    [Theory]
    [InlineData(SandboxFaultKind.ServerError, 200, "-1", null)]
    [InlineData(SandboxFaultKind.Throttled, 200, "90018", null)]
    [InlineData(SandboxFaultKind.QuotaExhausted, 200, "90020", null)]
    [InlineData(SandboxFaultKind.Unauthenticated, 200, "88", "40014")]
    [InlineData(SandboxFaultKind.Denied, 200, "88", "60011")]
    [InlineData(SandboxFaultKind.OutOfScope, 200, "50002", null)]
    public async Task The_older_interface_words_it_with_a_code(SandboxFaultKind kind, int status, string code, string? subCode)
    {
        Set(new() { Kind = kind, System = SandboxSystem.DingTalk, Count = 1 });

        var faulty = await _caller.LegacyAsync("topapi/v2/user/delete", """{"userid":"sb-1001"}""");

        Assert.Equal((status, code, subCode), (faulty.Status, faulty["errcode"], faulty["sub_code"]));
        Assert.True(Person.DingTalk!.Member);
    }

    [Theory]
    [InlineData(SandboxFaultKind.ServerError, 500, "Service_InternalServerError")]
    [InlineData(SandboxFaultKind.Unavailable, 503, "Directory_ServiceUnavailable")]
    [InlineData(SandboxFaultKind.Throttled, 429, "TooManyRequests")]
    [InlineData(SandboxFaultKind.Unauthenticated, 401, "InvalidAuthenticationToken")]
    [InlineData(SandboxFaultKind.Denied, 403, "Authorization_RequestDenied")]
    public async Task Graph_words_it_as_an_OData_error(SandboxFaultKind kind, int status, string code)
    {
        Set(new() { Kind = kind, System = SandboxSystem.Graph, RetryAfter = TimeSpan.FromSeconds(7) });

        var faulty = await GraphDisableAsync();

        Assert.Equal((status, code), (faulty.Status, faulty["error.code"]));
        Assert.Equal(status == 429 ? TimeSpan.FromSeconds(7) : null, faulty.Headers.RetryAfter?.Delta);
        Assert.True(Person.Entra!.AccountEnabled);
        Assert.NotEmpty(_caller.Server.Faults.All);
    }

    [Fact]
    public async Task The_legacy_gateway_answers_HTML_when_it_is_down()
    {
        Set(new() { Kind = SandboxFaultKind.Unavailable });

        var answer = await _caller.LegacyAsync("topapi/v2/user/get", """{"userid":"sb-1001"}""");

        Assert.Equal((503, "text/html"), (answer.Status, answer.ContentType!.MediaType));
    }

    [Fact]
    public async Task An_IP_ban_is_no_answer_of_the_interface()
    {
        Set(new() { Kind = SandboxFaultKind.IpBanned, Status = 403 });

        var answer = await DisableAsync();

        Assert.Equal("status,wait,source,punish,uuid", answer.Keys);
        Assert.Equal((403, "1111", "deny"), (answer.Status, answer["status"], answer["punish"]));
    }

    [Fact]
    public async Task A_missing_permission_names_what_is_missing()
    {
        Set(new() { Kind = SandboxFaultKind.Denied, Count = 1 });
        var own = await DisableAsync();
        Set(new() { Kind = SandboxFaultKind.Denied, Scopes = ["A.Read", "B.Write"] });
        var given = await DisableAsync();

        Assert.Equal("""{"requiredScopes":["Contact.OrgAccountSecurity.ReadWrite"]}""", Compact(own));
        Assert.Equal("""{"requiredScopes":["A.Read","B.Write"]}""", Compact(given));

        static string Compact(Answer answer) => answer.Body!["accessdenieddetail"]!.ToString(Newtonsoft.Json.Formatting.None);
    }

    [Fact]
    public async Task Refused_credentials_are_a_fault_of_the_token_calls()
    {
        Set(new() { Kind = SandboxFaultKind.Unauthenticated, Operation = SandboxOperations.AccessToken });

        var answer = await _caller.DingTalkAsync(
            HttpMethod.Post, "v1.0/oauth2/accessToken", $$"""{"appKey":"{{SandboxOptions.AppKey}}","appSecret":"{{SandboxOptions.AppSecret}}"}""");

        Assert.Equal((400, "invalidClientIdOrSecret"), (answer.Status, answer["code"]));
    }

    [Theory]
    [InlineData(SandboxFaultKind.LostBefore, false)]
    [InlineData(SandboxFaultKind.LostAfter, true)]
    public async Task A_lost_answer_leaves_done_or_undone_what_it_says(SandboxFaultKind kind, bool done)
    {
        Set(new() { Kind = kind, System = SandboxSystem.DingTalk });

        await Assert.ThrowsAsync<HttpRequestException>(DisableAsync);

        var entry = Assert.Single(Calls(SandboxOperations.Disable));
        Assert.Equal((0, kind, done), (entry.Status, entry.Fault, entry.Changed));
        Assert.Equal(done, Person.DingTalk!.Disabled);
        Assert.Equal(done ? 1 : 0, Person.Mutations.GetValueOrDefault(SandboxOperations.Disable));
    }

    [Fact]
    public async Task A_lost_answer_to_a_call_without_body_on_a_used_connection_is_met_once()
    {
        await _caller.GraphAsync(HttpMethod.Get, "users/e1001@sandbox.example");
        Set(new() { Kind = SandboxFaultKind.LostAfter, Operation = SandboxOperations.GraphRevoke });

        await Assert.ThrowsAsync<HttpRequestException>(
            () => _caller.GraphAsync(HttpMethod.Post, "users/e1001@sandbox.example/revokeSignInSessions"));

        Assert.Single(Calls(SandboxOperations.GraphRevoke));
        Assert.Equal(1, Person.Mutations[SandboxOperations.GraphRevoke]);
    }

    [Fact]
    public async Task Success_without_doing_anything_is_answered_like_success()
    {
        Set(new() { Kind = SandboxFaultKind.DoNothing });

        var disabled = await DisableAsync();
        var patched = await GraphDisableAsync();
        var revoked = await _caller.GraphAsync(HttpMethod.Post, "users/e1001@sandbox.example/revokeSignInSessions");
        var removed = await _caller.LegacyAsync("topapi/v2/user/delete", """{"userid":"sb-1001"}""");

        Assert.Equal("""{"result":true}""", disabled.Text);
        Assert.Equal((204, 200, "0"), (patched.Status, revoked.Status, removed["errcode"]));
        Assert.Equal((false, true, 2), (Person.DingTalk!.Disabled, Person.DingTalk.Member, Person.DingTalk.Sessions));
        Assert.Equal((true, 3), (Person.Entra!.AccountEnabled, Person.Entra.Sessions));
        Assert.Empty(Person.Mutations);
        Assert.Single(_caller.Server.Directory.LeaveRecords);
        Assert.All(_caller.Server.Journal.Entries, entry => Assert.False(entry.Changed));
    }

    [Fact]
    public async Task A_wrong_read_back_shows_the_person_as_never_frozen()
    {
        await DisableAsync();
        await GraphDisableAsync();
        await _caller.GraphAsync(HttpMethod.Post, "users/e1001@sandbox.example/revokeSignInSessions");
        Set(new() { Kind = SandboxFaultKind.WrongReadBack, EmployeeId = "E1001" });

        var status = await _caller.DingTalkAsync(HttpMethod.Get, "v1.0/contact/orgAccounts/status?userId=sb-1001");
        var user = await _caller.LegacyAsync("topapi/v2/user/get", """{"userid":"sb-1001"}""");
        const string Select = "$select=accountEnabled,signInSessionsValidFromDateTime";
        var graph = await _caller.GraphAsync(HttpMethod.Get, $"users/e1001@sandbox.example?{Select}");
        var list = await _caller.GraphAsync(HttpMethod.Get, $"users?$filter=employeeId eq 'E1001'&{Select}");
        _caller.Server.Faults.Clear();
        var truth = await _caller.DingTalkAsync(HttpMethod.Get, "v1.0/contact/orgAccounts/status?userId=sb-1001");

        Assert.Equal("""{"disable":false}""", status.Text);
        Assert.Equal("False", user["result.disable_status"]);
        Assert.Equal("True", graph["accountEnabled"]);
        Assert.Contains("2024-01-02T01:00:00Z", graph.Text, StringComparison.Ordinal);
        Assert.Equal("True", list["value[0].accountEnabled"]);
        Assert.Equal("""{"disable":true}""", truth.Text);
    }

    [Fact]
    public async Task Malformed_JSON_comes_after_the_deed()
    {
        Set(new() { Kind = SandboxFaultKind.MalformedJson });

        var answer = await DisableAsync();

        Assert.Equal((200, """{"result":true""", "application/json"), (answer.Status, answer.Text, answer.ContentType!.MediaType));
        Assert.True(Person.DingTalk!.Disabled);
    }

    [Theory]
    [InlineData(16)]
    [InlineData(3_000_000)]
    public async Task A_huge_answer_is_as_long_as_asked_and_valid(int bytes)
    {
        Set(new() { Kind = SandboxFaultKind.HugeBody, Bytes = bytes });

        var answer = await DisableAsync();

        Assert.Equal((200, bytes), (answer.Status, answer.Text.Length));
        Assert.Equal(bytes - 14, answer["result"]!.Length);
    }

    [Fact]
    public async Task Any_other_answer_can_be_given()
    {
        Set(new() { Kind = SandboxFaultKind.Answer, Status = 418, Body = "<p>", ContentType = "text/html" });

        var answer = await DisableAsync();

        Assert.Equal((418, "<p>", "text/html"), (answer.Status, answer.Text, answer.ContentType!.MediaType));
        Assert.False(Person.DingTalk!.Disabled);
    }

    [Fact]
    public async Task Latency_passes_on_the_clock_and_adds_to_another_fault()
    {
        Set(
            new() { Kind = SandboxFaultKind.Latency, Delay = TimeSpan.FromSeconds(20) },
            new() { Kind = SandboxFaultKind.Throttled, Operation = SandboxOperations.Disable });

        var call = DisableAsync();
        await _caller.Server.Journal.WaitForAsync(entry => entry is { Operation: SandboxOperations.Disable, Status: null }, Cancel);
        Assert.False(call.IsCompleted);
        while (!call.IsCompleted)
        {
            _caller.Clock.Advance(TimeSpan.FromSeconds(20));
            await Task.Yield();
        }

        Assert.Equal("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", (await call)["code"]);
    }

    [Fact]
    public async Task A_call_hangs_until_its_caller_gives_up()
    {
        Set(new() { Kind = SandboxFaultKind.Hang });
        using var giveUp = CancellationTokenSource.CreateLinkedTokenSource(Cancel);
        using var http = new HttpClient();
        var call = http.GetAsync(new Uri($"{_caller.Server.Graph}/users/e1001@sandbox.example"), giveUp.Token);
        await _caller.Server.Journal.WaitForAsync(entry => entry is { Operation: SandboxOperations.GraphUser, Status: null }, Cancel);

        await giveUp.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        var entry = await _caller.Server.Journal.WaitForAsync(entry => entry is { Operation: SandboxOperations.GraphUser, Status: 0 }, Cancel);
        Assert.Equal(SandboxFaultKind.Hang, entry.Fault);
    }

    [Fact]
    public async Task A_hanging_call_does_not_hold_up_the_stop()
    {
        Set(new() { Kind = SandboxFaultKind.Hang });
        var call = DisableAsync();
        await _caller.Server.Journal.WaitForAsync(entry => entry is { Operation: SandboxOperations.Disable, Status: null }, Cancel);

        await _caller.Server.DisposeAsync();

        await Assert.ThrowsAsync<HttpRequestException>(() => call);
    }

    [Fact]
    public async Task A_fault_meets_only_the_calls_it_is_meant_for()
    {
        Set(new() { Kind = SandboxFaultKind.ServerError, System = SandboxSystem.Graph, EmployeeId = "E1002" });

        Assert.Equal(200, (await DisableAsync()).Status);
        Assert.Equal(204, (await GraphDisableAsync()).Status);
        Assert.Equal(500, (await _caller.GraphAsync(HttpMethod.Get, "users/e1002@sandbox.example")).Status);
        Assert.Equal(500, (await _caller.GraphAsync(HttpMethod.Get, "users?$filter=mail eq 'e1002@sandbox.example'")).Status);
        Assert.Equal(200, (await _caller.GraphAsync(HttpMethod.Get, "users?$filter=mail eq 'e1003@sandbox.example'")).Status);
        Assert.Equal(200, (await _caller.GraphAsync(HttpMethod.Get, "users")).Status);
    }

    [Fact]
    public async Task Faults_follow_one_another_in_the_order_set()
    {
        Set(
            new() { Kind = SandboxFaultKind.Throttled, Operation = SandboxOperations.Disable, Skip = 1, Count = 2 },
            new() { Kind = SandboxFaultKind.OutOfScope, Operation = SandboxOperations.Disable, Skip = 1, Count = 1 });
        var statuses = new List<string>();
        for (var i = 0; i < 6; i++)
        {
            var answer = await DisableAsync();
            statuses.Add(answer["code"]?.Split('.')[^1] ?? "ok");
        }

        Assert.Equal(["ok", "QpsLimitForAppkeyAndApi", "QpsLimitForAppkeyAndApi", "50002", "ok", "ok"], statuses);
    }

    [Fact]
    public async Task Throttling_counts_per_operation_and_second_when_switched_on()
    {
        _caller.Server.Faults.CallsPerSecond = 2;

        var first = new[] { await DisableAsync(), await DisableAsync(), await DisableAsync() }.Select(answer => answer.Status);
        var other = await GraphDisableAsync();
        _caller.Clock.Advance(TimeSpan.FromSeconds(1));
        var next = await DisableAsync();

        Assert.Equal([200, 200, 403], first);
        Assert.Equal((204, 200), (other.Status, next.Status));
    }

    [Fact]
    public void Impossible_faults_are_refused()
    {
        var faults = _caller.Server.Faults;

        Assert.Throws<ArgumentException>(() => faults.Add(new() { Kind = SandboxFaultKind.Hang, Operation = "no.such" }));
        Assert.Throws<ArgumentException>(() => faults.Add(new() { Kind = SandboxFaultKind.Hang, Count = 0 }));
        Assert.Throws<ArgumentException>(() => faults.Add(new() { Kind = SandboxFaultKind.Latency, Delay = TimeSpan.FromSeconds(-1) }));
        Assert.Throws<ArgumentException>(() => faults.Set([.. Enumerable.Repeat(new SandboxFault { Kind = SandboxFaultKind.Hang }, 1_001)]));
        Assert.Empty(faults.All);
    }

    [Fact]
    public async Task The_journal_holds_templates_and_employee_ids_and_no_other_identifier()
    {
        await DisableAsync();
        await _caller.GraphAsync(HttpMethod.Get, "users/e1001@sandbox.example");
        await _caller.GraphAsync(HttpMethod.Get, "users/nobody@sandbox.example");
        await _caller.DingTalkAsync(HttpMethod.Get, "v1.0/e1001@sandbox.example");

        var entries = _caller.Server.Journal.Entries;
        Assert.Equal(
            [
                "POST v1.0/oauth2/accessToken  200", $"POST {DisablePath} E1001 200", "GET v1.0/users/{} E1001 200", "GET v1.0/users/{}  404",
                "GET   404",
            ],
            entries.Select(entry => $"{entry.Method} {entry.Path} {entry.EmployeeId} {entry.Status}"));
        Assert.All(entries, entry => Assert.Equal(SandboxCaller.Start, entry.At));
        Assert.Equal("Request_ResourceNotFound", entries[3].Code);
    }

    private Task<Answer> DisableAsync() => _caller.DingTalkAsync(HttpMethod.Post, DisablePath, DisableBody);

    private Task<Answer> GraphDisableAsync() =>
        _caller.GraphAsync(HttpMethod.Patch, "users/e1001@sandbox.example", """{"accountEnabled":false}""");

    private void Set(SandboxFault fault) => _caller.Server.Faults.Set([fault]);

    private void Set(SandboxFault first, SandboxFault second) => _caller.Server.Faults.Set([first, second]);

    private ImmutableArray<SandboxJournalEntry> Calls(string operation) =>
        [.. _caller.Server.Journal.Entries.Where(entry => entry.Operation == operation)];
}
