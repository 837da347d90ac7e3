using System.Text.Json;
using DingFlow.Messaging;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// HiBob, webhooks version 2: <c>Bob-Signature</c> is the base64 HMAC-SHA-512 of the body. There is no id and no signed time; the
/// event's <c>triggeredAt</c> tells one from another. It has no offset and is taken as UTC. HiBob itself asks receivers not to rely on the payload, so that
/// everything but the wish to revoke access at once is looked up. Lifecycle events come at midnight of the site's time zone on the
/// effective date. Source: apidocs.hibob.com, "Working with webhooks", "Employee data webhooks" and their reference pages.
/// </summary>
public sealed class HiBobDialect : HmacDialect
{
    /// <inheritdoc/>
    public override string Name => "hibob";

    internal override HmacScheme Scheme { get; } = new()
    {
        SignatureHeader = "Bob-Signature", Algorithm = MacAlgorithm.Sha512, Encoding = MacEncoding.Base64,
    };

    /// <summary>JSON, and the plain text of the ping.</summary>
    public override bool Accepts(string? contentType) =>
        contentType is null || base.Accepts(contentType) || contentType.StartsWith("text/plain", StringComparison.OrdinalIgnoreCase);

    /// <summary>When an address is entered, HiBob sends the text <c>Ping test</c>, then <c>{"text":"Ping test"}</c>, and wants 2xx.</summary>
    public override HrGreeting Recognise(ReadOnlySpan<byte> body)
    {
        var text = body.Trim(" \t\r\n"u8);
        return text.SequenceEqual("Ping test"u8) || text.SequenceEqual("\"Ping test\""u8)
            || text.SequenceEqual("{\"text\":\"Ping test\"}"u8) || text.SequenceEqual("{\"text\": \"Ping test\"}"u8)
            ? HrGreeting.Ping
            : HrGreeting.None;
    }

    /// <inheritdoc/>
    public override HrReading Read(ReadOnlyMemory<byte> body, string source) => JsonFields.Read(body, root => Read(root, source));

    private static HrReading Read(JsonElement root, string source)
    {
        if (root.Text("type") is not { } type)
        {
            return HrReading.Refused("/type", "must be a text");
        }

        if (!JsonFields.TryReadLooseTime(root.Text("triggeredAt"), out var eventTime))
        {
            return HrReading.Refused("/triggeredAt", "must be a time with seconds, between 2000 and 2200");
        }

        LookupHint? hint = type switch
        {
            "employee.left" => LookupHint.Left,
            "employee.access.revoked.immediately" => LookupHint.AccessRevoked,
            "employee.inactivated" => LookupHint.Inactive,
            "employee.activated" or "employee.joined" => LookupHint.Returned,
            "employee.deleted" => LookupHint.Deleted,
            // A termination that is entered ahead of its day, moved, or taken back.
            "table.entry.created" or "table.entry.updated" when root.Text("data", "tableId") == "lifecycle" => LookupHint.Changed,
            _ => null,
        };
        return hint is null
            ? new HrReading { EventTime = eventTime }
            : ThinEvents.Of(source, root.IdText("data", "employeeId") ?? root.IdText("data", "employee", "id"), "/data/employeeId", hint.Value, eventTime);
    }
}
