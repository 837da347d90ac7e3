namespace DingFlow.Settings;

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
        where T : struct, Enum
    {
        var name = value.ToString();
        return char.ToLowerInvariant(name[0]) + name[1..];
    }

    /// <summary>A member as it is written outside, or null for none.</summary>
    public static string? Of<T>(T? value)
        where T : struct, Enum => value is { } member ? Of(member) : null;

    /// <summary>All members, for a fault's text: <c>open, acknowledged, resolved</c>.</summary>
    public static string All<T>()
        where T : struct, Enum => string.Join(", ", Enum.GetValues<T>().Select(static member => Of(member)));
}
