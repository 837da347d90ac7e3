using System.Globalization;

namespace DingFlow.Hosting;

/// <summary>Reads what the list routes take in common.</summary>
public static class Paging
{
    /// <summary>
    /// How many items a page may have (<c>?limit=</c>). <see langword="null"/> when it is no number from 1 to
    /// <paramref name="largest"/>; the problem has then been answered.
    /// </summary>
    public static Task<int?> PageLimitAsync(this HttpContext context, int usual, int largest) =>
        context.PageLimitAsync(context.Request.Query["limit"].ToString(), usual, largest);

    /// <summary>The same of a limit that stands elsewhere than in the query; empty means <paramref name="usual"/>.</summary>
    public static async Task<int?> PageLimitAsync(this HttpContext context, string text, int usual, int largest)
    {
        if (text.Length == 0)
        {
            return usual;
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit >= 1 && limit <= largest)
        {
            return limit;
        }

        await context.ProblemAsync(ProblemCode.Malformed, $"limit must be a whole number from 1 to {largest}.");
        return null;
    }
}
