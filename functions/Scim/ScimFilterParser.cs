using System.Text;
using System.Text.Json;

namespace DingFlow.Scim;

/// <summary>The target of a PATCH operation: an attribute, perhaps only some of its elements, perhaps only a part of them.</summary>
/// <param name="Attribute">Canonical name, without <paramref name="Part"/> when there is an <paramref name="Element"/> filter.</param>
/// <param name="Element">Which elements of a multi-valued attribute; <see langword="null"/> means all.</param>
/// <param name="Part">The sub-attribute behind the brackets, in lower case.</param>
internal sealed record ScimPath(string Attribute, ScimFilter? Element, string? Part);

/// <summary>
/// Reads filters (RFC 7644 figure 1) and the paths of PATCH operations (figure 7) in one pass, within limits: what is longer than
/// <see cref="MaxLength"/>, deeper than <see cref="MaxDepth"/> or made of more than <see cref="MaxTerms"/> comparisons is refused.
/// </summary>
internal sealed class ScimFilterParser
{
    public const int MaxLength = 2048;
    public const int MaxDepth = 8;
    public const int MaxTerms = 32;

    private readonly string _text;
    private int _position;
    private int _depth;
    private int _terms;

    private ScimFilterParser(string text) => _text = text;

    /// <summary>The filter, or <see langword="null"/> when the text is none that is accepted.</summary>
    public static ScimFilter? ParseFilter(string text) => Parse(text, static parser => parser.ReadOr(prefix: null));

    /// <summary>The path, or <see langword="null"/> when the text is none.</summary>
    public static ScimPath? ParsePath(string text) => Parse(text, static parser => parser.ReadPath());

    private static T? Parse<T>(string text, Func<ScimFilterParser, T?> read)
        where T : class
    {
        if (text.Length > MaxLength)
        {
            return null;
        }

        var parser = new ScimFilterParser(text);
        var result = read(parser);
        parser.SkipSpace();
        return parser._position == text.Length ? result : null;
    }

    private ScimPath? ReadPath()
    {
        if (ReadName() is not { } name)
        {
            return null;
        }

        var attribute = ScimAttributes.Canonical(name);
        if (!TryTake('['))
        {
            return new ScimPath(attribute, null, null);
        }

        if (ReadOr(attribute) is not { } element || !TryTake(']'))
        {
            return null;
        }

        if (!TryTake('.'))
        {
            return new ScimPath(attribute, element, null);
        }

        return ReadName() is { } part && !part.Contains('.', StringComparison.Ordinal)
            ? new ScimPath(attribute, element, part.ToLowerInvariant()) : null;
    }

    private ScimFilter? ReadOr(string? prefix)
    {
        if (++_depth > MaxDepth)
        {
            return null;
        }

        var left = ReadAnd(prefix);
        while (left is not null && TryTakeWord("or"))
        {
            left = ReadAnd(prefix) is { } right ? new ScimFilter.Or(left, right) : null;
        }

        _depth--;
        return left;
    }

    private ScimFilter? ReadAnd(string? prefix)
    {
        var left = ReadTerm(prefix);
        while (left is not null && TryTakeWord("and"))
        {
            left = ReadTerm(prefix) is { } right ? new ScimFilter.And(left, right) : null;
        }

        return left;
    }

    private ScimFilter? ReadTerm(string? prefix)
    {
        if (++_terms > MaxTerms)
        {
            return null;
        }

        if (TryTake('('))
        {
            return ReadOr(prefix) is { } group && TryTake(')') ? group : null;
        }

        var start = _position;
        if (TryTakeWord("not"))
        {
            if (TryTake('('))
            {
                return ReadOr(prefix) is { } negated && TryTake(')') ? new ScimFilter.Not(negated) : null;
            }

            _position = start;
        }

        if (ReadName() is not { } name)
        {
            return null;
        }

        var attribute = prefix is null ? ScimAttributes.Canonical(name) : $"{prefix}.{name.ToLowerInvariant()}";
        if (ScimAttributes.KindOf(attribute) == ScimAttributeKind.Unknown)
        {
            return null;
        }

        return prefix is null && TryTake('[') ? ReadElement(attribute) : ReadComparison(attribute);
    }

    /// <summary>
    /// What stands in brackets; behind them a part may follow with a comparison of its own, as in
    /// <c>emails[type eq "work"].value eq "…"</c>, which Microsoft Entra sends.
    /// </summary>
    private ScimFilter.Element? ReadElement(string attribute)
    {
        if (ReadOr(attribute) is not { } inner || !TryTake(']'))
        {
            return null;
        }

        if (!TryTake('.'))
        {
            return new ScimFilter.Element(attribute, inner);
        }

        return ReadName() is { } part && ReadComparison($"{attribute}.{part.ToLowerInvariant()}") is { } comparison
            ? new ScimFilter.Element(attribute, new ScimFilter.And(inner, comparison)) : null;
    }

    private ScimFilter? ReadComparison(string attribute)
    {
        if (TryTakeWord("pr"))
        {
            return new ScimFilter.Present(attribute);
        }

        if (ReadOperator() is not { } @operator || !TryReadLiteral(out var literal, out var isText))
        {
            return null;
        }

        // RFC 7644 section 3.4.2.2: true, false and null have no order and no parts.
        var isEquality = @operator is ScimOperator.Equal or ScimOperator.NotEqual;
        return isEquality || (isText && attribute is not (ScimAttributes.Active or ScimAttributes.EmailPrimary))
            ? new ScimFilter.Compare(attribute, @operator, literal) : null;
    }

    private ScimOperator? ReadOperator()
    {
        foreach (var (word, @operator) in Operators)
        {
            if (TryTakeWord(word))
            {
                return @operator;
            }
        }

        return null;
    }

    private bool TryReadLiteral(out string? literal, out bool isText)
    {
        SkipSpace();
        (literal, isText) = (null, false);
        if (_position < _text.Length && _text[_position] == '"')
        {
            isText = true;
            return (literal = ReadText()) is not null;
        }

        if (TryTakeWord("null"))
        {
            return true;
        }

        literal = TryTakeWord("true") ? "true" : TryTakeWord("false") ? "false" : ReadNumber();
        isText = literal is not (null or "true" or "false");
        return literal is not null;
    }

    /// <summary>A JSON string.</summary>
    private string? ReadText()
    {
        var start = _position++;
        while (_position < _text.Length && _text[_position] != '"')
        {
            _position += _text[_position] == '\\' ? 2 : 1;
        }

        if (_position >= _text.Length)
        {
            return null;
        }

        _position++;
        var quoted = _text[start.._position];
        if (!quoted.Contains('\\', StringComparison.Ordinal))
        {
            return quoted[1..^1];
        }

        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(quoted));
            return reader.Read() ? reader.GetString() : null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    private string? ReadNumber()
    {
        var start = _position;
        while (_position < _text.Length && (char.IsAsciiDigit(_text[_position]) || _text[_position] is '-' or '+' or '.' or 'e' or 'E'))
        {
            _position++;
        }

        var number = _text[start.._position];
        return double.TryParse(number, System.Globalization.CultureInfo.InvariantCulture, out _) && EndsWord() ? number : null;
    }

    /// <summary>The name of an attribute, perhaps with URN and sub-attribute.</summary>
    private string? ReadName()
    {
        SkipSpace();
        var start = _position;
        while (_position < _text.Length && (char.IsAsciiLetterOrDigit(_text[_position]) || _text[_position] is '.' or ':' or '-' or '_' or '$'))
        {
            _position++;
        }

        return _position > start && (char.IsAsciiLetter(_text[start]) || _text[start] == '$') ? _text[start.._position] : null;
    }

    private bool TryTakeWord(string word)
    {
        SkipSpace();
        if (string.Compare(_text, _position, word, 0, word.Length, StringComparison.OrdinalIgnoreCase) != 0)
        {
            return false;
        }

        _position += word.Length;
        if (EndsWord())
        {
            return true;
        }

        _position -= word.Length;
        return false;
    }

    private bool EndsWord() => _position >= _text.Length || _text[_position] is ' ' or '\t' or '(' or ')' or ']' or '"';

    private bool TryTake(char character)
    {
        // A part follows its bracket at once.
        if (character != '.')
        {
            SkipSpace();
        }

        if (_position >= _text.Length || _text[_position] != character)
        {
            return false;
        }

        _position++;
        return true;
    }

    private void SkipSpace()
    {
        while (_position < _text.Length && _text[_position] is ' ' or '\t')
        {
            _position++;
        }
    }

    private static readonly (string Word, ScimOperator Operator)[] Operators =
    [
        ("eq", ScimOperator.Equal), ("ne", ScimOperator.NotEqual), ("co", ScimOperator.Contains), ("sw", ScimOperator.StartsWith),
        ("ew", ScimOperator.EndsWith), ("gt", ScimOperator.Greater), ("ge", ScimOperator.GreaterOrEqual), ("lt", ScimOperator.Less),
        ("le", ScimOperator.LessOrEqual),
    ];
}
