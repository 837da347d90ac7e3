using System.Collections.Frozen;

namespace DingFlow.Remote;

/// <summary>
/// Outgoing addresses name people and carry tokens. What telemetry may show of one is its route: segments that are known words of an
/// interface stay, every other segment becomes <c>{id}</c>, and the query is left out. A word that is missing here costs clarity, never
/// privacy.
/// </summary>
public static class UrlRedaction
{
    private const string Placeholder = "{id}";

    private static readonly FrozenSet<string> Words = new[]
    {
        // DingTalk
        "v1.0", "v2.0", "topapi", "oauth2", "accessToken", "token", "contact", "orgAccounts", "disable", "enable", "signOut", "status",
        "robot", "send", "message", "corpconversation", "asyncsend_v2", "getsendresult", "sendMail",
        "empLeaveRecords", "user", "get", "delete", "list", "department", "listsub", "event", "callbacks", "failedResults",
        "role", "removerolesforemps", "addrolesforemps", "managementGroups", "exclusive", "trustedDevices", "query", "remove", "im",
        "sceneGroups", "sceneGroup", "members", "member", "batchQuery", "add", "workflow", "processes", "instanceIds", "processInstances",
        "tasks", "redirect", "hrm", "pendingDismission", "start", "revoke", "dimissionInfos",
        // Microsoft Graph
        "memberOf", "microsoft.graph.group", "groups", "$ref", "roleManagement", "roleAssignments", "appRoleAssignments", "assignLicense",
        "registeredDevices", "microsoft.graph.device", "devices", "ownedObjects", "owners", "manager", "applications", "servicePrincipals",
        "subscribedSkus",
        "beta", "users", "directory", "deletedItems", "microsoft.graph.user", "graph.user", "revokeSignInSessions",
        "microsoft.graph.revokeSignInSessions",
        // HR systems
        "api", "v1", "v2", "employees", "people", "persons", "employments", "auth", "oauth",
        // Azure and the sign-in of Microsoft Entra
        "messages", "secrets", "keys", "$batch", "Tables", "metadata", "identity", "msi", "common", "organizations", "discovery", "instance",
    }.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The route of an address, such as <c>/v1.0/users/{id}</c>.</summary>
    public static string Route(Uri address)
    {
        ArgumentNullException.ThrowIfNull(address);
        var path = address.IsAbsoluteUri ? address.AbsolutePath : "/";
        return string.Join('/', path.Split('/').Select(static segment =>
            segment.Length == 0 || Words.Contains(segment) ? segment : Placeholder));
    }

    /// <summary>The address with its route in place of its path and without query, user info or fragment.</summary>
    public static string Redact(Uri address)
    {
        ArgumentNullException.ThrowIfNull(address);
        return address.IsAbsoluteUri
            ? $"{address.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped)}{Route(address)}"
            : Placeholder;
    }
}
