using System.Globalization;
using DingFlow.Remote;
using Newtonsoft.Json.Linq;

namespace DingFlow.DingTalk;

/// <summary>DingTalk's own logs, as it gives them out; it keeps them for 180 days at most.</summary>
public sealed partial class DingTalkClient
{
    private const int FileLogPage = 500;
    private const int OperatorLogPage = 100;
    private const int LeavePage = 50;
    private const int LogBytes = 8 * 1024 * 1024;

    /// <summary>
    /// A page of the file audit log (<c>exclusive/fileAuditLogs</c>; exclusive edition, permission <c>Custom.OpFileAudit.Read</c>). The next
    /// page follows the last record's <c>gmtCreate</c> and <c>bizId</c>.
    /// </summary>
    public Task<RemoteResult<DingTalkLogPage>> ReadFileAuditLogAsync(
        DateTimeOffset from, DateTimeOffset to, string? next, CancellationToken cancellationToken)
    {
        List<(string, string)> query = [("startDate", Milliseconds(from)), ("endDate", Milliseconds(to)), ("pageSize", FileLogPage.ToString(CultureInfo.InvariantCulture))];
        if (next?.Split('|') is [var created, var id])
        {
            query.AddRange([("nextGmtCreate", created), ("nextBizId", id)]);
        }

        return _transport.SendAsync<DingTalkLogPage>(
            new DingTalkCall("/v1.0/exclusive/fileAuditLogs", null) { Query = query, AnswerBytes = LogBytes },
            static body => DingTalkErrors.Field(body, "list") is JArray list
                ? new(new([.. list.OfType<JObject>()], list.Count == FileLogPage ? $"{list[^1]!["gmtCreate"]}|{list[^1]!["bizId"]}" : null))
                : null,
            cancellationToken);
    }

    /// <summary>
    /// A page of the administrators' operation log (<c>exclusive/oaOperatorLogs/query</c>). Its documentation is the SDK's alone: what it
    /// answers without the edition is not known.
    /// </summary>
    public Task<RemoteResult<DingTalkLogPage>> ReadOperatorLogAsync(
        DateTimeOffset from, DateTimeOffset to, string? next, CancellationToken cancellationToken)
    {
        var page = next is null ? 1 : int.Parse(next, CultureInfo.InvariantCulture);
        return _transport.SendAsync<DingTalkLogPage>(
            new DingTalkCall("/v1.0/exclusive/oaOperatorLogs/query", new JObject
            {
                ["startTime"] = from.ToUnixTimeMilliseconds(), ["endTime"] = to.ToUnixTimeMilliseconds(), ["pageNumber"] = page, ["pageSize"] = OperatorLogPage,
            }) { AnswerBytes = LogBytes },
            body => DingTalkErrors.Field(body, "data") is JArray list
                ? new(new([.. list.OfType<JObject>()], list.Count == OperatorLogPage ? (page + 1).ToString(CultureInfo.InvariantCulture) : null))
                : null,
            cancellationToken);
    }

    /// <summary>A page of the leave records (<c>contact/empLeaveRecords</c>).</summary>
    public Task<RemoteResult<DingTalkLogPage>> ReadLeaveRecordsAsync(
        DateTimeOffset from, DateTimeOffset to, string? next, CancellationToken cancellationToken) => _transport.SendAsync<DingTalkLogPage>(
        new DingTalkCall("/v1.0/contact/empLeaveRecords", null)
        {
            Query =
            [
                ("startTime", Rfc3339(from)), ("endTime", Rfc3339(to)), ("nextToken", next ?? "0"), ("maxResults", LeavePage.ToString(CultureInfo.InvariantCulture)),
            ],
            AnswerBytes = LogBytes,
        },
        static body => DingTalkErrors.Field(body, "records") is JArray list
            ? new(new([.. list.OfType<JObject>()], Text(DingTalkErrors.Field(body, "nextToken")) is { Length: > 0 } more ? more : null))
            : null,
        cancellationToken);

    private static string Rfc3339(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}

/// <summary>Records of a log as DingTalk gave them, and where the next page starts (<see langword="null"/>: there is none). Personal data.</summary>
public sealed record DingTalkLogPage(IReadOnlyList<JObject> Records, string? Next)
{
    /// <summary>Says nothing: the records are personal data.</summary>
    public override string ToString() => nameof(DingTalkLogPage);
}
