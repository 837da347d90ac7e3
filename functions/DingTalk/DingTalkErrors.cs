using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using DingFlow.Remote;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>An answer of DingTalk, understood.</summary>
/// <param name="Result">What it says.</param>
/// <param name="Body">Its body, when it is a JSON object.</param>
/// <param name="TokenRefused">The access token was refused, so that a fresh one may help. Nothing was carried out.</param>
/// <param name="Banned">DingTalk refuses our address for a while, whatever we ask.</param>
internal readonly record struct DingTalkAnswer(RemoteResult Result, JObject? Body, bool TokenRefused = false, bool Banned = false);

/// <summary>
/// Reads DingTalk's answers. There are two shapes of errors (the new API: an HTTP status and <c>code</c>; the legacy API: HTTP 200 and
/// <c>errcode</c>, with the real one in <c>sub_code</c> under 88), throttling comes as HTTP 403, and a banned address gets HTML or a
/// body of neither shape. Sources: "Global error codes", "Call frequency limits" and "How to process API throttling" of the DingTalk
/// Open Platform.
/// </summary>
internal static partial class DingTalkErrors
{
    /// <summary>How long DingTalk bans an address that made too many calls.</summary>
    public static TimeSpan BanDuration { get; } = TimeSpan.FromMinutes(5);

    private const int GatewayError = 88;
    private const int LongestScopeList = 32;
    private static readonly JsonLoadSettings Tolerant = new()
    {
        DuplicatePropertyNameHandling = DuplicatePropertyNameHandling.Replace, CommentHandling = CommentHandling.Ignore,
    };

    /// <summary>Understands an answer.</summary>
    public static DingTalkAnswer Read(HttpStatusCode status, string text)
    {
        var body = Parse(text);
        if (body is null)
        {
            return ReadForeign(status, text);
        }

        // Some errors carry HTTP 200, some successes carry errcode 0: the code decides, then the HTTP status.
        var code = CodeOf(body);
        var requestId = RemoteFailure.Plain(Field(body, "requestid", "request_id")?.ToString());
        if (code is null && body.TryGetValue("status", StringComparison.OrdinalIgnoreCase, out var ban) && ban.ToString() == "1111")
        {
            return Banned("1111") with { Body = body };
        }

        if (code is null && (int)status is >= 200 and < 300)
        {
            return new(new(RemoteStatus.Ok) { RequestId = requestId }, body);
        }

        var meaning = Meaning(code, status);
        var result = new RemoteResult(meaning.Status)
        {
            Code = RemoteFailure.Plain(code) ?? HttpCode(status),
            RequestId = requestId,
            RetryAfter = meaning.RetryAfter,
            MissingScopes = meaning.Status == RemoteStatus.Denied ? MissingScopes(body) : [],
        };
        return new(result, body, meaning.TokenRefused);
    }

    /// <summary>A property by name, in any case.</summary>
    public static JToken? Field(JToken? parent, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (parent is JObject body && body.TryGetValue(name, StringComparison.OrdinalIgnoreCase, out var value)
                && value.Type is not (JTokenType.Null or JTokenType.Undefined))
            {
                return value;
            }
        }

        return null;
    }

    /// <summary>Parses a JSON object without reading meaning into its strings.</summary>
    private static JObject? Parse(string text)
    {
        try
        {
            using var reader = new JsonTextReader(new StringReader(text))
            {
                DateParseHandling = DateParseHandling.None, MaxDepth = 32,
            };
            return reader.Read() && reader.TokenType == JsonToken.StartObject ? JObject.Load(reader, Tolerant) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static DingTalkAnswer ReadForeign(HttpStatusCode status, string text) => (int)status switch
    {
        >= 500 => new(new(RemoteStatus.Unavailable) { Code = HttpCode(status) }, null),
        >= 300 and < 400 => new(new(RemoteStatus.Unexpected) { Code = "redirect" }, null),
        // The page that a banned address gets. A missing path is HTML too, but says 404.
        not 404 when text.AsSpan().TrimStart().StartsWith('<') => Banned("blocked-page"),
        _ => new(new(RemoteStatus.Unexpected) { Code = "unreadable-answer" }, null),
    };

    private static DingTalkAnswer Banned(string code) =>
        new(new(RemoteStatus.Throttled) { Code = code, RetryAfter = BanDuration }, null, Banned: true);

    private static string HttpCode(HttpStatusCode status) => $"http-{(int)status}";

    /// <summary>The error's code: <c>88/60011</c> for one that the gateway found; <see langword="null"/> when there is no error.</summary>
    private static string? CodeOf(JObject body)
    {
        if (Field(body, "errcode") is { } errorCode)
        {
            if (!int.TryParse(errorCode.ToString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number))
            {
                return errorCode.ToString();
            }

            return number switch
            {
                0 => null,
                GatewayError => $"{GatewayError}/{Field(body, "sub_code", "subcode") ?? SubCodeOf(Field(body, "errmsg"))}",
                _ => number.ToString(CultureInfo.InvariantCulture),
            };
        }

        return Field(body, "code") is { Type: JTokenType.String or JTokenType.Integer } code && code.ToString() is { Length: > 0 } text
            ? text
            : null;
    }

    private static string? SubCodeOf(JToken? message) =>
        message is not null && SubCode().Match(message.ToString()) is { Success: true } match ? match.Groups[1].Value : null;

    private static (RemoteStatus Status, TimeSpan? RetryAfter, bool TokenRefused) Meaning(string? code, HttpStatusCode status)
    {
        var plain = code is not null && code.StartsWith("88/", StringComparison.Ordinal) ? code[3..] : code;
        return plain switch
        {
            "InvalidAuthentication" or "40014" or "42001" or "40001" => (RemoteStatus.Unauthenticated, null, true),
            "invalidClientIdOrSecret" or "invalid.client" or "unauthorized.client" or "unsupported.grant.type"
                or "AuthenticationFailed.MissingParameter" or "40000" or "40089" or "40096" => (RemoteStatus.Unauthenticated, null, false),
            "Forbidden.AccessDenied.AccessTokenPermissionDenied" or "Forbidden.AccessDenied.IpNotInWhiteList"
                or "60011" or "60020" or "50002" or "50004" or "43007" => (RemoteStatus.Denied, null, false),
            "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi" or "90018" => (RemoteStatus.Throttled, TimeSpan.FromSeconds(1), false),
            "Forbidden.AccessDenied.QpsLimitForApi" or "90002" => (RemoteStatus.Throttled, TimeSpan.FromSeconds(2), false),
            "Forbidden.AccessDenied.QpmLimitForAppkeyAndApi" or "90006" or "90017" =>
                (RemoteStatus.Throttled, TimeSpan.FromMinutes(1), false),
            "Forbidden.AccessDenied.ApiCountLimitForOrg" or "90020" => (RemoteStatus.QuotaExhausted, null, false),
            "user.not.exist" or "employee.not.found" or "staff.not.found" or "empNotExists" or "33012" or "60121" =>
                (RemoteStatus.NotFound, null, false),
            "exclusive.account.only" => (RemoteStatus.NotApplicable, null, false),
            "invalid.param" or "param.format.error" or "param.missing" or "parameter.invalid" or "invalidParameter" or "400002" or "40035"
                or "60003" => (RemoteStatus.Rejected, null, false),
            "-1" or "system.busy" or "systemError" or "service.error" or "server.error" or "ServiceUnavailable" or "unknownError" =>
                (RemoteStatus.Unavailable, null, false),
            _ when (int)status >= 500 => (RemoteStatus.Unavailable, null, false),
            _ when status == HttpStatusCode.TooManyRequests => (RemoteStatus.Throttled, TimeSpan.FromSeconds(1), false),
            _ => (RemoteStatus.Unexpected, null, false),
        };
    }

    /// <summary>The new API lists them; the legacy API names them between brackets in its message.</summary>
    private static string[] MissingScopes(JObject body)
    {
        var listed = Field(Field(body, "accessdenieddetail"), "requiredScopes") as JArray;
        var names = listed is not null
            ? listed.Select(static scope => scope.ToString())
            : BracketedScopes().Match(Field(body, "sub_msg", "errmsg")?.ToString() ?? "") is { Success: true } match
                ? match.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)
                : [];
        return [.. names.Take(LongestScopeList).Select(RemoteFailure.Plain).OfType<string>()];
    }

    [GeneratedRegex(@"subcode=(-?\d{1,10})", RegexOptions.CultureInvariant)]
    private static partial Regex SubCode();

    [GeneratedRegex(@"\[([A-Za-z][A-Za-z0-9_.]*(?:\s*,\s*[A-Za-z][A-Za-z0-9_.]*)*)\]", RegexOptions.CultureInvariant)]
    private static partial Regex BracketedScopes();
}
