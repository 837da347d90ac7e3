namespace DingFlow.Transfers.Ledger;

/// <summary>
/// The part of a chunk that says what its records say of their paperwork: for each of the chunk's circumstances the scenario and the
/// versions, then for each record where consent is kept. It is there only when some record says something of it.
/// </summary>
internal static class PaperworkCodec
{
    private const byte Version = 1;

    private const byte HasId = 1;
    private const byte HasTime = 2;

    /// <summary>Writes the part, or nothing.</summary>
    public static void Write(PackedWriter writer, IReadOnlyList<TransferCircumstances> circumstances, IReadOnlyList<SubjectTransfer> records)
    {
        var consents = HasConsent(records);
        if (!consents && !HasPaperwork(circumstances))
        {
            return;
        }

        writer.Byte(Version);
        foreach (var item in circumstances)
        {
            Write(writer, item.Paperwork);
        }

        writer.Byte(consents ? (byte)1 : (byte)0);
        if (consents)
        {
            WriteConsents(writer, records);
        }
    }

    /// <summary>Reads the part at the end of a chunk's bytes, as far as there is one, into its circumstances.</summary>
    /// <returns>Where consent is kept, record by record; <see langword="null"/> when no record says so.</returns>
    /// <exception cref="InvalidDataException">The bytes are damaged.</exception>
    public static ConsentEvidence?[]? Read(ref PackedReader reader, List<TransferCircumstances> circumstances, int records)
    {
        if (reader.AtEnd)
        {
            return null;
        }

        if (reader.Byte() != Version)
        {
            throw PackedReader.Damaged();
        }

        for (var i = 0; i < circumstances.Count; i++)
        {
            if (ReadPaperwork(ref reader) is { } paperwork)
            {
                circumstances[i] = circumstances[i] with { Paperwork = paperwork };
            }
        }

        return reader.Byte() == 0 ? null : ReadConsents(ref reader, records);
    }

    private static bool HasConsent(IReadOnlyList<SubjectTransfer> records)
    {
        for (var i = 0; i < records.Count; i++)
        {
            if (records[i].Consent is not null)
            {
                return true;
            }
        }

        return false;
    }

    private static bool HasPaperwork(IReadOnlyList<TransferCircumstances> circumstances)
    {
        foreach (var item in circumstances)
        {
            if (item.Paperwork is not null)
            {
                return true;
            }
        }

        return false;
    }

    private static void Write(PackedWriter writer, TransferPaperwork? paperwork)
    {
        writer.Byte(paperwork is null ? (byte)0 : (byte)1);
        if (paperwork is not null)
        {
            writer.OptionalText(paperwork.Scenario);
            writer.OptionalText(paperwork.NoticeVersion);
            writer.OptionalText(paperwork.ConsentVersion);
            writer.Byte(paperwork.SeparateConsent switch { null => 0, false => 1, true => 2 });
        }
    }

    private static TransferPaperwork? ReadPaperwork(ref PackedReader reader) => reader.Byte() == 0 ? null : new(
        reader.OptionalText(), reader.OptionalText(), reader.OptionalText(),
        reader.Byte() switch { 0 => null, 1 => false, 2 => true, _ => throw PackedReader.Damaged() });

    private static void WriteConsents(PackedWriter writer, IReadOnlyList<SubjectTransfer> records)
    {
        // One column after the other: alike things side by side compress well.
        var time = 0L;
        foreach (var record in records)
        {
            var (id, at) = (record.Consent?.Id, record.Consent?.At?.ToUnixTimeMilliseconds());
            writer.Byte((byte)((id is null ? 0 : HasId) | (at is null ? 0 : HasTime)));
            if (at is { } moment)
            {
                writer.Signed(moment - time);
                time = moment;
            }
        }

        var before = "";
        foreach (var record in records)
        {
            if (record.Consent?.Id is { } id)
            {
                ChunkCodec.WriteId(writer, before, id);
                before = id;
            }
        }
    }

    private static ConsentEvidence?[] ReadConsents(ref PackedReader reader, int records)
    {
        var consents = new ConsentEvidence?[records];
        var ids = new bool[records];
        var time = 0L;
        for (var i = 0; i < records; i++)
        {
            var has = reader.Byte();
            ids[i] = (has & HasId) != 0;
            time += (has & HasTime) != 0 ? reader.Signed() : 0;
            consents[i] = has == 0 ? null : new(null, (has & HasTime) != 0 ? Moment(time) : null);
        }

        var before = "";
        for (var i = 0; i < records; i++)
        {
            if (ids[i])
            {
                before = ChunkCodec.ReadId(ref reader, before);
                consents[i] = consents[i]! with { Id = before };
            }
        }

        return consents;
    }

    private static DateTimeOffset Moment(long milliseconds) =>
        milliseconds >= DateTimeOffset.MinValue.ToUnixTimeMilliseconds() && milliseconds <= DateTimeOffset.MaxValue.ToUnixTimeMilliseconds()
            ? DateTimeOffset.FromUnixTimeMilliseconds(milliseconds)
            : throw PackedReader.Damaged();
}
