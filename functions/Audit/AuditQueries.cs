using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary><c>GET /api/audit?from=&amp;to=&amp;kind=&amp;caseId=&amp;subject=&amp;principal=&amp;exporter=&amp;limit=&amp;next=</c>: entries, the earliest first.</summary>
public sealed class SearchAudit(AuditSearch search, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (await AuditQuery.ReadFilterAsync(context, time) is not { } filter
            || await AuditQuery.ReadPageAsync(context, context.Request.Query["limit"].ToString(), context.Request.Query["next"].ToString()) is not { } page)
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
        if (await AuditQuery.IsKindAsync(context, request.Kind) && await AuditQuery.ReadPageAsync(context, limit, request.Next ?? "") is { } page)
        {
            await AuditQuery.AnswerAsync(context, search, trail, filter, page, reason);
        }
    }
}

/// <summary>How much to answer, and from where.</summary>
internal sealed record AuditPage(int Limit, AuditCursor Cursor, bool IsFirst);

/// <summary>What the routes that search have in common.</summary>
internal static class AuditQuery
{
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

    public static async Task<AuditPage?> ReadPageAsync(HttpContext context, string limitText, string next)
    {
        if (await context.PageLimitAsync(limitText, DefaultPage, LargestPage) is not { } limit)
        {
            return null;
        }

        var cursor = next.Length == 0 ? new AuditCursor() : AuditCursor.Parse(next);
        if (cursor is null)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "next is not a value that this route gave out.");
            return null;
        }

        return new(limit, cursor, next.Length == 0);
    }

    /// <summary>Answers a page. That somebody looked is itself recorded, once for all pages.</summary>
    public static async Task AnswerAsync(
        HttpContext context, AuditSearch search, IAuditTrail trail, AuditFilter filter, AuditPage page, string? reason)
    {
        if (page.IsFirst)
        {
            await trail.AppendAsync(EventOf(context, AuditAudit.Read, filter, reason), context.RequestAborted);
        }

        var (found, isMore) = await search.PageAsync(filter, page.Cursor, page.Limit, MostRead, context.RequestAborted);
        await context.WriteJsonAsync(
            new AuditPageView([.. found.Select(AuditEntryView.Of)], isMore ? page.Cursor.ToString() : null), AuditApiJson.Default.AuditPageView);
    }

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
