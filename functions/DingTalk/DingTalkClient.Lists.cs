using System.Globalization;
using DingFlow.Remote;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>The lists that guards and reconciliation need: administrators, announced leaves, pushes that failed.</summary>
public sealed partial class DingTalkClient
{
    private const int FailedPushBytes = 4 * 1024 * 1024;
    private const int MainAdministratorLevel = 1;

    /// <summary>The administrators of the organisation (<c>topapi/user/listadmin</c>), whatever our app's contact scope is.</summary>
    public Task<RemoteResult<IReadOnlyList<DingTalkAdministrator>>> ListAdministratorsAsync(CancellationToken cancellationToken) =>
        _transport.SendAsync<IReadOnlyList<DingTalkAdministrator>>(
            new DingTalkCall("/topapi/user/listadmin", []) { Legacy = true },
            static body => DingTalkErrors.Field(body, "result") is JArray list
                ? new([
                    .. list.Select(static a => Text(DingTalkErrors.Field(a, "userid")) is { } userId
                        ? new DingTalkAdministrator(userId, Number(DingTalkErrors.Field(a, "sys_level")) == MainAdministratorLevel)
                        : null).OfType<DingTalkAdministrator>(),
                ])
                : null,
            cancellationToken);

    /// <summary>
    /// What DingTalk's HR knows of a person's leave (<c>hrm/employees/dimissionInfos</c>); Ok with <see langword="null"/> when it knows
    /// nothing. An organisation without DingTalk HR refuses.
    /// </summary>
    public Task<RemoteResult<DingTalkDismission?>> GetDismissionAsync(string userId, CancellationToken cancellationToken) =>
        _transport.SendAsync<DingTalkDismission?>(
            new DingTalkCall("/v1.0/hrm/employees/dimissionInfos", null)
            {
                Query = [("userIdList", new JArray(Id(userId)).ToString(Newtonsoft.Json.Formatting.None))],
            },
            body => DingTalkErrors.Field(body, "result") is JArray list
                ? new(list.FirstOrDefault(d => Text(DingTalkErrors.Field(d, "userId")) == userId) is { } found
                    ? new DingTalkDismission(
                        Instant(DingTalkErrors.Field(found, "lastWorkDay")), (int?)Number(DingTalkErrors.Field(found, "status")))
                    : null)
                : null,
            cancellationToken);

    /// <summary>
    /// Takes pushes that failed from the older list (<c>call_back/get_call_back_failed_result</c>), at most 200. DingTalk forgets what it
    /// returned: keep it before asking again. So it is never repeated by itself when its answer is lost.
    /// </summary>
    public Task<RemoteResult<DingTalkFailedPushes>> TakeFailedPushesAsync(CancellationToken cancellationToken) =>
        _transport.SendAsync<DingTalkFailedPushes>(
            new DingTalkCall("/call_back/get_call_back_failed_result", null) { Legacy = true, AnswerBytes = FailedPushBytes, Kind = CallKind.Once },
            static body => DingTalkErrors.Field(body, "failed_list") is JArray list
                ? new(new(
                    [
                        .. list.OfType<JObject>().Select(static push => Text(push["call_back_tag"]) is { } tag
                            ? new DingTalkFailedPush(tag, Instant(push["event_time"]), PushData(push, tag))
                            : null).OfType<DingTalkFailedPush>(),
                    ],
                    Flag(body, "has_more")))
                : null,
            cancellationToken);

    /// <summary>
    /// Reads pushes of a span of time that failed (<c>event/callbacks/failedResults</c>), oldest first, at most 200 of them. DingTalk does
    /// not forget them.
    /// </summary>
    public Task<RemoteResult<DingTalkFailedPushes>> ReadFailedPushesAsync(
        DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken) => _transport.SendAsync<DingTalkFailedPushes>(
        new DingTalkCall("/v1.0/event/callbacks/failedResults", null)
        {
            Query = [("beginTime", Milliseconds(from)), ("endTime", Milliseconds(to))], AnswerBytes = FailedPushBytes,
        },
        static body => DingTalkErrors.Field(body, "failedList") is JArray list
            ? new(new(
                [
                    .. list.OfType<JObject>().Select(static push => Text(push["callBackTag"]) is { } tag
                        ? new DingTalkFailedPush(tag, Instant(push["eventTime"]), Parsed(push["callBackData"]))
                        : null).OfType<DingTalkFailedPush>(),
                ],
                Flag(body, "hasMore")))
            : null,
        cancellationToken);

    /// <summary>The older list has the data under a name that depends on the kind of event.</summary>
    private static JObject? PushData(JObject push, string tag) =>
        Parsed(push[tag] ?? push["bpmsCallBackData"] ?? push["roleLabelChange"] ?? push["callbackData"]);

    /// <summary>An object, or a text that holds one.</summary>
    private static JObject? Parsed(JToken? data)
    {
        if (data is JObject parsed)
        {
            return parsed;
        }

        try
        {
            return data is { Type: JTokenType.String } ? JToken.Parse((string)data!) as JObject : null;
        }
        catch (Newtonsoft.Json.JsonException)
        {
            return null; // Kept with its tag: a person has to look.
        }
    }

    private static string Milliseconds(DateTimeOffset time) => time.ToUnixTimeMilliseconds().ToString(CultureInfo.InvariantCulture);
}

/// <summary>An administrator of a DingTalk organisation.</summary>
/// <param name="UserId">Unique within the organisation.</param>
/// <param name="IsMain">The main administrator, who may do everything.</param>
public sealed record DingTalkAdministrator(string UserId, bool IsMain)
{
    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(DingTalkAdministrator);
}

/// <summary>What DingTalk's HR knows of a leave.</summary>
/// <param name="LastWorkDay">A moment on the last working day.</param>
/// <param name="Status">1 pending, 2 left, 3 neither, 4 approval submitted (open.dingtalk.com, "dimissionInfos").</param>
public sealed record DingTalkDismission(DateTimeOffset? LastWorkDay, int? Status);

/// <summary>Pushes that DingTalk could not deliver, and whether it has more of them.</summary>
public sealed record DingTalkFailedPushes(IReadOnlyList<DingTalkFailedPush> Pushes, bool HasMore);

/// <summary>A push that DingTalk could not deliver.</summary>
/// <param name="Tag">The event's type, such as <c>user_leave_org</c>.</param>
/// <param name="EventTime">When it happened.</param>
/// <param name="Data">What it said; <see langword="null"/> when that cannot be read. Personal data.</param>
public sealed record DingTalkFailedPush(string Tag, DateTimeOffset? EventTime, JObject? Data)
{
    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(DingTalkFailedPush);
}
