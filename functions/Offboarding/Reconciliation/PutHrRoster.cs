using System.Security.Cryptography;
using DingFlow.Hosting;
using DingFlow.Messaging;
using Microsoft.AspNetCore.Http.Features;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>
/// <c>PUT /api/hr/{source}/roster?allowShrink=</c>: the people of an HR source, all of them, as CSV or NDJSON. All or nothing: with one bad
/// line, or with suspiciously few people, the roster before stays in force.
/// </summary>
public sealed partial class PutHrRoster(
    RosterStore rosters, ReconciliationOptions options, IAuditTrail trail, IAlertSender alerts, IEnumerable<IHeldPeopleListener> listeners, TimeProvider time,
    ILogger<PutHrRoster> logger) : IHttpFunction
{
    /// <summary>Somebody who was dropped from the roster counts as having left for so long.</summary>
    private static readonly TimeSpan RememberDropped = TimeSpan.FromDays(90);

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (context.Request.RouteValues["source"] is not string name || !options.Sources.Contains(name.ToLowerInvariant()))
        {
            await context.ProblemAsync(ProblemCode.UnknownSource);
            return;
        }

        if (!context.MayUseSource(name))
        {
            await context.ProblemAsync(ProblemCode.Forbidden, "The key is confined to other sources.");
            return;
        }

        var media = (context.Request.ContentType ?? "").Split(';')[0].Trim();
        var isCsv = media.Equals("text/csv", StringComparison.OrdinalIgnoreCase);
        if (!isCsv && !media.Equals("application/x-ndjson", StringComparison.OrdinalIgnoreCase))
        {
            await context.ProblemAsync(ProblemCode.UnsupportedMediaType, "The body must be text/csv or application/x-ndjson, in UTF-8.");
            return;
        }

        if (context.Request.ContentLength > options.MaxRosterBytes)
        {
            await context.ProblemAsync(ProblemCode.TooLarge, $"The body may have {options.MaxRosterBytes} bytes.");
            return;
        }

        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = options.MaxRosterBytes;
        }

        context.Features.Get<RequestTimeLimit>()?.Lift();
        await PutAsync(context, "hr/" + name.ToLowerInvariant(), isCsv);
    }

    private async Task PutAsync(HttpContext context, string source, bool isCsv)
    {
        var token = context.RequestAborted;
        var draft = await rosters.BeginAsync(source, context.Principal()!, token);
        using var hash = SHA256.Create();
        await using var body = new CryptoStream(context.Request.Body, hash, CryptoStreamMode.Read, leaveOpen: true);
        try
        {
            var known = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
            await foreach (var person in isCsv ? RosterReader.ReadCsvAsync(body) : RosterReader.ReadNdjsonAsync(body, token))
            {
                if (!known.Add(person.EmployeeId))
                {
                    throw new RosterException($"Person {draft.People + 1} has an employeeId that was there before.");
                }

                if (draft.People >= RosterStore.MaximumPeople)
                {
                    throw new RosterException($"A roster may hold {RosterStore.MaximumPeople} people.");
                }

                await rosters.AddAsync(draft, person, token);
            }

            if (draft.People == 0)
            {
                throw new RosterException("The roster is empty.");
            }

            await RememberDroppedAsync(draft, known, token);
        }
        catch (RosterException fault)
        {
            await trail.AppendAsync(
                new()
                {
                    Kind = ReconciliationAudit.RosterPut, Actor = context.AuditActor(), Payload = PayloadHash.None, On = new("source", source),
                    Outcome = AuditOutcome.Refused, Reason = fault.Message, RequestId = context.RequestId(),
                },
                token);
            await context.ProblemAsync(ProblemCode.Invalid, fault.Message);
            return;
        }

        var allowShrink = context.Request.Query["allowShrink"] == "true";
        var put = new AuditEvent
        {
            Kind = ReconciliationAudit.RosterPut,
            Actor = AuditActor.Principal(context.Principal()!),
            // The readers end where the body does, and close it: the hash is that of all of it.
            Payload = PayloadHash.FromHex(Convert.ToHexStringLower(hash.Hash!)),
            On = new("source", source),
            Details = new Dictionary<string, string>
            {
                ["people"] = draft.People.ToString(System.Globalization.CultureInfo.InvariantCulture), ["allowShrink"] = allowShrink ? "true" : "false",
            },
        };
        var outcome = await rosters.CommitAsync(draft, allowShrink ? 100 : options.MaxShrinkPercent, put, token);
        if (outcome == RosterOutcome.InForce)
        {
            foreach (var listener in listeners)
            {
                await listener.LearnedAsync(source, null, draft.Version);
            }
        }
        else
        {
            await trail.AppendAsync(put with { Outcome = AuditOutcome.Refused, Reason = outcome.ToString() }, token);
        }

        await rosters.CleanAsync(source, token);
        switch (outcome)
        {
            case RosterOutcome.InForce:
                Log.InForce(logger, source, draft.People);
                await context.WriteJsonAsync(
                    new RosterView(source, draft.People, draft.Before?.People, time.GetUtcNow()), ReconciliationJson.Default.RosterView);
                break;
            case RosterOutcome.Shrunk:
                await alerts.SendAsync(Shrunk(source, draft), token);
                await context.ProblemAsync(
                    ProblemCode.Conflict,
                    $"The roster holds {draft.People} people after {draft.Before!.People}: more than {options.MaxShrinkPercent} % fewer. The one before stays in force; "
                    + "if this one is right, repeat with allowShrink=true.");
                break;
            default:
                await context.ProblemAsync(ProblemCode.Conflict, "Another roster of the source was put in force meanwhile; this one was not.");
                break;
        }
    }

    /// <summary>Who was on the roster before and is not on this one has left by HR's word, also where rosters hold only those who work.</summary>
    private async Task RememberDroppedAsync(RosterDraft draft, HashSet<string> known, CancellationToken cancellationToken)
    {
        if (draft.Before is null || await rosters.ReadAsync(draft.Before, cancellationToken) is not { } before)
        {
            return;
        }

        var now = time.GetUtcNow();
        foreach (var person in before.Where(p => !known.Contains(p.EmployeeId)))
        {
            var left = person.IsDropped || person.LeavesAt < now ? person.LeavesAt : now;
            if (now - left < RememberDropped)
            {
                await rosters.AddAsync(draft, person with { IsDropped = true, LeavesAt = left }, cancellationToken);
            }
        }
    }

    private AlertMessage Shrunk(string source, RosterDraft draft) => new()
    {
        AlertId = $"hr.roster_shrunk:{source}:{time.GetUtcNow():yyyyMMddHH}",
        Type = "hr.roster_shrunk",
        Severity = AlertSeverity.Warning,
        OccurredAt = time.GetUtcNow(),
        Summary = "A roster was refused: it holds suspiciously few people.",
        About = source,
        Details = new Dictionary<string, string>
        {
            ["people"] = draft.People.ToString(System.Globalization.CultureInfo.InvariantCulture),
            ["before"] = draft.Before!.People.ToString(System.Globalization.CultureInfo.InvariantCulture),
        },
    };

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "A roster of {Source} with {People} people is in force.")]
        public static partial void InForce(ILogger logger, string source, int people);
    }
}

/// <summary>A roster that was put in force.</summary>
/// <param name="Source">Of which source.</param>
/// <param name="People">How many people it holds.</param>
/// <param name="PeopleBefore">How many the one before held; <see langword="null"/> when it is the first.</param>
/// <param name="At">When.</param>
public sealed record RosterView(string Source, int People, int? PeopleBefore, DateTimeOffset At);
