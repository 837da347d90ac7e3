using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>One change of a permission.</summary>
/// <param name="At">When the nightly reading found it, or when it was reported.</param>
/// <param name="System">Where.</param>
/// <param name="Who">Whose permission: a key, an object id, or the pseudonym of an account.</param>
/// <param name="Change"><c>gained</c> or <c>lost</c>.</param>
/// <param name="Permission">Which.</param>
/// <param name="By">Who did it, as the system reported; <see langword="null"/> when nobody said.</param>
/// <param name="ApprovedBy">Where it was decided: the offboarding case whose step did it; <see langword="null"/> when none did.</param>
/// <param name="Explained">Somebody reported it, or a case explains it.</param>
/// <param name="Unseen">The system reported it, and no nightly reading shows it: undone before the next one, or of a sort that readings do not show.</param>
internal sealed record PermissionChange(
    DateTimeOffset At, string System, string Who, string Change, string Permission, string? By, string? ApprovedBy, bool Explained, bool Unseen);

/// <summary>Who gained what and who lost what in a span of time, the unexplained first.</summary>
internal sealed record PermissionReport(DateTimeOffset From, DateTimeOffset To, int Gained, int Lost, int Unexplained, IReadOnlyList<PermissionChange> Changes)
{
    /// <summary>The forms in which people get it; HTML first, the one to read.</summary>
    public static PermissionReportForm[] Forms { get; } =
    [
        new("html", "text/html", static report => report.ToHtml()), new("csv", "text/csv", static report => report.ToCsv()),
        new("json", "application/json", static report => report.ToJson()),
    ];

    /// <summary>Reads what <see cref="ToJson"/> wrote; <see langword="null"/> when it is not that.</summary>
    public static PermissionReport? FromJson(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, PermissionJson.Default.PermissionReport) is { Changes: not null } report ? report : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>As JSON.</summary>
    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, PermissionJson.Default.PermissionReport);

    /// <summary>As comma-separated values after RFC 4180.</summary>
    public byte[] ToCsv()
    {
        var text = new StringBuilder("at,system,who,change,permission,by,approvedBy,explained,unseen\r\n");
        foreach (var change in Changes)
        {
            text.AppendJoin(',', Cells(change).Select(CsvFormat.Cell)).Append("\r\n");
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    /// <summary>As a page that needs nothing else.</summary>
    public byte[] ToHtml()
    {
        var html = new StringBuilder()
            .Append("<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Changes of permissions</title>")
            .Append("<style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.3em .6em;text-align:left}tr.no{background:#fde8e8}</style>")
            .Append(CultureInfo.InvariantCulture, $"<h1>Changes of permissions</h1><p>{From:yyyy-MM-dd} to {To:yyyy-MM-dd} (UTC): {Gained} gained, {Lost} lost, {Unexplained} unexplained.</p>")
            .Append("<table><tr><th>When</th><th>System</th><th>Who</th><th>Change</th><th>Permission</th><th>By</th><th>Approved in</th><th>Explained</th><th>Remark</th></tr>");
        foreach (var change in Changes)
        {
            html.Append(change.Explained ? "<tr>" : "<tr class=\"no\">");
            foreach (var cell in Cells(change).SkipLast(1).Append(change.Unseen ? "no reading shows it" : ""))
            {
                html.Append("<td>").Append(WebUtility.HtmlEncode(cell)).Append("</td>");
            }

            html.Append("</tr>");
        }

        return Encoding.UTF8.GetBytes(html.Append("</table></html>").ToString());
    }

    private static string[] Cells(PermissionChange change) =>
    [
        change.At.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture), change.System, change.Who, change.Change, change.Permission,
        change.By ?? "", change.ApprovedBy ?? "", change.Explained ? "yes" : "no", change.Unseen ? "yes" : "no",
    ];
}

/// <summary>A form of the report.</summary>
/// <param name="Name">Its name in addresses, and the end of its file's name.</param>
/// <param name="MediaType">Its media type; UTF-8.</param>
/// <param name="Write">Writes it, the same bytes for the same report.</param>
internal sealed record PermissionReportForm(string Name, string MediaType, Func<PermissionReport, byte[]> Write);

/// <summary>Makes the report from the trail.</summary>
public sealed class PermissionReports(AuditSearch search, TimeProvider time)
{
    /// <summary>A report and the reading that shows it lie at most so far apart: readings are nightly, reports may be late.</summary>
    private static readonly TimeSpan Apart = TimeSpan.FromHours(50);

    private const string Gained = "gained";
    private const string Lost = "lost";

    internal async Task<PermissionReport> MakeAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        var reported = await ReportsAsync(from, to, cancellationToken);
        var steps = await StepsAsync(from, to, cancellationToken);
        List<PermissionChange> changes = [];

        // Beyond the span too: a report in it may be of a change that a reading outside of it shows.
        foreach (var kind in (AuditKind[])[PermissionAudit.Gained, PermissionAudit.Lost])
        {
            await foreach (var found in search.ReadAsync(new() { From = from - Apart, To = to + Apart, Kind = kind.Name }, new(), cancellationToken))
            {
                if (found.Content?.Details is { } details)
                {
                    changes.Add(Explain(found.Content, details, kind == PermissionAudit.Gained, reported, steps));
                }
            }
        }

        changes =
        [
            .. changes.Where(change => change.At >= from && change.At < to),
            .. reported.Where(one => one.At >= from && one.At < to).SelectMany(static one => one.Unseen()),
        ];
        return new(
            from, to > time.GetUtcNow() ? time.GetUtcNow() : to, changes.Count(static one => one.Change == Gained), changes.Count(static one => one.Change == Lost),
            changes.Count(static one => !one.Explained),
            [.. changes.OrderBy(static one => one.Explained).ThenByDescending(static one => one.Unseen).ThenBy(static one => one.At)]);
    }

    private static PermissionChange Explain(
        AuditContent content, IReadOnlyDictionary<string, string> details, bool isGain, IReadOnlyList<Reported> reported, IReadOnlyList<CaseStepDone> steps)
    {
        var (who, permission, at) = (details["who"], details["permission"], content.OccurredAt);
        var report = Nearest(reported.Where(one => one.Explains(who, permission, isGain)), at);
        report?.Take(permission);
        var step = Nearest(steps.Where(one => one.Explains(who, permission, isGain)), at);
        return new(
            at, details["source"], who, isGain ? Gained : Lost,
            details.GetValueOrDefault("name") is { Length: > 0 } name ? $"{permission} ({name})" : permission, report?.By, step is null ? null : $"case {step.CaseId}",
            report is not null || step is not null, Unseen: false);
    }

    private async Task<List<Reported>> ReportsAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        List<Reported> reported = [];
        await foreach (var found in search.ReadAsync(new() { From = from - Apart - Apart, To = to + Apart + Apart, Kind = PermissionEvents.Reported.Name }, new(), cancellationToken))
        {
            if (found.Content?.Details is { } details)
            {
                reported.Add(new(
                    details["source"], details["who"], details["by"] is { Length: > 0 } by ? by : null, found.Content.OccurredAt,
                    details.GetValueOrDefault("permissions", "").Split('\n', StringSplitOptions.RemoveEmptyEntries), details.GetValueOrDefault("change", "")));
            }
        }

        return reported;
    }

    /// <summary>What offboarding cases did to accounts: the approval of a permission that was lost by it.</summary>
    private async Task<List<CaseStepDone>> StepsAsync(DateTimeOffset from, DateTimeOffset to, CancellationToken cancellationToken)
    {
        List<CaseStepDone> steps = [];
        await foreach (var found in search.ReadAsync(new() { From = from - Apart - Apart, To = to + Apart + Apart, Kind = "offboarding.step_ended" }, new(), cancellationToken))
        {
            if (found.Content is { CaseId: { } caseId, Details: { } details } content && details.TryGetValue("account", out var account)
                && details.GetValueOrDefault("outcome") == "done")
            {
                steps.Add(new(account, caseId, content.OccurredAt, details.GetValueOrDefault("step", "")));
            }
        }

        return steps;
    }

    private static T? Nearest<T>(IEnumerable<T> candidates, DateTimeOffset at)
        where T : class, IExplanation => candidates.Where(one => (at - one.At).Duration() <= Apart).MinBy(one => (at - one.At).Duration());

    private interface IExplanation
    {
        DateTimeOffset At { get; }
    }

    /// <summary>A report explains each permission that it names once, or one when it names none; and only in the direction that it tells.</summary>
    private sealed record Reported(string System, string Who, string? By, DateTimeOffset At, IReadOnlyList<string> Permissions, string Change) : IExplanation
    {
        private readonly HashSet<string> _taken = new(StringComparer.Ordinal);

        public bool Explains(string who, string permission, bool isGain) =>
            who == Who && (Change.Length == 0 || Change == (isGain ? "gained" : "lost")) && NameOf(permission) is { } name && !_taken.Contains(name);

        public void Take(string permission) => _taken.Add(NameOf(permission)!);

        /// <summary>
        /// What it tells of that no reading shows: a permission that was given and taken back before the night, or the other way round. One
        /// that does not say what was given or taken says too little of it.
        /// </summary>
        public IEnumerable<PermissionChange> Unseen() => Change.Length == 0 ? [] : Permissions.Where(named => !_taken.Contains(named))
            .Select(named => new PermissionChange(At, System, Who, Change, named, By, ApprovedBy: null, Explained: By is not null, Unseen: true));

        /// <summary>Which of the permissions that it names this one is; empty for the one that it does not name.</summary>
        private string? NameOf(string permission) => Permissions.Count == 0 ? "" : Permissions.FirstOrDefault(
            named => permission == named || permission.StartsWith(named + " in ", StringComparison.Ordinal)
                || (named == PermissionEvents.Administrator && permission.EndsWith(named, StringComparison.Ordinal)));
    }

    /// <summary>A step of a case explains what it is there to take away, and when it is undone what it gives back.</summary>
    private sealed record CaseStepDone(string Account, string CaseId, DateTimeOffset At, string Step) : IExplanation
    {
        private const string Undo = "undo.";

        public bool Explains(string who, string permission, bool isGain) =>
            who == Account && isGain == Step.StartsWith(Undo, StringComparison.Ordinal) && (isGain ? Step[Undo.Length..] : Step) switch
            {
                // Whoever is no member any more has no role and administers nothing.
                "dingtalk.remove" => true,
                "dingtalk.admin" => permission.EndsWith(PermissionEvents.Administrator, StringComparison.Ordinal),
                "dingtalk.roles" => permission.StartsWith(PermissionEvents.RolePrefix, StringComparison.Ordinal),
                "entra.directoryRoles" => true,
                _ => false,
            };
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(PermissionReport))]
internal sealed partial class PermissionJson : JsonSerializerContext;
