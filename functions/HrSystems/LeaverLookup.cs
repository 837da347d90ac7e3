using System.Globalization;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Remote;
using DingFlow.Storage;

namespace DingFlow.HrSystems;

/// <summary>
/// Resolves events that carry an id only. What may pass by itself is tried again with growing waits for a day; what will not, and what
/// is still there after that, is set aside with an alert, from where the delivery can be replayed.
/// </summary>
internal sealed partial class LeaverLookup(
    HrSystemOptions options, IEntityStore store, InboxOptions keys, IAlertSender alerts, TimeProvider time, ILogger<LeaverLookup> logger)
    : ILeaverLookup, IDisposable
{
    private const int ContradictionsBefore = 5;
    private static readonly TimeSpan FirstWait = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(30);
    private static readonly TimeSpan GiveUpAfter = TimeSpan.FromHours(24);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Client> _clients = new(StringComparer.Ordinal);

    private sealed record Client(HrSystem System, IHrSystemClient Asks, HrSystemCalls Calls, HrSystemTokens Tokens);

    /// <inheritdoc/>
    public async Task<LeaverResolution> ResolveAsync(PersonEvent personEvent, LookupPlace place, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(personEvent);
        ArgumentNullException.ThrowIfNull(place);
        var lookup = personEvent.Lookup ?? throw new ArgumentException("The event asks for nothing.", nameof(personEvent));
        if (ClientOf(personEvent.Source) is not { } client)
        {
            return await SetAsideAsync(personEvent, place, "hr.lookup_not_configured", "no HR system is configured for its source", cancellationToken);
        }

        var answer = await client.Asks.FindAsync(lookup.PersonId, cancellationToken);
        if (!answer.IsOk)
        {
            return await FailAsync(personEvent, place, answer, cancellationToken);
        }

        var (conclusion, effectiveAt, immediate) = LeaverDecision.Decide(lookup.Hint, answer.Value!, client.System.FreezeOnLeave, time.GetUtcNow());
        Log.Decided(logger, place.DeliveryId, lookup.Hint, answer.Value!.State, conclusion);
        return conclusion switch
        {
            LeaverConclusion.Nothing => new LeaverResolution.Done(),
            LeaverConclusion.Contradiction when place.Attempt < ContradictionsBefore => new LeaverResolution.Later(WaitOf(place, null)),
            LeaverConclusion.Contradiction => await SetAsideAsync(
                personEvent, place, "hr.lookup_contradiction", $"the HR system's answer ({answer.Value!.State}) contradicts the event ({lookup.Hint})", cancellationToken),
            _ => await CompleteAsync(personEvent, place, client.System, answer.Value!, conclusion, effectiveAt, immediate, cancellationToken),
        };
    }

    public void Dispose()
    {
        foreach (var client in _clients.Values)
        {
            client.Tokens.Dispose();
            client.Calls.Dispose();
        }
    }

    private async Task<LeaverResolution> CompleteAsync(
        PersonEvent personEvent, LookupPlace place, HrSystem system, EmployeeRecord record, LeaverConclusion conclusion, DateTimeOffset? effectiveAt,
        bool immediate, CancellationToken cancellationToken)
    {
        var number = record.EmployeeNumber ?? (system.IdIsEmployeeNumber ? personEvent.Lookup!.PersonId : null);
        // An id of the HR system's own must not be taken for another person's number: without a number only the address counts.
        var employeeId = PersonFields.IsEmployeeId(number) ? number : null;
        var email = PersonFields.IsEmail(record.Email) ? record.Email : null;
        if (employeeId is null && email is null)
        {
            return await SetAsideAsync(
                personEvent, place, "hr.lookup_no_identifier", "the HR system gives neither an employee number nor a company e-mail address; may our access see them?", cancellationToken);
        }

        if (personEvent.EmailDomains is { Count: > 0 } domains && !HrSource.IsWithin(domains, email))
        {
            return await SetAsideAsync(
                personEvent, place, "hr.lookup_outside_confines", "the person is outside the mail domains that the source is confined to", cancellationToken);
        }

        return new LeaverResolution.Resolved(personEvent with
        {
            Kind = conclusion switch
            {
                LeaverConclusion.Terminated => PersonEventKind.Terminated,
                LeaverConclusion.TerminationCancelled => PersonEventKind.TerminationCancelled,
                _ => PersonEventKind.Rehired,
            },
            EmployeeId = employeeId,
            Email = email,
            EffectiveAt = effectiveAt,
            Immediate = immediate,
            Lookup = null,
        });
    }

    private async Task<LeaverResolution> FailAsync(PersonEvent personEvent, LookupPlace place, RemoteResult answer, CancellationToken cancellationToken)
    {
        Log.Failed(logger, place.DeliveryId, personEvent.Source, answer.Status, answer.Code, place.Attempt);
        var isOurs = answer.Status is RemoteStatus.Unauthenticated or RemoteStatus.Denied;
        if (isOurs && place.Attempt == 0)
        {
            await TellAsync(
                personEvent, place, "hr.lookup_refused", $"it refuses us ({answer.Status}): check Api in the source's settings; it is tried again", cancellationToken);
        }

        return (answer.IsTransient || isOurs || answer.Status == RemoteStatus.QuotaExhausted) && time.GetUtcNow() - place.ReceivedAt < GiveUpAfter
            ? new LeaverResolution.Later(WaitOf(place, answer.RetryAfter))
            : await SetAsideAsync(
                personEvent, place, answer.Status == RemoteStatus.NotFound ? "hr.lookup_not_found" : "hr.lookup_failed",
                answer.Status == RemoteStatus.NotFound ? "it does not know the person" : $"it could not be asked ({answer.Status})", cancellationToken);
    }

    /// <summary>Doubles from <see cref="FirstWait"/>, no shorter than the HR system asks for.</summary>
    private static TimeSpan WaitOf(LookupPlace place, TimeSpan? asked)
    {
        var wait = FirstWait * (1 << Math.Min(place.Attempt, 8));
        wait = wait > LongestWait ? LongestWait : wait;
        return asked > wait ? asked.Value : wait;
    }

    private async Task<LeaverResolution> SetAsideAsync(PersonEvent personEvent, LookupPlace place, string type, string why, CancellationToken cancellationToken)
    {
        await TellAsync(personEvent, place, type, $"{why}; nothing was done. Mend the cause and replay the delivery, or freeze the person by hand", cancellationToken);
        return new LeaverResolution.Done();
    }

    private Task TellAsync(PersonEvent personEvent, LookupPlace place, string type, string why, CancellationToken cancellationToken) => alerts.SendAsync(
        new AlertMessage
        {
            AlertId = string.Create(CultureInfo.InvariantCulture, $"{type}:{place.DeliveryId}:{place.Item}"),
            Type = type,
            Severity = AlertSeverity.Critical,
            OccurredAt = time.GetUtcNow(),
            Summary = $"The HR system of {personEvent.Source} was to be asked about a person: {why}.",
            About = personEvent.Source,
            Details = new Dictionary<string, string>
            {
                ["deliveryId"] = place.DeliveryId, ["employeeId"] = personEvent.Lookup!.PersonId, ["event"] = personEvent.Lookup.Hint.ToString(),
            },
        },
        cancellationToken);

    private Client? ClientOf(string source)
    {
        if (!options.Systems.TryGetValue(source, out var system))
        {
            return null;
        }

        lock (_gate)
        {
            if (!_clients.TryGetValue(source, out var client))
            {
                var calls = new HrSystemCalls(system, time, logger);
                var tokens = new HrSystemTokens(system, calls, store, keys, time);
                IHrSystemClient asks = system.Kind switch
                {
                    HrSystemKind.BambooHr => new BambooHrClient(system, calls),
                    HrSystemKind.HiBob => new HiBobClient(system, calls),
                    HrSystemKind.Personio => new PersonioClient(system, calls, tokens),
                    _ => new GustoClient(system, calls, tokens),
                };
                _clients[source] = client = new Client(system, asks, calls, tokens);
            }

            return client;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Delivery {DeliveryId}: the event says {Hint}, the HR system {State}; that makes {Conclusion}")]
        public static partial void Decided(ILogger logger, string deliveryId, LookupHint hint, EmploymentState state, LeaverConclusion conclusion);

        [LoggerMessage(2, LogLevel.Warning, "Delivery {DeliveryId}: the HR system of {Source} answered {Status}, code {Code}, at attempt {Attempt}")]
        public static partial void Failed(ILogger logger, string deliveryId, string source, RemoteStatus status, string? code, int attempt);
    }
}
