using DingFlow.Remote;

namespace DingFlow.Entra;

/// <summary>Who may do what in the directory, and who changed it.</summary>
public sealed partial class EntraDirectory
{
    /// <summary>All assignments of directory roles: <c>principal</c>, <c>definition</c>, <c>scope</c> in the data, the role's name as name.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListRoleAssignmentsAsync(CancellationToken cancellationToken) =>
        Graph.ListRoleAssignmentsAsync(cancellationToken);

    /// <summary>
    /// What the directory's audit says of changes of roles since a moment: <c>at</c>, <c>target</c>, <c>by</c>, <c>role</c> in the data, the
    /// activity as name. The directory keeps it for 7 to 30 days, by edition.
    /// </summary>
    public Task<RemoteResult<IReadOnlyList<EntraHolding>>> ListRoleChangesAsync(DateTimeOffset since, CancellationToken cancellationToken) =>
        Graph.ListRoleChangesAsync(since, cancellationToken);
}
