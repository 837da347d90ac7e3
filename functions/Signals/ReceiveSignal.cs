using System.Security.Cryptography;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Intake;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;

namespace DingFlow.Signals;

/// <summary>
/// Takes the tokens of a Shared Signals transmitter: <c>POST signals/{source}</c> (RFC 8935). The order is that of every webhook: the
/// caller's network, type, size, bearer token, signature, rate, claims, confinement, inbox. A token is durable before it is answered 202;
/// its repetition is answered the same (RFC 8935 section 2).
/// </summary>
internal sealed partial class ReceiveSignal(
    SignalSources sources, SourceDoor door, IAlertSender alerts, TimeProvider time, ILogger<ReceiveSignal> logger) : IHttpFunction
{
    private const string BearerScheme = "Bearer ";

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (sources.Find(context) is not { } signals)
        {
            await context.ProblemAsync(ProblemCode.UnknownSource);
            return;
        }

        var source = signals.Source;
        if (await door.ReadAsync(context, source) is not { } body)
        {
            return;
        }

        if (BearerOf(context.Request, source) is not { } bearer)
        {
            Log.Refused(logger, source.Name, "bearer token");
            context.Response.Headers.WWWAuthenticate = "Bearer";
            await context.ProblemAsync(ProblemCode.Unauthorized, "The bearer token of this source is missing or not one of its secrets.");
            return;
        }

        var verification = await signals.Verifier.VerifyAsync(body, context.RequestAborted);
        if (verification.Verdict != SetVerdict.Valid)
        {
            Log.Refused(logger, source.Name, verification.Verdict.ToString());
            await RefuseAsync(context, verification);
            return;
        }

        if (await door.IsTooManyAsync(context, source, signals.Limiter))
        {
            return;
        }

        await AcceptAsync(context, signals, body, verification, bearer);
    }

    private async Task AcceptAsync(HttpContext context, SignalSource signals, ReadOnlyMemory<byte> body, SetVerification verification, int bearer)
    {
        var source = signals.Source;
        var reading = signals.Dialect.ReadToken(body, source.QualifiedName);
        if (reading.Fault is { } fault)
        {
            Log.ClaimsRefused(logger, source.Name, fault.Path);
            await SetErrors.RefuseAsync(context, SetErrors.InvalidRequest, fault.Path.Length == 0 ? fault.Detail : $"{fault.Path} {fault.Detail}.");
            return;
        }

        if (!signals.IsTimely(reading.IssuedAt, time.GetUtcNow()))
        {
            Log.ClaimsRefused(logger, source.Name, "/iat");
            await SetErrors.RefuseAsync(context, SetErrors.InvalidRequest, "/iat is too far from now: its repetition could not be told from a replay.");
            return;
        }

        if (reading.Verifies && signals.Dialect.VerificationState is { } expected && reading.VerificationState != expected)
        {
            Log.ClaimsRefused(logger, source.Name, "state");
            await SetErrors.RefuseAsync(context, SetErrors.InvalidState, "The state is not the one that was asked for.");
            return;
        }

        if (!await door.AdmitsAsync(context, source, reading.Events))
        {
            await SetErrors.RefuseAsync(context, SetErrors.AccessDenied, "The event is about a person outside the mail domains of this source.");
            return;
        }

        var delivery = new InboxDelivery
        {
            Source = source.QualifiedName,
            SenderId = reading.Jti,
            EventTime = reading.OccurredAt,
            Body = body,
            // Transmitters sign anew for each attempt, perhaps with another key: the claims are what is sent.
            Content = SetToken.PayloadOf(body),
            VerifiedBy = bearer,
            Events = source.Confine(reading.Events),
        };
        if (await door.StoreAsync(context, source, delivery) is not { } receipt)
        {
            return;
        }

        await TellAsync(source, reading, receipt);

        // RFC 8935 section 2.2: 202 with an empty body.
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        context.Response.ContentLength = 0;
    }

    /// <summary>
    /// What people must know of an accepted token. If they cannot be told it is answered 503, so that it comes again: the inbox holds it
    /// already, and an alert that was sent is not told twice.
    /// </summary>
    private async Task TellAsync(HrSource source, SsfReading reading, InboxReceipt receipt)
    {
        if (reading.Verifies)
        {
            Log.Verified(logger, source.Name);
        }

        var now = time.GetUtcNow();
        if (reading.HasUnknownSubject)
        {
            await alerts.SendAsync(SignalAlerts.UnknownSubject(source, receipt.DeliveryId, now), CancellationToken.None);
        }

        if (reading.StreamStatus is { } status)
        {
            Log.StreamUpdated(logger, source.Name, status);
            await alerts.SendAsync(SignalAlerts.StreamUpdated(source, status, receipt.DeliveryId, now), CancellationToken.None);
        }
    }

    private static Task RefuseAsync(HttpContext context, SetVerification verification) => verification.Verdict switch
    {
        SetVerdict.AskLater => context.ProblemAsync(
            ProblemCode.TooManyRequests, "The key is not known yet, and the transmitter's keys were fetched a moment ago; send it again.", verification.RetryAfter),
        SetVerdict.KeysUnavailable => context.ProblemAsync(
            ProblemCode.Unavailable, "The transmitter's keys cannot be fetched at present; send it again.", verification.RetryAfter),
        SetVerdict.WrongAlgorithm => SetErrors.RefuseAsync(context, SetErrors.InvalidKey, "The algorithm is not one that this source may use."),
        SetVerdict.UnknownKey => SetErrors.RefuseAsync(context, SetErrors.InvalidKey, "The transmitter's key set has no such key."),
        SetVerdict.WrongSignature => SetErrors.RefuseAsync(context, SetErrors.AuthenticationFailed, "The signature is not the transmitter's."),
        SetVerdict.WrongIssuer => SetErrors.RefuseAsync(context, SetErrors.InvalidIssuer, "The issuer is not that of this source."),
        SetVerdict.WrongAudience => SetErrors.RefuseAsync(context, SetErrors.InvalidAudience, "The token is not meant for this source."),
        SetVerdict.WrongType => SetErrors.RefuseAsync(context, SetErrors.InvalidRequest, "The typ must be secevent+jwt."),
        SetVerdict.Expired => SetErrors.RefuseAsync(context, SetErrors.InvalidRequest, "The token has expired."),
        _ => SetErrors.RefuseAsync(context, SetErrors.InvalidRequest, "The body is not a Security Event Token in its compact form."),
    };

    /// <summary>Which of the source's bearer tokens came along; 0 where it has none; <see langword="null"/>: none of them.</summary>
    private static int? BearerOf(HttpRequest request, HrSource source)
    {
        if (source.Secrets.Count == 0)
        {
            return 0;
        }

        if (request.Headers.Authorization is not [{ } header] || !header.StartsWith(BearerScheme, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        // Hashes are compared: their length tells nothing of the secret's.
        Span<byte> sent = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(header[BearerScheme.Length..].Trim()), sent);
        int? found = null;
        for (var i = 0; i < source.Secrets.Count; i++)
        {
            found = CryptographicOperations.FixedTimeEquals(SHA256.HashData(source.Secrets[i]), sent) ? i : found;
        }

        return found;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "A token for signal source {Source} was refused: {Verdict}")]
        public static partial void Refused(ILogger logger, string source, string verdict);

        [LoggerMessage(2, LogLevel.Warning, "A token of signal source {Source} was refused at '{Path}'")]
        public static partial void ClaimsRefused(ILogger logger, string source, string path);

        [LoggerMessage(3, LogLevel.Information, "The stream of signal source {Source} was verified by its transmitter")]
        public static partial void Verified(ILogger logger, string source);

        [LoggerMessage(4, LogLevel.Warning, "The transmitter of signal source {Source} set its stream to {Status}")]
        public static partial void StreamUpdated(ILogger logger, string source, string status);
    }
}
