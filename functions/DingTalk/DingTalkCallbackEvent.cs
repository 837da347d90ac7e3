using System.Globalization;
using System.Text;
using DingFlow.Messaging;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>
/// An event as it comes in a callback. Both wordings that DingTalk uses are read: <c>EventType</c>, <c>UserId</c>, <c>TimeStamp</c> as
/// they were seen on the wire, and <c>eventType</c>, <c>userId</c>, <c>EventTime</c> as documented; also both in one object.
/// </summary>
public sealed record DingTalkCallbackEvent
{
    /// <summary>HR's change of a person: 4 is the leave (open.dingtalk.com, "hrm_mdm_user_change").</summary>
    private const string LeaveChangeType = "4";

    private const int MaxDepth = 32;
    private const int MaxTypeLength = 128;
    private const int MaxIdLength = 128;
    private const int MaxUserIdLength = 64;
    private const int MaxRoleHolders = 15;

    private static readonly HashSet<string> VerificationTypes = new(StringComparer.Ordinal) { "check_url", "check_create_suite_url", "check_update_suite_url" };

    /// <summary>What it is, such as <c>user_leave_org</c>.</summary>
    public required string Type { get; init; }

    /// <summary>The event's id, the same for every retry; <see langword="null"/> where DingTalk sends none.</summary>
    public string? EventId { get; init; }

    /// <summary>The organisation, if it is named.</summary>
    public string? CorpId { get; init; }

    /// <summary>When it happened, if that is told.</summary>
    public DateTimeOffset? Time { get; init; }

    /// <summary>The user ids of those who left; none for any other event.</summary>
    public IReadOnlyList<string> Leavers { get; init; } = [];

    /// <summary>The leave was recorded in DingTalk's HR: whether it begins now or on a later day is not told.</summary>
    public bool IsRecordedInHr { get; init; }

    /// <summary>
    /// The user ids of those who were added, changed or activated their account, at most as many as one delivery may hold; none for any
    /// other event. What is left out, the daily reading of the contact list finds.
    /// </summary>
    public IReadOnlyList<string> Arrivals { get; init; } = [];

    /// <summary>The user ids of those whose resignation was agreed; the day on which they leave is not told.</summary>
    public IReadOnlyList<string> Resigned { get; init; } = [];

    /// <summary>The user ids of those whose administration or role changed; none for any other event.</summary>
    public IReadOnlyList<string> RoleHolders { get; init; } = [];

    /// <summary>The ids of the roles that changed (<c>label_user_change</c>).</summary>
    public IReadOnlyList<string> RoleIds { get; init; } = [];

    /// <summary>Whether administration or roles were given (<see langword="true"/>) or taken; <see langword="null"/> when it is not told.</summary>
    public bool? AreGiven { get; init; }

    /// <summary>The user id of who did it, where DingTalk tells (<c>OptStaffId</c>).</summary>
    public string? OperatorId { get; init; }

    /// <summary>It tells of leavers, but who they are cannot be read: a person has to look.</summary>
    public bool IsUnreadable { get; init; }

    /// <summary>DingTalk only tries whether the callback works; nothing happened.</summary>
    public bool IsVerification => VerificationTypes.Contains(Type);

    /// <summary>Reads a decrypted message, or <see langword="null"/> when it is no JSON object with an event type.</summary>
    public static DingTalkCallbackEvent? Parse(ReadOnlyMemory<byte> message)
    {
        if (Load(message) is not { } json || Text(json, "EventType", "eventType") is not { Length: > 0 and <= MaxTypeLength } type)
        {
            return null;
        }

        var users = type switch
        {
            "user_leave_org" => Texts(Find(json, "UserId", "userId")),
            "hrm_mdm_user_change" when Text(json, "ChangeType", "changeType") == LeaveChangeType => Texts(Find(json, "StaffId", "staffId")),
            _ => [],
        };
        var resigned = IsAgreedResignation(type, json) ? Texts(Find(json, "StaffId", "staffId")) : [];
        return new DingTalkCallbackEvent
        {
            Type = type,
            EventId = Text(json, "EventId", "eventId") is { Length: > 0 and <= MaxIdLength } id && id.All(char.IsAsciiLetterOrDigit) ? id : null,
            CorpId = Text(json, "CorpId", "corpId"),
            Time = Milliseconds(Text(json, "EventTime", "eventTime") ?? Text(json, "TimeStamp", "timeStamp")),
            Leavers = users ?? [],
            IsRecordedInHr = type == "hrm_mdm_user_change",
            RoleHolders = type switch
            {
                "org_admin_add" or "org_admin_remove" => [.. (Texts(Find(json, "UserId", "userId")) ?? []).Take(MaxRoleHolders)],
                "label_user_change" => [.. (Texts(Find(json, "UserIdList", "userIdList")) ?? []).Take(MaxRoleHolders)],
                _ => [],
            },
            RoleIds = type == "label_user_change" ? [.. (Texts(Find(json, "LabelIdList", "labelIdList")) ?? []).Take(MaxRoleHolders)] : [],
            AreGiven = (type, Text(json, "Action", "action")) switch
            {
                ("org_admin_add", _) or ("label_user_change", "add") => true,
                ("org_admin_remove", _) or ("label_user_change", "remove" or "del" or "delete") => false,
                _ => null,
            },
            OperatorId = Text(json, "OptStaffId", "optStaffId") is { Length: > 0 and <= MaxUserIdLength } operatorId ? operatorId : null,
            Arrivals = type is "user_add_org" or "user_modify_org" or "user_active_org"
                ? [.. (Texts(Find(json, "UserId", "userId")) ?? []).Take(Inbox.MaxEvents)]
                : [],
            Resigned = resigned ?? [],
            IsUnreadable = users is null || resigned is null || users.Count + resigned.Count > Inbox.MaxEvents,
        };
    }

    /// <summary>
    /// A resignation that went through DingTalk's approvals, with or without a handover (open.dingtalk.com, "bpms_instance_change"): the
    /// earliest word of a leave.
    /// </summary>
    private static bool IsAgreedResignation(string type, JObject json) => type == "bpms_instance_change"
        && Text(json, "Type", "type") == "finish" && Text(json, "Result", "result") == "agree"
        && Text(json, "BizCategoryId", "bizCategoryId")?.StartsWith("hrm.termination", StringComparison.Ordinal) == true;

    private static JObject? Load(ReadOnlyMemory<byte> message)
    {
        try
        {
            var text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(message.Span);
            using var reader = new JsonTextReader(new StringReader(text)) { DateParseHandling = DateParseHandling.None, MaxDepth = MaxDepth };
            var json = JToken.ReadFrom(reader) as JObject;
            return reader.Read() ? null : json;
        }
        catch (Exception exception) when (exception is JsonException or ArgumentException or FormatException or OverflowException)
        {
            return null;
        }
    }

    /// <summary>The property in Pascal case, else in camel case, else in any; one that is <c>null</c> counts as absent.</summary>
    private static JToken? Find(JObject json, string pascal, string camel) =>
        new[] { json[pascal], json[camel], json.GetValue(pascal, StringComparison.OrdinalIgnoreCase) }
            .FirstOrDefault(static token => token is { Type: not JTokenType.Null });

    /// <summary>The text of a string or a whole number; anything else counts as absent.</summary>
    private static string? Text(JObject json, string pascal, string camel) => Text(Find(json, pascal, camel));

    private static string? Text(JToken? token) =>
        token is JValue { Type: JTokenType.String or JTokenType.Integer } value ? value.ToString(CultureInfo.InvariantCulture) : null;

    /// <summary>A text or a list of texts, each once; <see langword="null"/> when that is not what is there, or nothing is.</summary>
    private static List<string>? Texts(JToken? token)
    {
        var texts = (token is JArray array ? array.Select(Text) : [Text(token)]).ToList();
        return texts.Count > 0 && texts.All(static text => text is { Length: > 0 and <= MaxUserIdLength } && !text.Any(char.IsControl))
            ? [.. texts.OfType<string>().Distinct(StringComparer.Ordinal)]
            : null;
    }

    private static DateTimeOffset? Milliseconds(string? text) =>
        long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var value) && value <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? DateTimeOffset.FromUnixTimeMilliseconds(value)
            : null;
}
