using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Sandbox;

namespace DingFlow.Offboarding.Rehearsals;

/// <summary>
/// <c>POST /api/rehearsals</c>: imaginary leavers of different kinds go through the pipeline with the policy in force, against a directory
/// of their own; the real tenants are only read. One at a time.
/// </summary>
public sealed class RunRehearsal(IConfiguration configuration, LiveCheck live, IServiceProvider services, IAuditTrail trail, TimeProvider time) : IHttpFunction, IDisposable
{
    private const int MaximumBody = 4 * 1024;
    private const int MostPeople = 25;
    private const int UsualPeople = 5;

    /// <summary>Within what a request may take (<see cref="HttpLimits.RequestTime"/>).</summary>
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly SemaphoreSlim _one = new(1);

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ReadJsonAsync(RehearsalJson.Default.RehearsalRequest, MaximumBody) is not { } request)
        {
            return;
        }

        var source = request.Source ?? "rehearsal";
        if (request.People is < 1 or > MostPeople || source.Length > 40 || !source.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_') || request.Departments?.Count > 20)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "people must be 1 to 25, source the name of a source, departments at most 20.");
            return;
        }

        if (!await _one.WaitAsync(TimeSpan.Zero))
        {
            await context.ProblemAsync(ProblemCode.Conflict, "Another rehearsal is under way.");
            return;
        }

        try
        {
            var report = await RunAsync(request.People ?? UsualPeople, source, request.Departments ?? [], context.RequestAborted);
            await trail.AppendAsync(
                new()
                {
                    Kind = RehearsalAudit.Ran,
                    Actor = AuditActor.Principal(context.Principal()!),
                    Payload = PayloadHash.FromHex(report.PolicyHash),
                    On = new("rehearsal", report.RehearsalId),
                    Details = new Dictionary<string, string> { ["lacks"] = report.Lacks.Count.ToString(System.Globalization.CultureInfo.InvariantCulture) },
                },
                context.RequestAborted);
            await context.WriteJsonAsync(report, RehearsalJson.Default.RehearsalReport);
        }
        finally
        {
            _one.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _one.Dispose();

    private async Task<RehearsalReport> RunAsync(int people, string source, IReadOnlyList<long> departments, CancellationToken cancellationToken)
    {
        var started = time.GetUtcNow();

        // Where the program itself plays with its sandbox there is no real tenant to read.
        var isReal = services.GetService<SandboxServer>() is null;
        var findings = isReal ? await live.RunAsync(cancellationToken) : [];
        var licences = isReal ? await live.LicencesAsync(findings, cancellationToken) : [];
        await using var world = await RehearsalWorld.CreateAsync(configuration, source, cancellationToken);
        var leavers = SyntheticLeavers.Add(world.Sandbox.Directory, world.Plans, people, departments);
        var before = leavers.ToDictionary(leaver => leaver.EmployeeId, leaver => SandboxPermissions.Of(world.Sandbox.Directory[leaver.EmployeeId]), StringComparer.Ordinal);
        foreach (var leaver in leavers)
        {
            if (await world.ReportAsync(leaver, time.GetUtcNow()) is not StatusCodes.Status202Accepted and var status)
            {
                throw new InvalidOperationException($"The rehearsal's own webhook was answered {status}.");
            }
        }

        await world.WorkAsync(leavers, Limit, cancellationToken);
        var reported = new List<RehearsedPerson>();
        foreach (var leaver in leavers)
        {
            reported.Add(ReportOf(leaver, await world.CaseOfAsync(leaver, cancellationToken), before[leaver.EmployeeId], world));
        }

        return new()
        {
            RehearsalId = Guid.CreateVersion7(started).ToString("N"),
            StartedAt = started,
            EndedAt = time.GetUtcNow(),
            Policy = world.Plans.Policy,
            PolicyHash = world.Plans.Hash,
            People = reported,
            Alerts = world.Alerts,
            Live = findings,
            Licences = licences,
            LiveSteps = live.Steps(findings),
            Lacks = [.. findings.Where(f => f.Verdict is LiveVerdict.Missing or LiveVerdict.Unreachable).Select(f => $"{f.System}: {f.Permission} ({string.Join(", ", f.Steps)}): {f.Detail}")],
        };
    }

    private static RehearsedPerson ReportOf(SyntheticLeaver leaver, OffboardingCase? @case, IReadOnlyList<string> before, RehearsalWorld world)
    {
        var changes = world.ChangesOf(leaver).Select(change =>
        {
            var (had, has) = (SandboxPermissions.Of(change.Before), SandboxPermissions.Of(change.After));
            return new RehearsedChange(
                StepCatalogue.All.FirstOrDefault(step => step.Operations.Contains(change.Call))?.Id, change.Call, [.. had.Except(has)], [.. has.Except(had)]);
        }).ToList();
        var after = SandboxPermissions.Of(world.Sandbox.Directory[leaver.EmployeeId]);
        var kept = (@case?.Steps ?? []).SelectMany(step => step.Changes ?? []).Where(change => change.State == ChangeState.Kept && change.Name is not null).ToList();
        return new()
        {
            Kind = leaver.Kind,
            EmployeeId = leaver.EmployeeId,
            State = @case?.State,
            Plan = @case?.Plan?.Name,
            Notes = @case?.Notes ?? [],
            Permissions = [.. before.Union(after).Select(permission => new RehearsedPermission(
                permission, before.Contains(permission), after.Contains(permission),
                after.Contains(permission) ? null : changes.FirstOrDefault(change => change.Lost.Contains(permission))?.Step,
                !after.Contains(permission) ? null
                    : kept.Find(change => permission.Contains(change.Name!, StringComparison.Ordinal))?.Note ?? "no step of the plan took it away"))],
            Steps = @case?.Steps ?? [],
            Changes = changes,
        };
    }
}

/// <summary>What the audit trail says of rehearsals.</summary>
internal static class RehearsalAudit
{
    /// <summary>The policy in force was rehearsed.</summary>
    public static AuditKind Ran { get; } = new("offboarding.rehearsed", AuditRetention.Operational, "The offboarding policy in force was rehearsed with imaginary leavers.");
}

/// <summary>Wires rehearsals.</summary>
internal static class RehearsalServices
{
    /// <summary>Adds the route. It builds the offboarding feature once more, so it is wired beside it and not within.</summary>
    public static IServiceCollection AddRehearsals(this IServiceCollection services) => services
        .AddSingleton<LiveCheck>()
        .AddFunction<RunRehearsal>(Roles.RehearsalsRun);
}
