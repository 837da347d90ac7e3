using DingFlow.Hosting;

namespace DingFlow.Offboarding;

/// <summary><c>GET /api/offboarding/plan</c>: the plans in force, what each step does and how it is read back, and the permissions that they need.</summary>
public sealed class GetOffboardingPlan(OffboardingPlans plans, OffboardingOptions options) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.WriteJsonAsync(PlanPolicyView.Of(plans, options.Target), OffboardingJson.Default.PlanPolicyView);
}

/// <summary>The policy in force.</summary>
/// <param name="Policy">Its name.</param>
/// <param name="Hash">SHA-256 of it as it was written.</param>
/// <param name="Plans">The plans in order; the first whose condition holds is a person's plan.</param>
/// <param name="DingTalkPermissions">The least permissions of the app in each DingTalk organisation, and the steps that need each.</param>
/// <param name="EntraPermissions">The least application permissions in Microsoft Graph, and the steps that need each.</param>
public sealed record PlanPolicyView(
    string Policy, string Hash, IReadOnlyList<PlanView> Plans, IReadOnlyDictionary<string, IReadOnlyList<string>> DingTalkPermissions,
    IReadOnlyDictionary<string, IReadOnlyList<string>> EntraPermissions)
{
    /// <summary>The policy as it is shown.</summary>
    public static PlanPolicyView Of(OffboardingPlans plans, TimeSpan target) => new(
        plans.Policy, plans.Hash,
        [.. plans.All.Select(plan => new PlanView(plan.Name, plan.When, (plan.Target ?? target).TotalSeconds, [.. plan.Steps.Select(step => new PlanStepView(
            step.Step.Id, step.Rules, step.Step.Freezes, step.Step.Does, step.Step.ReadBack, step.Step.Undo, step.Step.UndoNote, step.Step.Documented,
            step.Step.Permissions, step.Step.Needs))]))],
        plans.Permissions(FreezeTarget.DingTalk), plans.Permissions(FreezeTarget.Entra));
}

/// <summary>One plan.</summary>
/// <param name="Name">Its name.</param>
/// <param name="When">For whom it is.</param>
/// <param name="TargetSeconds">From receipt (or the effective date) to verified.</param>
/// <param name="Steps">The steps in order.</param>
public sealed record PlanView(string Name, PlanCondition When, double TargetSeconds, IReadOnlyList<PlanStepView> Steps);

/// <summary>One step of a plan; see <see cref="StepDefinition"/>.</summary>
public sealed record PlanStepView(
    string Step, StepRules Rules, bool EndsAccess, string Does, string ReadBack, string? Undo, string? UndoNote, bool Documented,
    IReadOnlyList<string> Permissions, string? Needs);
