namespace DingFlow.DingTalk;

/// <summary>A person as DingTalk's contact list shows it to our app. Personal data: never logged.</summary>
public sealed record DingTalkUser
{
    /// <summary>Unique within the organisation.</summary>
    public required string UserId { get; init; }

    /// <summary>Unique within the developer organisation.</summary>
    public string? UnionId { get; init; }

    /// <summary>The employee number (<c>job_number</c>).</summary>
    public string? JobNumber { get; init; }

    /// <summary>E-mail address; needs a permission of its own.</summary>
    public string? Email { get; init; }

    /// <summary>Company mailbox; needs a permission of its own.</summary>
    public string? OrgEmail { get; init; }

    /// <summary>The person has activated DingTalk. Says nothing about whether the account is disabled.</summary>
    public bool IsActive { get; init; }

    /// <summary>An administrator of the organisation.</summary>
    public bool IsAdmin { get; init; }

    /// <summary>The organisation's head.</summary>
    public bool IsBoss { get; init; }

    /// <summary>An enterprise account owned by this organisation: only these can be disabled and signed out.</summary>
    public bool IsEnterpriseAccount { get; init; }

    /// <summary>The departments the person is in.</summary>
    public IReadOnlyList<long> DepartmentIds { get; init; } = [];

    /// <summary>The roles held.</summary>
    public IReadOnlyList<DingTalkRole> Roles { get; init; } = [];

    /// <summary>The manager's user id.</summary>
    public string? ManagerUserId { get; init; }

    /// <summary>The person's name; never logged.</summary>
    public string? Name { get; init; }

    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(DingTalkUser);
}

/// <summary>A role of the organisation.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its name.</param>
/// <param name="Group">The name of the group of roles that it belongs to; DingTalk's own roles are in the default one.</param>
public sealed record DingTalkRole(long Id, string? Name, string? Group);

/// <summary>A group of administrators and what its members may manage.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Name">Its name.</param>
/// <param name="MemberIds">User ids of the members.</param>
public sealed record DingTalkManagementGroup(string Id, string? Name, IReadOnlyList<string> MemberIds);

/// <summary>A device from which an enterprise account may sign in.</summary>
/// <param name="Id">Its id in the list.</param>
/// <param name="Platform">Such as <c>Mac</c>.</param>
public sealed record DingTalkTrustedDevice(string Id, string? Platform);

/// <summary>An approval that waits for somebody.</summary>
/// <param name="InstanceId">The request to be approved.</param>
/// <param name="TaskId">The task within it.</param>
public sealed record DingTalkApprovalTask(string InstanceId, string TaskId);

/// <summary>One page of the direct members of a department.</summary>
/// <param name="Users">The people.</param>
/// <param name="NextCursor">Where the next page starts; <see langword="null"/> at the end.</param>
public sealed record DingTalkUserPage(IReadOnlyList<DingTalkUser> Users, long? NextCursor);

/// <summary>DingTalk's record of somebody who left the organisation.</summary>
public sealed record DingTalkLeaveRecord
{
    /// <summary>The user id that the person had.</summary>
    public required string UserId { get; init; }

    /// <summary>When the person left.</summary>
    public DateTimeOffset? LeftAt { get; init; }

    /// <summary>DingTalk's word for how: <c>oapi</c>, <c>cancel</c>, <c>leave</c>, <c>unknown</c> or <c>delete</c>.</summary>
    public string? Reason { get; init; }

    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(DingTalkLeaveRecord);
}
