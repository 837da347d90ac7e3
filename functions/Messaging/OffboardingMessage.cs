using System.Text.Json;
using System.Text.Json.Serialization;

namespace DingFlow.Messaging;

/// <summary>What a message on <see cref="Queues.Offboarding"/> asks for.</summary>
[JsonConverter(typeof(JsonStringEnumConverter<OffboardingMessageKind>))]
public enum OffboardingMessageKind
{
    /// <summary>Handle the person events of one work item of the inbox.</summary>
    [JsonStringEnumMemberName("delivery")]
    Delivery,

    /// <summary>Take up a case again: it fell due, a retry is due, an operator asked.</summary>
    [JsonStringEnumMemberName("run")]
    Run,

    /// <summary>Compare HR's rosters, the cases and the directories.</summary>
    [JsonStringEnumMemberName("reconcile")]
    Reconcile,
}

/// <summary>
/// The body of a message on <see cref="Queues.Offboarding"/>. It carries references only: the events themselves, which hold personal
/// data, stay encrypted in the inbox.
/// </summary>
public sealed record OffboardingMessage
{
    /// <summary>What it asks for.</summary>
    public required OffboardingMessageKind Kind { get; init; }

    /// <summary>The work item, for <see cref="OffboardingMessageKind.Delivery"/>.</summary>
    public InboxReference? Delivery { get; init; }

    /// <summary>The case, for <see cref="OffboardingMessageKind.Run"/>.</summary>
    public string? CaseId { get; init; }

    /// <summary>Why the case is taken up, for people; no personal data.</summary>
    public string? Reason { get; init; }

    /// <summary>0 for the first message of its work; each repetition is one higher, so that duplicate detection lets it through.</summary>
    public int Generation { get; init; }

    /// <summary>The message as UTF-8 JSON: <c>{"kind":"delivery","partition":…,"row":…,"item":n,"generation":n}</c>.</summary>
    public ReadOnlyMemory<byte> ToBody() => JsonSerializer.SerializeToUtf8Bytes(
        new OffboardingMessageBody
        {
            Kind = Kind,
            Partition = Delivery?.Partition,
            Row = Delivery?.Row,
            Item = Delivery?.Item,
            CaseId = CaseId,
            Reason = Reason,
            Generation = Generation,
        },
        OffboardingMessageJson.Default.OffboardingMessageBody);

    /// <summary>Reads a body that <see cref="ToBody"/> wrote, now or in an earlier version.</summary>
    /// <exception cref="FormatException">It is not such a body: redelivering it cannot help.</exception>
    public static OffboardingMessage Parse(ReadOnlySpan<byte> body)
    {
        OffboardingMessageBody? read;
        try
        {
            read = JsonSerializer.Deserialize(body, OffboardingMessageJson.Default.OffboardingMessageBody);
        }
        catch (JsonException exception)
        {
            throw new FormatException("An offboarding message is not the JSON it should be.", exception);
        }

        var message = read switch
        {
            { Kind: OffboardingMessageKind.Delivery, Partition: { Length: > 0 } partition, Row: { Length: > 0 } row, Item: >= 0 and var item } =>
                new OffboardingMessage { Kind = OffboardingMessageKind.Delivery, Delivery = new InboxReference(partition, row, item) },
            { Kind: OffboardingMessageKind.Reconcile } => new OffboardingMessage { Kind = OffboardingMessageKind.Reconcile },
            { Kind: OffboardingMessageKind.Run, CaseId.Length: > 0 } => new OffboardingMessage { Kind = OffboardingMessageKind.Run, CaseId = read.CaseId },
            _ => throw new FormatException("An offboarding message names neither a work item nor a case."),
        };
        return message with { Reason = read.Reason, Generation = read.Generation };
    }
}

/// <summary>The JSON of an <see cref="OffboardingMessage"/>: flat, and no name of it is a system property of Service Bus.</summary>
internal sealed record OffboardingMessageBody
{
    public required OffboardingMessageKind Kind { get; init; }

    public string? Partition { get; init; }

    public string? Row { get; init; }

    public int? Item { get; init; }

    public string? CaseId { get; init; }

    public string? Reason { get; init; }

    public int Generation { get; init; }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(OffboardingMessageBody))]
internal sealed partial class OffboardingMessageJson : JsonSerializerContext;
