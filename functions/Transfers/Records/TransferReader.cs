using System.Text;

namespace DingFlow.Transfers;

/// <summary>
/// Judges transfer records: read, validated, classified, pseudonymised. Bad records are refused one by one and the others go on. One thread
/// at a time.
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
    private readonly RecordDraft _draft = new();
    private List<SubjectTransfer> _transfers = [];
    private List<RecordRefusal> _refusals = [];
    private RecordShapes? _recordShapes;
    private RecordShapes? _eventShapes;
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
    }

    /// <summary>Names of unknown fields that were met, at most 100: to be mapped by the company.</summary>
    public IReadOnlyCollection<string> UnknownFields => _pools.UnknownFields;

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
            else if (line.ContainsAnyExcept(LineCutter.Blanks))
            {
                Judge(line, cloudEvent: false);
            }
        }

        return Cut();
    }

    /// <summary>Judges the records at these places of a text. Refusals are numbered from the first of them.</summary>
    internal TransferChunk ReadRecords(ReadOnlySpan<byte> text, IReadOnlyList<RecordPlace> places, bool cloudEvents)
    {
        (_records, _transfers, _refusals) = (0, new(places.Count), []);
        _validator.Begin();
        foreach (var place in places)
        {
            if (place.IsTooLarge)
            {
                _refusals.Add(Refusal(_records++, RefusalReason.RecordTooLarge, ""));
            }
            else
            {
                Judge(text.Slice(place.Start, place.Length), cloudEvents);
            }
        }

        return Cut();
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

    private void Judge(ReadOnlySpan<byte> json, bool cloudEvent)
    {
        // The same text may be a record and another record's event: neither is known by a shape of the other.
        var shapes = cloudEvent ? _eventShapes ??= new() : _recordShapes ??= new();
        if (shapes.TryFind(json, out var shape)
            && _validator.TryJudge(
                shape, shapes.PlaceOf(shape, RecordValue.Id).Of(json), shapes.PlaceOf(shape, RecordValue.OccurredAt).Of(json),
                shapes.PlaceOf(shape, RecordValue.SubjectId).Of(json), out var transfer))
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
            if (transfer.Consent is null)
            {
                // Evidence of consent is each person's own: no other record would have the shape.
                Learn(shapes, json, transfer);
            }
        }
        else
        {
            _refusals.Add(Refusal(_records, reason, property));
        }

        _records++;
    }

    private void Learn(RecordShapes shapes, ReadOnlySpan<byte> json, SubjectTransfer transfer)
    {
        var shape = shapes.Learn(json, _json.Values, order => RecordValidator.ShapeOf(_draft, transfer, order));
        if (shape is not null)
        {
            RecordValidator.Teach(shape, _draft, transfer);
        }
    }

    private TransferChunk Cut()
    {
        var chunk = new TransferChunk(_transfers, _refusals, _records);
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

        (draft.ConsentId, draft.ConsentAt, draft.SeparateConsent) = (record.Consent?.Id, record.Consent?.At, record.Consent?.Separate);
        draft.NoticeVersion = record.NoticeVersion is { } notice ? _pools.Text(notice) : null;
        draft.ConsentVersion = record.Consent?.Version is { } version ? _pools.Text(version) : null;
        draft.Scenario = record.Scenario is { } scenario ? _pools.Scenarios.Get(Encoding.UTF8.GetBytes(scenario)).Id : null;
        var exemption = record.Exemption is { } code ? _pools.Exemptions.Get(Encoding.UTF8.GetBytes(code)) : null;
        draft.Exemption = exemption?.Kind ?? ExemptionKind.None;
        (var reason, property) =
            !draft.Recipient.WellFormed ? (RefusalReason.InvalidProperty, "recipient")
            : draft.Scenario is null && record.Scenario is not null ? (RefusalReason.InvalidProperty, "scenario")
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
        RefusalReason.InvalidTime => $"{(property == "consent" ? "consent.at" : "occurredAt")} is no RFC 3339 time with offset.",
        RefusalReason.InTheFuture => $"{property} lies in the future.",
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
