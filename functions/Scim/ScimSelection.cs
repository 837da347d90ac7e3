namespace DingFlow.Scim;

/// <summary>Which attributes an answer holds (<c>attributes</c>, <c>excludedAttributes</c>; RFC 7644 section 3.9).</summary>
internal sealed class ScimSelection
{
    private const int MaxNames = 100;

    private readonly HashSet<string>? _only;
    private readonly HashSet<string> _without;

    private ScimSelection(HashSet<string>? only, HashSet<string> without) => (_only, _without) = (only, without);

    /// <summary>Everything.</summary>
    public static ScimSelection All { get; } = new(null, []);

    /// <summary>A selection by names; what does not exist is passed over, as a selection of nothing but the id is.</summary>
    public static ScimSelection Of(IEnumerable<string> attributes, IEnumerable<string> excluded)
    {
        var only = Canonical(attributes);
        return new ScimSelection(only.Count == 0 ? null : only, Canonical(excluded));
    }

    /// <summary>The selection that the query asks for.</summary>
    public static ScimSelection Of(IQueryCollection query) => Of(Names(query["attributes"]), Names(query["excludedAttributes"]));

    /// <summary>Whether the attribute, or a part of it, is wanted. The id and the schemas always are.</summary>
    public bool Wants(string attribute)
    {
        var whole = Whole(attribute);
        return !_without.Contains(attribute) && !_without.Contains(whole)
            && (_only is null || _only.Contains(attribute) || _only.Contains(whole) || _only.Any(name => name.StartsWith(attribute, StringComparison.Ordinal)
                && name.Length > attribute.Length && (attribute[^1] == ':' || name[attribute.Length] == '.')));
    }

    private static string Whole(string attribute)
    {
        var colon = attribute.IndexOf(':', StringComparison.Ordinal);
        var dot = attribute.IndexOf('.', StringComparison.Ordinal);
        return colon >= 0 ? attribute[..(colon + 1)] : dot >= 0 ? attribute[..dot] : attribute;
    }

    private static IEnumerable<string> Names(Microsoft.Extensions.Primitives.StringValues values) =>
        values.SelectMany(static value => (value ?? "").Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries));

    private static HashSet<string> Canonical(IEnumerable<string> names) =>
        [.. names.Take(MaxNames).Select(static name => ScimAttributes.Canonical(name)).Where(static name => name.Length > 0)];
}
