using DingFlow.DingTalk;
using DingFlow.Remote;

namespace DingFlow.Offboarding;

/// <summary>What the access steps of DingTalk share.</summary>
internal static class DingTalkAccess
{
    /// <summary>The plan keeps it, by id or by name.</summary>
    public static StepChange Held(StepRules rules, string id, string? name, string? kept = null, IReadOnlyDictionary<string, string>? data = null)
    {
        var reason = kept ?? (rules.Keep?.Any(k => k.Equals(id, StringComparison.OrdinalIgnoreCase) || k.Equals(name, StringComparison.OrdinalIgnoreCase)) == true
            ? "the plan keeps it"
            : null);
        return new()
        {
            Id = id,
            Name = name is { Length: > 60 } ? name[..60] : name,
            State = reason is null ? ChangeState.Planned : ChangeState.Kept,
            Note = reason,
            Data = data is { Count: > 0 } ? data : null,
        };
    }
}

/// <summary><c>dingtalk.admin</c>: the groups of sub-administrators. DingTalk has no call that dismisses a main administrator.</summary>
internal sealed class DingTalkAdminStep(DingTalkClients clients) : IAccessStep
{
    private const int Main = 1;

    public string Id => "dingtalk.admin";

    public async Task<AccessList> ListAsync(CaseAccount account, StepRules rules, CancellationToken cancellationToken)
    {
        var client = clients[account.Tenant!];
        var level = await client.GetAdministratorLevelAsync(account.AccountId!, cancellationToken);
        if (!level.IsOk || level.Value == 0)
        {
            return new(level, []);
        }

        if (level.Value == Main)
        {
            return new(level, []) { Blocked = "The person is a main administrator: hand the organisation over to somebody else first, then retry." };
        }

        var groups = await client.ListManagementGroupsAsync(cancellationToken);
        if (!groups.IsOk)
        {
            return AccessList.Failed(groups);
        }

        var held = groups.Value!.Where(g => g.MemberIds.Contains(account.AccountId!)).Select(g => DingTalkAccess.Held(rules, g.Id, g.Name)).ToList();
        return new(groups, held) { Blocked = held.Count == 0 ? "The person is a sub-administrator by no group that DingTalk lists: dismiss the person by hand." : null };
    }

    public Task<StepResult> TakeAsync(CaseAccount account, StepChange held, StepRules rules, CancellationToken cancellationToken) =>
        ChangeAsync(account, held.Id, add: false, "The person was taken out of a group of administrators.", cancellationToken);

    public Task<StepResult>? GiveBackAsync(CaseAccount account, StepChange taken, StepRules rules, CancellationToken cancellationToken) =>
        ChangeAsync(account, taken.Id, add: true, "The person is in the group of administrators again.", cancellationToken);

    /// <summary>The members can only be set as a whole: they are read as late as possible, and the reading after it finds a lost update.</summary>
    private async Task<StepResult> ChangeAsync(CaseAccount account, string groupId, bool add, string done, CancellationToken cancellationToken)
    {
        var client = clients[account.Tenant!];
        var groups = await client.ListManagementGroupsAsync(cancellationToken);
        if (!groups.IsOk)
        {
            return StepResult.Of(groups, done);
        }

        if (groups.Value!.FirstOrDefault(g => g.Id == groupId) is not { } group)
        {
            return add && groups.Value!.Count > 0
                ? new(StepOutcome.Failed, "The group of administrators is no longer there.")
                : StepResult.Of(await client.SetManagementGroupMembersAsync(groupId, add ? [account.AccountId!] : [], cancellationToken), done);
        }

        var others = group.MemberIds.Where(id => id != account.AccountId);
        return StepResult.Of(await client.SetManagementGroupMembersAsync(groupId, add ? [.. others, account.AccountId!] : others, cancellationToken), done);
    }
}

/// <summary><c>dingtalk.roles</c>: the organisation's roles.</summary>
internal sealed class DingTalkRolesStep(DingTalkClients clients) : IAccessStep
{
    /// <summary>The group of DingTalk's own roles, by its names in the languages that the interface speaks.</summary>
    private static readonly string[] OwnGroups = ["默认", "預設", "Default"];

    public string Id => "dingtalk.roles";

    public async Task<AccessList> ListAsync(CaseAccount account, StepRules rules, CancellationToken cancellationToken)
    {
        var user = await clients[account.Tenant!].GetUserAsync(account.AccountId!, cancellationToken);
        return new(user, [.. (user.Value?.Roles ?? []).Select(role => DingTalkAccess.Held(
            rules, role.Id.ToString(System.Globalization.CultureInfo.InvariantCulture), role.Name,
            OwnGroups.Contains(role.Group) ? "it follows from being an administrator or a head of department" : null))]);
    }

    public async Task<StepResult> TakeAsync(CaseAccount account, StepChange held, StepRules rules, CancellationToken cancellationToken) =>
        StepResult.Of(await clients[account.Tenant!].RemoveRoleAsync(account.AccountId!, held.Id, cancellationToken), "The role was taken away.");

    public async Task<StepResult>? GiveBackAsync(CaseAccount account, StepChange taken, StepRules rules, CancellationToken cancellationToken) =>
        StepResult.Of(await clients[account.Tenant!].AddRoleAsync(account.AccountId!, taken.Id, cancellationToken), "The role was given back.");
}

/// <summary><c>dingtalk.trustedDevices</c>: removed with <c>kickOff</c>.</summary>
internal sealed class DingTalkDevicesStep(DingTalkClients clients) : IAccessStep
{
    public string Id => "dingtalk.trustedDevices";

    public async Task<AccessList> ListAsync(CaseAccount account, StepRules rules, CancellationToken cancellationToken)
    {
        var devices = await clients[account.Tenant!].ListTrustedDevicesAsync(account.AccountId!, cancellationToken);
        return new(devices, [.. (devices.Value ?? []).Select(device => DingTalkAccess.Held(rules, device.Id, device.Platform))]);
    }

    public async Task<StepResult> TakeAsync(CaseAccount account, StepChange held, StepRules rules, CancellationToken cancellationToken) =>
        StepResult.Of(await clients[account.Tenant!].RemoveTrustedDeviceAsync(account.AccountId!, held.Id, cancellationToken), "The device was removed and signed out.");

    public Task<StepResult>? GiveBackAsync(CaseAccount account, StepChange taken, StepRules rules, CancellationToken cancellationToken) => null;
}

/// <summary><c>dingtalk.groups</c>: the scene groups that the plan names.</summary>
internal sealed class DingTalkGroupsStep(DingTalkClients clients) : IAccessStep
{
    public string Id => "dingtalk.groups";

    public async Task<AccessList> ListAsync(CaseAccount account, StepRules rules, CancellationToken cancellationToken)
    {
        var held = new List<StepChange>();
        RemoteResult last = new(RemoteStatus.Ok);
        foreach (var group in rules.Groups ?? [])
        {
            var member = await clients[account.Tenant!].IsInSceneGroupAsync(account.AccountId!, group, cancellationToken);
            if (!member.IsOk)
            {
                return AccessList.Failed(member);
            }

            last = member;
            if (member.Value)
            {
                held.Add(DingTalkAccess.Held(rules, group, null));
            }
        }

        return new(last, held);
    }

    public async Task<StepResult> TakeAsync(CaseAccount account, StepChange held, StepRules rules, CancellationToken cancellationToken) =>
        StepResult.Of(await clients[account.Tenant!].RemoveFromSceneGroupAsync(account.AccountId!, held.Id, cancellationToken), "The person was taken out of the group.");

    public async Task<StepResult>? GiveBackAsync(CaseAccount account, StepChange taken, StepRules rules, CancellationToken cancellationToken) =>
        StepResult.Of(await clients[account.Tenant!].AddToSceneGroupAsync(account.AccountId!, taken.Id, cancellationToken), "The person is in the group again.");
}

/// <summary><c>dingtalk.approvals</c>: tasks of running requests of the forms that the plan names, begun in the last 120 days.</summary>
internal sealed class DingTalkApprovalsStep(DingTalkClients clients, TimeProvider time) : IAccessStep
{
    /// <summary>The longest look back that DingTalk allows.</summary>
    private static readonly TimeSpan LookBack = TimeSpan.FromDays(120);

    public string Id => "dingtalk.approvals";

    public async Task<AccessList> ListAsync(CaseAccount account, StepRules rules, CancellationToken cancellationToken)
    {
        var client = clients[account.Tenant!];
        var tasks = new List<DingTalkApprovalTask>();
        RemoteResult last = new(RemoteStatus.Ok);
        foreach (var code in rules.ProcessCodes ?? [])
        {
            var found = await client.ListApprovalTasksAsync(account.AccountId!, code, time.GetUtcNow() - LookBack, cancellationToken);
            if (!found.IsOk)
            {
                return AccessList.Failed(found);
            }

            last = found;
            tasks.AddRange(found.Value!);
        }

        if (tasks.Count == 0)
        {
            return new(last, []);
        }

        var heir = rules.HandOverTo;
        if (heir == "manager")
        {
            var user = await client.GetUserAsync(account.AccountId!, cancellationToken);
            if (!user.IsOk)
            {
                return AccessList.Failed(user);
            }

            heir = user.Value!.ManagerUserId;
        }

        return new(last, [.. tasks.Select(task => DingTalkAccess.Held(
            rules, task.TaskId, null, null, heir is null ? null : new Dictionary<string, string> { ["instance"] = task.InstanceId, ["to"] = heir }))])
        {
            Blocked = heir is null || heir == account.AccountId ? "Approvals wait for the person, and DingTalk knows no manager to hand them over to." : null,
        };
    }

    public async Task<StepResult> TakeAsync(CaseAccount account, StepChange held, StepRules rules, CancellationToken cancellationToken) => StepResult.Of(
        await clients[account.Tenant!].RedirectTaskAsync(held.Id, account.AccountId!, held.Data!["to"], cancellationToken), "The approval was handed over.");

    public Task<StepResult>? GiveBackAsync(CaseAccount account, StepChange taken, StepRules rules, CancellationToken cancellationToken) => null;
}

/// <summary><c>dingtalk.hrPendingLeave</c>: the mark in DingTalk's HR. Being without it counts as something held.</summary>
internal sealed class DingTalkPendingLeaveStep(DingTalkClients clients, TimeProvider time) : IAccessStep
{
    public string Id => "dingtalk.hrPendingLeave";

    public async Task<AccessList> ListAsync(CaseAccount account, StepRules rules, CancellationToken cancellationToken)
    {
        var leaving = await clients[account.Tenant!].IsLeavingAsync(account.AccountId!, cancellationToken);
        return new(leaving, leaving is { IsOk: true, Value: false } ? [DingTalkAccess.Held(rules, "employment", null)] : []);
    }

    public async Task<StepResult> TakeAsync(CaseAccount account, StepChange held, StepRules rules, CancellationToken cancellationToken) => StepResult.Of(
        await clients[account.Tenant!].StartPendingLeaveAsync(account.AccountId!, time.GetUtcNow(), rules.Reasons ?? [], cancellationToken),
        "DingTalk's HR shows the person as about to leave.");

    public async Task<StepResult>? GiveBackAsync(CaseAccount account, StepChange taken, StepRules rules, CancellationToken cancellationToken) =>
        StepResult.Of(await clients[account.Tenant!].RevokePendingLeaveAsync(account.AccountId!, cancellationToken), "DingTalk's HR no longer shows the person as about to leave.");
}
