using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Remote;

namespace DingFlow.Offboarding.Rehearsals;

/// <summary>
/// What the real tenants lack for a policy, found by readings alone. They ask for somebody who does not exist, or for things that are
/// nobody's: no real person is touched or named.
/// </summary>
public sealed class LiveCheck(DingTalkClients clients, EntraDirectory entra, OffboardingPlans plans, TimeProvider time)
{
    private const string Nobody = "dingflow-rehearsal-nobody";

    /// <summary>What each directory permission of Graph includes, beside itself: a wider one does as well.</summary>
    private static readonly Dictionary<string, string[]> Wider = new(StringComparer.Ordinal)
    {
        ["User.Read.All"] = ["User.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"],
        ["User.EnableDisableAccount.All"] = ["User.ReadWrite.All", "Directory.ReadWrite.All"],
        ["User.RevokeSessions.All"] = ["User.ReadWrite.All", "Directory.ReadWrite.All"],
        ["GroupMember.ReadWrite.All"] = ["Group.ReadWrite.All", "Directory.ReadWrite.All"],
        ["Group.ReadWrite.All"] = ["Directory.ReadWrite.All"],
        ["Directory.Read.All"] = ["Directory.ReadWrite.All"],
        ["LicenseAssignment.ReadWrite.All"] = ["User.ReadWrite.All", "Directory.ReadWrite.All"],
        ["Device.ReadWrite.All"] = ["Directory.ReadWrite.All"],
    };

    /// <summary>Reads which reading shows a Graph permission, for directories whose token does not say.</summary>
    private static readonly Dictionary<string, string> Readings = new(StringComparer.Ordinal)
    {
        ["GroupMember.ReadWrite.All"] = "groups?$top=1&$select=id",
        ["Group.ReadWrite.All"] = "groups?$top=1&$select=id",
        ["RoleManagement.ReadWrite.Directory"] = "roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'00000000-0000-0000-0000-000000000000'",
        ["AppRoleAssignment.ReadWrite.All"] = "servicePrincipals?$top=1&$select=id",
        ["Application.ReadWrite.All"] = "applications?$top=1&$select=id",
        ["Device.ReadWrite.All"] = "devices?$top=1&$select=id",
        ["Directory.Read.All"] = "groups?$top=1&$select=id",
        ["LicenseAssignment.ReadWrite.All"] = "subscribedSkus?$select=id,skuPartNumber",
    };

    /// <summary>What licences and editions mean for the steps: Entra's subscriptions, and the DingTalk editions that steps need.</summary>
    public async Task<IReadOnlyList<LiveFinding>> LicencesAsync(IReadOnlyList<LiveFinding> permissions, CancellationToken cancellationToken)
    {
        var licences = new List<LiveFinding>();
        foreach (var tenant in clients.Tenants.Select(static t => $"dingtalk/{t}"))
        {
            licences.AddRange(plans.All.SelectMany(static plan => plan.Steps).Select(static step => step.Step)
                .Where(static step => step is { Target: FreezeTarget.DingTalk, Needs: not null }).GroupBy(static step => step.Needs!).Select(needing =>
                {
                    var asked = permissions.Where(f => f.System == tenant && f.Steps.Intersect(needing.Select(static s => s.Id)).Any()).ToList();
                    var verdict = asked.Exists(f => f.Verdict == LiveVerdict.Missing && f.Detail.Contains(needing.Key, StringComparison.Ordinal)) ? LiveVerdict.Missing : LiveVerdict.NotProvable;
                    return new LiveFinding(
                        tenant, needing.Key, [.. needing.Select(static s => s.Id).Distinct()], verdict,
                        verdict == LiveVerdict.Missing ? asked.First(f => f.Verdict == LiveVerdict.Missing).Detail : "DingTalk tells of no edition; a question about nobody does not prove it.");
                }));
        }

        if (entra.IsConfigured)
        {
            licences.AddRange(LiveLicences.Of(plans, await entra.ListSubscriptionsAsync(cancellationToken)));
        }

        return licences;
    }

    /// <summary>Each step of the plans and how it stands in the real tenants: the worst of what it needs.</summary>
    public IReadOnlyList<LiveStep> Steps(IReadOnlyList<LiveFinding> permissions) =>
    [
        .. plans.All.SelectMany(static plan => plan.Steps).Select(static step => step.Step).DistinctBy(static step => step.Id)
            .SelectMany(step => permissions.Where(f => f.Steps.Contains(step.Id)).GroupBy(static f => f.System)
                .Select(found => new LiveStep(step.Id, found.Key, found.MaxBy(static f => Weight(f.Verdict))!.Verdict))),
    ];

    private static int Weight(LiveVerdict verdict) => verdict switch
    {
        LiveVerdict.Granted => 0, LiveVerdict.NotProvable => 1, LiveVerdict.Unreachable => 2, _ => 3,
    };

    /// <summary>Asks every real tenant.</summary>
    public async Task<IReadOnlyList<LiveFinding>> RunAsync(CancellationToken cancellationToken)
    {
        var findings = new List<LiveFinding>();
        foreach (var tenant in clients.Tenants)
        {
            findings.AddRange(await DingTalkAsync(clients[tenant], cancellationToken));
        }

        if (entra.IsConfigured)
        {
            findings.AddRange(await EntraAsync(cancellationToken));
        }

        return findings;
    }

    private async Task<IEnumerable<LiveFinding>> DingTalkAsync(DingTalkClient client, CancellationToken cancellationToken)
    {
        var steps = plans.All.SelectMany(plan => plan.Steps).Where(step => step.Step.Target == FreezeTarget.DingTalk).GroupBy(step => step.Step.Id).Select(group => group.First());
        var findings = new List<LiveFinding>
        {
            Of(client, "qyapi_get_department_list", ["lookUp"], await client.ListSubDepartmentsAsync(DingTalkClient.RootDepartment, cancellationToken)),
            Of(client, "qyapi_get_member", ["lookUp"], await client.GetUserAsync(Nobody, cancellationToken)),
        };
        foreach (var step in steps)
        {
            var reading = step.Step.Id switch
            {
                "dingtalk.disable" => await client.IsAccountDisabledAsync(Nobody, cancellationToken),
                "dingtalk.admin" => await FirstFailureAsync(
                    await client.GetAdministratorLevelAsync(Nobody, cancellationToken), async () => await client.ListManagementGroupsAsync(cancellationToken)),
                "dingtalk.trustedDevices" => await client.ListTrustedDevicesAsync(Nobody, cancellationToken),
                "dingtalk.groups" => await client.IsInSceneGroupAsync(Nobody, step.Rules.Groups![0], cancellationToken),
                "dingtalk.approvals" => await client.ListApprovalTasksAsync(Nobody, step.Rules.ProcessCodes![0], time.GetUtcNow() - TimeSpan.FromMinutes(1), cancellationToken),
                "dingtalk.hrPendingLeave" => await client.IsLeavingAsync(Nobody, cancellationToken),
                _ => (RemoteResult?)null,
            };
            var permissions = string.Join(", ", step.Step.Permissions);
            if (step.Step.Id == "dingtalk.signOut")
            {
                continue; // The same permission as for dingtalk.disable.
            }

            findings.Add(reading is null
                ? new(Name(client), permissions, [step.Step.Id], LiveVerdict.NotProvable, "Only a change would show it; look it up in the developer console.")
                : Of(client, permissions, [step.Step.Id], reading, step.Step.Needs));
            if (reading is { IsOk: true } or { Status: RemoteStatus.NotFound } && step.Step.Permissions.Count > 1 && step.Step.Id is not "dingtalk.disable")
            {
                findings.Add(new(Name(client), permissions, [step.Step.Id], LiveVerdict.NotProvable, "It can be read; whether it may be changed only a change would show."));
            }
        }

        return findings;
    }

    private static async Task<RemoteResult> FirstFailureAsync(RemoteResult first, Func<Task<RemoteResult>> second) => first.IsOk ? await second() : first;

    private async Task<IEnumerable<LiveFinding>> EntraAsync(CancellationToken cancellationToken)
    {
        var needed = plans.Permissions(FreezeTarget.Entra);
        var granted = await entra.GrantedPermissionsAsync(cancellationToken);
        if (granted is { IsOk: true, Value: { } roles })
        {
            return needed.Select(permission => roles.Contains(permission.Key) || Wider.GetValueOrDefault(permission.Key)?.Any(roles.Contains) == true
                ? new LiveFinding("entra", permission.Key, permission.Value, LiveVerdict.Granted, "The access token lists it, or a wider one.")
                : new LiveFinding("entra", permission.Key, permission.Value, LiveVerdict.Missing, "The access token does not list it."));
        }

        if (!granted.IsOk)
        {
            return needed.Select(permission => new LiveFinding("entra", permission.Key, permission.Value, LiveVerdict.Unreachable, RemoteText.Of(granted)));
        }

        var findings = new List<LiveFinding>();
        foreach (var (permission, steps) in needed)
        {
            var reading = permission == "User.Read.All" ? await entra.FindAsync(Nobody, null, cancellationToken)
                : Readings.TryGetValue(permission, out var path) ? await entra.ProbeAsync(path, permission, cancellationToken)
                : (RemoteResult?)null;
            findings.Add(reading switch
            {
                null => new("entra", permission, steps, LiveVerdict.NotProvable, "Only a change would show it."),
                { IsOk: true } when permission == "User.Read.All" => new("entra", permission, steps, LiveVerdict.Granted, "The search for nobody was let through."),
                { IsOk: true } => new("entra", permission, steps, LiveVerdict.NotProvable, "It can be read; whether it may be changed only a change would show."),
                { Status: RemoteStatus.Denied } => new("entra", permission, steps, LiveVerdict.Missing, $"Even reading was refused: {RemoteText.Of(reading)}."),
                _ => new("entra", permission, steps, LiveVerdict.Unreachable, RemoteText.Of(reading)),
            });
        }

        return findings;
    }

    /// <summary>That nobody of that name is known means that the question was allowed.</summary>
    private static LiveFinding Of(DingTalkClient client, string permission, IReadOnlyList<string> steps, RemoteResult reading, string? needs = null) => new(
        Name(client), reading.MissingScopes.Count > 0 ? string.Join(", ", reading.MissingScopes) : permission, steps,
        reading.Status switch
        {
            RemoteStatus.Ok or RemoteStatus.NotFound or RemoteStatus.NotApplicable => LiveVerdict.Granted,
            RemoteStatus.Denied => LiveVerdict.Missing,
            RemoteStatus.Rejected or RemoteStatus.Unexpected when needs is not null => LiveVerdict.Missing,
            RemoteStatus.Rejected => LiveVerdict.Granted,
            _ => LiveVerdict.Unreachable,
        },
        reading.Status switch
        {
            RemoteStatus.Ok or RemoteStatus.NotFound or RemoteStatus.NotApplicable or RemoteStatus.Rejected when needs is null || reading.Status != RemoteStatus.Rejected => "The question about nobody was let through.",
            RemoteStatus.Rejected or RemoteStatus.Unexpected when needs is not null => $"{RemoteText.Of(reading)}: the organisation may lack {needs}.",
            _ => RemoteText.Of(reading),
        });

    private static string Name(DingTalkClient client) => $"dingtalk/{client.Tenant}";
}
