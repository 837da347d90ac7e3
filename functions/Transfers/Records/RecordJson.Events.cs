using System.Text.Json;

namespace DingFlow.Transfers;

/// <content>The CloudEvent around a record.</content>
internal sealed partial class RecordJson
{
    /// <summary>
    /// CloudEvents 1.0, JSON batch format: the record is <c>data</c>; <c>id</c> and <c>time</c> of the event serve a record that has
    /// none of its own. Source: CloudEvents JSON Event Format 1.0.2, section 4.
    /// </summary>
    private RefusalReason CloudEvent(ref Utf8JsonReader reader, RecordDraft draft)
    {
        var outer = RecordProperties.None;
        string? eventId = null;
        DateTimeOffset? time = null;
        var (idAt, timeAt) = (-1, -1);
        var hasData = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            _nameAt = (int)reader.TokenStartIndex;
            var name = Text(ref reader);
            var property = name.SequenceEqual("id"u8) ? RecordProperties.Id
                : name.SequenceEqual("time"u8) ? RecordProperties.OccurredAt
                : name.SequenceEqual("data"u8) ? RecordProperties.Data
                : name.SequenceEqual("specversion"u8) ? RecordProperties.SpecVersion
                : RecordProperties.None;
            if (property != RecordProperties.None && (outer & property) != 0)
            {
                return Refuse(RefusalReason.DuplicateProperty, property);
            }

            outer |= property;
            reader.Read();
            switch (property)
            {
                case RecordProperties.Id when reader.TokenType == JsonTokenType.String:
                    eventId = reader.GetString();
                    idAt = Found(ref reader, RecordValue.Nothing);
                    break;
                case RecordProperties.OccurredAt when TryTime(ref reader, out var moment):
                    time = moment;
                    timeAt = Found(ref reader, RecordValue.Nothing);
                    break;
                case RecordProperties.SpecVersion when reader.TokenType != JsonTokenType.String || !reader.ValueTextEquals("1.0"u8):
                    Property = "specversion";
                    return RefusalReason.MalformedRecord;
                case RecordProperties.Data when reader.TokenType == JsonTokenType.StartObject:
                    hasData = true;
                    if (Record(ref reader, draft) is not RefusalReason.None and var refusal)
                    {
                        return refusal;
                    }

                    break;
                case RecordProperties.None:
                    Ignore(ref reader);
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }

        if (!hasData || (outer & RecordProperties.SpecVersion) == 0)
        {
            Property = hasData ? "specversion" : "data";
            return RefusalReason.MalformedRecord;
        }

        if ((draft.Seen & RecordProperties.Id) == 0 && eventId is { Length: > 0 and <= LongestId } && !eventId.Any(char.IsControl))
        {
            draft.Id = eventId;
            Means(idAt, RecordValue.Id);
            draft.Seen |= RecordProperties.Id;
        }

        if ((draft.Seen & RecordProperties.OccurredAt) == 0 && time is { } occurredAt)
        {
            draft.OccurredAt = occurredAt;
            Means(timeAt, RecordValue.OccurredAt);
            draft.Seen |= RecordProperties.OccurredAt;
        }

        return RefusalReason.None;
    }
}
