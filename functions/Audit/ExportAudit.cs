using System.Buffers;
using System.Globalization;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Audit;

/// <summary>
/// <c>GET /api/audit/export?format=jsonl|csv|ocsf&amp;…</c>: everything that the filter finds, streamed, so that no size matters. The export
/// is recorded before its first byte is sent. It ends at the entries that were the last when it began: the header
/// <c>DingFlow-Audit-Through</c> and the entry <c>audit.exported</c> say which these were.
/// </summary>
public sealed class ExportAudit(AuditSearch search, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    /// <summary>Of each chain its name and the number of the last entry that the export covers, such as <c>main=4711, i-0a1b=17</c>.</summary>
    internal const string ThroughHeader = "DingFlow-Audit-Through";

    private const int FlushAt = 64 * 1024;

    /// <summary>Proxies take headers of some kilobytes: of very many chains the first are named, and how many more there are.</summary>
    private const int ChainsInHeader = 100;

    /// <inheritdoc/>
    public async Task InvokeAsync(HttpContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        IAuditFormat? format = context.Request.Query["format"].ToString() switch
        {
            "" or "jsonl" => new JsonLinesFormat(),
            "csv" => new CsvFormat(),
            "ocsf" => new OcsfFormat(),
            _ => null,
        };
        if (format is null)
        {
            await context.ProblemAsync(ProblemCode.Malformed, "format must be jsonl, csv or ocsf.");
            return;
        }

        if (await AuditQuery.ReadFilterAsync(context, time) is not { } filter)
        {
            return;
        }

        var ends = await search.EndsAsync(context.RequestAborted);
        var through = ThroughOf(ends);
        var exported = AuditQuery.EventOf(context, AuditAudit.Exported, filter, null);
        await trail.AppendAsync(exported with { Details = new Dictionary<string, string>(exported.Details) { ["through"] = through } }, context.RequestAborted);
        context.Response.Headers[ThroughHeader] = through;
        context.Features.Get<RequestTimeLimit>()?.Lift();
        context.Response.ContentType = format.MediaType;
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"audit.{format.Extension}\"";
        var output = context.Response.BodyWriter;
        format.Begin(output);
        await foreach (var found in search.ReadAsync(filter, new(), context.RequestAborted, budget: null, ends))
        {
            format.Write(output, found);
            if (output.UnflushedBytes >= FlushAt)
            {
                await output.FlushAsync(context.RequestAborted);
            }
        }

        await output.FlushAsync(context.RequestAborted);
    }

    private static string ThroughOf(IReadOnlyDictionary<string, long> ends)
    {
        var named = ends.Take(ChainsInHeader).Select(static end => string.Create(CultureInfo.InvariantCulture, $"{end.Key}={end.Value}"));
        var more = ends.Count - ChainsInHeader;
        return string.Join(", ", more > 0 ? named.Append(string.Create(CultureInfo.InvariantCulture, $"and {more} more")) : named);
    }
}

/// <summary>A form in which entries are exported.</summary>
internal interface IAuditFormat
{
    string MediaType { get; }

    string Extension { get; }

    void Begin(IBufferWriter<byte> output);

    void Write(IBufferWriter<byte> output, FoundEntry found);
}

/// <summary>The lines as they are stored, hashed and archived.</summary>
internal sealed class JsonLinesFormat : IAuditFormat
{
    public string MediaType => "application/jsonl";

    public string Extension => "jsonl";

    public void Begin(IBufferWriter<byte> output)
    {
    }

    public void Write(IBufferWriter<byte> output, FoundEntry found) => AuditLines.Write(output, found.Entry);
}

/// <summary>Comma-separated values after RFC 4180, in UTF-8.</summary>
internal sealed class CsvFormat : IAuditFormat
{
    private const string Header =
        "chain,sequence,recordedAt,kind,retention,hash,id,occurredAt,actorType,actor,key,outcome,onType,on,caseId,subject,exporter,reason,requestId,payloadHash,details\r\n";

    public string MediaType => "text/csv; charset=utf-8";

    public string Extension => "csv";

    public void Begin(IBufferWriter<byte> output) => output.Write(Encoding.UTF8.GetBytes(Header));

    public void Write(IBufferWriter<byte> output, FoundEntry found)
    {
        var (entry, content) = found;
        string?[] cells =
        [
            entry.Chain, entry.Sequence.ToString(CultureInfo.InvariantCulture), Time(entry.RecordedAt), entry.Kind,
            entry.Retention == AuditRetention.Legal ? "legal" : "operational", Convert.ToHexStringLower(entry.Hash.Span),
            content?.Id, content is null ? null : Time(content.OccurredAt), Words.Of(content?.Actor.Type), content?.Actor.Id, content?.Actor.Key,
            Words.Of(content?.Outcome), content?.On?.Type, content?.On?.Id, content?.CaseId, content?.Subject, content?.Exporter, content?.Reason,
            content?.RequestId, content?.PayloadHash,
            content?.Details is null ? null : string.Join("; ", content.Details.Select(static detail => $"{detail.Key}={detail.Value}")),
        ];
        output.Write(Encoding.UTF8.GetBytes(string.Join(',', cells.Select(Cell)) + "\r\n"));
    }

    private static string Time(DateTimeOffset time) => time.UtcDateTime.ToString(AuditHash.TimeFormat, CultureInfo.InvariantCulture);

    /// <summary>A text that a spreadsheet would take for a formula is shown to be text.</summary>
    internal static string Cell(string? text)
    {
        if (string.IsNullOrEmpty(text))
        {
            return "";
        }

        var safe = CsvText.WithoutFormula(text);
        return safe.AsSpan().IndexOfAny(",\"\r\n") < 0 ? safe : $"\"{safe.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
    }
}
