namespace DingFlow.Offboarding;

/// <summary>A case while it is being worked on; its lanes change it one after another.</summary>
internal sealed class CaseSession(CaseStore cases, StoredCase stored) : IDisposable
{
    private readonly SemaphoreSlim _turn = new(1);

    /// <summary>The case as last stored.</summary>
    public StoredCase Stored { get; private set; } = stored;

    /// <summary>The case as last stored.</summary>
    public OffboardingCase Case => Stored.Case;

    /// <summary>Changes the case, durably when this returns.</summary>
    public async Task ChangeAsync(Func<OffboardingCase, OffboardingCase> change, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            Stored = await cases.UpdateAsync(Stored, change, cancellationToken);
        }
        finally
        {
            _turn.Release();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    /// <summary>The steps of an account, as they are now.</summary>
    public IReadOnlyList<CaseStep> StepsOf(CaseAccount account) =>
        [.. Case.Steps.Where(s => s.Target == account.Target && s.Tenant == account.Tenant)];

    /// <summary>The account, as it is now.</summary>
    public CaseAccount AccountNow(CaseAccount account) => Case.Accounts.First(a => a.IsSame(account));
}

/// <summary>Changes of one part of a case.</summary>
internal static class CaseChanges
{
    /// <summary>Where a case that several sources speak of may act: wherever one of them may. <see langword="null"/> means anywhere.</summary>
    public static IReadOnlyList<string>? Widened(IReadOnlyList<string>? one, IReadOnlyList<string>? other) =>
        one is null || other is null ? null : [.. one.Union(other, StringComparer.OrdinalIgnoreCase)];

    /// <summary>The same account in another state of the case.</summary>
    public static bool IsSame(this CaseAccount account, CaseAccount other) => account.Target == other.Target && account.Tenant == other.Tenant;

    /// <summary>The same step in another state of the case.</summary>
    public static bool IsSame(this CaseStep step, CaseStep other) =>
        step.Id == other.Id && step.Target == other.Target && step.Tenant == other.Tenant;

    /// <summary>The case with one step changed.</summary>
    public static OffboardingCase WithStep(this OffboardingCase @case, CaseStep step, Func<CaseStep, CaseStep> change) =>
        @case with { Steps = [.. @case.Steps.Select(s => s.IsSame(step) ? change(s) : s)] };

    /// <summary>The case with one account changed.</summary>
    public static OffboardingCase WithAccount(this OffboardingCase @case, CaseAccount account, Func<CaseAccount, CaseAccount> change) =>
        @case with { Accounts = [.. @case.Accounts.Select(a => a.IsSame(account) ? change(a) : a)] };
}
