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

        // It may take long until the first entry is found.
        context.Features.Get<RequestTimeLimit>()?.Lift();
        if (await BeginAsync(filter, context.RequestAborted) is not var (ends, entries, any))
        {
            await AuditQuery.DamagedAsync(context);
            return;
        }

        await using (entries)
        {
            await RecordAsync(context, filter, ThroughOf(ends));
            await WriteAsync(context, format, any, entries);
        }
    }

    /// <summary>
    /// Reads up to the first entry, before which all seals, chains and the index are read: what is damaged there is found before anything is
    /// told. <see langword="null"/>: something is.
    /// </summary>
    private async Task<Beginning?> BeginAsync(AuditFilter filter, CancellationToken cancellationToken)
    {
        IAsyncEnumerator<FoundEntry>? entries = null;
        try
        {
            var ends = await search.EndsAsync(cancellationToken);
            entries = search.ReadAsync(filter, new(), cancellationToken, budget: null, ends).GetAsyncEnumerator(cancellationToken);
            return new(ends, entries, await entries.MoveNextAsync());
        }
        catch (Exception exception)
        {
            if (entries is not null)
            {
                await entries.DisposeAsync();
            }

            if (exception is InvalidDataException)
            {
                return null;
            }

            throw;
        }
    }

    /// <summary>Says in the trail, and in a header, what is exported.</summary>
    private async Task RecordAsync(HttpContext context, AuditFilter filter, string through)
    {
        var exported = AuditQuery.EventOf(context, AuditAudit.Exported, filter, null);
        await trail.AppendAsync(exported with { Details = new Dictionary<string, string>(exported.Details) { ["through"] = through } }, context.RequestAborted);
        context.Response.Headers[ThroughHeader] = through;
    }

    private static async Task WriteAsync(HttpContext context, IAuditFormat format, bool any, IAsyncEnumerator<FoundEntry> entries)
    {
        context.Response.ContentType = format.MediaType;
        context.Response.Headers.ContentDisposition = $"attachment; filename=\"audit.{format.Extension}\"";
        var output = context.Response.BodyWriter;
        format.Begin(output);
        for (; any; any = await entries.MoveNextAsync())
        {
            format.Write(output, entries.Current);
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

    /// <summary>An export that can begin: up to where it goes, what it reads, and whether anything was found.</summary>
    private sealed record Beginning(IReadOnlyDictionary<string, long> Ends, IAsyncEnumerator<FoundEntry> Entries, bool Any);
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
