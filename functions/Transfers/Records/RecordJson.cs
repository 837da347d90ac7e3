using System.Text.Json;
using System.Text.Unicode;
using DingFlow.Settings;

namespace DingFlow.Transfers;

/// <summary>
/// Reads the JSON of one record into a draft. Unknown properties are skipped, so that senders may run ahead of us; doubled ones are
/// refused, because two readers could take different ones.
/// </summary>
internal sealed partial class RecordJson(RecordPools pools)
{
    /// <summary>Characters of the longest record id.</summary>
    public const int LongestId = 128;

    private const int MaximumDepth = 16;
    private const int LongestText = 200;
    private const int LongestName = 128;
    private const int LongestVersion = 64;
    private const int Unescaped = 4 * CanonicalSubject.LongestIdentifier;

    private static readonly JsonReaderOptions Options = new() { MaxDepth = MaximumDepth, AllowTrailingCommas = false };

    private readonly byte[] _unescaped = new byte[Unescaped];
    private readonly List<FoundValue> _values = [];

    private int _nameAt;

    /// <summary>Which property was refused; empty when it was the record itself.</summary>
    public string Property { get; private set; } = "";

    /// <summary>
    /// The values in the text that was read last which may be others in the next: those that a shape leaves out, in their order. One that
    /// is escaped is none of them, since its bytes are not what it says.
    /// </summary>
    public IReadOnlyList<FoundValue> Values => _values;

    /// <summary>Reads a record, or with <paramref name="cloudEvent"/> the CloudEvent around it.</summary>
    public RefusalReason Read(ReadOnlySpan<byte> json, RecordDraft draft, bool cloudEvent)
    {
        Property = "";
        _values.Clear();
        if (!Utf8.IsValid(json))
        {
            return RefusalReason.MalformedJson;
        }

        var reader = new Utf8JsonReader(json, Options);
        try
        {
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                // Read on, so that half a text is called what it is.
                reader.Skip();
                return Trailing(ref reader) ? RefusalReason.MalformedJson : RefusalReason.MalformedRecord;
            }

            var refusal = cloudEvent ? CloudEvent(ref reader, draft) : Record(ref reader, draft);
            return refusal != RefusalReason.None ? refusal : Trailing(ref reader) ? RefusalReason.MalformedJson : RefusalReason.None;
        }
        catch (JsonException)
        {
            Property = "";
            return reader.CurrentDepth >= MaximumDepth - 1 ? RefusalReason.TooDeep : RefusalReason.MalformedJson;
        }
        catch (InvalidOperationException)
        {
            // Half of a surrogate pair in an escape.
            return RefusalReason.InvalidProperty;
        }
    }

    private static bool Trailing(ref Utf8JsonReader reader) => reader.Read();

    private RefusalReason Record(ref Utf8JsonReader reader, RecordDraft draft)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            _nameAt = (int)reader.TokenStartIndex;
            var property = PropertyOf(Text(ref reader));
            if ((draft.Named & property) != 0)
            {
                return Refuse(RefusalReason.DuplicateProperty, property);
            }

            reader.Read();
            if (property == RecordProperties.None)
            {
                Ignore(ref reader);
                continue;
            }

            draft.Named |= property;
            if (reader.TokenType == JsonTokenType.Null)
            {
                // As if it were absent.
                continue;
            }

            draft.Seen |= property;
            if (Value(ref reader, draft, property) is not RefusalReason.None and var refusal)
            {
                return Refuse(refusal, property);
            }
        }

        return RefusalReason.None;
    }

    private RefusalReason Value(ref Utf8JsonReader reader, RecordDraft draft, RecordProperties property)
    {
        switch (property)
        {
            case RecordProperties.Subject:
                return Subject(ref reader, draft);
            case RecordProperties.Fields:
                return List(ref reader, draft.Fields, pools.Fields);
            case RecordProperties.Categories:
                return Categories(ref reader, draft);
            case RecordProperties.Exemption:
                return Exemption(ref reader, draft);
            case RecordProperties.Mechanism when reader.TokenType == JsonTokenType.StartObject:
                return Mechanism(ref reader, draft);
            case RecordProperties.Consent:
                return Consent(ref reader, draft);
        }

        if (reader.TokenType != JsonTokenType.String)
        {
            return RefusalReason.InvalidProperty;
        }

        if (property == RecordProperties.OccurredAt)
        {
            Found(ref reader, RecordValue.OccurredAt);
            return TryTime(ref reader, out draft.OccurredAt) ? RefusalReason.None : RefusalReason.InvalidTime;
        }

        var text = Text(ref reader);
        if (text.Length == 0 || text.Length > (property == RecordProperties.Id ? LongestId : LongestText)
            || text.ContainsAnyInRange((byte)0, (byte)31) || text.Contains((byte)127))
        {
            return RefusalReason.InvalidProperty;
        }

        switch (property)
        {
            case RecordProperties.Id:
                Found(ref reader, RecordValue.Id);
                draft.Id = global::System.Text.Encoding.UTF8.GetString(text);
                break;
            case RecordProperties.Exporter:
                draft.Exporter = pools.Parties.Get(text);
                break;
            case RecordProperties.Recipient:
                draft.Recipient = pools.Parties.Get(text);
                return draft.Recipient.WellFormed ? RefusalReason.None : RefusalReason.InvalidProperty;
            case RecordProperties.Origin:
                return Country.TryParse(text, out draft.Origin) ? RefusalReason.None : RefusalReason.InvalidCountry;
            case RecordProperties.Destination:
                return Country.TryParse(text, out draft.Destination) ? RefusalReason.None : RefusalReason.InvalidCountry;
            case RecordProperties.Purpose:
                draft.Purpose = pools.Texts.Get(text);
                break;
            case RecordProperties.LegalBasis:
                draft.LegalBasis = pools.Texts.Get(text);
                break;
            case RecordProperties.Mechanism:
                draft.Mechanism = pools.Texts.Get(text);
                break;
            case RecordProperties.Method:
                draft.Method = pools.Texts.Get(text);
                break;
            case RecordProperties.System:
                draft.System = pools.Texts.Get(text);
                break;
            case RecordProperties.Scenario:
                draft.Scenario = pools.Scenarios.Get(text).Id;
                return draft.Scenario is null ? RefusalReason.InvalidProperty : RefusalReason.None;
            case RecordProperties.NoticeVersion:
                draft.NoticeVersion = pools.Texts.Get(text);
                return text.Length > LongestVersion ? RefusalReason.InvalidProperty : RefusalReason.None;
        }

        return RefusalReason.None;
    }

    private RefusalReason Subject(ref Utf8JsonReader reader, RecordDraft draft)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return RefusalReason.InvalidProperty;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            _nameAt = (int)reader.TokenStartIndex;
            var name = Text(ref reader);
            var property = name.SequenceEqual("type"u8) ? RecordProperties.SubjectType
                : name.SequenceEqual("id"u8) ? RecordProperties.SubjectId
                : name.SequenceEqual("minor"u8) ? RecordProperties.SubjectMinor
                : name.SequenceEqual("scope"u8) || name.SequenceEqual("corpId"u8) || name.SequenceEqual("country"u8) ? RecordProperties.SubjectScope
                : RecordProperties.None;
            if ((draft.Named & property) != 0)
            {
                return RefusalReason.DuplicateProperty;
            }

            reader.Read();
            if (property == RecordProperties.None)
            {
                Ignore(ref reader);
                continue;
            }

            draft.Named |= property;
            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }

            draft.Seen |= property;
            if (property == RecordProperties.SubjectMinor)
            {
                if (reader.TokenType is not (JsonTokenType.True or JsonTokenType.False))
                {
                    return RefusalReason.InvalidProperty;
                }

                draft.Minor = reader.GetBoolean();
                continue;
            }

            if (reader.TokenType != JsonTokenType.String)
            {
                return RefusalReason.InvalidProperty;
            }

            var text = Text(ref reader);
            switch (property)
            {
                case RecordProperties.SubjectType:
                    if (pools.SubjectTypes.Get(text).Type is not { } type)
                    {
                        return RefusalReason.UnknownSubjectType;
                    }

                    draft.SubjectType = type;
                    break;
                case RecordProperties.SubjectId when !draft.TrySetSubjectId(text):
                case RecordProperties.SubjectScope when !draft.TrySetSubjectScope(text):
                    return RefusalReason.InvalidSubject;
                case RecordProperties.SubjectId:
                    Found(ref reader, RecordValue.SubjectId);
                    break;
            }
        }

        return RefusalReason.None;
    }

    private RefusalReason List(ref Utf8JsonReader reader, List<FieldClass> into, Utf8Pool<FieldClass> pool)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return RefusalReason.InvalidProperty;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.String)
            {
                return RefusalReason.InvalidProperty;
            }

            var text = Text(ref reader);
            if (text.Length is 0 or > LongestName)
            {
                return RefusalReason.InvalidProperty;
            }

            if (into.Count == RecordDraft.MaximumFields)
            {
                return RefusalReason.TooManyFields;
            }

            into.Add(pool.Get(text));
        }

        return RefusalReason.None;
    }

    private RefusalReason Categories(ref Utf8JsonReader reader, RecordDraft draft)
    {
        var refusal = List(ref reader, draft.Categories, pools.Categories);
        return refusal == RefusalReason.None && draft.Categories.Exists(category => category.Notice == TransferNotices.UnknownField)
            ? RefusalReason.UnknownCategory
            : refusal;
    }

    /// <summary>RFC 3339: with an offset, or the moment would depend on where we run.</summary>
    private bool TryTime(ref Utf8JsonReader reader, out DateTimeOffset moment)
    {
        moment = default;
        if (reader.TokenType != JsonTokenType.String)
        {
            return false;
        }

        var text = Text(ref reader);
        return text.Length >= "2026-01-01T00:00Z".Length && text[10] == (byte)'T'
            && (text[^1] == (byte)'Z' || text[^6] is (byte)'+' or (byte)'-')
            && reader.TryGetDateTimeOffset(out moment);
    }

    /// <summary>The value or name without escapes; empty when it is longer than any that is accepted.</summary>
    private ReadOnlySpan<byte> Text(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            return reader.ValueSpan;
        }

        return reader.ValueSpan.Length > _unescaped.Length ? [] : _unescaped.AsSpan(0, reader.CopyString(_unescaped));
    }

    /// <summary>Skips what nothing is read from. If it is a text, any other in its place changes nothing.</summary>
    private void Ignore(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            Found(ref reader, RecordValue.Nothing);
        }

        reader.Skip();
    }

    /// <summary>Keeps where the text stands that was just read, unless it is escaped: then it cannot be told by its bytes.</summary>
    /// <returns>Its place in <see cref="Values"/>; -1 for none.</returns>
    private int Found(ref Utf8JsonReader reader, RecordValue meaning)
    {
        if (reader.ValueIsEscaped)
        {
            return -1;
        }

        _values.Add(new(meaning, new(_nameAt, (int)reader.TokenStartIndex + 1, reader.ValueSpan.Length)));
        return _values.Count - 1;
    }

    /// <summary>Says that a value means something after all.</summary>
    private void Means(int place, RecordValue meaning)
    {
        if (place >= 0)
        {
            _values[place] = _values[place] with { Meaning = meaning };
        }
    }

    private RefusalReason Refuse(RefusalReason reason, RecordProperties property)
    {
        if (Property.Length == 0)
        {
            Property = Words.Of(property);
        }

        return reason;
    }

    private static RecordProperties PropertyOf(ReadOnlySpan<byte> name) => name.Length switch
    {
        2 when name.SequenceEqual("id"u8) => RecordProperties.Id,
        6 when name.SequenceEqual("fields"u8) => RecordProperties.Fields,
        6 when name.SequenceEqual("origin"u8) => RecordProperties.Origin,
        6 when name.SequenceEqual("method"u8) => RecordProperties.Method,
        6 when name.SequenceEqual("system"u8) => RecordProperties.System,
        7 when name.SequenceEqual("subject"u8) => RecordProperties.Subject,
        7 when name.SequenceEqual("purpose"u8) => RecordProperties.Purpose,
        7 when name.SequenceEqual("consent"u8) => RecordProperties.Consent,
        8 when name.SequenceEqual("exporter"u8) => RecordProperties.Exporter,
        8 when name.SequenceEqual("scenario"u8) => RecordProperties.Scenario,
        9 when name.SequenceEqual("recipient"u8) => RecordProperties.Recipient,
        9 when name.SequenceEqual("exemption"u8) => RecordProperties.Exemption,
        9 when name.SequenceEqual("mechanism"u8) => RecordProperties.Mechanism,
        10 when name.SequenceEqual("occurredAt"u8) => RecordProperties.OccurredAt,
        10 when name.SequenceEqual("legalBasis"u8) => RecordProperties.LegalBasis,
        10 when name.SequenceEqual("categories"u8) => RecordProperties.Categories,
        11 when name.SequenceEqual("destination"u8) => RecordProperties.Destination,
        13 when name.SequenceEqual("noticeVersion"u8) => RecordProperties.NoticeVersion,
        _ => RecordProperties.None,
    };
}
