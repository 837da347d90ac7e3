using System.Globalization;
using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;

namespace DingFlow.Signals;

/// <summary><c>GET signals/jwks.json</c>: the keys with which we sign (RFC 7517).</summary>
internal sealed class GetSignalKeys(SignalOptions options, SetSigner signer) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (!options.IsTransmitter)
        {
            await context.ProblemAsync(ProblemCode.NotFound, "This instance sends no signals.");
            return;
        }

        var keys = signer.PublicKeys();
        context.Response.Headers.CacheControl = "public, max-age=3600";
        (context.Response.ContentType, context.Response.ContentLength) = ("application/json", keys.Length);
        await context.Response.Body.WriteAsync(keys, context.RequestAborted);
    }
}

/// <summary>
/// <c>GET .well-known/ssf-configuration</c>: our metadata (SSF 1.0 section 7.1). Streams are made in the settings, so that there are no
/// endpoints to manage them.
/// </summary>
/// <remarks>
/// SSF puts the metadata of the issuer <c>https://host/api</c> at <c>https://host/.well-known/ssf-configuration/api</c>, which is outside
/// of the base path: a gateway can lead there, or the subscriber is given this address, or that of the keys.
/// </remarks>
internal sealed class GetSignalConfiguration(SignalOptions options) : IHttpFunction
{
    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (!options.IsTransmitter)
        {
            await context.ProblemAsync(ProblemCode.NotFound, "This instance sends no signals.");
            return;
        }

        context.Response.Headers.CacheControl = "public, max-age=3600";
        await context.WriteJsonAsync(
            new SignalConfiguration("1_0", options.Issuer, $"{options.Issuer.TrimEnd('/')}/signals/jwks.json", ["urn:ietf:rfc:8935"], "ALL"),
            SignalRouteJson.Default.SignalConfiguration);
    }
}

/// <summary>
/// <c>POST signals/subscribers/{name}/verify</c>: pushes a verification event (SSF 1.0 section 8.1.4) and tells what came of it, so that an
/// operator knows that a subscriber takes our tokens before somebody leaves.
/// </summary>
internal sealed class VerifySignalSubscriber(SignalOptions options, SetSigner signer, SignalPush push, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    private const int MaximumBody = 4 * 1024;
    private const int LongestState = 1024;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        if (options.Subscribers.FirstOrDefault(s => s.Name.Equals(context.Request.RouteValues["name"] as string, StringComparison.OrdinalIgnoreCase)) is not { } subscriber)
        {
            await context.ProblemAsync(ProblemCode.NotFound, "There is no such subscriber.");
            return;
        }

        if (await context.ReadBodyAsync(MaximumBody) is not { } body)
        {
            return;
        }

        string? state = null;
        if (body.Length > 0)
        {
            var reading = JsonFields.Read(body, root =>
            {
                state = root.Text("state");
                return new Intake.HrReading();
            });
            if (reading.Fault is not null || state?.Length > LongestState)
            {
                await context.ProblemAsync(ProblemCode.Malformed, "The body must be empty, or a JSON object with a state of at most 1024 characters.");
                return;
            }
        }

        var now = time.GetUtcNow();
        var attempt = await push.SendAsync(
            subscriber,
            signer.Sign(SetClaims.OfVerification(
                options.Issuer, subscriber.Audience, string.Create(CultureInfo.InvariantCulture, $"verify-{Guid.NewGuid():n}"), now, subscriber.Name, state)),
            context.RequestAborted);
        await trail.AppendAsync(
            new()
            {
                Kind = SignalsAudit.VerificationSent, Actor = context.AuditActor(), Payload = PayloadHash.Of(body.Span), RequestId = context.RequestId(),
                Outcome = attempt.IsDelivered ? AuditOutcome.Succeeded : AuditOutcome.Failed, On = new("subscriber", subscriber.Name),
            },
            context.RequestAborted);
        await context.WriteJsonAsync(new SignalVerification(subscriber.Name, attempt.IsDelivered, attempt.Detail), SignalRouteJson.Default.SignalVerification);
    }
}

/// <summary>The metadata of a transmitter, under the names of SSF 1.0.</summary>
internal sealed record SignalConfiguration(
    [property: JsonPropertyName("spec_version")] string SpecVersion,
    [property: JsonPropertyName("issuer")] string Issuer,
    [property: JsonPropertyName("jwks_uri")] string JwksUri,
    [property: JsonPropertyName("delivery_methods_supported")] IReadOnlyList<string> DeliveryMethodsSupported,
    [property: JsonPropertyName("default_subjects")] string DefaultSubjects);

/// <summary>What came of a verification event.</summary>
/// <param name="Subscriber">The subscriber.</param>
/// <param name="Delivered">It took the token.</param>
/// <param name="Detail">The status and its error code, or what kind of trouble.</param>
internal sealed record SignalVerification(string Subscriber, bool Delivered, string Detail);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SignalConfiguration))]
[JsonSerializable(typeof(SignalVerification))]
internal sealed partial class SignalRouteJson : JsonSerializerContext;
