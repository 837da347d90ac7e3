using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Intake;
using DingFlow.Offboarding;
using DingFlow.Remote;

namespace DingFlow.Signals;

/// <summary>What a person is called towards a subscriber.</summary>
/// <param name="Email">The address, for a subscriber that knows people by it.</param>
/// <param name="EmployeeId">The number, for one that knows people by that.</param>
/// <param name="AskLater">A directory that may know it did not answer.</param>
internal sealed record FoundSubject(string? Email, string? EmployeeId, bool AskLater = false)
{
    public bool IsFound => Email is not null || EmployeeId is not null;
}

/// <summary>
/// Finds what a subscriber calls a person: what the case was told, and where it was not told an address, what the directories have in
/// the accounts that the case found.
/// </summary>
internal sealed class SignalSubjects(DingTalkClients dingTalk, EntraDirectory entra)
{
    public async Task<FoundSubject> FindAsync(OffboardingCase @case, SignalSubscriber subscriber, CancellationToken cancellationToken)
    {
        foreach (var wanted in subscriber.Subjects)
        {
            if (wanted == SignalSubject.EmployeeId)
            {
                if (@case.EmployeeId is { } employeeId)
                {
                    return new(null, employeeId);
                }

                continue;
            }

            if (@case.Identifiers.Select(static named => named.Email).FirstOrDefault(static email => email is not null) is { } told)
            {
                return new(told, null);
            }

            var (email, askLater) = await AskAsync(@case, cancellationToken);
            if (email is not null || askLater)
            {
                return new(email, null, askLater);
            }
        }

        return new(null, null);
    }

    private async Task<(string? Email, bool AskLater)> AskAsync(OffboardingCase @case, CancellationToken cancellationToken)
    {
        var askLater = false;
        foreach (var account in @case.Accounts.Where(static account => account is { Status: AccountStatus.Found, AccountId: not null }))
        {
            RemoteResult result;
            string? email;
            if (account.Target == FreezeTarget.Entra)
            {
                var user = await entra.GetUserAsync(account.AccountId!, cancellationToken);
                (result, email) = (user, user.Value?.Mail ?? user.Value?.UserPrincipalName);
            }
            else
            {
                var user = await dingTalk[account.Tenant!].GetUserAsync(account.AccountId!, cancellationToken);
                (result, email) = (user, user.Value?.OrgEmail ?? user.Value?.Email);
            }

            if (PersonFields.IsEmail(email))
            {
                return (email, false);
            }

            askLater |= result.IsTransient;
        }

        return (null, askLater);
    }
}
