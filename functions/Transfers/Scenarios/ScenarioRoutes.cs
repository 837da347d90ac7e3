using System.Text.Json.Serialization;
using DingFlow.Hosting;

namespace DingFlow.Transfers;

/// <summary>
/// <c>PUT transfers/scenarios/{exporter}/{scenario}</c>: a person records what filings ask on a scenario, or corrects it. What was recorded
/// before stays, and still holds for the days before <c>inForceFrom</c>. The same once more changes nothing.
/// </summary>
public sealed partial class PutTransferScenario(
    TransfersOptions options, ScenarioStore scenarios, TimeProvider time, ILogger<PutTransferScenario> logger) : IHttpFunction
{
    private const int MaximumBody = 16 * 1024;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ScenarioAsync(options) is not var (exporter, id)
            || await context.ReadJsonAsync(ScenarioJson.Default.ScenarioRequest, MaximumBody) is not { } request)
        {
            return;
        }

        var today = LegalTime.DayOf(time.GetUtcNow());
        var from = request.InForceFrom ?? today;
        var (terms, fault) = ScenarioCheck.Terms(request.Terms, today);
        fault ??= ScenarioCheck.FaultOf(from, request.Reason, today, options);
        if (fault is not null)
        {
            await context.ProblemAsync(ProblemCode.Invalid, fault);
            return;
        }

        var register = await scenarios.ReadAsync(exporter.Id, context.RequestAborted);
        var known = register.Find(id);
        if (known?.Latest is { Withdrawn: false } latest && latest.InForceFrom == from && latest.Terms.SaysTheSameAs(terms!))
        {
            await context.WriteJsonAsync(ScenarioView.Of(known, today), ScenarioJson.Default.ScenarioView);
            return;
        }

        var version = new ScenarioVersion(
            (known?.Latest.Revision ?? 0) + 1, from, false, terms!, TransferRoutes.ReasonIn(request.Reason)!, LegalTime.Of(time.GetUtcNow()), context.Principal()!);
        if (await context.RecordAsync(scenarios, register, id, version))
        {
            Log.Recorded(logger, exporter.Id, id, version.Revision, version.RecordedBy);
            await context.WriteJsonAsync(
                ScenarioView.Of(new(exporter.Id, id, [.. known?.Versions ?? [], version]), today), ScenarioJson.Default.ScenarioView,
                known is null ? StatusCodes.Status201Created : StatusCodes.Status200OK);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Scenario {Scenario} of {Exporter} was recorded (revision {Revision}) by {Principal}")]
        public static partial void Recorded(ILogger logger, string exporter, string scenario, int revision, string principal);
    }
}

/// <summary>
/// <c>POST transfers/scenarios/{exporter}/{scenario}/withdraw</c>: a person says that nothing is transferred under it from a day on. Everything
/// stays; recording it anew with a later day puts it in force again. Withdrawing it once more adds the proof of deletion.
/// </summary>
public sealed partial class WithdrawTransferScenario(
    TransfersOptions options, ScenarioStore scenarios, TimeProvider time, ILogger<WithdrawTransferScenario> logger) : IHttpFunction
{
    private const int MaximumBody = 4 * 1024;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ScenarioAsync(options) is not var (exporter, id)
            || await context.ReadJsonAsync(ScenarioJson.Default.WithdrawScenarioRequest, MaximumBody) is not { } request)
        {
            return;
        }

        var today = LegalTime.DayOf(time.GetUtcNow());
        var register = await scenarios.ReadAsync(exporter.Id, context.RequestAborted);
        var known = register.Find(id);
        var from = request.On ?? (known?.Latest is { Withdrawn: true } ended ? ended.InForceFrom : today);
        if (ScenarioCheck.FaultOf(from, request.Reason, today, options) is { } fault || (fault = ScenarioCheck.FaultOf("deletionProof", request.DeletionProof)) is not null)
        {
            await context.ProblemAsync(ProblemCode.Invalid, fault);
            return;
        }

        if (known is null)
        {
            await context.ProblemAsync(ProblemCode.NotFound, ScenarioRoutes.NoScenario);
            return;
        }

        var terms = (known.On(from) ?? known.Latest).Terms;
        terms = terms with { DeletionProof = ScenarioCheck.Text(request.DeletionProof) ?? known.Latest.Terms.DeletionProof };
        if (known.Latest is { Withdrawn: true } latest && latest.InForceFrom == from && latest.Terms.SaysTheSameAs(terms))
        {
            await context.WriteJsonAsync(ScenarioView.Of(known, today), ScenarioJson.Default.ScenarioView);
            return;
        }

        var version = new ScenarioVersion(
            known.Latest.Revision + 1, from, true, terms, TransferRoutes.ReasonIn(request.Reason)!, LegalTime.Of(time.GetUtcNow()), context.Principal()!);
        if (await context.RecordAsync(scenarios, register, id, version))
        {
            Log.Withdrawn(logger, exporter.Id, id, version.RecordedBy);
            await context.WriteJsonAsync(
                ScenarioView.Of(known with { Versions = [.. known.Versions, version] }, today), ScenarioJson.Default.ScenarioView);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Scenario {Scenario} of {Exporter} was withdrawn by {Principal}")]
        public static partial void Withdrawn(ILogger logger, string exporter, string scenario, string principal);
    }
}

/// <summary><c>GET transfers/scenarios/{exporter}/{scenario}</c>: everything that was recorded on a scenario.</summary>
public sealed class GetTransferScenario(TransfersOptions options, ScenarioStore scenarios, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ScenarioAsync(options) is not var (exporter, id))
        {
            return;
        }

        if ((await scenarios.ReadAsync(exporter.Id, context.RequestAborted)).Find(id) is not { } scenario)
        {
            await context.ProblemAsync(ProblemCode.NotFound, ScenarioRoutes.NoScenario);
            return;
        }

        await context.WriteJsonAsync(ScenarioView.Of(scenario, LegalTime.DayOf(time.GetUtcNow())), ScenarioJson.Default.ScenarioView);
    }
}

/// <summary><c>GET transfers/scenarios?exporter=</c>: the register of an exporter, each scenario with what holds today.</summary>
public sealed class ListTransferScenarios(TransfersOptions options, ScenarioStore scenarios, TimeProvider time) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ExporterAsync(options, context.Request.Query["exporter"]) is { } exporter)
        {
            var today = LegalTime.DayOf(time.GetUtcNow());
            var register = await scenarios.ReadAsync(exporter.Id, context.RequestAborted);
            await context.WriteJsonAsync(
                new ScenarioList([.. register.Scenarios.Select(scenario => ScenarioView.Of(scenario, today) with { Versions = null })]), ScenarioJson.Default.ScenarioList);
        }
    }
}

/// <summary>What the routes of scenarios share.</summary>
internal static class ScenarioRoutes
{
    public const string NoScenario = "The exporter has no such scenario.";

    /// <summary>The exporter and the scenario of the address; <see langword="null"/> when a problem has been answered.</summary>
    public static async Task<(Exporter Exporter, string Id)?> ScenarioAsync(this HttpContext context, TransfersOptions options)
    {
        if (await context.ExporterAsync(options, context.Request.RouteValues["exporter"] as string) is not { } exporter)
        {
            return null;
        }

        var id = (context.Request.RouteValues["scenario"] as string ?? "").ToLowerInvariant();
        if (TransfersOptions.IsId(id))
        {
            return (exporter, id);
        }

        await context.ProblemAsync(ProblemCode.Malformed, "The scenario must be 1 to 64 letters, digits, '.', '_' or '-'.");
        return null;
    }

    /// <summary>Records a version; <see langword="false"/> when a problem has been answered.</summary>
    public static async Task<bool> RecordAsync(this HttpContext context, ScenarioStore scenarios, ScenarioRegister register, string id, ScenarioVersion version)
    {
        var problem = await scenarios.RecordAsync(register, id, version, context.RequestAborted) switch
        {
            ScenarioOutcome.Overtaken => "Somebody else changed the register meanwhile. Read the scenario and record it again.",
            ScenarioOutcome.Taken => "Another scenario of the exporter has the same recipient and purpose on some of these days: nobody could say to which a record belongs.",
            ScenarioOutcome.Full => $"The register is full: {ScenarioStore.MostScenarios} scenarios or {ScenarioStore.MostVersions} versions.",
            _ => null,
        };
        if (problem is null)
        {
            return true;
        }

        await context.ProblemAsync(ProblemCode.Conflict, problem);
        return false;
    }
}

/// <summary>What a person records on a scenario.</summary>
/// <param name="InForceFrom">The first day on which it holds; today where nothing is said.</param>
/// <param name="Reason">Why: 3 to 500 characters.</param>
/// <param name="Terms">What holds. It takes the place of all that held before: what is left out is not recorded any more.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record ScenarioRequest(DateOnly? InForceFrom, string? Reason, ScenarioTerms? Terms);

/// <summary>Why a scenario is withdrawn.</summary>
/// <param name="On">The first day on which nothing is transferred under it; today where nothing is said.</param>
/// <param name="Reason">Why: 3 to 500 characters.</param>
/// <param name="DeletionProof">The document that proves the deletion abroad.</param>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
internal sealed record WithdrawScenarioRequest(DateOnly? On, string? Reason, string? DeletionProof);

/// <summary>Where a scenario stands.</summary>
internal enum ScenarioState
{
    /// <summary>It holds today.</summary>
    InForce,

    /// <summary>Its first day is still to come.</summary>
    Upcoming,

    /// <summary>It is withdrawn.</summary>
    Withdrawn,
}

/// <summary>A scenario as the API shows it.</summary>
/// <param name="Exporter">The exporter's id.</param>
/// <param name="Scenario">Its id.</param>
/// <param name="State">Where it stands today.</param>
/// <param name="Current">What holds today; before its first day, what was recorded last.</param>
/// <param name="Missing">What filings ask for and is not recorded.</param>
/// <param name="ChangedSinceFiling">What is otherwise today than when the mechanism was first in force; it may have to be filed anew.</param>
/// <param name="Versions">Everything that was recorded, in the order of recording; not in lists.</param>
internal sealed record ScenarioView(
    string Exporter, string Scenario, ScenarioState State, ScenarioVersion Current, IReadOnlyList<ScenarioGap> Missing, IReadOnlyList<ScenarioChange> ChangedSinceFiling,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] IReadOnlyList<ScenarioVersion>? Versions)
{
    public static ScenarioView Of(Scenario scenario, DateOnly today)
    {
        var current = scenario.On(today);
        var shown = current ?? scenario.Latest;
        return new(
            scenario.Exporter, scenario.Id,
            current switch { null => ScenarioState.Upcoming, { Withdrawn: true } => ScenarioState.Withdrawn, _ => ScenarioState.InForce },
            shown, ScenarioGaps.Of(shown, today.Year), scenario.ChangedSinceFiling(today), scenario.Versions);
    }
}

/// <summary>The register of an exporter.</summary>
internal sealed record ScenarioList(IReadOnlyList<ScenarioView> Items);
