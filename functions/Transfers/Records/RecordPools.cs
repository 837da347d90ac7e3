using System.Text;

namespace DingFlow.Transfers;

/// <summary>A subject type as records name it; <see langword="null"/> for a word that is none.</summary>
internal sealed record SubjectTypeName(SubjectType? Type);

/// <summary>An exemption as records name it, or why it is refused.</summary>
internal sealed record ExemptionCode(ExemptionKind Kind, RefusalReason Refusal);

/// <summary>A scenario as records name it, in lower case; <see langword="null"/> for a text that is no id.</summary>
internal sealed record ScenarioName(string? Id);

/// <summary>What records repeat, made once per batch reader.</summary>
internal sealed class RecordPools(TransfersOptions options, FieldClassifier classifier)
{
    public const int MostUnknownFields = 100;

    private readonly HashSet<string> _unknownFields = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Unknown field names that were met, at most 100.</summary>
    public IReadOnlyCollection<string> UnknownFields => _unknownFields;

    public Utf8Pool<string> Texts { get; } = new(text => text);

    public Utf8Pool<PartyName> Parties { get; } = new(name =>
    {
        var (exporter, recipient) = (options.Exporters.GetValueOrDefault(name), options.Recipients.GetValueOrDefault(name));
        return new(name.ToLowerInvariant(), TransfersOptions.IsId(name), exporter, recipient);
    });

    public Utf8Pool<ScenarioName> Scenarios { get; } = new(id => new(TransfersOptions.IsId(id) ? id.ToLowerInvariant() : null));

    public Utf8Pool<SubjectTypeName> SubjectTypes { get; } =
        new(word => new(Transfers.SubjectTypes.TryParse(word, out var type) ? type : null));

    public Utf8Pool<ExemptionCode> Exemptions { get; } = new(code =>
        ExemptionPolicy.Default.TryParse(code, out var kind) ? new(kind, RefusalReason.None)
        : code.Equals("EX-VOLUME", StringComparison.OrdinalIgnoreCase) || code.Equals("volume", StringComparison.OrdinalIgnoreCase)
            ? new(ExemptionKind.None, RefusalReason.ExemptionByVolume)
        : new(ExemptionKind.None, RefusalReason.UnknownExemption));

    public Utf8Pool<FieldClass> Categories { get; } = new(word =>
    {
        var personal = Vocabulary.TryClass(word, out var dataClass);
        var known = personal || word.Equals("notPersonal", StringComparison.OrdinalIgnoreCase);
        return new($"category:{word}", personal ? dataClass : null, known ? TransferNotices.None : TransferNotices.UnknownField, "I", []);
    });

    public Utf8Pool<FieldClass> Fields => field ??= new(name =>
    {
        var found = classifier.Classify(name);
        if (found.Notice == TransferNotices.UnknownField && _unknownFields.Count < MostUnknownFields)
        {
            _unknownFields.Add(name);
        }

        return found;
    });

    /// <summary>The pooled text of a string of our own.</summary>
    public string Text(string text) => Texts.Get(Encoding.UTF8.GetBytes(text));
}
