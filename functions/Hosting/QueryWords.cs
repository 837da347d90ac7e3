using DingFlow.Settings;

namespace DingFlow.Hosting;

/// <summary>Reads members of enumerations from a request's query.</summary>
internal static class QueryWords
{
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

        if (Words.TryRead<T>(text, out var value))
        {
            return new(IsRead: true, value);
        }

        await context.ProblemAsync(ProblemCode.Malformed, $"{name} must be one of {Words.All<T>()}.");
        return new(IsRead: false, null);
    }
}

/// <summary>What a query says of one name.</summary>
/// <param name="IsRead"><see langword="false"/>: it says something that is no member, and the problem has been answered.</param>
/// <param name="Value">The member; <see langword="null"/> when nothing is said.</param>
internal readonly record struct QueryWord<T>(bool IsRead, T? Value)
    where T : struct, Enum;
