using System.Xml;
using Newtonsoft.Json.Linq;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// XML from HR systems: no DTD, no external entity, bounded in characters, depth and elements. Names are taken without their namespace.
/// </summary>
internal static class XmlPayload
{
    private const int MaxDepth = 32;
    private const int MaxElements = 5_000;
    private const int MaxCharacters = 512 * 1024;

    private static readonly XmlReaderSettings Settings = new()
    {
        DtdProcessing = DtdProcessing.Prohibit,
        XmlResolver = null,
        MaxCharactersInDocument = MaxCharacters,
        MaxCharactersFromEntities = 1024,
        IgnoreComments = true,
        IgnoreProcessingInstructions = true,
        IgnoreWhitespace = true,
        CloseInput = true,
    };

    /// <summary>What is asked of a body.</summary>
    public const string Rule = "The body is not XML as it is accepted here: well-formed, without DTD, at most 32 levels deep and 5000 elements.";

    public static bool IsXml(string? contentType)
    {
        var media = contentType.AsSpan();
        var end = media.IndexOf(';');
        media = (end < 0 ? media : media[..end]).Trim();
        return media.Equals("text/xml", StringComparison.OrdinalIgnoreCase) || media.Equals("application/xml", StringComparison.OrdinalIgnoreCase)
            || media.EndsWith("+xml", StringComparison.OrdinalIgnoreCase);
    }

    /// <summary>The root element, or <see langword="null"/> when the body breaks the <see cref="Rule"/>.</summary>
    public static XmlNodeLite? Parse(ReadOnlyMemory<byte> body)
    {
        try
        {
            using var reader = XmlReader.Create(new MemoryStream(body.ToArray(), writable: false), Settings);
            return Load(reader);
        }
        catch (Exception exception) when (exception is XmlException or ArgumentException or InvalidOperationException)
        {
            // Besides what is not well-formed: encodings that do not exist, or that the bytes are not in.
            return null;
        }
    }

    /// <summary>The same as JSON: elements become properties, repeated ones arrays, attributes properties with <c>@</c>, texts values.</summary>
    public static JObject ToJson(XmlNodeLite root) => new() { [root.Name] = ValueOf(root) };

    private static XmlNodeLite? Load(XmlReader reader)
    {
        var open = new Stack<XmlNodeLite>();
        XmlNodeLite? root = null;
        var elements = 0;
        while (reader.Read())
        {
            switch (reader.NodeType)
            {
                case XmlNodeType.Element:
                    if (open.Count == MaxDepth || ++elements > MaxElements || (root is not null && open.Count == 0))
                    {
                        return null;
                    }

                    var node = new XmlNodeLite(reader.LocalName);
                    if (open.TryPeek(out var parent))
                    {
                        parent.Children.Add(node);
                    }

                    root ??= node;
                    var isEmpty = reader.IsEmptyElement;
                    while (reader.MoveToNextAttribute())
                    {
                        if (++elements > MaxElements)
                        {
                            return null;
                        }

                        if (reader.Prefix != "xmlns" && reader.LocalName != "xmlns")
                        {
                            node.Attributes[reader.LocalName] = reader.Value;
                        }
                    }

                    if (!isEmpty)
                    {
                        open.Push(node);
                    }

                    break;
                case XmlNodeType.EndElement:
                    open.Pop();
                    break;
                case XmlNodeType.Text or XmlNodeType.CDATA or XmlNodeType.SignificantWhitespace when open.TryPeek(out var current):
                    current.AddText(reader.Value);
                    break;
            }
        }

        return root;
    }

    private static JToken ValueOf(XmlNodeLite node)
    {
        if (node.Children.Count == 0 && node.Attributes.Count == 0)
        {
            return node.Text;
        }

        var value = new JObject();
        foreach (var (name, text) in node.Attributes)
        {
            value["@" + name] = text;
        }

        foreach (var child in node.Children)
        {
            var one = ValueOf(child);
            switch (value[child.Name])
            {
                case null:
                    value[child.Name] = one;
                    break;
                case JArray many:
                    many.Add(one);
                    break;
                case var first:
                    value[child.Name] = new JArray(first, one);
                    break;
            }
        }

        if (node.Text.Length > 0)
        {
            value["#text"] = node.Text;
        }

        return value;
    }
}

/// <summary>One element, its name without namespace.</summary>
internal sealed class XmlNodeLite(string name)
{
    private System.Text.StringBuilder? _text;

    public string Name { get; } = name;

    public List<XmlNodeLite> Children { get; } = [];

    public Dictionary<string, string> Attributes { get; } = new(StringComparer.Ordinal);

    /// <summary>Its own text without the space around it.</summary>
    public string Text => _text?.ToString().Trim() ?? "";

    public void AddText(string text) => (_text ??= new()).Append(text);

    /// <summary>The first element of that name below, at any level, or itself.</summary>
    public XmlNodeLite? Find(string wanted)
    {
        if (Name == wanted)
        {
            return this;
        }

        foreach (var child in Children)
        {
            if (child.Find(wanted) is { } found)
            {
                return found;
            }
        }

        return null;
    }

    /// <summary>The text of a child, or <see langword="null"/>.</summary>
    public string? TextOf(string child) => Children.Find(c => c.Name == child) is { Text.Length: > 0 } found ? found.Text : null;

    /// <summary>The children of a child.</summary>
    public IReadOnlyList<XmlNodeLite> ChildrenOf(string child) => Children.Find(c => c.Name == child)?.Children ?? [];
}
