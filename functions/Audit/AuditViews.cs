using System.Text.Json.Serialization;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Audit;

/// <summary>An entry as the API shows it.</summary>
internal sealed record AuditEntryView
{
    public required string Chain { get; init; }

    public required long Sequence { get; init; }

    public required DateTimeOffset RecordedAt { get; init; }

    public required string Kind { get; init; }

    public required AuditRetention Retention { get; init; }

    public required string Hash { get; init; }

    public string? Id { get; init; }

    public DateTimeOffset? OccurredAt { get; init; }

    public AuditActor? Actor { get; init; }

    public AuditOutcome? Outcome { get; init; }

    public AuditTarget? On { get; init; }

    public string? CaseId { get; init; }

    public string? Subject { get; init; }

    public string? Exporter { get; init; }

    public string? Reason { get; init; }

    public string? RequestId { get; init; }

    public string? PayloadHash { get; init; }

    public IReadOnlyDictionary<string, string>? Details { get; init; }

    /// <summary>The retention of what it said has passed.</summary>
    public bool ContentRemoved { get; init; }

    public static AuditEntryView Of(FoundEntry found) => new()
    {
        Chain = found.Entry.Chain,
        Sequence = found.Entry.Sequence,
        RecordedAt = found.Entry.RecordedAt,
        Kind = found.Entry.Kind,
        Retention = found.Entry.Retention,
        Hash = Convert.ToHexStringLower(found.Entry.Hash.Span),
        Id = found.Content?.Id,
        OccurredAt = found.Content?.OccurredAt,
        Actor = found.Content?.Actor,
        Outcome = found.Content?.Outcome,
        On = found.Content?.On,
        CaseId = found.Content?.CaseId,
        Subject = found.Content?.Subject,
        Exporter = found.Content?.Exporter,
        Reason = found.Content?.Reason,
        RequestId = found.Content?.RequestId,
        PayloadHash = found.Content?.PayloadHash,
        Details = found.Content?.Details,
        ContentRemoved = found.Content is null,
    };
}

/// <summary>A page of entries.</summary>
internal sealed record AuditPageView(IReadOnlyList<AuditEntryView> Items, string? Next);

/// <summary>The legal holds.</summary>
internal sealed record AuditHoldListView(IReadOnlyList<AuditHold> Items);

/// <summary>A search for the entries about a person, by an identifier that stays in the body.</summary>
internal sealed record AuditSubjectRequest(
    string? Type, string? Identifier, string? Reason, DateTimeOffset? From, DateTimeOffset? To, string? Kind, int? Limit, string? Next);

/// <summary>A legal hold to place.</summary>
internal sealed record AuditHoldRequest(string? CaseId, string? Reason);

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters =
    [
        typeof(WordConverter<AuditActorType>), typeof(WordConverter<AuditOutcome>), typeof(WordConverter<AuditRetention>), typeof(WordConverter<AuditFaultKind>),
    ])]
[JsonSerializable(typeof(AuditPageView))]
[JsonSerializable(typeof(AuditHoldListView))]
[JsonSerializable(typeof(AuditHold))]
[JsonSerializable(typeof(AuditVerification))]
[JsonSerializable(typeof(AuditProof))]
[JsonSerializable(typeof(AuditSubjectRequest))]
[JsonSerializable(typeof(AuditHoldRequest))]
internal sealed partial class AuditApiJson : JsonSerializerContext;
