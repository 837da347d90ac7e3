using System.Globalization;
using System.Text.Json;
using DingFlow.Intake;

namespace DingFlow.Scim;

/// <summary>What an operation does to an attribute (RFC 7644 section 3.5.2).</summary>
internal enum ScimOperation
{
    Add,
    Replace,
    Remove,
}

/// <summary>
/// A user who is being changed, attribute by attribute. It is tolerant where providers are known to be careless (truth values as
/// texts, values wrapped in an array, numbers for texts), and refuses what could mean two things.
/// </summary>
internal sealed class ScimDraft
{
    private const int MaxTextLength = 256;
    private const int MaxEmails = 10;

    private readonly List<ScimEmail> _emails = [];
    private readonly Dictionary<string, string?> _texts = new(StringComparer.Ordinal);

    /// <summary>An empty user, for a body that says everything.</summary>
    public ScimDraft() { }

    /// <summary>A user as it is, for operations that say what changes.</summary>
    public ScimDraft(ScimUser user)
    {
        Active = user.Active;
        _emails.AddRange(user.Emails);
        _texts[ScimAttributes.UserName] = user.UserName;
        _texts[ScimAttributes.ExternalId] = user.ExternalId;
        _texts[ScimAttributes.DisplayName] = user.DisplayName;
        _texts[ScimAttributes.GivenName] = user.GivenName;
        _texts[ScimAttributes.FamilyName] = user.FamilyName;
        _texts[ScimAttributes.FormattedName] = user.FormattedName;
        _texts[ScimAttributes.EmployeeNumber] = user.EmployeeNumber;
        _texts[ScimAttributes.DingTalkUserId] = user.DingTalkUserId;
    }

    /// <summary>The truth value, once something said it.</summary>
    public bool? Active { get; private set; }

    /// <summary>The user, with what only the server sets taken from elsewhere.</summary>
    public ScimUser ToUser(ScimUser server) => server with
    {
        UserName = Text(ScimAttributes.UserName) ?? "",
        ExternalId = Text(ScimAttributes.ExternalId),
        Active = Active ?? server.Active,
        DisplayName = Text(ScimAttributes.DisplayName),
        GivenName = Text(ScimAttributes.GivenName),
        FamilyName = Text(ScimAttributes.FamilyName),
        FormattedName = Text(ScimAttributes.FormattedName),
        Emails = [.. _emails],
        EmployeeNumber = Text(ScimAttributes.EmployeeNumber),
        DingTalkUserId = Text(ScimAttributes.DingTalkUserId),
    };

    /// <summary>
    /// Applies an object of attributes: the body of a POST or PUT, or the value of an operation without a path. Names may be paths, since
    /// providers send <c>"name.givenName"</c> and <c>"emails[type eq \"work\"].value"</c> here; what is not known is passed over.
    /// </summary>
    public ScimFault? ApplyObject(ScimOperation operation, JsonElement value, string place)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            return ScimFault.Refused(ScimType.InvalidValue, $"{place} must be an object of attributes.");
        }

        var seen = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
        foreach (var property in value.EnumerateObject())
        {
            if (!seen.Add(property.Name))
            {
                return ScimFault.Refused(ScimType.InvalidSyntax, $"{place} says an attribute twice, in different case.");
            }

            if (ScimFilterParser.ParsePath(property.Name) is not { } path || ScimAttributes.KindOf(path.Attribute) != ScimAttributeKind.Kept)
            {
                // The core schema's own URN may hold the core attributes.
                if (property.Name.Equals(ScimSchemas.User, StringComparison.OrdinalIgnoreCase)
                    && ApplyObject(operation, property.Value, place) is { } inner)
                {
                    return inner;
                }

                continue;
            }

            if (Apply(operation, path, property.Value, place) is { } fault)
            {
                return fault;
            }
        }

        return null;
    }

    /// <summary>Applies one operation to a path whose attribute is kept.</summary>
    /// <param name="operation">What to do.</param>
    /// <param name="path">Where.</param>
    /// <param name="value">The value; undefined for a removal without one.</param>
    /// <param name="place">Where it stands in the request, for the fault.</param>
    public ScimFault? Apply(ScimOperation operation, ScimPath path, JsonElement value, string place)
    {
        if (path.Attribute is ScimAttributes.Emails or ScimAttributes.EmailValue or ScimAttributes.EmailType or ScimAttributes.EmailPrimary)
        {
            return ApplyEmails(operation, path, value, place);
        }

        if (path.Element is not null)
        {
            return ScimFault.Refused(ScimType.InvalidPath, $"{place} puts a filter to an attribute with a single value.");
        }

        return path.Attribute switch
        {
            ScimAttributes.Active => ApplyActive(operation, value, place),
            ScimAttributes.Name => ApplyParts(operation, value, place, "name.", ScimAttributes.GivenName, ScimAttributes.FamilyName, ScimAttributes.FormattedName),
            ScimAttributes.Enterprise => ApplyParts(operation, value, place, ScimAttributes.Enterprise, ScimAttributes.EmployeeNumber),
            ScimAttributes.DingFlow => ApplyParts(operation, value, place, ScimAttributes.DingFlow, ScimAttributes.DingTalkUserId),
            _ => ApplyText(operation, path.Attribute, value, place),
        };
    }

    /// <summary>An account whose <c>active</c> was taken away is not active any more.</summary>
    private ScimFault? ApplyActive(ScimOperation operation, JsonElement value, string place)
    {
        if (operation == ScimOperation.Remove)
        {
            Active = false;
            return null;
        }

        if (ReadBoolean(value) is not { } active)
        {
            return ScimFault.Refused(ScimType.InvalidValue, $"{place}: active must be true or false.");
        }

        Active = active;
        return null;
    }

    private ScimFault? ApplyText(ScimOperation operation, string attribute, JsonElement value, string place)
    {
        string? text = null;
        if (operation != ScimOperation.Remove && !TryReadText(value, out text))
        {
            return ScimFault.Refused(
                ScimType.InvalidValue, string.Create(CultureInfo.InvariantCulture, $"{place}: the attribute must be a text of at most {MaxTextLength} characters."));
        }

        if (attribute == ScimAttributes.UserName && text is null)
        {
            return operation == ScimOperation.Remove
                ? ScimFault.Refused(ScimType.Mutability, $"{place}: userName is required and cannot be removed.")
                : ScimFault.Refused(ScimType.InvalidValue, $"{place}: userName must not be empty.");
        }

        _texts[attribute] = text;
        return null;
    }

    /// <summary>A complex attribute with a single value: its parts are set one by one, and those that are not named stay (section 3.5.2.3).</summary>
    private ScimFault? ApplyParts(ScimOperation operation, JsonElement value, string place, string prefix, params ReadOnlySpan<string> parts)
    {
        if (operation == ScimOperation.Remove || value.ValueKind == JsonValueKind.Null)
        {
            foreach (var part in parts)
            {
                _texts[part] = null;
            }

            return null;
        }

        if (value.ValueKind != JsonValueKind.Object)
        {
            return ScimFault.Refused(ScimType.InvalidValue, $"{place}: the attribute must be an object.");
        }

        foreach (var property in value.EnumerateObject())
        {
            var attribute = prefix + property.Name.ToLowerInvariant();
            if (parts.Contains(attribute) && ApplyText(operation, attribute, property.Value, place) is { } fault)
            {
                return fault;
            }
        }

        return null;
    }

    private ScimFault? ApplyEmails(ScimOperation operation, ScimPath path, JsonElement value, string place)
    {
        var part = path.Part ?? (path.Attribute == ScimAttributes.Emails ? null : path.Attribute["emails.".Length..]);
        if (path is { Element: null } && part is null)
        {
            return ApplyAllEmails(operation, value, place);
        }

        var matching = _emails.FindAll(email => path.Element is { } filter ? filter.Matches(new ScimEmailValues(email)) : true);
        if (operation == ScimOperation.Remove && part is null or "value")
        {
            // An address without its value is none.
            _emails.RemoveAll(matching.Contains);
            return null;
        }

        if (matching.Count == 0 && operation != ScimOperation.Remove)
        {
            // Section 3.5.2.3 would refuse this; Microsoft Entra sets an address that is not there yet in this way.
            matching.Add(Described(path.Element));
            _emails.Add(matching[0]);
        }

        foreach (var email in matching)
        {
            if (Changed(email, operation, part, value) is not { } changed)
            {
                return ScimFault.Refused(ScimType.InvalidValue, $"{place}: an e-mail address, its type or primary is not of its form.");
            }

            _emails[_emails.IndexOf(email)] = changed;
        }

        return EmailFault(place);
    }

    private ScimFault? ApplyAllEmails(ScimOperation operation, JsonElement value, string place)
    {
        if (operation == ScimOperation.Remove && value.ValueKind is JsonValueKind.Undefined or JsonValueKind.Null)
        {
            _emails.Clear();
            return null;
        }

        var named = new List<ScimEmail>();
        JsonElement[] elements = value.ValueKind switch
        {
            JsonValueKind.Array => [.. value.EnumerateArray()],
            JsonValueKind.Null => [],
            _ => [value],
        };
        foreach (var element in elements)
        {
            if (ReadEmail(element) is not { } email)
            {
                return ScimFault.Refused(ScimType.InvalidValue, $"{place}: emails must be objects with value, type and primary.");
            }

            // An empty address is one that is not set; Microsoft Entra sends such.
            if (email.Value.Length > 0)
            {
                named.Add(email);
            }
        }

        if (operation == ScimOperation.Remove)
        {
            _emails.RemoveAll(email => named.Exists(other => other.Value.Equals(email.Value, StringComparison.OrdinalIgnoreCase)));
            return null;
        }

        if (operation == ScimOperation.Replace)
        {
            _emails.Clear();
        }

        foreach (var email in named)
        {
            _emails.RemoveAll(other => other.Value.Equals(email.Value, StringComparison.OrdinalIgnoreCase));
            _emails.Add(email);
        }

        return EmailFault(place);
    }

    /// <summary>Makes the list sound: no address without a value, only one primary (the last that was said), not too many.</summary>
    private ScimFault? EmailFault(string place)
    {
        _emails.RemoveAll(static email => email.Value.Length == 0);
        var primary = _emails.FindLastIndex(static email => email.Primary);
        for (var i = 0; i < primary; i++)
        {
            _emails[i] = _emails[i] with { Primary = false };
        }

        return _emails.Count <= MaxEmails ? null
            : ScimFault.Refused(ScimType.InvalidValue, string.Create(CultureInfo.InvariantCulture, $"{place}: there may be {MaxEmails} e-mail addresses."));
    }

    private static ScimEmail? Changed(ScimEmail email, ScimOperation operation, string? part, JsonElement value)
    {
        switch (part)
        {
            case null:
                return value.ValueKind == JsonValueKind.Object ? ReadEmail(value, email)
                    : TryReadText(value, out var whole) ? email with { Value = whole ?? "" } : null;
            case "value":
                return TryReadText(value, out var text) ? email with { Value = text ?? "" } : null;
            case "type":
                return operation == ScimOperation.Remove ? email with { Type = null } : TryReadText(value, out var type) ? email with { Type = type } : null;
            case "primary":
                return operation == ScimOperation.Remove ? email with { Primary = false } : ReadBoolean(value) is { } primary ? email with { Primary = primary } : null;
            default:
                return email;
        }
    }

    private static ScimEmail? ReadEmail(JsonElement element, ScimEmail? known = null)
    {
        var email = known ?? new ScimEmail("");
        if (element.ValueKind != JsonValueKind.Object)
        {
            return TryReadText(element, out var text) && text is not null ? email with { Value = text } : null;
        }

        foreach (var property in element.EnumerateObject())
        {
            var part = property.Name.ToLowerInvariant();
            if (part is not ("value" or "type" or "primary") || (part == "primary" && property.Value.ValueKind == JsonValueKind.Null))
            {
                continue;
            }

            if (Changed(email, ScimOperation.Replace, part, property.Value) is not { } changed)
            {
                return null;
            }

            email = changed;
        }

        return email;
    }

    /// <summary>The address that a filter of equalities describes, without its value.</summary>
    private static ScimEmail Described(ScimFilter? filter) => filter switch
    {
        ScimFilter.And and => Merged(Described(and.Left), Described(and.Right)),
        ScimFilter.Compare { Operator: ScimOperator.Equal, Attribute: ScimAttributes.EmailType, Literal: { } type } => new ScimEmail("", type),
        ScimFilter.Compare { Operator: ScimOperator.Equal, Attribute: ScimAttributes.EmailPrimary, Literal: { } primary } =>
            new ScimEmail("", Primary: primary.Equals("true", StringComparison.OrdinalIgnoreCase)),
        _ => new ScimEmail("", filter is null ? "work" : null),
    };

    private static ScimEmail Merged(ScimEmail left, ScimEmail right) => new("", left.Type ?? right.Type, left.Primary || right.Primary);

    private string? Text(string attribute) => _texts.GetValueOrDefault(attribute);

    /// <summary>A truth value, also as a text in any case: Microsoft Entra sends <c>"True"</c> and <c>"False"</c> unless told otherwise.</summary>
    private static bool? ReadBoolean(JsonElement value) => Unwrapped(value) switch
    {
        { ValueKind: JsonValueKind.True } => true,
        { ValueKind: JsonValueKind.False } => false,
        { ValueKind: JsonValueKind.String } text when PersonFields.TextOf(text)?.Trim() is { } word =>
            word.Equals("true", StringComparison.OrdinalIgnoreCase) ? true
            : word.Equals("false", StringComparison.OrdinalIgnoreCase) ? false : null,
        _ => null,
    };

    /// <summary>A text, or a number as one; <c>null</c> and an empty text both mean that the attribute has no value.</summary>
    private static bool TryReadText(JsonElement value, out string? text)
    {
        var unwrapped = Unwrapped(value);
        text = unwrapped.ValueKind switch
        {
            JsonValueKind.String => PersonFields.TextOf(unwrapped),
            JsonValueKind.Number => unwrapped.GetRawText(),
            JsonValueKind.Null => "",
            _ => null,
        };
        if (text is null || text.Length > MaxTextLength)
        {
            return false;
        }

        text = text.Length == 0 ? null : text;
        return true;
    }

    /// <summary>Microsoft Entra's older form of a single value: <c>[{"$ref":null,"value":…}]</c>.</summary>
    private static JsonElement Unwrapped(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() == 1)
        {
            value = value[0];
            if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("value"u8, out var inner))
            {
                value = inner;
            }
        }

        return value;
    }
}
