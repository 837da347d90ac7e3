using DingFlow.Remote;

namespace DingFlow.DingTalk;

/// <summary>The DingTalk Open Platform as one tenant's app sees it. Remote trouble is a result, never an exception.</summary>
public sealed class DingTalkClient
{
    internal DingTalkClient(DingTalkTenant tenant) => Tenant = tenant.Name;

    /// <summary>The tenant's name.</summary>
    public string Tenant { get; }

    /// <summary>Reads a person (<c>topapi/v2/user/get</c>).</summary>
    public Task<RemoteResult<DingTalkUser>> GetUserAsync(string userId, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Disables an enterprise account (<c>orgAccounts/disable</c>).</summary>
    public Task<RemoteResult> DisableAccountAsync(string userId, string reason, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Enables an enterprise account again (<c>orgAccounts/enable</c>).</summary>
    public Task<RemoteResult> EnableAccountAsync(string userId, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Signs an enterprise account out everywhere (<c>orgAccounts/signOut</c>).</summary>
    public Task<RemoteResult> SignOutAsync(string userId, string reason, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Whether an enterprise account is disabled (<c>orgAccounts/status</c>).</summary>
    public Task<RemoteResult<bool>> IsAccountDisabledAsync(string userId, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Removes a person from the organisation (<c>topapi/v2/user/delete</c>).</summary>
    public Task<RemoteResult> RemoveUserAsync(string userId, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>The latest record of somebody's leave within the window of at most 365 days; Ok with null when there is none.</summary>
    public Task<RemoteResult<DingTalkLeaveRecord?>> FindLeaveRecordAsync(
        string userId, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>The departments directly below a department (<c>topapi/v2/department/listsub</c>).</summary>
    public Task<RemoteResult<IReadOnlyList<long>>> ListSubDepartmentsAsync(long departmentId, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>A page of the direct members of a department (<c>topapi/v2/user/list</c>).</summary>
    public Task<RemoteResult<DingTalkUserPage>> ListUsersAsync(long departmentId, long cursor, CancellationToken cancellationToken) => throw new NotImplementedException();
}
