using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Intake;

/// <summary>
/// Takes the webhooks of HR systems: <c>POST hr/{source}</c>. The order is the caller's network, size, raw bytes, signature, rate, parsing,
/// confinement, inbox; a delivery is durable before it is answered with 202, or as the dialect wants it.
/// </summary>
internal sealed partial class ReceiveHrWebhook(
    IntakeOptions options, SourceDoor door, HrHandshakes handshakes, TimeProvider timeProvider, ILogger<ReceiveHrWebhook> logger) : IHttpFunction
{
    /// <summary>Greetings are not signed: they must not use up what the sender itself may send.</summary>
    private const int GreetingsPerMinute = 30;

    private readonly Dictionary<string, RateLimiter> _greetings = options.Sources.Values.ToDictionary(
        static source => source.Name, _ => new RateLimiter(GreetingsPerMinute, timeProvider), StringComparer.Ordinal);

    private readonly Dictionary<string, RateLimiter> _limiters = options.Sources.Values.ToDictionary(
        static source => source.Name, source => new RateLimiter(source.MaxPerMinute, timeProvider), StringComparer.Ordinal);

    /// <summary>Goes through what a webhook goes through before it is accepted.</summary>
    internal static void WarmUp()
    {
        const string id = "warm-up";
        ReadOnlyMemory<byte> body = """{"type":"employee.terminated","timestamp":"2000-01-01T00:00:00Z","data":{"employeeId":"0","effectiveAt":"2000-01-01T00:00:00Z"}}"""u8.ToArray();
        var (secret, now) = (new byte[32], TimeProvider.System.GetUtcNow());
        var headers = new HeaderDictionary
        {
            [StandardWebhooks.IdHeader] = id,
            [StandardWebhooks.TimestampHeader] = now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture),
            [StandardWebhooks.SignatureHeader] = StandardWebhooks.Sign(secret, id, now.ToUnixTimeSeconds(), body.Span),
        };
        var dialect = new StandardDialect();
        dialect.Verify(headers, body.Span, [secret], now);
        dialect.Read(body, id);
        JsonSerializer.SerializeToUtf8Bytes(new HrReceipt(id, Duplicate: false), HrReceiptJson.Default.HrReceipt);
    }

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Request.RouteValues["source"] is not string name || !options.Sources.TryGetValue(name, out var source) || !source.Dialect.IsWebhook)
        {
            await context.ProblemAsync(ProblemCode.UnknownSource);
            return;
        }

        if (await door.ReadAsync(context, source) is not { } body || await TryGreetAsync(context, source, body))
        {
            return;
        }

        var verification = source.Dialect.Verify(context.Request.Headers, body.Span, source.Secrets, timeProvider.GetUtcNow());
        if (verification.Verdict != SignatureVerdict.Valid)
        {
            Log.SignatureRefused(logger, source.Name, verification.Verdict);
            await AnswerRefusalAsync(context, verification.Verdict);
            return;
        }

        if (await door.IsTooManyAsync(context, source, _limiters[source.Name]))
        {
            return;
        }

        var reading = source.Dialect.Read(body, source.QualifiedName);
        if (reading.Fault is { } fault)
        {
            Log.BodyRefused(logger, source.Name, fault.Path);
            await context.ProblemAsync(ProblemCode.Malformed, fault.Path.Length == 0 ? fault.Detail : $"{fault.Path} {fault.Detail}.");
            return;
        }

        if (!await door.AdmitsAsync(context, source, reading.Events))
        {
            await context.ProblemAsync(ProblemCode.Forbidden, "The event is about a person outside the mail domains of this source.");
            return;
        }

        await AcceptAsync(context, source, body, verification, reading);
    }

    private async Task AcceptAsync(
        HttpContext context, HrSource source, ReadOnlyMemory<byte> body, HrVerification verification, HrReading reading)
    {
        var senderId = verification.SenderId ?? reading.SenderId;
        var delivery = new InboxDelivery
        {
            Source = source.QualifiedName,
            SenderId = senderId,
            // Where the body has no time of its own, that of the attempt must do, and where there is no id either, that of the receipt: a
            // repetition is then handled twice, which is safe, while a second leave of the same person would be lost.
            EventTime = reading.EventTime ?? verification.SignedAt ?? (senderId is null ? timeProvider.GetUtcNow() : null),
            Body = body,
            VerifiedBy = verification.SecretIndex,
            Events = source.Confine(reading.Events),
        };
        if (await door.StoreAsync(context, source, delivery) is not { } receipt)
        {
            return;
        }

        if (source.Dialect.Acknowledge(receipt, timeProvider.GetUtcNow()) is { } answer)
        {
            (context.Response.StatusCode, context.Response.ContentType, context.Response.ContentLength) = (answer.Status, answer.ContentType, answer.Body.Length);
            await context.Response.Body.WriteAsync(answer.Body, context.RequestAborted);
            return;
        }

        await context.WriteJsonAsync(
            new HrReceipt(receipt.DeliveryId, receipt.Duplicate), HrReceiptJson.Default.HrReceipt, StatusCodes.Status202Accepted);
    }

    /// <summary>Answers what a sender sends before it has a secret.</summary>
    private async Task<bool> TryGreetAsync(HttpContext context, HrSource source, ReadOnlyMemory<byte> body)
    {
        var greeting = source.Dialect.Recognise(body.Span);
        if (greeting == HrGreeting.None)
        {
            return false;
        }

        if (!await door.IsTooManyAsync(context, source, _greetings[source.Name]))
        {
            try
            {
                await (greeting == HrGreeting.Token
                    ? handshakes.KeepAsync(source, body, context.RequestAborted)
                    : context.RecordHandshakeAsync(HandshakeAudit.Answered, AuditActor.Source(source.QualifiedName)));
            }
            catch (EntityStoreException exception)
            {
                Log.NotRecorded(logger, source.Name, exception);
                await context.ProblemAsync(ProblemCode.Unavailable, "The handshake could not be recorded; send it again.");
                return true;
            }

            Log.Greeted(logger, source.Name, greeting);
            await context.WriteJsonAsync(new HrGreetingReceipt(Accepted: true), HrReceiptJson.Default.HrGreetingReceipt);
        }

        return true;
    }

    private static Task AnswerRefusalAsync(HttpContext context, SignatureVerdict verdict) => verdict switch
    {
        SignatureVerdict.Stale => context.ProblemAsync(ProblemCode.StaleTimestamp, "The time of the attempt is too far from ours, or the certificate is not valid now."),
        SignatureVerdict.MissingHeader => context.ProblemAsync(ProblemCode.InvalidSignature, "A header that shows who sends is missing."),
        SignatureVerdict.MalformedHeader => context.ProblemAsync(ProblemCode.InvalidSignature, "A header that shows who sends is repeated or malformed."),
        _ => context.ProblemAsync(ProblemCode.InvalidSignature, "The source's secrets do not confirm this sender."),
    };

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "A webhook for HR source {Source} was refused: {Verdict}")]
        public static partial void SignatureRefused(ILogger logger, string source, SignatureVerdict verdict);

        [LoggerMessage(2, LogLevel.Warning, "A webhook of HR source {Source} was refused at '{Path}'")]
        public static partial void BodyRefused(ILogger logger, string source, string path);

        [LoggerMessage(4, LogLevel.Error, "A handshake of HR source {Source} could not be recorded")]
        public static partial void NotRecorded(ILogger logger, string source, Exception exception);

        [LoggerMessage(3, LogLevel.Information, "HR source {Source} asked whether somebody listens: {Greeting}")]
        public static partial void Greeted(ILogger logger, string source, HrGreeting greeting);
    }
}

/// <summary>The answer to an accepted webhook.</summary>
/// <param name="DeliveryId">Our id of the delivery; the same for a repetition.</param>
/// <param name="Duplicate">It had been accepted before.</param>
internal sealed record HrReceipt(string DeliveryId, bool Duplicate);

/// <summary>The answer to a greeting.</summary>
/// <param name="Accepted">Somebody listens.</param>
internal sealed record HrGreetingReceipt(bool Accepted);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HrReceipt))]
[JsonSerializable(typeof(HrGreetingReceipt))]
internal sealed partial class HrReceiptJson : JsonSerializerContext;
