using DingFlow.Remote;

namespace DingFlow.Entra;

/// <summary>Microsoft Entra ID through Microsoft Graph. Remote trouble is a result, never an exception.</summary>
public sealed class EntraDirectory(EntraOptions options)
{
    /// <summary>There is a directory to act in. Without one no other member may be called.</summary>
    public bool IsConfigured => options.IsConfigured;

    /// <summary>All distinct users that any of the identifiers leads to: employee id, sign-in name, mail address or proxy address.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> FindAsync(
        string? employeeId, string? email, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Reads a user by object id.</summary>
    public Task<RemoteResult<EntraUser>> GetUserAsync(string id, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>All distinct users among the deleted ones (kept 30 days) that any of the identifiers leads to.</summary>
    public Task<RemoteResult<IReadOnlyList<EntraUser>>> FindDeletedAsync(
        string? employeeId, string? email, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Forbids sign-in.</summary>
    public Task<RemoteResult> DisableAsync(string id, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Allows sign-in.</summary>
    public Task<RemoteResult> EnableAsync(string id, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Voids the refresh tokens and sessions issued so far.</summary>
    public Task<RemoteResult> RevokeSessionsAsync(string id, CancellationToken cancellationToken) => throw new NotImplementedException();
}
