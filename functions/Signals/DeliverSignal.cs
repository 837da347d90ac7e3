using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Storage;

namespace DingFlow.Signals;

/// <summary>
/// Tells subscribers what became of a person's accounts. Each subscriber has its own attempts, so that a dead one neither holds the
/// others up nor repeats what they have.
/// </summary>
/// <remarks>
/// The first message of a signal stores, for each subscriber, what it will be told, and sends one message for each. The claims, and with
/// them <c>jti</c>, are the same for every attempt; only the signature is made anew, by the key of that moment. Whatever is delivered
/// twice, or again after a crash, finds what was done in the records; a token that was pushed just before a crash is pushed again under
/// its <c>jti</c>, by which receivers recognise it (RFC 8935 section 2).
/// </remarks>
internal sealed partial class DeliverSignal(
    SignalOptions options, SignalRecords records, SignalSubjects subjects, SetSigner signer, SignalPush push, CaseStore cases, InboxOptions keys,
    IMessageQueue queue, IAlertSender alerts, TimeProvider time, ILogger<DeliverSignal> logger) : IQueueFunction
{
    private const int MaxPostponements = 200;
    private static readonly TimeSpan StoreDelay = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan SubjectDelay = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan MaxDelay = TimeSpan.FromHours(24);

    /// <summary>The waits between attempts: three days in all.</summary>
    private static readonly TimeSpan[] Delays =
    [
        TimeSpan.FromSeconds(5), TimeSpan.FromMinutes(5), TimeSpan.FromMinutes(30), TimeSpan.FromHours(2), TimeSpan.FromHours(5),
        TimeSpan.FromHours(10), TimeSpan.FromHours(14), TimeSpan.FromHours(20), TimeSpan.FromHours(24),
    ];

    private readonly Lazy<InboxKeys> _keys = new(() => new InboxKeys(keys));

    /// <inheritdoc/>
    public async Task InvokeAsync(ReceivedMessage message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        var work = SignalWork.Parse(message.Body.Span);
        try
        {
            await (work.CaseId is { } caseId ? BeginAsync(work, new AccountSignal(work.Kind, caseId), cancellationToken) : AttemptAsync(work, cancellationToken));
        }
        catch (EntityStoreException exception)
        {
            // Failing would have it delivered again at once, and dead-lettered within seconds.
            Log.StoreFailed(logger, exception);
            await PostponeAsync(work, StoreDelay, cancellationToken);
        }
    }

    private async Task BeginAsync(SignalWork work, AccountSignal signal, CancellationToken cancellationToken)
    {
        if (await cases.FindAsync(signal.CaseId, cancellationToken) is not { Case: var @case })
        {
            throw new UnusableMessageException("There is no case of that id.");
        }

        if (!IsTrue(signal.Kind, @case))
        {
            return;
        }

        var key = SignalRecords.KeyOf(signal);
        var first = new List<OutgoingMessage>();
        var later = false;
        foreach (var subscriber in options.Subscribers.Where(subscriber => Wants(subscriber, signal, @case)))
        {
            var progress = await records.FindAsync(key, subscriber.Name, cancellationToken);
            if (progress is null)
            {
                var subject = await subjects.FindAsync(@case, subscriber, cancellationToken);
                if (subject.AskLater && work.Postponed < MaxPostponements)
                {
                    later = true;
                    continue;
                }

                progress = await AddAsync(key, signal, @case, subscriber, subject, cancellationToken);
            }

            if (progress is { State: SignalState.Pending, Attempts: 0 })
            {
                first.Add(new SignalWork { Key = key, Subscriber = subscriber.Name, Attempt = 1 }.ToMessage());
            }
        }

        if (first.Count > 0)
        {
            await queue.SendAsync(Queues.Signals, first, cancellationToken);
        }

        if (later)
        {
            await PostponeAsync(work, SubjectDelay, cancellationToken);
        }
    }

    private async Task<SignalProgress> AddAsync(
        string key, AccountSignal signal, OffboardingCase @case, SignalSubscriber subscriber, FoundSubject subject, CancellationToken cancellationToken)
    {
        var progress = new SignalProgress
        {
            Key = key,
            Subscriber = subscriber.Name,
            CaseId = signal.CaseId,
            Kind = signal.Kind,
            State = subject.IsFound ? SignalState.Pending : SignalState.NoSubject,
            Jti = JtiOf(key, subscriber),
        };
        if (subject.IsFound)
        {
            var now = time.GetUtcNow();
            var occurredAt = (signal.Kind == AccountSignalKind.Disabled ? @case.VerifiedAt : @case.Undo?.CompletedAt) ?? now;
            var claims = Encoding.UTF8.GetBytes(SetClaims.OfAccount(
                options.Issuer, subscriber.Audience, progress.Jti, signal.Kind, now, occurredAt, signal.CaseId,
                subject.Email is { } email ? SetClaims.Email(email) : SetClaims.IssuerSubject(options.Issuer, subject.EmployeeId!)));
            progress = progress with
            {
                Claims = _keys.Value.Encrypt(claims, ContextOf(progress)),
                KeyId = _keys.Value.CurrentKeyId,
                ClaimsHash = Convert.ToHexStringLower(SHA256.HashData(claims)),
            };
        }
        else
        {
            Log.NoSubject(logger, signal.CaseId, subscriber.Name);
            await alerts.SendAsync(SignalAlerts.NoSubject(subscriber, signal.CaseId, time.GetUtcNow()), cancellationToken);
        }

        await records.AddAsync(progress, cancellationToken);
        // Somebody else may have been faster: then what that one stored counts.
        return await records.FindAsync(key, subscriber.Name, cancellationToken) ?? progress;
    }

    private async Task AttemptAsync(SignalWork work, CancellationToken cancellationToken)
    {
        if (await records.FindAsync(work.Key!, work.Subscriber!, cancellationToken) is not { State: SignalState.Pending } progress
            || work.Attempt < progress.Attempts)
        {
            return;
        }

        if (work.Attempt == progress.Attempts)
        {
            // This attempt was made; its successor may have been lost in a crash.
            await SendNextAsync(progress, cancellationToken);
            return;
        }

        var subscriber = options.Subscribers.FirstOrDefault(candidate => candidate.Name == work.Subscriber);
        if (subscriber is null)
        {
            Log.SubscriberMissing(logger, work.Subscriber!, progress.CaseId);
            await EndAsync(progress, SignalState.GivenUp, null, cancellationToken);
            return;
        }

        if (await cases.FindAsync(progress.CaseId, cancellationToken) is not { Case: var @case } || !IsTrue(progress.Kind, @case))
        {
            Log.Superseded(logger, progress.CaseId, subscriber.Name);
            await EndAsync(progress, SignalState.Superseded, null, cancellationToken);
            return;
        }

        var claims = _keys.Value.Decrypt(progress.KeyId!, progress.Claims, ContextOf(progress));
        var attempt = await push.SendAsync(subscriber, signer.Sign(Encoding.UTF8.GetString(claims)), cancellationToken);
        var now = time.GetUtcNow();
        await (attempt.IsDelivered ? records.RecordSuccessAsync(subscriber, cancellationToken) : records.RecordFailureAsync(subscriber, now, cancellationToken));
        await ConcludeAsync(progress with { Attempts = work.Attempt }, subscriber, attempt, now, cancellationToken);
    }

    private async Task ConcludeAsync(SignalProgress progress, SignalSubscriber subscriber, SignalAttempt attempt, DateTimeOffset now, CancellationToken cancellationToken)
    {
        if (attempt.IsDelivered)
        {
            Log.Delivered(logger, progress.CaseId, progress.Kind, subscriber.Name, progress.Attempts);
            await EndAsync(progress, SignalState.Delivered, SignalsAudit.Told, cancellationToken);
            return;
        }

        Log.AttemptFailed(logger, progress.CaseId, progress.Kind, subscriber.Name, progress.Attempts, attempt.Detail);
        if (progress.Attempts > Delays.Length)
        {
            await alerts.SendAsync(SignalAlerts.GivenUp(subscriber, progress.CaseId, attempt.Detail, now), cancellationToken);
            await EndAsync(progress, SignalState.GivenUp, SignalsAudit.GivenUp, cancellationToken);
            return;
        }

        if (attempt.IsRefused)
        {
            await alerts.SendAsync(SignalAlerts.Refused(subscriber, attempt.Detail, now), cancellationToken);
        }

        var delay = Delays[progress.Attempts - 1];
        if (attempt.RetryAfter is { } asked && asked > delay)
        {
            delay = asked < MaxDelay ? asked : MaxDelay;
        }

        var next = progress with { NextAt = now + delay };
        if (await records.SaveAsync(next, null, cancellationToken))
        {
            await SendNextAsync(next, cancellationToken);
        }
    }

    /// <summary>The claims are personal data: they go when nobody needs them any more; their hash stays.</summary>
    private Task<bool> EndAsync(SignalProgress progress, SignalState state, AuditKind? kind, CancellationToken cancellationToken) => records.SaveAsync(
        progress with { State = state, NextAt = null, Claims = null, KeyId = null },
        kind is null ? null : new AuditEvent
        {
            Kind = kind,
            Actor = AuditActor.System(nameof(DeliverSignal)),
            Payload = PayloadHash.Of(Encoding.UTF8.GetBytes(progress.ClaimsHash ?? "")),
            Outcome = state == SignalState.Delivered ? AuditOutcome.Succeeded : AuditOutcome.Failed,
            On = new("subscriber", progress.Subscriber),
            CaseId = progress.CaseId,
            Details = new Dictionary<string, string>
            {
                ["event"] = SetClaims.NameOf(progress.Kind), ["jti"] = progress.Jti, ["claimsSha256"] = progress.ClaimsHash ?? "",
                ["attempts"] = progress.Attempts.ToString(CultureInfo.InvariantCulture),
            },
        },
        cancellationToken);

    private Task SendNextAsync(SignalProgress progress, CancellationToken cancellationToken) => queue.SendAsync(
        Queues.Signals,
        [new SignalWork { Key = progress.Key, Subscriber = progress.Subscriber, Attempt = progress.Attempts + 1 }.ToMessage(progress.NextAt)],
        cancellationToken);

    private Task PostponeAsync(SignalWork work, TimeSpan delay, CancellationToken cancellationToken) => queue.SendAsync(
        Queues.Signals, [(work with { Postponed = work.Postponed + 1 }).ToMessage(time.GetUtcNow() + delay)], cancellationToken);

    /// <summary>
    /// Whether it is still so: a subscriber must not hear that accounts are disabled which are being given back. A case that is frozen anew
    /// because an account was found alive stays disabled in the eyes of subscribers.
    /// </summary>
    private static bool IsTrue(AccountSignalKind kind, OffboardingCase @case) =>
        kind == AccountSignalKind.Disabled ? @case.Undo is null : @case.State == CaseState.Reactivated;

    private static bool Wants(SignalSubscriber subscriber, AccountSignal signal, OffboardingCase @case) =>
        subscriber.Events.Contains(signal.Kind)
        && (subscriber.Sources.Count == 0 || @case.Signals.Any(heard => subscriber.Sources.Contains(heard.Source, StringComparer.OrdinalIgnoreCase)));

    private static string JtiOf(string key, SignalSubscriber subscriber) =>
        Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes($"{key}\n{subscriber.Name}")).AsSpan(0, 18));

    private static string ContextOf(SignalProgress progress) => $"signals|{progress.Key}|{progress.Subscriber}";

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Case {CaseId}: {Kind} reached {Subscriber} with attempt {Attempt}")]
        public static partial void Delivered(ILogger logger, string caseId, AccountSignalKind kind, string subscriber, int attempt);

        [LoggerMessage(2, LogLevel.Warning, "Case {CaseId}: {Kind} did not reach {Subscriber} with attempt {Attempt}: {Detail}")]
        public static partial void AttemptFailed(ILogger logger, string caseId, AccountSignalKind kind, string subscriber, int attempt, string detail);

        [LoggerMessage(3, LogLevel.Warning, "Case {CaseId}: nothing is known of the person by which {Subscriber} knows people")]
        public static partial void NoSubject(ILogger logger, string caseId, string subscriber);

        [LoggerMessage(4, LogLevel.Warning, "Subscriber {Subscriber} is not configured any more; it is not told of case {CaseId}")]
        public static partial void SubscriberMissing(ILogger logger, string subscriber, string caseId);

        [LoggerMessage(5, LogLevel.Information, "Case {CaseId}: {Subscriber} need not be told any more")]
        public static partial void Superseded(ILogger logger, string caseId, string subscriber);

        [LoggerMessage(6, LogLevel.Error, "The store does not answer; the work on a signal is postponed")]
        public static partial void StoreFailed(ILogger logger, Exception exception);
    }
}

/// <summary>What is done with signals, in the audit trail.</summary>
internal static class SignalsAudit
{
    /// <summary>A subscriber was told.</summary>
    public static AuditKind Told { get; } =
        new("signals.told", AuditRetention.Legal, "A subscriber was told that a person's accounts were disabled or given back.");

    /// <summary>A subscriber was asked to verify.</summary>
    public static AuditKind VerificationSent { get; } =
        new("signals.verification_sent", AuditRetention.Operational, "Somebody had a verification event pushed to a subscriber; the outcome says whether it was taken.");

    /// <summary>A subscriber could not be told.</summary>
    public static AuditKind GivenUp { get; } =
        new("signals.given_up", AuditRetention.Operational, "A subscriber could not be told what became of a person's accounts.");
}
