using System.Text.Json;
using System.Text.Unicode;
using DingFlow.Hosting;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Intake;

/// <summary>
/// DingFlow's own dialect: the envelope and signatures of Standard Webhooks 1.0.0, with <c>employee.terminated</c>,
/// <c>employee.termination_cancelled</c> and <c>employee.rehired</c>. Events of other types are accepted and kept, and need no work.
/// Properties that are not known are passed over.
/// </summary>
public sealed class StandardDialect : IHrDialect
{
    private const int MaxDepth = 32;
    private const int MaxTypeLength = 128;

    private static readonly HmacScheme Scheme =
        SchemeOf(StandardWebhooks.IdHeader, StandardWebhooks.TimestampHeader, StandardWebhooks.SignatureHeader);

    private static readonly JsonDocumentOptions JsonOptions = new() { MaxDepth = MaxDepth, AllowDuplicateProperties = false };

    /// <inheritdoc/>
    public string Name => "standard";

    /// <inheritdoc/>
    public byte[]? ReadSecret(SettingsReader reader, string name)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var text = reader.Required(name);
        if (text.Length == 0)
        {
            return null;
        }

        var secret = StandardWebhooks.DecodeSecret(text);
        if (secret is null)
        {
            reader.Fault(name, StandardWebhooks.SecretRule);
        }

        return secret;
    }

    /// <inheritdoc/>
    public HrVerification Verify(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        StandardWebhooks.Verify(headers, body, secrets, now);

    /// <inheritdoc/>
    public IReadOnlyList<HrFinding> Diagnose(IHeaderDictionary headers, ReadOnlyMemory<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        SignatureDiagnosis.Of(Scheme, headers, body, secrets, now);

    /// <summary>The signatures of Standard Webhooks under given header names.</summary>
    internal static HmacScheme SchemeOf(string id, string timestamp, string signature) => new()
    {
        SignatureHeader = signature,
        Encoding = MacEncoding.Base64,
        Prefix = "v1,",
        Separator = ' ',
        IdHeader = id,
        TimestampHeader = timestamp,
        Content = "{id}.{timestamp}.{body}",
    };

    /// <inheritdoc/>
    public HrReading Read(ReadOnlyMemory<byte> body, string source)
    {
        if (!Utf8.IsValid(body.Span))
        {
            return HrReading.Refused("", "The body is not UTF-8.");
        }

        try
        {
            using var document = JsonDocument.Parse(body, JsonOptions);
            return ReadEnvelope(document.RootElement, source);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // InvalidOperationException: half of a surrogate pair in a property's name.
            return HrReading.Refused("", "The body is not JSON as it is accepted here: well-formed, at most 32 levels deep, no property twice.");
        }
    }

    private static HrReading ReadEnvelope(JsonElement root, string source)
    {
        if (root.ValueKind != JsonValueKind.Object)
        {
            return HrReading.Refused("", "The body must be a JSON object.");
        }

        if (!root.TryGetProperty("type"u8, out var typeElement) || PersonFields.TextOf(typeElement) is not { Length: > 0 and <= MaxTypeLength } type)
        {
            return HrReading.Refused("/type", "must be a text of 1 to 128 characters");
        }

        DateTimeOffset? eventTime = null;
        if (Find(root, "timestamp"u8) is { } timeElement)
        {
            if (!PersonFields.TryReadTime(PersonFields.TextOf(timeElement), out var time))
            {
                return HrReading.Refused("/timestamp", PersonFields.TimeRule);
            }

            eventTime = time;
        }

        PersonEventKind? kind = type switch
        {
            "employee.terminated" => PersonEventKind.Terminated,
            "employee.termination_cancelled" => PersonEventKind.TerminationCancelled,
            "employee.rehired" => PersonEventKind.Rehired,
            _ => null,
        };
        if (kind is null)
        {
            return new HrReading { EventTime = eventTime };
        }

        return Find(root, "data"u8) is { ValueKind: JsonValueKind.Object } data
            ? ReadPerson(data, kind.Value, source, eventTime)
            : HrReading.Refused("/data", "must be an object");
    }

    private static HrReading ReadPerson(JsonElement data, PersonEventKind kind, string source, DateTimeOffset? eventTime)
    {
        var (employeeId, email, userId, reason) = (Find(data, "employeeId"u8), Find(data, "email"u8), Find(data, "dingTalkUserId"u8), Find(data, "reason"u8));
        var (effectiveAt, immediate, zone, dryRun) =
            (Find(data, "effectiveAt"u8), Find(data, "immediate"u8), Find(data, "timeZone"u8), Find(data, "dryRun"u8));
        DateTimeOffset effective = default;
        TimeZoneInfo? timeZone = null;
        var fault =
            employeeId is { } a && !PersonFields.IsEmployeeId(PersonFields.TextOf(a)) ? new HrFault("/data/employeeId", PersonFields.EmployeeIdRule)
            : email is { } b && !PersonFields.IsEmail(PersonFields.TextOf(b)) ? new HrFault("/data/email", PersonFields.EmailRule)
            : userId is { } c && !PersonFields.IsUserId(PersonFields.TextOf(c)) ? new HrFault("/data/dingTalkUserId", PersonFields.UserIdRule)
            : employeeId is null && email is null && userId is null ? new HrFault("/data", "needs employeeId, email or dingTalkUserId")
            : zone is { } z && !(PersonFields.TextOf(z) is { Length: > 0 } zoneId && TimeZoneInfo.TryFindSystemTimeZoneById(zoneId, out timeZone))
                ? new HrFault("/data/timeZone", "must be the name of a time zone, such as Asia/Macau")
            : effectiveAt is { } d && !TryReadEffective(PersonFields.TextOf(d), timeZone, out effective)
                ? new HrFault("/data/effectiveAt", $"{PersonFields.TimeRule}, or with /data/timeZone a day such as 2026-11-30")
            : dryRun is { ValueKind: not (JsonValueKind.True or JsonValueKind.False) } ? new HrFault("/data/dryRun", "must be true or false")
            : immediate is { ValueKind: not (JsonValueKind.True or JsonValueKind.False) } ? new HrFault("/data/immediate", "must be true or false")
            : reason is { } e && (PersonFields.TextOf(e) is not { } text || !PersonFields.IsReason(text)) ? new HrFault("/data/reason", PersonFields.ReasonRule)
            : null;
        if (fault is not null)
        {
            return new HrReading { Fault = fault };
        }

        return new HrReading
        {
            EventTime = eventTime,
            Events =
            [
                new PersonEvent
                {
                    Kind = kind,
                    Source = source,
                    EmployeeId = employeeId?.GetString(),
                    Email = email?.GetString(),
                    DingTalkUserId = userId?.GetString(),
                    EffectiveAt = effectiveAt is null ? null : effective,
                    Immediate = immediate is { ValueKind: JsonValueKind.True },
                    Reason = reason?.GetString(),
                    OccurredAt = eventTime,
                    DryRun = dryRun is { ValueKind: JsonValueKind.True },
                },
            ],
        };
    }

    /// <summary>A moment; or a day, which takes effect when it begins where the person works.</summary>
    private static bool TryReadEffective(string? text, TimeZoneInfo? zone, out DateTimeOffset effective)
    {
        if (zone is not null && LocalDays.TryReadDay(text, out var day))
        {
            effective = new LocalDays { Zone = zone }.MomentOf(day);
            return true;
        }

        return PersonFields.TryReadTime(text, out effective);
    }

    /// <summary>A property that is there and not <c>null</c>.</summary>
    private static JsonElement? Find(JsonElement element, ReadOnlySpan<byte> name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
}
