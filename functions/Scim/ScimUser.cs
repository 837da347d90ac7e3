using System.Text.Json.Serialization;

namespace DingFlow.Scim;

/// <summary>
/// A person whom an identity provider provisioned. Only what offboarding and the provider's own matching need is kept, and all of it
/// is encrypted at rest.
/// </summary>
internal sealed record ScimUser
{
    /// <summary>What the provider signs the person in by; unique within the source, whatever the case.</summary>
    public required string UserName { get; init; }

    /// <summary>The provider's own id of the person.</summary>
    public string? ExternalId { get; init; }

    /// <summary>Whether the person works here, as far as the provider said.</summary>
    public required bool Active { get; init; }

    public string? DisplayName { get; init; }

    public string? GivenName { get; init; }

    public string? FamilyName { get; init; }

    public string? FormattedName { get; init; }

    public IReadOnlyList<ScimEmail> Emails { get; init; } = [];

    /// <summary>The HR system's number, from the enterprise extension.</summary>
    public string? EmployeeNumber { get; init; }

    public string? DingTalkUserId { get; init; }

    public required DateTimeOffset CreatedAt { get; init; }

    public required DateTimeOffset ModifiedAt { get; init; }

    /// <summary>How often the person was deprovisioned or came back; it names the deliveries that say so.</summary>
    public int Transition { get; init; }

    /// <summary>A change of <see cref="Active"/> that was begun; it is finished before anything else is done with the person.</summary>
    public ScimIntent? Intent { get; init; }

    /// <summary>The addresses that may stand for the person, the best first: primary, for work, any other, the user name.</summary>
    [JsonIgnore]
    public IEnumerable<string> Addresses => Emails
        .OrderBy(static email => email.Primary ? 0 : email.IsWork ? 1 : 2).Select(static email => email.Value)
        .Append(UserName);

    /// <summary>No personal data in logs by accident.</summary>
    public override string ToString() => nameof(ScimUser);

    /// <summary>Whether nothing that a provider can set differs.</summary>
    public bool SaysTheSameAs(ScimUser other) => this with { Emails = [], ModifiedAt = other.ModifiedAt } == other with { Emails = [] }
        && Emails.SequenceEqual(other.Emails);
}

/// <summary>An e-mail address of a person.</summary>
internal sealed record ScimEmail(string Value, string? Type = null, bool Primary = false)
{
    [JsonIgnore]
    public bool IsWork => string.Equals(Type, "work", StringComparison.OrdinalIgnoreCase);

    /// <summary>No personal data in logs by accident.</summary>
    public override string ToString() => nameof(ScimEmail);
}

/// <summary>
/// A change of <see cref="ScimUser.Active"/> that was begun. Whoever comes upon it hands the same delivery to the inbox, which takes it
/// once, so that neither a crash nor a race loses a leaver or reports one twice.
/// </summary>
internal sealed record ScimIntent
{
    /// <summary>The value that <see cref="ScimUser.Active"/> gets.</summary>
    public required bool Active { get; init; }

    /// <summary>The person is removed with it.</summary>
    public bool Removes { get; init; }

    /// <summary>When it was begun.</summary>
    public required DateTimeOffset At { get; init; }

    /// <summary>By which key the request that began it signed in.</summary>
    public string? Key { get; init; }

    /// <summary>The request's body, for the evidence.</summary>
    public required byte[] Body { get; init; }

    public string? EmployeeId { get; init; }

    public string? Email { get; init; }

    public string? DingTalkUserId { get; init; }

    /// <summary>No personal data in logs by accident.</summary>
    public override string ToString() => nameof(ScimIntent);
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ScimUser))]
internal sealed partial class ScimStateJson : JsonSerializerContext;

/// <summary>A user, or one of the user's e-mail addresses, as filters see it.</summary>
internal sealed class ScimUserValues(string id, ScimUser user) : IScimValues
{
    public IReadOnlyList<ScimValue> Of(string attribute) => attribute switch
    {
        ScimAttributes.Id => [new ScimValue(id, IsExact: true)],
        ScimAttributes.ExternalId => Optional(user.ExternalId, isExact: true),
        ScimAttributes.UserName => [new ScimValue(user.UserName)],
        ScimAttributes.DisplayName => Optional(user.DisplayName),
        ScimAttributes.Active => [ScimValue.Of(user.Active)],
        ScimAttributes.GivenName => Optional(user.GivenName),
        ScimAttributes.FamilyName => Optional(user.FamilyName),
        ScimAttributes.FormattedName => Optional(user.FormattedName),
        ScimAttributes.Name => Optional(user.FormattedName ?? user.FamilyName ?? user.GivenName),
        // Without a part, a multi-valued attribute stands for its values.
        ScimAttributes.Emails or ScimAttributes.EmailValue => [.. user.Emails.Select(static email => new ScimValue(email.Value))],
        ScimAttributes.EmailType => [.. user.Emails.Where(static email => email.Type is not null).Select(static email => new ScimValue(email.Type!))],
        ScimAttributes.EmailPrimary => [.. user.Emails.Select(static email => ScimValue.Of(email.Primary))],
        ScimAttributes.EmployeeNumber => Optional(user.EmployeeNumber, isExact: true),
        ScimAttributes.DingTalkUserId => Optional(user.DingTalkUserId, isExact: true),
        "meta.created" => [ScimValue.Of(user.CreatedAt)],
        "meta.lastmodified" => [ScimValue.Of(user.ModifiedAt)],
        "meta.resourcetype" => [new ScimValue("User", IsExact: true)],
        "schemas" => [.. ScimUserWriter.SchemasOf(user).Select(static schema => new ScimValue(schema))],
        _ => [],
    };

    public IEnumerable<IScimValues> ElementsOf(string attribute) =>
        attribute == ScimAttributes.Emails ? user.Emails.Select(static email => new ScimEmailValues(email)) : [];

    private static IReadOnlyList<ScimValue> Optional(string? text, bool isExact = false) => text is null ? [] : [new ScimValue(text, isExact)];
}

/// <summary>One e-mail address as filters see it.</summary>
internal sealed class ScimEmailValues(ScimEmail email) : IScimValues
{
    public IReadOnlyList<ScimValue> Of(string attribute) => attribute switch
    {
        ScimAttributes.EmailValue => [new ScimValue(email.Value)],
        ScimAttributes.EmailType => email.Type is null ? [] : [new ScimValue(email.Type)],
        ScimAttributes.EmailPrimary => [ScimValue.Of(email.Primary)],
        _ => [],
    };

    public IEnumerable<IScimValues> ElementsOf(string attribute) => [];
}
