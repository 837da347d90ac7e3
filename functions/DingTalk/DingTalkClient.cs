using System.Globalization;
using DingFlow.Remote;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>
/// The DingTalk Open Platform as one tenant's app sees it. Remote trouble is a result, never an exception. Paths, fields and codes are
/// those of open.dingtalk.com's reference.
/// </summary>
public sealed partial class DingTalkClient
{
    /// <summary>The department that holds all others.</summary>
    public const long RootDepartment = 1;

    private const int ContactPageBytes = 4 * 1024 * 1024;
    private const int UsersPerPage = 100;
    private const int LeaveRecordsPerPage = 50;
    private const int MaxLeaveRecordPages = 4000;
    private static readonly TimeSpan LongestLeaveWindow = TimeSpan.FromDays(365);

    private readonly DingTalkTransport _transport;
    private readonly string _corpId;

    internal DingTalkClient(DingTalkTenant tenant, DingTalkTransport transport)
    {
        _transport = transport;
        _corpId = tenant.CorpId;
        Tenant = tenant.Name;
    }

    /// <summary>The tenant's name.</summary>
    public string Tenant { get; }

    /// <summary>Reads a person (<c>topapi/v2/user/get</c>). Somebody outside our app's contact scope is Denied, not NotFound.</summary>
    public Task<RemoteResult<DingTalkUser>> GetUserAsync(string userId, CancellationToken cancellationToken) => _transport.SendAsync<DingTalkUser>(
        new DingTalkCall("/topapi/v2/user/get", new() { ["userid"] = Id(userId), ["language"] = "zh_CN" }) { Legacy = true },
        body => ReadUser(DingTalkErrors.Field(body, "result")) is { } user ? new(user) : null,
        cancellationToken);

    /// <summary>
    /// Disables an enterprise account (<c>orgAccounts/disable</c>). DingTalk does not say that this ends sessions: call
    /// <see cref="SignOutAsync"/> as well. An ordinary account is NotApplicable.
    /// </summary>
    /// <param name="userId">The person.</param>
    /// <param name="reason">Goes into DingTalk's administrators' log; no personal data.</param>
    /// <param name="cancellationToken">The caller gives up.</param>
    public Task<RemoteResult> DisableAccountAsync(string userId, string reason, CancellationToken cancellationToken) =>
        ChangeAccountAsync("disable", new() { ["userId"] = Id(userId), ["reason"] = reason }, cancellationToken);

    /// <summary>Enables an enterprise account again (<c>orgAccounts/enable</c>).</summary>
    public Task<RemoteResult> EnableAccountAsync(string userId, CancellationToken cancellationToken) =>
        ChangeAccountAsync("enable", new() { ["userId"] = Id(userId) }, cancellationToken);

    /// <summary>Signs an enterprise account out on all devices (<c>orgAccounts/signOut</c>).</summary>
    /// <param name="userId">The person.</param>
    /// <param name="reason">Goes into DingTalk's administrators' log; no personal data.</param>
    /// <param name="cancellationToken">The caller gives up.</param>
    public Task<RemoteResult> SignOutAsync(string userId, string reason, CancellationToken cancellationToken) =>
        ChangeAccountAsync("signOut", new() { ["userId"] = Id(userId), ["reason"] = reason }, cancellationToken);

    /// <summary>Whether an enterprise account is disabled (<c>orgAccounts/status</c>).</summary>
    public Task<RemoteResult<bool>> IsAccountDisabledAsync(string userId, CancellationToken cancellationToken) => _transport.SendAsync<bool>(
        new DingTalkCall("/v1.0/contact/orgAccounts/status", null) { Query = [("userId", Id(userId))] },
        static body => DingTalkErrors.Field(body, "disable") is { Type: JTokenType.Boolean } disabled ? new((bool)disabled) : null,
        cancellationToken);

    /// <summary>
    /// Removes a person from the organisation (<c>topapi/v2/user/delete</c>). Destructive. It is not repeated when its answer is lost:
    /// Unavailable then means that it may have happened.
    /// </summary>
    public async Task<RemoteResult> RemoveUserAsync(string userId, CancellationToken cancellationToken) => Plain(await _transport.SendAsync<bool>(
        new DingTalkCall("/topapi/v2/user/delete", new() { ["userid"] = Id(userId) }) { Legacy = true, Kind = CallKind.Once },
        static body => DingTalkErrors.Field(body, "errcode") is not null ? new(true) : null,
        cancellationToken));

    /// <summary>
    /// The latest record of somebody's leave (<c>contact/empLeaveRecords</c>); Ok with <see langword="null"/> when there is none. All
    /// records of the window are read, since DingTalk cannot be asked for one person's.
    /// </summary>
    /// <exception cref="ArgumentOutOfRangeException">The window is reversed or longer than the 365 days that DingTalk allows.</exception>
    public async Task<RemoteResult<DingTalkLeaveRecord?>> FindLeaveRecordAsync(
        string userId, DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(to, from);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(to - from, LongestLeaveWindow, nameof(to));
        Id(userId);
        DingTalkLeaveRecord? latest = null;
        var cursor = "0";
        for (var page = 0; page < MaxLeaveRecordPages; page++)
        {
            var answer = await ListLeaveRecordsAsync(from, to, cursor, cancellationToken);
            if (!answer.IsOk)
            {
                return RemoteResult<DingTalkLeaveRecord?>.From(answer);
            }

            foreach (var record in answer.Value!.Records.Where(record => record.UserId == userId))
            {
                latest = latest is null || record.LeftAt > latest.LeftAt ? record : latest;
            }

            if (answer.Value.Next is not { } next)
            {
                return new(RemoteStatus.Ok, latest) { RequestId = answer.RequestId };
            }

            if (next == cursor)
            {
                break;
            }

            cursor = next;
        }

        return new(RemoteStatus.Unexpected, null) { Code = "endless-pages" };
    }

    /// <summary>The departments directly below a department (<c>topapi/v2/department/listsub</c>).</summary>
    public Task<RemoteResult<IReadOnlyList<long>>> ListSubDepartmentsAsync(long departmentId, CancellationToken cancellationToken) =>
        _transport.SendAsync<IReadOnlyList<long>>(
            new DingTalkCall("/topapi/v2/department/listsub", new() { ["dept_id"] = departmentId })
            {
                Legacy = true, AnswerBytes = ContactPageBytes,
            },
            static body => DingTalkErrors.Field(body, "result") is JArray departments
                ? new([.. departments.Select(static d => Number(DingTalkErrors.Field(d, "dept_id"))).OfType<long>()])
                : null,
            cancellationToken);

    /// <summary>A page of the direct members of a department (<c>topapi/v2/user/list</c>).</summary>
    /// <param name="departmentId">The department.</param>
    /// <param name="cursor">0, then what the page before said.</param>
    /// <param name="cancellationToken">The caller gives up.</param>
    public Task<RemoteResult<DingTalkUserPage>> ListUsersAsync(long departmentId, long cursor, CancellationToken cancellationToken) =>
        _transport.SendAsync<DingTalkUserPage>(
            new DingTalkCall(
                "/topapi/v2/user/list", new() { ["dept_id"] = departmentId, ["cursor"] = cursor, ["size"] = UsersPerPage })
            {
                Legacy = true, AnswerBytes = ContactPageBytes,
            },
            body => ReadUserPage(DingTalkErrors.Field(body, "result")) is { } page ? new(page) : null,
            cancellationToken);

    private async Task<RemoteResult> ChangeAccountAsync(string verb, JObject body, CancellationToken cancellationToken)
    {
        var result = await _transport.SendAsync<bool>(
            new DingTalkCall($"/v1.0/contact/orgAccounts/{verb}", body),
            static answer => DingTalkErrors.Field(answer, "result") is { Type: JTokenType.Boolean } done ? new((bool)done) : null,
            cancellationToken);
        return result is { IsOk: true, Value: false }
            ? new(RemoteStatus.Unexpected) { Code = "result-false", RequestId = result.RequestId }
            : Plain(result);
    }

    private Task<RemoteResult<LeaveRecordPage>> ListLeaveRecordsAsync(
        DateTimeOffset from, DateTimeOffset to, string cursor, CancellationToken cancellationToken) => _transport.SendAsync<LeaveRecordPage>(
        new DingTalkCall("/v1.0/contact/empLeaveRecords", null)
        {
            Query =
            [
                ("startTime", Instant(from)), ("endTime", Instant(to)), ("nextToken", cursor),
                ("maxResults", LeaveRecordsPerPage.ToString(CultureInfo.InvariantCulture)),
            ],
            AnswerBytes = ContactPageBytes,
        },
        static body => DingTalkErrors.Field(body, "records") is JArray records
            ? new(new(
                [.. records.Select(ReadLeaveRecord).OfType<DingTalkLeaveRecord>()], Text(DingTalkErrors.Field(body, "nextToken"))))
            : null,
        cancellationToken);

    private sealed record LeaveRecordPage(IReadOnlyList<DingTalkLeaveRecord> Records, string? Next);

    private static DingTalkLeaveRecord? ReadLeaveRecord(JToken record) => Text(DingTalkErrors.Field(record, "userId")) is { } userId
        ? new() { UserId = userId, LeftAt = Instant(DingTalkErrors.Field(record, "leaveTime")), Reason = Text(DingTalkErrors.Field(record, "leaveReason")) }
        : null;

    private DingTalkUserPage? ReadUserPage(JToken? result)
    {
        if (DingTalkErrors.Field(result, "list") is not JArray list)
        {
            return null;
        }

        var next = Flag(result, "has_more") ? Number(DingTalkErrors.Field(result, "next_cursor")) : null;
        return Flag(result, "has_more") && next is null ? null : new([.. list.Select(ReadUser).OfType<DingTalkUser>()], next);
    }

    private DingTalkUser? ReadUser(JToken? user)
    {
        if (Text(DingTalkErrors.Field(user, "userid")) is not { } userId)
        {
            return null;
        }

        var owner = Text(DingTalkErrors.Field(user, "exclusive_account_corp_id"));
        return new()
        {
            UserId = userId,
            UnionId = Text(DingTalkErrors.Field(user, "unionid")),
            JobNumber = Text(DingTalkErrors.Field(user, "job_number")),
            Email = Text(DingTalkErrors.Field(user, "email")),
            OrgEmail = Text(DingTalkErrors.Field(user, "org_email")),
            Name = Text(DingTalkErrors.Field(user, "name")),
            IsActive = Flag(user, "active"),
            IsAdmin = Flag(user, "admin"),
            IsBoss = Flag(user, "boss"),
            ManagerUserId = Text(DingTalkErrors.Field(user, "manager_userid")),
            Roles = DingTalkErrors.Field(user, "role_list") is JArray roles
                ? [.. roles.Select(static role => ReadRole(role)).OfType<DingTalkRole>()]
                : [],
            // An enterprise account may belong to another organisation, which alone can disable it.
            IsEnterpriseAccount = Flag(user, "exclusive_account") && (owner is null || owner == _corpId),
            DepartmentIds = DingTalkErrors.Field(user, "dept_id_list") is JArray departments
                ? [.. departments.Select(Number).OfType<long>()]
                : [],
        };
    }

    private static RemoteResult Plain(RemoteResult result) => new(result.Status)
    {
        Code = result.Code, RequestId = result.RequestId, RetryAfter = result.RetryAfter, MissingScopes = result.MissingScopes,
    };

    private static string Id(string userId)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(userId);
        return userId;
    }

    private static string? Text(JToken? value) =>
        value is { Type: JTokenType.String or JTokenType.Integer } && value.ToString() is var text && !string.IsNullOrWhiteSpace(text)
            ? text
            : null;

    private static bool Flag(JToken? parent, string name) => DingTalkErrors.Field(parent, name) switch
    {
        { Type: JTokenType.Boolean } value => (bool)value,
        { Type: JTokenType.String } value => bool.TryParse(value.ToString(), out var flag) && flag,
        _ => false,
    };

    private static long? Number(JToken? value) =>
        value is { Type: JTokenType.Integer or JTokenType.String }
        && long.TryParse(value.ToString(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var number)
            ? number
            : null;

    private static string Instant(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>DingTalk writes times as ISO 8601 or as milliseconds since 1970.</summary>
    private static DateTimeOffset? Instant(JToken? value) =>
        Number(value) is >= 0 and <= 253_402_300_799_999 and var milliseconds ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds)
        : DateTimeOffset.TryParse(Text(value), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time) ? time
        : null;
}
