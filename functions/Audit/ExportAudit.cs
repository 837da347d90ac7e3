using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;
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

/// <summary>
/// The Open Cybersecurity Schema Framework, 1.3: sign-ins as Authentication (3002), changes of permissions as User Access Management (3005),
/// everything else as API Activity (6003). What has no place there is in <c>unmapped</c>.
/// </summary>
internal sealed class OcsfFormat : IAuditFormat
{
    private const int Authentication = 3002;
    private const int UserAccessManagement = 3005;
    private const int ApiActivity = 6003;

    public string MediaType => "application/jsonl";

    public string Extension => "ocsf.jsonl";

    public void Begin(IBufferWriter<byte> output)
    {
    }

    public void Write(IBufferWriter<byte> output, FoundEntry found)
    {
        var (entry, content) = found;
        var classId = entry.Kind.StartsWith("authentication.", StringComparison.Ordinal) ? Authentication
            : entry.Kind.StartsWith("permissions.", StringComparison.Ordinal) ? UserAccessManagement
            : ApiActivity;
        var activity = (classId, entry.Kind) switch
        {
            (Authentication, _) => 1,
            (UserAccessManagement, "permissions.gained") => 1,
            (UserAccessManagement, "permissions.lost") => 2,
            _ => 99,
        };
        using (var writer = new Utf8JsonWriter(output))
        {
            writer.WriteStartObject();
            writer.WriteNumber("category_uid", classId / 1000);
            writer.WriteNumber("class_uid", classId);
            writer.WriteNumber("activity_id", activity);
            writer.WriteNumber("type_uid", (classId * 100) + activity);
            writer.WriteNumber("time", (content?.OccurredAt ?? entry.RecordedAt).ToUnixTimeMilliseconds());
            writer.WriteNumber("severity_id", content?.Outcome is AuditOutcome.Refused or AuditOutcome.Failed ? 3 : 1);
            writer.WriteNumber("status_id", content is null ? 0 : content.Outcome == AuditOutcome.Succeeded ? 1 : 2);
            writer.WriteString("message", content?.Reason ?? entry.Kind);
            WriteActor(writer, content?.Actor, classId);
            WriteApi(writer, entry, content, classId);
            WriteMetadata(writer, entry, content);
            WriteUnmapped(writer, entry, content);
            writer.WriteEndObject();
        }

        output.Write("\n"u8);
    }

    private static void WriteActor(Utf8JsonWriter writer, AuditActor? actor, int classId)
    {
        void User()
        {
            writer.WriteStartObject("user");
            writer.WriteString("uid", actor?.Id ?? "unknown");
            writer.WriteNumber("type_id", actor?.Type switch { AuditActorType.System => 3, AuditActorType.Principal => 1, _ => 0 });
            writer.WriteEndObject();
        }

        writer.WriteStartObject("actor");
        User();
        writer.WriteEndObject();
        if (classId != ApiActivity)
        {
            User();
        }
    }

    private static void WriteApi(Utf8JsonWriter writer, AuditEntry entry, AuditContent? content, int classId)
    {
        if (classId == ApiActivity)
        {
            writer.WriteStartObject("api");
            writer.WriteString("operation", entry.Kind);
            if (content?.RequestId is { } requestId)
            {
                writer.WriteStartObject("request");
                writer.WriteString("uid", requestId);
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
            writer.WriteStartObject("src_endpoint");
            writer.WriteString("name", content?.Actor.Id ?? "unknown");
            writer.WriteEndObject();
        }

        if (content?.On is { } on)
        {
            writer.WriteStartArray("resources");
            writer.WriteStartObject();
            writer.WriteString("type", on.Type);
            writer.WriteString("uid", on.Id);
            writer.WriteEndObject();
            writer.WriteEndArray();
        }
    }

    private static void WriteMetadata(Utf8JsonWriter writer, AuditEntry entry, AuditContent? content)
    {
        writer.WriteStartObject("metadata");
        writer.WriteString("version", "1.3.0");
        writer.WriteString("uid", content?.Id ?? Convert.ToHexStringLower(entry.Hash.Span));
        writer.WriteNumber("sequence", entry.Sequence);
        writer.WriteString("log_name", entry.Chain);
        writer.WriteNumber("logged_time", entry.RecordedAt.ToUnixTimeMilliseconds());
        if (content?.RequestId is { } correlation)
        {
            writer.WriteString("correlation_uid", correlation);
        }

        writer.WriteStartObject("product");
        writer.WriteString("name", "DingFlow");
        writer.WriteString("vendor_name", "DingFlow");
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteUnmapped(Utf8JsonWriter writer, AuditEntry entry, AuditContent? content)
    {
        writer.WriteStartObject("unmapped");
        writer.WriteString("kind", entry.Kind);
        writer.WriteString("hash", Convert.ToHexStringLower(entry.Hash.Span));
        foreach (var (name, value) in new[]
        {
            ("key", content?.Actor.Key), ("caseId", content?.CaseId), ("subject", content?.Subject), ("exporter", content?.Exporter),
            ("payloadHash", content?.PayloadHash),
        })
        {
            if (value is not null)
            {
                writer.WriteString(name, value);
            }
        }

        if (content?.Details is { } details)
        {
            writer.WriteStartObject("details");
            foreach (var (name, value) in details)
            {
                writer.WriteString(name, value);
            }

            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }
}
