using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json.Nodes;

namespace DingFlow.Sandbox;

/// <summary>
/// DingTalk's own logs: the file audit log as open.dingtalk.com describes it, the administrators' operation log as the official SDK does.
/// The sandbox makes them up from the day: three downloads, one of them a folder's, and one act of an administrator.
/// </summary>
internal static class DingTalkLogApi
{
    private const int DownloadsPerDay = 3;
    private const int Download = 2;
    private static readonly TimeSpan Kept = TimeSpan.FromDays(180);

    public static ImmutableArray<SandboxOperation> Operations { get; } =
    [
        new("fileAuditLogs", SandboxApi.DingTalk, "GET", "v1.0/exclusive/fileAuditLogs", FileAudit) { Scope = "Custom.OpFileAudit.Read" },
        new("oaOperatorLogs", SandboxApi.DingTalk, "POST", "v1.0/exclusive/oaOperatorLogs/query", OperatorLog) { Scope = "Exclusive.OaOperatorLog.Read" },
    ];

    private static SandboxAnswer FileAudit(SandboxCall call)
    {
        if (call.Number("startDate") is not { } start || call.Number("endDate") is not { } end || end < start || call.Number("pageSize") is not (>= 1 and <= 500))
        {
            return DingTalkApi.Error(call.World, 400, "invalid.param", "参数错误");
        }

        var size = (int)call.Number("pageSize")!.Value;
        var (afterTime, afterId) = (call.Number("nextGmtCreate") ?? long.MinValue, call.Number("nextBizId") ?? long.MinValue);
        var people = call.Directory.People.Where(static person => person.DingTalk is not null).ToList();
        var records = Times(call, start, end, DownloadsPerDay)
            .Select((at, i) => (At: at, Id: at / 1000, Person: people[(int)(at / 3_600_000 % people.Count)]))
            .Where(record => record.At > afterTime || (record.At == afterTime && record.Id > afterId)).Take(size);
        return SandboxAnswer.Json(200, new JsonObject
        {
            ["list"] = new JsonArray([.. records.Select(static record => new JsonObject
            {
                ["userId"] = record.Person.DingTalk!.UserId,
                ["realName"] = record.Person.Name,
                ["operatorName"] = record.Person.Name,
                ["ipAddress"] = "203.0.113.7",
                ["platform"] = 1,
                ["action"] = Download,
                ["resource"] = "payroll.xlsx",
                ["resourceExtension"] = "xlsx",
                ["resourceSize"] = 4096,
                ["gmtCreate"] = record.At,
                ["bizId"] = record.Id.ToString(CultureInfo.InvariantCulture),
            })]),
        });
    }

    private static SandboxAnswer OperatorLog(SandboxCall call)
    {
        if (call.Number("startTime") is not { } start || call.Number("endTime") is not { } end || end < start
            || call.Number("pageNumber") is not (>= 1 and var number) || call.Number("pageSize") is not (>= 1 and <= 100 and var size))
        {
            return DingTalkApi.Error(call.World, 400, "invalid.param", "参数错误");
        }

        var all = Times(call, start, end, 1).ToList();
        return SandboxAnswer.Json(200, new JsonObject
        {
            ["data"] = new JsonArray([.. all.Skip((int)((number - 1) * size)).Take((int)size).Select(static at => new JsonObject
            {
                ["opUserId"] = "sb-1002", ["opName"] = "sandbox", ["opTime"] = at, ["category1Name"] = "通讯录", ["category2Name"] = "角色", ["content"] = "修改角色",
            })]),
            ["itemCount"] = all.Count,
        });
    }

    /// <summary>Moments within a span, so many a day, that DingTalk still remembers.</summary>
    private static IEnumerable<long> Times(SandboxCall call, long start, long end, int perDay)
    {
        const long day = 86_400_000;
        var forgotten = (call.World.Now - Kept).ToUnixTimeMilliseconds();
        for (var at = start - (start % day); at <= end; at += day)
        {
            for (var i = 0; i < perDay; i++)
            {
                var moment = at + ((i + 1) * 3_600_000L);
                if (moment >= Math.Max(start, forgotten) && moment <= end)
                {
                    yield return moment;
                }
            }
        }
    }
}
