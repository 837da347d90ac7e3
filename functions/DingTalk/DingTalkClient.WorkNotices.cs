using System.Globalization;
using DingFlow.Remote;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>A work notice.</summary>
/// <param name="AgentId">The app that sends.</param>
/// <param name="UserIds">Who gets it, at most 100.</param>
/// <param name="DepartmentIds">Departments that get it, at most 20.</param>
/// <param name="Title">What the list of conversations shows.</param>
/// <param name="Markdown">The text; title and text together at most 2048 bytes.</param>
public sealed record WorkNotice(long AgentId, IReadOnlyList<string> UserIds, IReadOnlyList<long> DepartmentIds, string Title, string Markdown);

/// <summary>What became of a work notice.</summary>
/// <param name="Reached">People who have it, read or unread.</param>
/// <param name="Refused">People and departments that will not get it.</param>
/// <param name="FlowCode">The code of the limit that kept it from somebody, such as 143105.</param>
public sealed record WorkNoticeResult(int Reached, int Refused, string? FlowCode);

/// <content>Work notices.</content>
public sealed partial class DingTalkClient
{
    private const int ResultBytes = 1024 * 1024;

    /// <summary>
    /// Sends a work notice (<c>topapi/message/corpconversation/asyncsend_v2</c>) and returns the id by which to ask after it: an answer of
    /// success is no delivery. The same content reaches a person once a day. It is not repeated when the answer is lost.
    /// </summary>
    public Task<RemoteResult<string>> SendWorkNoticeAsync(WorkNotice notice, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(notice);
        var body = new JObject
        {
            ["agent_id"] = notice.AgentId,
            ["msg"] = new JObject
            {
                ["msgtype"] = "markdown", ["markdown"] = new JObject { ["title"] = notice.Title, ["text"] = notice.Markdown },
            },
        };
        if (notice.UserIds.Count > 0)
        {
            body["userid_list"] = string.Join(',', notice.UserIds);
        }

        if (notice.DepartmentIds.Count > 0)
        {
            body["dept_id_list"] = string.Join(',', notice.DepartmentIds.Select(static id => id.ToString(CultureInfo.InvariantCulture)));
        }

        return _transport.SendAsync<string>(
            new DingTalkCall("/topapi/message/corpconversation/asyncsend_v2", body) { Legacy = true, Kind = CallKind.Once },
            static answer => Text(DingTalkErrors.Field(answer, "task_id")) is { } task ? new(task) : null,
            cancellationToken);
    }

    /// <summary>
    /// What became of a work notice (<c>topapi/message/corpconversation/getsendresult</c>), within 24 hours of its sending. The lists of
    /// those who have it (<c>read_user_id_list</c>, <c>unread_user_id_list</c>) and of those who do not are as several public client libraries
    /// read them; who is refused is seen both as <c>forbidden_user_id_list</c> and as <c>forbidden_list</c>, so that both count.
    /// </summary>
    public Task<RemoteResult<WorkNoticeResult>> ReadWorkNoticeResultAsync(long agentId, string taskId, CancellationToken cancellationToken) =>
        _transport.SendAsync<WorkNoticeResult>(
            new DingTalkCall(
                "/topapi/message/corpconversation/getsendresult",
                new() { ["agent_id"] = agentId, ["task_id"] = long.TryParse(taskId, NumberStyles.None, CultureInfo.InvariantCulture, out var id) ? id : taskId })
            {
                Legacy = true, AnswerBytes = ResultBytes,
            },
            static answer => DingTalkErrors.Field(answer, "send_result") is JObject result
                ? new(new(
                    Count(result, "read_user_id_list", "unread_user_id_list"),
                    Count(result, "invalid_user_id_list", "forbidden_user_id_list", "failed_user_id_list", "invalid_dept_id_list", "forbidden_list"),
                    DingTalkErrors.Field(result, "forbidden_list") is JArray { Count: > 0 } flow
                        ? RemoteFailure.Plain(DingTalkErrors.Field(flow[0], "code")?.ToString())
                        : null))
                : null,
            cancellationToken);

    private static int Count(JObject result, params ReadOnlySpan<string> lists)
    {
        var count = 0;
        foreach (var list in lists)
        {
            count += DingTalkErrors.Field(result, list) is JArray people ? people.Count : 0;
        }

        return count;
    }
}
