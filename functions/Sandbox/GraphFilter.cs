namespace DingFlow.Sandbox;

/// <summary>The filter is not one that Graph would carry out.</summary>
internal sealed class GraphFilterException(string message) : Exception(message);

/// <summary>
/// The part of OData's <c>$filter</c> that is used on users: <c>eq</c>, <c>startsWith</c>, <c>endsWith</c>, <c>any</c> with <c>eq</c>,
/// <c>and</c>, <c>or</c>, brackets. Texts compare without regard to case, as in Entra.
/// </summary>
internal sealed class GraphFilter
{
    private const int MaximumLength = 4_000;
    private const int MaximumDepth = 16;
    private const int MaximumClauses = 15;

    private readonly string _text;
    private readonly Func<SandboxPerson, bool> _matches;
    private readonly List<string> _literals = [];
    private int _position;
    private int _clauses;
    private int _depth;

    private GraphFilter(string text)
    {
        _text = text;
        _matches = Or();
        Expect(_position == _text.Length);
    }

    /// <summary>The literals in the order they appear.</summary>
    public IReadOnlyList<string> Literals => _literals;

    /// <summary>It uses what Graph only does for advanced queries (<c>ConsistencyLevel: eventual</c> with <c>$count=true</c>).</summary>
    public bool IsAdvanced { get; private set; }

    /// <summary>Reads a filter.</summary>
    /// <exception cref="GraphFilterException">It is malformed or asks for something unsupported.</exception>
    public static GraphFilter Parse(string text) => text.Length <= MaximumLength
        ? new GraphFilter(text)
        : throw new GraphFilterException("Invalid filter clause: too long.");

    public bool Matches(SandboxPerson person) => _matches(person);

    private Func<SandboxPerson, bool> Or()
    {
        var left = And();
        while (Word("or"))
        {
            var (first, second) = (left, And());
            left = person => first(person) || second(person);
        }

        return left;
    }

    private Func<SandboxPerson, bool> And()
    {
        var left = Clause();
        while (Word("and"))
        {
            var (first, second) = (left, Clause());
            left = person => first(person) && second(person);
        }

        return left;
    }

    private Func<SandboxPerson, bool> Clause()
    {
        if (Symbol('('))
        {
            Expect(++_depth <= MaximumDepth);
            var inner = Or();
            Expect(Symbol(')'));
            _depth--;
            return inner;
        }

        if (++_clauses > MaximumClauses)
        {
            throw new GraphFilterException(
                $"Too many child clauses specified in search filter expression containing 'OR' operators: {_clauses}. Max allowed: {MaximumClauses}.");
        }

        var name = Identifier();
        if (name.Equals("startsWith", StringComparison.OrdinalIgnoreCase) || name.Equals("endsWith", StringComparison.OrdinalIgnoreCase))
        {
            return Function(name);
        }

        return Symbol('/') ? Any(name) : Equality(name);
    }

    private Func<SandboxPerson, bool> Function(string name)
    {
        var atEnd = name.StartsWith("ends", StringComparison.OrdinalIgnoreCase);
        IsAdvanced |= atEnd;
        Expect(Symbol('('));
        var property = Property();
        Expect(Symbol(','));
        var literal = Literal();
        Expect(Symbol(')'));
        return person => GraphUserJson.FilterValues(person, property).Any(value => atEnd
            ? value.EndsWith(literal, StringComparison.OrdinalIgnoreCase)
            : value.StartsWith(literal, StringComparison.OrdinalIgnoreCase));
    }

    private Func<SandboxPerson, bool> Any(string property)
    {
        GraphUserJson.FilterValues(Probe, property);
        Expect(Word("any"));
        Expect(Symbol('('));
        var variable = Identifier();
        Expect(Symbol(':'));
        Expect(Identifier() == variable);
        Expect(Word("eq"));
        var literal = Literal();
        Expect(Symbol(')'));
        return Equal(property, literal);
    }

    private Func<SandboxPerson, bool> Equality(string property)
    {
        GraphUserJson.FilterValues(Probe, property);
        Expect(Word("eq"));
        return Equal(property, Literal());
    }

    private static Func<SandboxPerson, bool> Equal(string property, string literal) => person =>
        GraphUserJson.FilterValues(person, property).Contains(literal, StringComparer.OrdinalIgnoreCase);

    // Used once for every property named, so that an unknown one is refused even when nobody is compared.
    private static SandboxPerson Probe { get; } = SandboxSeed.Person("E1001");

    private string Property()
    {
        var property = Identifier();
        GraphUserJson.FilterValues(Probe, property);
        return property;
    }

    private string Literal()
    {
        Spaces();
        if (Word("true"))
        {
            return "true";
        }

        if (Word("false"))
        {
            return "false";
        }

        Expect(Symbol('\''));
        var literal = new System.Text.StringBuilder();
        while (true)
        {
            Expect(_position < _text.Length);
            var character = _text[_position++];
            if (character != '\'')
            {
                literal.Append(character);
            }
            else if (_position < _text.Length && _text[_position] == '\'')
            {
                _position++;
                literal.Append('\'');
            }
            else
            {
                _literals.Add(literal.ToString());
                return literal.ToString();
            }
        }
    }

    private string Identifier()
    {
        Spaces();
        var start = _position;
        while (_position < _text.Length && (char.IsAsciiLetterOrDigit(_text[_position]) || _text[_position] == '_'))
        {
            _position++;
        }

        Expect(_position > start);
        return _text[start.._position];
    }

    private bool Word(string word)
    {
        Spaces();
        var end = _position + word.Length;
        if (end > _text.Length || !_text.AsSpan(_position, word.Length).Equals(word, StringComparison.OrdinalIgnoreCase)
            || (end < _text.Length && char.IsAsciiLetterOrDigit(_text[end])))
        {
            return false;
        }

        _position = end;
        Spaces();
        return true;
    }

    private bool Symbol(char symbol)
    {
        // A quotation mark ends the search for spaces: those behind it belong to the literal.
        Spaces();
        if (_position >= _text.Length || _text[_position] != symbol)
        {
            return false;
        }

        _position++;
        if (symbol != '\'')
        {
            Spaces();
        }

        return true;
    }

    private void Spaces()
    {
        while (_position < _text.Length && _text[_position] == ' ')
        {
            _position++;
        }
    }

    private void Expect(bool condition)
    {
        if (!condition)
        {
            throw new GraphFilterException($"Invalid filter clause: Syntax error at position {_position}.");
        }
    }
}
