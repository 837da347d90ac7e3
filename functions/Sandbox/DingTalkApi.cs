using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace DingFlow.Sandbox;

/// <summary>
/// The newer DingTalk interface (<c>api.dingtalk.com</c>): paths, fields and error codes as in open.dingtalk.com's reference of the
/// calls, the gateway's own refusals as observed.
/// </summary>
internal static class DingTalkApi
{
    private const string AccountScope = "Contact.OrgAccountSecurity.ReadWrite";

    public static ImmutableArray<SandboxOperation> Operations { get; } =
    [
        new(SandboxOperations.AccessToken, SandboxApi.DingTalk, "POST", "v1.0/oauth2/accessToken", AccessToken) { NeedsToken = false },
        new(SandboxOperations.CorpToken, SandboxApi.DingTalk, "POST", "v1.0/oauth2/{}/token", CorpToken) { NeedsToken = false },
        Account(SandboxOperations.Disable, "disable", static person => person.WithDingTalk(account => account with { Disabled = true })),
        Account(SandboxOperations.Enable, "enable", static person => person.WithDingTalk(account => account with { Disabled = false })),
        Account(SandboxOperations.SignOut, "signOut", static person => person.WithDingTalk(account => account with { Sessions = 0 })),
        new(SandboxOperations.Status, SandboxApi.DingTalk, "GET", "v1.0/contact/orgAccounts/status", Status)
        {
            Person = PersonOfQuery, Scope = AccountScope,
        },
        new(SandboxOperations.LeaveRecords, SandboxApi.DingTalk, "GET", "v1.0/contact/empLeaveRecords", LeaveRecords)
        {
            Scope = "Contact.User.Leave.Read",
        },
        new("failedResults", SandboxApi.DingTalk, "GET", "v1.0/event/callbacks/failedResults", FailedResults) { Scope = "Event.Read" },
        .. DingTalkAccessApi.Operations,
        .. DingTalkLogApi.Operations,
    ];

    /// <summary>An error body of this interface; its keys are lower-case on the wire.</summary>
    public static SandboxAnswer Error(SandboxWorld world, int status, string code, string message, IEnumerable<string>? requiredScopes = null)
    {
        var body = new JsonObject
        {
            ["code"] = code,
            ["requestid"] = world.RequestId.ToString().ToUpperInvariant(),
            ["message"] = message,
        };
        if (requiredScopes is not null)
        {
            body["accessdenieddetail"] = new JsonObject
            {
                ["requiredScopes"] = new JsonArray([.. requiredScopes.Select(scope => JsonValue.Create(scope))]),
            };
        }

        return SandboxAnswer.Json(status, body, code);
    }

    /// <summary>Lets the call in, or says how it is refused.</summary>
    public static SandboxAnswer? Refuse(SandboxCall call)
    {
        if (call.Operation.NeedsToken)
        {
            var token = call.Headers["x-acs-dingtalk-access-token"].ToString();
            if (token.Length == 0)
            {
                return Error(
                    call.World, 400, "AuthenticationFailed.MissingParameter", "缺少参数：x-acs-dingtalk-access-token");
            }

            if (!call.World.Tokens.IsValid(token))
            {
                return InvalidAuthentication(call.World);
            }
        }

        return call.BodyFault == SandboxBodyFault.None
            ? null
            : Error(call.World, 400, "invalid.param", "请求体不是合法的 application/json");
    }

    public static SandboxAnswer InvalidAuthentication(SandboxWorld world) =>
        Error(world, 400, "InvalidAuthentication", "不合法的access_token");

    public static SandboxAnswer InvalidCredentials(SandboxWorld world) =>
        Error(world, 400, "invalidClientIdOrSecret", "无效的clientId或者clientSecret");

    private static SandboxAnswer AccessToken(SandboxCall call) =>
        call.Text("appKey") == SandboxOptions.AppKey && call.Text("appSecret") == SandboxOptions.AppSecret
            ? Ok(new() { ["accessToken"] = call.World.Tokens.Issue(), ["expireIn"] = SandboxTokens.LifetimeSeconds })
            : InvalidCredentials(call.World);

    private static SandboxAnswer CorpToken(SandboxCall call)
    {
        if (call.Segments[0] != SandboxOptions.CorpId)
        {
            return Error(call.World, 500, "unknownError", "未知错误");
        }

        if (call.Text("grant_type") != "client_credentials")
        {
            return Error(call.World, 400, "unsupported.grant.type", "不支持的grant_type");
        }

        return call.Text("client_id") == SandboxOptions.AppKey && call.Text("client_secret") == SandboxOptions.AppSecret
            ? Ok(new() { ["access_token"] = call.World.Tokens.Issue(), ["expires_in"] = SandboxTokens.LifetimeSeconds })
            : Error(call.World, 400, "invalid.client", "无效的client");
    }

    private static SandboxOperation Account(string name, string verb, Func<SandboxPerson, SandboxPerson> change) =>
        new(name, SandboxApi.DingTalk, "POST", $"v1.0/contact/orgAccounts/{verb}", call => ChangeAccount(call, change))
        {
            Person = static call => Member(call, UserIdOfBody(call)), Scope = AccountScope,
        };

    private static SandboxAnswer ChangeAccount(SandboxCall call, Func<SandboxPerson, SandboxPerson> change)
    {
        var refusal = EnterpriseAccount(call, UserIdOfBody(call), out var person);
        if (refusal is not null)
        {
            return refusal;
        }

        call.Mutate(person!, change);
        return Ok(new() { ["result"] = true });
    }

    private static SandboxAnswer Status(SandboxCall call) =>
        EnterpriseAccount(call, call.Query["userId"], out var person)
        ?? Ok(new() { ["disable"] = call.AsRead(person!).DingTalk!.Disabled });

    private static SandboxAnswer? EnterpriseAccount(SandboxCall call, string? userId, out SandboxPerson? person)
    {
        person = Member(call, userId);
        return (userId, person?.DingTalk?.Kind) switch
        {
            (null or "", _) => Error(call.World, 400, "invalid.param", "参数错误：userId"),
            (_, null) => Error(call.World, 400, "user.not.exist", "用户不存在"),
            (_, SandboxAccountKind.Ordinary) => Error(call.World, 400, "exclusive.account.only", "仅支持企业账号"),
            _ => null,
        };
    }

    private static SandboxAnswer LeaveRecords(SandboxCall call)
    {
        var maxResults = call.Number("maxResults") ?? 50;
        var start = call.Number("nextToken") ?? 0;
        var endText = call.Text("endTime");
        if (!Instant(call.Text("startTime"), out var from) || maxResults is < 1 or > 50 || start < 0)
        {
            return Error(call.World, 400, "invalid.param", "参数错误");
        }

        if (!Instant(endText, out var to))
        {
            to = call.World.Now;
        }

        if (to < from || to - from > TimeSpan.FromDays(365))
        {
            return Error(call.World, 400, "invalid.param", "时间范围不能超过365天");
        }

        var all = call.Directory.LeaveRecords.Where(record => record.LeaveTime >= from && record.LeaveTime <= to).ToList();
        var page = all.Skip((int)Math.Min(start, int.MaxValue)).Take((int)maxResults).ToList();
        var body = new JsonObject
        {
            ["records"] = new JsonArray([.. page.Select(record => new JsonObject
            {
                ["userId"] = record.UserId,
                ["name"] = record.Name,
                ["stateCode"] = "86",
                ["mobile"] = record.Mobile,
                ["leaveTime"] = record.LeaveTime.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture),
                ["leaveReason"] = record.Reason,
            })]),
        };
        if (start + page.Count < all.Count)
        {
            body["nextToken"] = (start + page.Count).ToString(CultureInfo.InvariantCulture);
        }

        return Ok(body);
    }

    private static SandboxAnswer FailedResults(SandboxCall call)
    {
        if (call.Number("beginTime") is not { } begin || call.Number("endTime") is not { } end || begin > end)
        {
            return Error(call.World, 400, "invalid.param", "参数错误");
        }

        var pushes = call.Directory.FailedPushes
            .Where(push => push.EventTime.ToUnixTimeMilliseconds() is var at && at >= begin && at <= end).ToList();
        return Ok(new()
        {
            ["failedList"] = new JsonArray([.. pushes.Take(200).Select(push => new JsonObject
            {
                ["callBackTag"] = push.Tag,
                ["callBackData"] = push.Data,
                ["corpId"] = SandboxOptions.CorpId,
                ["eventTime"] = push.EventTime.ToUnixTimeMilliseconds(),
            })]),
            ["hasMore"] = pushes.Count > 200,
        });
    }

    internal static SandboxAnswer Ok(JsonObject body) => SandboxAnswer.Json(200, body);

    // Only a JSON string counts: the query does not carry the parameters of a POST here.
    private static string? UserIdOfBody(SandboxCall call) =>
        call.Body?["userId"] is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    private static SandboxPerson? PersonOfQuery(SandboxCall call) => Member(call, call.Query["userId"]);

    internal static SandboxPerson? Member(SandboxCall call, string? userId) =>
        userId is { Length: > 0 } && call.Directory.FindByUserId(userId) is { DingTalk.Member: true } person ? person : null;

    private static bool Instant(string? text, out DateTimeOffset instant) => DateTimeOffset.TryParse(
        text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out instant);
}

/// <summary>Shorthand for changes of one account.</summary>
internal static class SandboxPersonChanges
{
    public static SandboxPerson WithDingTalk(this SandboxPerson person, Func<SandboxDingTalkAccount, SandboxDingTalkAccount> change) =>
        person with { DingTalk = change(person.DingTalk!) };

    public static SandboxPerson WithEntra(this SandboxPerson person, Func<SandboxEntraAccount, SandboxEntraAccount> change) =>
        person with { Entra = change(person.Entra!) };
}
