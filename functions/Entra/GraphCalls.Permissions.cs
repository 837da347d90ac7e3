using System.Globalization;
using System.Text.Json;
using DingFlow.Remote;

namespace DingFlow.Entra;

/// <summary>The calls about who may do what in the directory.</summary>
internal sealed partial class GraphCalls
{
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListRoleAssignmentsAsync(CancellationToken cancellationToken) => ListAsync(
        "roleAssignments.list", ["RoleManagement.Read.Directory"],
        "roleManagement/directory/roleAssignments?$expand=roleDefinition($select=id,displayName)",
        static role => Text(role, "id") is { } assignmentId && Text(role, "roleDefinitionId") is { } definition && Text(role, "principalId") is { } principal
            ? new(assignmentId, role.TryGetProperty("roleDefinition", out var named) ? Text(named, "displayName") : null)
            {
                Data = new Dictionary<string, string>
                {
                    ["principal"] = principal, ["definition"] = definition, ["scope"] = Text(role, "directoryScopeId") ?? "/",
                },
            }
            : null,
        cancellationToken);

    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListRoleChangesAsync(DateTimeOffset since, CancellationToken cancellationToken)
    {
        var filter = string.Create(
            CultureInfo.InvariantCulture, $"category eq 'RoleManagement' and activityDateTime ge {since.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ}");
        return ListAsync(
            "directoryAudits.list", ["AuditLog.Read.All"], $"auditLogs/directoryAudits?$filter={Uri.EscapeDataString(filter)}&$top=500",
            static change => Text(change, "id") is { } id && Text(change, "activityDateTime") is { } at && Target(change) is { } target
                ? new(id, Text(change, "activityDisplayName"))
                {
                    Data = new Dictionary<string, string> { ["at"] = at, ["target"] = target, ["by"] = Initiator(change), ["role"] = RoleName(change) },
                }
                : null,
            cancellationToken);
    }

    private static string? Target(JsonElement change) =>
        Items(change, "targetResources").Where(static one => Text(one, "type") is "User" or "ServicePrincipal").Select(static one => Text(one, "id")).FirstOrDefault();

    /// <summary>The user or the application that did it, by object id.</summary>
    private static string Initiator(JsonElement change)
    {
        if (!change.TryGetProperty("initiatedBy", out var by) || by.ValueKind != JsonValueKind.Object)
        {
            return "";
        }

        return by.TryGetProperty("user", out var user) && user.ValueKind == JsonValueKind.Object && Text(user, "id") is { } userId ? $"entra:{userId}"
            : by.TryGetProperty("app", out var app) && app.ValueKind == JsonValueKind.Object && Text(app, "servicePrincipalId") is { } appId ? $"entra:{appId}"
            : "";
    }

    /// <summary>The role's name is a changed property of the target, in quotes.</summary>
    private static string RoleName(JsonElement change) => Items(change, "targetResources").SelectMany(static one => Items(one, "modifiedProperties"))
        .Where(static property => Text(property, "displayName") == "Role.DisplayName")
        .Select(static property => (Text(property, "newValue") ?? Text(property, "oldValue") ?? "").Trim('"')).FirstOrDefault() ?? "";
}
