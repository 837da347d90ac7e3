using System.Text.Json.Nodes;
using DingFlow.Settings;

namespace DingFlow.Offboarding.Evidence;

/// <summary>
/// The evidence as events of the Open Cybersecurity Schema Framework, class Account Change (3001), for a security data lake. One event
/// per change; what is not in the schema stands under <c>unmapped</c>. Source: schema.ocsf.io, 1.3.0.
/// </summary>
internal static class EvidenceOcsf
{
    private const int Category = 3;
    private const int Class = 3001;

    private static readonly Dictionary<int, string> Activities = new()
    {
        [2] = "Enable", [5] = "Disable", [6] = "Delete", [7] = "Attach Policy", [8] = "Detach Policy", [99] = "Other",
    };

    /// <summary>The events of a case, in the order of the steps.</summary>
    public static JsonArray Of(OffboardingCase c)
    {
        var events = new JsonArray();
        foreach (var step in c.Steps.Where(s => s.EndedAt is not null && s.MayHaveChanged))
        {
            foreach (var item in Changes(c, step, undone: false))
            {
                events.Add((JsonNode)item);
            }
        }

        foreach (var step in c.Undo?.Steps.Where(s => s.EndedAt is not null && s.Outcome is not StepOutcome.Skipped) ?? [])
        {
            foreach (var item in Changes(c, step, undone: true))
            {
                events.Add((JsonNode)item);
            }
        }

        return events;
    }

    private static IEnumerable<JsonObject> Changes(OffboardingCase c, CaseStep step, bool undone)
    {
        var activity = (step.Id, undone) switch
        {
            ("dingtalk.disable" or "entra.disable", false) => 5,
            ("dingtalk.disable" or "entra.disable", true) => 2,
            ("dingtalk.remove", false) => 6,
            ("dingtalk.roles" or "dingtalk.admin" or "dingtalk.groups" or "entra.groups" or "entra.directoryRoles" or "entra.appRoles" or "entra.licenses", false) => 8,
            ("dingtalk.roles" or "dingtalk.admin" or "dingtalk.groups" or "entra.groups" or "entra.directoryRoles" or "entra.appRoles" or "entra.licenses", true) => 7,
            _ => 99,
        };
        var wanted = undone ? ChangeState.GivenBack : ChangeState.Taken;
        var items = activity is 7 or 8 ? (step.Changes ?? []).Where(change => change.State == wanted).ToList() : [];
        if (items.Count == 0)
        {
            yield return Event(c, step, activity is 7 or 8 ? 99 : activity, undone, null, 0);
        }

        for (var i = 0; i < items.Count; i++)
        {
            yield return Event(c, step, activity, undone, items[i], i);
        }
    }

    private static JsonObject Event(OffboardingCase c, CaseStep step, int activity, bool undone, StepChange? item, int number)
    {
        var done = step.Outcome is StepOutcome.Done or StepOutcome.AlreadyDone;
        var account = c.Accounts.FirstOrDefault(a => a.Target == step.Target && a.Tenant == step.Tenant);
        var name = (undone ? "undo." : "") + step.Id;
        var result = new JsonObject
        {
            ["activity_id"] = activity,
            ["activity_name"] = activity == 99 ? name : Activities[activity],
            ["category_uid"] = Category,
            ["category_name"] = "Identity & Access Management",
            ["class_uid"] = Class,
            ["class_name"] = "Account Change",
            ["type_uid"] = (Class * 100) + activity,
            ["type_name"] = $"Account Change: {(activity == 99 ? "Other" : Activities[activity])}",
            ["time"] = step.EndedAt!.Value.ToUnixTimeMilliseconds(),
            ["severity_id"] = done ? 1 : 3,
            ["status_id"] = done ? 1 : 2,
            ["status"] = done ? "Success" : "Failure",
            ["status_detail"] = step.Detail,
            ["message"] = $"{name}: {step.Detail}",
            ["metadata"] = new JsonObject
            {
                ["version"] = "1.3.0",
                ["uid"] = $"{c.CaseId}/{name}/{step.Tenant ?? "entra"}/{number}",
                ["correlation_uid"] = c.CaseId,
                ["product"] = new JsonObject
                {
                    ["name"] = "DingFlow", ["vendor_name"] = "DingFlow", ["version"] = typeof(EvidenceOcsf).Assembly.GetName().Version?.ToString(3),
                },
            },
            ["actor"] = new JsonObject
            {
                ["app_name"] = "DingFlow", ["invoked_by"] = undone ? c.Undo!.RequestedBy : c.Signals is [var first, ..] ? first.Source : null,
            },
            ["user"] = new JsonObject
            {
                ["uid"] = account?.AccountId,
                ["uid_alt"] = c.EmployeeId,
                ["type_id"] = account?.IsAdmin == true ? 2 : 1,
                ["domain"] = step.Tenant,
            },
            ["unmapped"] = new JsonObject
            {
                ["outcome"] = Words.Of(step.Outcome), ["readBack"] = Words.Of(step.ReadBack), ["requestId"] = step.RequestId, ["attempts"] = step.Attempts,
            },
        };
        if (item is not null)
        {
            result["policy"] = new JsonObject { ["uid"] = item.Id, ["name"] = item.Name ?? item.Id, ["desc"] = StepCatalogue.Find(step.Id)?.Does };
        }

        return result;
    }
}
