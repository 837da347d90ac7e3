namespace DingFlow.Messaging;

/// <summary>What systems themselves say of a change of permissions, in the audit trail: the explanation of what the nightly reading finds.</summary>
internal static class PermissionEvents
{
    public static AuditKind Reported { get; } =
        new("permissions.reported", AuditRetention.Legal, "DingTalk or Entra reported a change of an administrator or role, and by whom.");

    /// <summary>The name under which a DingTalk account stands in the permission log: the pseudonym of <c>{tenant}/{user id}</c>.</summary>
    public static string AccountOf(AuditPseudonyms pseudonyms, string tenant, string userId) =>
        pseudonyms.Of("dingTalkUserId", $"{tenant}/{userId}") ?? "unknown";

    /// <summary>What a report on administrators is about, whichever kind.</summary>
    public const string Administrator = "administrator";

    /// <summary>A role of DingTalk as the permission log names it: by its id, since its name may change.</summary>
    public static string RoleOf(string roleId) => RolePrefix + roleId;

    /// <summary>How the names of DingTalk's roles begin.</summary>
    public const string RolePrefix = "role ";

    /// <summary>A change as a system reports it.</summary>
    /// <param name="source">The system: <c>dingtalk/{tenant}</c> or <c>entra</c>.</param>
    /// <param name="what">The event or activity.</param>
    /// <param name="who">Whose permission, as the permission log names them.</param>
    /// <param name="by">Who did it, named likewise; <see langword="null"/> when the system does not say.</param>
    /// <param name="payload">The hash of the report.</param>
    /// <param name="at">When it happened.</param>
    /// <param name="id">The system's id of it.</param>
    /// <param name="permissions">Which permissions, as the permission log names them; none when the report does not say.</param>
    /// <param name="areGiven">Whether they were given or taken; <see langword="null"/> when the report does not say.</param>
    public static AuditEvent Event(
        string source, string what, string who, string? by, PayloadHash payload, DateTimeOffset? at, string? id, IReadOnlyList<string> permissions, bool? areGiven) => new()
    {
        Kind = Reported,
        Actor = AuditActor.Source(source),
        Payload = payload,
        On = new("permission", what),
        OccurredAt = at,
        Details = new Dictionary<string, string>
        {
            ["source"] = source, ["who"] = who, ["what"] = what, ["by"] = by ?? "", ["reportId"] = id ?? "",
            ["permissions"] = string.Join('\n', permissions), ["change"] = areGiven switch { true => "gained", false => "lost", _ => "" },
        },
    };
}

/// <summary>A change of an administrator or role, as DingTalk reports it.</summary>
/// <param name="What">The event's type.</param>
/// <param name="Tenant">The organisation.</param>
/// <param name="UserId">Whose. Personal data.</param>
/// <param name="OperatorId">Who did it, where it is told. Personal data.</param>
public sealed record ReportedRoleChange(string What, string Tenant, string UserId, string? OperatorId)
{
    /// <summary>Whether they were given or taken; <see langword="null"/> when it is not told.</summary>
    public bool? AreGiven { get; init; }

    /// <summary>Which permissions, as the permission log names them.</summary>
    public IReadOnlyList<string> Permissions { get; init; } = [];

    /// <summary>What only: the ids are personal data.</summary>
    public override string ToString() => What;
}
