using System.Text;

namespace DingFlow.Transfers;

/// <summary>Properties of a record, a bit each, to find the missing and the doubled.</summary>
[Flags]
internal enum RecordProperties
{
    None = 0,
    Id = 1,
    OccurredAt = 1 << 1,
    Exporter = 1 << 2,
    Subject = 1 << 3,
    Fields = 1 << 4,
    Categories = 1 << 5,
    Origin = 1 << 6,
    Destination = 1 << 7,
    Recipient = 1 << 8,
    Purpose = 1 << 9,
    LegalBasis = 1 << 10,
    Exemption = 1 << 11,
    Mechanism = 1 << 12,
    Method = 1 << 13,
    System = 1 << 14,
    SubjectType = 1 << 15,
    SubjectId = 1 << 16,
    SubjectScope = 1 << 17,
    SubjectMinor = 1 << 18,
    Data = 1 << 19,
    SpecVersion = 1 << 20,
    Scenario = 1 << 21,
    NoticeVersion = 1 << 22,
    Consent = 1 << 23,
    ConsentId = 1 << 24,
    ConsentAt = 1 << 25,
    ConsentVersion = 1 << 26,
    ConsentSeparate = 1 << 27,

    Required = Id | OccurredAt | Exporter | Subject | Origin | Destination | Recipient | Purpose | LegalBasis | Method | System
        | SubjectType | SubjectId,
}

/// <summary>An exporter or a recipient as records name it.</summary>
internal sealed record PartyName(string Id, bool WellFormed, Exporter? Exporter, Recipient? Recipient);

/// <summary>One record while it is read and judged; used again for the next. The subject's identifier is wiped between the two.</summary>
internal sealed class RecordDraft
{
    public const int MaximumFields = 200;

    private readonly char[] _subjectId = new char[CanonicalSubject.LongestIdentifier];
    private readonly char[] _subjectScope = new char[CanonicalSubject.LongestIdentifier];
    private int _subjectIdLength;
    private int _subjectScopeLength;

    public RecordProperties Seen;

    /// <summary>Those that stand in the record, also without a value.</summary>
    public RecordProperties Named;
    public string Id = "";
    public DateTimeOffset OccurredAt;
    public PartyName? Exporter;
    public PartyName? Recipient;
    public SubjectType SubjectType;
    public bool Minor;
    public Country Origin;
    public Country Destination;
    public string Purpose = "";
    public string LegalBasis = "";
    public string? Mechanism;
    public string Method = "";
    public string System = "";
    public ExemptionKind Exemption;

    public string? Scenario;
    public string? NoticeVersion;
    public string? ConsentId;
    public DateTimeOffset? ConsentAt;
    public string? ConsentVersion;
    public bool? SeparateConsent;

    /// <summary>Evidence that the record itself names; made only when there is some.</summary>
    public Dictionary<string, string>? Evidence;

    /// <summary>Onward places that the record itself names; made only when there are some.</summary>
    public List<string>? Onward;

    public List<FieldClass> Fields { get; } = [];

    public List<FieldClass> Categories { get; } = [];

    public ReadOnlySpan<char> SubjectId => _subjectId.AsSpan(0, _subjectIdLength);

    public ReadOnlySpan<char> SubjectScope => _subjectScope.AsSpan(0, _subjectScopeLength);

    public void Clear()
    {
        Array.Clear(_subjectId, 0, _subjectIdLength);
        Array.Clear(_subjectScope, 0, _subjectScopeLength);
        (_subjectIdLength, _subjectScopeLength) = (0, 0);
        (Seen, Named) = (RecordProperties.None, RecordProperties.None);
        (Exporter, Recipient, Mechanism, Evidence, Onward) = (null, null, null, null, null);
        (Minor, Exemption) = (false, ExemptionKind.None);
        (Scenario, NoticeVersion, ConsentId, ConsentAt, ConsentVersion, SeparateConsent) = (null, null, null, null, null, null);
        Fields.Clear();
        Categories.Clear();
    }

    public bool TrySetSubjectId(ReadOnlySpan<byte> utf8) => TryDecode(utf8, _subjectId, out _subjectIdLength);

    public bool TrySetSubjectScope(ReadOnlySpan<byte> utf8) => TryDecode(utf8, _subjectScope, out _subjectScopeLength);

    private static bool TryDecode(ReadOnlySpan<byte> utf8, char[] destination, out int length) =>
        Encoding.UTF8.TryGetChars(utf8, destination, out length) && length > 0;
}
