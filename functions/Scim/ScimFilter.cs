using System.Globalization;

namespace DingFlow.Scim;

/// <summary>Comparisons of RFC 7644 table 3.</summary>
internal enum ScimOperator
{
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// <summary>A filter of RFC 7644 section 3.4.2.2, read and checked by <see cref="ScimFilterParser"/>. Attribute names are canonical.</summary>
internal abstract record ScimFilter
{
    private ScimFilter() { }

    /// <summary>Whether a resource matches.</summary>
    public abstract bool Matches(IScimValues values);

    /// <summary>An attribute compared with a text, a number as text, <c>true</c>/<c>false</c>, or <see langword="null"/>.</summary>
    public sealed record Compare(string Attribute, ScimOperator Operator, string? Literal) : ScimFilter
    {
        public override bool Matches(IScimValues values)
        {
            var present = values.Of(Attribute);
            return Literal is null
                ? present.Count == 0 == (Operator == ScimOperator.Equal)
                : Operator == ScimOperator.NotEqual
                    ? !present.Any(value => value.Matches(ScimOperator.Equal, Literal))
                    : present.Any(value => value.Matches(Operator, Literal));
        }
    }

    /// <summary>An attribute that has a value.</summary>
    public sealed record Present(string Attribute) : ScimFilter
    {
        public override bool Matches(IScimValues values) => values.Of(Attribute).Count > 0;
    }

    /// <summary>Both.</summary>
    public sealed record And(ScimFilter Left, ScimFilter Right) : ScimFilter
    {
        public override bool Matches(IScimValues values) => Left.Matches(values) && Right.Matches(values);
    }

    /// <summary>Either.</summary>
    public sealed record Or(ScimFilter Left, ScimFilter Right) : ScimFilter
    {
        public override bool Matches(IScimValues values) => Left.Matches(values) || Right.Matches(values);
    }

    /// <summary>Not.</summary>
    public sealed record Not(ScimFilter Inner) : ScimFilter
    {
        public override bool Matches(IScimValues values) => !Inner.Matches(values);
    }

    /// <summary>One and the same element of a multi-valued attribute matches; the names inside carry the attribute's name in front.</summary>
    public sealed record Element(string Attribute, ScimFilter Inner) : ScimFilter
    {
        public override bool Matches(IScimValues values) => values.ElementsOf(Attribute).Any(Inner.Matches);
    }
}

/// <summary>What a filter is put to: a resource, or one element of its multi-valued attribute.</summary>
internal interface IScimValues
{
    /// <summary>The values of an attribute; none when it is not set or not kept.</summary>
    IReadOnlyList<ScimValue> Of(string attribute);

    /// <summary>The elements of a multi-valued attribute.</summary>
    IEnumerable<IScimValues> ElementsOf(string attribute);
}

/// <summary>A value that a filter compares: a text, a truth value or a time.</summary>
/// <param name="Text">As it is written in JSON.</param>
/// <param name="IsExact">Case counts.</param>
/// <param name="Time">The moment, for a time.</param>
internal readonly record struct ScimValue(string Text, bool IsExact = false, DateTimeOffset? Time = null)
{
    public static ScimValue Of(bool value) => new(value ? "true" : "false");

    public static ScimValue Of(DateTimeOffset time) => new(time.UtcDateTime.ToString("O", CultureInfo.InvariantCulture), Time: time);

    public bool Matches(ScimOperator @operator, string literal)
    {
        var comparison = IsExact ? StringComparison.Ordinal : StringComparison.OrdinalIgnoreCase;
        return @operator switch
        {
            ScimOperator.Equal => CompareTo(literal, comparison) == 0,
            ScimOperator.NotEqual => CompareTo(literal, comparison) != 0,
            ScimOperator.Contains => Text.Contains(literal, comparison),
            ScimOperator.StartsWith => Text.StartsWith(literal, comparison),
            ScimOperator.EndsWith => Text.EndsWith(literal, comparison),
            ScimOperator.Greater => CompareTo(literal, comparison) > 0,
            ScimOperator.GreaterOrEqual => CompareTo(literal, comparison) >= 0,
            ScimOperator.Less => CompareTo(literal, comparison) < 0,
            ScimOperator.LessOrEqual => CompareTo(literal, comparison) <= 0,
            _ => throw new ArgumentOutOfRangeException(nameof(@operator)),
        };
    }

    private int CompareTo(string literal, StringComparison comparison) =>
        Time is { } time && DateTimeOffset.TryParse(literal, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var other)
            ? time.CompareTo(other)
            : string.Compare(Text, literal, comparison);
}
