namespace DingFlow.Offboarding;

/// <summary>
/// One person, one case: once a case knows the accounts, it claims the person by them. Where another case of the same person holds the
/// claim, the younger becomes part of the older, which is decided by their ids alone, so two cases never become part of each other.
/// </summary>
public sealed partial class CaseMerger(
    CaseStore cases, PersonClaims claims, CaseRuns runs, CaseEvents events, OffboardingOptions options, TimeProvider time,
    ILogger<CaseMerger> logger)
{
    /// <summary>Claims the accounts. <see langword="false"/>: the case became part of an older one.</summary>
    internal async Task<bool> ClaimAsync(CaseSession session, IReadOnlyList<CaseAccount> accounts, CancellationToken cancellationToken)
    {
        foreach (var key in KeysOf(accounts))
        {
            while (true)
            {
                var caseId = session.Case.CaseId;
                var claim = await claims.FindAsync(key, cancellationToken);
                if (claim?.CaseId == caseId)
                {
                    break;
                }

                var holder = claim is null ? null : await cases.FollowAsync(claim.CaseId, cancellationToken);
                if (holder is { } other && other.Case.CaseId != caseId && events.CanJoin(other.Case))
                {
                    var (older, younger) = string.CompareOrdinal(other.Case.CaseId, caseId) < 0 ? (other, session.Stored) : (session.Stored, other);
                    if (await MergeAsync(younger, older, cancellationToken) is not { } canonical)
                    {
                        if (older.Case.CaseId == caseId)
                        {
                            return false; // This case was called off meanwhile.
                        }

                        continue; // The other one was: look again who holds the person.
                    }

                    if (canonical.Case.CaseId != caseId)
                    {
                        return false;
                    }

                    await session.ChangeAsync(c => c.MergedInto is null ? Absorb(c, younger.Case) : c, cancellationToken);
                }
                else if (holder is not null && holder.Case.CaseId != caseId)
                {
                    await session.ChangeAsync(c => StandingFor(c, CaseEvents.StandingOf(holder.Case)), cancellationToken);
                }

                if ((await claims.ClaimAsync(key, caseId, claim, cancellationToken)).CaseId == caseId)
                {
                    break;
                }
            }
        }

        return true;
    }

    /// <summary>
    /// The younger's knowledge goes to the older before the younger ends: dying in between loses nothing. Both may change meanwhile: the
    /// older may become part of a still older one, and a third case may become part of the younger. So the younger ends only in a state
    /// whose knowledge the case that goes on has taken over.
    /// </summary>
    /// <returns>The case that goes on; <see langword="null"/> when the older can no longer take anything over.</returns>
    private async Task<StoredCase?> MergeAsync(StoredCase younger, StoredCase older, CancellationToken cancellationToken)
    {
        while (younger.Case.MergedInto is null)
        {
            var known = younger.Case;
            older = await cases.UpdateAsync(older, c => events.CanJoin(c) ? Absorb(c, known) : c, cancellationToken);
            if (older.Case.MergedInto is { } target)
            {
                older = await cases.FindAsync(target, cancellationToken) ?? throw new KeyNotFoundException($"Case {target} is gone.");
                continue;
            }

            if (!Knows(older.Case, known))
            {
                return null;
            }

            foreach (var employeeId in known.Identifiers.Select(i => i.EmployeeId).OfType<string>().Distinct(StringComparer.Ordinal))
            {
                await cases.AddEmployeeAsync(employeeId, older.Case.CaseId, cancellationToken);
            }

            younger = await cases.UpdateAsync(
                younger,
                c => c.MergedInto is not null || !Knows(older.Case, c) ? c : c with
                {
                    State = CaseState.Cancelled,
                    MergedInto = older.Case.CaseId,
                    NextAttemptAt = null,
                    Notes = [$"The person has the case {older.Case.CaseId}; everything goes on there."],
                },
                cancellationToken);
        }

        Log.Merged(logger, younger.Case.CaseId, older.Case.CaseId);
        return await runs.ScheduleAsync(older, time.GetUtcNow(), "merged", c => c, cancellationToken);
    }

    private bool Knows(OffboardingCase c, OffboardingCase other) => ReferenceEquals(Absorb(c, other), c);

    private static OffboardingCase StandingFor(OffboardingCase c, IEnumerable<string> earlier)
    {
        var added = earlier.Except(c.StandingCases, StringComparer.Ordinal).Where(caseId => caseId != c.CaseId).ToList();
        return added.Count == 0 ? c : c with { StandingCases = [.. c.StandingCases, .. added] };
    }

    private OffboardingCase Absorb(OffboardingCase c, OffboardingCase other)
    {
        var identifiers = other.Identifiers.Except(c.Identifiers).ToList();
        var signals = other.Signals.Where(s => !c.Signals.Any(t => t.DeliveryId == s.DeliveryId && t.Item == s.Item)).ToList();
        if (identifiers.Count == 0 && signals.Count == 0)
        {
            return StandingFor(c, other.StandingCases);
        }

        // Whose clock began earlier, by this case's own target.
        var (target, begunElsewhere) = (CaseClock.TargetOf(c, options), other.DueAt - CaseClock.TargetOf(other, options));

        // A person whom the brake let pass under the other case does not count, nor wait, again under this one.
        var passes = c.State == CaseState.Quarantined && other.AdmittedAt is not null;
        var absorbed = c with
        {
            EmployeeId = c.EmployeeId ?? other.EmployeeId,
            Identifiers = [.. c.Identifiers, .. identifiers],
            Signals = [.. c.Signals, .. signals],
            Mode = other.Mode == CaseMode.Live ? CaseMode.Live : c.Mode,
            Tenants = CaseChanges.Widened(c.Tenants, other.Tenants),
            EmailDomains = CaseChanges.Widened(c.EmailDomains, other.EmailDomains),
            LookUpAgain = true,
            StandingCases = StandingFor(c, other.StandingCases).StandingCases,
            FormerAccounts = [.. c.FormerAccounts.Union(other.FormerAccounts)],
            Actions = [.. c.Actions.Union(other.Actions).OrderBy(static a => a.At)],
            AdmittedAt = c.AdmittedAt ?? other.AdmittedAt,
            State = passes ? CaseState.Running : c.State,
            Quarantine = passes ? null : c.Quarantine,
            DueAt = begunElsewhere + target < c.DueAt ? begunElsewhere + target : c.DueAt,
        };

        // Of two dates the earlier counts.
        return CaseDates.Apply(absorbed, options, time.GetUtcNow());
    }

    /// <summary>The keys of the accounts that were found, sorted.</summary>
    internal static List<string> KeysOf(IReadOnlyList<CaseAccount> accounts)
    {
        var keys = accounts
            .Where(a => a.AccountId is not null && a.Status is AccountStatus.Found or AccountStatus.Gone or AccountStatus.Protected)
            .Select(a => a.Target == FreezeTarget.Entra ? PersonKey.OfEntra(a.AccountId!) : PersonKey.OfDingTalk(a.Tenant!, a.AccountId!))
            .ToList();
        keys.Sort(StringComparer.Ordinal);
        return keys;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Case {Younger} became part of case {Older}: the same person.")]
        public static partial void Merged(ILogger logger, string younger, string older);
    }
}
