using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
using Newtonsoft.Json.Linq;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// Where in a body the facts stand, as JSONPaths: <c>Map:Id</c>, <c>Map:Kind</c>, <c>Map:OccurredAt</c>, <c>Map:EmployeeId</c>,
/// <c>Map:Email</c>, <c>Map:DingTalkUserId</c>, <c>Map:EffectiveAt</c>, <c>Map:Immediate</c>, <c>Map:Reason</c>. With <c>Map:Events</c> a
/// body holds several events, and all but the id and the time are looked for in each of them. Times are RFC 3339, seconds or milliseconds
/// since 1970, or days (<see cref="LocalDays"/>).
/// </summary>
internal sealed class PayloadMap
{
    private const int MaxEvents = 500;
    private readonly Dictionary<string, JsonPath?> _paths;
    private readonly KindMap _kinds;
    private readonly PersonEventKind? _always;
    private readonly LocalDays _days;

    private PayloadMap(Dictionary<string, JsonPath?> paths, KindMap kinds, PersonEventKind? always, LocalDays days) =>
        (_paths, _kinds, _always, _days) = (paths, kinds, always, days);

    private static string[] Names => ["Id", "Kind", "OccurredAt", "Events", "EmployeeId", "Email", "DingTalkUserId", "EffectiveAt", "Immediate", "Reason"];

    /// <summary>Something in the body tells one event of a person from the next.</summary>
    public bool TellsEventsApart => _paths["Id"] is not null || _paths["OccurredAt"] is not null;

    /// <summary>Nothing is mapped.</summary>
    public static PayloadMap None { get; } = new(Names.ToDictionary(static n => n, static _ => (JsonPath?)null), KindMap.Standard, null, new LocalDays { Zone = TimeZoneInfo.Utc });

    /// <summary>Reads the map; what is wrong is added to the faults.</summary>
    public static PayloadMap Read(SettingsReader reader, KindMap usualKinds, IReadOnlyDictionary<string, string>? defaults = null)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var section = reader.Section("Map");
        var paths = Names.ToDictionary(static n => n, n => JsonPath.Read(section, n, defaults?.GetValueOrDefault(n)), StringComparer.Ordinal);
        PersonEventKind? always = reader.Text("Kinds:Always") is null ? null : reader.Choice("Kinds:Always", PersonEventKind.Terminated);
        if (always is PersonEventKind.LeftOrganisation or PersonEventKind.Unresolved)
        {
            reader.Fault("Kinds:Always", "must be one of terminated, terminationCancelled, rehired");
        }

        if (section.Text("Kind") is null && defaults?.ContainsKey("Kind") != true && always is null)
        {
            section.Fault("Kind", "is missing: a JSONPath to what happened, or Kinds:Always for senders that tell of one thing only");
        }

        if (paths["EmployeeId"] is null && paths["Email"] is null && paths["DingTalkUserId"] is null)
        {
            section.Fault("EmployeeId", "is missing, and so are Map:Email and Map:DingTalkUserId: nobody could be found");
        }

        return new PayloadMap(paths, KindMap.Read(reader, usualKinds), always, LocalDays.Read(reader));
    }

    /// <summary>Reads a body.</summary>
    public HrReading Read(JObject root, string source)
    {
        string? senderId = null;
        if (_paths["Id"] is { } idPath)
        {
            senderId = idPath.Text(root);
            if (senderId is null || !StandardWebhooks.IsId(senderId))
            {
                return HrReading.Refused("Map:Id", "must lead to an id of at most 128 letters, digits and '-_.:~+/=|'");
            }
        }

        DateTimeOffset? occurredAt = null;
        if (_paths["OccurredAt"]?.Find(root) is { } timeToken)
        {
            if (!TryReadMoment(timeToken, out var time))
            {
                return HrReading.Refused("Map:OccurredAt", PersonFields.TimeRule);
            }

            occurredAt = time;
        }

        if (senderId is null && occurredAt is null && _paths["OccurredAt"] is not null)
        {
            return HrReading.Refused("Map:OccurredAt", "must lead to a time");
        }

        var found = _paths["Events"]?.FindAll(root, MaxEvents + 1) ?? [root];
        if (found is [JArray list])
        {
            found = [.. list.Take(MaxEvents + 1)];
        }

        if (found.Count > MaxEvents)
        {
            return HrReading.Refused("Map:Events", "may lead to 500 events");
        }

        var people = new List<PersonEvent>();
        foreach (var one in found)
        {
            if (ReadPerson(one, source, occurredAt, people) is { } fault)
            {
                return new HrReading { Fault = fault };
            }
        }

        return new HrReading { SenderId = senderId, EventTime = occurredAt, Events = people };
    }

    private HrFault? ReadPerson(JToken one, string source, DateTimeOffset? occurredAt, List<PersonEvent> people)
    {
        var kind = _always;
        if (_paths["Kind"] is { } kindPath)
        {
            if (kindPath.Text(one) is not { } word)
            {
                return new HrFault("Map:Kind", "leads to nothing");
            }

            kind = _kinds.KindOf(word);
        }

        if (kind is null)
        {
            return null;
        }

        var (employeeId, email, userId) = (TextAt("EmployeeId", one), TextAt("Email", one), TextAt("DingTalkUserId", one));
        var (reason, immediate) = (TextAt("Reason", one), TextAt("Immediate", one));
        DateTimeOffset effective = default;
        var effectiveToken = _paths["EffectiveAt"]?.Find(one);
        var fault =
            employeeId is not null && !PersonFields.IsEmployeeId(employeeId) ? new HrFault("Map:EmployeeId", PersonFields.EmployeeIdRule)
            : email is not null && !PersonFields.IsEmail(email) ? new HrFault("Map:Email", PersonFields.EmailRule)
            : userId is not null && !PersonFields.IsUserId(userId) ? new HrFault("Map:DingTalkUserId", PersonFields.UserIdRule)
            : employeeId is null && email is null && userId is null ? new HrFault("Map", "none of EmployeeId, Email and DingTalkUserId leads to anything")
            : effectiveToken is not null && !TryReadMoment(effectiveToken, out effective) ? new HrFault("Map:EffectiveAt", $"{PersonFields.TimeRule}, or a day")
            : immediate is not (null or "true" or "false" or "1" or "0") ? new HrFault("Map:Immediate", "must be true or false")
            : null;
        if (fault is null)
        {
            people.Add(new PersonEvent
            {
                Kind = kind.Value,
                Source = source,
                EmployeeId = employeeId,
                Email = email,
                DingTalkUserId = userId,
                EffectiveAt = effectiveToken is null ? null : effective,
                Immediate = immediate is "true" or "1",
                // A reason is a courtesy: one that cannot be kept must not lose a leaver.
                Reason = reason is not null && PersonFields.IsReason(reason) ? reason : null,
                OccurredAt = occurredAt,
            });
        }

        return fault;
    }

    private string? TextAt(string name, JToken one) => _paths[name]?.Text(one) is { Length: > 0 } text ? text : null;

    private bool TryReadMoment(JToken token, out DateTimeOffset moment)
    {
        moment = default;
        switch (token)
        {
            case JValue { Type: JTokenType.Integer, Value: long number }:
                return JsonFields.TryReadEpoch(number, out moment);
            case JValue { Type: JTokenType.String } value:
                var text = ((string)value!).Trim();
                if (LocalDays.TryReadDay(text, out var day))
                {
                    moment = _days.MomentOf(day);
                    return true;
                }

                return long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var digits)
                    ? JsonFields.TryReadEpoch(digits, out moment)
                    : PersonFields.TryReadTime(text, out moment);
            default:
                return false;
        }
    }
}
