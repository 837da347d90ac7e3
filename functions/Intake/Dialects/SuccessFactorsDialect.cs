using System.Globalization;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// SAP SuccessFactors: Event Notification subscriptions and Intelligent Services post a SOAP <c>ExternalEvent</c> and want an
/// <c>ExternalEventResponse</c>. Nothing is signed: the sender shows itself by Basic authentication or by its client certificate
/// (<see cref="SenderCredentials"/>). <c>effective</c> is <c>current</c> or <c>future</c>; a future event counts from its
/// <c>effectiveStartDate</c>, a day in the zone <c>TimeZone</c>. An event posted again by an administrator (<c>repost</c>) is a delivery
/// of its own. Sources: blogs.sap.com 2021/08/17 "Using SuccessFactors Event Notification Subscriptions versus Intelligent Services
/// Centre" for the message; public listeners for the answer.
/// </summary>
/// <remarks>
/// Types are known by their last word: <c>Termination</c> and <c>ReHire</c>. (k) Which event calls a termination off depends on the
/// company's rules: <c>Kinds:Terminated</c>, <c>Kinds:TerminationCancelled</c> and <c>Kinds:Rehired</c> name types in full or by their end.
/// </remarks>
public sealed class SuccessFactorsDialect : IHrDialect
{
    private const int MaxEvents = 500;
    private readonly SenderCredentials _credentials;
    private readonly LocalDays _days;
    private readonly KindMap _kinds;
    private readonly IReadOnlyList<string> _personKeys;

    /// <summary>The dialect with its usual settings and nobody to accept.</summary>
    public SuccessFactorsDialect()
        : this(SenderCredentials.None, new LocalDays { Zone = TimeZoneInfo.Utc }, KindMap.SuccessFactors, UsualPersonKeys)
    {
    }

    private SuccessFactorsDialect(SenderCredentials credentials, LocalDays days, KindMap kinds, IReadOnlyList<string> personKeys) =>
        (_credentials, _days, _kinds, _personKeys) = (credentials, days, kinds, personKeys);

    /// <inheritdoc/>
    public string Name => "successfactors";

    /// <inheritdoc/>
    public bool NeedsSecrets => !_credentials.HasCertificates;

    /// <inheritdoc/>
    public string BodyForms => "XML";

    private static IReadOnlyList<string> UsualPersonKeys => ["personIdExternal", "userId"];

    /// <inheritdoc/>
    public IHrDialect Configure(SettingsReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var keys = reader.List("PersonKeys");
        return new SuccessFactorsDialect(
            SenderCredentials.Read(reader), LocalDays.Read(reader), KindMap.Read(reader, KindMap.SuccessFactors), keys.Count == 0 ? UsualPersonKeys : keys);
    }

    /// <inheritdoc/>
    public byte[]? ReadSecret(SettingsReader reader, string name) => SenderCredentials.ReadSecret(reader, name);

    /// <inheritdoc/>
    public bool Accepts(string? contentType) => XmlPayload.IsXml(contentType);

    /// <inheritdoc/>
    public HrVerification Verify(IHeaderDictionary headers, ReadOnlySpan<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        _credentials.Verify(headers, secrets, now);

    /// <inheritdoc/>
    public IReadOnlyList<HrFinding> Diagnose(IHeaderDictionary headers, ReadOnlyMemory<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now) =>
        _credentials.Diagnose(headers, secrets, now);

    /// <inheritdoc/>
    public HrReading Read(ReadOnlyMemory<byte> body, string source)
    {
        if (XmlPayload.Parse(body) is not { } root)
        {
            return HrReading.Refused("", XmlPayload.Rule);
        }

        if (root.Find("ExternalEvent") is not { } message || message.Children.Find(static c => c.Name == "externalEventMeta") is not { } meta)
        {
            return HrReading.Refused("ExternalEvent", "must be there, with externalEventMeta");
        }

        if (meta.TextOf("externalEventId") is not { } id || !StandardWebhooks.IsId(id))
        {
            return HrReading.Refused("externalEventId", "must be an id of at most 128 characters");
        }

        if (meta.TextOf("type") is not { } type)
        {
            return HrReading.Refused("type", "must be there");
        }

        if (!TryReadPublished(meta, out var publishedAt))
        {
            return HrReading.Refused("publishedAt", "must be milliseconds since 1970, between 2000 and 2200");
        }

        var repost = meta.TextOf("repost") is "true" or "1";
        var senderId = repost ? string.Create(CultureInfo.InvariantCulture, $"{id}:repost:{publishedAt.ToUnixTimeMilliseconds()}") : id;
        if (_kinds.KindOf(type) is not { } kind)
        {
            return new HrReading { EventTime = publishedAt, SenderId = senderId };
        }

        var events = message.ChildrenOf("events").Where(static c => c.Name == "event").ToList();
        if (events.Count is 0 or > MaxEvents)
        {
            return HrReading.Refused("events", "must hold 1 to 500 events");
        }

        var isFuture = string.Equals(meta.TextOf("effective"), "future", StringComparison.OrdinalIgnoreCase);
        var people = new List<PersonEvent>(events.Count);
        foreach (var one in events)
        {
            if (ReadPerson(one, kind, source, publishedAt, isFuture, people) is { } fault)
            {
                return new HrReading { Fault = fault };
            }
        }

        return new HrReading { EventTime = publishedAt, SenderId = senderId, Events = people };
    }

    /// <inheritdoc/>
    public HrAnswer? Acknowledge(InboxReceipt receipt, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(receipt);
        // The delivery's id is hexadecimal: nothing in here needs escaping.
        var envelope = $"""
            <?xml version="1.0" encoding="UTF-8"?>
            <S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"><S:Body><ns2:ExternalEventResponse xmlns:ns2="http://notification.event.successfactors.com"><ns2:responsePayload><ns2:entityId>{receipt.DeliveryId}</ns2:entityId><ns2:status>200</ns2:status><ns2:statusDate>{now.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture)}</ns2:statusDate><ns2:statusDetails>accepted</ns2:statusDetails></ns2:responsePayload></ns2:ExternalEventResponse></S:Body></S:Envelope>
            """;
        return new HrAnswer(StatusCodes.Status200OK, "text/xml; charset=utf-8", Encoding.UTF8.GetBytes(envelope));
    }

    private static bool TryReadPublished(XmlNodeLite meta, out DateTimeOffset publishedAt)
    {
        publishedAt = default;
        return meta.TextOf("publishedAt") is { } text
            && (long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                ? JsonFields.TryReadEpoch(number, out publishedAt)
                : JsonFields.TryReadLooseTime(text, out publishedAt));
    }

    private HrFault? ReadPerson(
        XmlNodeLite one, PersonEventKind kind, string source, DateTimeOffset publishedAt, bool isFuture, List<PersonEvent> people)
    {
        var keys = KeysOf(one);
        if (_personKeys.Select(name => keys.GetValueOrDefault(name)).FirstOrDefault(static key => key is not null) is not { } personId)
        {
            return new HrFault("entityKeys", $"must hold one of {string.Join(", ", _personKeys)}");
        }

        if (!PersonFields.IsEmployeeId(personId))
        {
            return new HrFault("entityKeys", PersonFields.EmployeeIdRule);
        }

        var email = keys.GetValueOrDefault("email");
        if (email is not null && !PersonFields.IsEmail(email))
        {
            return new HrFault("email", PersonFields.EmailRule);
        }

        DateOnly day = default;
        if (isFuture && !LocalDays.TryReadDay(one.TextOf("effectiveStartDate").AsSpan(), out day))
        {
            return new HrFault("effectiveStartDate", "must be a day yyyy-MM-dd when the event is effective in the future");
        }

        people.Add(new PersonEvent
        {
            Kind = kind,
            Source = source,
            EmployeeId = personId,
            Email = email,
            EffectiveAt = isFuture ? _days.MomentOf(day) : null,
            OccurredAt = publishedAt,
        });
        return null;
    }

    /// <summary>The entity's keys and the parameters that the subscription adds, by name.</summary>
    private static Dictionary<string, string> KeysOf(XmlNodeLite one)
    {
        var keys = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        foreach (var pair in one.ChildrenOf("params").Concat(one.ChildrenOf("entityKeys")))
        {
            if (pair.TextOf("name") is { } name && pair.TextOf("value") is { } value)
            {
                keys[name] = value;
            }
        }

        return keys;
    }
}
