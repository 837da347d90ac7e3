using System.Buffers;
using System.Text;
using System.Text.Json;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;

namespace DingFlow.Signals;

/// <summary>Words what we tell as the claims of a Security Event Token (RFC 8417, SSF 1.0 section 4: no <c>exp</c>, no <c>sub</c>).</summary>
internal static class SetClaims
{
    /// <summary>
    /// A RISC event about an account. RISC gives it no time of its own, and members that it does not know would need a URI for a name:
    /// <c>toe</c> says when it happened, <c>txn</c> which case it was.
    /// </summary>
    public static string OfAccount(
        string issuer, string audience, string jti, AccountSignalKind kind, DateTimeOffset issuedAt, DateTimeOffset occurredAt, string caseId,
        Action<Utf8JsonWriter> subject) => Write(issuer, audience, jti, issuedAt, writer =>
        {
            writer.WriteNumber("toe"u8, occurredAt.ToUnixTimeSeconds());
            writer.WriteString("txn"u8, caseId);
            writer.WritePropertyName("sub_id"u8);
            subject(writer);
            writer.WriteStartObject("events"u8);
            writer.WriteStartObject(kind == AccountSignalKind.Disabled ? SsfEvents.AccountDisabled : SsfEvents.AccountEnabled);
            writer.WriteEndObject();
            writer.WriteEndObject();
        });

    /// <summary>The short name of the event.</summary>
    public static string NameOf(AccountSignalKind kind) => kind == AccountSignalKind.Disabled ? "account-disabled" : "account-enabled";

    /// <summary>A verification event (SSF 1.0 section 8.1.4.1).</summary>
    public static string OfVerification(string issuer, string audience, string jti, DateTimeOffset issuedAt, string streamId, string? state) =>
        Write(issuer, audience, jti, issuedAt, writer =>
        {
            writer.WriteStartObject("sub_id"u8);
            writer.WriteString("format"u8, "opaque"u8);
            writer.WriteString("id"u8, streamId);
            writer.WriteEndObject();
            writer.WriteStartObject("events"u8);
            writer.WriteStartObject(SsfEvents.Verification);
            if (state is not null)
            {
                writer.WriteString("state"u8, state);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        });

    /// <summary>A subject by e-mail address.</summary>
    public static Action<Utf8JsonWriter> Email(string email) => writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("format"u8, "email"u8);
        writer.WriteString("email"u8, email);
        writer.WriteEndObject();
    };

    /// <summary>A subject by the number that the issuer knows.</summary>
    public static Action<Utf8JsonWriter> IssuerSubject(string issuer, string subject) => writer =>
    {
        writer.WriteStartObject();
        writer.WriteString("format"u8, "iss_sub"u8);
        writer.WriteString("iss"u8, issuer);
        writer.WriteString("sub"u8, subject);
        writer.WriteEndObject();
    };

    private static string Write(string issuer, string audience, string jti, DateTimeOffset issuedAt, Action<Utf8JsonWriter> rest)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteString("iss"u8, issuer);
            writer.WriteString("aud"u8, audience);
            writer.WriteNumber("iat"u8, issuedAt.ToUnixTimeSeconds());
            writer.WriteString("jti"u8, jti);
            rest(writer);
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
