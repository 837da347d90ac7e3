namespace DingFlow.Hosting;

/// <summary>
/// The members of an enumeration as words from outside: in settings, queries and files. Only a whole name is one, in any case of its letters:
/// <see cref="Enum.TryParse{TEnum}(string, bool, out TEnum)"/> would also take numbers, and lists such as <c>open,resolved</c>.
/// </summary>
internal static class Words
{
    /// <summary>Whether the text names a member.</summary>
    public static bool TryRead<T>(string text, out T value)
        where T : struct, Enum
    {
        foreach (var member in Enum.GetValues<T>())
        {
            if (text.Equals(member.ToString(), StringComparison.OrdinalIgnoreCase))
            {
                value = member;
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <summary>A member as it is written outside: <c>needsHuman</c>.</summary>
    public static string Of<T>(T value)
        where T : struct, Enum => value.ToString() is var name ? char.ToLowerInvariant(name[0]) + name[1..] : "";

    /// <summary>All members, for a fault's text: <c>open, acknowledged, resolved</c>.</summary>
    public static string All<T>()
        where T : struct, Enum => string.Join(", ", Enum.GetValues<T>().Select(Of));

    /// <summary>
    /// Reads one member from the query; <see langword="null"/> when it is not asked for. When the text is no member, the result is
    /// <see langword="false"/>, and the problem has been answered.
    /// </summary>
    public static async Task<QueryWord<T>> QueryWordAsync<T>(this HttpContext context, string name)
        where T : struct, Enum
    {
        var text = context.Request.Query[name].ToString();
        if (text.Length == 0)
        {
            return new(IsRead: true, null);
        }

        if (TryRead<T>(text, out var value))
        {
            return new(IsRead: true, value);
        }

        await context.ProblemAsync(ProblemCode.Malformed, $"{name} must be one of {All<T>()}.");
        return new(IsRead: false, null);
    }
}

/// <summary>What a query says of one name.</summary>
/// <param name="IsRead"><see langword="false"/>: it says something that is no member, and the problem has been answered.</param>
/// <param name="Value">The member; <see langword="null"/> when nothing is said.</param>
internal readonly record struct QueryWord<T>(bool IsRead, T? Value)
    where T : struct, Enum;
