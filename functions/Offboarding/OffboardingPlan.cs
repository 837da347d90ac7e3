using System.Text.Json.Serialization;

namespace DingFlow.Offboarding;

/// <summary>How a plan wants a step to be done. Kept with the case, so that a plan that changes later changes no case under way.</summary>
public sealed record StepRules
{
    /// <summary>What a step has that no plan speaks of.</summary>
    public static StepRules Usual { get; } = new() { Critical = true, ContinueOnError = true, Timeout = TimeSpan.FromMinutes(1) };

    /// <summary>Without it the case is not verified; otherwise its failure is noted only.</summary>
    public required bool Critical { get; init; }

    /// <summary>Later steps of the account go on when it fails.</summary>
    public required bool ContinueOnError { get; init; }

    /// <summary>How long one attempt may take.</summary>
    public required TimeSpan Timeout { get; init; }

    /// <summary>How often it is tried; <see langword="null"/>: until <c>Offboarding:GiveUpAfter</c>.</summary>
    public int? MaxAttempts { get; init; }

    /// <summary>Who takes over: <c>manager</c>, or a DingTalk user id or Entra object id.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? HandOverTo { get; init; }

    /// <summary>Ids of DingTalk scene groups (<c>openConversationId</c>).</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Groups { get; init; }

    /// <summary>Codes of DingTalk approval forms.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? ProcessCodes { get; init; }

    /// <summary>Ids of the organisation's reasons of termination in DingTalk's HR.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Reasons { get; init; }

    /// <summary>Ids or names of what is never taken away.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyList<string>? Keep { get; init; }
}

/// <summary>A step of a plan.</summary>
/// <param name="Step">Which.</param>
/// <param name="Rules">How it is to be done.</param>
public sealed record PlanStep(StepDefinition Step, StepRules Rules);

/// <summary>A kind of person that a plan may be for.</summary>
public enum PersonKind
{
    /// <summary>Has a DingTalk account that the organisation owns.</summary>
    Enterprise,

    /// <summary>Has a DingTalk account that belongs to the person.</summary>
    Ordinary,

    /// <summary>Is an administrator of a DingTalk organisation.</summary>
    Admin,

    /// <summary>Is synchronised to Entra from an on-premises directory.</summary>
    Synced,
}

/// <summary>For whom a plan is. Everything that is given must hold; nothing given is everybody.</summary>
public sealed record PlanCondition
{
    /// <summary>The person is of each of these kinds.</summary>
    public IReadOnlyList<PersonKind> Kinds { get; init; } = [];

    /// <summary>One of these sources (<c>hr/acme</c>, <c>dingtalk/zhuhai</c>) reported the person.</summary>
    public IReadOnlyList<string> Sources { get; init; } = [];

    /// <summary>The person is in one of these DingTalk departments.</summary>
    public IReadOnlyList<long> Departments { get; init; } = [];

    /// <summary>Everybody.</summary>
    public bool IsEmpty => Kinds.Count == 0 && Sources.Count == 0 && Departments.Count == 0;

    /// <summary>The plan is for this person.</summary>
    public bool Holds(OffboardingCase @case, IReadOnlyList<CaseAccount> accounts)
    {
        var found = accounts.Where(a => a.Status == AccountStatus.Found).ToList();
        return Kinds.All(kind => found.Any(a => Is(a, kind)))
            && (Sources.Count == 0 || @case.Signals.Any(s => Sources.Contains(s.Source, StringComparer.OrdinalIgnoreCase)))
            && (Departments.Count == 0 || found.Any(a => a.DepartmentIds?.Any(Departments.Contains) == true));
    }

    private static bool Is(CaseAccount account, PersonKind kind) => kind switch
    {
        PersonKind.Enterprise => account is { Target: FreezeTarget.DingTalk, IsEnterprise: true },
        PersonKind.Ordinary => account is { Target: FreezeTarget.DingTalk, IsEnterprise: false },
        PersonKind.Admin => account.IsAdmin,
        _ => account.IsSynced,
    };
}

/// <summary>One plan: for whom, and which steps in which order.</summary>
/// <param name="Name">Its name.</param>
/// <param name="When">For whom.</param>
/// <param name="Steps">The steps, those that freeze first.</param>
public sealed record OffboardingPlan(string Name, PlanCondition When, IReadOnlyList<PlanStep> Steps)
{
    /// <summary>From receipt (or the effective date) to verified; <see langword="null"/>: <c>Offboarding:Target</c>.</summary>
    public TimeSpan? Target { get; init; }
}

/// <summary>The plan by which a case goes.</summary>
/// <param name="Policy">The policy's name.</param>
/// <param name="Name">The plan's name.</param>
/// <param name="Hash">SHA-256 of the policy as it was written, lower-case hex.</param>
public sealed record CasePlan(string Policy, string Name, string Hash)
{
    /// <summary>Its target, where it has one of its own.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public TimeSpan? Target { get; init; }
}

/// <summary>The plans of a policy: the first whose condition holds is a person's plan.</summary>
/// <param name="Policy">The policy's name.</param>
/// <param name="Hash">SHA-256 of the policy as it was written, lower-case hex.</param>
/// <param name="All">The plans in order; the last is for everybody.</param>
public sealed record OffboardingPlans(string Policy, string Hash, IReadOnlyList<OffboardingPlan> All)
{
    /// <summary>The plan of a person.</summary>
    public OffboardingPlan For(OffboardingCase @case, IReadOnlyList<CaseAccount> accounts) => All.First(plan => plan.When.Holds(@case, accounts));

    /// <summary>The plan as a case remembers it.</summary>
    public CasePlan Of(OffboardingPlan plan) => new(Policy, plan.Name, Hash) { Target = plan.Target };

    /// <summary>The permissions that these plans need in a system, and for which steps each.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>> Permissions(FreezeTarget target) =>
        All.SelectMany(plan => plan.Steps).Select(step => step.Step).Where(step => step.Target == target).Distinct()
            .SelectMany(step => step.Permissions.Select(permission => (permission, step.Id)))
            .Concat(StepCatalogue.LookUpPermissions(target).Select(permission => (permission, Id: "lookUp")))
            .GroupBy(pair => pair.permission, pair => pair.Id, StringComparer.Ordinal)
            .OrderBy(group => group.Key, StringComparer.Ordinal)
            .ToDictionary(group => group.Key, group => (IReadOnlyList<string>)[.. group.Distinct(StringComparer.Ordinal)], StringComparer.Ordinal);
}
