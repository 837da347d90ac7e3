using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// Gusto: the header <c>X-Gusto-Signature</c> (written <c>x_gusto_signature</c> in its guide; <c>HrSources:{source}:SignatureHeader</c>
/// names another) is the HMAC-SHA-256 of the body. The key is the subscription's verification token. (k) It is hexadecimal: the guide
/// does not say, those who receive it do. Events are thin and have an id, <c>uuid</c>. Gusto comes again up to 16 times.
/// Source: docs.gusto.com, "Webhooks" and "Employee Events".
/// </summary>
/// <remarks>
/// The handshake: when a subscription is made, Gusto posts <c>{"verification_token":"…"}</c>, which nothing signs, since the token is the
/// secret to come. With <c>HrSources:{source}:Handshake</c> it is accepted and kept encrypted, and an administrator fetches it
/// (<c>GET hr/{source}/handshake</c>), confirms the subscription with it and enters it as the secret.
/// </remarks>
public sealed class GustoDialect : HmacDialect
{
    private const string UsualHeader = "X-Gusto-Signature";
    private const int MaxHandshakeBytes = 1024;
    private readonly bool _handshake;

    /// <summary>The dialect with its usual settings.</summary>
    public GustoDialect()
        : this(UsualHeader, handshake: false)
    {
    }

    private GustoDialect(string header, bool handshake)
    {
        _handshake = handshake;
        Scheme = new HmacScheme { SignatureHeader = header };
    }

    /// <inheritdoc/>
    public override string Name => "gusto";

    /// <summary>While the handshake is awaited there is no secret yet.</summary>
    public override bool NeedsSecrets => !_handshake;

    internal override HmacScheme Scheme { get; }

    /// <inheritdoc/>
    public override IHrDialect Configure(SettingsReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        return new GustoDialect(reader.Text("SignatureHeader") ?? UsualHeader, reader.Boolean("Handshake", false));
    }

    /// <inheritdoc/>
    public override HrGreeting Recognise(ReadOnlySpan<byte> body) => _handshake && TokenOf(body) is not null ? HrGreeting.Token : HrGreeting.None;

    /// <summary>The token of a handshake, or <see langword="null"/> when the body is none.</summary>
    public static string? TokenOf(ReadOnlySpan<byte> body)
    {
        if (body.Length > MaxHandshakeBytes || body.IndexOf("\"verification_token\""u8) < 0)
        {
            return null;
        }

        string? token = null;
        JsonFields.Read(body.ToArray(), root =>
        {
            token = root.EnumerateObject().Count() == 1 ? root.Text("verification_token") : null;
            return new HrReading();
        });
        return token is { Length: >= 8 and <= 128 } && token.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_') ? token : null;
    }

    /// <inheritdoc/>
    public override HrReading Read(ReadOnlyMemory<byte> body, string source) => JsonFields.Read(body, root => Read(root, source));

    private static HrReading Read(JsonElement root, string source)
    {
        if (root.Text("event_type") is not { } type)
        {
            return HrReading.Refused("/event_type", "must be a text");
        }

        if (root.Find("timestamp") is not { ValueKind: JsonValueKind.Number } number || !number.TryGetInt64(out var seconds)
            || !JsonFields.TryReadEpoch(seconds, out var eventTime))
        {
            return HrReading.Refused("/timestamp", "must be seconds since 1970, between 2000 and 2200");
        }

        var id = root.IdText("uuid");
        if (id is not null && !StandardWebhooks.IsId(id))
        {
            return HrReading.Refused("/uuid", "must be an id of at most 128 characters");
        }

        LookupHint? hint = type switch
        {
            "employee.terminated" => LookupHint.Leaving,
            // The guide and the change log name it differently.
            "employee.terminated_effective" or "employee.termination_effective" => LookupHint.Left,
            "employee.termination_cancelled" => LookupHint.LeaveCancelled,
            "employee.rehired" or "employee.rehire_effective" => LookupHint.Returned,
            "employee.rehire_cancelled" => LookupHint.Changed,
            "employee.deleted" => LookupHint.Deleted,
            _ => null,
        };
        return hint is null
            ? new HrReading { EventTime = eventTime, SenderId = id }
            : ThinEvents.Of(source, root.IdText("entity_uuid"), "/entity_uuid", hint.Value, eventTime, id);
    }
}
