using DingFlow.Entra;

namespace DingFlow.Offboarding;

/// <summary>Freezes Microsoft Entra accounts: sign-in is blocked, then the refresh tokens are revoked, then the user is read back.</summary>
public sealed class EntraFreeze(EntraDirectory entra) : IFreezeDriver
{
    private const string Disable = "entra.disable";
    private const string RevokeSessions = "entra.revokeSessions";

    /// <summary>How far Microsoft's clock and ours may differ.</summary>
    private static readonly TimeSpan ClockSkew = TimeSpan.FromMinutes(5);

    /// <inheritdoc/>
    public FreezeTarget Target => FreezeTarget.Entra;

    /// <inheritdoc/>
    public async Task<AccountReading> ReadAsync(CaseAccount account, CancellationToken cancellationToken)
    {
        var user = await entra.GetUserAsync(account.AccountId!, cancellationToken);
        return new(user, user.Value?.AccountEnabled, user.Value?.SignInSessionsValidFrom);
    }

    /// <inheritdoc/>
    public async Task<StepResult> ActAsync(
        string stepId, CaseAccount account, AccountReading before, string caseId, CancellationToken cancellationToken) => stepId switch
        {
            Disable when before.Enabled == false => new(StepOutcome.AlreadyDone, "Sign-in was blocked before."),
            Disable => StepResult.Of(await entra.DisableAsync(account.AccountId!, cancellationToken), "Sign-in was blocked."),
            RevokeSessions => StepResult.Of(
                await entra.RevokeSessionsAsync(account.AccountId!, cancellationToken),
                "Refresh tokens were revoked; access tokens already issued may live until they expire."),
            _ => throw new ArgumentOutOfRangeException(nameof(stepId), stepId, "Not a step of Entra."),
        };

    /// <inheritdoc/>
    public async Task<StepResult> EnableAsync(CaseAccount account, CancellationToken cancellationToken) =>
        StepResult.Of(await entra.EnableAsync(account.AccountId!, cancellationToken), "Sign-in was allowed.");

    /// <inheritdoc/>
    public StepProof Judge(CaseStep caseStep, AccountReading after)
    {
        if (after.Missing)
        {
            // Deleted between the step and the reading; the next look-up must find it among the deleted items.
            return new(ReadBack.Unavailable, "The user disappeared before it could be read back.");
        }

        if (!after.Result.IsOk)
        {
            return new(ReadBack.Unavailable, $"The user could not be read back: {RemoteText.Of(after.Result)}.");
        }

        if (caseStep.Id == Disable)
        {
            return after.Enabled == false
                ? new(ReadBack.Confirmed)
                : new(ReadBack.Contradicted, "Entra accepted the step, but sign-in is still allowed.");
        }

        return after.SessionsValidFrom >= caseStep.StartedAt - ClockSkew
            ? new(ReadBack.Confirmed)
            : new(ReadBack.Contradicted, "Entra accepted the step, but sessions from before it are still valid.");
    }

    /// <inheritdoc/>
    public async Task<StepResult> EndSessionsAsync(CaseAccount account, string reason, CancellationToken cancellationToken) => StepResult.Of(
        await entra.RevokeSessionsAsync(account.AccountId!, cancellationToken),
        "Refresh tokens were revoked; access tokens already issued may live until they expire.");
}
