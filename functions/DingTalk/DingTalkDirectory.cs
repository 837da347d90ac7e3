using DingFlow.Remote;

namespace DingFlow.DingTalk;

/// <summary>What looking for a person came to.</summary>
public enum DirectoryMatch
{
    /// <summary>Exactly one person.</summary>
    Found,

    /// <summary>Nobody.</summary>
    NotFound,

    /// <summary>The identifiers lead to different people.</summary>
    Ambiguous,
}

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

    /// <summary>When the contact list last showed the person.</summary>
    public required DateTimeOffset SeenAt { get; init; }

    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(DirectoryEntry);
}

/// <summary>
/// Who is who in each tenant. DingTalk cannot look people up by employee number or e-mail, and knows nothing of people who left, so a
/// map is kept beforehand.
/// </summary>
public sealed class DingTalkDirectory
{
    /// <summary>What a list of found people amounts to.</summary>
    public static DirectoryMatch Match(IReadOnlyList<DirectoryEntry> entries) => entries.Count switch
    {
        0 => DirectoryMatch.NotFound,
        1 => DirectoryMatch.Found,
        _ => DirectoryMatch.Ambiguous,
    };

    /// <summary>
    /// All distinct people that any of the identifiers leads to. When the map knows none of them it is refreshed first, at most once a
    /// minute per tenant; a refresh that fails is the answer, so that an empty list really means nobody.
    /// </summary>
    public Task<RemoteResult<IReadOnlyList<DirectoryEntry>>> FindAsync(
        string tenant, string? jobNumber, string? email, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>The entry of a user id, as positive evidence that it existed; <see langword="null"/> when it was never seen.</summary>
    public Task<DirectoryEntry?> GetKnownAsync(string tenant, string userId, CancellationToken cancellationToken) => throw new NotImplementedException();

    /// <summary>Reads the whole contact list into the map. Returns how many people it shows.</summary>
    public Task<RemoteResult<int>> RefreshAsync(string tenant, CancellationToken cancellationToken) => throw new NotImplementedException();
}
