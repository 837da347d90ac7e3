using System.Text.Json;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// BambooHR: <c>X-BambooHR-Signature</c> is the hexadecimal HMAC-SHA-256 of the raw body followed by the text of
/// <c>X-BambooHR-Timestamp</c>, the time of the attempt; nothing stands between them. Bodies are the event-based ones, as JSON or as a
/// form, and the field-based ones as JSON. All of them are thin. BambooHR does not come again after a 4xx, and five times after a 5xx
/// (5 to 80 minutes apart). Source: documentation.bamboohr.com, "Webhooks" and "Event-Based Webhooks".
/// </summary>
/// <remarks>
/// An update concerns employment when <c>changedFields</c> names one of <c>HrSources:{source}:EmploymentFields</c>, or names nothing;
/// other updates need no work.
/// </remarks>
public sealed class BambooHrDialect : HmacDialect
{
    private const int MaxEmployees = 500;

    private static readonly string[] UsualFields =
        ["status", "employmentHistoryStatus", "employmentStatus", "employeeStatusDate", "terminationDate", "terminationType", "hireDate", "originalHireDate"];

    private readonly HashSet<string> _employmentFields;

    /// <summary>The dialect with its usual settings.</summary>
    public BambooHrDialect()
        : this(UsualFields, StandardWebhooks.Tolerance)
    {
    }

    private BambooHrDialect(IEnumerable<string> employmentFields, TimeSpan tolerance)
    {
        _employmentFields = new HashSet<string>(employmentFields, StringComparer.OrdinalIgnoreCase);
        Scheme = new HmacScheme
        {
            SignatureHeader = "X-BambooHR-Signature", TimestampHeader = "X-BambooHR-Timestamp", Tolerance = tolerance, Content = "{body}{timestamp}",
        };
    }

    /// <inheritdoc/>
    public override string Name => "bamboohr";

    /// <inheritdoc/>
    public override string BodyForms => "JSON or a form";

    /// <inheritdoc/>
    public override bool RetriesAfter4xx => false;

    internal override HmacScheme Scheme { get; }

    /// <inheritdoc/>
    public override IHrDialect Configure(SettingsReader reader)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var fields = reader.List("EmploymentFields");
        return new BambooHrDialect(fields.Count == 0 ? UsualFields : fields, ReadTolerance(reader));
    }

    /// <inheritdoc/>
    public override bool Accepts(string? contentType) => HttpBodies.IsJson(contentType) || FormFields.IsForm(contentType);

    /// <inheritdoc/>
    public override HrReading Read(ReadOnlyMemory<byte> body, string source) =>
        body.Span.TrimStart(" \t\r\n"u8) is [(byte)'{', ..] ? JsonFields.Read(body, root => ReadJson(root, source)) : ReadForm(body, source);

    private HrReading ReadJson(JsonElement root, string source)
    {
        DateTimeOffset? eventTime = null;
        if (root.Find("timestamp") is not null)
        {
            if (!JsonFields.TryReadLooseTime(root.Text("timestamp"), out var time))
            {
                return HrReading.Refused("/timestamp", PersonFields.TimeRule);
            }

            eventTime = time;
        }

        if (root.Find("employees") is { ValueKind: JsonValueKind.Array } employees)
        {
            return ReadFieldBased(employees, source, eventTime);
        }

        if (root.Text("type") is not { } type)
        {
            return HrReading.Refused("/type", "must be a text");
        }

        var changed = root.Find("data", "changedFields") is { ValueKind: JsonValueKind.Array } fields
            ? fields.EnumerateArray().Select(PersonFields.TextOf).OfType<string>().ToList()
            : [];
        return HintOf(type, changed) is { } hint
            ? ThinEvents.Of(source, root.IdText("data", "employeeId"), "/data/employeeId", hint, eventTime)
            : new HrReading { EventTime = eventTime };
    }

    /// <summary>The older form: <c>{"employees":[{"id":"1","action":"Updated","changedFields":[…],"timestamp":…}]}</c>.</summary>
    private HrReading ReadFieldBased(JsonElement employees, string source, DateTimeOffset? eventTime)
    {
        if (employees.GetArrayLength() > MaxEmployees)
        {
            return HrReading.Refused("/employees", "may hold 500 employees");
        }

        var events = new List<PersonEvent>();
        var index = 0;
        foreach (var employee in employees.EnumerateArray())
        {
            var occurredAt = JsonFields.TryReadLooseTime(employee.Text("timestamp"), out var time) ? time : eventTime;
            eventTime ??= occurredAt;
            var changed = employee.Find("changedFields") is { ValueKind: JsonValueKind.Array } fields
                ? fields.EnumerateArray().Select(PersonFields.TextOf).OfType<string>().ToList()
                : [];
            var action = employee.Text("action") ?? "Updated";
            if (HintOf($"employee.{action}", changed) is { } hint)
            {
                if (employee.IdText("id") is not { } id || !PersonFields.IsEmployeeId(id))
                {
                    return HrReading.Refused(System.FormattableString.Invariant($"/employees/{index}/id"), PersonFields.EmployeeIdRule);
                }

                events.Add(ThinEvents.Event(source, id, hint, occurredAt));
            }

            index++;
        }

        return new HrReading { Events = events, EventTime = eventTime };
    }

    private HrReading ReadForm(ReadOnlyMemory<byte> body, string source)
    {
        if (FormFields.Parse(body.Span) is not { } form || form.Find("type") is not { } type)
        {
            return HrReading.Refused("", "The body must be the form of an event-based webhook, with 'type' and 'data[employeeId]'.");
        }

        // The documented form has no time. Without one, the time of the attempt stands in for it.
        DateTimeOffset? eventTime = JsonFields.TryReadLooseTime(form.Find("timestamp"), out var time) ? time : null;
        return HintOf(type, [.. form.FindAll("data[changedFields]")]) is { } hint
            ? ThinEvents.Of(source, form.Find("data[employeeId]"), "data[employeeId]", hint, eventTime)
            : new HrReading { EventTime = eventTime };
    }

    private LookupHint? HintOf(string type, List<string> changed) => type.ToUpperInvariant() switch
    {
        "EMPLOYEE.DELETED" => LookupHint.Deleted,
        "EMPLOYEE.UPDATED" when changed.Count == 0 || changed.Exists(_employmentFields.Contains) => LookupHint.Changed,
        _ => null,
    };
}
