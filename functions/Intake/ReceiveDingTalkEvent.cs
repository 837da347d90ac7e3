using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.DingTalk;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Storage;
using Microsoft.Extensions.Primitives;

namespace DingFlow.Intake;

/// <summary>
/// Takes DingTalk's event callbacks: <c>POST dingtalk/{tenant}/events</c>. DingTalk waits 1.5 s and tries again only twice: nothing
/// remote is called before the answer, nobody is told to come later for sending much, and 503 is kept for what could not be stored.
/// </summary>
public sealed partial class ReceiveDingTalkEvent(
    DingTalkOptions dingTalk, IntakeOptions options, IInbox inbox, IAlertSender alerts, TimeProvider timeProvider, ILogger<ReceiveDingTalkEvent> logger)
    : IHttpFunction
{
    private const string Success = "success";
    private const int MaxDepth = 4;
    private const int SecondsDigits = 10;
    private const int MillisecondsDigits = 13;

    private readonly Dictionary<string, Callback> _callbacks = dingTalk.Tenants.Values
        .Where(static tenant => tenant is { Token: not null, AesKey: not null })
        .ToDictionary(
            static tenant => tenant.Name,
            static tenant => new Callback(tenant, new DingTalkCallbackCrypto(tenant.Token!, tenant.AesKey!, tenant.OwnerKey)),
            StringComparer.OrdinalIgnoreCase);

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (context.Request.RouteValues["tenant"] is not string name || !_callbacks.TryGetValue(name, out var callback))
        {
            await context.ProblemAsync(ProblemCode.UnknownTenant);
            return;
        }

        if (!HttpBodies.IsJson(context.Request.ContentType) || !RequestChecks.IsPlain(context.Request))
        {
            await context.ProblemAsync(ProblemCode.UnsupportedMediaType, "The body must be JSON, in UTF-8 and without a content coding.");
            return;
        }

        if (await context.ReadBodyAsync(options.MaxBodyBytes) is not { } body)
        {
            return;
        }

        if (await OpenAsync(context, callback, body) is not { } message)
        {
            return;
        }

        if (DingTalkCallbackEvent.Parse(message) is not { } callbackEvent)
        {
            Log.Refused(logger, callback.Tenant.Name, "the message is no event");
            await context.ProblemAsync(ProblemCode.Malformed, "The decrypted message is no JSON object with an EventType.");
            return;
        }

        if (callbackEvent.CorpId is { } corpId && corpId != callback.Tenant.CorpId)
        {
            Log.Refused(logger, callback.Tenant.Name, "it is about another organisation");
            await context.ProblemAsync(ProblemCode.Forbidden, "The event is about another organisation.");
            return;
        }

        if (callbackEvent.IsVerification
            ? await GreetAsync(context, callback.Tenant)
            : await AcceptAsync(context, callback.Tenant, callbackEvent, message))
        {
            await AnswerSuccessAsync(context, callback.Crypto);
        }
    }

    /// <summary>The decrypted message; <see langword="null"/> when a problem has been answered.</summary>
    private async Task<ReadOnlyMemory<byte>?> OpenAsync(HttpContext context, Callback callback, ReadOnlyMemory<byte> body)
    {
        var query = context.Request.Query;
        if (ReadEncrypt(body.Span) is not { } encrypt)
        {
            Log.Refused(logger, callback.Tenant.Name, "the body has no encrypted text");
            await context.ProblemAsync(ProblemCode.Malformed, "The body must be a JSON object with the text 'encrypt'.");
            return null;
        }

        if (OnlyOne(query["signature"], query["msg_signature"]) is not { } signature
            || OnlyOne(query["timestamp"]) is not { } timestamp || OnlyOne(query["nonce"]) is not { } nonce)
        {
            Log.Refused(logger, callback.Tenant.Name, "a signature parameter is missing or there twice");
            await context.ProblemAsync(ProblemCode.InvalidSignature, "The signature, timestamp or nonce is missing or contradicts itself.");
            return null;
        }

        var result = callback.Crypto.Open(signature, timestamp, nonce, encrypt);
        if (result.Verdict != DingTalkCallbackVerdict.Valid)
        {
            Log.NotOpened(logger, callback.Tenant.Name, result.Verdict);
            await context.ProblemAsync(
                result.Verdict switch
                {
                    DingTalkCallbackVerdict.BadSignature => ProblemCode.InvalidSignature,
                    DingTalkCallbackVerdict.OtherOwner => ProblemCode.Forbidden,
                    _ => ProblemCode.Malformed,
                },
                result.Verdict switch
                {
                    DingTalkCallbackVerdict.BadSignature => "The callback's token does not give this signature.",
                    DingTalkCallbackVerdict.OtherOwner => "The message is meant for another app or organisation.",
                    _ => "The encrypted text does not open with the callback's AES key.",
                });
            return null;
        }

        if (!IsFresh(timestamp))
        {
            Log.Refused(logger, callback.Tenant.Name, "its time is too far from ours");
            await context.ProblemAsync(ProblemCode.StaleTimestamp, "The time of the push is too far from ours.");
            return null;
        }

        return result.Message;
    }

    /// <summary>DingTalk asks whether the address answers; that it did is on record.</summary>
    private async Task<bool> GreetAsync(HttpContext context, DingTalkTenant tenant)
    {
        try
        {
            await context.RecordHandshakeAsync(HandshakeAudit.Answered, AuditActor.Source($"dingtalk/{tenant.Name}"));
            return true;
        }
        catch (EntityStoreException exception)
        {
            Log.NotStored(logger, tenant.Name, exception);
            await context.ProblemAsync(ProblemCode.Unavailable, "The handshake could not be recorded; send it again.");
            return false;
        }
    }

    private async Task<bool> AcceptAsync(HttpContext context, DingTalkTenant tenant, DingTalkCallbackEvent callbackEvent, ReadOnlyMemory<byte> message)
    {
        var delivery = DingTalkDeliveries.Of(tenant, callbackEvent, message);
        if (delivery is { SenderId: null, EventTime: null })
        {
            // The push's time stands in: a retry is then handled twice, which is safe, while a second leave of the same person would be lost.
            delivery = delivery with { EventTime = PushedAt(OnlyOne(context.Request.Query["timestamp"])) };
        }

        InboxReceipt receipt;
        try
        {
            // Not cancelled with the request: DingTalk gives up early and sends it only twice more.
            receipt = await inbox.AcceptAsync(delivery, CancellationToken.None);
            if (callbackEvent.IsUnreadable)
            {
                await alerts.SendAsync(
                    DingTalkDeliveries.Unreadable(delivery.Source, receipt.DeliveryId, timeProvider.GetUtcNow()), CancellationToken.None);
            }
        }
        catch (Exception exception) when (exception is EntityStoreException or MessageQueueException)
        {
            Log.NotStored(logger, tenant.Name, exception);
            await context.ProblemAsync(ProblemCode.Unavailable, "The event could not be stored; send it again.");
            return false;
        }

        Log.Accepted(logger, receipt.DeliveryId, tenant.Name, delivery.Events.Count, receipt.Duplicate);
        return true;
    }

    private Task AnswerSuccessAsync(HttpContext context, DingTalkCallbackCrypto crypto)
    {
        var reply = crypto.Seal(Success, timeProvider.GetUtcNow());
        return context.WriteJsonAsync(
            new CallbackAnswer(reply.Signature, reply.TimeStamp, reply.Nonce, reply.Encrypt), CallbackAnswerJson.Default.CallbackAnswer);
    }

    /// <summary>
    /// The one value that all spellings of a parameter agree on. The Functions host folds a repeated parameter into one with commas.
    /// </summary>
    private static string? OnlyOne(params ReadOnlySpan<StringValues> spellings)
    {
        string? only = null;
        foreach (var spelling in spellings)
        {
            foreach (var value in spelling)
            {
                foreach (var part in (value ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries))
                {
                    if (only is not null && !only.Equals(part, StringComparison.Ordinal))
                    {
                        return null;
                    }

                    only = part;
                }
            }
        }

        return only;
    }

    private bool IsFresh(string timestamp) =>
        PushedAt(timestamp) is { } pushedAt && (timeProvider.GetUtcNow() - pushedAt).Duration() <= options.DingTalkTolerance;

    /// <summary>Milliseconds since 1970 in 13 digits, or seconds in 10: DingTalk's own examples have both.</summary>
    private static DateTimeOffset? PushedAt(string? timestamp) =>
        timestamp is { Length: SecondsDigits or MillisecondsDigits } && long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var value)
            ? DateTimeOffset.FromUnixTimeMilliseconds(timestamp.Length == SecondsDigits ? value * 1000 : value)
            : null;

    /// <summary>The text <c>encrypt</c> of the outer object, or <see langword="null"/> when it is not such an object.</summary>
    private static string? ReadEncrypt(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
        string? encrypt = null;
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return null;
            }

            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var found = reader.ValueTextEquals("encrypt"u8);
                reader.Read();
                if (found)
                {
                    if (encrypt is not null || reader.TokenType != JsonTokenType.String)
                    {
                        return null;
                    }

                    encrypt = reader.GetString();
                }

                reader.Skip();
            }

            return reader.Read() ? null : encrypt;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: bytes that are no UTF-8, or half of a surrogate pair.
            return null;
        }
    }

    private sealed record Callback(DingTalkTenant Tenant, DingTalkCallbackCrypto Crypto);

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "Delivery {DeliveryId} of DingTalk tenant {Tenant} accepted: {Events} events, duplicate {Duplicate}")]
        public static partial void Accepted(ILogger logger, string deliveryId, string tenant, int events, bool duplicate);

        [LoggerMessage(2, LogLevel.Warning, "A callback for DingTalk tenant {Tenant} was refused: {Verdict}")]
        public static partial void NotOpened(ILogger logger, string tenant, DingTalkCallbackVerdict verdict);

        [LoggerMessage(3, LogLevel.Warning, "A callback for DingTalk tenant {Tenant} was refused: {Reason}")]
        public static partial void Refused(ILogger logger, string tenant, string reason);

        [LoggerMessage(4, LogLevel.Error, "An event of DingTalk tenant {Tenant} could not be stored")]
        public static partial void NotStored(ILogger logger, string tenant, Exception exception);
    }
}

/// <summary>The answer's JSON, whose names DingTalk compares exactly.</summary>
internal sealed record CallbackAnswer(
    [property: JsonPropertyName("msg_signature")] string Signature,
    [property: JsonPropertyName("timeStamp")] string TimeStamp,
    [property: JsonPropertyName("nonce")] string Nonce,
    [property: JsonPropertyName("encrypt")] string Encrypt);

[JsonSerializable(typeof(CallbackAnswer))]
internal sealed partial class CallbackAnswerJson : JsonSerializerContext;
