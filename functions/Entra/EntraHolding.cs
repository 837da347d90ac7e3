namespace DingFlow.Entra;

/// <summary>Something that a user holds and that can be taken away: a membership, a role, a licence, a device, an owned object.</summary>
/// <param name="Id">The id by which it is taken away.</param>
/// <param name="Name">Its display name, where that is not a person's business.</param>
public sealed record EntraHolding(string Id, string? Name)
{
    /// <summary>Why it cannot be taken away here; <see langword="null"/> when it can.</summary>
    public string? NotOurs { get; init; }

    /// <summary>What is needed to give it back, by name.</summary>
    public IReadOnlyDictionary<string, string> Data { get; init; } = new Dictionary<string, string>();
}
