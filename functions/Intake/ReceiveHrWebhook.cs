using System.Globalization;
using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Intake;

/// <summary>
/// Takes the webhooks of HR systems: <c>POST hr/{source}</c>. The order is size, raw bytes, signature, rate, parsing, confinement,
/// inbox; a delivery is durable before it is answered with 202.
/// </summary>
public sealed partial class ReceiveHrWebhook(
    IntakeOptions options, IInbox inbox, IAlertSender alerts, TimeProvider timeProvider, ILogger<ReceiveHrWebhook> logger) : IHttpFunction
{
    private readonly Dictionary<string, RateLimiter> _limiters = options.Sources.Values.ToDictionary(
        static source => source.Name, source => new RateLimiter(source.MaxPerMinute, timeProvider), StringComparer.Ordinal);

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Request.RouteValues["source"] is not string name || !options.Sources.TryGetValue(name, out var source) || !source.Dialect.IsWebhook)
        {
            await context.ProblemAsync(ProblemCode.UnknownSource);
            return;
        }

        if (!source.Dialect.Accepts(context.Request.ContentType) || !RequestChecks.IsPlain(context.Request))
        {
            await context.ProblemAsync(ProblemCode.UnsupportedMediaType, "The body must be JSON, in UTF-8 and without a content coding.");
            return;
        }

        if (await context.ReadBodyAsync(options.MaxBodyBytes) is not { } body)
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

        if (_limiters[source.Name].Take() is var wait && wait > TimeSpan.Zero)
        {
            Log.TooMany(logger, source.Name);
            await context.ProblemAsync(ProblemCode.TooManyRequests, "This source has sent more than it may in a minute.", wait);
            return;
        }

        var reading = source.Dialect.Read(body, source.QualifiedName);
        if (reading.Fault is { } fault)
        {
            Log.BodyRefused(logger, source.Name, fault.Path);
            await context.ProblemAsync(ProblemCode.Malformed, fault.Path.Length == 0 ? fault.Detail : $"{fault.Path} {fault.Detail}.");
            return;
        }

        foreach (var person in reading.Events)
        {
            if (!source.Admits(person))
            {
                await RefuseOutsiderAsync(context, source);
                return;
            }
        }

        await AcceptAsync(context, source, body, verification, reading);
    }

    private async Task AcceptAsync(
        HttpContext context, HrSource source, ReadOnlyMemory<byte> body, HrVerification verification, HrReading reading)
    {
        var delivery = new InboxDelivery
        {
            Source = source.QualifiedName,
            SenderId = verification.SenderId,
            EventTime = reading.EventTime,
            Body = body,
            VerifiedBy = verification.SecretIndex,
            Events = [.. reading.Events.Select(source.Confine)],
        };
        InboxReceipt receipt;
        try
        {
            // Not cancelled with the request: a sender that has given up would only send it again.
            receipt = await inbox.AcceptAsync(delivery, CancellationToken.None);
        }
        catch (EntityStoreException exception)
        {
            Log.StoreFailed(logger, source.Name, exception);
            await context.ProblemAsync(ProblemCode.Unavailable, "The delivery could not be stored; send it again.");
            return;
        }

        Log.Accepted(logger, receipt.DeliveryId, source.Name, delivery.Events.Count, receipt.Duplicate, source.Paused);
        await context.WriteJsonAsync(
            new HrReceipt(receipt.DeliveryId, receipt.Duplicate), HrReceiptJson.Default.HrReceipt, StatusCodes.Status202Accepted);
    }

    private static Task AnswerRefusalAsync(HttpContext context, SignatureVerdict verdict) => verdict switch
    {
        SignatureVerdict.Stale => context.ProblemAsync(ProblemCode.StaleTimestamp, string.Create(
            CultureInfo.InvariantCulture, $"The time of the attempt may be {StandardWebhooks.Tolerance.TotalMinutes} minutes from ours.")),
        SignatureVerdict.MissingHeader => context.ProblemAsync(ProblemCode.InvalidSignature, "A signature header is missing."),
        SignatureVerdict.MalformedHeader => context.ProblemAsync(ProblemCode.InvalidSignature, "A signature header is repeated or malformed."),
        _ => context.ProblemAsync(ProblemCode.InvalidSignature, "No secret of this source gives this signature."),
    };

    private async Task RefuseOutsiderAsync(HttpContext context, HrSource source)
    {
        Log.OutsideConfines(logger, source.Name);
        try
        {
            await alerts.SendAsync(IntakeAlerts.OutsideConfines(source.Name, source.QualifiedName, timeProvider.GetUtcNow()), context.RequestAborted);
        }
        catch (MessageQueueException exception)
        {
            Log.AlertFailed(logger, source.Name, exception);
        }

        await context.ProblemAsync(ProblemCode.Forbidden, "The event is about a person outside the mail domains of this source.");
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Delivery {DeliveryId} of HR source {Source} accepted: {Events} events, duplicate {Duplicate}, paused {Paused}")]
        public static partial void Accepted(ILogger logger, string deliveryId, string source, int events, bool duplicate, bool paused);

        [LoggerMessage(2, LogLevel.Warning, "A webhook for HR source {Source} was refused: {Verdict}")]
        public static partial void SignatureRefused(ILogger logger, string source, SignatureVerdict verdict);

        [LoggerMessage(3, LogLevel.Warning, "HR source {Source} sends more than it may")]
        public static partial void TooMany(ILogger logger, string source);

        [LoggerMessage(4, LogLevel.Warning, "A webhook of HR source {Source} was refused at '{Path}'")]
        public static partial void BodyRefused(ILogger logger, string source, string path);

        [LoggerMessage(5, LogLevel.Error, "HR source {Source} named a person outside its mail domains")]
        public static partial void OutsideConfines(ILogger logger, string source);

        [LoggerMessage(6, LogLevel.Error, "A delivery of HR source {Source} could not be stored")]
        public static partial void StoreFailed(ILogger logger, string source, Exception exception);

        [LoggerMessage(7, LogLevel.Error, "The alert on HR source {Source} could not be sent")]
        public static partial void AlertFailed(ILogger logger, string source, Exception exception);
    }
}

/// <summary>The answer to an accepted webhook.</summary>
/// <param name="DeliveryId">Our id of the delivery; the same for a repetition.</param>
/// <param name="Duplicate">It had been accepted before.</param>
internal sealed record HrReceipt(string DeliveryId, bool Duplicate);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(HrReceipt))]
internal sealed partial class HrReceiptJson : JsonSerializerContext;

/// <summary>What is checked of every webhook's request.</summary>
internal static class RequestChecks
{
    /// <summary>Whether the body comes as it was signed: without a content coding, in UTF-8.</summary>
    public static bool IsPlain(HttpRequest request)
    {
        var coding = request.Headers.ContentEncoding;
        if (coding.Count > 1 || (coding.Count == 1 && !string.Equals(coding[0], "identity", StringComparison.OrdinalIgnoreCase)))
        {
            return false;
        }

        var parameter = request.ContentType?.IndexOf("charset=", StringComparison.OrdinalIgnoreCase) ?? -1;
        return parameter < 0 || request.ContentType.AsSpan(parameter + "charset=".Length).Trim("\" ;").StartsWith("utf-8", StringComparison.OrdinalIgnoreCase);
    }
}
