using System.Globalization;
using System.Text;
using DingFlow.Settings;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// A JSONPath from the settings, checked at the start and bounded by its form: at most one <c>..</c>, two wildcards and one filter, no
/// regular expression, so that no body makes it slow. A body's size bounds the rest.
/// </summary>
internal sealed class JsonPath
{
    private const int MaxLength = 200;
    private const int MaxWildcards = 2;
    private static readonly JsonSelectSettings Settings = new() { ErrorWhenNoMatch = false, RegexMatchTimeout = TimeSpan.FromMilliseconds(50) };
    private readonly string _path;

    private JsonPath(string path) => _path = path;

    /// <summary>Reads a path; a fault when it is none. <see langword="null"/> when it is not set.</summary>
    public static JsonPath? Read(SettingsReader reader, string name, string? defaultPath = null)
    {
        ArgumentNullException.ThrowIfNull(reader);
        if ((reader.Text(name) ?? defaultPath) is not { } path)
        {
            return null;
        }

        if (FaultOf(path) is { } fault)
        {
            reader.Fault(name, fault);
            return null;
        }

        return new JsonPath(path);
    }

    /// <summary>A path that is known to be good.</summary>
    public static JsonPath Of(string path) => FaultOf(path) is { } fault ? throw new ArgumentException(fault, nameof(path)) : new JsonPath(path);

    /// <summary>The first value that it leads to, unless it is <c>null</c>.</summary>
    public JToken? Find(JToken token)
    {
        var found = token.SelectTokens(_path, Settings).FirstOrDefault();
        return found is null or { Type: JTokenType.Null } ? null : found;
    }

    /// <summary>Every value that it leads to, up to so many.</summary>
    public List<JToken> FindAll(JToken token, int most) => [.. token.SelectTokens(_path, Settings).Take(most)];

    /// <summary>The text, number or truth value that it leads to, as text.</summary>
    public string? Text(JToken token) => Find(token) switch
    {
        JValue { Type: JTokenType.String } value => (string?)value,
        JValue { Type: JTokenType.Integer or JTokenType.Float } value => Convert.ToString(value.Value, CultureInfo.InvariantCulture),
        JValue { Type: JTokenType.Boolean } value => (bool)value ? "true" : "false",
        // An XML element with attributes.
        JObject element when element["#text"] is JValue { Type: JTokenType.String } text => (string?)text,
        _ => null,
    };

    private static string? FaultOf(string path)
    {
        if (path.Length > MaxLength)
        {
            return string.Create(CultureInfo.InvariantCulture, $"must have at most {MaxLength} characters");
        }

        if (path.Contains("=~", StringComparison.Ordinal))
        {
            return "must not use a regular expression";
        }

        if (Count(path, "..") > 1 || path.AsSpan().Count('*') > MaxWildcards || Count(path, "?") > 1)
        {
            return "may use '..' once, '*' twice and a filter once";
        }

        try
        {
            // Both kinds of root, so that every part of the path is compiled and tried.
            _ = new JObject().SelectTokens(path, Settings).Count();
            _ = new JArray(new JObject()).SelectTokens(path, Settings).Count();
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException or FormatException or OverflowException)
        {
            return "must be a JSONPath such as $.data.employee.id";
        }

        return null;
    }

    private static int Count(string text, string part)
    {
        var count = 0;
        for (var at = text.IndexOf(part, StringComparison.Ordinal); at >= 0; at = text.IndexOf(part, at + part.Length, StringComparison.Ordinal))
        {
            count++;
        }

        return count;
    }
}

/// <summary>Bodies as the JSONPaths read them.</summary>
internal static class JsonPayload
{
    private const int MaxNodes = 50_000;

    private static readonly JsonLoadSettings Settings = new()
    {
        CommentHandling = CommentHandling.Ignore, LineInfoHandling = LineInfoHandling.Ignore, DuplicatePropertyNameHandling = DuplicatePropertyNameHandling.Error,
    };

    /// <summary>The body, or <see langword="null"/> when it is no JSON object as it is accepted here.</summary>
    public static JObject? Parse(ReadOnlyMemory<byte> body)
    {
        // The strict reader decides what is accepted; the tolerant one only makes the tree.
        if (JsonFields.Read(body, static _ => new HrReading()).Fault is not null)
        {
            return null;
        }

        try
        {
            using var text = new StringReader(Encoding.UTF8.GetString(body.Span));
            using var reader = new JsonTextReader(text)
            {
                MaxDepth = JsonFields.MaxDepth, DateParseHandling = DateParseHandling.None, FloatParseHandling = FloatParseHandling.Double,
            };
            var root = JObject.Load(reader, Settings);
            return root.DescendantsAndSelf().Take(MaxNodes + 1).Count() > MaxNodes ? null : root;
        }
        catch (Exception exception) when (exception is JsonException or OverflowException or FormatException)
        {
            return null;
        }
    }
}
