using DingFlow.Remote;

namespace DingFlow.Entra;

/// <summary>What a user holds in Microsoft Entra, and how it is taken away and given back.</summary>
public sealed partial class EntraDirectory
{
    /// <summary>
    /// The groups whose direct member the user is. Members of dynamic groups, of groups mastered on-premises and of Exchange's lists are
    /// not changed through Graph ("Remove member", Microsoft Learn).
    /// </summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListGroupsAsync(string id, CancellationToken cancellationToken) => Graph.ListGroupsAsync(Id(id), cancellationToken);

    /// <summary>Takes the user out of a group.</summary>
    public Task<RemoteResult> RemoveFromGroupAsync(string id, string groupId, CancellationToken cancellationToken) =>
        Graph.DeleteAsync("groups.members.remove", ["GroupMember.ReadWrite.All"], $"groups/{Part(groupId)}/members/{Part(id)}/$ref", cancellationToken);

    /// <summary>Makes the user a member of a group.</summary>
    public Task<RemoteResult> AddToGroupAsync(string id, string groupId, CancellationToken cancellationToken) =>
        Graph.ReferAsync("groups.members.add", ["GroupMember.ReadWrite.All"], $"groups/{Part(groupId)}/members/$ref", Id(id), cancellationToken);

    /// <summary>The directory roles that are assigned to the user directly.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListDirectoryRolesAsync(string id, CancellationToken cancellationToken) =>
        Graph.ListDirectoryRolesAsync(Id(id), cancellationToken);

    /// <summary>Takes a directory role away, by its assignment.</summary>
    public Task<RemoteResult> RemoveDirectoryRoleAsync(string assignmentId, CancellationToken cancellationToken) => Graph.DeleteAsync(
        "roleAssignments.delete", ["RoleManagement.ReadWrite.Directory"], $"roleManagement/directory/roleAssignments/{Part(assignmentId)}", cancellationToken);

    /// <summary>Assigns a directory role.</summary>
    public Task<RemoteResult> AddDirectoryRoleAsync(string id, string roleDefinitionId, string scope, CancellationToken cancellationToken) =>
        Graph.AddDirectoryRoleAsync(Id(id), roleDefinitionId, scope, cancellationToken);

    /// <summary>The roles in applications that the user holds. Those held through a group are not the user's own.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListAppRolesAsync(string id, CancellationToken cancellationToken) => Graph.ListAppRolesAsync(Id(id), cancellationToken);

    /// <summary>Takes a role in an application away, by its assignment.</summary>
    public Task<RemoteResult> RemoveAppRoleAsync(string id, string assignmentId, CancellationToken cancellationToken) => Graph.DeleteAsync(
        "appRoleAssignments.delete", ["AppRoleAssignment.ReadWrite.All"], $"users/{Part(id)}/appRoleAssignments/{Part(assignmentId)}", cancellationToken);

    /// <summary>Assigns a role in an application.</summary>
    public Task<RemoteResult> AddAppRoleAsync(string id, string resourceId, string appRoleId, CancellationToken cancellationToken) =>
        Graph.AddAppRoleAsync(Id(id), resourceId, appRoleId, cancellationToken);

    /// <summary>The licences that the user has. Those that come through a group are not the user's own.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListLicensesAsync(string id, CancellationToken cancellationToken) => Graph.ListLicensesAsync(Id(id), cancellationToken);

    /// <summary>
    /// The subscriptions of the tenant (<c>subscribedSkus</c>): the data say how many licences are <c>enabled</c> and <c>consumed</c>, the
    /// <c>status</c>, and the service <c>plans</c>, comma-separated. Least permission: <c>LicenseAssignment.Read.All</c>.
    /// </summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListSubscriptionsAsync(CancellationToken cancellationToken) => Graph.ListSubscriptionsAsync(cancellationToken);

    /// <summary>Takes a licence away.</summary>
    public Task<RemoteResult> RemoveLicenseAsync(string id, string skuId, CancellationToken cancellationToken) => Graph.AssignLicenseAsync(Id(id), null, skuId, [], cancellationToken);

    /// <summary>Gives a licence, with the service plans that are to stay off within it.</summary>
    public Task<RemoteResult> AddLicenseAsync(string id, string skuId, IReadOnlyList<string> disabledPlans, CancellationToken cancellationToken) =>
        Graph.AssignLicenseAsync(Id(id), skuId, null, disabledPlans, cancellationToken);

    /// <summary>The user's registered devices that may sign in. Those mastered on-premises are not changed through Graph.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListEnabledDevicesAsync(string id, CancellationToken cancellationToken) => Graph.ListDevicesAsync(Id(id), cancellationToken);

    /// <summary>Forbids or allows a device to sign in.</summary>
    public Task<RemoteResult> SetDeviceEnabledAsync(string deviceId, bool enabled, CancellationToken cancellationToken) => Graph.SetDeviceEnabledAsync(Id(deviceId), enabled, cancellationToken);

    /// <summary>The groups, applications and service principals that the user owns; the holding's data say of which <c>type</c> each is.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListOwnedAsync(string id, CancellationToken cancellationToken) => Graph.ListOwnedAsync(Id(id), cancellationToken);

    /// <summary>Whether somebody is among the owners of an object.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListOwnersAsync(string type, string objectId, CancellationToken cancellationToken) =>
        Graph.ListOwnersAsync(Collection(type), Part(objectId), OwnerPermission(type), cancellationToken);

    /// <summary>Makes somebody an owner of an object.</summary>
    public Task<RemoteResult> AddOwnerAsync(string type, string objectId, string ownerId, CancellationToken cancellationToken) =>
        Graph.ReferAsync("owners.add", OwnerPermission(type), $"{Collection(type)}/{Part(objectId)}/owners/$ref", Id(ownerId), cancellationToken);

    /// <summary>Makes somebody cease to be an owner of an object. The last owner of a group cannot be removed.</summary>
    public Task<RemoteResult> RemoveOwnerAsync(string type, string objectId, string ownerId, CancellationToken cancellationToken) =>
        Graph.DeleteAsync("owners.remove", OwnerPermission(type), $"{Collection(type)}/{Part(objectId)}/owners/{Part(ownerId)}/$ref", cancellationToken);

    /// <summary>The object id of the user's manager; Ok with <see langword="null"/> when there is none.</summary>
    public Task<RemoteResult<string?>> FindManagerAsync(string id, CancellationToken cancellationToken) => Graph.FindManagerAsync(Id(id), cancellationToken);

    /// <summary>Whether a reading of nobody is let through: what a permission is worth, without touching a person.</summary>
    /// <param name="path">Below the version, such as <c>groups?$top=1&amp;$select=id</c>.</param>
    /// <param name="permission">Named when it is refused.</param>
    /// <param name="cancellationToken">The caller gives up.</param>
    public Task<RemoteResult> ProbeAsync(string path, string permission, CancellationToken cancellationToken) => Graph.ProbeAsync(path, permission, cancellationToken);

    /// <summary>
    /// The application permissions that the directory granted us, as the access token lists them; <see langword="null"/> when it does not
    /// say (Microsoft does not promise that a token can be read).
    /// </summary>
    public Task<RemoteResult<IReadOnlyList<string>?>> GrantedPermissionsAsync(CancellationToken cancellationToken) => Graph.GrantedPermissionsAsync(cancellationToken);

    private static string Collection(string type) => type switch
    {
        "group" => "groups",
        "application" => "applications",
        "servicePrincipal" => "servicePrincipals",
        _ => throw new ArgumentOutOfRangeException(nameof(type), type, "Has no owners."),
    };

    private static string[] OwnerPermission(string type) => [type == "group" ? "Group.ReadWrite.All" : "Application.ReadWrite.All"];

    private static string Part(string id) => Uri.EscapeDataString(Id(id));
}
