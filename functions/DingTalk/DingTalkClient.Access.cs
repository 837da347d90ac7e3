using System.Globalization;
using DingFlow.Remote;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>
/// What a person may do in DingTalk: roles, administrators' groups, trusted devices, scene groups, approvals, the HR record. Calls that
/// have no page in open.dingtalk.com's reference and are known from the official SDK only say so.
/// </summary>
public sealed partial class DingTalkClient
{
    private const int PageOfMembers = 100;
    private const int PageOfInstances = 20;
    private const int MaxPages = 50;

    /// <summary>Takes a role from a person (<c>topapi/role/removerolesforemps</c>).</summary>
    public Task<RemoteResult> RemoveRoleAsync(string userId, string roleId, CancellationToken cancellationToken) =>
        ChangeRolesAsync("removerolesforemps", userId, roleId, cancellationToken);

    /// <summary>Gives a role to a person (<c>topapi/role/addrolesforemps</c>).</summary>
    public Task<RemoteResult> AddRoleAsync(string userId, string roleId, CancellationToken cancellationToken) =>
        ChangeRolesAsync("addrolesforemps", userId, roleId, cancellationToken);

    /// <summary>Whether somebody is the main administrator (1), a sub-administrator (2) or none (<c>topapi/user/listadmin</c>).</summary>
    public Task<RemoteResult<int>> GetAdministratorLevelAsync(string userId, CancellationToken cancellationToken) => _transport.SendAsync<int>(
        new DingTalkCall("/topapi/user/listadmin", []) { Legacy = true, AnswerBytes = ContactPageBytes },
        body => DingTalkErrors.Field(body, "result") is JArray administrators
            ? new(administrators.Where(a => Text(DingTalkErrors.Field(a, "userid")) == userId)
                .Select(static a => (int)(Number(DingTalkErrors.Field(a, "sys_level")) ?? 2)).DefaultIfEmpty(0).Min())
            : null,
        cancellationToken);

    /// <summary>All groups of administrators (<c>contact/managementGroups</c>; SDK only).</summary>
    public async Task<RemoteResult<IReadOnlyList<DingTalkManagementGroup>>> ListManagementGroupsAsync(CancellationToken cancellationToken)
    {
        var groups = new List<DingTalkManagementGroup>();
        string? cursor = null;
        for (var page = 0; page < MaxPages; page++)
        {
            var answer = await _transport.SendAsync<(List<DingTalkManagementGroup> Groups, string? Next)>(
                new DingTalkCall("/v1.0/contact/managementGroups", null)
                {
                    Query = cursor is null ? [("maxResults", "100")] : [("maxResults", "100"), ("nextToken", cursor)], AnswerBytes = ContactPageBytes,
                },
                static body => DingTalkErrors.Field(body, "groups") is JArray list
                    ? new(([.. list.Select(ReadManagementGroup).OfType<DingTalkManagementGroup>()], NextOf(body)))
                    : null,
                cancellationToken);
            if (!answer.IsOk)
            {
                return RemoteResult<IReadOnlyList<DingTalkManagementGroup>>.From(answer);
            }

            groups.AddRange(answer.Value.Groups);
            if (answer.Value.Next is not { } next)
            {
                return new(RemoteStatus.Ok, groups) { RequestId = answer.RequestId };
            }

            cursor = next;
        }

        return new(RemoteStatus.Unexpected, null) { Code = "endless-pages" };
    }

    /// <summary>Sets the members of a group of administrators (<c>PUT contact/managementGroups/{groupId}</c>; SDK only).</summary>
    public async Task<RemoteResult> SetManagementGroupMembersAsync(string groupId, IEnumerable<string> userIds, CancellationToken cancellationToken) => Plain(
        await _transport.SendAsync<bool>(
            new DingTalkCall($"/v1.0/contact/managementGroups/{Uri.EscapeDataString(Id(groupId))}", new()
            {
                ["members"] = new JArray(userIds.Select(static id => new JObject { ["memberId"] = id, ["memberType"] = "user" })),
            })
            {
                Method = HttpMethod.Put, Route = "/v1.0/contact/managementGroups/{groupId}",
            },
            static _ => new(true), cancellationToken));

    /// <summary>A person's trusted devices (<c>exclusive/trustedDevices/query</c>); DingTalk's exclusive edition only.</summary>
    public Task<RemoteResult<IReadOnlyList<DingTalkTrustedDevice>>> ListTrustedDevicesAsync(string userId, CancellationToken cancellationToken) =>
        _transport.SendAsync<IReadOnlyList<DingTalkTrustedDevice>>(
            new DingTalkCall("/v1.0/exclusive/trustedDevices/query", new()
            {
                ["userIds"] = new JArray(Id(userId)), ["pageNumber"] = 1, ["pageSize"] = PageOfMembers,
            }),
            static body => DingTalkErrors.Field(body, "data", "trustedDevices", "result") is JArray devices
                ? new([.. devices.Select(static d => Text(DingTalkErrors.Field(d, "id")) is { } id
                    ? new DingTalkTrustedDevice(id, Text(DingTalkErrors.Field(d, "platform"))) : null).OfType<DingTalkTrustedDevice>()])
                : null,
            cancellationToken);

    /// <summary>Removes a trusted device and signs the account out everywhere (<c>exclusive/trustedDevices/remove</c> with <c>kickOff</c>).</summary>
    public Task<RemoteResult> RemoveTrustedDeviceAsync(string userId, string deviceId, CancellationToken cancellationToken) => SucceedAsync(
        new DingTalkCall("/v1.0/exclusive/trustedDevices/remove", new()
        {
            ["userId"] = Id(userId), ["id"] = long.TryParse(deviceId, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : deviceId, ["kickOff"] = true,
        }),
        cancellationToken);

    /// <summary>Whether somebody is a member of a scene group (<c>im/sceneGroups/members/batchQuery</c>).</summary>
    public async Task<RemoteResult<bool>> IsInSceneGroupAsync(string userId, string openConversationId, CancellationToken cancellationToken)
    {
        string? cursor = null;
        for (var page = 0; page < MaxPages; page++)
        {
            var body = new JObject { ["openConversationId"] = Id(openConversationId), ["maxResults"] = PageOfMembers };
            if (cursor is not null)
            {
                body["nextToken"] = cursor;
            }

            var answer = await _transport.SendAsync<(HashSet<string> Members, string? Next)>(
                new DingTalkCall("/v1.0/im/sceneGroups/members/batchQuery", body) { AnswerBytes = ContactPageBytes },
                static found => DingTalkErrors.Field(found, "memberUserIds") is JArray members
                    ? new(([.. members.Select(Text).OfType<string>()], NextOf(found)))
                    : null,
                cancellationToken);
            if (!answer.IsOk)
            {
                return RemoteResult<bool>.From(answer);
            }

            if (answer.Value.Members.Contains(userId) || answer.Value.Next is null)
            {
                return new(RemoteStatus.Ok, answer.Value.Members.Contains(userId)) { RequestId = answer.RequestId };
            }

            cursor = answer.Value.Next;
        }

        return new(RemoteStatus.Unexpected, false) { Code = "endless-pages" };
    }

    /// <summary>Takes a person out of a scene group (<c>im/sceneGroup/member/delete</c>).</summary>
    public Task<RemoteResult> RemoveFromSceneGroupAsync(string userId, string openConversationId, CancellationToken cancellationToken) =>
        ChangeSceneGroupAsync("delete", userId, openConversationId, cancellationToken);

    /// <summary>Puts a person into a scene group (<c>im/sceneGroup/member/add</c>: the sibling of the documented call, not documented itself).</summary>
    public Task<RemoteResult> AddToSceneGroupAsync(string userId, string openConversationId, CancellationToken cancellationToken) =>
        ChangeSceneGroupAsync("add", userId, openConversationId, cancellationToken);

    /// <summary>
    /// The approvals of one form that wait for a person, among those begun since a time (<c>workflow/processes/instanceIds/query</c>, then
    /// each request). DingTalk lists no tasks of a person.
    /// </summary>
    public async Task<RemoteResult<IReadOnlyList<DingTalkApprovalTask>>> ListApprovalTasksAsync(
        string userId, string processCode, DateTimeOffset since, CancellationToken cancellationToken)
    {
        var tasks = new List<DingTalkApprovalTask>();
        var cursor = "0";
        for (var page = 0; page < MaxPages; page++)
        {
            var answer = await _transport.SendAsync<(List<string> Ids, string? Next)>(
                new DingTalkCall("/v1.0/workflow/processes/instanceIds/query", new()
                {
                    ["processCode"] = processCode,
                    ["startTime"] = since.ToUnixTimeMilliseconds(),
                    ["nextToken"] = long.Parse(cursor, CultureInfo.InvariantCulture),
                    ["maxResults"] = PageOfInstances,
                    ["statuses"] = new JArray("RUNNING"),
                }),
                static body => DingTalkErrors.Field(DingTalkErrors.Field(body, "result"), "list") is JArray list
                    ? new(([.. list.Select(Text).OfType<string>()], Text(DingTalkErrors.Field(DingTalkErrors.Field(body, "result"), "nextToken"))))
                    : null,
                cancellationToken);
            if (!answer.IsOk)
            {
                return RemoteResult<IReadOnlyList<DingTalkApprovalTask>>.From(answer);
            }

            foreach (var instanceId in answer.Value.Ids)
            {
                var instance = await ListTasksOfAsync(instanceId, userId, cancellationToken);
                if (!instance.IsOk)
                {
                    return instance;
                }

                tasks.AddRange(instance.Value!);
            }

            if (answer.Value.Next is not { } next || !next.All(char.IsAsciiDigit))
            {
                return new(RemoteStatus.Ok, tasks) { RequestId = answer.RequestId };
            }

            cursor = next;
        }

        return new(RemoteStatus.Unexpected, null) { Code = "endless-pages" };
    }

    /// <summary>Hands an approval over to somebody else (<c>workflow/tasks/redirect</c>).</summary>
    public Task<RemoteResult> RedirectTaskAsync(string taskId, string fromUserId, string toUserId, CancellationToken cancellationToken) => SucceedAsync(
        new DingTalkCall("/v1.0/workflow/tasks/redirect", new()
        {
            ["taskId"] = long.TryParse(taskId, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : taskId,
            ["toUserId"] = Id(toUserId),
            ["operateUserId"] = Id(fromUserId),
        }),
        cancellationToken);

    /// <summary>Whether DingTalk's HR shows the person as about to leave or as having left (<c>hrm/employees/dimissionInfos</c>).</summary>
    public Task<RemoteResult<bool>> IsLeavingAsync(string userId, CancellationToken cancellationToken) => _transport.SendAsync<bool>(
        new DingTalkCall("/v1.0/hrm/employees/dimissionInfos", null) { Query = [("userIdList", new JArray(Id(userId)).ToString(Newtonsoft.Json.Formatting.None))] },
        static body => DingTalkErrors.Field(body, "result") is JArray people
            ? new(people.Any(static p => Number(DingTalkErrors.Field(p, "status")) is 1 or 2))
            : null,
        cancellationToken);

    /// <summary>Marks the person as about to leave in DingTalk's HR (<c>hrm/pendingDismission/start</c>).</summary>
    /// <param name="userId">The person.</param>
    /// <param name="lastWorkDate">The last working day.</param>
    /// <param name="reasons">Ids of the organisation's reasons of termination; at least one.</param>
    /// <param name="cancellationToken">The caller gives up.</param>
    public Task<RemoteResult> StartPendingLeaveAsync(
        string userId, DateTimeOffset lastWorkDate, IEnumerable<string> reasons, CancellationToken cancellationToken) => SucceedAsync(
        new DingTalkCall("/v1.0/hrm/pendingDismission/start", new()
        {
            ["userId"] = Id(userId), ["lastWorkDate"] = lastWorkDate.ToUnixTimeMilliseconds(), ["terminationReason"] = new JArray(reasons),
        }),
        cancellationToken);

    /// <summary>Takes the mark back (<c>hrm/pendingDismission/revoke</c>).</summary>
    public Task<RemoteResult> RevokePendingLeaveAsync(string userId, CancellationToken cancellationToken) => SucceedAsync(
        new DingTalkCall("/v1.0/hrm/pendingDismission/revoke", new() { ["userId"] = Id(userId) }), cancellationToken);

    private async Task<RemoteResult> ChangeRolesAsync(string verb, string userId, string roleId, CancellationToken cancellationToken) => Plain(
        await _transport.SendAsync<bool>(
            new DingTalkCall($"/topapi/role/{verb}", new() { ["roleIds"] = roleId, ["userIds"] = Id(userId) }) { Legacy = true },
            static body => DingTalkErrors.Field(body, "errcode") is not null ? new(true) : null, cancellationToken));

    private Task<RemoteResult> ChangeSceneGroupAsync(string verb, string userId, string openConversationId, CancellationToken cancellationToken) => SucceedAsync(
        new DingTalkCall($"/v1.0/im/sceneGroup/member/{verb}", new()
        {
            ["open_conversation_id"] = Id(openConversationId), ["user_ids"] = new JArray(Id(userId)),
        }),
        cancellationToken);

    private Task<RemoteResult<IReadOnlyList<DingTalkApprovalTask>>> ListTasksOfAsync(string instanceId, string userId, CancellationToken cancellationToken) =>
        _transport.SendAsync<IReadOnlyList<DingTalkApprovalTask>>(
            new DingTalkCall("/v1.0/workflow/processInstances", null) { Query = [("processInstanceId", instanceId)] },
            body => DingTalkErrors.Field(DingTalkErrors.Field(body, "result"), "tasks") is JArray tasks
                ? new([.. tasks.Where(t => Text(DingTalkErrors.Field(t, "userId")) == userId && Text(DingTalkErrors.Field(t, "status")) == "RUNNING")
                    .Select(t => Text(DingTalkErrors.Field(t, "taskId")) is { } taskId ? new DingTalkApprovalTask(instanceId, taskId) : null)
                    .OfType<DingTalkApprovalTask>()])
                : null,
            cancellationToken);

    /// <summary>A change that answers <c>success</c> or <c>result</c>: what is not true there was not done.</summary>
    private async Task<RemoteResult> SucceedAsync(DingTalkCall call, CancellationToken cancellationToken)
    {
        var result = await _transport.SendAsync<bool>(
            call,
            static answer => DingTalkErrors.Field(answer, "success", "result") is { Type: JTokenType.Boolean } done ? new((bool)done) : null,
            cancellationToken);
        return result is { IsOk: true, Value: false }
            ? new(RemoteStatus.Unexpected) { Code = "result-false", RequestId = result.RequestId }
            : Plain(result);
    }

    private static string? NextOf(JObject body) => Flag(body, "hasMore") ? Text(DingTalkErrors.Field(body, "nextToken")) : null;

    private static DingTalkManagementGroup? ReadManagementGroup(JToken group) => Text(DingTalkErrors.Field(group, "groupId")) is { } id
        ? new(id, Text(DingTalkErrors.Field(group, "groupName")), DingTalkErrors.Field(group, "members") is JArray members
            ? [.. members.Select(static m => Text(DingTalkErrors.Field(m, "memberId"))).OfType<string>()]
            : [])
        : null;

    private static DingTalkRole? ReadRole(JToken role) => Number(DingTalkErrors.Field(role, "id")) is { } id
        ? new(id, Text(DingTalkErrors.Field(role, "name")), Text(DingTalkErrors.Field(role, "group_name")))
        : null;
}
