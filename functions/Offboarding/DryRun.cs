using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary>
/// What a case would do now: whom it finds, which plan it goes by, what each step would take away. It reads; it changes and stores
/// nothing.
/// </summary>
public sealed class DryRun(AccountLookup lookup, OffboardingPlans plans, IEnumerable<IFreezeDriver> drivers, AccessSteps access, OffboardingOptions options)
{
    private readonly Dictionary<FreezeTarget, IFreezeDriver> _drivers = drivers.ToDictionary(d => d.Target);

    /// <summary>Looks a case's person up and says what would be done.</summary>
    public async Task<DryRunView> OfAsync(OffboardingCase @case, CancellationToken cancellationToken)
    {
        var accounts = await lookup.LookUpAsync(@case, cancellationToken);
        var plan = plans.For(@case, accounts);
        var lanes = await Task.WhenAll(accounts.Select(a => StepsAsync(@case, a, plan, cancellationToken)));
        var steps = lanes.SelectMany(lane => lane).ToList();
        return new(
            plans.Of(plan), accounts, steps,
            [.. steps.Where(s => s.Outcome is StepOutcome.Failed or StepOutcome.NeedsHuman or StepOutcome.RetryLater).Select(s => $"{s.Id}{(s.Tenant is null ? "" : $" ({s.Tenant})")}: {s.Detail}")]);
    }

    /// <summary>The steps of a case whose accounts are known, as they would be done: what each would take stands in its changes.</summary>
    internal async Task<IReadOnlyList<CaseStep>> StepsAsync(OffboardingCase @case, CaseAccount account, OffboardingPlan plan, CancellationToken cancellationToken)
    {
        if (account.Status != AccountStatus.Found)
        {
            return [.. CaseConclusion.Settled(@case, account, options)];
        }

        var reading = await _drivers[account.Target].ReadAsync(account, cancellationToken);
        var steps = new List<CaseStep>();
        foreach (var planned in plan.Steps.Where(s => s.Step.IsFor(account)))
        {
            var step = new CaseStep { Id = planned.Step.Id, Target = account.Target, Tenant = account.Tenant, Rules = planned.Rules };
            steps.Add(access.Find(step.Id) is { } taking ? await WouldTakeAsync(step, taking, account, cancellationToken) : WouldEnd(step, reading));
        }

        return steps;
    }

    private CaseStep WouldEnd(CaseStep step, AccountReading reading) => step with
    {
        Outcome = !reading.Result.IsOk && !reading.Missing ? StepResult.Of(reading.Result, "").Outcome
            : step.Id == "dingtalk.remove" && options.OrdinaryAccounts == OrdinaryAccountPolicy.NeedsHuman ? StepOutcome.NeedsHuman
            : reading.Enabled == false && step.Id is "dingtalk.disable" or "entra.disable" ? StepOutcome.AlreadyDone
            : StepOutcome.Skipped,
        Detail = !reading.Result.IsOk && !reading.Missing ? $"The account could not be read: {RemoteText.Of(reading.Result)}."
            : step.Id == "dingtalk.remove" && options.OrdinaryAccounts == OrdinaryAccountPolicy.NeedsHuman ? "Dry run: a person would be asked to remove an ordinary account."
            : reading.Enabled == false && step.Id is "dingtalk.disable" or "entra.disable" ? "Dry run: the account is disabled already."
            : "Dry run: would be done.",
        RequestId = reading.Result.RequestId,
    };

    private static async Task<CaseStep> WouldTakeAsync(CaseStep step, IAccessStep access, CaseAccount account, CancellationToken cancellationToken)
    {
        var list = await access.ListAsync(account, step.RulesOrUsual, cancellationToken);
        if (!list.Result.IsOk)
        {
            return step with { Outcome = StepResult.Of(list.Result, "").Outcome, Detail = $"What the person holds could not be listed: {RemoteText.Of(list.Result)}.", RequestId = list.Result.RequestId };
        }

        var count = list.ToTake.Count();
        return step with
        {
            Outcome = list.Blocked is not null || list.Held.Count > AccessSteps.MostHeld ? StepOutcome.NeedsHuman : count == 0 ? StepOutcome.AlreadyDone : StepOutcome.Skipped,
            Detail = list.Blocked ?? (count == 0 ? "Dry run: there is nothing to take away." : $"Dry run: {count} would be taken away."),
            Changes = [.. list.Held.Take(AccessSteps.MostHeld)],
            RequestId = list.Result.RequestId,
        };
    }
}

/// <summary>What a case would do.</summary>
/// <param name="Plan">The plan by which it would go.</param>
/// <param name="Accounts">The accounts found.</param>
/// <param name="Steps">The steps; <c>skipped</c> are those that would be done.</param>
/// <param name="Trouble">What would need a person, or fails for want of a permission.</param>
public sealed record DryRunView(CasePlan Plan, IReadOnlyList<CaseAccount> Accounts, IReadOnlyList<CaseStep> Steps, IReadOnlyList<string> Trouble);

/// <summary>Whom a dry run is about: a case, or a person by any identifier. It is in the body because identifiers must not stand in addresses.</summary>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record DryRunRequest
{
    /// <summary>A case, whatever its state.</summary>
    public string? CaseId { get; init; }

    /// <summary>The HR system's id.</summary>
    public string? EmployeeId { get; init; }

    /// <summary>Company e-mail address.</summary>
    public string? Email { get; init; }

    /// <summary>DingTalk user id, in any tenant.</summary>
    public string? DingTalkUserId { get; init; }

    /// <summary>As though this source had reported the person, for the choice of the plan.</summary>
    public string? Source { get; init; }
}

/// <summary><c>POST /api/offboarding/dry-run</c>: what would happen to one person, without a case or with one.</summary>
public sealed class DryRunOffboarding(DryRun dryRun, CaseStore cases, IAuditTrail trail, AuditPseudonyms pseudonyms, TimeProvider time) : IHttpFunction
{
    private const int MaximumBody = 4 * 1024;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        if (await context.ReadJsonAsync(OffboardingJson.Default.DryRunRequest, MaximumBody) is not { } request)
        {
            return;
        }

        if (request is { CaseId: null, EmployeeId: null, Email: null, DingTalkUserId: null })
        {
            await context.ProblemAsync(ProblemCode.Malformed, "Name caseId, or one of employeeId, email, dingTalkUserId.");
            return;
        }

        OffboardingCase? @case;
        if (request.CaseId is { } caseId)
        {
            @case = (await cases.FindAsync(caseId, context.RequestAborted))?.Case;
            if (@case is null)
            {
                await context.ProblemAsync(ProblemCode.NotFound, "There is no such case.");
                return;
            }
        }
        else
        {
            @case = Imagined(request);
        }

        await trail.AppendAsync(
            new()
            {
                Kind = DryRunAudit.Made,
                Actor = AuditActor.Principal(context.Principal()!),
                Payload = PayloadHash.None,
                CaseId = request.CaseId,
                Subject = pseudonyms.Of("employeeId", @case.EmployeeId),
            },
            context.RequestAborted);
        await context.WriteJsonAsync(await dryRun.OfAsync(@case, context.RequestAborted), OffboardingJson.Default.DryRunView);
    }

    private OffboardingCase Imagined(DryRunRequest request) => new()
    {
        CaseId = "dry-run",
        EmployeeId = request.EmployeeId,
        State = CaseState.Running,
        Mode = CaseMode.DryRun,
        ReceivedAt = time.GetUtcNow(),
        DueAt = time.GetUtcNow(),
        Signals = request.Source is { } source
            ? [new CaseSignal { DeliveryId = "dry-run", Source = source, Kind = PersonEventKind.Terminated, ReceivedAt = time.GetUtcNow() }]
            : [],
        Identifiers = [new PersonIdentifiers { EmployeeId = request.EmployeeId, Email = request.Email, DingTalkUserId = request.DingTalkUserId }],
    };
}

/// <summary>What the audit trail says of dry runs.</summary>
internal static class DryRunAudit
{
    /// <summary>Somebody looked what would happen to a person.</summary>
    public static AuditKind Made { get; } = new("offboarding.dry_run", AuditRetention.Legal, "Somebody looked what offboarding would do to a person; nothing was changed.");
}
