using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text;

namespace DingFlow.Transfers;

/// <summary>Some consecutive records of a batch.</summary>
/// <param name="Transfers">The good ones, in order.</param>
/// <param name="Refusals">The others, in order.</param>
/// <param name="Records">How many records of the batch have been read so far, good or not.</param>
/// <param name="Fault">Why the batch could not be read further; <see langword="null"/> while it can. Only on the last part.</param>
public sealed record TransferChunk(
    IReadOnlyList<SubjectTransfer> Transfers, IReadOnlyList<RecordRefusal> Refusals, long Records, string? Fault)
{
    /// <summary>Consecutive parts as one.</summary>
    internal static TransferChunk Join(IReadOnlyList<TransferChunk> parts)
    {
        if (parts.Count == 1)
        {
            return parts[0];
        }

        var transfers = new List<SubjectTransfer>(parts.Sum(part => part.Transfers.Count));
        foreach (var part in parts)
        {
            transfers.AddRange(part.Transfers);
        }

        return new(transfers, [.. parts.SelectMany(part => part.Refusals)], parts[^1].Records, parts[^1].Fault);
    }

    /// <summary>The same after so many records of the batch.</summary>
    internal TransferChunk After(long records) => records == 0 ? this : this with
    {
        Records = Records + records, Refusals = [.. Refusals.Select(refusal => refusal with { Index = refusal.Index + records })],
    };

    /// <summary>The records of the batch before an index, as far as they are of this part.</summary>
    internal TransferChunk Before(long index)
    {
        if (Records <= index)
        {
            return this;
        }

        var refusals = Refusals.Where(refusal => refusal.Index < index).ToList();
        var first = Records - Transfers.Count - Refusals.Count;
        return new([.. Transfers.Take((int)(index - first) - refusals.Count)], refusals, index, null);
    }

    /// <summary>Which record of the batch a good one is, from 0.</summary>
    internal long IndexOf(SubjectTransfer transfer)
    {
        var place = Transfers.Index().First(good => ReferenceEquals(good.Item, transfer)).Index;
        var index = Records - Transfers.Count - Refusals.Count + place;
        foreach (var refusal in Refusals)
        {
            index += refusal.Index <= index ? 1 : 0;
        }

        return index;
    }
}

/// <summary>
/// Reads a batch of transfer records as it arrives: validated, classified, pseudonymised, in parts of ten thousand. Bad records are
/// refused one by one and the others go on. Holds one part and one record, whatever the size of the batch. One batch at a time.
/// </summary>
public sealed class TransferReader : IDisposable
{
    /// <summary>The ledger writes parts of this size most cheaply.</summary>
    internal const int ChunkSize = 10_000;

    /// <summary>Bytes of a record that is shorter than most.</summary>
    private const int ShortRecord = 256;

    private readonly TransfersOptions _options;
    private readonly Pseudonymizer _pseudonymizer;
    private readonly RecordPools _pools;
    private readonly RecordJson _json;
    private readonly RecordValidator _validator;
    private readonly RecordShapes _shapes = new();
    private readonly RecordDraft _draft = new();
    private readonly byte[] _contiguous;
    private List<SubjectTransfer> _transfers = [];
    private List<RecordRefusal> _refusals = [];
    private long _records;

    /// <summary>Creates a reader.</summary>
    /// <param name="options">Exporters, recipients, limits.</param>
    /// <param name="classifier">What fields hold.</param>
    /// <param name="key">Under which pseudonyms are made.</param>
    /// <param name="resolver">Who is who.</param>
    /// <param name="mayReport">Whether the caller may report for an exporter, by its id.</param>
    /// <param name="timeProvider">The clock that tells what lies in the future.</param>
    public TransferReader(
        TransfersOptions options, FieldClassifier classifier, PseudonymKey key, ISubjectResolver resolver, Func<string, bool> mayReport,
        TimeProvider timeProvider)
    {
        _options = options;
        _pseudonymizer = key.CreatePseudonymizer();
        _pools = new(options, classifier);
        _json = new(_pools);
        _validator = new(options, _pseudonymizer, resolver, mayReport, timeProvider);
        _contiguous = new byte[options.MaxRecordBytes];
    }

    /// <summary>Names of unknown fields that were met, at most 100: to be mapped by the company.</summary>
    public IReadOnlyCollection<string> UnknownFields => _pools.UnknownFields;

    /// <summary>Reads a batch to its end, or to where it cannot be read further. The caller completes the pipe.</summary>
    /// <param name="body">The bytes, uncompressed.</param>
    /// <param name="format">How they are written.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async IAsyncEnumerable<TransferChunk> ReadAsync(
        PipeReader body, TransferFormat format, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        (_records, _transfers, _refusals) = (0, [], []);
        var splitter = RecordSplitter.For(format, _options.MaxRecordBytes);
        var isStart = true;
        while (true)
        {
            var result = await body.ReadAsync(cancellationToken);
            _validator.Begin();
            var buffer = result.Buffer;
            if (isStart && !TrySkipByteOrderMark(ref buffer, result.IsCompleted))
            {
                body.AdvanceTo(buffer.Start, buffer.End);
                continue;
            }

            isStart = false;
            SplitOutcome outcome;
            do
            {
                outcome = Fill(splitter, format, ref buffer, result.IsCompleted);
                if (_transfers.Count + _refusals.Count >= ChunkSize)
                {
                    yield return Cut(null);
                }
            }
            while (outcome is SplitOutcome.Record or SplitOutcome.TooLarge);

            body.AdvanceTo(buffer.Start, buffer.End);
            if (outcome != SplitOutcome.NeedMore)
            {
                yield return Cut(outcome == SplitOutcome.Broken ? "The batch is no JSON array of records from here on." : null);
                yield break;
            }
        }
    }

    /// <summary>
    /// Judges the records of whole lines. Refusals are numbered from the first of these lines; whoever reads lines in pieces knows how many
    /// came before.
    /// </summary>
    internal TransferChunk ReadLines(ReadOnlyMemory<byte> lines)
    {
        (_records, _transfers, _refusals) = (0, new(lines.Length / ShortRecord), []);
        _validator.Begin();
        for (var rest = lines.Span; !rest.IsEmpty;)
        {
            var end = rest.IndexOf((byte)'\n');
            var line = end < 0 ? rest : rest[..end];
            rest = end < 0 ? [] : rest[(end + 1)..];
            if (line.Length > _options.MaxRecordBytes)
            {
                _refusals.Add(Refusal(_records++, RefusalReason.RecordTooLarge, ""));
            }
            else if (line.ContainsAnyExcept(LineSplitter.Blanks))
            {
                Judge(line, cloudEvent: false);
            }
        }

        return Cut(null);
    }

    /// <summary>Judges a record of our own making.</summary>
    /// <returns>The transfer, or why it was refused (index 0).</returns>
    public (SubjectTransfer? Transfer, RecordRefusal? Refusal) Read(TransferRecord record)
    {
        ArgumentNullException.ThrowIfNull(record);
        _draft.Clear();
        _validator.Begin();
        try
        {
            var reason = Fill(record, out var property);
            SubjectTransfer? transfer = null;
            if (reason == RefusalReason.None)
            {
                reason = _validator.Judge(_draft, out transfer);
                property = _validator.Property;
            }

            return reason == RefusalReason.None ? (transfer, null) : (null, Refusal(0, reason, property));
        }
        finally
        {
            _draft.Clear();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _draft.Clear();
        _pseudonymizer.Dispose();
    }

    private static bool TrySkipByteOrderMark(ref ReadOnlySequence<byte> buffer, bool isLast)
    {
        ReadOnlySpan<byte> mark = [0xEF, 0xBB, 0xBF];
        if (buffer.Length < mark.Length && !isLast)
        {
            return false;
        }

        var reader = new SequenceReader<byte>(buffer);
        if (reader.IsNext(mark, advancePast: true))
        {
            buffer = buffer.Slice(reader.Position);
        }

        return true;
    }

    /// <summary>Reads records until the part is full or the buffer gives no more.</summary>
    private SplitOutcome Fill(RecordSplitter splitter, TransferFormat format, ref ReadOnlySequence<byte> buffer, bool isLast)
    {
        SplitOutcome outcome;
        do
        {
            outcome = splitter.Next(ref buffer, isLast, out var record);
            if (outcome == SplitOutcome.Record)
            {
                Judge(record, format == TransferFormat.CloudEvents);
            }
            else if (outcome == SplitOutcome.TooLarge)
            {
                _refusals.Add(Refusal(_records++, RefusalReason.RecordTooLarge, ""));
            }
        }
        while (outcome is SplitOutcome.Record or SplitOutcome.TooLarge && _transfers.Count + _refusals.Count < ChunkSize);

        return outcome;
    }

    private void Judge(in ReadOnlySequence<byte> record, bool cloudEvent)
    {
        if (record.IsSingleSegment)
        {
            Judge(record.FirstSpan, cloudEvent);
        }
        else
        {
            record.CopyTo(_contiguous);
            Judge(_contiguous.AsSpan(0, (int)record.Length), cloudEvent);
        }
    }

    private void Judge(ReadOnlySpan<byte> json, bool cloudEvent)
    {
        if (!cloudEvent && _shapes.TryFind(json, out var shape)
            && _validator.TryJudge(
                shape, _shapes.PlaceOf(shape, RecordValue.Id).Of(json), _shapes.PlaceOf(shape, RecordValue.OccurredAt).Of(json),
                _shapes.PlaceOf(shape, RecordValue.SubjectId).Of(json), out var transfer))
        {
            _transfers.Add(transfer);
            _records++;
            return;
        }

        _draft.Clear();
        var reason = _json.Read(json, _draft, cloudEvent);
        var property = _json.Property;
        transfer = null;
        if (reason == RefusalReason.None)
        {
            reason = _validator.Judge(_draft, out transfer);
            property = _validator.Property;
        }

        if (transfer is not null)
        {
            _transfers.Add(transfer);
            if (!cloudEvent)
            {
                Learn(json, transfer);
            }
        }
        else
        {
            _refusals.Add(Refusal(_records, reason, property));
        }

        _records++;
    }

    private void Learn(ReadOnlySpan<byte> json, SubjectTransfer transfer)
    {
        var shape = _shapes.Learn(
            json, _json.IdAt, _json.OccurredAtAt, _json.SubjectIdAt, order => RecordValidator.ShapeOf(_draft, transfer, order));
        if (shape is not null)
        {
            RecordValidator.Teach(shape, _draft, transfer);
        }
    }

    private TransferChunk Cut(string? fault)
    {
        var chunk = new TransferChunk(_transfers, _refusals, _records, fault);
        (_transfers, _refusals) = ([], []);
        return chunk;
    }

    private RefusalReason Fill(TransferRecord record, out string property)
    {
        property = "";
        var draft = _draft;
        draft.Seen = RecordProperties.Required;
        (draft.Id, draft.OccurredAt, draft.Minor) = (record.Id, record.OccurredAt, record.Subject.Minor);
        (draft.Purpose, draft.LegalBasis) = (_pools.Text(record.Purpose), _pools.Text(record.LegalBasis));
        (draft.Method, draft.System) = (_pools.Text(record.Method), _pools.Text(record.System));
        draft.Mechanism = record.Mechanism is { } mechanism ? _pools.Text(mechanism) : null;
        draft.Exporter = _pools.Parties.Get(Encoding.UTF8.GetBytes(record.Exporter));
        draft.Recipient = _pools.Parties.Get(Encoding.UTF8.GetBytes(record.Recipient));
        foreach (var name in record.Fields)
        {
            draft.Fields.Add(_pools.Fields.Get(Encoding.UTF8.GetBytes(name)));
        }

        foreach (var word in record.Categories)
        {
            draft.Categories.Add(_pools.Categories.Get(Encoding.UTF8.GetBytes(word)));
        }

        var exemption = record.Exemption is { } code ? _pools.Exemptions.Get(Encoding.UTF8.GetBytes(code)) : null;
        draft.Exemption = exemption?.Kind ?? ExemptionKind.None;
        (var reason, property) =
            !draft.Recipient.WellFormed ? (RefusalReason.InvalidProperty, "recipient")
            : !Country.TryParse(record.Origin, out draft.Origin) ? (RefusalReason.InvalidCountry, "origin")
            : !Country.TryParse(record.Destination, out draft.Destination) ? (RefusalReason.InvalidCountry, "destination")
            : !SubjectTypes.TryParse(record.Subject.Type, out draft.SubjectType) ? (RefusalReason.UnknownSubjectType, "subject")
            : !draft.TrySetSubjectId(Encoding.UTF8.GetBytes(record.Subject.Id)) ? (RefusalReason.InvalidSubject, "subject")
            : record.Subject.Scope is { } scope && !draft.TrySetSubjectScope(Encoding.UTF8.GetBytes(scope)) ? (RefusalReason.InvalidSubject, "subject")
            : draft.Categories.Exists(category => category.Notice == TransferNotices.UnknownField) ? (RefusalReason.UnknownCategory, "categories")
            : (exemption?.Refusal ?? RefusalReason.None, "exemption");
        return reason;
    }

    private RecordRefusal Refusal(long index, RefusalReason reason, string property) => new(index, reason, reason switch
    {
        RefusalReason.MalformedJson => "The record is no complete JSON.",
        RefusalReason.MalformedRecord when property.Length > 0 => $"The CloudEvent has no valid {property}.",
        RefusalReason.MalformedRecord => "The record is no JSON object.",
        RefusalReason.RecordTooLarge => $"The record is longer than {_options.MaxRecordBytes} bytes.",
        RefusalReason.TooDeep => "The record is nested too deep.",
        RefusalReason.DuplicateProperty => $"{property} stands twice.",
        RefusalReason.MissingProperty => $"{property} is missing.",
        RefusalReason.UnknownExporter => "The exporter is not registered (Exporters:{id}).",
        RefusalReason.ExporterNotAllowed => "The caller may not report for this exporter.",
        RefusalReason.UnknownSubjectType => "subject.type is none of the known.",
        RefusalReason.InvalidSubject => "The subject's identifier is malformed for its type, or its scope (corpId, country) is missing.",
        RefusalReason.InvalidCountry => $"{property} is no ISO 3166 code.",
        RefusalReason.NotATransfer => "Origin and destination are the same.",
        RefusalReason.InvalidTime => "occurredAt is no RFC 3339 time with offset.",
        RefusalReason.InTheFuture => "occurredAt lies in the future.",
        RefusalReason.TooOld => $"occurredAt lies more than {_options.RetentionYears} calendar years back.",
        RefusalReason.NoFields => "There is neither a field nor a category.",
        RefusalReason.TooManyFields => $"There are more than {RecordDraft.MaximumFields} fields and categories.",
        RefusalReason.UnknownCategory => "A category is no class of information.",
        RefusalReason.UnknownExemption => "The exemption is none of the known.",
        RefusalReason.ExemptionByVolume => "Exemption by volume follows from the count and cannot be claimed.",
        RefusalReason.ExemptionNotApplicable => "The exemption does not cover this lane or this information.",
        RefusalReason.ExemptionNotOpenToExporter => "The exemption is not open to this exporter.",
        RefusalReason.ExemptionEvidenceMissing => "Neither the record nor the exporter's settings name the evidence of the exemption.",
        RefusalReason.GbaParties => "Exporter and recipient are not both registered in the area of the contract.",
        RefusalReason.GbaOnward => "The recipient passes the data on outside the Greater Bay Area.",
        _ => property.Length > 0 ? $"{property} is invalid." : "The record is invalid.",
    });
}
