using System.Globalization;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Hosting;

/// <summary>
/// Records who signed in to the management routes, and what was refused: no route can forget it. What repeats itself is counted, so that
/// nobody fills the trail by knocking on a door: the sum is exact (<see cref="RefusalCounter"/>).
/// </summary>
public sealed partial class RequestAudit(IAuditTrail trail, RefusalCounter counter, TimeProvider time, ILogger<RequestAudit> logger)
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

    internal static AuditKind KindOf(string name) => Array.Find([SignInRefused, Forbidden, DeliveryRefused], kind => kind.Name == name) ?? SignInRefused;

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
            return counter.CountAsync(new(kind.Name, function.Name, actor, status));
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
                Payload = context.BodyRead() is { } body ? PayloadHash.Of(body.Span) : PayloadHash.None,
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
