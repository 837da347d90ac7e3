using System.Globalization;
using System.Text.Json;
using DingFlow.Intake;

namespace DingFlow.Scim;

/// <summary>
/// Applies the body of a PATCH (RFC 7644 section 3.5.2), in every spelling that Microsoft Entra, Okta and OneLogin are known to send:
/// operations and names in any case, with and without a path, attributes as paths within a value, truth values as texts.
/// </summary>
internal static class ScimPatch
{
    public const int MaxOperations = 100;

    /// <summary>Applies the operations in their order; with a fault nothing of the draft may be used.</summary>
    public static ScimFault? Apply(JsonElement body, ScimDraft draft)
    {
        if (body.ValueKind != JsonValueKind.Object || Find(body, "operations") is not { ValueKind: JsonValueKind.Array } operations)
        {
            return ScimFault.Refused(ScimType.InvalidSyntax, "The body must be an object with an array Operations.");
        }

        if (operations.GetArrayLength() > MaxOperations)
        {
            return ScimFault.Refused(ScimType.InvalidSyntax, string.Create(CultureInfo.InvariantCulture, $"There may be {MaxOperations} operations."));
        }

        var number = 0;
        foreach (var operation in operations.EnumerateArray())
        {
            if (ApplyOne(operation, draft, string.Create(CultureInfo.InvariantCulture, $"Operations[{number++}]")) is { } fault)
            {
                return fault;
            }
        }

        return null;
    }

    private static ScimFault? ApplyOne(JsonElement operation, ScimDraft draft, string place)
    {
        if (operation.ValueKind != JsonValueKind.Object)
        {
            return ScimFault.Refused(ScimType.InvalidSyntax, $"{place} must be an object.");
        }

        if (ReadOperation(Find(operation, "op")) is not { } what)
        {
            return ScimFault.Refused(ScimType.InvalidSyntax, $"{place}: op must be add, replace or remove.");
        }

        var value = Find(operation, "value") ?? default;
        if (what != ScimOperation.Remove && value.ValueKind == JsonValueKind.Undefined)
        {
            return ScimFault.Refused(ScimType.InvalidValue, $"{place} has no value.");
        }

        if (Find(operation, "path") is not { ValueKind: not JsonValueKind.Null } pathElement
            || PersonFields.TextOf(pathElement) is { } text && string.IsNullOrWhiteSpace(text))
        {
            return what == ScimOperation.Remove
                ? ScimFault.Refused(ScimType.NoTarget, $"{place} removes something and has no path.")
                : draft.ApplyObject(what, value, place);
        }

        if (PersonFields.TextOf(pathElement) is not { } pathText || ScimFilterParser.ParsePath(pathText) is not { } path)
        {
            return ScimFault.Refused(ScimType.InvalidPath, $"{place}: the path cannot be read.");
        }

        // The core schema's URN alone is the resource itself.
        if (path is { Attribute.Length: 0, Element: null } && what != ScimOperation.Remove)
        {
            return draft.ApplyObject(what, value, place);
        }

        return ScimAttributes.KindOf(path.Attribute) switch
        {
            ScimAttributeKind.Kept => draft.Apply(what, path, value, place),
            ScimAttributeKind.ReadOnly => ScimFault.Refused(ScimType.Mutability, $"{place}: the attribute is set by the server."),
            ScimAttributeKind.Dropped => null,
            // A mistyped path must not pass for a leaver who was reported.
            _ => ScimFault.Refused(ScimType.InvalidPath, $"{place}: there is no such attribute."),
        };
    }

    private static ScimOperation? ReadOperation(JsonElement? element) =>
        element is { } op && PersonFields.TextOf(op) is { } text && !char.IsAsciiDigit(text.FirstOrDefault())
        && Enum.TryParse<ScimOperation>(text.Trim(), ignoreCase: true, out var operation) && Enum.IsDefined(operation)
            ? operation : null;

    /// <summary>A property by its name in any case.</summary>
    private static JsonElement? Find(JsonElement element, string name)
    {
        foreach (var property in element.EnumerateObject())
        {
            if (property.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
            {
                return property.Value;
            }
        }

        return null;
    }
}
