using DingFlow.DingTalk;
using DingFlow.Remote;

namespace DingFlow.Offboarding;

/// <summary>
/// Freezes DingTalk accounts. An enterprise account is disabled, then signed out everywhere (disabling is not said to end sessions),
/// then its status is read. An ordinary account belongs to the person: the organisation can only remove it.
/// </summary>
public sealed class DingTalkFreeze(DingTalkClients clients, OffboardingOptions options) : IFreezeDriver
{
    private const string Disable = "dingtalk.disable";
    private const string SignOut = "dingtalk.signOut";
    private const string Remove = "dingtalk.remove";

    /// <inheritdoc/>
    public FreezeTarget Target => FreezeTarget.DingTalk;

    /// <inheritdoc/>
    public async Task<AccountReading> ReadAsync(CaseAccount account, CancellationToken cancellationToken)
    {
        var client = clients[account.Tenant!];
        if (account.IsEnterprise)
        {
            var disabled = await client.IsAccountDisabledAsync(account.AccountId!, cancellationToken);
            return new(disabled, disabled.IsOk ? !disabled.Value : null);
        }

        var user = await client.GetUserAsync(account.AccountId!, cancellationToken);
        return new(user, user.IsOk ? true : user.Status == RemoteStatus.NotFound ? false : null);
    }

    /// <inheritdoc/>
    public async Task<StepResult> ActAsync(
        string stepId, CaseAccount account, AccountReading before, string caseId, CancellationToken cancellationToken)
    {
        var client = clients[account.Tenant!];
        var reason = $"Offboarding case {caseId}";
        switch (stepId)
        {
            case Disable when before.Enabled == false:
                return new(StepOutcome.AlreadyDone, "The account was disabled before.");
            case Disable:
                return StepResult.Of(await client.DisableAccountAsync(account.AccountId!, reason, cancellationToken), "The account was disabled.");
            case SignOut:
                return StepResult.Of(
                    await client.SignOutAsync(account.AccountId!, reason, cancellationToken),
                    "All devices were signed out; DingTalk offers no list of sessions, so the account's status was read after it.");
            case Remove when before.Missing:
                return new(StepOutcome.AlreadyDone, "The person had left the organisation before.");
            case Remove when options.OrdinaryAccounts == OrdinaryAccountPolicy.Remove:
                var removed = await client.RemoveUserAsync(account.AccountId!, cancellationToken);
                return removed.Status == RemoteStatus.NotFound
                    ? new(StepOutcome.Done, "The person is no longer in the organisation.") { RequestId = removed.RequestId }
                    : StepResult.Of(removed, "The person was removed from the organisation.");
            case Remove:
                return new(
                    StepOutcome.NeedsHuman,
                    "This is an ordinary DingTalk account, which the organisation cannot disable: remove the person from the organisation by "
                    + "hand, or set Offboarding:OrdinaryAccounts to remove.");
            default:
                throw new ArgumentOutOfRangeException(nameof(stepId), stepId, "Not a step of DingTalk.");
        }
    }

    /// <inheritdoc/>
    public async Task<StepResult> EnableAsync(CaseAccount account, CancellationToken cancellationToken) =>
        StepResult.Of(await clients[account.Tenant!].EnableAccountAsync(account.AccountId!, cancellationToken), "The account was enabled.");

    /// <inheritdoc/>
    public StepProof Judge(CaseStep caseStep, AccountReading after) => after switch
    {
        { Missing: true } => new(ReadBack.Confirmed, "The account is no longer in the organisation."),
        { Enabled: false } => new(ReadBack.Confirmed),
        { Enabled: true } => new(ReadBack.Contradicted, "DingTalk accepted the step, but the account is still usable."),
        _ => new(ReadBack.Unavailable, $"The account could not be read back: {RemoteText.Of(after.Result)}."),
    };

    /// <inheritdoc/>
    public async Task<StepResult> EndSessionsAsync(CaseAccount account, string reason, CancellationToken cancellationToken) => account.IsEnterprise
        ? StepResult.Of(await clients[account.Tenant!].SignOutAsync(account.AccountId!, reason, cancellationToken), "All devices were signed out.")
        : new(StepOutcome.Skipped, "An ordinary DingTalk account belongs to the person: the organisation cannot sign it out.");
}
