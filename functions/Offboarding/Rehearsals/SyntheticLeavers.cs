using System.Collections.Immutable;
using System.Globalization;
using DingFlow.Sandbox;

namespace DingFlow.Offboarding.Rehearsals;

/// <summary>An imaginary leaver.</summary>
/// <param name="Kind">What is special: <c>enterprise</c>, <c>ordinary</c>, <c>admin</c>, <c>synced</c>, <c>mainAdmin</c>.</param>
/// <param name="EmployeeId">The imaginary employee number.</param>
internal sealed record SyntheticLeaver(string Kind, string EmployeeId);

/// <summary>Makes leavers of different kinds who hold all that the policy's steps take away, and the people who take over.</summary>
internal static class SyntheticLeavers
{
    private const int First = 900_001;
    private static readonly string[] Kinds = ["enterprise", "ordinary", "admin", "synced", "mainAdmin"];

    /// <summary>Adds so many leavers to a directory.</summary>
    public static IReadOnlyList<SyntheticLeaver> Add(SandboxDirectory directory, OffboardingPlans plans, int people, IReadOnlyList<long> departments)
    {
        var rules = plans.All.SelectMany(plan => plan.Steps).Select(step => step.Rules).ToList();
        var manager = directory.Put(SandboxSeed.Person(Number(0)) with { Name = "Rehearsal manager" });
        foreach (var (heir, i) in rules.Select(r => r.HandOverTo).OfType<string>().Where(to => to != "manager").Distinct(StringComparer.Ordinal).Select((heir, i) => (heir, i)))
        {
            // Whoever the plan names stands in the imaginary directory under the same id, in both systems: only one of them will be asked for.
            var person = SandboxSeed.Person(Number(50_000 + i));
            directory.Put(person with { DingTalk = person.DingTalk! with { UserId = heir }, Entra = person.Entra! with { ObjectId = heir } });
        }

        var leavers = new List<SyntheticLeaver>();
        for (var i = 0; i < people; i++)
        {
            var leaver = new SyntheticLeaver(Kinds[i % Kinds.Length], Number(i + 1));
            directory.Put(Equip(SandboxSeed.Person(leaver.EmployeeId), leaver.Kind, manager, rules, departments, i + 1));
            leavers.Add(leaver);
        }

        return leavers;
    }

    private static string Number(int offset) => string.Create(CultureInfo.InvariantCulture, $"E{First + offset}");

    private static SandboxPerson Equip(
        SandboxPerson person, string kind, SandboxPerson manager, IReadOnlyList<StepRules> rules, IReadOnlyList<long> departments, int number)
    {
        var codes = rules.SelectMany(r => r.ProcessCodes ?? []).Distinct(StringComparer.Ordinal);
        return person with
        {
            Name = $"Rehearsal {kind} {number}",
            DingTalk = person.DingTalk! with
            {
                Kind = kind == "ordinary" ? SandboxAccountKind.Ordinary : SandboxAccountKind.Enterprise,
                Administrator = kind switch { "mainAdmin" => SandboxAdministrator.Main, "admin" => SandboxAdministrator.Sub, _ => SandboxAdministrator.None },
                ManagementGroups = kind == "admin" ? ["rehearsal-administrators"] : [],
                DepartmentIds = departments.Count > 0 ? [.. departments] : person.DingTalk.DepartmentIds,
                RoleIds = [11, 12],
                TrustedDevices = kind == "ordinary" ? [] : [new(number * 10, "Mac"), new((number * 10) + 1, "Android")],
                SceneGroups = [.. rules.SelectMany(r => r.Groups ?? []).Distinct(StringComparer.Ordinal)],
                Approvals = [.. codes.Select((code, i) => new SandboxApproval(code, $"rehearsal-{number}-{i}", (number * 1000) + i))],
                ManagerUserId = manager.DingTalk!.UserId,
            },
            Entra = person.Entra! with
            {
                OnPremisesSyncEnabled = kind == "synced",
                Groups = ["All staff", "VPN", "Branch file share", "Newsletter", .. kind == "admin" ? ["Helpdesk administrators"] : ImmutableArray<string>.Empty],
                DirectoryRoles = kind is "admin" or "mainAdmin" ? ["User Administrator"] : [],
                AppRoles = [new("Expenses", "Approver"), new("Intranet", "Reader", "All staff")],
                Licenses = [new("ENTERPRISEPACK") { DisabledPlans = ["YAMMER_ENTERPRISE"] }, new("FLOW_FREE", "All staff")],
                Devices = [new($"rehearsal-notebook-{number}"), new($"rehearsal-desktop-{number}", OnPremises: true)],
                Owns = [$"group/Rehearsal project {number}"],
                ManagerId = manager.Entra!.ObjectId,
            },
        };
    }
}

/// <summary>What a person of the sandbox may do, one line each: the truth of the directory, whatever the case says.</summary>
internal static class SandboxPermissions
{
    /// <summary>The permissions, in order.</summary>
    public static IReadOnlyList<string> Of(SandboxPerson person)
    {
        var all = new List<string>();
        if (person.DingTalk is { Member: true } dingTalk)
        {
            Add(all, "dingtalk.signIn", !dingTalk.Disabled);
            Add(all, "dingtalk.sessions", dingTalk.Sessions > 0);
            Add(all, $"dingtalk.administrator: {dingTalk.Administrator}", dingTalk.Administrator != SandboxAdministrator.None);
            all.AddRange(dingTalk.RoleIds.Select(role => $"dingtalk.role: {SandboxDirectory.Roles.FirstOrDefault(known => known.Id == role)?.Name ?? "?"}"));
            all.AddRange(dingTalk.TrustedDevices.Select(device => $"dingtalk.trustedDevice: {device.Platform} {device.Id}"));
            all.AddRange(dingTalk.SceneGroups.Select(group => $"dingtalk.group: {group}"));
            all.AddRange(dingTalk.Approvals.Select(approval => $"dingtalk.approval: {approval.ProcessCode} {approval.InstanceId}"));
        }

        if (person.Entra is { DeletedAt: null } entra)
        {
            Add(all, "entra.signIn", entra.AccountEnabled);
            Add(all, "entra.sessions", entra.Sessions > 0);
            all.AddRange(entra.DirectoryRoles.Select(role => $"entra.directoryRole: {role}"));
            all.AddRange(entra.AppRoles.Select(role => $"entra.appRole: {role.Application} {role.Role}"));
            all.AddRange(entra.Groups.Select(group => $"entra.group: {group}"));
            all.AddRange(entra.Licenses.Select(license => $"entra.license: {license.Sku}"));
            all.AddRange(entra.Devices.Where(device => device.Enabled).Select(device => $"entra.device: {device.Name}"));
            all.AddRange(entra.Owns.Select(owned => $"entra.owns: {owned}"));
        }

        return all;
    }

    private static void Add(List<string> all, string permission, bool held)
    {
        if (held)
        {
            all.Add(permission);
        }
    }
}
