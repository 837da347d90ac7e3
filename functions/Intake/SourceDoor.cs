using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;

namespace DingFlow.Intake;

/// <summary>
/// What every source goes through, whatever it sends and however it signs: its network, type and size before the signature, its pace after it,
/// and the inbox. Each check answers the problem itself when it refuses; routes give problems their own form.
/// </summary>
internal sealed partial class SourceDoor(IntakeOptions options, IInbox inbox, IAlertSender alerts, TimeProvider time, ILogger<SourceDoor> logger)
{
    /// <summary>The body as it came; <see langword="null"/> when it may not come from there, in this form or at this size.</summary>
    public async Task<ReadOnlyMemory<byte>?> ReadAsync(HttpContext context, HrSource source)
    {
        if (!source.IsAllowedFrom(RequestChecks.ClientAddress(context, options)))
        {
            Log.OutsideNetworks(logger, source.Name);
            await context.ProblemAsync(ProblemCode.Forbidden, "This source may not send from this network.");
            return null;
        }

        if (!source.Dialect.Accepts(context.Request.ContentType) || !RequestChecks.IsPlain(context.Request))
        {
            await context.ProblemAsync(ProblemCode.UnsupportedMediaType, $"The body must be {source.Dialect.BodyForms}, in UTF-8 and without a content coding.");
            return null;
        }

        return await context.ReadBodyAsync(source.MaxBodyBytes);
    }

    /// <summary>Whether the source has sent more than it may in a minute. A sender that never repeats after a 4xx is told that we are busy.</summary>
    public async Task<bool> IsTooManyAsync(HttpContext context, HrSource source, RateLimiter limiter)
    {
        if (limiter.Take() is not { Ticks: > 0 } wait)
        {
            return false;
        }

        Log.TooMany(logger, source.Name);
        await context.ProblemAsync(
            source.Dialect.RetriesAfter4xx ? ProblemCode.TooManyRequests : ProblemCode.Unavailable, "This source has sent more than it may in a minute.", wait);
        return true;
    }

    /// <summary>
    /// Whether everybody whom the delivery is about is of the source's mail domains. If not, people are told of it: whoever holds a secret of
    /// this source may be trying to freeze another company. The refusal itself is the caller's to answer.
    /// </summary>
    public async Task<bool> AdmitsAsync(HttpContext context, HrSource source, IReadOnlyList<PersonEvent> events)
    {
        if (events.All(source.Admits))
        {
            return true;
        }

        Log.OutsideConfines(logger, source.Name);
        try
        {
            await alerts.SendAsync(IntakeAlerts.OutsideConfines(source.Name, source.QualifiedName, time.GetUtcNow()), context.RequestAborted);
        }
        catch (MessageQueueException exception)
        {
            Log.AlertFailed(logger, source.Name, exception);
        }

        return false;
    }

    /// <summary>Puts a delivery into the inbox, where it is durable; <see langword="null"/> when it could not be stored.</summary>
    public async Task<InboxReceipt?> StoreAsync(HttpContext context, HrSource source, InboxDelivery delivery)
    {
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
            return null;
        }

        Log.Accepted(logger, receipt.DeliveryId, source.Name, delivery.Events.Count, receipt.Duplicate, source.Paused);
        return receipt;
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Delivery {DeliveryId} of source {Source} accepted: {Events} events, duplicate {Duplicate}, paused {Paused}")]
        public static partial void Accepted(ILogger logger, string deliveryId, string source, int events, bool duplicate, bool paused);

        [LoggerMessage(2, LogLevel.Warning, "Source {Source} sends more than it may")]
        public static partial void TooMany(ILogger logger, string source);

        [LoggerMessage(3, LogLevel.Error, "Source {Source} named a person outside its mail domains")]
        public static partial void OutsideConfines(ILogger logger, string source);

        [LoggerMessage(4, LogLevel.Error, "A delivery of source {Source} could not be stored")]
        public static partial void StoreFailed(ILogger logger, string source, Exception exception);

        [LoggerMessage(5, LogLevel.Error, "The alert on source {Source} could not be sent")]
        public static partial void AlertFailed(ILogger logger, string source, Exception exception);

        [LoggerMessage(6, LogLevel.Warning, "A delivery of source {Source} came from a network that it may not send from")]
        public static partial void OutsideNetworks(ILogger logger, string source);
    }
}
