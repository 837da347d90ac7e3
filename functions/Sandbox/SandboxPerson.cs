using System.Collections.Immutable;
using System.Text.Json.Serialization;
using DingFlow.Settings;

namespace DingFlow.Sandbox;

/// <summary>One imaginary person: the DingTalk account and the Entra account, either of which may be missing.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SandboxPerson
{
    /// <summary>The employee number, such as <c>E1001</c>. The key of the directory.</summary>
    public required string EmployeeId { get; init; }

    /// <summary>Full name.</summary>
    public required string Name { get; init; }

    /// <summary>Mobile number without country code.</summary>
    public string? Mobile { get; init; }

    /// <summary>The account in DingTalk, or <see langword="null"/> when the person never had one.</summary>
    public SandboxDingTalkAccount? DingTalk { get; init; }

    /// <summary>The account in Entra, or <see langword="null"/> when the person never had one.</summary>
    public SandboxEntraAccount? Entra { get; init; }

    /// <summary>
    /// How many changing calls were really carried out, by operation. Kept with the state, so that a test can prove after a kill that
    /// nothing ran twice that may not.
    /// </summary>
    public ImmutableSortedDictionary<string, int> Mutations { get; init => field = value ?? ImmutableSortedDictionary<string, int>.Empty; } =
        ImmutableSortedDictionary<string, int>.Empty;

    /// <summary>Names of what the person once held in Entra, so that its ids still lead to it.</summary>
    public ImmutableArray<string> Once { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>The person as they were before anything was frozen: what a wrong read-back shows.</summary>
    internal SandboxPerson Unfrozen() => this with
    {
        DingTalk = DingTalk is null ? null : DingTalk with { Member = true, Disabled = false },
        Entra = Entra is null ? null : Entra with { AccountEnabled = true, SessionsValidFrom = Entra.CreatedAt, DeletedAt = null },
    };
}

/// <summary>An account in the simulated DingTalk organisation.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SandboxDingTalkAccount
{
    /// <summary>User id within the organisation, such as <c>sb-1001</c>.</summary>
    public required string UserId { get; init; }

    /// <summary>User id across the developer's organisations.</summary>
    public required string UnionId { get; init; }

    /// <summary>Whether the organisation owns the account and may therefore disable it.</summary>
    public SandboxAccountKind Kind { get; init; }

    /// <summary>How an enterprise account signs in; only DingTalk's own kind shows <c>disable_status</c>.</summary>
    public SandboxLoginType LoginType { get; init; }

    /// <summary>The employee number as DingTalk knows it (<c>job_number</c>).</summary>
    public string? JobNumber { get; init; }

    /// <summary>E-mail address as DingTalk knows it.</summary>
    public string? Email { get; init; }

    /// <summary>Still a member of the organisation; <see langword="false"/> after removal.</summary>
    public bool Member { get; init; } = true;

    /// <summary>Disabled by the organisation. Ends no session.</summary>
    public bool Disabled { get; init; }

    /// <summary>Live sessions on all devices; only a forced sign-out ends them.</summary>
    public int Sessions { get; init; } = 2;

    /// <summary>The last working day that DingTalk's HR knows, as a moment on it; <see langword="null"/> when it knows of no leave.</summary>
    public DateTimeOffset? LastWorkDay { get; init; }

    /// <summary>Administrator of the organisation.</summary>
    public SandboxAdministrator Administrator { get; init; }

    /// <summary>Departments of which the person is a direct member.</summary>
    public ImmutableArray<long> DepartmentIds { get; init => field = value.IsDefault ? [] : value; } = [1];

    /// <summary>Roles held, apart from the administrator's.</summary>
    public ImmutableArray<long> RoleIds { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Ids of the administrators' groups whose member the person is; they make a sub-administrator.</summary>
    public ImmutableArray<string> ManagementGroups { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Devices from which an enterprise account may sign in.</summary>
    public ImmutableArray<SandboxTrustedDevice> TrustedDevices { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Ids (<c>openConversationId</c>) of scene groups whose member the person is.</summary>
    public ImmutableArray<string> SceneGroups { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Approvals that wait for the person.</summary>
    public ImmutableArray<SandboxApproval> Approvals { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>DingTalk's HR shows the person as about to leave.</summary>
    public bool PendingLeave { get; init; }

    /// <summary>User id of the manager, or <see langword="null"/>.</summary>
    public string? ManagerUserId { get; init; }
}

/// <summary>A device from which an enterprise account may sign in.</summary>
/// <param name="Id">Its id in the list of trusted devices.</param>
/// <param name="Platform">Such as <c>Mac</c>.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SandboxTrustedDevice(long Id, string Platform);

/// <summary>An approval that waits for somebody.</summary>
/// <param name="ProcessCode">The form's code.</param>
/// <param name="InstanceId">The request that is to be approved.</param>
/// <param name="TaskId">The task within it.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SandboxApproval(string ProcessCode, string InstanceId, long TaskId);

/// <summary>An account in the simulated Entra directory.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SandboxEntraAccount
{
    /// <summary>Object id, a stable GUID.</summary>
    public required string ObjectId { get; init; }

    /// <summary>User principal name.</summary>
    public required string UserPrincipalName { get; init; }

    /// <summary>E-mail address; also the primary proxy address.</summary>
    public string? Mail { get; init; }

    /// <summary>Further proxy addresses.</summary>
    public ImmutableArray<string> Aliases { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>The employee number as Entra knows it.</summary>
    public string? EmployeeId { get; init; }

    /// <summary>Sign-in is allowed.</summary>
    public bool AccountEnabled { get; init; } = true;

    /// <summary>When the account was made.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>Refresh tokens from before this moment are void; whole seconds, as Graph gives them.</summary>
    public DateTimeOffset SessionsValidFrom { get; init; }

    /// <summary>Live sessions; only a revocation ends them.</summary>
    public int Sessions { get; init; } = 3;

    /// <summary>Mastered in an on-premises directory, whose next synchronisation undoes changes made here.</summary>
    public bool OnPremisesSyncEnabled { get; init; }

    /// <summary>In the deleted items since then.</summary>
    public DateTimeOffset? DeletedAt { get; init; }

    /// <summary>Display names of groups of which the person is a member.</summary>
    public ImmutableArray<string> Groups { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Display names of directory roles that the person holds.</summary>
    public ImmutableArray<string> DirectoryRoles { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Roles that the person holds in applications.</summary>
    public ImmutableArray<SandboxAppRole> AppRoles { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Licences.</summary>
    public ImmutableArray<SandboxLicense> Licenses { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Devices that the person registered.</summary>
    public ImmutableArray<SandboxDevice> Devices { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>What the person owns, as <c>group/Project X</c>, <c>application/Expenses</c> or <c>servicePrincipal/Expenses</c>; several may own one.</summary>
    public ImmutableArray<string> Owns { get; init => field = value.IsDefault ? [] : value; } = [];

    /// <summary>Object id of the manager, or <see langword="null"/>.</summary>
    public string? ManagerId { get; init; }
}

/// <summary>A role in an application.</summary>
/// <param name="Application">The application's display name.</param>
/// <param name="Role">The role's name.</param>
/// <param name="Group">The group through which it is held, or <see langword="null"/> when it is the person's own.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SandboxAppRole(string Application, string Role, string? Group = null);

/// <summary>A licence.</summary>
/// <param name="Sku">Its name, such as <c>ENTERPRISEPACK</c>.</param>
/// <param name="Group">The group through which it is held, or <see langword="null"/> when it is the person's own.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SandboxLicense(string Sku, string? Group = null)
{
    /// <summary>Names of the service plans that are switched off within it.</summary>
    public ImmutableArray<string> DisabledPlans { get; init => field = value.IsDefault ? [] : value; } = [];
}

/// <summary>A device in Entra.</summary>
/// <param name="Name">Its display name; its id follows from it.</param>
/// <param name="Enabled">It may sign in.</param>
/// <param name="OnPremises">It is mastered in an on-premises directory.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record SandboxDevice(string Name, bool Enabled = true, bool OnPremises = false);

/// <summary>Who owns a DingTalk account.</summary>
[JsonConverter(typeof(WordConverter<SandboxAccountKind>))]
public enum SandboxAccountKind
{
    /// <summary>The organisation; it may disable the account and sign it out.</summary>
    Enterprise,

    /// <summary>The person; the organisation can only remove it from its members.</summary>
    Ordinary,
}

/// <summary>How an enterprise account signs in.</summary>
[JsonConverter(typeof(WordConverter<SandboxLoginType>))]
public enum SandboxLoginType
{
    /// <summary>With a DingTalk password.</summary>
    DingTalk,

    /// <summary>Through the organisation's identity provider.</summary>
    Sso,
}

/// <summary>Administrator of a DingTalk organisation.</summary>
[JsonConverter(typeof(WordConverter<SandboxAdministrator>))]
public enum SandboxAdministrator
{
    /// <summary>None.</summary>
    None,

    /// <summary>The main administrator (<c>sys_level</c> 1).</summary>
    Main,

    /// <summary>A sub-administrator (<c>sys_level</c> 2).</summary>
    Sub,
}

/// <summary>A department of the simulated organisation.</summary>
/// <param name="Id">Department id; the root is 1.</param>
/// <param name="Name">Its name.</param>
/// <param name="ParentId">The department above; 0 for the root.</param>
public sealed record SandboxDepartment(long Id, string Name, long ParentId);

/// <summary>A role of the simulated organisation.</summary>
/// <param name="Id">Role id.</param>
/// <param name="Name">Its name.</param>
/// <param name="GroupId">The group of roles it belongs to.</param>
/// <param name="GroupName">That group's name.</param>
public sealed record SandboxRole(long Id, string Name, long GroupId, string GroupName);

/// <summary>How the members of a group come about.</summary>
public enum SandboxGroupKind
{
    /// <summary>One by one; everybody may be taken out.</summary>
    Assigned,

    /// <summary>By a rule of the directory.</summary>
    Dynamic,

    /// <summary>In an on-premises directory.</summary>
    OnPremises,

    /// <summary>In Exchange: a distribution list.</summary>
    Distribution,

    /// <summary>One by one, and the group carries directory roles.</summary>
    RoleAssignable,
}

/// <summary>One line of the organisation's leave records.</summary>
/// <param name="UserId">User id that the person had.</param>
/// <param name="Name">Name.</param>
/// <param name="Mobile">Mobile number.</param>
/// <param name="LeaveTime">When they left.</param>
/// <param name="Reason"><c>oapi</c> (removed by an app), <c>delete</c>, <c>leave</c>, <c>cancel</c> or <c>unknown</c>.</param>
public sealed record SandboxLeaveRecord(string UserId, string Name, string? Mobile, DateTimeOffset LeaveTime, string Reason);

/// <summary>An event that could not be pushed and waits in the failed-push list.</summary>
/// <param name="Tag">Event type, such as <c>user_leave_org</c>.</param>
/// <param name="EventTime">When it happened.</param>
/// <param name="Data">The event's own body, JSON.</param>
/// <param name="Taken">The legacy list was read: it forgets what it has returned.</param>
public sealed record SandboxFailedPush(string Tag, DateTimeOffset EventTime, string Data, bool Taken = false);

/// <summary>A change of a directory role, for the directory's audit.</summary>
/// <param name="Id">The audit's id of it.</param>
/// <param name="At">When.</param>
/// <param name="ObjectId">Whose role.</param>
/// <param name="Role">Which.</param>
/// <param name="Added">Given, not taken.</param>
/// <param name="By">The object id of the application that did it.</param>
public sealed record SandboxRoleChange(string Id, DateTimeOffset At, string ObjectId, string Role, bool Added, string By);
