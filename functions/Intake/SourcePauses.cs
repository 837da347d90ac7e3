using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Intake;

/// <summary>
/// Which HR sources are paused: by their settings, or by an operator while the program runs. A paused source is accepted and kept; nothing
/// is done on its word until it goes on. Table <c>HrSources</c>, partition <c>pause</c>.
/// </summary>
public sealed class SourcePauses(IEntityStore store, IAuditTrail trail, IntakeOptions options, TimeProvider time) : IInboxGate
{
    private const string Table = "HrSources";
    private const string Partition = "pause";

    /// <summary>How old what this instance knows may be: a pause reaches every instance within this time.</summary>
    private static readonly TimeSpan Freshness = TimeSpan.FromSeconds(2);

    private readonly HashSet<string> _configured =
        [.. options.Sources.Values.Where(static source => source.Paused).Select(static source => source.QualifiedName)];

    private volatile Known _known = new(DateTimeOffset.MinValue, new Dictionary<string, SourcePause>());

    /// <inheritdoc/>
    public bool IsHeld(string source) => _configured.Contains(source) || _known.Pauses.ContainsKey(source);

    /// <inheritdoc/>
    public async ValueTask<bool> IsHeldAsync(string source, CancellationToken cancellationToken)
    {
        var age = time.GetUtcNow() - _known.At;
        if (age < TimeSpan.Zero || age >= Freshness)
        {
            await RefreshAsync(cancellationToken);
        }

        return IsHeld(source);
    }

    /// <summary>The pause that an operator ordered; <see langword="null"/> when none did.</summary>
    public async Task<SourcePause?> FindAsync(HrSource source, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        await RefreshAsync(cancellationToken);
        return _known.Pauses.GetValueOrDefault(source.QualifiedName);
    }

    /// <summary>Pauses a source; doing it again keeps the first order.</summary>
    public async Task PauseAsync(HrSource source, SourcePause pause, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(pause);
        var row = new Entity(Partition, source.Name)
        {
            Properties = new() { ["Schema"] = 1, ["Source"] = source.QualifiedName, ["At"] = pause.At, ["By"] = pause.By, ["Reason"] = pause.Reason },
        };
        await trail.SubmitAsync(
            EntityTransaction.Of(Table, EntityOperation.Insert(row)), [EventOf(PauseAudit.SourcePaused, source, pause)], cancellationToken);
        await RefreshAsync(cancellationToken);
    }

    /// <summary>Lets a source go on.</summary>
    public async Task ResumeAsync(HrSource source, SourcePause end, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(end);
        await trail.SubmitAsync(
            EntityTransaction.Of(Table, EntityOperation.Delete(Partition, source.Name)), [EventOf(PauseAudit.SourceResumed, source, end)], cancellationToken);
        await RefreshAsync(cancellationToken);
    }

    private static AuditEvent EventOf(AuditKind kind, HrSource source, SourcePause order) => new()
    {
        Kind = kind, Actor = AuditActor.Principal(order.By), Payload = PayloadHash.Of(order.Reason), On = new("source", source.QualifiedName), Reason = order.Reason,
    };

    private async Task RefreshAsync(CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var pauses = new Dictionary<string, SourcePause>(StringComparer.Ordinal);
        string? continuation = null;
        do
        {
            var page = await store.QueryAsync(Table, Partition, AuditOutbox.RowsBefore(), 1000, continuation, cancellationToken);
            foreach (var row in page.Entities)
            {
                pauses[row.Properties.Require<string>("Source")] = new(
                    row.Properties.Require<DateTimeOffset>("At"), row.Properties.Require<string>("By"), row.Properties.Require<string>("Reason"));
            }

            continuation = page.Continuation;
        }
        while (continuation is not null);
        _known = new(now, pauses);
    }

    private sealed record Known(DateTimeOffset At, IReadOnlyDictionary<string, SourcePause> Pauses);
}

/// <summary>An operator's order to pause a source.</summary>
/// <param name="At">When.</param>
/// <param name="By">The principal.</param>
/// <param name="Reason">Why, in the operator's words.</param>
public sealed record SourcePause(DateTimeOffset At, string By, string Reason);

/// <summary><c>GET hr/{source}/status</c>: how an HR source is set and whether it is paused.</summary>
public sealed class GetHrSource(IntakeOptions options, SourcePauses pauses) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.HrSourceAsync(options) is { } source)
        {
            await context.WriteSourceAsync(source, await pauses.FindAsync(source, context.RequestAborted), StatusCodes.Status200OK);
        }
    }
}

/// <summary><c>POST hr/{source}/pause</c>: from now on nothing is done on the word of the source; what it sends is kept.</summary>
public sealed partial class PauseHrSource(IntakeOptions options, SourcePauses pauses, TimeProvider time, ILogger<PauseHrSource> logger) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.HrSourceAsync(options) is not { } source || await context.ReadPauseReasonAsync() is not { } reason)
        {
            return;
        }

        await pauses.PauseAsync(source, new(time.GetUtcNow(), context.Principal()!, reason), context.RequestAborted);
        Log.Paused(logger, source.Name);
        await context.WriteSourceAsync(source, await pauses.FindAsync(source, context.RequestAborted), StatusCodes.Status202Accepted);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The HR source {Source} is paused by an operator.")]
        public static partial void Paused(ILogger logger, string source);
    }
}

/// <summary><c>POST hr/{source}/resume</c>: the source goes on; the next sweep enqueues what it sent meanwhile.</summary>
public sealed partial class ResumeHrSource(IntakeOptions options, SourcePauses pauses, TimeProvider time, ILogger<ResumeHrSource> logger) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.HrSourceAsync(options) is not { } source || await context.ReadPauseReasonAsync() is not { } reason)
        {
            return;
        }

        if (source.Paused)
        {
            await context.ProblemAsync(ProblemCode.Conflict, "The source is paused by its settings: HrSources:{source}:Paused.");
            return;
        }

        await pauses.ResumeAsync(source, new(time.GetUtcNow(), context.Principal()!, reason), context.RequestAborted);
        Log.Resumed(logger, source.Name);
        await context.WriteSourceAsync(source, null, StatusCodes.Status202Accepted);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "The HR source {Source} goes on.")]
        public static partial void Resumed(ILogger logger, string source);
    }
}

/// <summary>Body of a pause or its end.</summary>
public sealed record PauseRequest
{
    /// <summary>Why; kept with the pause. 3 to 500 characters.</summary>
    public string? Reason { get; init; }
}

/// <summary>An HR source as it stands.</summary>
/// <param name="Source">Its name.</param>
/// <param name="Dialect">How it words its webhooks.</param>
/// <param name="Paused">Nothing is done on its word.</param>
/// <param name="Pause">Who paused it while the program runs; <see langword="null"/> when its settings did, or nobody.</param>
/// <param name="DryRun">Its leavers are looked up and planned, nothing is changed.</param>
public sealed record HrSourceView(string Source, string Dialect, bool Paused, SourcePause? Pause, bool DryRun);

/// <summary>What the routes of a source share.</summary>
internal static class HrSourceRequests
{
    private const int MaximumBody = 4 * 1024;

    /// <summary>The source that the route names, if the caller's key may act for it; otherwise a problem has been answered.</summary>
    public static async Task<HrSource?> HrSourceAsync(this HttpContext context, IntakeOptions options)
    {
        if (context.Request.RouteValues["source"] is not string name || !options.Sources.TryGetValue(name, out var source))
        {
            await context.ProblemAsync(ProblemCode.UnknownSource);
            return null;
        }

        if (!context.MayUseSource(source.Name))
        {
            await context.ProblemAsync(ProblemCode.Forbidden, "The key is confined to other sources.");
            return null;
        }

        return source;
    }

    public static async Task<string?> ReadPauseReasonAsync(this HttpContext context)
    {
        if (await context.ReadJsonAsync(SourceJson.Default.PauseRequest, MaximumBody) is not { } request)
        {
            return null;
        }

        if (request.Reason?.Trim() is { Length: >= 3 and <= 500 } reason)
        {
            return reason;
        }

        await context.ProblemAsync(ProblemCode.Malformed, "reason must have 3 to 500 characters.");
        return null;
    }

    public static Task WriteSourceAsync(this HttpContext context, HrSource source, SourcePause? pause, int status) => context.WriteJsonAsync(
        new HrSourceView(source.Name, source.Dialect.Name, source.Paused || pause is not null, pause, source.DryRun),
        SourceJson.Default.HrSourceView, status);
}

/// <summary>What operators do with sources, in the audit trail.</summary>
internal static class PauseAudit
{
    /// <summary>A source was paused.</summary>
    public static AuditKind SourcePaused { get; } =
        new("intake.source_paused", AuditRetention.Legal, "An operator paused an HR source: what it sends is kept and waits.");

    /// <summary>A source goes on.</summary>
    public static AuditKind SourceResumed { get; } = new("intake.source_resumed", AuditRetention.Legal, "An operator let a paused HR source go on.");
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(PauseRequest))]
[JsonSerializable(typeof(HrSourceView))]
internal sealed partial class SourceJson : JsonSerializerContext;
