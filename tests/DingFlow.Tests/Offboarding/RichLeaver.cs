using DingFlow.Offboarding;
using DingFlow.Sandbox;

namespace DingFlow.Tests.Offboarding;

/// <summary>Somebody in the sandbox who holds everything that a step can take away, and the policy that takes it.</summary>
internal static class RichLeaver
{
    public const string Id = "E1002";
    public const string Manager = "E1003";

    /// <summary>Every step there is.</summary>
    public const string FullPolicy = """
        {
          "policy": "full",
          "plans": [
            {
              "name": "everything",
              "steps": [
                { "step": "dingtalk.admin", "acceptUndocumented": true, "critical": true },
                { "step": "dingtalk.roles", "critical": true },
                { "step": "dingtalk.trustedDevices", "critical": true },
                { "step": "dingtalk.groups", "critical": true, "groups": ["cid-project", "cid-other"] },
                { "step": "dingtalk.approvals", "critical": true, "processCodes": ["PROC-LEAVE"], "handOverTo": "manager" },
                { "step": "dingtalk.hrPendingLeave", "critical": true, "reasons": ["personal"] },
                { "step": "entra.directoryRoles", "critical": true },
                { "step": "entra.appRoles", "critical": true },
                { "step": "entra.groups", "critical": true, "keep": ["Alumni"] },
                { "step": "entra.devices", "critical": true },
                { "step": "entra.ownedObjects", "critical": true, "handOverTo": "manager" },
                { "step": "entra.licenses", "critical": true }
              ]
            }
          ]
        }
        """;

    public static Task<OffboardingDriver> StartAsync(string policy = FullPolicy, bool inMemory = false) =>
        OffboardingDriver.StartAsync(new() { ["Offboarding:Plan"] = policy }, inMemory: inMemory).ContinueWith(
            started =>
            {
                Equip(started.Result.Sandbox.Directory);
                return started.Result;
            },
            TestContext.Current.CancellationToken, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);

    public static void Equip(SandboxDirectory directory)
    {
        var manager = directory[Manager];
        directory.Change(Id, person => person with
        {
            DingTalk = person.DingTalk! with
            {
                Administrator = SandboxAdministrator.Sub,
                ManagementGroups = ["mg-1"],
                RoleIds = [11, 12],
                TrustedDevices = [new(71, "Mac"), new(72, "Android")],
                SceneGroups = ["cid-project"],
                Approvals = [new("PROC-LEAVE", "inst-1", 501), new("PROC-LEAVE", "inst-2", 502)],
                ManagerUserId = manager.DingTalk!.UserId,
            },
            Entra = person.Entra! with
            {
                Groups = ["All staff", "VPN", "Branch file share", "Newsletter", "Helpdesk administrators", "Alumni"],
                DirectoryRoles = ["User Administrator"],
                AppRoles = [new("Expenses", "Approver"), new("Intranet", "Reader", "All staff")],
                Licenses = [new("ENTERPRISEPACK") { DisabledPlans = ["YAMMER_ENTERPRISE"] }, new("FLOW_FREE", "All staff")],
                Devices = [new("notebook"), new("old phone", Enabled: false), new("office desktop", OnPremises: true)],
                Owns = ["group/Project X", "application/Expenses"],
                ManagerId = manager.Entra!.ObjectId,
            },
        });
    }

    public static CaseStep Step(OffboardingCase c, string id) => c.Steps.Single(s => s.Id == id);
}
