using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Hosting;

/// <summary>
/// Records who signed in to the management routes, and what was refused: no route can forget it. What repeats itself is counted, so that
/// nobody fills the trail by knocking on a door: the sum is exact (<see cref="RepetitionCounter"/>).
/// </summary>
public sealed partial class RequestAudit(IAuditTrail trail, RepetitionCounter counter, TimeProvider time, ILogger<RequestAudit> logger)
{
    /// <summary>Refusals of one kind from one sender that are recorded one by one in a minute.</summary>
    private const int RefusalsPerMinute = 20;

    private const int MaximumKeys = 5_000;

    private static readonly TimeSpan RefusalWindow = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan SignInWindow = TimeSpan.FromHours(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Repetition> _seen = new(StringComparer.Ordinal);

    internal static AuditKind SignedIn { get; } =
        new("authentication.accepted", AuditRetention.Operational, "A principal used the management routes; once an hour for each.");

    internal static AuditKind SignInRefused { get; } =
        new("authentication.refused", AuditRetention.Operational, "Credentials for a management route were missing or not accepted.");

    internal static AuditKind Forbidden { get; } =
        new("authorization.refused", AuditRetention.Operational, "A known principal lacks the role for a route.");

    internal static AuditKind DeliveryRefused { get; } =
        new("intake.delivery_refused", AuditRetention.Operational, "A webhook was refused: signature, network, size, form, rate or confinement.");

    /// <summary>
    /// The request reads what is about people: the entry is there when this returns, so before anything is told. The same that repeats itself
    /// more than 20 times in a minute is counted.
    /// </summary>
    internal Task ReadAsync(HttpContext context, AuditKind kind, AuditTarget on, string? caseId, string? subject) =>
        // A question names a person, if anything: a hash of so little could be guessed back.
        AnsweredAsync(context, new(kind, on, context.AuditActor(), "200") { CaseId = caseId, Subject = subject }, PayloadHash.None);

    /// <summary>A sender introduces itself before it is a source that one can trust; recorded before the answer, and bounded likewise.</summary>
    internal Task HandshakeAsync(HttpContext context, AuditKind kind, AuditActor actor) => AnsweredAsync(
        context, new(kind, new("route", context.FunctionName()), actor, "200"), context.PayloadHash());

    private Task AnsweredAsync(HttpContext context, Repeated one, PayloadHash payload) => Take(one.Key, RefusalsPerMinute, RefusalWindow)
        ? trail.AppendAsync(
            new()
            {
                Kind = one.Kind, Actor = one.Actor, On = one.On, CaseId = one.CaseId, Subject = one.Subject, RequestId = context.RequestId(), Payload = payload,
            },
            context.RequestAborted)
        : counter.CountAsync(one);

    /// <summary>The request has been answered.</summary>
    internal async Task EndedAsync(HttpContext context, FunctionRegistration function)
    {
        try
        {
            // The caller has its answer, and may be gone.
            await (RefusalOf(context, function) is var (kind, actor)
                ? RefusedAsync(context, function, kind, actor)
                : SignedInAsync(context, function));
        }
        catch (EntityStoreException exception)
        {
            Log.NotRecorded(logger, function.Name, exception);
        }
    }

    private static (AuditKind Kind, AuditActor Actor)? RefusalOf(HttpContext context, FunctionRegistration function) => context.Response.StatusCode switch
    {
        var status and >= StatusCodes.Status400BadRequest and < StatusCodes.Status500InternalServerError when function.Role is null && IsWebhook(context) =>
            (DeliveryRefused, SenderOf(context, status)),
        StatusCodes.Status401Unauthorized when function.Role is not null => (SignInRefused, AuditActor.Unknown),
        StatusCodes.Status403Forbidden when function.Role is not null => (Forbidden, context.AuditActor()),
        _ => null,
    };

    private Task SignedInAsync(HttpContext context, FunctionRegistration function) =>
        function.Role is not null && context.Principal() is { } principal && Take($"in|{principal}", 1, SignInWindow)
            ? trail.AppendAsync(
                new()
                {
                    Kind = SignedIn, Actor = AuditActor.Principal(principal), Payload = PayloadHash.None, On = new("route", function.Name), RequestId = context.RequestId(),
                },
                CancellationToken.None)
            : Task.CompletedTask;

    private Task RefusedAsync(HttpContext context, FunctionRegistration function, AuditKind kind, AuditActor actor)
    {
        var status = context.Response.StatusCode.ToString(CultureInfo.InvariantCulture);
        if (!Take($"{kind.Name}|{function.Name}|{actor.Id}|{status}", RefusalsPerMinute, RefusalWindow))
        {
            return counter.CountAsync(new(kind, new("route", function.Name), actor, status));
        }

        var details = new Dictionary<string, string> { ["status"] = status };
        if (context.RefusedAs() is { } code)
        {
            details["problem"] = code.Slug();
        }

        return trail.AppendAsync(
            new()
            {
                Kind = kind,
                Actor = actor,
                Payload = context.PayloadHash(),
                Outcome = AuditOutcome.Refused,
                On = new("route", function.Name),
                RequestId = context.RequestId(),
                Details = details,
            },
            CancellationToken.None);
    }

    /// <summary>Webhooks authenticate their sender themselves; probes and descriptions have nobody to authenticate.</summary>
    private static bool IsWebhook(HttpContext context) => HttpMethods.IsPost(context.Request.Method);

    /// <summary>The sender that the address names; none of its keys confirmed it. A name that nobody knows is not repeated.</summary>
    private static AuditActor SenderOf(HttpContext context, int status) => status == StatusCodes.Status404NotFound ? AuditActor.Unknown
        : context.Request.RouteValues["source"] is string source ? AuditActor.Source($"hr/{source}")
        : context.Request.RouteValues["tenant"] is string tenant ? AuditActor.Source($"dingtalk/{tenant}")
        : AuditActor.Unknown;

    /// <summary><see langword="false"/>: it has repeated itself too often in its window.</summary>
    private bool Take(string key, int most, TimeSpan window)
    {
        var now = time.GetUtcNow();
        lock (_gate)
        {
            if (!_seen.TryGetValue(key, out var repetition) || now - repetition.Since >= window)
            {
                if (_seen.Count >= MaximumKeys)
                {
                    _seen.Clear();
                }

                _seen[key] = new(now) { Count = 1 };
                return true;
            }

            return repetition.Count++ < most;
        }
    }

    private sealed class Repetition(DateTimeOffset since)
    {
        public DateTimeOffset Since { get; } = since;

        public int Count { get; set; }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The audit trail could not take what became of a request to {Route}")]
        public static partial void NotRecorded(ILogger logger, string route, Exception exception);
    }
}

/// <summary>What is answered without a change of state and still is in the audit trail.</summary>
internal static class RecordedRequests
{
    /// <summary>The hash of the body that was read, for one that names nobody: of one that does, so little could be guessed back.</summary>
    public static PayloadHash PayloadHash(this HttpContext context) => context.BodyRead() is { } body ? Messaging.PayloadHash.Of(body.Span) : Messaging.PayloadHash.None;

    /// <summary>Records that a sender introduces itself; to be called before it is answered.</summary>
    public static Task RecordHandshakeAsync(this HttpContext context, AuditKind kind, AuditActor sender) =>
        context.RequestServices.GetRequiredService<RequestAudit>().HandshakeAsync(context, kind, sender);

    /// <summary>Records that the caller reads what is about people; to be called before it is told.</summary>
    /// <param name="context">The request.</param>
    /// <param name="kind">What is read.</param>
    /// <param name="on">Which one, by its opaque id; the route when it is many.</param>
    /// <param name="caseId">The case that it belongs to.</param>
    /// <param name="subject">The pseudonym of the person that it is about, when it is one.</param>
    public static Task RecordReadAsync(this HttpContext context, AuditKind kind, AuditTarget? on = null, string? caseId = null, string? subject = null) =>
        context.RequestServices.GetRequiredService<RequestAudit>().ReadAsync(context, kind, on ?? new("route", context.FunctionName()), caseId, subject);
}
