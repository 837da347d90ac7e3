using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary><c>GET /api/audit?from=&amp;to=&amp;kind=&amp;caseId=&amp;subject=&amp;principal=&amp;exporter=&amp;limit=&amp;next=</c>: entries, the earliest first.</summary>
public sealed class SearchAudit(AuditSearch search, AuditPseudonyms pseudonyms, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        var query = context.Request.Query;
        var asked = new AskedPages(pseudonyms, context, [.. AuditQuery.FilterNames.Select(name => query[name].ToString())]);
        if (await AuditQuery.ReadFilterAsync(context, time) is not { } filter
            || await AuditQuery.ReadPageAsync(context, asked, query["limit"].ToString(), query["next"].ToString()) is not { } page)
        {
            return;
        }

        await AuditQuery.AnswerAsync(context, search, trail, filter, page, reason: null);
    }
}

/// <summary>
/// <c>POST /api/audit/search</c>: the entries about one person, who is named by an identifier in the body; the trail knows the pseudonym
/// only. It needs a reason, as every look-up of a person does.
/// </summary>
public sealed class SearchAuditSubject(AuditSearch search, AuditPseudonyms pseudonyms, IAuditTrail trail) : IHttpFunction
{
    private const int MaximumBody = 4 * 1024;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (await context.ReadJsonAsync(AuditApiJson.Default.AuditSubjectRequest, MaximumBody) is not { } request)
        {
            return;
        }

        if (request.Reason?.Trim() is not { Length: >= 3 and <= 500 } reason)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "reason must have 3 to 500 characters.");
            return;
        }

        if (request.Type is not { Length: > 0 and <= 40 } type || pseudonyms.Of(type, request.Identifier) is not { } subject)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "type and identifier must be given.");
            return;
        }

        if (request.From >= request.To)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "from must be before to.");
            return;
        }

        var filter = new AuditFilter { Subject = subject, From = request.From, To = request.To, Kind = request.Kind, ConfinedTo = context.ConfinedExporters() };
        var limit = request.Limit?.ToString(CultureInfo.InvariantCulture) ?? "";
        var asked = new AskedPages(pseudonyms, context, [subject, $"{request.From:O}", $"{request.To:O}", request.Kind ?? "", reason]);
        if (await AuditQuery.IsKindAsync(context, request.Kind) && await AuditQuery.ReadPageAsync(context, asked, limit, request.Next ?? "") is { } page)
        {
            await AuditQuery.AnswerAsync(context, search, trail, filter, page, reason);
        }
    }
}

/// <summary>How much to answer, and from where.</summary>
/// <param name="Limit">Entries at most.</param>
/// <param name="Cursor">From where.</param>
/// <param name="IsRecorded">Somebody's asking for it was recorded, with the first page.</param>
/// <param name="Asked">For whom, and for what.</param>
internal sealed record AuditPage(int Limit, AuditCursor Cursor, bool IsRecorded, AskedPages Asked);

/// <summary>
/// Ties the place of a next page to who asked for what. That somebody looks is recorded with the first page; whoever makes up a place, or
/// takes one from another search, would look without an entry.
/// </summary>
/// <param name="pseudonyms">Whose key signs places, the same in every instance. Without a key every page is recorded.</param>
/// <param name="context">Who asks.</param>
/// <param name="filter">What for, as it was asked.</param>
internal sealed class AskedPages(AuditPseudonyms pseudonyms, HttpContext context, IReadOnlyList<string> filter)
{
    private const char Separator = '.';
    private const int TagLength = 32;

    /// <summary>The place as it is given out.</summary>
    public string Sign(AuditCursor cursor) => TagOf(cursor.ToString()) is { } tag ? $"{cursor}{Separator}{tag}" : cursor.ToString();

    /// <summary>The place of a page that was given out for this; <see langword="null"/> for anything else.</summary>
    public (AuditCursor Cursor, bool IsRecorded)? Read(string next)
    {
        var end = next.IndexOf(Separator, StringComparison.Ordinal);
        var (text, tag) = end < 0 ? (next, "") : (next[..end], next[(end + 1)..]);
        var expected = TagOf(text);
        return AuditCursor.Parse(text) is { } cursor
            && (expected is null ? tag.Length == 0 : CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(tag), Encoding.UTF8.GetBytes(expected)))
            ? (cursor, expected is not null)
            : null;
    }

    // The hash, because a pseudonym does not tell small letters from large ones.
    private string? TagOf(string cursor) => pseudonyms.Of(
        "auditPage",
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\n', (IEnumerable<string>)[cursor, context.Principal() ?? "", .. filter])))))?[..TagLength];
}

/// <summary>What the routes that search have in common.</summary>
internal static class AuditQuery
{
    /// <summary>What a search is asked by.</summary>
    public static readonly string[] FilterNames = ["from", "to", "kind", "caseId", "subject", "principal", "exporter"];

    private const int DefaultPage = 100;
    private const int LargestPage = 1000;
    private const int MaximumText = 200;

    /// <summary>Entries that are read for one answer: about a second. Who asks for something rare gets few items, maybe none, and <c>next</c>.</summary>
    private const int MostRead = 200_000;

    /// <summary>RFC 3339, with or without a fraction, and days.</summary>
    private static readonly string[] TimeForms = ["yyyy-MM-dd", "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"];

    /// <summary>How far a search goes back that names no beginning.</summary>
    private static readonly TimeSpan UsualRange = TimeSpan.FromDays(7);

    /// <summary>The filter in the query; <see langword="null"/> when a problem has been answered.</summary>
    public static async Task<AuditFilter?> ReadFilterAsync(HttpContext context, TimeProvider time)
    {
        var query = context.Request.Query;
        string? Text(string name) => query[name].ToString() is { Length: > 0 } text ? text : null;
        foreach (var name in (string[])["caseId", "subject", "principal", "exporter"])
        {
            if (query[name].ToString().Length > MaximumText)
            {
                await context.ProblemAsync(ProblemCode.Malformed, $"{name} is too long.");
                return null;
            }
        }

        if (Text("principal") is { } principal && !AuditActor.IsId(principal))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "principal must be key:{name}, entra:{object id}, a source such as hr/{name}, or the name of a function; a person's name or address is none.");
            return null;
        }

        if (Text("subject") is { } subject && (subject.Length != 64 || !subject.All(char.IsAsciiHexDigit)))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "subject must be a pseudonym of 64 hexadecimal digits; to search by an identifier use POST audit/search.");
            return null;
        }

        if (Text("exporter") is { } exporter && !context.MayUseExporter(exporter))
        {
            await context.ProblemAsync(ProblemCode.Forbidden, "The key is confined to other exporters.");
            return null;
        }

        if (!TryTime(Text("from"), out var from) || !TryTime(Text("to"), out var to) || from >= to)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "from and to must be times after RFC 3339 or days, and from before to.");
            return null;
        }

        var narrow = Text("caseId") is not null || Text("subject") is not null;
        return await IsKindAsync(context, Text("kind"))
            ? new AuditFilter
            {
                From = from ?? (narrow ? null : (to ?? time.GetUtcNow()) - UsualRange),
                To = to,
                Kind = Text("kind"),
                CaseId = Text("caseId"),
                Subject = Text("subject")?.ToLowerInvariant(),
                Principal = Text("principal"),
                Exporter = Text("exporter"),
                ConfinedTo = context.ConfinedExporters(),
            }
            : null;
    }

    public static async Task<bool> IsKindAsync(HttpContext context, string? kind)
    {
        if (kind is null || AuditKind.IsValid(kind) || (kind.Length > 1 && kind[^1] is '.' or '*' && AuditKind.IsValid(kind[..^1] + "x.x")))
        {
            return true;
        }

        await context.ProblemAsync(ProblemCode.Malformed, "kind must be the name of a kind, or its beginning followed by '*'.");
        return false;
    }

    public static async Task<AuditPage?> ReadPageAsync(HttpContext context, AskedPages asked, string limitText, string next)
    {
        if (await context.PageLimitAsync(limitText, DefaultPage, LargestPage) is not { } limit)
        {
            return null;
        }

        if (next.Length == 0)
        {
            return new(limit, new(), IsRecorded: false, asked);
        }

        if (asked.Read(next) is not { } place)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "next is not a value that this route gave out for the same search.");
            return null;
        }

        return new(limit, place.Cursor, place.IsRecorded, asked);
    }

    /// <summary>Answers a page. That somebody looked is itself recorded, once for all pages.</summary>
    public static async Task AnswerAsync(
        HttpContext context, AuditSearch search, IAuditTrail trail, AuditFilter filter, AuditPage page, string? reason)
    {
        if (!page.IsRecorded)
        {
            await trail.AppendAsync(EventOf(context, AuditAudit.Read, filter, reason), context.RequestAborted);
        }

        IReadOnlyList<FoundEntry> found;
        bool isMore;
        try
        {
            (found, isMore) = await search.PageAsync(filter, page.Cursor, page.Limit, MostRead, context.RequestAborted);
        }
        catch (InvalidDataException)
        {
            await DamagedAsync(context);
            return;
        }

        await context.WriteJsonAsync(
            new AuditPageView([.. found.Select(AuditEntryView.Of)], isMore ? page.Asked.Sign(page.Cursor) : null), AuditApiJson.Default.AuditPageView);
    }

    /// <summary>Answers that something in the trail cannot be read; lines that are damaged are left out, a seal is needed.</summary>
    public static Task DamagedAsync(HttpContext context) =>
        context.ProblemAsync(ProblemCode.Unavailable, "A seal or a row of the trail is damaged; verify the trail, which names it.");

    /// <summary>The entry about a look into the trail.</summary>
    public static AuditEvent EventOf(HttpContext context, AuditKind kind, AuditFilter filter, string? reason) => new()
    {
        Kind = kind,
        Actor = context.AuditActor(),
        Payload = PayloadHash.Of(context.Request.QueryString.Value ?? ""),
        On = new("trail", "entries"),
        CaseId = filter.CaseId,
        Subject = filter.Subject,
        Exporter = filter.Exporter,
        Reason = reason,
        Details = new Dictionary<string, string>(
            new[]
            {
                ("from", filter.From?.UtcDateTime.ToString("O", CultureInfo.InvariantCulture)), ("to", filter.To?.UtcDateTime.ToString("O", CultureInfo.InvariantCulture)),
                ("kind", filter.Kind), ("principal", filter.Principal),
            }.Where(static part => part.Item2 is not null).Select(static part => KeyValuePair.Create(part.Item1, part.Item2!))),
    };

    /// <summary>Refuses what belongs to no single exporter to a key that is confined to some. <see langword="false"/>: a problem has been answered.</summary>
    public static async Task<bool> MaySeeAllAsync(HttpContext context)
    {
        if (context.ConfinedExporters() is null)
        {
            return true;
        }

        await context.ProblemAsync(ProblemCode.Forbidden, "This belongs to no single exporter; the key is confined to some.");
        return false;
    }

    /// <summary>A time after RFC 3339 or a day, UTC; nothing is <see langword="null"/>.</summary>
    private static bool TryTime(string? text, out DateTimeOffset? time)
    {
        time = null;
        if (text is null)
        {
            return true;
        }

        // A plus sign that was not escaped arrives as a space.
        if (!DateTimeOffset.TryParseExact(
            text.Replace(' ', '+'), TimeForms, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var value) || value.Year is < 2000 or >= 3000)
        {
            return false;
        }

        time = value.ToUniversalTime();
        return true;
    }
}
