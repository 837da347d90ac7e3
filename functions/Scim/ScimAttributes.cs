using System.Collections.Frozen;

namespace DingFlow.Scim;

/// <summary>What is known of an attribute's name.</summary>
internal enum ScimAttributeKind
{
    /// <summary>It is kept, and can be read, written and filtered by.</summary>
    Kept,

    /// <summary>The server sets it.</summary>
    ReadOnly,

    /// <summary>A standard attribute, or one of a foreign extension, that is taken and not kept: nothing here needs it.</summary>
    Dropped,

    /// <summary>No such attribute.</summary>
    Unknown,
}

/// <summary>
/// Names of attributes. Names are in any case, with or without the URN of their schema; here they have one form: lower case, core
/// attributes without URN, those of an extension behind <c>enterprise:</c> or <c>dingflow:</c>.
/// </summary>
internal static class ScimAttributes
{
    public const string Id = "id";
    public const string ExternalId = "externalid";
    public const string UserName = "username";
    public const string DisplayName = "displayname";
    public const string Active = "active";
    public const string Name = "name";
    public const string GivenName = "name.givenname";
    public const string FamilyName = "name.familyname";
    public const string FormattedName = "name.formatted";
    public const string Emails = "emails";
    public const string EmailValue = "emails.value";
    public const string EmailType = "emails.type";
    public const string EmailPrimary = "emails.primary";
    public const string EmployeeNumber = "enterprise:employeenumber";
    public const string DingTalkUserId = "dingflow:dingtalkuserid";

    /// <summary>An extension as a whole.</summary>
    public const string Enterprise = "enterprise:";
    public const string DingFlow = "dingflow:";

    /// <summary>What an attribute of an extension that is not known here becomes.</summary>
    private const string Foreign = "urn:";

    private static readonly FrozenSet<string> Kept = new[]
    {
        ExternalId, UserName, DisplayName, Active, Name, GivenName, FamilyName, FormattedName, Emails, EmailValue, EmailType, EmailPrimary,
        EmployeeNumber, DingTalkUserId, Enterprise, DingFlow,
    }.ToFrozenSet(StringComparer.Ordinal);

    private static readonly FrozenSet<string> ReadOnly = new[]
    {
        Id, "schemas", "meta", "meta.resourcetype", "meta.created", "meta.lastmodified", "meta.location", "meta.version", "groups",
    }.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The other attributes of RFC 7643 section 4.1; their sub-attributes are dropped with them.</summary>
    private static readonly FrozenSet<string> Dropped = new[]
    {
        "nickname", "profileurl", "title", "usertype", "preferredlanguage", "locale", "timezone", "password", "phonenumbers", "ims",
        "photos", "addresses", "entitlements", "roles", "x509certificates", "name", "emails",
    }.ToFrozenSet(StringComparer.Ordinal);

    /// <summary>The one form of a name; a name that is none comes back in lower case and is <see cref="ScimAttributeKind.Unknown"/>.</summary>
    public static string Canonical(ReadOnlySpan<char> name)
    {
        name = name.Trim();
        if (!name.StartsWith("urn:", StringComparison.OrdinalIgnoreCase))
        {
            return Lower(name);
        }

        return Within(name, ScimSchemas.User) is { } core ? core
            : Within(name, ScimSchemas.Enterprise) is { } enterprise ? Enterprise + enterprise
            : Within(name, ScimSchemas.DingFlow) is { } own ? DingFlow + own
            : Foreign;
    }

    /// <summary>What is known of a name in its one form.</summary>
    public static ScimAttributeKind KindOf(string canonical)
    {
        if (Kept.Contains(canonical))
        {
            return ScimAttributeKind.Kept;
        }

        if (ReadOnly.Contains(canonical) || canonical.StartsWith("groups.", StringComparison.Ordinal))
        {
            return ScimAttributeKind.ReadOnly;
        }

        var dot = canonical.IndexOf('.', StringComparison.Ordinal);
        var isDropped = canonical.Contains(':', StringComparison.Ordinal)
            ? canonical == Foreign || canonical.StartsWith(Enterprise, StringComparison.Ordinal) || canonical.StartsWith(DingFlow, StringComparison.Ordinal)
            : Dropped.Contains(dot < 0 ? canonical : canonical[..dot]);
        return isDropped ? ScimAttributeKind.Dropped : ScimAttributeKind.Unknown;
    }

    private static string? Within(ReadOnlySpan<char> name, string schema) =>
        !name.StartsWith(schema, StringComparison.OrdinalIgnoreCase) ? null
        : name.Length == schema.Length ? ""
        : name[schema.Length] is ':' or '.' ? Lower(name[(schema.Length + 1)..])
        : null;

    private static string Lower(ReadOnlySpan<char> text) => text.ToString().ToLowerInvariant();
}
