using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Transfers;

namespace DingFlow.Rules;

/// <summary>
/// <c>PUT incidents/{exporter}/{reference}</c>: a person reports an incident, or corrects what is known of it. The same report again
/// changes nothing and tells nobody again; a correction of a closed incident opens it.
/// </summary>
public sealed partial class PutIncident(
    TransfersOptions options, IncidentStore incidents, RuleEngine engine, IAlertSender alerts, TimeProvider time, ILogger<PutIncident> logger) : IHttpFunction
{
    private const int MaximumBody = 16 * 1024;
    private const int LongestDescription = 2000;
    private const int MostCategories = 50;

    /// <summary>The mainland's population, and then some: a number beyond it is a slip of the finger.</summary>
    private const long MostPersons = 10_000_000_000;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.IncidentAsync(options) is not var (exporter, reference)
            || await context.ReadJsonAsync(IncidentJson.Default.IncidentRequest, MaximumBody) is not { } request)
        {
            return;
        }

        var now = time.GetUtcNow();
        if (FaultOf(request, now) is { } fault)
        {
            await context.ProblemAsync(ProblemCode.Invalid, fault);
            return;
        }

        var by = context.Principal()!;
        var known = await incidents.FindAsync(exporter.Id, reference, context.RequestAborted);
        var incident = new Incident
        {
            Exporter = exporter.Id,
            Reference = reference,
            DiscoveredAt = request.DiscoveredAt!.Value,
            OccurredAt = request.OccurredAt,
            Persons = request.Persons!.Value,
            SensitivePersons = request.SensitivePersons ?? 0,
            EeaPersons = request.EeaPersons ?? 0,
            Records = request.Records,
            Categories = request.Categories ?? [],
            Description = request.Description!.Trim(),
            ReportedAt = known?.Incident.ReportedAt ?? now,
            ReportedBy = known?.Incident.ReportedBy ?? by,
            Revision = (known?.Incident.Revision ?? 0) + 1,
            UpdatedAt = now,
        };
        if (known is { } same && same.Incident.Closed is null && same.Incident.SaysTheSameAs(incident))
        {
            incident = same.Incident;
        }
        else if (!await incidents.SaveAsync(
            incident, known?.ETag, known is null ? IncidentAudit.Reported : IncidentAudit.Corrected, by, null, context.RequestAborted))
        {
            await context.ProblemAsync(ProblemCode.Conflict, "Somebody else reported the incident meanwhile. Read it and report again.");
            return;
        }

        // Also after a repetition: the first request may have died before it told anybody, and what was told is not told twice.
        var view = IncidentRoutes.ViewOf(engine, exporter, incident, now);
        await alerts.SendAsync(IncidentAlerts.Reported(view), context.RequestAborted);
        Log.Reported(logger, exporter.Id, reference, incident.Revision, by);
        await context.WriteJsonAsync(view, IncidentJson.Default.IncidentView, known is null ? StatusCodes.Status201Created : StatusCodes.Status200OK);
    }

    private static string? FaultOf(IncidentRequest request, DateTimeOffset now) => request switch
    {
        { DiscoveredAt: null } => "discoveredAt is missing: when somebody became aware of it.",
        { DiscoveredAt: var discovered } when discovered > now.AddMinutes(5) => "discoveredAt lies in the future.",
        { OccurredAt: { } occurred, DiscoveredAt: var discovered } when occurred > discovered => "occurredAt lies after discoveredAt.",
        { Persons: not (>= 0 and <= MostPersons) } => "persons must be a whole number of persons.",
        { SensitivePersons: { } sensitive, Persons: var persons } when sensitive < 0 || sensitive > persons => "sensitivePersons must be at most persons.",
        { EeaPersons: { } eea, Persons: var persons } when eea < 0 || eea > persons => "eeaPersons must be at most persons.",
        { Records: < 0 } => "records must be a whole number.",
        { Categories.Count: > MostCategories } => $"categories may be {MostCategories} at most.",
        { Categories: { } categories } when categories.Any(static word => word is null || !Vocabulary.TryClass(word, out _)) =>
            "categories must be classes of the classification, such as finance.",
        { Description: null } => "description is missing: what happened, and what is done about it.",
        { Description: { } description } when description.Trim().Length is < 3 or > LongestDescription => $"description must have 3 to {LongestDescription} characters.",
        _ => null,
    };

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "Incident {Reference} of {Exporter} was reported (revision {Revision}) by {Principal}")]
        public static partial void Reported(ILogger logger, string exporter, string reference, int revision, string principal);
    }
}

/// <summary><c>POST incidents/{exporter}/{reference}/close</c>: a person says why an incident needs nothing more. The first closing stands.</summary>
public sealed class CloseIncident(TransfersOptions options, IncidentStore incidents, RuleEngine engine, TimeProvider time) : IHttpFunction
{
    private const int MaximumBody = 8 * 1024;
    private const int LongestReason = 1000;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.IncidentAsync(options) is not var (exporter, reference)
            || await context.ReadJsonAsync(IncidentJson.Default.IncidentCloseRequest, MaximumBody) is not { } request)
        {
            return;
        }

        if (request.Reason?.Trim() is not { Length: >= 3 and <= LongestReason } reason)
        {
            await context.ProblemAsync(ProblemCode.Malformed, $"reason must have 3 to {LongestReason} characters.");
            return;
        }

        if (await incidents.FindAsync(exporter.Id, reference, context.RequestAborted) is not var (incident, etag))
        {
            await context.ProblemAsync(ProblemCode.NotFound, "The exporter has no such incident.");
            return;
        }

        var (now, by) = (time.GetUtcNow(), context.Principal()!);
        var closed = incident with { Closed = new(now, by, reason) };
        if (incident.Closed is not null || !await incidents.SaveAsync(closed, etag, IncidentAudit.Closed, by, reason, context.RequestAborted))
        {
            await context.ProblemAsync(ProblemCode.Conflict, "The incident is closed, or was changed meanwhile.");
            return;
        }

        await context.WriteJsonAsync(IncidentRoutes.ViewOf(engine, exporter, closed, now), IncidentJson.Default.IncidentView);
    }
}

/// <summary><c>GET incidents/{exporter}/{reference}</c>.</summary>
public sealed class GetIncident(TransfersOptions options, IncidentStore incidents, RuleEngine engine, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.IncidentAsync(options) is not var (exporter, reference))
        {
            return;
        }

        if (await incidents.FindAsync(exporter.Id, reference, context.RequestAborted) is not var (incident, _))
        {
            await context.ProblemAsync(ProblemCode.NotFound, "The exporter has no such incident.");
            return;
        }

        await context.WriteJsonAsync(IncidentRoutes.ViewOf(engine, exporter, incident, time.GetUtcNow()), IncidentJson.Default.IncidentView);
    }
}

/// <summary><c>GET incidents?exporter=</c>: the register of an exporter.</summary>
public sealed class ListIncidents(TransfersOptions options, IncidentStore incidents) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ExporterAsync(options, context.Request.Query["exporter"]) is { } exporter)
        {
            await context.WriteJsonAsync(new IncidentList(await incidents.ListAsync(exporter.Id, context.RequestAborted)), IncidentJson.Default.IncidentList);
        }
    }
}

/// <summary>What the routes of incidents share.</summary>
internal static class IncidentRoutes
{
    /// <summary>The exporter and the reference of the address; <see langword="null"/> when a problem has been answered.</summary>
    public static async Task<(Exporter Exporter, string Reference)?> IncidentAsync(this HttpContext context, TransfersOptions options)
    {
        if (await context.ExporterAsync(options, context.Request.RouteValues["exporter"] as string) is not { } exporter)
        {
            return null;
        }

        var reference = (context.Request.RouteValues["reference"] as string ?? "").ToLowerInvariant();
        if (TransfersOptions.IsId(reference))
        {
            return (exporter, reference);
        }

        await context.ProblemAsync(ProblemCode.Malformed, "The incident's reference must be 1 to 64 letters, digits, '.', '_' or '-'.");
        return null;
    }

    /// <summary>An incident by itself against the rules on incidents.</summary>
    public static IncidentView ViewOf(RuleEngine engine, Exporter exporter, Incident incident, DateTimeOffset now) =>
        new(incident, engine.EvaluateIncident(exporter, incident.Size, now));
}

/// <summary>Tells people of incidents.</summary>
internal static class IncidentAlerts
{
    /// <summary>An incident was reported or corrected; each revision is told once and takes the place of the one before.</summary>
    public static AlertMessage Reported(IncidentView view)
    {
        var incident = view.Incident;
        var reached = view.Rules.Where(static rule => rule.Reached).Select(static rule => rule.Rule).ToList();
        var details = new Dictionary<string, string>
        {
            ["exporter"] = incident.Exporter,
            ["reference"] = incident.Reference,
            ["persons"] = Number(incident.Persons),
            ["sensitivePersons"] = Number(incident.SensitivePersons),
            ["discoveredAt"] = LegalTime.Of(incident.DiscoveredAt).ToString("yyyy-MM-dd HH:mm 'UTC+8'", CultureInfo.InvariantCulture),
        };
        if (reached.Count > 0)
        {
            details["rules"] = string.Join(", ", reached);
        }

        if (incident.EuNotifyBy is { } notifyBy)
        {
            details["eeaPersons"] = Number(incident.EeaPersons);
            details["euNotifyBy"] = LegalTime.Of(notifyBy).ToString("yyyy-MM-dd HH:mm 'UTC+8'", CultureInfo.InvariantCulture);
        }

        return new()
        {
            AlertId = string.Create(CultureInfo.InvariantCulture, $"incidents.reported:{incident.Exporter}:{incident.Reference}:{incident.Revision}"),
            Type = "incidents.reported",
            Severity = AlertSeverity.Critical,
            OccurredAt = incident.UpdatedAt,
            Summary = string.Create(
                CultureInfo.InvariantCulture,
                $"{incident.Exporter} reports incident {incident.Reference}: {incident.Persons} persons, {incident.SensitivePersons} of them with sensitive information."),
            About = incident.Exporter,
            Details = details,
            Series = $"incidents:{incident.Exporter}:{incident.Reference}",
            Rank = incident.Revision,
        };
    }

    private static string Number(long number) => number.ToString(CultureInfo.InvariantCulture);
}
