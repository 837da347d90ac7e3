using System.Globalization;
using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary>
/// Turns person events into cases: opens one, joins the one that the person already has, or calls it off. Handling an event again
/// changes nothing.
/// </summary>
public sealed partial class CaseEvents(
    CaseStore cases, PersonClaims claims, CaseRuns runs, CaseAlerts alerts, AccountLookup lookup, OffboardingOptions options, TimeProvider time,
    ILogger<CaseEvents> logger)
{
    /// <summary>Dates further ahead than this are left to the sweeper.</summary>
    internal static readonly TimeSpan ScheduleAhead = TimeSpan.FromMinutes(15);

    /// <summary>How long a return waits when it cannot be told whom it concerns because a system does not answer.</summary>
    private static readonly TimeSpan AskAgainAfter = TimeSpan.FromMinutes(1);

    /// <summary>Handles one event of a delivery. Returns how long to wait before it is handled again when a system could not be asked.</summary>
    /// <param name="personEvent">The event.</param>
    /// <param name="signal">Where it came from, for the evidence.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    public async Task<TimeSpan?> HandleAsync(PersonEvent personEvent, CaseSignal signal, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(personEvent);
        ArgumentNullException.ThrowIfNull(signal);
        if (personEvent.OccurredAt is not null)
        {
            // What the sender dates ahead was said when it came, as far as the order of words goes.
            personEvent = personEvent with { OccurredAt = CaseSignal.SaidAtBy(personEvent.OccurredAt, signal.ReceivedAt) };
        }

        switch (personEvent.Kind)
        {
            case PersonEventKind.Terminated or PersonEventKind.LeftOrganisation or PersonEventKind.LeaveRecorded or PersonEventKind.ResignationAgreed or PersonEventKind.AccountDisabled:
                await LeaveAsync(personEvent, CaseDates.Dated(signal, personEvent), cancellationToken);
                return null;
            case PersonEventKind.Unresolved:
                throw new ArgumentException("The HR system has not been asked yet.", nameof(personEvent));
            case PersonEventKind.SessionsRevoked:
                throw new ArgumentException("Sessions that end make no case.", nameof(personEvent));
            default:
                return await ReturnAsync(personEvent, signal, cancellationToken);
        }
    }

    private async Task LeaveAsync(PersonEvent personEvent, CaseSignal signal, CancellationToken cancellationToken)
    {
        var identifiers = IdentifiersOf(personEvent);
        var keys = KeysOf(personEvent);
        while (true)
        {
            // A case of the person that this event can join; or the id of one whose creation a dead process left half way.
            var held = new Dictionary<string, PersonClaim>(StringComparer.Ordinal);
            StoredCase? joinable = null;
            var former = new List<PersonIdentifiers>();
            var standing = new List<string>();
            string? unfinished = null;
            foreach (var key in keys)
            {
                if (await claims.FindAsync(key, cancellationToken) is not { } claim)
                {
                    continue;
                }

                held[key] = claim;
                if (await cases.FollowAsync(claim.CaseId, cancellationToken) is not { } found)
                {
                    unfinished ??= claim.CaseId;
                }
                else if (!HasHeard(found.Case, signal) && IsMovedAhead(found.Case, signal))
                {
                    // Too early frozen, by the last word: people give the accounts back, and a case of its own waits for the new date.
                    await AskBackAsync(found, signal, cancellationToken);
                    former.AddRange(FormerAccountsOf(found.Case));
                }
                else if (HasHeard(found.Case, signal) || CanJoin(found.Case))
                {
                    joinable = joinable is null || string.CompareOrdinal(found.Case.CaseId, joinable.Case.CaseId) < 0 ? found : joinable;
                }
                else
                {
                    former.AddRange(FormerAccountsOf(found.Case));
                    standing.AddRange(StandingOf(found.Case));
                }
            }

            if (joinable is not null)
            {
                if (await JoinAsync(joinable, personEvent, identifiers, signal, cancellationToken))
                {
                    return;
                }

                continue; // It ended or became part of another one meanwhile: look again.
            }

            var caseId = unfinished ?? CaseId.NewAfter(held.Values.Select(static claim => claim.CaseId).Max(StringComparer.Ordinal), time.GetUtcNow());
            var lost = false;
            foreach (var key in keys)
            {
                var claim = await claims.ClaimAsync(key, caseId, held.GetValueOrDefault(key), cancellationToken);
                lost |= claim.CaseId != caseId;
            }

            if (lost)
            {
                continue; // Somebody else claimed the person meanwhile: look again and join.
            }

            var opened = await OpenAsync(caseId, personEvent, identifiers, signal, cancellationToken);
            opened = opened with { FormerAccounts = [.. former.Distinct()], StandingCases = [.. standing.Distinct(StringComparer.Ordinal)] };
            if (await cases.AddAsync(opened, cancellationToken) is { } added)
            {
                Log.CaseOpened(logger, caseId, opened.State, signal.Source);
                if (added.Case.IsOpen)
                {
                    // Also when its date lies ahead: whom it concerns is found out beforehand.
                    await runs.SendAsync(added.Case, time.GetUtcNow(), "opened", cancellationToken);
                }

                return;
            }
        }
    }

    /// <summary>The person was frozen, or is being frozen, and by this word leaves on a later day.</summary>
    private bool IsMovedAhead(OffboardingCase c, CaseSignal signal) => c is { Superseded: false, MayHaveChanged: true, Mode: CaseMode.Live }
        && CaseDates.Of([.. c.Signals, signal]) is { Assumed: false } date && date.LeavesAt > time.GetUtcNow()
        && CaseDates.Of(c.Signals) is { } before && date.LeavesAt > before.LeavesAt;

    /// <summary>
    /// The signal itself goes to the case that waits for the new date. Here it is a note: a process that dies in between finds, when the
    /// event is delivered again, a case that can no longer be joined, and opens that other one.
    /// </summary>
    private async Task AskBackAsync(StoredCase found, CaseSignal signal, CancellationToken cancellationToken)
    {
        var stored = await cases.UpdateAsync(
            found,
            c => !IsMovedAhead(c, signal) ? c : c with
            {
                State = CaseState.NeedsHuman,
                Superseded = true,
                NextAttemptAt = null,
                Runs = c.Runs + 1,
                Notes = [string.Create(
                    CultureInfo.InvariantCulture,
                    $"{signal.Source} moved the leave to {signal.LeavesAt:yyyy-MM-dd HH:mm} UTC after accounts had been changed: give the accounts back. Another case waits for that date.")],
            },
            cancellationToken);
        if (stored.Case is { State: CaseState.NeedsHuman, Superseded: true })
        {
            Log.MovedAhead(logger, stored.Case.CaseId, signal.Source);
            await alerts.NeedsHumanAsync(stored.Case, cancellationToken);
        }
    }

    /// <summary>Where an earlier case, or one before it, knew the person in DingTalk.</summary>
    private static IEnumerable<PersonIdentifiers> FormerAccountsOf(OffboardingCase c) => c.FormerAccounts.Concat(c.Accounts
        .Where(static a => a is { Target: FreezeTarget.DingTalk, AccountId: not null, Status: AccountStatus.Found or AccountStatus.Gone })
        .Select(static a => new PersonIdentifiers { DingTalkUserId = a.AccountId, DingTalkTenant = a.Tenant }));

    /// <summary>The case, if its freeze stands, and those that it stands for.</summary>
    internal static IEnumerable<string> StandingOf(OffboardingCase c) =>
        c is { Superseded: false, State: CaseState.Verified } ? c.StandingCases.Append(c.CaseId) : c.StandingCases;

    private async Task<OffboardingCase> OpenAsync(
        string caseId, PersonEvent personEvent, PersonIdentifiers identifiers, CaseSignal signal, CancellationToken cancellationToken)
    {
        // An assumed date is waited for also when it has passed: on it a person is asked.
        DateTimeOffset? scheduledFor = signal.LeavesAt > time.GetUtcNow() || signal.DateAssumed ? signal.LeavesAt : null;
        var opened = new OffboardingCase
        {
            CaseId = caseId,
            EmployeeId = personEvent.EmployeeId,
            State = scheduledFor is null ? CaseState.Running : CaseState.Scheduled,
            Mode = personEvent.DryRun ? CaseMode.DryRun : CaseMode.Live,
            ReceivedAt = signal.ReceivedAt,
            ScheduledFor = scheduledFor,
            DueAt = (scheduledFor ?? signal.ReceivedAt) + options.Target,
            NextAttemptAt = time.GetUtcNow(),
            Signals = [signal],
            Identifiers = [identifiers],
            Tenants = personEvent.Tenants,
            EmailDomains = personEvent.EmailDomains,
            Reason = personEvent.Reason,
        };

        // Deliveries may overtake one another: a leave that HR called off later must not freeze anybody when it arrives last.
        if (personEvent.Kind is PersonEventKind.Terminated or PersonEventKind.AccountDisabled && personEvent.OccurredAt is { } occurredAt
            && await ReturnedAfterAsync(personEvent, occurredAt, cancellationToken))
        {
            opened = opened with
            {
                State = CaseState.Cancelled,
                NextAttemptAt = null,
                Notes = ["The same source had already reported, with a later time, that the person stays or came back."],
            };
            if (opened.Mode == CaseMode.Live)
            {
                // Before the case is stored: whoever dies in between tells them again, of the same case.
                await alerts.SetAsideAsync(opened, cancellationToken);
            }
        }

        return opened;
    }

    private async Task<bool> ReturnedAfterAsync(PersonEvent personEvent, DateTimeOffset occurredAt, CancellationToken cancellationToken)
    {
        foreach (var key in ReturnKeysOf(personEvent))
        {
            if (await claims.ReturnedAtAsync(key, cancellationToken) > occurredAt)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Has a case hear the event. <see langword="false"/>: it can no longer be joined.</summary>
    private async Task<bool> JoinAsync(
        StoredCase current, PersonEvent personEvent, PersonIdentifiers identifiers, CaseSignal signal, CancellationToken cancellationToken)
    {
        foreach (var key in KeysOf(personEvent))
        {
            await claims.ClaimAsync(key, current.Case.CaseId, null, cancellationToken);
        }

        if (personEvent.EmployeeId is { } employeeId)
        {
            await cases.AddEmployeeAsync(employeeId, current.Case.CaseId, cancellationToken);
        }

        if (HasHeard(current.Case, signal) && current.Case.NextAttemptAt is null)
        {
            return true;
        }

        var stored = await cases.UpdateAsync(current, c => Joined(c, personEvent, identifiers, signal), cancellationToken);
        if (!ReferenceEquals(stored.Case, current.Case))
        {
            Log.CaseJoined(logger, stored.Case.CaseId, signal.Source);
        }

        if (!HasHeard(stored.Case, signal))
        {
            return false;
        }

        if (stored.Case.State is CaseState.Cancelled or CaseState.Reactivated or CaseState.Quarantined)
        {
            return true; // It ended, or is held: people let it go on, and the machine does not say that it will.
        }

        await runs.ScheduleAsync(stored, time.GetUtcNow(), "joined", c => c, cancellationToken);
        return true;
    }

    private OffboardingCase Joined(OffboardingCase c, PersonEvent personEvent, PersonIdentifiers identifiers, CaseSignal signal)
    {
        if (HasHeard(c, signal) || !CanJoin(c))
        {
            return c;
        }

        var isNew = !c.Identifiers.Contains(identifiers);
        var joined = CaseWords.Heard(c, signal) with
        {
            EmployeeId = c.EmployeeId ?? personEvent.EmployeeId,
            Mode = personEvent.DryRun ? c.Mode : CaseMode.Live,
            Identifiers = isNew ? [.. c.Identifiers, identifiers] : c.Identifiers,
            Tenants = CaseChanges.Widened(c.Tenants, personEvent.Tenants),
            EmailDomains = CaseChanges.Widened(c.EmailDomains, personEvent.EmailDomains),
            LookUpAgain = c.LookUpAgain || isNew,
        };

        // What waits for people may go on with what this event adds; its clock runs on.
        var dated = CaseDates.Apply(joined, options, time.GetUtcNow());
        return dated.NeedsAttention ? CaseConclusion.TakenUp(dated) : dated;
    }

    private async Task<TimeSpan?> ReturnAsync(PersonEvent personEvent, CaseSignal signal, CancellationToken cancellationToken)
    {
        foreach (var key in ReturnKeysOf(personEvent))
        {
            await claims.RecordReturnAsync(key, personEvent.OccurredAt ?? signal.ReceivedAt, cancellationToken);
        }

        var latest = await LatestAsync(KeysOf(personEvent), cancellationToken);
        if (latest is null)
        {
            // The case may have been opened by somebody who named the person otherwise: the accounts tell.
            var accounts = await lookup.LookUpAsync(
                new()
                {
                    CaseId = "", State = CaseState.Scheduled, ReceivedAt = signal.ReceivedAt, DueAt = signal.ReceivedAt,
                    Identifiers = [IdentifiersOf(personEvent)], Tenants = personEvent.Tenants, EmailDomains = personEvent.EmailDomains,
                },
                cancellationToken);
            latest = await LatestAsync(CaseMerger.KeysOf(accounts), cancellationToken);
            if (latest is null)
            {
                if (accounts.Any(a => a.Status == AccountStatus.Unknown))
                {
                    return AskAgainAfter;
                }

                Log.NothingToCallOff(logger, personEvent.Kind, signal.Source);
                return null;
            }
        }

        // The latest one last: whoever dies in between finds it, and through it the others, again.
        List<StoredCase> concerned = [.. await StandingAsync(latest.Case, cancellationToken), latest];

        // A termination that the sender dates after this event stands; that the event was heard is on the case.
        if (concerned.Find(one => IsOlderThanItsLeave(personEvent, signal, one.Case)) is { } stands)
        {
            await cases.UpdateAsync(stands, c => HasHeard(c, signal) ? c : CaseWords.Heard(c, signal), cancellationToken);
            Log.SetAside(logger, stands.Case.CaseId, personEvent.Kind, signal.Source);
            return null;
        }

        var readsAgain = personEvent.Kind == PersonEventKind.AccountEnabled && concerned.Exists(one => StandsWithout(one.Case, signal.Source));
        foreach (var one in concerned)
        {
            if (readsAgain)
            {
                await ReadAgainAsync(one, signal, cancellationToken);
            }
            else if (!await CallOffAsync(one, personEvent, signal, cancellationToken))
            {
                // It became part of another case meanwhile, which is the one to be called off.
                return await ReturnAsync(personEvent, signal, cancellationToken);
            }
        }

        return null;
    }

    /// <summary>The earlier cases of the person whose freeze stands.</summary>
    private async Task<List<StoredCase>> StandingAsync(OffboardingCase latest, CancellationToken cancellationToken)
    {
        List<StoredCase> standing = [];
        foreach (var caseId in latest.StandingCases)
        {
            if (await cases.FollowAsync(caseId, cancellationToken) is { Case.Superseded: false } found && found.Case.CaseId != latest.CaseId)
            {
                standing.Add(found);
            }
        }

        return standing;
    }

    private static bool IsOlderThanItsLeave(PersonEvent personEvent, CaseSignal signal, OffboardingCase c) => personEvent.OccurredAt is { } occurredAt
        && c.Signals.Any(s => s.Source == signal.Source && s.Kind is PersonEventKind.Terminated or PersonEventKind.AccountDisabled
            && s.OccurredAt is not null && s.SaidAt > occurredAt);

    /// <summary><see langword="false"/>: the case has become part of another one.</summary>
    private async Task<bool> CallOffAsync(StoredCase current, PersonEvent personEvent, CaseSignal signal, CancellationToken cancellationToken)
    {
        var stored = await cases.UpdateAsync(current, c => CalledOff(c, personEvent.Kind, signal), cancellationToken);
        if (stored.Case.MergedInto is not null)
        {
            return false;
        }

        if (!ReferenceEquals(stored.Case, current.Case))
        {
            Log.CaseCalledOff(logger, stored.Case.CaseId, personEvent.Kind, stored.Case.State);
        }

        if (stored.Case.State == CaseState.NeedsHuman && HasHeard(stored.Case, signal))
        {
            await alerts.NeedsHumanAsync(stored.Case, cancellationToken);
        }

        return true;
    }

    /// <summary>The newest case that any of the keys leads to and that nobody called off.</summary>
    private async Task<StoredCase?> LatestAsync(IReadOnlyList<string> keys, CancellationToken cancellationToken)
    {
        StoredCase? latest = null;
        foreach (var key in keys)
        {
            if (await claims.FindAsync(key, cancellationToken) is { } claim
                && await cases.FollowAsync(claim.CaseId, cancellationToken) is { Case.Superseded: false } found
                && (latest is null || string.CompareOrdinal(found.Case.CaseId, latest.Case.CaseId) > 0))
            {
                latest = found;
            }
        }

        return latest;
    }

    /// <summary>Somebody else than this identity provider said that the person leaves; an account that it enables does not take that back.</summary>
    private static bool StandsWithout(OffboardingCase c, string source) => c.Signals.Any(s => s.Kind switch
    {
        PersonEventKind.Terminated or PersonEventKind.ResignationAgreed or PersonEventKind.LeaveRecorded => true,
        PersonEventKind.AccountDisabled => s.Source != source,
        // DingTalk tells of a removal that this case itself made.
        PersonEventKind.LeftOrganisation => !c.Steps.Any(step => step is { Id: "dingtalk.remove", MayHaveChanged: true }),
        _ => false,
    });

    /// <summary>A leaver's account was enabled somewhere: the case hears of it, and a freeze that was verified is read back now rather than later.</summary>
    private async Task ReadAgainAsync(StoredCase latest, CaseSignal signal, CancellationToken cancellationToken)
    {
        if (latest.Case.State is CaseState.Cancelled or CaseState.Reactivated)
        {
            return;
        }

        var stored = await cases.UpdateAsync(latest, c => HasHeard(c, signal) ? c : CaseWords.Heard(c, signal), cancellationToken);
        Log.EnabledElsewhere(logger, stored.Case.CaseId, signal.Source);
        if (stored.Case is { State: CaseState.Verified, Superseded: false })
        {
            await runs.ScheduleAsync(stored, time.GetUtcNow(), "account enabled elsewhere", c => c, cancellationToken);
        }
    }

    private static OffboardingCase CalledOff(OffboardingCase c, PersonEventKind kind, CaseSignal signal)
    {
        if (HasHeard(c, signal) || c.State is CaseState.Cancelled or CaseState.Reactivated)
        {
            return c;
        }

        var told = CaseWords.Heard(c, signal) with { Superseded = true, NextAttemptAt = null };
        var what = kind switch
        {
            PersonEventKind.Rehired => "The person was rehired",
            PersonEventKind.AccountEnabled => "The identity provider enabled the account again",
            _ => "The termination was called off",
        };
        return c.MayHaveChanged
            ? told with { State = CaseState.NeedsHuman, Notes = [$"{what} after accounts had been changed: give the accounts back."] }
            : told with { State = CaseState.Cancelled, Notes = [$"{what} before anything was changed."] };
    }

    /// <summary>Whether a further sign that the person leaves belongs to this case rather than to a new one.</summary>
    internal bool CanJoin(OffboardingCase c) => !c.Superseded
        && (c.IsOpen || c.NeedsAttention || (c.State == CaseState.Verified && time.GetUtcNow() - c.VerifiedAt <= options.JoinWindow));

    private static bool HasHeard(OffboardingCase c, CaseSignal signal) =>
        c.Signals.Any(s => s.DeliveryId == signal.DeliveryId && s.Item == signal.Item);

    private static PersonIdentifiers IdentifiersOf(PersonEvent personEvent)
    {
        var tenant = TenantOf(personEvent.Source);
        return new()
        {
            EmployeeId = personEvent.EmployeeId,
            Email = personEvent.Email,
            DingTalkUserId = personEvent.DingTalkUserId,
            DingTalkTenant = tenant,
            LeftDingTalk = tenant is not null && personEvent.Kind is PersonEventKind.LeftOrganisation or PersonEventKind.LeaveRecorded,
        };
    }

    /// <summary>The keys that the event itself names, sorted. A DingTalk user id is a key only where its tenant is certain.</summary>
    private static List<string> KeysOf(PersonEvent personEvent)
    {
        var keys = new List<string>();
        if (personEvent.EmployeeId is { } employeeId)
        {
            keys.Add(PersonKey.OfEmployee(personEvent.Source, employeeId));
        }

        if (personEvent.Email is { } email)
        {
            keys.Add(PersonKey.OfEmail(email));
        }

        if (personEvent.DingTalkUserId is { } userId && TenantOf(personEvent.Source) is { } tenant)
        {
            keys.Add(PersonKey.OfDingTalk(tenant, userId));
        }

        keys.Sort(StringComparer.Ordinal);
        return keys;
    }

    /// <summary>Under which a source's word that the person stays is remembered; a leave that it dates before that is void.</summary>
    private static IEnumerable<string> ReturnKeysOf(PersonEvent personEvent)
    {
        if (personEvent.EmployeeId is { } employeeId)
        {
            yield return PersonKey.OfEmployee(personEvent.Source, employeeId);
        }

        if (personEvent.Email is { } email)
        {
            yield return $"{PersonKey.OfEmail(email)}|{PersonKey.Escape(personEvent.Source)}";
        }
    }

    private static string? TenantOf(string source) =>
        source.StartsWith("dingtalk/", StringComparison.Ordinal) ? source["dingtalk/".Length..] : null;

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Case {CaseId} opened as {State} on word of {Source}.")]
        public static partial void CaseOpened(ILogger logger, string caseId, CaseState state, string source);

        [LoggerMessage(2, LogLevel.Information, "Case {CaseId} joined by a further event from {Source}.")]
        public static partial void CaseJoined(ILogger logger, string caseId, string source);

        [LoggerMessage(3, LogLevel.Information, "Case {CaseId} called off ({Kind}); it is now {State}.")]
        public static partial void CaseCalledOff(ILogger logger, string caseId, PersonEventKind kind, CaseState state);

        [LoggerMessage(5, LogLevel.Warning, "Case {CaseId}: {Source} enabled an account of a leaver; the freeze is read back.")]
        public static partial void EnabledElsewhere(ILogger logger, string caseId, string source);

        [LoggerMessage(6, LogLevel.Warning, "Case {CaseId}: {Kind} from {Source} is older than the same source's word that the person leaves, which stands.")]
        public static partial void SetAside(ILogger logger, string caseId, PersonEventKind kind, string source);

        [LoggerMessage(7, LogLevel.Warning, "Case {CaseId}: {Source} moved the leave ahead after accounts had been changed; people are asked to give them back.")]
        public static partial void MovedAhead(ILogger logger, string caseId, string source);

        [LoggerMessage(4, LogLevel.Information, "{Kind} from {Source} concerns nobody who has a case.")]
        public static partial void NothingToCallOff(ILogger logger, PersonEventKind kind, string source);
    }
}
