using System.Buffers;
using System.Globalization;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Audit;

/// <summary>
/// <c>GET /api/audit/export?format=jsonl|csv|ocsf&amp;…</c>: everything that the filter finds, streamed, so that no size matters. The export
/// is recorded before its first byte is sent.
/// </summary>
public sealed class ExportAudit(AuditSearch search, IAuditTrail trail, TimeProvider time) : IHttpFunction
{
    private const int FlushAt = 64 * 1024;

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

        await trail.AppendAsync(AuditQuery.EventOf(context, AuditAudit.Exported, filter, null), context.RequestAborted);
        context.Features.Get<RequestTimeLimit>()?.Lift();
        context.Response.ContentType = format.MediaType;
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"audit.{format.Extension}\"";
        var output = context.Response.BodyWriter;
        format.Begin(output);
        await foreach (var found in search.ReadAsync(filter, new(), context.RequestAborted))
        {
            format.Write(output, found);
            if (output.UnflushedBytes >= FlushAt)
            {
                await output.FlushAsync(context.RequestAborted);
            }
        }

        await output.FlushAsync(context.RequestAborted);
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
