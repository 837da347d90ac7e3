using System.Buffers;
using System.Text.Json;
using DingFlow.Messaging;

namespace DingFlow.Audit;

/// <summary>
/// The Open Cybersecurity Schema Framework, 1.3: sign-ins as Authentication (3002), permissions that were found gained or lost as User Access
/// Management (3005), everything else, and what has lost its content, as API Activity (6003). What has no place there is in
/// <c>unmapped</c>.
/// </summary>
internal sealed class OcsfFormat : IAuditFormat
{
    private const int Authentication = 3002;
    private const int UserAccessManagement = 3005;
    private const int ApiActivity = 6003;
    private const int Other = 99;
    private const string Product = "DingFlow";

    public string MediaType => "application/jsonl";

    public string Extension => "ocsf.jsonl";

    public void Begin(IBufferWriter<byte> output)
    {
    }

    public void Write(IBufferWriter<byte> output, FoundEntry found)
    {
        var (entry, content) = found;
        var change = ChangeOf(entry, content);
        var (classId, activity, name) = entry.Kind.StartsWith("authentication.", StringComparison.Ordinal) ? (Authentication, 1, "Logon")
            : change is null ? (ApiActivity, Other, entry.Kind)
            : entry.Kind == PermissionAudit.Gained.Name ? (UserAccessManagement, 1, "Assign Privileges")
            : (UserAccessManagement, 2, "Revoke Privileges");
        using (var writer = new Utf8JsonWriter(output))
        {
            writer.WriteStartObject();
            writer.WriteNumber("category_uid", classId / 1000);
            writer.WriteNumber("class_uid", classId);
            writer.WriteNumber("activity_id", activity);
            writer.WriteString("activity_name", name);
            writer.WriteNumber("type_uid", (classId * 100) + activity);
            writer.WriteNumber("time", (content?.OccurredAt ?? entry.RecordedAt).ToUnixTimeMilliseconds());
            writer.WriteNumber("severity_id", content?.Outcome is AuditOutcome.Refused or AuditOutcome.Failed ? 3 : 1);
            writer.WriteNumber("status_id", content is null ? 0 : content.Outcome == AuditOutcome.Succeeded ? 1 : 2);
            writer.WriteString("message", content?.Reason ?? entry.Kind);
            switch (classId)
            {
                case Authentication:
                    WriteUser(writer, content?.Actor);
                    WriteNamed(writer, "service", Product);
                    break;
                case UserAccessManagement:
                    WriteChange(writer, change!.Value, content!);
                    break;
                default:
                    writer.WriteStartObject("actor");
                    WriteUser(writer, content?.Actor);
                    writer.WriteEndObject();
                    WriteApi(writer, entry, content);
                    break;
            }

            WriteMetadata(writer, entry, content);
            WriteUnmapped(writer, entry, content, classId);
            writer.WriteEndObject();
        }

        output.Write("\n"u8);
    }

    /// <summary>Whose permission changed, and which; <see langword="null"/> when the entry says nothing of the sort, or not any more.</summary>
    private static (string Who, string Permission)? ChangeOf(AuditEntry entry, AuditContent? content) =>
        (entry.Kind == PermissionAudit.Gained.Name || entry.Kind == PermissionAudit.Lost.Name) && content?.Details is { } details
        && details.TryGetValue("who", out var who) && details.TryGetValue("permission", out var permission) && who.Length > 0 && permission.Length > 0
            ? (who, permission)
            : null;

    private static void WriteChange(Utf8JsonWriter writer, (string Who, string Permission) change, AuditContent content)
    {
        writer.WriteStartObject("user");
        writer.WriteString("uid", change.Who);
        writer.WriteNumber("type_id", 0);
        writer.WriteEndObject();
        writer.WriteStartArray("privileges");
        writer.WriteStringValue(change.Permission);
        writer.WriteEndArray();
        if (content.On is { } on)
        {
            writer.WriteStartObject("resource");
            WriteResource(writer, on);
            writer.WriteEndObject();
        }
    }

    private static void WriteUser(Utf8JsonWriter writer, AuditActor? actor)
    {
        writer.WriteStartObject("user");
        writer.WriteString("uid", actor?.Id ?? "unknown");
        writer.WriteNumber("type_id", actor?.Type switch { AuditActorType.System => 3, AuditActorType.Principal => 1, _ => 0 });
        writer.WriteEndObject();
    }

    private static void WriteNamed(Utf8JsonWriter writer, string name, string value)
    {
        writer.WriteStartObject(name);
        writer.WriteString("name", value);
        writer.WriteEndObject();
    }

    private static void WriteResource(Utf8JsonWriter writer, AuditTarget on)
    {
        writer.WriteString("type", on.Type);
        writer.WriteString("uid", on.Id);
    }

    private static void WriteApi(Utf8JsonWriter writer, AuditEntry entry, AuditContent? content)
    {
        writer.WriteStartObject("api");
        writer.WriteString("operation", entry.Kind);
        if (content?.RequestId is { Length: > 0 } requestId)
        {
            writer.WriteStartObject("request");
            writer.WriteString("uid", requestId);
            writer.WriteEndObject();
        }

        writer.WriteEndObject();
        WriteNamed(writer, "src_endpoint", content?.Actor.Id ?? "unknown");
        if (content?.On is { } on)
        {
            writer.WriteStartArray("resources");
            writer.WriteStartObject();
            WriteResource(writer, on);
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
        if (content?.RequestId is { Length: > 0 } correlation)
        {
            writer.WriteString("correlation_uid", correlation);
        }

        writer.WriteStartObject("product");
        writer.WriteString("name", Product);
        writer.WriteString("vendor_name", Product);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static void WriteUnmapped(Utf8JsonWriter writer, AuditEntry entry, AuditContent? content, int classId)
    {
        writer.WriteStartObject("unmapped");
        writer.WriteString("kind", entry.Kind);
        writer.WriteString("hash", Convert.ToHexStringLower(entry.Hash.Span));
        foreach (var (name, value) in new[]
        {
            ("key", content?.Actor.Key), ("caseId", content?.CaseId), ("subject", content?.Subject), ("exporter", content?.Exporter),
            ("payloadHash", content?.PayloadHash), ("actor", classId == UserAccessManagement ? content?.Actor.Id : null),
            ("onType", classId == Authentication ? content?.On?.Type : null), ("on", classId == Authentication ? content?.On?.Id : null),
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
