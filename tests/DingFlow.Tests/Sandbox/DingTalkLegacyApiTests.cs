using System.Globalization;
using System.Net.Http.Headers;
using DingFlow.Sandbox;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Sandbox;

public sealed class DingTalkLegacyApiTests : IAsyncLifetime
{
    private SandboxCaller _caller = null!;

    public async ValueTask InitializeAsync() => _caller = await SandboxCaller.CreateAsync();

    public ValueTask DisposeAsync() => _caller.DisposeAsync();

    [Fact]
    public async Task An_enterprise_account_is_described_with_its_disable_status()
    {
        var answer = await _caller.LegacyAsync("topapi/v2/user/get", """{"userid":"sb-1001"}""");
        var user = (JObject)answer.Body!["result"]!;

        Assert.Equal("0", answer["errcode"]);
        Assert.Equal(
            ("sb-1001", "E1001", "e1001@sandbox.example", true, "dingtalk", false),
            ((string?)user["userid"], (string?)user["job_number"], (string?)user["email"], (bool?)user["exclusive_account"],
                (string?)user["exclusive_account_type"], (bool?)user["disable_status"]));
        Assert.Equal(SandboxOptions.CorpId, (string?)user["exclusive_account_corp_id"]);
        Assert.Equal(JTokenType.Array, user["dept_id_list"]!.Type);
        Assert.True((bool)user["active"]!);
        Assert.False((bool)user["admin"]!);

        _caller.Server.Directory.Change("E1001", person => person with { DingTalk = person.DingTalk! with { Disabled = true } });
        Assert.Equal("True", (await _caller.LegacyAsync("topapi/v2/user/get", """{"userid":"sb-1001"}"""))["result.disable_status"]);
    }

    [Theory]
    [InlineData("sb-1021", false, null)]
    [InlineData("sb-1015", true, "sso")]
    public async Task Only_DingTalks_own_enterprise_accounts_show_a_disable_status(string userId, bool enterprise, string? type)
    {
        var user = (JObject)(await _caller.LegacyAsync("topapi/v2/user/get", $$"""{"userid":"{{userId}}"}""")).Body!["result"]!;

        Assert.Equal(enterprise, (bool)user["exclusive_account"]!);
        Assert.Equal(type, (string?)user["exclusive_account_type"]);
        Assert.False(user.ContainsKey("disable_status"));
    }

    [Theory]
    [InlineData("topapi/v2/user/get", """{"userid":"sb-9999"}""", "33012")]
    [InlineData("topapi/v2/user/get", """{"userid":"sb-0901"}""", "33012")]
    [InlineData("topapi/v2/user/get", "{}", "400002")]
    [InlineData("topapi/v2/user/get", "[]", "400002")]
    [InlineData("topapi/v2/user/delete", """{"userid":"sb-9999"}""", "33012")]
    [InlineData("topapi/user/getbyunionid", """{"unionid":"nobody"}""", "60121")]
    [InlineData("topapi/v2/user/getbymobile", """{"mobile":"1"}""", "60121")]
    [InlineData("topapi/v2/user/getbymobile", "{}", "40104")]
    [InlineData("topapi/v2/department/listsub", """{"dept_id":7}""", "60003")]
    [InlineData("topapi/v2/department/listsubid", "{}", "400002")]
    [InlineData("topapi/v2/user/list", """{"dept_id":101,"cursor":0,"size":101}""", "400002")]
    [InlineData("topapi/v2/user/list", """{"dept_id":7,"cursor":0,"size":10}""", "60003")]
    [InlineData("topapi/user/listid", """{"dept_id":7}""", "60003")]
    [InlineData("topapi/role/list", """{"size":201}""", "400002")]
    [InlineData("topapi/role/removerolesforemps", """{"roleIds":"77","userIds":"sb-1001"}""", "33011")]
    [InlineData("topapi/role/removerolesforemps", """{"roleIds":"11","userIds":"sb-9999"}""", "33012")]
    [InlineData("topapi/role/removerolesforemps", """{"roleIds":"11"}""", "400002")]
    [InlineData("topapi/v2/user/notexist", "{}", "22")]
    [InlineData("user/notexist", "{}", "404")]
    public async Task Errors_are_200_with_a_code(string path, string body, string code)
    {
        var answer = await _caller.LegacyAsync(path, body);

        Assert.Equal((200, code), (answer.Status, answer["errcode"]));
        Assert.False(string.IsNullOrEmpty(answer["errmsg"]));
    }

    [Fact]
    public async Task Tokens_are_checked_by_the_gateway()
    {
        var blank = await _caller.SendAsync(HttpMethod.Post, $"{_caller.Server.DingTalkLegacy}/topapi/v2/user/get", """{"userid":"sb-1001"}""");
        _caller.Server.Tokens.Expire();
        var expired = await _caller.LegacyAsync("topapi/v2/user/get", """{"userid":"sb-1001"}""");
        var older = await _caller.LegacyAsync("call_back/get_call_back_failed_result", null);

        Assert.Equal(("88", "40000"), (blank["errcode"], blank["sub_code"]));
        Assert.Equal(("88", "40014"), (expired["errcode"], expired["sub_code"]));
        Assert.Equal("ding talk error[subcode=40014,submsg=不合法的access_token]", expired["errmsg"]);
        Assert.Equal("40014", older["errcode"]);
    }

    [Fact]
    public async Task A_form_is_read_like_JSON_and_anything_else_is_refused()
    {
        async Task<Answer> PostAsync(string type, string body) => await _caller.SendAsync(
            HttpMethod.Post, $"{_caller.Server.DingTalkLegacy}/topapi/v2/user/get", body,
            request => request.Content!.Headers.ContentType = new MediaTypeHeaderValue(type));

        var form = await PostAsync("application/x-www-form-urlencoded", $"access_token={_caller.Token}&userid=sb-1002");
        var text = await _caller.SendAsync(
            HttpMethod.Post, $"{_caller.Server.DingTalkLegacy}/topapi/v2/user/get?access_token={_caller.Token}", "userid=sb-1002",
            request => request.Content!.Headers.ContentType = new MediaTypeHeaderValue("text/plain"));

        Assert.Equal("sb-1002", form["result.userid"]);
        Assert.Equal("43004", text["errcode"]);
    }

    [Fact]
    public async Task The_wrong_method_is_named()
    {
        Assert.Equal("43002", (await _caller.LegacyAsync("topapi/v2/user/get", null))["errcode"]);
        Assert.Equal("43001", (await _caller.LegacyAsync("gettoken"))["errcode"]);
    }

    [Fact]
    public async Task Removal_takes_the_person_out_of_everything_and_into_the_leave_records()
    {
        var before = await CountAsync();
        var removed = await _caller.LegacyAsync("topapi/v2/user/delete", """{"userid":"sb-1021"}""");
        var again = await _caller.LegacyAsync("topapi/v2/user/delete", """{"userid":"sb-1021"}""");

        Assert.Equal("errcode,errmsg,request_id", removed.Keys);
        Assert.Equal("0", removed["errcode"]);
        Assert.Equal("33012", again["errcode"]);
        Assert.Equal((25, 24), (before, await CountAsync()));
        Assert.Equal("60121", (await _caller.LegacyAsync("topapi/user/getbyunionid", """{"unionid":"sbUnion1021iEiE"}"""))["errcode"]);
        Assert.Equal(("sb-1021", "oapi"), (_caller.Server.Directory.LeaveRecords[^1].UserId, _caller.Server.Directory.LeaveRecords[^1].Reason));
        Assert.Equal(1, _caller.Server.Directory["E1021"].Mutations[SandboxOperations.UserDelete]);
    }

    [Fact]
    public async Task Walking_the_departments_finds_everybody_once()
    {
        var found = new List<string>();
        var departments = new Queue<long>([1]);
        while (departments.TryDequeue(out var department))
        {
            var below = await _caller.LegacyAsync("topapi/v2/department/listsub", $$"""{"dept_id":{{department}}}""");
            var ids = await _caller.LegacyAsync("topapi/v2/department/listsubid", $$"""{"dept_id":{{department}}}""");
            var children = below.Body!["result"]!.Select(child => (long)child["dept_id"]!).ToList();
            Assert.Equal(children, ids.Body!.SelectToken("result.dept_id_list")!.Select(id => (long)id));
            children.ForEach(departments.Enqueue);

            long? cursor = 0;
            var listed = new List<string>();
            while (cursor is not null)
            {
                var body = string.Create(CultureInfo.InvariantCulture, $$"""{"dept_id":{{department}},"cursor":{{cursor}},"size":2}""");
                var page = await _caller.LegacyAsync("topapi/v2/user/list", body);
                var simple = await _caller.LegacyAsync("topapi/user/listsimple", body);
                var users = page.Body!.SelectToken("result.list")!.Select(user => (string)user["userid"]!).ToList();
                Assert.True(users.Count <= 2);
                Assert.Equal(users, simple.Body!.SelectToken("result.list")!.Select(user => (string)user["userid"]!));
                listed.AddRange(users);
                cursor = (bool)page.Body.SelectToken("result.has_more")! ? (long)page.Body.SelectToken("result.next_cursor")! : null;
            }

            var direct = await _caller.LegacyAsync("topapi/user/listid", $$"""{"dept_id":{{department}}}""");
            Assert.Equal(listed, direct.Body!.SelectToken("result.userid_list")!.Select(id => (string)id!));
            found.AddRange(listed);
        }

        Assert.Equal(Enumerable.Range(1001, 25).Select(number => $"sb-{number}"), found.Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task People_are_found_by_union_id_and_by_mobile_number()
    {
        var person = _caller.Server.Directory["E1007"];

        var byUnion = await _caller.LegacyAsync("topapi/user/getbyunionid", $$"""{"unionid":"{{person.DingTalk!.UnionId}}"}""");
        var byMobile = await _caller.LegacyAsync("topapi/v2/user/getbymobile", $$"""{"mobile":"{{person.Mobile}}"}""");

        Assert.Equal(("sb-1007", "0"), (byUnion["result.userid"], byUnion["result.contact_type"]));
        Assert.Equal("sb-1007", byMobile["result.userid"]);
    }

    [Fact]
    public async Task Administrators_and_roles_are_listed_and_roles_taken_away()
    {
        var administrators = await _caller.LegacyAsync("topapi/user/listadmin");
        var roles = await _caller.LegacyAsync("topapi/role/list", """{"size":200,"offset":0}""");
        var accountants = await MembersAsync(11);
        var one = accountants[0];
        var removed = await _caller.LegacyAsync("topapi/role/removerolesforemps", $$"""{"roleIds":"11","userIds":"{{one}}"}""");

        Assert.Equal(
            ["sb-1016:2", "sb-1017:2", "sb-1018:1"],
            administrators.Body!["result"]!.Select(item => $"{item["userid"]}:{item["sys_level"]}"));
        Assert.Equal("主管理员", roles["result.list[0].roles[2].name"]);
        Assert.Equal(["sb-1018"], await MembersAsync(3));
        Assert.Equal("0", removed["errcode"]);
        Assert.Equal(accountants[1..], await MembersAsync(11));
    }

    [Fact]
    public async Task The_failed_push_list_forgets_what_it_returned()
    {
        var empty = await _caller.LegacyAsync("call_back/get_call_back_failed_result", null);
        _caller.Server.Directory.AddFailedPush(new("user_leave_org", SandboxCaller.Start, """{"userid":["sb-1001"],"corpid":"c"}"""));
        _caller.Server.Directory.AddFailedPush(new("bpms_instance_change", SandboxCaller.Start, """{"type":"finish"}"""));
        _caller.Server.Directory.AddFailedPush(new("label_user_change", SandboxCaller.Start, "{}"));
        _caller.Server.Directory.AddFailedPush(new("hrm_mdm_user_change", SandboxCaller.Start, "{}"));
        var listed = await _caller.LegacyAsync("call_back/get_call_back_failed_result", null);
        var after = await _caller.LegacyAsync("call_back/get_call_back_failed_result", null);

        Assert.Equal("""{"errcode":0,"errmsg":"ok","failed_list":[],"has_more":false}""", empty.Text);
        Assert.Equal("sb-1001", listed["failed_list[0].user_leave_org.userid[0]"]);
        Assert.Equal("user_leave_org", listed["failed_list[0].call_back_tag"]);
        Assert.Equal(SandboxCaller.Start.ToUnixTimeMilliseconds(), (long?)listed.Body!.SelectToken("failed_list[0].event_time"));
        Assert.Equal("finish", listed["failed_list[1].bpmsCallBackData.type"]);
        Assert.NotNull(listed.Body.SelectToken("failed_list[2].roleLabelChange"));
        Assert.NotNull(listed.Body.SelectToken("failed_list[3].callbackData"));
        Assert.Equal(empty.Text, after.Text);
    }

    private async Task<int> CountAsync() =>
        (int)(await _caller.LegacyAsync("topapi/user/count", """{"only_active":false}""")).Body!.SelectToken("result.count")!;

    private async Task<string[]> MembersAsync(int role) =>
        [.. (await _caller.LegacyAsync("topapi/role/simplelist", $$"""{"role_id":{{role}},"size":100,"offset":0}""")).Body!
            .SelectToken("result.list")!.Select(user => (string)user["userid"]!)];
}
