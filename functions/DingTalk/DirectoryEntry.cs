namespace DingFlow.DingTalk;

/// <summary>A person that was seen in a tenant's contact list.</summary>
public sealed record DirectoryEntry
{
    /// <summary>The tenant.</summary>
    public required string Tenant { get; init; }

    /// <summary>Unique within the tenant.</summary>
    public required string UserId { get; init; }

    /// <summary>Unique within the developer organisation.</summary>
    public string? UnionId { get; init; }

    /// <summary>The employee number.</summary>
    public string? JobNumber { get; init; }

    /// <summary>When the contact list last showed the person (UTC).</summary>
    public required DateTimeOffset SeenAt { get; init; }

    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(DirectoryEntry);
}
