using System.Globalization;
using DingFlow.DingTalk;
using DingFlow.Entra;
using DingFlow.Messaging;
using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Offboarding.Reconciliation;

/// <summary>
/// Compares HR's rosters, the cases and the directories, all of them, and keeps what does not agree as findings. A directory that cannot be
/// read to its end is left out: nothing new is said of it, and nothing is called resolved.
/// </summary>
public sealed partial class Reconciler(
    RosterStore rosters, FindingStore findings, CaseStore cases, CaseRuns runs, CaseEvents events, DingTalkClients clients, DingTalkDirectory directory,
    DingTalkRound round, EntraDirectory entra, ReconciliationOptions options, OffboardingOptions offboarding, IAlertSender alerts, TimeProvider time,
    ILogger<Reconciler> logger)
{
    /// <summary>What is over is kept for those who ask.</summary>
    private static readonly TimeSpan KeepResolved = TimeSpan.FromDays(90);

    /// <summary>Looks at everything once.</summary>
    public async Task<ReconciliationReport> RunAsync(CancellationToken cancellationToken)
    {
        var started = time.GetUtcNow();
        var heads = await rosters.ListAsync(cancellationToken);
        var roster = await RosterIndex.ReadAsync(rosters, heads, started, cancellationToken)
            ?? throw new EntityStoreException("A roster changed while it was read; the message is delivered again.");
        var snapshot = await DirectorySnapshot.TakeAsync(clients, directory, entra, cancellationToken);
        var told = await CasesAsync(started, cancellationToken);

        var @protected = ProtectedPeople.Of(snapshot, roster, offboarding);
        var known = await findings.ReadAsync(cancellationToken);
        var asked = await round.GoAsync(
            snapshot, roster, account => IsIgnored(account, roster.Find(account), @protected) || IsExplained(told, account), [.. known.Values.Select(static k => k.Finding)], cancellationToken);
        var seen = new Dictionary<string, Finding>(StringComparer.Ordinal);
        foreach (var finding in (await LookAsync(snapshot, roster, @protected, told, asked.Undecided, cancellationToken)).Concat(GoneFromEntra(snapshot, roster, @protected, told)).Concat(asked.Findings))
        {
            seen.TryAdd(finding.FindingId, finding);
        }

        var report = await KeepAsync(seen, known, finding => snapshot.WasRead(finding) && !asked.Undecided.Contains(finding.FindingId), snapshot, started, cancellationToken);
        report = report with
        {
            Rosters = heads.ToDictionary(static h => h.Source, static h => h.People), Asked = asked.Looks, WithoutTrace = asked.WithoutTrace, EndedAt = time.GetUtcNow(),
        };
        await findings.AddReportAsync(report, cancellationToken);
        Log.Done(logger, report.New, report.Resolved, report.Cases);
        return report;
    }

    /// <summary>
    /// Has a finding's person frozen: a leaver who is alive again by the case that there is, anybody else by a new one.
    /// <see langword="false"/>: Entra did not say who it is; nothing was done.
    /// </summary>
    public async Task<bool> OpenCaseAsync(Finding finding, string reason, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(finding);
        if (finding.Kind == FindingKind.LeaverAlive && finding.CaseId is { } caseId && await cases.FindAsync(caseId, cancellationToken) is { } known)
        {
            await runs.ScheduleAsync(known, time.GetUtcNow(), "found alive by reconciliation", c => c, cancellationToken);
            return true;
        }

        var now = time.GetUtcNow();
        string? email = null;
        if (finding.Target == FreezeTarget.Entra)
        {
            var user = await entra.GetUserAsync(finding.AccountId, cancellationToken);
            if (!user.IsOk)
            {
                return false;
            }

            email = user.Value!.UserPrincipalName;
        }

        var source = finding.Target == FreezeTarget.DingTalk ? $"dingtalk/{finding.Tenant}" : "reconciliation";
        var personEvent = new PersonEvent
        {
            Kind = PersonEventKind.Terminated,
            Source = source,
            EmployeeId = finding.EmployeeId,
            DingTalkUserId = finding.Target == FreezeTarget.DingTalk ? finding.AccountId : null,
            Email = email,
            Tenants = finding.Tenant is null ? null : [finding.Tenant],
            Immediate = true,
            Reason = reason,
            OccurredAt = now,
        };
        await events.HandleAsync(
            personEvent,
            new() { DeliveryId = $"finding-{finding.FindingId}-{finding.FirstSeenAt.UtcTicks:x}", Source = source, Kind = personEvent.Kind, ReceivedAt = now, OccurredAt = now, VerifiedBy = -1 },
            cancellationToken);
        return true;
    }

    /// <summary>The newest case of every account that a case ever looked at.</summary>
    private async Task<Dictionary<(FreezeTarget, string?, string), OffboardingCase>> CasesAsync(DateTimeOffset now, CancellationToken cancellationToken)
    {
        var told = new Dictionary<(FreezeTarget, string?, string), OffboardingCase>();
        await foreach (var c in cases.AllAsync(cancellationToken))
        {
            if (c.MergedInto is not null || c.Mode == CaseMode.DryRun || now - c.ReceivedAt > options.LookBack)
            {
                continue;
            }

            foreach (var account in c.Accounts.Where(static a => a.AccountId is not null))
            {
                told.TryAdd((account.Target, account.Tenant, account.AccountId!), c);
            }
        }

        return told;
    }

    /// <summary>What is wrong with the accounts that are there.</summary>
    private async Task<List<Finding>> LookAsync(
        DirectorySnapshot snapshot, RosterIndex roster, ProtectedPeople @protected, Dictionary<(FreezeTarget, string?, string), OffboardingCase> told, HashSet<string> undecided,
        CancellationToken cancellationToken)
    {
        var found = new List<Finding>();
        foreach (var account in snapshot.Accounts)
        {
            var person = roster.Find(account);
            if (account.Enabled == false || IsIgnored(account, person, @protected))
            {
                continue;
            }

            // A case that is over, called off or given back, says nothing of how the account should be now.
            var kind = IsExplained(told, account) && told[(account.Target, account.Tenant, account.AccountId)] is var c
                ? KindOf(c)
                : person is { HasLeft: true } ? FindingKind.LeftHr
                : person is null && roster.HasPeople ? FindingKind.UnknownToHr
                : (FindingKind?)null;
            if (kind is not { } wrong)
            {
                continue;
            }

            var finding = Finding.Of(wrong, account, person, told.GetValueOrDefault((account.Target, account.Tenant, account.AccountId)));
            switch (await IsEnabledAsync(account, cancellationToken))
            {
                case true:
                    found.Add(finding);
                    break;
                case null:
                    undecided.Add(finding.FindingId); // What cannot be told is not called wrong, nor mended.
                    break;
                default:
                    break;
            }
        }

        return found;
    }

    /// <summary>A case that is not over speaks for the account; one that froze it says that it must not be alive.</summary>
    private static FindingKind? KindOf(OffboardingCase c) => c is { State: CaseState.Verified, Superseded: false } ? FindingKind.LeaverAlive : null;

    /// <summary>A case that froze an account, or is about to, says why it is as it is; one that was called off, or gave it back, does not.</summary>
    private static bool IsExplained(Dictionary<(FreezeTarget, string?, string), OffboardingCase> told, DirectoryAccount account) =>
        told.GetValueOrDefault((account.Target, account.Tenant, account.AccountId)) is { State: not (CaseState.Cancelled or CaseState.Reactivated) };

    /// <summary>People who work here by HR's roster and whose Entra users are disabled or deleted, and no case says why.</summary>
    private IEnumerable<Finding> GoneFromEntra(
        DirectorySnapshot snapshot, RosterIndex roster, ProtectedPeople @protected, Dictionary<(FreezeTarget, string?, string), OffboardingCase> told)
    {
        var live = snapshot.Accounts.Where(static a => a.Target == FreezeTarget.Entra).Select(roster.Find).OfType<RosterEntry>()
            .Select(static p => p.EmployeeId).ToHashSet(StringComparer.OrdinalIgnoreCase);
        foreach (var (account, kind) in snapshot.Accounts.Where(static a => a.Enabled == false).Select(static a => (a, FindingKind.DisabledButInHr))
            .Concat(snapshot.Deleted.Select(static a => (a, FindingKind.GoneButInHr))))
        {
            // Whoever was deleted and has another user since has not gone.
            if (roster.Find(account) is { HasLeft: false } person && !IsIgnored(account, person, @protected) && !IsExplained(told, account)
                && (kind == FindingKind.DisabledButInHr || !live.Contains(person.EmployeeId)))
            {
                yield return Finding.Of(kind, account, person, null);
            }
        }
    }

    /// <summary>The account can sign in; <see langword="null"/>: nobody could say.</summary>
    private async Task<bool?> IsEnabledAsync(DirectoryAccount account, CancellationToken cancellationToken)
    {
        if (account.Enabled is { } known)
        {
            return known;
        }

        // Whether an enterprise account is disabled stands in no list.
        var disabled = await clients[account.Tenant!].IsAccountDisabledAsync(account.AccountId, cancellationToken);
        return disabled.IsOk ? !disabled.Value : null;
    }

    /// <summary>Nobody wants to hear of the account, by whatever identifier of it or of its person on the roster; or the person is protected.</summary>
    private bool IsIgnored(DirectoryAccount account, RosterEntry? person, ProtectedPeople @protected) => @protected.Contains(account)
        || ((string?[])[account.AccountId, account.EmployeeId, person?.EmployeeId, person?.DingTalkUserId, .. account.Emails])
            .Any(id => id is not null && options.Ignore.Contains(id));

    private async Task<ReconciliationReport> KeepAsync(
        Dictionary<string, Finding> seen, Dictionary<string, (Finding Finding, string ETag)> known, Func<Finding, bool> wasLookedAt, DirectorySnapshot snapshot,
        DateTimeOffset started, CancellationToken cancellationToken)
    {
        var changed = new List<(Finding, string?, AuditEvent?)>();
        var (fresh, resolved, opened) = (new List<Finding>(), 0, 0);
        foreach (var finding in seen.Values)
        {
            var (before, etag) = known.TryGetValue(finding.FindingId, out var k) ? (k.Finding, k.ETag) : ((Finding?)null, (string?)null);
            var isNew = before is null || before.Status == FindingStatus.Resolved;
            var now = isNew
                ? finding with { FirstSeenAt = started, LastSeenAt = started }
                : before! with { LastSeenAt = started, Explanation = finding.Explanation, EmployeeId = finding.EmployeeId ?? before.EmployeeId };
            if (isNew)
            {
                fresh.Add(now);
            }

            AuditEvent? became = null;
            if (now is { Status: FindingStatus.Open, BecameCase: false } && options.OpenCases.Contains(now.Kind))
            {
                // The case first: opened again after a crash it is the same case.
                if (await OpenCaseAsync(now, "Found by reconciliation.", cancellationToken))
                {
                    now = now with { BecameCase = true };
                    became = Opened(now, AuditActor.System(nameof(Reconciler)), "Policy Offboarding:Reconciliation:OpenCases.");
                    opened++;
                }
            }

            changed.Add((now, etag, became));
        }

        foreach (var (finding, etag) in known.Values.Where(k => !seen.ContainsKey(k.Finding.FindingId)))
        {
            if (finding.Status != FindingStatus.Resolved && wasLookedAt(finding))
            {
                changed.Add((finding with { Status = FindingStatus.Resolved, LastSeenAt = started, Action = null, BecameCase = false }, etag, null));
                resolved++;
            }
        }

        await findings.SaveAsync(changed, cancellationToken);
        await findings.RemoveAsync(
            known.Values.Where(k => k.Finding.Status == FindingStatus.Resolved && started - k.Finding.LastSeenAt > KeepResolved && !seen.ContainsKey(k.Finding.FindingId))
                .Select(k => k.Finding.FindingId),
            cancellationToken);
        await TellAsync(fresh, snapshot, started, cancellationToken);
        var open = (await findings.ReadAsync(cancellationToken)).Values.Where(static f => f.Finding.Status == FindingStatus.Open).Select(static f => f.Finding);
        return new()
        {
            StartedAt = started,
            EndedAt = started,
            Directories = snapshot.Read,
            NotRead = snapshot.NotRead,
            Open = open.GroupBy(static f => f.Kind).ToDictionary(static g => Name(g.Key), static g => g.Count()),
            New = fresh.Count,
            Resolved = resolved,
            Cases = opened,
        };
    }

    internal static AuditEvent Opened(Finding finding, AuditActor actor, string reason) => new()
    {
        Kind = ReconciliationAudit.FindingOpened, Actor = actor, Payload = PayloadHash.Of(reason), On = new("finding", finding.FindingId), Reason = reason,
        Details = new Dictionary<string, string> { ["kind"] = Name(finding.Kind) },
    };

    private async Task TellAsync(List<Finding> fresh, DirectorySnapshot snapshot, DateTimeOffset started, CancellationToken cancellationToken)
    {
        if (fresh.Count > 0)
        {
            var details = fresh.GroupBy(static f => f.Kind).ToDictionary(
                static g => Name(g.Key), static g => g.Count().ToString(CultureInfo.InvariantCulture));
            details["new"] = fresh.Count.ToString(CultureInfo.InvariantCulture);
            await alerts.SendAsync(
                new()
                {
                    AlertId = string.Create(CultureInfo.InvariantCulture, $"offboarding/findings/{started.UtcTicks}"),
                    Type = "offboarding.findings",
                    Severity = fresh.Exists(static f => f.Kind is FindingKind.LeaverAlive or FindingKind.LeftHr) ? AlertSeverity.Critical : AlertSeverity.Warning,
                    OccurredAt = started,
                    Summary = "HR and the directories do not agree.",
                    Details = details,
                },
                cancellationToken);
        }

        if (snapshot.NotRead.Count > 0)
        {
            await alerts.SendAsync(
                new()
                {
                    AlertId = string.Create(CultureInfo.InvariantCulture, $"offboarding/reconciliation/{started:yyyyMMdd}"),
                    Type = "offboarding.reconciliation_incomplete",
                    Severity = AlertSeverity.Warning,
                    OccurredAt = started,
                    Summary = "A directory could not be read to its end: nothing is known of its accounts.",
                    Details = new Dictionary<string, string>
                    {
                        ["directories"] = string.Join(", ", snapshot.NotRead.Select(static n => $"{n.Key}: {n.Value}")),
                    },
                },
                cancellationToken);
        }
    }

    private static string Name(FindingKind kind) => Words.Of(kind);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Reconciled: {New} new findings, {Resolved} resolved, {Cases} became cases.")]
        public static partial void Done(ILogger logger, int @new, int resolved, int cases);
    }
}
