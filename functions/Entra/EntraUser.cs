namespace DingFlow.Entra;

/// <summary>A user of Microsoft Entra ID, live or deleted. Personal data: never logged.</summary>
public sealed record EntraUser
{
    /// <summary>The object id.</summary>
    public required string Id { get; init; }

    /// <summary>The sign-in name. Of a deleted user it is prefixed with the object id.</summary>
    public string? UserPrincipalName { get; init; }

    /// <summary>The mail address.</summary>
    public string? Mail { get; init; }

    /// <summary>Further addresses at which mail reaches the user (<c>proxyAddresses</c>), without their <c>smtp:</c>.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];

    /// <summary>The employee id that HR gave.</summary>
    public string? EmployeeId { get; init; }

    /// <summary>Sign-in is allowed.</summary>
    public bool AccountEnabled { get; init; }

    /// <summary>Synchronised from an on-premises directory, whose next run would undo a change made here.</summary>
    public bool OnPremisesSyncEnabled { get; init; }

    /// <summary>Refresh tokens and sessions from before this time are void.</summary>
    public DateTimeOffset? SignInSessionsValidFrom { get; init; }

    /// <summary>When the user was deleted; <see langword="null"/> of a live user.</summary>
    public DateTimeOffset? DeletedAt { get; init; }

    /// <summary>Somebody of another organisation.</summary>
    public bool IsGuest { get; init; }

    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(EntraUser);
}
