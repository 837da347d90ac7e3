namespace DingFlow.Offboarding;

/// <summary>
/// The clock of a case: from the receipt, or the effective date if that is later, to the proof of the freeze, within the target of the
/// person's plan. Until the person was looked up, and the plan is known, <c>Offboarding:Target</c> holds. Pure.
/// </summary>
internal static class CaseClock
{
    /// <summary>The target of a case.</summary>
    public static TimeSpan TargetOf(OffboardingCase c, OffboardingOptions options) => c.Plan?.Target ?? options.Target;

    /// <summary>The case with a clock that begins at a moment.</summary>
    public static OffboardingCase Begin(OffboardingCase c, DateTimeOffset from, OffboardingOptions options) => c with { DueAt = from + TargetOf(c, options) };

    /// <summary>
    /// The case with the plan of its person. Its clock keeps its beginning: only where it ends follows from the plan's target. Whoever was
    /// told of a breach by another plan's target was told too early when there is time left by this one.
    /// </summary>
    public static OffboardingCase WithPlan(OffboardingCase c, CasePlan plan, OffboardingOptions options, DateTimeOffset now)
    {
        var planned = c with { Plan = plan };
        var longer = TargetOf(planned, options) - TargetOf(c, options);
        return longer == TimeSpan.Zero ? planned : planned with
        {
            DueAt = c.DueAt + longer,
            OverdueAt = c.DueAt + longer > now ? null : c.OverdueAt,
        };
    }
}
