using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Settings;

namespace DingFlow.Messaging;

/// <summary>What an entry says, as it is stored. The salt keeps a short content from being guessed from its hash once it is gone.</summary>
internal sealed record AuditContent
{
    private const int MaximumText = 1000;
    private const int MaximumDetails = 32;
    private const int MaximumTotal = 10_000;

    [ThreadStatic]
    private static ArrayBufferWriter<byte>? t_buffer;

    [ThreadStatic]
    private static Utf8JsonWriter? t_writer;

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
    /// <param name="auditEvent">The event.</param>
    /// <param name="now">The time.</param>
    /// <param name="id">Its id; a new one when absent.</param>
    public static AuditContent Of(AuditEvent auditEvent, DateTimeOffset now, string? id = null)
    {
        var room = new Room(MaximumTotal);
        return new()
        {
            Id = id ?? AuditRandom.Id(now),
            Salt = AuditRandom.Salt(),
            OccurredAt = (auditEvent.OccurredAt ?? now).ToUniversalTime(),
            Actor = room.Cut(auditEvent.Actor),
            Outcome = auditEvent.Outcome,
            On = room.Cut(auditEvent.On),
            CaseId = room.Cut(auditEvent.CaseId),
            Subject = room.Cut(auditEvent.Subject),
            Exporter = room.Cut(auditEvent.Exporter),
            Reason = room.Cut(auditEvent.Reason),
            RequestId = room.Cut(auditEvent.RequestId),
            PayloadHash = auditEvent.Payload.Hex,
            Details = auditEvent.Details.Count == 0 ? null : room.Cut(auditEvent.Details),
        };
    }

    /// <summary>The bytes that are stored and hashed.</summary>
    public byte[] ToBytes()
    {
        var buffer = t_buffer ??= new ArrayBufferWriter<byte>(2048);
        buffer.ResetWrittenCount();
        var writer = t_writer ??= new Utf8JsonWriter(buffer);
        writer.Reset(buffer);
        JsonSerializer.Serialize(writer, this, AuditJson.Default.AuditContent);
        writer.Flush();
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>
    /// Cuts texts. An entry that is too long must not keep a feature from working: it is cut, and says so. What is left fits into a property
    /// of the store, six bytes for a character at worst.
    /// </summary>
    private struct Room(int left)
    {
        private int _left = left;

        public string? Cut(string? text)
        {
            var most = Math.Min(MaximumText, Math.Max(1, _left));
            var cut = text is not null && text.Length > most ? text[..(most - 1)] + "…" : text;
            _left -= cut?.Length ?? 0;
            return cut;
        }

        public AuditActor Cut(AuditActor actor) =>
            actor.Id.Length + (actor.Key?.Length ?? 0) <= MaximumText ? Count(actor, actor.Id, actor.Key) : actor with { Id = Cut(actor.Id)!, Key = Cut(actor.Key) };

        public AuditTarget? Cut(AuditTarget? on) => on is null ? null
            : on.Id.Length + on.Type.Length <= MaximumText ? Count(on, on.Id, on.Type)
            : new AuditTarget(Cut(on.Type)!, Cut(on.Id)!);

        public Dictionary<string, string> Cut(IReadOnlyDictionary<string, string> details)
        {
            // Plain: LINQ over pairs would be compiled while the first webhook of a process waits.
            var cut = new Dictionary<string, string>(StringComparer.Ordinal);
            string[] names = [.. details.Keys];
            Array.Sort(names, StringComparer.Ordinal);
            foreach (var name in names.AsSpan(0, Math.Min(names.Length, MaximumDetails)))
            {
                if (_left <= 0)
                {
                    break;
                }

                cut[Cut(name)!] = Cut(details[name])!;
            }

            return cut;
        }

        private T Count<T>(T whole, string first, string? second)
        {
            _left -= first.Length + (second?.Length ?? 0);
            return whole;
        }
    }
}

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    Converters = [typeof(WordConverter<AuditActorType>), typeof(WordConverter<AuditOutcome>)])]
[JsonSerializable(typeof(AuditContent))]
internal sealed partial class AuditJson : JsonSerializerContext;
