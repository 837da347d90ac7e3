using System.Buffers.Text;
using System.Globalization;
using System.Text;

namespace DingFlow.Hosting;

/// <summary>Reads and writes what the list routes have in common.</summary>
public static class Paging
{
    private const int MaximumCursor = 200;

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

    /// <summary>What a list gives out as <c>next</c>: where its next page starts, opaque to the caller.</summary>
    /// <param name="parts">ASCII, without a semicolon.</param>
    internal static string Next(params ReadOnlySpan<string> parts) => Base64Url.EncodeToString(Encoding.ASCII.GetBytes(string.Join(';', parts)));

    /// <summary>
    /// Where the page that is asked for starts (<c>?next=</c>). It comes from outside, like every part of a query:
    /// <paramref name="read"/> takes nothing but the form of what <see cref="Next"/> has written, and returns <see langword="null"/> for
    /// the rest.
    /// </summary>
    internal static async Task<PageStart<T>> PageStartAsync<T>(this HttpContext context, Func<string[], T?> read)
        where T : class
    {
        var text = context.Request.Query["next"].ToString();
        if (text.Length == 0)
        {
            return new(IsRead: true, null);
        }

        if (text.Length <= MaximumCursor && Base64Url.IsValid(text) && read(Encoding.ASCII.GetString(Base64Url.DecodeFromChars(text)).Split(';')) is { } start)
        {
            return new(IsRead: true, start);
        }

        await context.ProblemAsync(ProblemCode.Malformed, "next is not a value that this route gave out.");
        return new(IsRead: false, null);
    }
}

/// <summary>Where a page starts.</summary>
/// <param name="IsRead"><see langword="false"/>: the query's <c>next</c> is none of ours, and the problem has been answered.</param>
/// <param name="Value"><see langword="null"/>: at the beginning.</param>
internal readonly record struct PageStart<T>(bool IsRead, T? Value)
    where T : class;
