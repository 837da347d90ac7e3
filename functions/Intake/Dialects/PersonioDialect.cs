using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// Personio, webhooks of the API version 2: <c>{company_id, event_name, occurred_at, payload, meta}</c>, "dataless" on purpose, so that
/// every event is looked up. Personio wants its answer within 3 s and comes again after a 5xx for up to three days; after a 4xx it does
/// not. Source: developer.personio.de/v2.0/reference/webhooks.
/// </summary>
/// <remarks>
/// (k) The signature header's name and form stand on no page that could be read: <c>HrSources:{source}:SignatureHeader</c> names the
/// header (default <c>X-Personio-Signature</c>), hexadecimal HMAC-SHA-256 of the body, with or without <c>sha256=</c>. (k) Neither does
/// the inside of <c>payload</c>: the person's id is looked for in its usual places, and <c>HrSources:{source}:PersonPath</c>, a JSONPath,
/// names another.
/// </remarks>
public sealed class PersonioDialect : HmacDialect
{
    private static readonly string[][] PersonPaths =
    [
        ["payload", "person", "id"], ["payload", "person_id"], ["payload", "employment", "person", "id"], ["payload", "employment", "person_id"],
        ["payload", "employee_id"], ["payload", "employee", "id"],
    ];

    private readonly JsonPath? _personPath;

    /// <summary>The dialect with its usual settings.</summary>
    public PersonioDialect()
        : this("X-Personio-Signature", null)
    {
    }

    private PersonioDialect(string header, JsonPath? personPath)
    {
        _personPath = personPath;
        Scheme = new HmacScheme { SignatureHeader = header, Prefix = "sha256=", PrefixOptional = true };
    }

    /// <inheritdoc/>
    public override string Name => "personio";

    /// <inheritdoc/>
    public override bool RetriesAfter4xx => false;

    internal override HmacScheme Scheme { get; }

    /// <inheritdoc/>
    public override IHrDialect Configure(SettingsReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        return new PersonioDialect(reader.Text("SignatureHeader") ?? "X-Personio-Signature", JsonPath.Read(reader, "PersonPath"));
    }

    /// <inheritdoc/>
    public override HrReading Read(ReadOnlyMemory<byte> body, string source) => JsonFields.Read(body, root => Read(root, body, source));

    private HrReading Read(JsonElement root, ReadOnlyMemory<byte> body, string source)
    {
        if (root.Text("event_name") is not { } name)
        {
            return HrReading.Refused("/event_name", "must be a text");
        }

        if (!JsonFields.TryReadLooseTime(root.Text("occurred_at"), out var eventTime))
        {
            return HrReading.Refused("/occurred_at", "must be a time with seconds, between 2000 and 2200");
        }

        LookupHint? hint = name switch
        {
            "employment.terminated" => LookupHint.Left,
            "employment.updated" => LookupHint.Changed,
            "employment.started" => LookupHint.Returned,
            "person.deleted" or "employment.deleted" => LookupHint.Deleted,
            _ => null,
        };
        return hint is null
            ? new HrReading { EventTime = eventTime }
            : ThinEvents.Of(source, PersonOf(root, body, name), "/payload", hint.Value, eventTime);
    }

    private string? PersonOf(JsonElement root, ReadOnlyMemory<byte> body, string name)
    {
        if (_personPath is not null)
        {
            return JsonPayload.Parse(body) is { } payload ? _personPath.Text(payload) : null;
        }

        foreach (var path in PersonPaths)
        {
            if (root.IdText(path) is { } id)
            {
                return id;
            }
        }

        return name.StartsWith("person.", StringComparison.Ordinal) ? root.IdText("payload", "id") : null;
    }
}
