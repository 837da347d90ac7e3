using DingFlow.Remote;

namespace DingFlow.Offboarding;

/// <summary>Freezes accounts of one system: how each step that ends access is done, read back, and undone.</summary>
public interface IFreezeDriver
{
    /// <summary>The system.</summary>
    FreezeTarget Target { get; }

    /// <summary>Reads how the account is now.</summary>
    Task<AccountReading> ReadAsync(CaseAccount account, CancellationToken cancellationToken);

    /// <summary>Does one step. Doing it again is safe.</summary>
    /// <param name="stepId">A step of the catalogue that ends access in this system.</param>
    /// <param name="account">The account.</param>
    /// <param name="before">The reading from before the step.</param>
    /// <param name="caseId">Given to the remote as the reason, where it takes one.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    Task<StepResult> ActAsync(
        string stepId, CaseAccount account, AccountReading before, string caseId, CancellationToken cancellationToken);

    /// <summary>Whether the account, as read after the step, is as the step wants it.</summary>
    StepProof Judge(CaseStep caseStep, AccountReading after);

    /// <summary>Lets the account sign in again. Doing it again is safe.</summary>
    Task<StepResult> EnableAsync(CaseAccount account, CancellationToken cancellationToken);

    /// <summary>Ends the person's sessions and leaves the account as it is. Doing it again is safe.</summary>
    /// <param name="account">The account.</param>
    /// <param name="reason">Given to the remote, where it takes one; no personal data.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    Task<StepResult> EndSessionsAsync(CaseAccount account, string reason, CancellationToken cancellationToken);
}

/// <summary>How one attempt of a step ended.</summary>
/// <param name="Outcome">How.</param>
/// <param name="Detail">In plain words; no personal data.</param>
public sealed record StepResult(StepOutcome Outcome, string Detail)
{
    /// <summary>The remote's request id.</summary>
    public string? RequestId { get; init; }

    /// <summary>How long the remote asks us to wait.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The account was not where it had been found: look it up again.</summary>
    public bool AccountMissing { get; init; }

    /// <summary>What a remote's answer to a step means for the step.</summary>
    public static StepResult Of(RemoteResult result, string done)
    {
        var outcome = result.Status switch
        {
            RemoteStatus.Ok => StepOutcome.Done,
            RemoteStatus.NotApplicable => StepOutcome.NeedsHuman,
            RemoteStatus.Throttled or RemoteStatus.Unavailable or RemoteStatus.Unexpected or RemoteStatus.NotFound
                or RemoteStatus.Unauthenticated => StepOutcome.RetryLater,
            _ => StepOutcome.Failed,
        };
        return new(outcome, result.IsOk ? done : Sentence(RemoteText.Of(result)))
        {
            RequestId = result.RequestId,
            RetryAfter = result.RetryAfter,
            AccountMissing = result.Status == RemoteStatus.NotFound,
        };
    }

    private static string Sentence(string text) => char.ToUpperInvariant(text[0]) + text[1..] + ".";
}

/// <summary>How an account was when it was read.</summary>
/// <param name="Result">Whether it could be read.</param>
/// <param name="Enabled">It can sign in; <see langword="null"/> when it could not be read.</param>
/// <param name="SessionsValidFrom">Sessions begun before this are void, where the system tells.</param>
public sealed record AccountReading(RemoteResult Result, bool? Enabled, DateTimeOffset? SessionsValidFrom = null)
{
    /// <summary>The account is no longer there.</summary>
    public bool Missing => Result.Status == RemoteStatus.NotFound;
}

/// <summary>What a reading says about a step.</summary>
public sealed record StepProof(ReadBack ReadBack, string? Detail = null);
