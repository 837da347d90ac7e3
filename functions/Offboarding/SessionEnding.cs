using System.Globalization;
using DingFlow.HrSystems;
using DingFlow.Messaging;

namespace DingFlow.Offboarding;

/// <summary>
/// Ends a person's sessions in DingTalk and Entra on word of an identity provider (CAEP <c>session-revoked</c>). It opens no case and
/// changes no account: somebody whose session ended is no leaver. Whoever cannot be found here has no session here.
/// </summary>
public sealed partial class SessionEnding(
    AccountLookup lookup, IEnumerable<IFreezeDriver> drivers, IAlertSender alerts, TimeProvider time, ILogger<SessionEnding> logger)
{
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);

    /// <summary>After this the sessions of then have ended by themselves, or people must look.</summary>
    private static readonly TimeSpan GiveUpAfter = TimeSpan.FromHours(1);

    private readonly Dictionary<FreezeTarget, IFreezeDriver> _drivers = drivers.ToDictionary(d => d.Target);

    /// <summary>Ends them. Returns how long to wait before trying again; <see langword="null"/> when there is nothing left to do.</summary>
    public async Task<TimeSpan?> EndAsync(PersonEvent personEvent, LookupPlace place, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(personEvent);
        ArgumentNullException.ThrowIfNull(place);
        // Nothing of this is stored: the look-up of cases takes its question as one.
        var accounts = await lookup.LookUpAsync(QuestionOf(personEvent, place), cancellationToken);
        var results = personEvent.DryRun ? [] : await Task.WhenAll(accounts
            .Where(static account => account.Status == AccountStatus.Found)
            .Select(account => _drivers[account.Target].EndSessionsAsync(account, $"Sessions revoked, delivery {place.DeliveryId}", cancellationToken)));
        var ended = results.Count(static result => result.Outcome is StepOutcome.Done or StepOutcome.AlreadyDone);
        var repeat = accounts.Any(static account => account.Status == AccountStatus.Unknown) || results.Any(static result => result.Outcome == StepOutcome.RetryLater);
        var failed = accounts.Any(static account => account.Status is AccountStatus.Ambiguous or AccountStatus.Denied)
            || results.Any(static result => result.Outcome is StepOutcome.Failed or StepOutcome.NeedsHuman);
        Log.Ended(logger, place.DeliveryId, personEvent.Source, ended, accounts.Count(static account => account.Status == AccountStatus.Found), personEvent.DryRun, place.Attempt);
        if (repeat && time.GetUtcNow() - place.ReceivedAt < GiveUpAfter)
        {
            var wait = FirstWait * (1 << Math.Min(place.Attempt, 6));
            wait = wait > LongestWait ? LongestWait : wait;
            return results.Max(static result => result.RetryAfter) is { } asked && asked > wait ? asked : wait;
        }

        if (repeat || failed)
        {
            await TellAsync(personEvent, place, cancellationToken);
        }

        return null;
    }

    private static OffboardingCase QuestionOf(PersonEvent personEvent, LookupPlace place) => new()
    {
        CaseId = place.DeliveryId,
        EmployeeId = personEvent.EmployeeId,
        State = CaseState.Running,
        ReceivedAt = place.ReceivedAt,
        DueAt = place.ReceivedAt,
        Tenants = personEvent.Tenants,
        EmailDomains = personEvent.EmailDomains,
        Identifiers = [new() { EmployeeId = personEvent.EmployeeId, Email = personEvent.Email, DingTalkUserId = personEvent.DingTalkUserId }],
    };

    private Task TellAsync(PersonEvent personEvent, LookupPlace place, CancellationToken cancellationToken) => alerts.SendAsync(
        new AlertMessage
        {
            AlertId = string.Create(CultureInfo.InvariantCulture, $"signals.sessions_not_ended:{place.DeliveryId}:{place.Item}"),
            Type = "signals.sessions_not_ended",
            Severity = AlertSeverity.Warning,
            OccurredAt = time.GetUtcNow(),
            Summary = $"{personEvent.Source} reported that a person's sessions are to end; they could not be ended everywhere. Mend the cause and replay the delivery, or sign the person out by hand.",
            About = personEvent.Source,
            Details = new Dictionary<string, string> { ["deliveryId"] = place.DeliveryId },
        },
        cancellationToken);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Delivery {DeliveryId} of {Source}: sessions ended in {Ended} of {Found} accounts, dry run {DryRun}, attempt {Attempt}")]
        public static partial void Ended(ILogger logger, string deliveryId, string source, int ended, int found, bool dryRun, int attempt);
    }
}
