using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace DingFlow.Messaging;

/// <summary>What an entry says, as it is stored. The salt keeps a short content from being guessed from its hash once it is gone.</summary>
internal sealed record AuditContent
{
    private const int MaximumText = 1000;
    private const int MaximumDetails = 32;
    private const int SaltBytes = 16;

    public required string Id { get; init; }

    public required string Salt { get; init; }

    public required DateTimeOffset OccurredAt { get; init; }

    public required AuditActor Actor { get; init; }

    public required AuditOutcome Outcome { get; init; }

    public AuditTarget? On { get; init; }

    public string? CaseId { get; init; }

    public string? Subject { get; init; }

    public string? Exporter { get; init; }

    public string? Reason { get; init; }

    public string? RequestId { get; init; }

    /// <summary>SHA-256 of what was decided upon; <see langword="null"/> when there was none.</summary>
    public string? PayloadHash { get; init; }

    public IReadOnlyDictionary<string, string>? Details { get; init; }

    /// <summary>The content of an event that has just happened.</summary>
    public static AuditContent Of(AuditEvent auditEvent, DateTimeOffset now) => new()
    {
        Id = Guid.CreateVersion7(now).ToString("N"),
        Salt = Convert.ToBase64String(RandomNumberGenerator.GetBytes(SaltBytes)),
        OccurredAt = (auditEvent.OccurredAt ?? now).ToUniversalTime(),
        Actor = auditEvent.Actor with { Id = Cut(auditEvent.Actor.Id)! },
        Outcome = auditEvent.Outcome,
        On = auditEvent.On is { } on ? on with { Id = Cut(on.Id)! } : null,
        CaseId = Cut(auditEvent.CaseId),
        Subject = Cut(auditEvent.Subject),
        Exporter = Cut(auditEvent.Exporter),
        Reason = Cut(auditEvent.Reason),
        RequestId = Cut(auditEvent.RequestId),
        PayloadHash = auditEvent.Payload.Hex,
        Details = auditEvent.Details.Count == 0
            ? null
            : auditEvent.Details.OrderBy(static detail => detail.Key, StringComparer.Ordinal).Take(MaximumDetails)
                .ToDictionary(static detail => Cut(detail.Key)!, static detail => Cut(detail.Value)!, StringComparer.Ordinal),
    };

    /// <summary>The bytes that are stored and hashed.</summary>
    public byte[] ToBytes()
    {
        var buffer = new ArrayBufferWriter<byte>(1024);
        using (var writer = new Utf8JsonWriter(buffer))
        {
            JsonSerializer.Serialize(writer, this, AuditJson.Default.AuditContent);
        }

        return buffer.WrittenSpan.ToArray();
    }

    // An entry that is too long must not keep a feature from working: it is cut, and says so.
    private static string? Cut(string? text) => text is { Length: > MaximumText } ? text[..(MaximumText - 1)] + "…" : text;
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(AuditWord<AuditActorType>), typeof(AuditWord<AuditOutcome>)])]
[JsonSerializable(typeof(AuditContent))]
internal sealed partial class AuditJson : JsonSerializerContext;

/// <summary>Enums as camelCase text.</summary>
internal sealed class AuditWord<T>() : JsonStringEnumConverter<T>(JsonNamingPolicy.CamelCase, allowIntegerValues: false)
    where T : struct, Enum;
