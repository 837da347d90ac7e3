using System.Collections.Frozen;
using System.Collections.Immutable;

namespace DingFlow.Sandbox;

/// <summary>The operations that the sandbox knows, by the names that faults and the journal use.</summary>
public static class SandboxOperations
{
    /// <summary><c>POST /v1.0/contact/orgAccounts/disable</c></summary>
    public const string Disable = "orgAccounts.disable";

    /// <summary><c>POST /v1.0/contact/orgAccounts/enable</c></summary>
    public const string Enable = "orgAccounts.enable";

    /// <summary><c>POST /v1.0/contact/orgAccounts/signOut</c></summary>
    public const string SignOut = "orgAccounts.signOut";

    /// <summary><c>GET /v1.0/contact/orgAccounts/status</c></summary>
    public const string Status = "orgAccounts.status";

    /// <summary><c>POST /v1.0/oauth2/accessToken</c></summary>
    public const string AccessToken = "oauth2.accessToken";

    /// <summary><c>POST /v1.0/oauth2/{corpId}/token</c></summary>
    public const string CorpToken = "oauth2.token";

    /// <summary><c>GET /gettoken</c></summary>
    public const string GetToken = "gettoken";

    /// <summary><c>POST /topapi/v2/user/get</c></summary>
    public const string UserGet = "user.get";

    /// <summary><c>POST /topapi/v2/user/delete</c></summary>
    public const string UserDelete = "user.delete";

    /// <summary><c>GET /v1.0/contact/empLeaveRecords</c></summary>
    public const string LeaveRecords = "empLeaveRecords";

    /// <summary><c>POST /topapi/role/removerolesforemps</c></summary>
    public const string RemoveRoles = "role.removerolesforemps";

    /// <summary><c>POST /topapi/user/listadmin</c></summary>
    public const string ListAdministrators = "user.listadmin";

    /// <summary><c>GET /users</c> of Graph</summary>
    public const string GraphUsers = "users.list";

    /// <summary><c>GET /users/{id}</c> of Graph</summary>
    public const string GraphUser = "users.get";

    /// <summary><c>PATCH /users/{id}</c> of Graph</summary>
    public const string GraphUpdate = "users.update";

    /// <summary><c>POST /users/{id}/revokeSignInSessions</c> of Graph</summary>
    public const string GraphRevoke = "users.revokeSignInSessions";

    /// <summary><c>DELETE /users/{id}</c> of Graph</summary>
    public const string GraphDelete = "users.delete";

    /// <summary><c>GET /directory/deletedItems/microsoft.graph.user</c> of Graph</summary>
    public const string GraphDeletedUsers = "deletedItems.list";

    /// <summary><c>POST /robot/send</c></summary>
    public const string RobotSend = "robot.send";

    /// <summary><c>POST /topapi/message/corpconversation/asyncsend_v2</c></summary>
    public const string WorkNotice = "corpconversation.asyncsend_v2";

    /// <summary><c>POST /users/{id}/sendMail</c> of Graph</summary>
    public const string GraphSendMail = "users.sendMail";

    /// <summary><c>GET /users/{id}/messages</c> of Graph</summary>
    public const string GraphMessages = "messages.list";

    /// <summary><c>POST /users/{id}/messages</c> of Graph</summary>
    public const string GraphCreateMessage = "messages.create";

    /// <summary><c>POST /users/{id}/messages/{id}/send</c> of Graph</summary>
    public const string GraphSendMessage = "messages.send";

    /// <summary><c>DELETE /groups/{id}/members/{id}/$ref</c> of Graph</summary>
    public const string GraphRemoveMember = "groups.members.remove";

    /// <summary><c>POST /groups/{id}/members/$ref</c> of Graph</summary>
    public const string GraphAddMember = "groups.members.add";

    /// <summary><c>POST /users/{id}/assignLicense</c> of Graph</summary>
    public const string GraphAssignLicense = "users.assignLicense";

    /// <summary>Every name, those without a constant included.</summary>
    public static IReadOnlySet<string> All { get; } =
        DingTalkApi.Operations.Concat(DingTalkLegacyApi.Operations).Concat(GraphApi.Operations).Select(operation => operation.Name)
            .ToFrozenSet(StringComparer.Ordinal);
}

/// <summary>Which of the three interfaces an address belongs to, and with it the shape of its answers.</summary>
internal enum SandboxApi
{
    DingTalk,
    DingTalkLegacy,
    Graph,
}

/// <summary>One operation: where it lies and what it does.</summary>
/// <param name="Name">Its name for faults and the journal.</param>
/// <param name="Api">The interface it belongs to.</param>
/// <param name="Method">HTTP method.</param>
/// <param name="Template">Path below the interface's base; <c>{}</c> stands for any one segment.</param>
/// <param name="Handle">What it does once the call is let in.</param>
internal sealed record SandboxOperation(
    string Name, SandboxApi Api, string Method, string Template, Func<SandboxCall, SandboxAnswer> Handle)
{
    private readonly string[] _segments = Template.Split('/', StringSplitOptions.RemoveEmptyEntries);

    /// <summary>Whom the call is about, when that is one known person.</summary>
    public Func<SandboxCall, SandboxPerson?> Person { get; init; } = static _ => null;

    /// <summary>The permission it needs, named when it is said to be missing.</summary>
    public string Scope { get; init; } = "Contact.User.Read";

    /// <summary>Whether a token must be shown.</summary>
    public bool NeedsToken { get; init; } = true;

    public SandboxSystem System => Api == SandboxApi.Graph ? SandboxSystem.Graph : SandboxSystem.DingTalk;

    /// <summary>The path's variable segments when it fits the template; <see langword="null"/> otherwise.</summary>
    public ImmutableArray<string>? Match(string[] path)
    {
        if (path.Length != _segments.Length)
        {
            return null;
        }

        var values = ImmutableArray<string>.Empty;
        for (var i = 0; i < path.Length; i++)
        {
            if (_segments[i] == "{}")
            {
                values = values.Add(path[i]);
            }
            else if (!_segments[i].Equals(path[i], Api == SandboxApi.Graph ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal))
            {
                return null;
            }
        }

        return values;
    }
}
