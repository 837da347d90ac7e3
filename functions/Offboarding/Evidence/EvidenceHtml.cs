using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using DingFlow.Settings;

namespace DingFlow.Offboarding.Evidence;

/// <summary>
/// The evidence as a page to print. Its words stand in <c>Evidence/texts.json</c> in four languages; what was recorded is shown as it was
/// written.
/// </summary>
public static class EvidenceHtml
{
    private static readonly Lazy<Dictionary<string, Dictionary<string, string>>> Texts = new(Load);

    /// <summary>The languages that there are.</summary>
    public static IReadOnlyList<string> Languages { get; } = ["en", "zh-Hant", "zh-Hans", "pt"];

    /// <summary>The keys of the words, for a test that every language has them all.</summary>
    internal static IReadOnlyDictionary<string, Dictionary<string, string>> All => Texts.Value;

    /// <summary>The language that a caller wants: as asked for, or the first that it accepts; English when there is none of ours.</summary>
    public static string LanguageOf(string? acceptLanguage) => (acceptLanguage ?? "").Split(',', StringSplitOptions.TrimEntries)
        .Select(part => part.Split(';')[0].ToLowerInvariant())
        .Select(tag => tag.StartsWith("zh-hant", StringComparison.Ordinal) || tag is "zh-tw" or "zh-hk" or "zh-mo" ? "zh-Hant"
            : tag.StartsWith("zh", StringComparison.Ordinal) ? "zh-Hans"
            : tag.StartsWith("pt", StringComparison.Ordinal) ? "pt"
            : tag.StartsWith("en", StringComparison.Ordinal) ? "en" : null)
        .FirstOrDefault(language => language is not null) ?? "en";

    /// <summary>The page.</summary>
    public static string Write(EvidencePack pack, string language)
    {
        var page = new StringBuilder();
        var c = pack.Evidence;
        page.Append(CultureInfo.InvariantCulture, $"<!DOCTYPE html><html lang=\"{language}\"><head><meta charset=\"utf-8\"><title>{T("title")} {H(c.CaseId)}</title><style>{Style}</style></head><body>");
        page.Append(CultureInfo.InvariantCulture, $"<h1>{T("title")}</h1><p class=\"state {Words.Of(c.State)}\">{T("state." + Words.Of(c.State))}</p>");
        Table(page, null, [
            [T("case"), H(c.CaseId)], [T("employee"), H(c.EmployeeId ?? "—")], [T("mode"), T("mode." + Words.Of(c.Mode))],
            [T("plan"), c.Plan is { } plan ? H($"{plan.Policy} / {plan.Name} ({plan.Hash})") : "—"],
            .. c.MergedInto is null ? Array.Empty<string[]>() : [[T("mergedInto"), H(c.MergedInto)]],
        ]);

        page.Append(CultureInfo.InvariantCulture, $"<h2>{T("told")}</h2>");
        Table(page, [T("source"), T("event"), T("occurredAt"), T("receivedAt"), T("signature"), T("delivery")], [.. c.Told.Select(w => (string[])
            [
                H(w.Source), T("event." + Words.Of(w.Kind)), Time(w.OccurredAt), Time(w.ReceivedAt),
                w.Signature is null ? T("signature.none") : $"{T("signature.verified")} {w.Signature.Key}",
                $"{H(w.DeliveryId)}<br><small>SHA-256 {H(w.BodySha256 ?? "—")}</small>",
            ])]);

        page.Append(CultureInfo.InvariantCulture, $"<h2>{T("snapshot")}</h2>");
        Table(page, [T("system"), T("account"), T("status"), T("wasEnabled"), T("lookedUpAt"), T("detail")], [.. c.Snapshot.Select(a => (string[])
            [
                H(System(a.Target, a.Tenant)), H(a.AccountId ?? "—"), T("account." + Words.Of(a.Status)), a.WasEnabled is null ? "—" : T(a.WasEnabled.Value ? "yes" : "no"),
                Time(a.LookedUpAt), H(a.Detail ?? ""),
            ])]);

        page.Append(CultureInfo.InvariantCulture, $"<h2>{T("steps")}</h2>");
        Steps(page, c.Steps, T);
        if (c.Undo is { } undo)
        {
            page.Append(CultureInfo.InvariantCulture, $"<h2>{T("undo")}</h2><p>{H(undo.RequestedBy)}, {Time(undo.RequestedAt)}: {H(undo.Reason)}</p>");
            Steps(page, undo.Steps, T);
            List(page, T("notRestored"), undo.NotRestored);
        }

        page.Append(CultureInfo.InvariantCulture, $"<h2>{T("clock")}</h2>");
        Table(page, null, [
            [T("receivedAt"), Time(c.Clock.ReceivedAt)], [T("effectiveAt"), Time(c.Clock.EffectiveAt)], [T("startedAt"), Time(c.Clock.StartedAt)],
            [T("verifiedAt"), Time(c.Clock.VerifiedAt)], [T("recheckedAt"), Time(c.Clock.RecheckedAt)], [T("dueAt"), Time(c.Clock.DueAt)],
            [T("target"), Duration(c.Clock.TargetMilliseconds)], [T("toVerified"), c.Clock.MillisecondsToVerified is { } taken ? Duration(taken) : "—"],
            [T("withinTarget"), c.Clock.WithinTarget is { } within ? T(within ? "yes" : "no") : "—"],
        ]);
        if (c.Actions.Count > 0)
        {
            page.Append(CultureInfo.InvariantCulture, $"<h2>{T("actions")}</h2>");
            Table(page, [T("at"), T("by"), T("what"), T("reason")], [.. c.Actions.Select(a => (string[])[Time(a.At), H(a.By), H(a.What), H(a.Reason)])]);
        }

        List(page, T("notes"), c.Notes);
        page.Append(CultureInfo.InvariantCulture, $"<footer><p>{T("asWritten")}</p><p>{T("hash")}: <code>{pack.Hash.Value}</code></p><p>{T("recompute")}</p><p>{H(pack.MadeBy)}, {Time(pack.MadeAt)}</p></footer></body></html>");
        return page.ToString();

        // A word that has no translation yet is shown as it is recorded: evidence must never fail for want of one.
        string T(string key) => H(Texts.Value.TryGetValue(key, out var words) ? words[language] : key[(key.IndexOf('.', StringComparison.Ordinal) + 1)..]);
    }

    private const string Style = "body{font:10pt/1.45 system-ui,'Noto Sans','Noto Sans CJK TC',sans-serif;margin:2em;color:#111}"
        + "h1{font-size:16pt}h2{font-size:12pt;margin-top:1.4em;border-bottom:1px solid #999}table{border-collapse:collapse;width:100%}"
        + "th,td{border:1px solid #bbb;padding:.25em .45em;text-align:left;vertical-align:top;word-break:keep-all;overflow-wrap:break-word}th{background:#eee}small{overflow-wrap:anywhere}"
        + ".state{font-size:13pt;font-weight:bold}footer{margin-top:2em;border-top:1px solid #999;font-size:9pt}code{overflow-wrap:anywhere}"
        + "@page{margin:15mm}@media print{body{margin:0}tr,h2{break-inside:avoid}}";

    private static void Steps(StringBuilder page, IReadOnlyList<CaseStep> steps, Func<string, string> t) => Table(
        page, [t("step"), t("outcome"), t("readBack"), t("startedAt"), t("endedAt"), t("attempts"), t("requestId"), t("detail")], [.. steps.Select(s => (string[])
            [
                $"{(Texts.Value.ContainsKey("step." + s.Id) ? t("step." + s.Id) : "")}<br><small>{H(s.Id)}{(s.Tenant is null ? "" : $" ({H(s.Tenant)})")}</small>",
                s.Outcome is { } outcome ? t("outcome." + Words.Of(outcome)) : "—", s.ReadBack is { } back ? t("readBack." + Words.Of(back)) : "—",
                Time(s.StartedAt), Time(s.EndedAt), s.Attempts.ToString(CultureInfo.InvariantCulture), H(s.RequestId ?? "—"),
                H(s.Detail ?? "") + Items(s, t),
            ])]);

    private static string Items(CaseStep step, Func<string, string> t) => step.Changes is not { Count: > 0 } changes ? "" : "<ul>" + string.Concat(changes.Select(change =>
        $"<li>{H(change.Name ?? change.Id)}: {t("change." + Words.Of(change.State))}{(change.Note is null ? "" : $" ({H(change.Note)})")}</li>")) + "</ul>";

    private static void Table(StringBuilder page, string[]? head, string[][] rows)
    {
        page.Append("<table>");
        if (head is not null)
        {
            page.Append("<tr>").AppendJoin("", head.Select(cell => $"<th>{cell}</th>")).Append("</tr>");
        }

        foreach (var row in rows)
        {
            page.Append("<tr>").AppendJoin("", row.Select((cell, i) => head is null && i == 0 ? $"<th>{cell}</th>" : $"<td>{cell}</td>")).Append("</tr>");
        }

        page.Append("</table>");
    }

    private static void List(StringBuilder page, string title, IReadOnlyList<string> items)
    {
        if (items.Count > 0)
        {
            page.Append(CultureInfo.InvariantCulture, $"<h2>{title}</h2><ul>").AppendJoin("", items.Select(item => $"<li>{H(item)}</li>")).Append("</ul>");
        }
    }

    private static string System(FreezeTarget target, string? tenant) => target == FreezeTarget.Entra ? "Microsoft Entra" : $"DingTalk ({tenant})";

    private static string Time(DateTimeOffset? time) => time?.ToString("yyyy-MM-dd HH:mm:ss.fff zzz", CultureInfo.InvariantCulture) ?? "—";

    private static string Duration(long milliseconds) => TimeSpan.FromMilliseconds(milliseconds).ToString(@"d\.hh\:mm\:ss\.fff", CultureInfo.InvariantCulture);

    private static string H(string text) => WebUtility.HtmlEncode(text);

    private static Dictionary<string, Dictionary<string, string>> Load()
    {
        using var stream = typeof(EvidenceHtml).Assembly.GetManifestResourceStream("Offboarding/Evidence/texts.json")!;
        using var document = JsonDocument.Parse(stream);
        return document.RootElement.EnumerateObject().ToDictionary(
            text => text.Name, text => text.Value.EnumerateObject().ToDictionary(t => t.Name, t => t.Value.GetString()!, StringComparer.Ordinal), StringComparer.Ordinal);
    }
}
