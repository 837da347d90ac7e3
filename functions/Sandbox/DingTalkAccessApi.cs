using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DingFlow.Sandbox;

/// <summary>
/// The newer DingTalk interface's calls that concern what a person may do: administrators' groups, trusted devices, scene groups,
/// approvals, the HR record. Paths and fields as in open.dingtalk.com's reference and, where that has no page, in the official SDK.
/// </summary>
internal static class DingTalkAccessApi
{
    private const string DeviceScope = "Custom.TrustedDevice.ReadWrite";
    private const int PageOfTasks = 20;

    public static ImmutableArray<SandboxOperation> Operations { get; } =
    [
        new("managementGroups.list", SandboxApi.DingTalk, "GET", "v1.0/contact/managementGroups", ListManagementGroups) { Scope = "Contact.ManagementGroup.Read" },
        new("managementGroups.update", SandboxApi.DingTalk, "PUT", "v1.0/contact/managementGroups/{}", UpdateManagementGroup) { Scope = "Contact.ManagementGroup.Write" },
        new("trustedDevices.query", SandboxApi.DingTalk, "POST", "v1.0/exclusive/trustedDevices/query", QueryDevices)
        {
            Scope = DeviceScope, Person = static call => Texts(call, "userIds") is [var only] ? DingTalkApi.Member(call, only) : null,
        },
        About("trustedDevices.remove", "v1.0/exclusive/trustedDevices/remove", RemoveDevice, DeviceScope),
        new("sceneGroups.members", SandboxApi.DingTalk, "POST", "v1.0/im/sceneGroups/members/batchQuery", ListGroupMembers) { Scope = "qyapi_chat_read" },
        Group("sceneGroup.member.delete", "v1.0/im/sceneGroup/member/delete", static (groups, group) => groups.Remove(group)),
        Group("sceneGroup.member.add", "v1.0/im/sceneGroup/member/add", static (groups, group) => groups.Contains(group) ? groups : groups.Add(group)),
        new("workflow.instanceIds", SandboxApi.DingTalk, "POST", "v1.0/workflow/processes/instanceIds/query", ListInstances) { Scope = "Workflow.Instance.Read" },
        new("workflow.instance", SandboxApi.DingTalk, "GET", "v1.0/workflow/processInstances", GetInstance) { Scope = "Workflow.Instance.Read" },
        new("workflow.redirect", SandboxApi.DingTalk, "POST", "v1.0/workflow/tasks/redirect", Redirect)
        {
            Scope = "Workflow.Instance.Write", Person = static call => DingTalkApi.Member(call, Text(call, "operateUserId")),
        },
        About("hrm.pendingDismission.start", "v1.0/hrm/pendingDismission/start", StartLeave, "Hrm.Process.ReadWrite"),
        About("hrm.pendingDismission.revoke", "v1.0/hrm/pendingDismission/revoke", RevokeLeave, "Hrm.Process.ReadWrite"),
        new("hrm.dimissionInfos", SandboxApi.DingTalk, "GET", "v1.0/hrm/employees/dimissionInfos", DismissionInfos)
        {
            Scope = "Hrm.Dismission.Read", Person = static call => Queried(call) is [var only] ? DingTalkApi.Member(call, only) : null,
        },
    ];

    private static SandboxOperation About(string name, string path, Func<SandboxCall, SandboxPerson, SandboxAnswer> handle, string scope) =>
        new(name, SandboxApi.DingTalk, "POST", path, call => Text(call, "userId") is not { } userId ? Missing(call, "userId")
            : DingTalkApi.Member(call, userId) is { } person ? handle(call, person)
            : DingTalkApi.Error(call.World, 400, "user.not.exist", "用户不存在"))
        {
            Scope = scope, Person = static call => DingTalkApi.Member(call, Text(call, "userId")),
        };

    private static SandboxOperation Group(string name, string path, Func<ImmutableArray<string>, string, ImmutableArray<string>> change) =>
        new(name, SandboxApi.DingTalk, "POST", path, call =>
        {
            if (Text(call, "open_conversation_id") is not { } group || Texts(call, "user_ids") is not [var userId])
            {
                return DingTalkApi.Error(call.World, 400, "parameter.invalid", "参数错误");
            }

            if (DingTalkApi.Member(call, userId) is not { } person)
            {
                return DingTalkApi.Error(call.World, 400, "staff.not.found", "用户不存在");
            }

            call.Mutate(person, before => before.WithDingTalk(account => account with { SceneGroups = change(account.SceneGroups, group) }));
            return DingTalkApi.Ok(new() { ["success"] = true });
        })
        {
            Scope = "qyapi_chat_manage", Person = static call => Texts(call, "user_ids") is [var only] ? DingTalkApi.Member(call, only) : null,
        };

    private static SandboxAnswer ListManagementGroups(SandboxCall call) => DingTalkApi.Ok(new()
    {
        ["groups"] = new JsonArray([.. Accounts(call).SelectMany(account => account.ManagementGroups).Distinct().Order(StringComparer.Ordinal).Select(group => new JsonObject
        {
            ["groupId"] = group,
            ["groupName"] = $"Administrators {group}",
            ["members"] = new JsonArray([.. Accounts(call).Where(account => account.ManagementGroups.Contains(group)).Select(account => new JsonObject
            {
                ["memberId"] = account.UserId, ["memberType"] = "user",
            })]),
            ["resourceIds"] = new JsonArray("contact.manage"),
            ["scope"] = new JsonObject { ["scopeType"] = 1, ["deptIds"] = new JsonArray(1) },
        })]),
        ["hasMore"] = false,
    });

    /// <summary>The members given take the place of those who were: everybody who comes or goes is changed.</summary>
    private static SandboxAnswer UpdateManagementGroup(SandboxCall call)
    {
        if (call.Body?["members"] is not JsonArray members)
        {
            return Missing(call, "members");
        }

        var group = call.Segments[0];
        var wanted = members.Select(member => (string?)member?["memberId"]).OfType<string>().ToHashSet(StringComparer.Ordinal);
        foreach (var person in call.Directory.People.Where(person => person.DingTalk is { Member: true } account
            && account.ManagementGroups.Contains(group) != wanted.Contains(account.UserId)))
        {
            call.Mutate(person, before => before.WithDingTalk(account =>
            {
                var groups = wanted.Contains(account.UserId) ? account.ManagementGroups.Add(group) : account.ManagementGroups.Remove(group);
                return account with
                {
                    ManagementGroups = groups,
                    Administrator = account.Administrator == SandboxAdministrator.Main ? SandboxAdministrator.Main
                        : groups.IsEmpty ? SandboxAdministrator.None : SandboxAdministrator.Sub,
                };
            }));
        }

        return DingTalkApi.Ok(new() { ["success"] = true });
    }

    private static SandboxAnswer QueryDevices(SandboxCall call) => DingTalkApi.Ok(new()
    {
        ["data"] = new JsonArray([.. Texts(call, "userIds").Select(userId => DingTalkApi.Member(call, userId)).OfType<SandboxPerson>()
            .SelectMany(person => person.DingTalk!.TrustedDevices.Select(device => new JsonObject
            {
                ["id"] = device.Id, ["userId"] = person.DingTalk.UserId, ["platform"] = device.Platform, ["status"] = 2,
            }))]),
    });

    private static SandboxAnswer RemoveDevice(SandboxCall call, SandboxPerson person)
    {
        if (call.Number("id") is not { } id || person.DingTalk!.TrustedDevices.FirstOrDefault(device => device.Id == id) is not { } device)
        {
            return DingTalkApi.Error(call.World, 400, "param.format.error", "设备不存在");
        }

        var kickOff = call.Body?["kickOff"]?.GetValueKind() == JsonValueKind.True;
        call.Mutate(person, before => before.WithDingTalk(account => account with
        {
            TrustedDevices = account.TrustedDevices.Remove(device), Sessions = kickOff ? 0 : account.Sessions,
        }));
        return DingTalkApi.Ok(new() { ["success"] = true });
    }

    private static SandboxAnswer ListGroupMembers(SandboxCall call) => Text(call, "openConversationId") is not { } group
        ? Missing(call, "openConversationId")
        : DingTalkApi.Ok(new()
        {
            ["success"] = true,
            ["memberUserIds"] = new JsonArray([.. Accounts(call).Where(account => account.SceneGroups.Contains(group)).Select(account => JsonValue.Create(account.UserId))]),
            ["hasMore"] = false,
        });

    private static SandboxAnswer ListInstances(SandboxCall call)
    {
        if (Text(call, "processCode") is not { } code || call.Number("startTime") is null || call.Number("maxResults") is not (>= 1 and <= PageOfTasks and var size)
            || call.Number("nextToken") is not (>= 0 and var start))
        {
            return DingTalkApi.Error(call.World, 400, "invalidParameter", "参数错误");
        }

        var all = Accounts(call).SelectMany(account => account.Approvals).Where(approval => approval.ProcessCode == code)
            .Select(approval => approval.InstanceId).Distinct().Order(StringComparer.Ordinal).ToList();
        var page = all.Skip((int)start).Take((int)size).ToList();
        var result = new JsonObject { ["list"] = new JsonArray([.. page.Select(id => JsonValue.Create(id))]) };
        if (start + page.Count < all.Count)
        {
            result["nextToken"] = (start + page.Count).ToString(CultureInfo.InvariantCulture);
        }

        return DingTalkApi.Ok(new() { ["success"] = true, ["result"] = result });
    }

    private static SandboxAnswer GetInstance(SandboxCall call)
    {
        var id = call.Query["processInstanceId"].ToString();
        var tasks = Accounts(call).SelectMany(account => account.Approvals.Where(approval => approval.InstanceId == id).Select(approval => new JsonObject
        {
            ["taskId"] = approval.TaskId, ["userId"] = account.UserId, ["status"] = "RUNNING", ["activityId"] = "sandbox",
        })).ToArray();
        return tasks.Length == 0
            ? DingTalkApi.Error(call.World, 400, "processInstanceNotExist", "审批实例不存在")
            : DingTalkApi.Ok(new() { ["success"] = true, ["result"] = new JsonObject { ["status"] = "RUNNING", ["tasks"] = new JsonArray([.. tasks]) } });
    }

    private static SandboxAnswer Redirect(SandboxCall call)
    {
        var owner = DingTalkApi.Member(call, Text(call, "operateUserId"));
        var heir = DingTalkApi.Member(call, Text(call, "toUserId"));
        if (owner is null || heir is null || call.Number("taskId") is not { } id
            || owner.DingTalk!.Approvals.FirstOrDefault(approval => approval.TaskId == id) is not { } task)
        {
            return DingTalkApi.Error(call.World, 400, "invalidParameter", "参数错误");
        }

        call.Mutate(owner, before => before.WithDingTalk(account => account with { Approvals = account.Approvals.Remove(task) }));
        call.Mutate(heir, before => before.WithDingTalk(account => account with { Approvals = account.Approvals.Add(task with { TaskId = task.TaskId + 1_000_000 }) }));
        return DingTalkApi.Ok(new() { ["success"] = true, ["result"] = true });
    }

    private static SandboxAnswer StartLeave(SandboxCall call, SandboxPerson person)
    {
        if (call.Number("lastWorkDate") is null || Texts(call, "terminationReason").Count == 0)
        {
            return Missing(call, "lastWorkDate, terminationReason");
        }

        call.Mutate(person, static before => before.WithDingTalk(account => account with { PendingLeave = true }));
        return DingTalkApi.Ok(new() { ["success"] = true, ["result"] = true });
    }

    private static SandboxAnswer RevokeLeave(SandboxCall call, SandboxPerson person)
    {
        call.Mutate(person, static before => before.WithDingTalk(account => account with { PendingLeave = false }));
        return DingTalkApi.Ok(new() { ["success"] = true, ["result"] = true });
    }

    private static SandboxAnswer DismissionInfos(SandboxCall call) => DingTalkApi.Ok(new()
    {
        ["result"] = new JsonArray([.. Queried(call).Select(userId => DingTalkApi.Member(call, userId)).OfType<SandboxPerson>().Select(person => new JsonObject
        {
            ["userId"] = person.DingTalk!.UserId,
            ["status"] = person.DingTalk.PendingLeave || person.DingTalk.LastWorkDay is not null ? 1 : 3,
            ["lastWorkDay"] = person.DingTalk.LastWorkDay?.ToUnixTimeMilliseconds(),
        })]),
    });

    private static IEnumerable<SandboxDingTalkAccount> Accounts(SandboxCall call) =>
        call.Directory.People.Select(person => person.DingTalk).OfType<SandboxDingTalkAccount>().Where(account => account.Member);

    private static SandboxAnswer Missing(SandboxCall call, string name) => DingTalkApi.Error(call.World, 400, "param.missing", $"缺少参数：{name}");

    private static string? Text(SandboxCall call, string name) =>
        call.Body?[name] is JsonValue value && value.GetValueKind() == JsonValueKind.String && value.GetValue<string>() is { Length: > 0 } text ? text : null;

    private static List<string> Texts(SandboxCall call, string name) =>
        call.Body?[name] is JsonArray list ? [.. list.Select(item => (string?)item).OfType<string>()] : [];

    /// <summary>A list in the query is written as JSON.</summary>
    private static List<string> Queried(SandboxCall call)
    {
        try
        {
            return JsonNode.Parse(call.Query["userIdList"].ToString()) is JsonArray list ? [.. list.Select(item => (string?)item).OfType<string>()] : [];
        }
        catch (JsonException)
        {
            return [];
        }
    }
}
