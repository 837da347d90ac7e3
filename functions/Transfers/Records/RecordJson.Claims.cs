using System.Text.Json;

namespace DingFlow.Transfers;

/// <content>What few records have: exemptions that they claim, with evidence and onward places, mechanisms with a number, and consent.</content>
internal sealed partial class RecordJson
{
    /// <summary>A word or code, or <c>{"code", "evidence": {kind: document}, "onward": [place]}</c>.</summary>
    private RefusalReason Exemption(ref Utf8JsonReader reader, RecordDraft draft)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return ExemptionCode(ref reader, draft);
        }

        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return RefusalReason.InvalidProperty;
        }

        var coded = false;
        var (hasEvidence, hasOnward) = (false, false);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = Text(ref reader);
            var (isCode, isEvidence, isOnward) = (name.SequenceEqual("code"u8), name.SequenceEqual("evidence"u8), name.SequenceEqual("onward"u8));
            reader.Read();
            if ((isCode && coded) || (isEvidence && hasEvidence) || (isOnward && hasOnward))
            {
                return RefusalReason.DuplicateProperty;
            }

            (hasEvidence, hasOnward) = (hasEvidence || isEvidence, hasOnward || isOnward);
            var refusal = RefusalReason.None;
            if (isCode)
            {
                coded = true;
                refusal = reader.TokenType == JsonTokenType.String ? ExemptionCode(ref reader, draft) : RefusalReason.InvalidProperty;
            }
            else if (isEvidence && reader.TokenType != JsonTokenType.Null)
            {
                refusal = Evidence(ref reader, draft);
            }
            else if (isOnward && reader.TokenType != JsonTokenType.Null)
            {
                refusal = Onward(ref reader, draft);
            }
            else
            {
                reader.Skip();
            }

            if (refusal != RefusalReason.None)
            {
                return refusal;
            }
        }

        return coded ? RefusalReason.None : RefusalReason.UnknownExemption;
    }

    private RefusalReason ExemptionCode(ref Utf8JsonReader reader, RecordDraft draft)
    {
        var text = Text(ref reader);
        var code = text.Length is > 0 and <= LongestName ? pools.Exemptions.Get(text) : null;
        draft.Exemption = code?.Kind ?? ExemptionKind.None;
        return code?.Refusal ?? RefusalReason.UnknownExemption;
    }

    private static RefusalReason Evidence(ref Utf8JsonReader reader, RecordDraft draft)
    {
        const int most = 16;
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return RefusalReason.InvalidProperty;
        }

        draft.Evidence = new(StringComparer.OrdinalIgnoreCase);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var kind = reader.GetString()!;
            reader.Read();
            if (reader.TokenType != JsonTokenType.String || kind.Length > LongestName || draft.Evidence.Count == most
                || reader.GetString() is not { Length: > 0 and <= LongestText } document || !draft.Evidence.TryAdd(kind, document))
            {
                return RefusalReason.InvalidProperty;
            }
        }

        return RefusalReason.None;
    }

    private static RefusalReason Onward(ref Utf8JsonReader reader, RecordDraft draft)
    {
        const int most = 32;
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return RefusalReason.InvalidProperty;
        }

        draft.Onward = [];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.String || draft.Onward.Count == most
                || reader.GetString() is not { Length: > 0 and <= LongestText } place)
            {
                return RefusalReason.InvalidProperty;
            }

            draft.Onward.Add(place);
        }

        return RefusalReason.None;
    }

    /// <summary><c>{"kind", "number"}</c>, kept as <c>kind:number</c>.</summary>
    private RefusalReason Mechanism(ref Utf8JsonReader reader, RecordDraft draft)
    {
        string? kind = null;
        string? number = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = Text(ref reader);
            var (isKind, isNumber) = (name.SequenceEqual("kind"u8), name.SequenceEqual("number"u8));
            reader.Read();
            if ((isKind && kind is not null) || (isNumber && number is not null))
            {
                return RefusalReason.DuplicateProperty;
            }

            if (reader.TokenType == JsonTokenType.String && (isKind || isNumber))
            {
                (kind, number) = isKind ? (reader.GetString(), number) : (kind, reader.GetString());
            }
            else
            {
                reader.Skip();
            }
        }

        if (kind is not { Length: > 0 and <= LongestName } || number?.Length > LongestName)
        {
            return RefusalReason.InvalidProperty;
        }

        draft.Mechanism = pools.Texts.Get(global::System.Text.Encoding.UTF8.GetBytes(number is null ? kind : $"{kind}:{number}"));
        return RefusalReason.None;
    }

    /// <summary><c>{"id", "at", "version", "separate"}</c>, each of which may be missing.</summary>
    private RefusalReason Consent(ref Utf8JsonReader reader, RecordDraft draft)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return RefusalReason.InvalidProperty;
        }

        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = Text(ref reader);
            var property = name.SequenceEqual("id"u8) ? RecordProperties.ConsentId
                : name.SequenceEqual("at"u8) ? RecordProperties.ConsentAt
                : name.SequenceEqual("version"u8) ? RecordProperties.ConsentVersion
                : name.SequenceEqual("separate"u8) ? RecordProperties.ConsentSeparate
                : RecordProperties.None;
            if ((draft.Seen & property) != 0)
            {
                return RefusalReason.DuplicateProperty;
            }

            reader.Read();
            if (property == RecordProperties.None)
            {
                reader.Skip();
                continue;
            }

            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }

            draft.Seen |= property;
            if (!TryConsent(ref reader, draft, property))
            {
                return property == RecordProperties.ConsentAt ? RefusalReason.InvalidTime : RefusalReason.InvalidProperty;
            }
        }

        return RefusalReason.None;
    }

    private bool TryConsent(ref Utf8JsonReader reader, RecordDraft draft, RecordProperties property)
    {
        switch (property)
        {
            case RecordProperties.ConsentSeparate when reader.TokenType is JsonTokenType.True or JsonTokenType.False:
                draft.SeparateConsent = reader.GetBoolean();
                return true;
            case RecordProperties.ConsentAt:
                var isTime = TryTime(ref reader, out var at);
                draft.ConsentAt = at;
                return isTime;
            case RecordProperties.ConsentId or RecordProperties.ConsentVersion when reader.TokenType == JsonTokenType.String:
                var text = Text(ref reader);
                var isId = property == RecordProperties.ConsentId;
                if (text.Length == 0 || text.Length > (isId ? LongestId : LongestVersion) || text.ContainsAnyInRange((byte)0, (byte)31) || text.Contains((byte)127))
                {
                    return false;
                }

                // The id differs from person to person: pooling it would only fill the pool.
                draft.ConsentId = isId ? global::System.Text.Encoding.UTF8.GetString(text) : draft.ConsentId;
                draft.ConsentVersion = isId ? draft.ConsentVersion : pools.Texts.Get(text);
                return true;
            default:
                return false;
        }
    }
}
