using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace DingFlow.Sandbox;

/// <summary>
/// The ways by which people get messages: the custom robot and work notices of DingTalk's older interface, and Graph's <c>sendMail</c>,
/// drafts and their sending.
/// Paths, fields, codes and limits as in the references of the calls.
/// </summary>
internal static partial class SandboxChannels
{
    private const int NoticeBytes = 2048;
    private const int MostUsers = 100;
    private static readonly TimeSpan SignatureAge = TimeSpan.FromHours(1);

    public static ImmutableArray<SandboxOperation> DingTalk { get; } =
    [
        new(SandboxOperations.RobotSend, SandboxApi.DingTalkLegacy, "POST", "robot/send", SendByRobot) { NeedsToken = false },
        new(SandboxOperations.WorkNotice, SandboxApi.DingTalkLegacy, "POST", "topapi/message/corpconversation/asyncsend_v2", SendNotice),
        new("corpconversation.getsendresult", SandboxApi.DingTalkLegacy, "POST", "topapi/message/corpconversation/getsendresult", NoticeResult),
    ];

    public static ImmutableArray<SandboxOperation> Graph { get; } =
    [
        new(SandboxOperations.GraphSendMail, SandboxApi.Graph, "POST", "v1.0/users/{}/sendMail", SendMail) { NeedsToken = false },
        new(SandboxOperations.GraphSendMail, SandboxApi.Graph, "POST", "v1.0/users/{}/microsoft.graph.sendMail", SendMail) { NeedsToken = false },
        new(SandboxOperations.GraphMessages, SandboxApi.Graph, "GET", "v1.0/users/{}/messages", FindMessages) { NeedsToken = false },
        new(SandboxOperations.GraphCreateMessage, SandboxApi.Graph, "POST", "v1.0/users/{}/messages", CreateMessage) { NeedsToken = false },
        new(SandboxOperations.GraphSendMessage, SandboxApi.Graph, "POST", "v1.0/users/{}/messages/{}/send", SendMessage) { NeedsToken = false },
        new(SandboxOperations.GraphSendMessage, SandboxApi.Graph, "POST", "v1.0/users/{}/messages/{}/microsoft.graph.send", SendMessage) { NeedsToken = false },
    ];

    private static SandboxAnswer SendByRobot(SandboxCall call)
    {
        if (call.Query["access_token"] != SandboxOptions.RobotToken)
        {
            return DingTalkLegacyApi.Error(400101, "robot 不存在；solution:请检查机器人的access_token");
        }

        if (!IsSigned(call))
        {
            return DingTalkLegacyApi.Error(310000, "sign not match");
        }

        if (call.Body?["markdown"] is not JsonObject markdown || Text(markdown, "title") is not { } title || Text(markdown, "text") is not { } text)
        {
            return DingTalkLegacyApi.Error(400105, "不支持的消息类型");
        }

        if (call.Fault == SandboxFaultKind.DoNothing)
        {
            return Ok();
        }

        return call.World.Outbox.TakeRobot(Text(call.Body, "msgUuid"), title, text)
            ? Ok()
            : DingTalkLegacyApi.Error(410100, "发送速度太快而限流");

        SandboxAnswer Ok() => SandboxAnswer.Json(200, new() { ["errcode"] = 0, ["errmsg"] = "ok" });
    }

    private static bool IsSigned(SandboxCall call)
    {
        if (!long.TryParse(call.Query["timestamp"], NumberStyles.None, CultureInfo.InvariantCulture, out var timestamp)
            || (call.World.Now - DateTimeOffset.FromUnixTimeMilliseconds(timestamp)).Duration() > SignatureAge)
        {
            return false;
        }

        var expected = HMACSHA256.HashData(
            Encoding.UTF8.GetBytes(SandboxOptions.RobotSecret),
            Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{timestamp}\n{SandboxOptions.RobotSecret}")));
        return CryptographicOperations.FixedTimeEquals(
            Encoding.UTF8.GetBytes(Convert.ToBase64String(expected)), Encoding.UTF8.GetBytes(call.Query["sign"].ToString()));
    }

    private static SandboxAnswer SendNotice(SandboxCall call)
    {
        if (call.Number("agent_id") != SandboxOptions.AgentId)
        {
            return DingTalkLegacyApi.Error(400002, "参数错误: agent_id");
        }

        if (call.Body?["msg"] is not JsonObject message || message["markdown"] is not JsonObject markdown
            || Text(markdown, "title") is not { } title || Text(markdown, "text") is not { } text)
        {
            return DingTalkLegacyApi.Error(400002, "参数错误: msg");
        }

        if (Encoding.UTF8.GetByteCount(message.ToJsonString(new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping })) > NoticeBytes)
        {
            return DingTalkLegacyApi.Error(40035, "消息内容长度超过限制");
        }

        var userIds = (call.Text("userid_list") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (userIds.Length > MostUsers || (userIds.Length == 0 && call.Text("dept_id_list") is null))
        {
            return DingTalkLegacyApi.Error(400002, "参数错误: userid_list");
        }

        var departments = (call.Text("dept_id_list") ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries)
            .Select(static id => long.TryParse(id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0).ToList();
        var members = call.Directory.People.Where(static person => person.DingTalk is { Member: true }).ToList();
        var known = members.Where(person => userIds.Contains(person.DingTalk!.UserId) || person.DingTalk.DepartmentIds.Any(departments.Contains))
            .Select(static person => person.DingTalk!.UserId).ToImmutableArray();
        var unknown = userIds.Where(id => !known.Contains(id)).ToImmutableArray();
        var task = call.Fault == SandboxFaultKind.DoNothing ? 1 : call.World.Outbox.TakeNotice(known, unknown, title, text);
        return SandboxAnswer.Json(200, new() { ["errcode"] = 0, ["errmsg"] = "ok", ["task_id"] = task, ["request_id"] = call.World.RequestId.ToString("N")[..13] });
    }

    private static SandboxAnswer NoticeResult(SandboxCall call)
    {
        if (call.Number("task_id") is not { } task)
        {
            return DingTalkLegacyApi.Error(400002, "参数错误: task_id");
        }

        var result = new JsonObject { ["invalid_user_id_list"] = new JsonArray(), ["failed_user_id_list"] = new JsonArray() };
        if (call.World.Outbox.NoticeOf(task) is { } notice)
        {
            result["invalid_user_id_list"] = Texts(notice.Unknown);
            result["unread_user_id_list"] = Texts(notice.Reached);
            result["read_user_id_list"] = new JsonArray();
            result["forbidden_user_id_list"] = Texts(notice.Forbidden);
            result["forbidden_list"] = new JsonArray([.. notice.Forbidden.Select(static id => new JsonObject { ["code"] = "143105", ["userid"] = id, ["count"] = 1 })]);
        }

        return SandboxAnswer.Json(200, new() { ["errcode"] = 0, ["errmsg"] = "ok", ["send_result"] = result });
    }

    private static SandboxAnswer SendMail(SandboxCall call)
    {
        if (NoMailbox(call) is { } refusal)
        {
            return refusal;
        }

        if (MailOf(Child(call.Body, "message"), SandboxOperations.GraphSendMail) is not { } mail)
        {
            return GraphApi.Error(call.World, 400, "ErrorInvalidRecipients", "At least one recipient isn't valid.");
        }

        if (call.Fault != SandboxFaultKind.DoNothing)
        {
            call.World.Outbox.TakeMail(mail);
        }

        return new SandboxAnswer(StatusCodes.Status202Accepted);
    }

    private static SandboxAnswer FindMessages(SandboxCall call)
    {
        if (NoMailbox(call) is { } refusal)
        {
            return refusal;
        }

        if (PropertyFilter().Match(call.Text("$filter") ?? "") is not { Success: true } filter)
        {
            return GraphApi.Error(call.World, 400, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes.");
        }

        var found = call.World.Outbox.MessagesWith(Mailbox(call), filter.Groups["id"].Value, filter.Groups["value"].Value.Replace("''", "'", StringComparison.Ordinal));
        return SandboxAnswer.Json(200, new()
        {
            ["value"] = new JsonArray([.. found.Select(static message => new JsonObject { ["id"] = message.Id, ["isDraft"] = message.IsDraft })]),
        });
    }

    private static SandboxAnswer CreateMessage(SandboxCall call)
    {
        if (NoMailbox(call) is { } refusal)
        {
            return refusal;
        }

        if (MailOf(call.Body, SandboxOperations.GraphSendMessage) is not { } mail)
        {
            return GraphApi.Error(call.World, 400, "ErrorInvalidRecipients", "At least one recipient isn't valid.");
        }

        var properties = (Child(call.Body, "singleValueExtendedProperties") as JsonArray ?? [])
            .Select(static property => (Text(property, "id") ?? "", Text(property, "value") ?? "")).ToImmutableArray();
        var id = call.Fault == SandboxFaultKind.DoNothing ? "AAMkAGI0" : call.World.Outbox.TakeDraft(Mailbox(call), mail, properties);
        return SandboxAnswer.Json(201, new() { ["id"] = id, ["isDraft"] = true, ["internetMessageId"] = mail.Id, ["subject"] = mail.Title });
    }

    private static SandboxAnswer SendMessage(SandboxCall call) =>
        NoMailbox(call)
        ?? (call.Fault == SandboxFaultKind.DoNothing || call.World.Outbox.SendDraft(Mailbox(call), call.Segments[1])
            ? new SandboxAnswer(StatusCodes.Status202Accepted)
            : GraphApi.Error(call.World, 404, "ErrorItemNotFound", "The specified object was not found in the store."));

    private static SandboxAnswer? NoMailbox(SandboxCall call) => call.Directory.FindInEntra(call.Segments[0]) is { Entra.DeletedAt: null }
        ? null
        : GraphApi.Error(call.World, 404, "ErrorInvalidUser", $"The requested user '{call.Segments[0]}' is invalid.");

    private static string Mailbox(SandboxCall call) => call.Directory.FindInEntra(call.Segments[0])!.Entra!.ObjectId;

    private static SandboxMessage? MailOf(JsonNode? message, string operation)
    {
        var receivers = Child(message, "toRecipients") is JsonArray list
            ? list.Select(static receiver => Text(Child(receiver, "emailAddress"), "address")).OfType<string>().ToImmutableArray()
            : [];
        return receivers.IsEmpty ? null : new(
            default, operation, Text(message, "internetMessageId") ?? "", receivers, Text(message, "subject") ?? "", Text(Child(message, "body"), "content") ?? "")
        {
            Attachments = [.. (Child(message, "attachments") as JsonArray ?? []).Where(static file => Text(file, "@odata.type") == "#microsoft.graph.fileAttachment")
                .Select(static file => new SandboxAttachment(
                    Text(file, "name") ?? "", Text(file, "contentType") ?? "", Convert.FromBase64String(Text(file, "contentBytes") ?? "")))],
        };
    }

    /// <summary>The one filter on extended properties that Graph documents.</summary>
    [GeneratedRegex(@"^singleValueExtendedProperties/any\(ep: ?ep/id eq '(?<id>(?:[^']|'')+)' and ep/value eq '(?<value>(?:[^']|'')*)'\)$", RegexOptions.IgnoreCase)]
    private static partial Regex PropertyFilter();

    // Microsoft's client library writes "Message" and "SaveToSentItems"; Graph reads names in any case here.
    private static JsonNode? Child(JsonNode? parent, string name) =>
        (parent as JsonObject)?.FirstOrDefault(pair => pair.Key.Equals(name, StringComparison.OrdinalIgnoreCase)).Value;

    private static string? Text(JsonNode? parent, string name) =>
        Child(parent, name) is JsonValue value && value.TryGetValue<string>(out var text) && text.Length > 0 ? text : null;

    private static JsonArray Texts(ImmutableArray<string> texts) => new([.. texts.Select(static text => JsonValue.Create(text))]);
}
