using System.Collections.Immutable;
using System.Text.Json.Nodes;

namespace DingFlow.Sandbox;

/// <summary>
/// The older DingTalk interface (<c>oapi.dingtalk.com</c>): always HTTP 200 with an <c>errcode</c>. Paths, fields and codes as in
/// open.dingtalk.com's reference of the calls, the gateway's own refusals as observed.
/// </summary>
internal static class DingTalkLegacyApi
{
    private const string ReadScope = "qyapi_get_member";
    private const string WriteScope = "qyapi_manage_addresslist";

    public static ImmutableArray<SandboxOperation> Operations { get; } =
    [
        new(SandboxOperations.GetToken, SandboxApi.DingTalkLegacy, "GET", "gettoken", GetToken) { NeedsToken = false },
        About(SandboxOperations.UserGet, "topapi/v2/user/get", UserGet),
        About(SandboxOperations.UserDelete, "topapi/v2/user/delete", UserDelete, WriteScope),
        Post("user.list", "topapi/v2/user/list", call => Page(call, UserJson)),
        Post("user.listsimple", "topapi/user/listsimple", call => Page(call, SimpleJson)),
        Post("user.listid", "topapi/user/listid", ListIds),
        Post("user.getbyunionid", "topapi/user/getbyunionid", GetByUnionId),
        Post("user.getbymobile", "topapi/v2/user/getbymobile", GetByMobile),
        Post(SandboxOperations.ListAdministrators, "topapi/user/listadmin", ListAdministrators),
        Post("user.count", "topapi/user/count", Count),
        Post("department.listsub", "topapi/v2/department/listsub", ListDepartments),
        Post("department.listsubid", "topapi/v2/department/listsubid", ListDepartmentIds),
        Post("role.list", "topapi/role/list", ListRoles),
        Post("role.simplelist", "topapi/role/simplelist", ListRoleMembers),
        Post(SandboxOperations.RemoveRoles, "topapi/role/removerolesforemps", call => ChangeRoles(call, static (held, roles) => held.RemoveAll(roles.Contains))) with
        {
            Scope = WriteScope, Person = PersonOfRoles,
        },
        Post("role.addrolesforemps", "topapi/role/addrolesforemps", call => ChangeRoles(call, static (held, roles) => [.. held.Union(roles)])) with
        {
            Scope = WriteScope, Person = PersonOfRoles,
        },
        new("get_call_back_failed_result", SandboxApi.DingTalkLegacy, "GET", "call_back/get_call_back_failed_result", FailedPushes),
        .. SandboxChannels.DingTalk,
    ];

    /// <summary>An error body of this interface.</summary>
    public static SandboxAnswer Error(int code, string message) => SandboxAnswer.Json(
        200,
        new() { ["errcode"] = code, ["errmsg"] = message, ["request_id"] = RequestId() },
        JsonValue.Create(code).ToJsonString());

    /// <summary>An error that the gateway found; the real code is in <c>sub_code</c>.</summary>
    public static SandboxAnswer GatewayError(string subCode, string message) => SandboxAnswer.Json(
        200,
        new()
        {
            ["errcode"] = 88,
            ["sub_code"] = subCode,
            ["sub_msg"] = message,
            ["errmsg"] = $"ding talk error[subcode={subCode},submsg={message}]",
            ["request_id"] = RequestId(),
        },
        subCode);

    /// <summary>A path that does not exist.</summary>
    public static SandboxAnswer Unknown(string[] path) => path is ["topapi", ..]
        ? SandboxAnswer.Json(
            200,
            new()
            {
                ["errcode"] = 22,
                ["sub_msg"] = $"不合法ApiName，ApiName = dingtalk.oapi.{string.Join('.', path[1..])}",
                ["errmsg"] = $"Invalid method[submsg=不合法ApiName，ApiName = dingtalk.oapi.{string.Join('.', path[1..])}]",
                ["request_id"] = RequestId(),
            },
            "22")
        : SandboxAnswer.Json(200, new() { ["errcode"] = 404, ["errmsg"] = "请求的URI地址不存在" }, "404");

    /// <summary>Lets the call in, or says how it is refused.</summary>
    public static SandboxAnswer? Refuse(SandboxCall call)
    {
        if (call.Operation.NeedsToken)
        {
            var token = call.Text("access_token");
            if (token is null)
            {
                return GatewayError("40000", "access_token is blank");
            }

            if (!call.World.Tokens.IsValid(token))
            {
                return InvalidToken(call.Operation);
            }
        }

        return call.BodyFault switch
        {
            SandboxBodyFault.None => null,
            SandboxBodyFault.ContentType or SandboxBodyFault.NoContentType => Error(43004, "无效的HTTP HEADER Content-Type"),
            _ => Error(400002, "请求体不是合法的 JSON"),
        };
    }

    public static SandboxAnswer InvalidToken(SandboxOperation operation) => operation.Template.StartsWith("topapi/", StringComparison.Ordinal)
        ? GatewayError("40014", "不合法的access_token")
        : Error(40014, "不合法的access_token");

    public static SandboxAnswer InvalidCredentials() => Error(40096, "不合法的appKey或appSecret");

    private static SandboxOperation Post(string name, string path, Func<SandboxCall, SandboxAnswer> handle) =>
        new(name, SandboxApi.DingTalkLegacy, "POST", path, handle) { Scope = ReadScope };

    private static SandboxOperation About(
        string name, string path, Func<SandboxCall, SandboxPerson, SandboxAnswer> handle, string scope = ReadScope) =>
        Post(name, path, call => call.Text("userid") is null
            ? Error(400002, "参数错误: userid")
            : Member(call) is { } person ? handle(call, person) : Error(33012, "无效的USERID")) with
        {
            Person = Member, Scope = scope,
        };

    private static SandboxPerson? Member(SandboxCall call) =>
        call.Text("userid") is { } userId && call.Directory.FindByUserId(userId) is { DingTalk.Member: true } person ? person : null;

    private static IEnumerable<SandboxPerson> Members(SandboxCall call) =>
        call.Directory.People.Where(person => person.DingTalk is { Member: true });

    private static SandboxAnswer Ok(JsonNode? result)
    {
        var body = new JsonObject { ["errcode"] = 0, ["errmsg"] = "ok" };
        if (result is not null)
        {
            body["result"] = result;
        }

        body["request_id"] = RequestId();
        return SandboxAnswer.Json(200, body);
    }

    private static SandboxAnswer GetToken(SandboxCall call)
    {
        if (call.Query["appkey"].Count == 0)
        {
            return Error(40035, "缺少参数 corpid or appkey");
        }

        return call.Query["appkey"] == SandboxOptions.AppKey && call.Query["appsecret"] == SandboxOptions.AppSecret
            ? SandboxAnswer.Json(200, new()
            {
                ["errcode"] = 0,
                ["access_token"] = call.World.Tokens.Issue(),
                ["errmsg"] = "ok",
                ["expires_in"] = SandboxTokens.LifetimeSeconds,
            })
            : InvalidCredentials();
    }

    private static SandboxAnswer UserGet(SandboxCall call, SandboxPerson person) => Ok(UserJson(call.AsRead(person)));

    private static SandboxAnswer UserDelete(SandboxCall call, SandboxPerson person)
    {
        call.Mutate(
            person,
            static leaver => leaver.WithDingTalk(account => account with { Member = false, Administrator = SandboxAdministrator.None, RoleIds = [] }),
            new SandboxLeaveRecord(person.DingTalk!.UserId, person.Name, person.Mobile, call.World.Now, "oapi"));
        return Ok(null);
    }

    private static JsonObject UserJson(SandboxPerson person)
    {
        var account = person.DingTalk!;
        var user = new JsonObject
        {
            ["userid"] = account.UserId,
            ["unionid"] = account.UnionId,
            ["name"] = person.Name,
            ["mobile"] = person.Mobile,
            ["state_code"] = "86",
            ["job_number"] = account.JobNumber,
            ["email"] = account.Email,
            ["org_email"] = account.Email,
            ["active"] = true,
            ["manager_userid"] = account.ManagerUserId,
            ["admin"] = account.Administrator != SandboxAdministrator.None,
            ["boss"] = false,
            ["senior"] = false,
            ["real_authed"] = true,
            ["dept_id_list"] = Numbers(account.DepartmentIds),
            ["leader_in_dept"] = new JsonArray([.. account.DepartmentIds.Select(id => new JsonObject { ["dept_id"] = id, ["leader"] = false })]),
            ["role_list"] = new JsonArray([.. RolesOf(account).Select(role => new JsonObject
            {
                ["id"] = role.Id,
                ["name"] = role.Name,
                ["group_name"] = role.GroupName,
            })]),
            ["exclusive_account"] = account.Kind == SandboxAccountKind.Enterprise,
        };
        if (account.Kind == SandboxAccountKind.Enterprise)
        {
            user["exclusive_account_type"] = account.LoginType == SandboxLoginType.Sso ? "sso" : "dingtalk";
            user["exclusive_account_corp_id"] = SandboxOptions.CorpId;
            user["login_id"] = account.Email;
            if (account.LoginType == SandboxLoginType.DingTalk)
            {
                user["disable_status"] = account.Disabled;
            }
        }

        return user;
    }

    private static JsonObject SimpleJson(SandboxPerson person) =>
        new() { ["userid"] = person.DingTalk!.UserId, ["name"] = person.Name };

    private static SandboxAnswer Page(SandboxCall call, Func<SandboxPerson, JsonObject> json)
    {
        if (call.Number("dept_id") is not { } department || call.Number("cursor") is not (>= 0 and <= int.MaxValue and var cursor)
            || call.Number("size") is not (>= 1 and <= 100 and var size))
        {
            return Error(400002, "参数错误: dept_id, cursor, size");
        }

        if (!Exists(department))
        {
            return Error(60003, "部门不存在");
        }

        var members = MembersOf(call, department).ToList();
        var page = members.Skip((int)cursor).Take((int)size).ToList();
        var hasMore = cursor + page.Count < members.Count;
        var result = new JsonObject { ["has_more"] = hasMore };
        if (hasMore)
        {
            result["next_cursor"] = cursor + page.Count;
        }

        result["list"] = new JsonArray([.. page.Select(person => json(call.AsRead(person)))]);
        return Ok(result);
    }

    private static SandboxAnswer ListIds(SandboxCall call)
    {
        if (call.Number("dept_id") is not { } department)
        {
            return Error(400002, "参数错误: dept_id");
        }

        return Exists(department)
            ? Ok(new JsonObject
            {
                ["userid_list"] = new JsonArray([.. MembersOf(call, department).Select(person => JsonValue.Create(person.DingTalk!.UserId))]),
            })
            : Error(60003, "部门不存在");
    }

    private static SandboxAnswer GetByUnionId(SandboxCall call)
    {
        if (call.Text("unionid") is not { } unionId)
        {
            return Error(400002, "参数错误: unionid");
        }

        return Members(call).FirstOrDefault(person => person.DingTalk!.UnionId == unionId) is { } found
            ? Ok(new JsonObject { ["contact_type"] = 0, ["userid"] = found.DingTalk!.UserId })
            : Error(60121, "找不到该用户");
    }

    private static SandboxAnswer GetByMobile(SandboxCall call)
    {
        if (call.Text("mobile") is not { } mobile)
        {
            return Error(40104, "不合法的手机号");
        }

        return Members(call).FirstOrDefault(person => person.Mobile == mobile) is { } found
            ? Ok(new JsonObject { ["userid"] = found.DingTalk!.UserId })
            : Error(60121, "找不到该用户");
    }

    private static SandboxAnswer ListAdministrators(SandboxCall call) => Ok(new JsonArray([.. Members(call)
        .Where(person => person.DingTalk!.Administrator != SandboxAdministrator.None)
        .Select(person => new JsonObject
        {
            ["userid"] = person.DingTalk!.UserId,
            ["sys_level"] = person.DingTalk.Administrator == SandboxAdministrator.Main ? 1 : 2,
        })]));

    private static SandboxAnswer Count(SandboxCall call) => Ok(new JsonObject { ["count"] = Members(call).Count() });

    private static SandboxAnswer ListDepartments(SandboxCall call)
    {
        var parent = call.Number("dept_id") ?? 1;
        return Exists(parent)
            ? Ok(new JsonArray([.. SandboxDirectory.Departments.Where(department => department.ParentId == parent).Select(department => new JsonObject
            {
                ["dept_id"] = department.Id,
                ["name"] = department.Name,
                ["parent_id"] = department.ParentId,
                ["create_dept_group"] = false,
                ["auto_add_user"] = false,
            })]))
            : Error(60003, "部门不存在");
    }

    private static SandboxAnswer ListDepartmentIds(SandboxCall call)
    {
        if (call.Number("dept_id") is not { } parent)
        {
            return Error(400002, "参数错误: dept_id");
        }

        return Exists(parent)
            ? Ok(new JsonObject
            {
                ["dept_id_list"] = Numbers(SandboxDirectory.Departments.Where(department => department.ParentId == parent)
                    .Select(department => department.Id)),
            })
            : Error(60003, "部门不存在");
    }

    private static SandboxAnswer ListRoles(SandboxCall call)
    {
        if ((call.Number("size") ?? 20) is < 1 or > 200 || (call.Number("offset") ?? 0) != 0)
        {
            return Error(400002, "参数错误: size, offset");
        }

        return Ok(new JsonObject
        {
            ["hasMore"] = false,
            ["list"] = new JsonArray([.. SandboxDirectory.Roles.GroupBy(role => (role.GroupId, role.GroupName)).Select(group => new JsonObject
            {
                ["groupId"] = group.Key.GroupId,
                ["name"] = group.Key.GroupName,
                ["roles"] = new JsonArray([.. group.Select(role => new JsonObject { ["id"] = role.Id, ["name"] = role.Name })]),
            })]),
        });
    }

    private static SandboxAnswer ListRoleMembers(SandboxCall call)
    {
        if (call.Number("role_id") is not { } roleId || (call.Number("size") ?? 20) is not (>= 1 and <= 100 and var size)
            || (call.Number("offset") ?? 0) is not (>= 0 and <= int.MaxValue and var offset))
        {
            return Error(400002, "参数错误: role_id, size, offset");
        }

        var members = Members(call).Where(person => RolesOf(person.DingTalk!).Any(role => role.Id == roleId)).ToList();
        var page = members.Skip((int)offset).Take((int)size).ToList();
        return Ok(new JsonObject
        {
            ["hasMore"] = offset + page.Count < members.Count,
            ["list"] = new JsonArray([.. page.Select(SimpleJson)]),
        });
    }

    /// <summary>Whom a change of roles is about, when that is one person.</summary>
    private static SandboxPerson? PersonOfRoles(SandboxCall call) => Split(call.Text("userIds")) is [var userId] ? DingTalkApi.Member(call, userId) : null;

    private static SandboxAnswer ChangeRoles(SandboxCall call, Func<ImmutableArray<long>, List<long>, ImmutableArray<long>> change)
    {
        var roleIds = Split(call.Text("roleIds"));
        var userIds = Split(call.Text("userIds"));
        if (roleIds.Length is 0 or > 20 || userIds.Length is 0 or > 100)
        {
            return Error(400002, "参数错误: roleIds, userIds");
        }

        var roles = SandboxDirectory.Roles.Where(role => roleIds.Contains(JsonValue.Create(role.Id).ToJsonString())).Select(role => role.Id).ToList();
        if (roles.Count != roleIds.Distinct().Count())
        {
            return Error(33011, "无效的角色ID");
        }

        var people = userIds.Select(userId => call.Directory.FindByUserId(userId)).ToList();
        if (people.Any(person => person is not { DingTalk.Member: true }))
        {
            return Error(33012, "无效的USERID");
        }

        foreach (var person in people.OfType<SandboxPerson>())
        {
            call.Mutate(person, held => held.WithDingTalk(account => account with { RoleIds = change(account.RoleIds, roles) }));
        }

        return Ok(null);
    }

    private static SandboxAnswer FailedPushes(SandboxCall call)
    {
        var (pushes, hasMore) = call.Directory.TakeFailedPushes(200, forget: call.Fault != SandboxFaultKind.DoNothing);
        var list = new JsonArray();
        foreach (var push in pushes)
        {
            list.Add((JsonNode)new JsonObject
            {
                [DataKey(push.Tag)] = JsonNode.Parse(push.Data),
                ["call_back_tag"] = push.Tag,
                ["event_time"] = push.EventTime.ToUnixTimeMilliseconds(),
            });
        }

        return SandboxAnswer.Json(200, new() { ["errcode"] = 0, ["errmsg"] = "ok", ["failed_list"] = list, ["has_more"] = hasMore });
    }

    private static string DataKey(string tag) => tag switch
    {
        _ when tag.StartsWith("user_", StringComparison.Ordinal) || tag.StartsWith("org_", StringComparison.Ordinal) => tag,
        _ when tag.StartsWith("bpms_", StringComparison.Ordinal) => "bpmsCallBackData",
        _ when tag.StartsWith("label_", StringComparison.Ordinal) => "roleLabelChange",
        _ => "callbackData",
    };

    private static IEnumerable<SandboxPerson> MembersOf(SandboxCall call, long department) =>
        Members(call).Where(person => person.DingTalk!.DepartmentIds.Contains(department));

    private static IEnumerable<SandboxRole> RolesOf(SandboxDingTalkAccount account) => SandboxDirectory.Roles.Where(role => role.Id switch
    {
        3 => account.Administrator == SandboxAdministrator.Main,
        4 => account.Administrator == SandboxAdministrator.Sub,
        _ => account.RoleIds.Contains(role.Id),
    });

    private static bool Exists(long department) => SandboxDirectory.Departments.Any(known => known.Id == department);

    private static string[] Split(string? list) =>
        list?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries) ?? [];

    private static JsonArray Numbers(IEnumerable<long> numbers) => new([.. numbers.Select(number => JsonValue.Create(number))]);

    // The real ones are short base-36 texts.
    private static string RequestId() => Guid.NewGuid().ToString("N")[..13];
}
