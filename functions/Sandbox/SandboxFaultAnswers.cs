using System.Globalization;
using System.Text;

namespace DingFlow.Sandbox;

/// <summary>How each interface words a fault that is an answer.</summary>
internal static class SandboxFaultAnswers
{
    /// <summary>The answer instead of doing anything, or <see langword="null"/> when the fault is of another sort.</summary>
    public static SandboxAnswer? Instead(SandboxFault fault, SandboxWorld world, SandboxOperation operation) => fault.Kind switch
    {
        SandboxFaultKind.Answer => SandboxAnswer.Text(fault.Status, fault.ContentType, fault.Body),
        SandboxFaultKind.ServerError or SandboxFaultKind.Unavailable or SandboxFaultKind.Throttled or SandboxFaultKind.IpBanned
            or SandboxFaultKind.QuotaExhausted or SandboxFaultKind.Unauthenticated or SandboxFaultKind.Denied
            or SandboxFaultKind.OutOfScope => operation.Api switch
            {
                SandboxApi.Graph => Graph(fault, world),
                SandboxApi.DingTalk => DingTalk(fault, world, operation),
                _ => Legacy(fault, world, operation),
            },
        _ => null,
    };

    /// <summary>An answer of that many bytes, valid JSON; only its two ends are kept in memory.</summary>
    public static async Task WriteHugeAsync(Stream body, int bytes, CancellationToken cancellationToken)
    {
        var chunk = new byte[64 * 1024];
        Array.Fill(chunk, (byte)'x');
        await body.WriteAsync("{\"result\":\""u8.ToArray(), cancellationToken);
        for (var left = bytes - 14; left > 0; left -= chunk.Length)
        {
            await body.WriteAsync(chunk.AsMemory(0, Math.Min(left, chunk.Length)), cancellationToken);
        }

        await body.WriteAsync("\"}\n"u8.ToArray(), cancellationToken);
    }

    /// <summary>The answer cut short in the middle of its JSON.</summary>
    public static SandboxAnswer Malformed(SandboxAnswer answer) => answer with
    {
        Status = answer.Status == StatusCodes.Status204NoContent ? 200 : answer.Status,
        Bytes = answer.Bytes.IsEmpty ? Encoding.UTF8.GetBytes("{\"value\":") : answer.Bytes[..^1],
    };

    private static SandboxAnswer DingTalk(SandboxFault fault, SandboxWorld world, SandboxOperation operation)
    {
        var forbidden = "Forbidden.AccessDenied.";
        return fault.Kind switch
        {
            SandboxFaultKind.ServerError => DingTalkApi.Error(world, 500, "system.busy", "系统繁忙"),
            SandboxFaultKind.Unavailable => DingTalkApi.Error(world, 503, "system.busy", "系统繁忙"),
            SandboxFaultKind.Throttled => DingTalkApi.Error(
                world, 403, forbidden + "QpsLimitForAppkeyAndApi", "您的应用调用该接口的QPS超过限制，请稍后再试"),
            SandboxFaultKind.IpBanned => IpBan(fault, world),
            SandboxFaultKind.QuotaExhausted => DingTalkApi.Error(
                world, 403, forbidden + "ApiCountLimitForOrg", "企业当月接口调用量已达上限"),
            SandboxFaultKind.Unauthenticated when !operation.NeedsToken => DingTalkApi.InvalidCredentials(world),
            SandboxFaultKind.Unauthenticated => DingTalkApi.InvalidAuthentication(world),
            SandboxFaultKind.Denied => DingTalkApi.Error(
                world, 403, forbidden + "AccessTokenPermissionDenied", "应用尚未开通所需的权限",
                fault.Scopes.IsEmpty ? [operation.Scope] : fault.Scopes),
            _ => DingTalkApi.Error(world, 400, "50002", "请求的员工userid不在授权范围内"),
        };
    }

    private static SandboxAnswer Legacy(SandboxFault fault, SandboxWorld world, SandboxOperation operation) => fault.Kind switch
    {
        SandboxFaultKind.ServerError => DingTalkLegacyApi.Error(-1, "系统繁忙"),
        SandboxFaultKind.Unavailable => SandboxAnswer.Text(
            503, "text/html;charset=utf-8", "<html><head><title>503 Service Temporarily Unavailable</title></head><body></body></html>"),
        SandboxFaultKind.Throttled => DingTalkLegacyApi.Error(90018, "您的服务器调用钉钉开放平台当前接口的频率过高"),
        SandboxFaultKind.IpBanned => IpBan(fault, world),
        SandboxFaultKind.QuotaExhausted => DingTalkLegacyApi.Error(90020, "企业当月接口调用量已达上限"),
        SandboxFaultKind.Unauthenticated when !operation.NeedsToken => DingTalkLegacyApi.InvalidCredentials(),
        SandboxFaultKind.Unauthenticated => DingTalkLegacyApi.InvalidToken(operation),
        SandboxFaultKind.Denied => DingTalkLegacyApi.GatewayError(
            "60011", $"没有调用该接口的权限，requiredScopes=[{string.Join(',', fault.Scopes.IsEmpty ? [operation.Scope] : fault.Scopes)}]"),
        _ => DingTalkLegacyApi.Error(50002, "请求的员工userid不在授权范围内"),
    };

    private static SandboxAnswer Graph(SandboxFault fault, SandboxWorld world)
    {
        var retryAfter = Math.Ceiling(fault.RetryAfter.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        return fault.Kind switch
        {
            SandboxFaultKind.ServerError => GraphApi.Error(world, 500, "Service_InternalServerError", "Encountered an internal server error."),
            SandboxFaultKind.Unavailable => GraphApi.Error(world, 503, "Directory_ServiceUnavailable", "The service is temporarily unavailable."),
            SandboxFaultKind.Unauthenticated => GraphApi.Error(
                world, 401, "InvalidAuthenticationToken", "Lifetime validation failed, the token is expired."),
            SandboxFaultKind.Denied or SandboxFaultKind.OutOfScope => GraphApi.Error(
                world, 403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation."),
            _ => GraphApi.Error(world, 429, "TooManyRequests", "Too many requests.").With("Retry-After", retryAfter),
        };
    }

    // Not an answer of the API at all: the firewall before it speaks.
    private static SandboxAnswer IpBan(SandboxFault fault, SandboxWorld world) => SandboxAnswer.Text(
        fault.Status, "application/json;charset=utf-8",
        $$"""{"status":1111,"wait":5,"source":"x5","punish":"deny","uuid":"{{world.RequestId:N}}"}""");
}
